#include "process/rtti.h"

#include "base/demangle.h"

#include <string.h>

/* Longer names than any that a compiler makes of code that people write. */
#define NAME_BYTES_MAX 16384
/* Classes and vtables that are remembered; a program has thousands. */
#define ENTRIES_MAX (1u << 17)
/* Bases of one class, and how deep its ancestors are followed. */
#define BASES_MAX 4096
#define DEPTH_MAX 64
/* Half of the distance that a base may lie inside an object, or a virtual one from it. */
#define OFFSET_MAX ((gint64)1 << 24)
/* Slots of the table of values that are no vtables. */
#define MISSES 65536

/* What kind of type_info a class has, by the class of that. */
typedef enum {
    KIND_NONE,    /* not that of a class */
    KIND_CLASS,   /* no bases */
    KIND_SINGLE,  /* one public, non-virtual base at offset 0 */
    KIND_SEVERAL, /* any others */
    KIND_UNKNOWN, /* one of the three: their names are not in the core */
} Kind;

/* Whether a class has virtual bases, its own or its bases'. */
typedef enum {
    VIRTUAL_UNKNOWN,
    VIRTUAL_NO, /* also while that is being found out, should it be its own base */
    VIRTUAL_YES,
} Virtual;

/* A type_info. @name: demangled, or as @mangled. */
typedef struct {
    PmAddr address;
    Kind kind;
    Virtual virtual_bases;
    char *mangled;
    char *name;
} TypeInfo;

typedef struct {
    TypeInfo *info;
    guint64 offset_bytes;
    gboolean is_virtual;
} Base;

struct PmRtti {
    const PmProcess *process;
    const PmSpace *space;
    guint64 word_bytes;
    GHashTable *vtables; /* PmAddr * → PmVtable */
    GHashTable *infos;   /* PmAddr * → TypeInfo */
    GHashTable *kinds;   /* address point of a type_info's vtable → Kind */
    GStringChunk *names; /* of vtables found by symbol */
    PmAddr *misses;
};

const char *
pm_vtable_use_name(PmVtableUse use)
{
    static const char *const names[] = {"object", "construction", "unsure"};
    return (guint)use < G_N_ELEMENTS(names) ? names[use] : "unknown";
}

static void
type_info_free(gpointer data)
{
    TypeInfo *info = data;
    g_free(info->mangled);
    g_free(info->name);
    g_free(info);
}

PmRtti *
pm_rtti_new(const PmProcess *process)
{
    PmRtti *rtti = g_new0(PmRtti, 1);
    rtti->process = process;
    rtti->space = pm_process_get_space(process);
    rtti->word_bytes = pm_space_get_target(rtti->space)->word_bytes;
    rtti->vtables = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    rtti->infos = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, type_info_free);
    rtti->kinds = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    rtti->names = g_string_chunk_new(1024);
    rtti->misses = g_new0(PmAddr, MISSES);
    return rtti;
}

void
pm_rtti_free(PmRtti *rtti)
{
    if (rtti == NULL)
        return;
    g_hash_table_unref(rtti->vtables);
    g_hash_table_unref(rtti->infos);
    g_hash_table_unref(rtti->kinds);
    g_string_chunk_free(rtti->names);
    g_free(rtti->misses);
    g_free(rtti);
}

/* The word @index words behind @address (before it, where negative). */
static gboolean
read_word(const PmRtti *rtti, PmAddr address, gint index, guint64 *ret_word)
{
    const guint64 distance = (guint64)index * rtti->word_bytes; /* wraps where negative */
    return pm_space_read_word(rtti->space, address + distance, ret_word);
}

/* As a signed number. */
static gint64
sign_extend(const PmRtti *rtti, guint64 word)
{
    return rtti->word_bytes == 4 ? (gint32)(guint32)word : (gint64)word;
}

static gboolean
is_small(const PmRtti *rtti, guint64 word)
{
    const gint64 value = sign_extend(rtti, word);
    return value > -OFFSET_MAX && value < OFFSET_MAX;
}

static gboolean
is_in_module(const PmRtti *rtti, PmAddr address)
{
    return pm_process_find_module(rtti->process, address) != NULL;
}

/* A type_info is an object of a module's data or read-only data. */
static gboolean
may_be_type_info(const PmRtti *rtti, PmAddr address)
{
    return address != 0 && address % rtti->word_bytes == 0 && is_in_module(rtti, address);
}

/*
 * Whether the name at @address is @wanted.
 *
 * @ret_known: (out): FALSE where it cannot be read.
 */
