/*
 * Reading PyTypeObjects; see pyclasses.h. Layouts are those of Include/cpython/object.h, the same
 * in 3.8 … 3.13 but for what is before the reference count.
 */
#include "analysis/types/recognisers/pyclasses.h"

#include "analysis/contents/text.h"
#include "analysis/types/recognisers/recognisers.h"

#include <string.h>

/* Words of PyTypeObject. */
enum {
    TYPE_REFCNT = 0,
    TYPE_TYPE = 1,
    TYPE_NAME = 3,
    TYPE_BASICSIZE = 4,
    TYPE_ITEMSIZE = 5,
    TYPE_FLAGS = 21,
    TYPE_BASE = 32,
    TYPE_WORDS = 33,
};

/* Of Py_TRACE_REFS: _ob_next and _ob_prev. */
#define TRACE_WORDS 2

/* object.h */
#define FLAG_INLINE_VALUES   (1U << 2) /* since 3.13 */
#define FLAG_MANAGED_WEAKREF (1U << 3) /* since 3.12 */
#define FLAG_MANAGED_DICT    (1U << 4) /* since 3.11 */
#define FLAG_READY           (1U << 12)
#define FLAG_HAVE_GC         (1U << 14)
#define FLAG_LONG_SUBCLASS   (1U << 24)
#define FLAG_TYPE_SUBCLASS   (1U << 31)

#define NAME_MAX_BYTES  1024
#define BASIC_MAX_BYTES (1U << 20)
#define ITEM_MAX_BYTES  (1U << 16)
/* Metaclasses of metaclasses, and bases of bases. */
#define DEPTH_MAX 64

/* Answers that are remembered: classes, and addresses that are none. */
#define CLASSES_MAX (1U << 20)
#define OTHERS_MAX  (1U << 16)

/* Structures whose names are not that of the class's symbol with Object for _Type. */
static const struct {
    const char *symbol;
    const char *type;
} tags[] = {
    {"PyLong_Type", "_longobject"},
    {"PyBool_Type", "_longobject"},
    {"PyType_Type", "_heaptypeobject"}, /* those in chunks */
    {"PyUnicode_Type", "PyASCIIObject"},
    {"PyFrame_Type", "_frame"},
    {"PyTraceBack_Type", "_traceback"},
    {"PyFrozenSet_Type", "PySetObject"},
    {"PyODict_Type", "_odictobject"},
    {"_PyWeakref_RefType", "_PyWeakReference"},
    {"_PyWeakref_ProxyType", "_PyWeakReference"},
    {"_PyWeakref_CallableProxyType", "_PyWeakReference"},
    {"PyProperty_Type", "propertyobject"},
    {"PyClassMethod_Type", "classmethod"},
    {"PyStaticMethod_Type", "staticmethod"},
    {"_PyMethodWrapper_Type", "wrapperobject"},
    {"_PyNamespace_Type", "_PyNamespaceObject"},
    {"_PyManagedBuffer_Type", "_PyManagedBufferObject"},
    {"PyCapsule_Type", "PyCapsule"},
    {"PyDictProxy_Type", "mappingproxyobject"},
    {"PySuper_Type", "superobject"},
    {"PyEnum_Type", "enumobject"},
    {"PyMap_Type", "mapobject"},
    {"PyFilter_Type", "filterobject"},
    {"PyZip_Type", "zipobject"},
    {"PyReversed_Type", "reversedobject"},
    {"PyRange_Type", "rangeobject"},
    {"Py_GenericAliasType", "gaobject"},
    {"_PyExc_BaseException", "PyBaseExceptionObject"},
    {"PyBaseObject_Type", "_object"},
};

struct PyClasses {
    PmPlaces *places;
    PmTypes *types;
    const PmProcess *process;
    const PmSpace *space;
    gsize word_bytes;
    gsize shift;
    guint version;
    PmAddr type_type;
    PmAddr unicode_type;
    GHashTable *known; /* PyClass by address; NULL for what is no class */
    guint others;
};

static void
free_class(gpointer data)
{
    PyClass *class = data;
    if (class == NULL)
        return;
    g_free(class->label);
    g_free(class->freed_label);
    g_free(class);
}

static gboolean
read_words(const PyClasses *classes, PmAddr address, guint64 *words)
{
    guint8 bytes[TYPE_WORDS * sizeof(guint64)];
    const gsize count = TYPE_WORDS * classes->word_bytes;
    PmAddr start = 0;
    if (!pm_addr_add(address, classes->shift * classes->word_bytes, &start) ||
        !pm_space_read(classes->space, start, bytes, count))
        return FALSE;
    for (gsize i = 0; i < TYPE_WORDS; i++)
        words[i] = pm_load_word(bytes + i * classes->word_bytes, classes->word_bytes);
    return TRUE;
}

/* The number of references: one at least; from 3.12 on objects may be immortal, with 32 bits of
 * ones or nearly so. */
static gboolean
is_refcnt(guint64 refcnt)
{
    return refcnt > 0 && refcnt <= G_MAXUINT32;
}

/* tp_name; (transfer full), NULL where it is no text. */
static char *
read_name(const PyClasses *classes, PmAddr address)
{
    g_autofree char *name = pm_space_read_string(classes->space, address, NAME_MAX_BYTES);
    if (name == NULL || name[0] == 0)
        return NULL;
    const gsize length = strlen(name);
    return pm_text_measure((const guint8 *)name, length, NULL) == length ? g_steal_pointer(&name)
                                                                         : NULL;
}

/* Whether @address is a metaclass: type itself or derived from it, by its flag. */
static gboolean
is_metaclass(PyClasses *classes, PmAddr address)
{
    guint64 words[TYPE_WORDS];
    for (guint depth = 0; depth < DEPTH_MAX; depth++) {
        if (address == classes->type_type)
            return TRUE;
        if (address % classes->word_bytes != 0 || !read_words(classes, address, words) ||
            (words[TYPE_FLAGS] & FLAG_TYPE_SUBCLASS) == 0 || words[TYPE_TYPE] == address)
            return FALSE;
        address = words[TYPE_TYPE];
    }
    return FALSE;
}

/* Include/internal/pycore_object.h, _PyType_PreHeaderSize; PyGC_Head is two words since 3.8. */
static guint64
get_pre_bytes(const PyClasses *classes, guint64 flags)
{
    guint64 words = (flags & FLAG_HAVE_GC) != 0 ? 2 : 0;
    if (classes->version == 0x030b && (flags & FLAG_MANAGED_DICT) != 0)
        words += 2;
    if (classes->version >= 0x030c && (flags & (FLAG_MANAGED_DICT | FLAG_MANAGED_WEAKREF)) != 0)
        words += 2;
    return words * classes->word_bytes;
}

/* The structure that is named after the symbol of the class at @address, as PyDictObject is after
 * PyDict_Type; NULL. */
static const PmType *
find_type_by_symbol(const PyClasses *classes, PmAddr address)
{
    PmSymbol symbol;
    guint64 offset = 0;
    if (!pm_process_symbolize(classes->process, address, &symbol, &offset) || offset != 0)
        return NULL;
    for (gsize i = 0; i < G_N_ELEMENTS(tags); i++) {
        if (strcmp(tags[i].symbol, symbol.name) == 0)
            return pm_recogniser_find_type(classes->types, tags[i].type, symbol.module);
    }
    /* PyDict_Type is of PyDictObject, modules have theirs in lower case. */
    const gboolean is_public = g_str_has_suffix(symbol.name, "_Type");
    if (!is_public && !g_str_has_suffix(symbol.name, "_type"))
        return NULL;
    g_autofree char *stem = g_strndup(symbol.name, strlen(symbol.name) - strlen("_Type"));
    g_autofree char *name = g_strconcat(stem, is_public ? "Object" : "object", NULL);
    return pm_recogniser_find_type(classes->types, name, symbol.module);
}

/* Of the class or the nearest of its bases; no larger than an instance. */
static const PmType *
find_type(const PyClasses *classes, PmAddr address, const guint64 *words)
{
    guint64 base_words[TYPE_WORDS];
    const guint64 basic_bytes = words[TYPE_BASICSIZE];
    for (guint depth = 0; classes->types != NULL && depth < DEPTH_MAX && address != 0; depth++) {
        const PmType *type = find_type_by_symbol(classes, address);
        /* One item is part of some structures, but not of tp_basicsize. */
        if (type != NULL && type->size_bytes <= basic_bytes + 8)
            return type;
        if (depth > 0 && !read_words(classes, address, base_words))
            return NULL;
        address = depth > 0 ? base_words[TYPE_BASE] : words[TYPE_BASE];
    }
    return NULL;
}

/* Static types of modules have no symbols that are exported: their names must do. */
static PySizing
get_sizing(const PyClasses *classes, const PyClass *class, const char *name)
{
    static const char *const generators[] = {"generator", "coroutine", "async_generator", NULL};
    static const char *const times[] = {"datetime.datetime", "datetime.time", NULL};
    if (class->address == classes->unicode_type)
        return PY_SIZE_STR;
    if (classes->version >= 0x030d && (class->flags & FLAG_INLINE_VALUES) != 0)
        return PY_SIZE_OPEN;
    if (class->item_bytes == 0)
        return g_strv_contains(times, name) ? PY_SIZE_ZONE : PY_SIZE_FIXED;
    if (classes->version >= 0x030b && g_strv_contains(generators, name))
        return PY_SIZE_OPEN;
    return classes->version >= 0x030c && (class->flags & FLAG_LONG_SUBCLASS) != 0 ? PY_SIZE_LONG
                                                                                  : PY_SIZE_ITEMS;
}