static gboolean
has_name(const PmRtti *rtti, PmAddr address, const char *wanted, gboolean *ret_known)
{
    char name[64];
    const gsize count = strlen(wanted) + 1;
    g_assert(count <= sizeof name);
    *ret_known = pm_space_read(rtti->space, address, name, count);
    return *ret_known && memcmp(name, wanted, count) == 0;
}

/* The kind that the name at @name stands for; KIND_UNKNOWN where no name can be read there. */
static Kind
read_kind_name(const PmRtti *rtti, PmAddr name)
{
    static const struct {
        const char *name;
        Kind kind;
    } names[] = {
        {"N10__cxxabiv117__class_type_infoE", KIND_CLASS},
        {"N10__cxxabiv120__si_class_type_infoE", KIND_SINGLE},
        {"N10__cxxabiv121__vmi_class_type_infoE", KIND_SEVERAL},
    };
    gboolean known = FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        if (has_name(rtti, name, names[i].name, &known))
            return names[i].kind;
    }
    return known ? KIND_NONE : KIND_UNKNOWN;
}

/*
 * The kind of a type_info whose first word is @vptr. That is the vtable of one of the ABI's classes
 * for type_infos of classes, each of which has one base, so that their own type_infos have the
 * vtable of the kind with one base, also that kind itself.
 */
static Kind
find_kind(const PmRtti *rtti, PmAddr vptr)
{
    guint64 info = 0, name = 0, vptr_of_info = 0, single = 0, vptr_of_single = 0, single_name = 0;
    if (!may_be_type_info(rtti, vptr) || !read_word(rtti, vptr, -1, &info) ||
        !may_be_type_info(rtti, info) || !read_word(rtti, info, 0, &vptr_of_info) ||
        !read_word(rtti, info, 1, &name) || !may_be_type_info(rtti, vptr_of_info) ||
        !read_word(rtti, vptr_of_info, -1, &single) || !may_be_type_info(rtti, single) ||
        !read_word(rtti, single, 0, &vptr_of_single) || vptr_of_single != vptr_of_info ||
        !read_word(rtti, single, 1, &single_name))
        return KIND_NONE;
    const Kind base = read_kind_name(rtti, single_name);
    const Kind kind = read_kind_name(rtti, name);
    /* Without names the ring of pointers is what is left as proof. */
    return base == KIND_SINGLE || base == KIND_UNKNOWN ? kind : KIND_NONE;
}

static Kind
get_kind(PmRtti *rtti, PmAddr vptr)
{
    gpointer found = NULL;
    if (g_hash_table_lookup_extended(rtti->kinds, &vptr, NULL, &found))
        return (Kind)GPOINTER_TO_INT(found);
    const Kind kind = find_kind(rtti, vptr);
    if (g_hash_table_size(rtti->kinds) < ENTRIES_MAX)
        g_hash_table_insert(rtti->kinds, g_memdup2(&vptr, sizeof vptr), GINT_TO_POINTER(kind));
    return kind;
}

/* Whether @name may be that of a class, by the first letters of the ABI's mangling. */
static gboolean
is_class_name(const char *name)
{
    if (strchr("NSZ", name[0]) == NULL && !g_ascii_isdigit(name[0]))
        return FALSE;
    for (const char *at = name; *at != '\0'; at++)
        if (!g_ascii_isalnum(*at) && *at != '_' && *at != '.' && *at != '$' && (guchar)*at < 0x80)
            return FALSE;
    return g_utf8_validate(name, -1, NULL);
}

/* The mangled name of the type_info at @address; (transfer full), NULL where there is none. */
static char *
read_name(const PmRtti *rtti, PmAddr address)
{
    guint64 at = 0;
    if (!read_word(rtti, address, 1, &at) || at == 0)
        return NULL;
    g_autofree char *name = pm_space_read_string(rtti->space, at, NAME_BYTES_MAX);
    if (name == NULL)
        return NULL;
    /* GCC marks names that are to be compared by address alone. (libstdc++, <typeinfo>) */
    const char *plain = name[0] == '*' ? name + 1 : name;
    return plain[0] != '\0' && is_class_name(plain) ? g_strdup(plain) : NULL;
}