static PyClass *
read_class(PyClasses *classes, PmAddr address)
{
    guint64 words[TYPE_WORDS];
    if (!read_words(classes, address, words) || !is_refcnt(words[TYPE_REFCNT]) ||
        (words[TYPE_FLAGS] & FLAG_READY) == 0 || words[TYPE_BASICSIZE] < 2 * classes->word_bytes ||
        words[TYPE_BASICSIZE] > BASIC_MAX_BYTES || words[TYPE_ITEMSIZE] > ITEM_MAX_BYTES ||
        !is_metaclass(classes, words[TYPE_TYPE]))
        return NULL;
    g_autofree char *name = read_name(classes, words[TYPE_NAME]);
    if (name == NULL)
        return NULL;
    PyClass *class = g_new0(PyClass, 1);
    class->address = address;
    class->label = g_strconcat(name, " (Python)", NULL);
    class->freed_label = g_strconcat(name, " (Python, in a free list)", NULL);
    class->basic_bytes = words[TYPE_BASICSIZE];
    class->item_bytes = words[TYPE_ITEMSIZE];
    class->flags = words[TYPE_FLAGS];
    class->pre_bytes = get_pre_bytes(classes, class->flags);
    class->sizing = get_sizing(classes, class, name);
    class->type = find_type(classes, address, words);
    return class;
}

const PyClass *
py_classes_find(PyClasses *classes, PmAddr address)
{
    gpointer known = NULL;
    if (address < 4096 || address % classes->word_bytes != 0)
        return NULL;
    if (g_hash_table_lookup_extended(classes->known, &address, NULL, &known))
        return known;
    /* Neither may fill memory at a core's will. */
    if (g_hash_table_size(classes->known) - classes->others >= CLASSES_MAX)
        return NULL;
    PyClass *class = read_class(classes, address);
    if (class == NULL && classes->others >= OTHERS_MAX)
        return NULL;
    classes->others += class == NULL;
    g_hash_table_insert(classes->known, g_memdup2(&address, sizeof address), class);
    return class;
}

const PyClass *
py_classes_find_of(PyClasses *classes, const guint64 *words)
{
    return is_refcnt(words[0]) ? py_classes_find(classes, words[1]) : NULL;
}

gsize
py_classes_get_shift(const PyClasses *classes)
{
    return classes->shift;
}

guint
py_classes_get_version(const PyClasses *classes)
{
    return classes->version;
}

static PmAddr
lookup(const PyClasses *classes, const char *name)
{
    PmSymbol symbol;
    return pm_process_lookup_symbol(classes->process, NULL, name, &symbol) ? symbol.address
                                                                           : PM_ADDR_NONE;
}

/* Whether PyType_Type is its own class, where the layout has it with @shift words before. */
static gboolean
check_shift(PyClasses *classes, gsize shift)
{
    guint64 words[TYPE_WORDS];
    classes->shift = shift;
    if (!read_words(classes, classes->type_type, words) || words[TYPE_TYPE] != classes->type_type ||
        !is_refcnt(words[TYPE_REFCNT]))
        return FALSE;
    g_autofree char *name = read_name(classes, words[TYPE_NAME]);
    return g_strcmp0(name, "type") == 0;
}

PyClasses *
py_classes_new(PmPlaces *places, PmTypes *types)
{
    const PmSubject *subject = pm_places_get_subject(places);
    PyClasses *classes = g_new0(PyClasses, 1);
    guint64 version = 0;
    classes->places = places;
    classes->types = types;
    classes->process = subject->process;
    classes->space = pm_process_get_space(subject->process);
    classes->word_bytes = pm_image_get_target(subject->image)->word_bytes;
    classes->known = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, free_class);
    classes->type_type = lookup(classes, "PyType_Type");
    if (classes->type_type == PM_ADDR_NONE ||
        (!check_shift(classes, 0) && !check_shift(classes, TRACE_WORDS))) {
        py_classes_free(classes);
        return NULL;
    }
    classes->unicode_type = lookup(classes, "PyUnicode_Type");
    /* Since 3.11; the upper half of PY_VERSION_HEX. */
    if (pm_space_read_word(classes->space, lookup(classes, "Py_Version"), &version))
        classes->version = (guint)(version >> 16 & 0xffff);
    return classes;
}

void
py_classes_free(PyClasses *classes)
{
    g_hash_table_unref(classes->known);
    g_free(classes);
}