/* The type_info of a class at @address, or NULL. */
static TypeInfo *
get_type_info(PmRtti *rtti, PmAddr address)
{
    guint64 vptr = 0;
    TypeInfo *info = g_hash_table_lookup(rtti->infos, &address);
    if (info != NULL)
        return info;
    if (g_hash_table_size(rtti->infos) >= ENTRIES_MAX || !may_be_type_info(rtti, address) ||
        !read_word(rtti, address, 0, &vptr))
        return NULL;
    const Kind kind = get_kind(rtti, vptr);
    char *mangled = kind != KIND_NONE ? read_name(rtti, address) : NULL;
    if (mangled == NULL)
        return NULL;
    info = g_new0(TypeInfo, 1);
    info->address = address;
    info->kind = kind;
    info->mangled = mangled;
    info->name = pm_demangle_type(mangled);
    if (info->name == NULL)
        info->name = g_strdup(mangled);
    g_hash_table_insert(rtti->infos, &info->address, info);
    return info;
}

/*
 * The bases in the type_info of @info; (transfer full): Base.
 *
 * abi::__si_class_type_info: name, then the base. abi::__vmi_class_type_info: two unsigned ints,
 * flags and count, then for each base its type_info and a long: the offset << 8, bit 0 for virtual.
 */
static GArray *
read_bases(PmRtti *rtti, const TypeInfo *info)
{
    GArray *bases = g_array_new(FALSE, FALSE, sizeof(Base));
    const gboolean several = info->kind == KIND_SEVERAL;
    const gint first = !several ? 2 : rtti->word_bytes == 8 ? 3 : 4;
    guint64 address = 0, flags = 0;
    guint32 count = info->kind == KIND_SINGLE ? 1 : 0;

    if (several)
        (void)pm_space_read_u32(rtti->space, info->address + 2 * rtti->word_bytes + 4, &count);
    for (gint i = 0; i < (gint)MIN(count, BASES_MAX); i++) {
        if (!read_word(rtti, info->address, first + 2 * i, &address) ||
            (several && !read_word(rtti, info->address, first + 2 * i + 1, &flags)))
            break;
        Base base = {.info = get_type_info(rtti, address), .is_virtual = (flags & 1) != 0};
        base.offset_bytes = base.is_virtual ? G_MAXUINT64 : flags >> 8;
        if (base.info != NULL)
            g_array_append_val(bases, base);
    }
    return bases;
}

static gboolean
has_virtual_bases(PmRtti *rtti, TypeInfo *info, guint depth)
{
    if (info->virtual_bases != VIRTUAL_UNKNOWN || depth >= DEPTH_MAX)
        return info->virtual_bases == VIRTUAL_YES;
    info->virtual_bases = VIRTUAL_NO;
    g_autoptr(GArray) bases = read_bases(rtti, info);
    for (guint i = 0; i < bases->len; i++) {
        const Base *base = &g_array_index(bases, Base, i);
        if (base->is_virtual || has_virtual_bases(rtti, base->info, depth + 1))
            info->virtual_bases = VIRTUAL_YES;
    }
    return info->virtual_bases == VIRTUAL_YES;
}

/*
 * Whether a symbol with @prefix covers the word before @address: the address point itself may be
 * the vtable's end, where a class has no virtual functions but virtual bases.
 *
 * @ret_symbol: (out): that or any other symbol that covers it; its name is NULL where none does.
 */
static gboolean
is_covered(const PmRtti *rtti, PmAddr address, const char *prefix, PmSymbol *ret_symbol)
{
    guint64 offset = 0;
    ret_symbol->name = NULL;
    PmSymbol symbol;
    if (!pm_process_symbolize(rtti->process, address - rtti->word_bytes, &symbol, &offset) ||
        offset < rtti->word_bytes || offset >= symbol.size_bytes)
        return FALSE;
    *ret_symbol = symbol;
    return g_str_has_prefix(symbol.name, prefix);
}

static PmVtableUse
find_use(PmRtti *rtti, TypeInfo *info, PmAddr address)
{
    PmSymbol symbol;
    if (!has_virtual_bases(rtti, info, 0))
        return PM_VTABLE_OF_OBJECT;
    if (is_covered(rtti, address, "_ZTC", &symbol))
        return PM_VTABLE_OF_CONSTRUCTION;
    return symbol.name != NULL ? PM_VTABLE_OF_OBJECT : PM_VTABLE_UNSURE;
}

/* What follows an address point: a function, none (all are inherited from a virtual base), or what
 * stands before the next one. */
static gboolean
is_slot(const PmRtti *rtti, PmAddr address)
{
    guint64 word = 0;
    return !read_word(rtti, address, 0, &word) || is_small(rtti, word) || is_in_module(rtti, word);
}

static gboolean
find_by_rtti(PmRtti *rtti, PmAddr value, PmAddr address, PmVtable *vtable)
{
    TypeInfo *info = is_slot(rtti, value) ? get_type_info(rtti, address) : NULL;
    if (info == NULL)
        return FALSE;
    vtable->class_name = info->name;
    vtable->mangled = info->mangled;
    vtable->type_info = address;
    vtable->proof = PM_VTABLE_BY_RTTI;
    vtable->use = find_use(rtti, info, value);
    return TRUE;
}

/* Whether the words from @start up to @end are offsets to virtual bases and the like. */
static gboolean
are_small(const PmRtti *rtti, PmAddr start, PmAddr end)
{
    guint64 word = 0;
    for (PmAddr at = start; at < end; at += rtti->word_bytes)
        if (!read_word(rtti, at, 0, &word) || !is_small(rtti, word))
            return FALSE;
    return TRUE;
}

/*
 * A vtable that was compiled without RTTI: two words, of which the second is 0, and functions
 * behind them; a symbol says that it is one.
 */
static gboolean
find_by_symbol(PmRtti *rtti, PmAddr value, PmVtable *vtable)
{
    guint64 function = 0;
    PmSymbol symbol;
    if (!read_word(rtti, value, 0, &function) || !is_in_module(rtti, function) ||
        !is_covered(rtti, value, "_ZTV", &symbol))
        return FALSE;
    /* The first one has only offsets before it, the others tell how far they lie inside. */
    if (vtable->offset_to_top == 0 &&
        !are_small(rtti, symbol.address, value - 2 * rtti->word_bytes))
        return FALSE;
    const char *name = symbol.name + strlen("_ZTV");
    if (!is_class_name(name) || strlen(name) > NAME_BYTES_MAX)
        return FALSE;
    g_autofree char *demangled = pm_demangle_type(name);
    vtable->mangled = g_string_chunk_insert_const(rtti->names, name);
    vtable->class_name =
        demangled != NULL ? g_string_chunk_insert_const(rtti->names, demangled) : vtable->mangled;
    vtable->type_info = PM_ADDR_NONE;
    vtable->proof = PM_VTABLE_BY_SYMBOL;
    return TRUE;
}

static gboolean
find(PmRtti *rtti, PmAddr value, PmVtable *vtable)
{
    guint64 info = 0, offset = 0;
    if (!read_word(rtti, value, -1, &info) || !read_word(rtti, value, -2, &offset))
        return FALSE;
    vtable->offset_to_top = sign_extend(rtti, offset);
    if (!is_small(rtti, offset) || vtable->offset_to_top > 0 ||
        vtable->offset_to_top % (gint64)rtti->word_bytes != 0)
        return FALSE;
    return info != 0 ? find_by_rtti(rtti, value, info, vtable)
                     : find_by_symbol(rtti, value, vtable);
}

const PmVtable *
pm_rtti_find(PmRtti *rtti, PmAddr value)
{
    const PmModule *module = pm_process_find_module(rtti->process, value);
    if (module == NULL || value % rtti->word_bytes != 0 || value < 2 * rtti->word_bytes)
        return NULL;
    PmAddr *miss = &rtti->misses[value / rtti->word_bytes % MISSES];
    if (*miss == value)
        return NULL;
    PmVtable *vtable = g_hash_table_lookup(rtti->vtables, &value);
    if (vtable != NULL)
        return vtable;
    PmVtable found = {.address = value, .module = module};
    if (g_hash_table_size(rtti->vtables) >= ENTRIES_MAX || !find(rtti, value, &found)) {
        *miss = value;
        return NULL;
    }
    vtable = g_memdup2(&found, sizeof found);
    g_hash_table_insert(rtti->vtables, &vtable->address, vtable);
    return vtable;
}

GArray *
pm_rtti_get_bases(PmRtti *rtti, const PmVtable *vtable)
{
    GArray *named = g_array_new(FALSE, FALSE, sizeof(PmRttiBase));
    const TypeInfo *info =
        vtable->type_info != PM_ADDR_NONE ? get_type_info(rtti, vtable->type_info) : NULL;
    if (info == NULL)
        return named;
    g_autoptr(GArray) bases = read_bases(rtti, info);
    for (guint i = 0; i < bases->len; i++) {
        const Base *base = &g_array_index(bases, Base, i);
        const PmRttiBase out = {.class_name = base->info->name,
                                .offset_bytes = base->offset_bytes,
                                .is_virtual = base->is_virtual};
        g_array_append_val(named, out);
    }
    return named;
}
