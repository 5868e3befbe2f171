/*
 * GObject instances and their classes. GLib keeps its layout of types to itself; it is believed
 * only where it closes: a class names its type, the type leads to its data and to itself, and the
 * data leads back to the class (gobject/gtype.c since 2.34). 64 bits only. Instances are chunks of
 * malloc since GLib 2.76, or with G_SLICE=always-malloc.
 */
#include "analysis/types/recognisers/recognisers.h"

#include <string.h>

/* struct _TypeNode: data, qname, supers (of which the first is the type itself). */
#define NODE_DATA   32
#define NODE_QUARK  40
#define NODE_SUPERS 72
/* struct _InstanceData: class, instance_size, private_size. */
#define DATA_CLASS    56
#define DATA_INSTANCE 64
#define DATA_PRIVATE  66

/* glib/gquark.c: the table of quarks grows by so many; the first is no quark. */
#define QUARKS_BLOCK  ((guint64)2048)
#define QUARKS_MAX    (1U << 24)
#define TYPE_NAME_MAX 256
/* Of libglib's writable data, and of classes. */
#define DATA_MAX    (4U << 20)
#define CLASSES_MAX 65536

/* g_type_create_instance() puts private data before the instance, in whole units. */
#define PRIVATE_UNIT 16

/* @name: of instances; @class_name: of the class itself. */
typedef struct {
    char *name;
    char *class_name;
    guint64 instance_bytes;
    guint64 private_bytes;
    const PmType *type;
} Class;

typedef struct {
    PmPlaces *places;
    const PmSpace *space;
    PmTypes *types;
    PmRange extent; /* of the classes' addresses */
    GHashTable *classes;
    PmAddr quarks;
    guint64 quark_count;
} State;

static guint64
read_word(const State *state, PmAddr address)
{
    guint64 word = 0;
    (void)pm_space_read_word(state->space, address, &word);
    return word;
}

static void
free_class(gpointer data)
{
    Class *class = data;
    g_free(class->name);
    g_free(class->class_name);
    g_free(class);
}

/* The string of @quark; (transfer full), NULL where it is no name of a type. */
static char *
get_quark(const State *state, guint64 quark)
{
    if (quark == 0 || quark >= state->quark_count)
        return NULL;
    g_autofree char *name = pm_space_read_string(
        state->space, read_word(state, state->quarks + 8 * quark), TYPE_NAME_MAX);
    for (gsize i = 0; name != NULL && name[i] != 0; i++) {
        if (!g_ascii_isalnum(name[i]) && strchr("_-+", name[i]) == NULL)
            return NULL;
    }
    return name != NULL && strlen(name) >= 3 ? g_steal_pointer(&name) : NULL;
}

/* Whether a table of quarks is at @address, which is a chunk of @bytes. */
static gboolean
is_quark_table(const State *state, PmAddr address, guint64 bytes)
{
    if (bytes < 8 * QUARKS_BLOCK || bytes > 8 * (guint64)QUARKS_MAX || read_word(state, address))
        return FALSE;
    for (gsize i = 1; i <= 4; i++) {
        g_autofree char *name =
            pm_space_read_string(state->space, read_word(state, address + 8 * i), TYPE_NAME_MAX);
        if (name == NULL || name[0] == 0)
            return FALSE;
    }
    return TRUE;
}

static void
find_quarks(State *state, PmRange range, const PmHeap *heap)
{
    if (pm_range_bytes(range) > DATA_MAX)
        return;
    for (PmAddr at = range.start; at + 8 <= range.end; at += 8) {
        PmChunk chunk;
        const guint64 address = read_word(state, at);
        if (address == 0 || !pm_heap_find_chunk(heap, address, &chunk, NULL) ||
            chunk.address != address || chunk.usable_bytes / 8 <= state->quark_count ||
            !is_quark_table(state, address, chunk.usable_bytes))
            continue;
        state->quarks = address;
        state->quark_count = chunk.usable_bytes / 8;
    }
}

/* Adds the chunk at @address where it is a class. */
static void
add_class(State *state, PmAddr address)
{
    const guint64 node = read_word(state, address);
    PmAddr end = 0;
    if (node < 4096 || node % 8 != 0 || !pm_addr_add(node, NODE_SUPERS + 8, &end))
        return;
    const guint64 data = read_word(state, node + NODE_DATA);
    if (data < 4096 || data % 8 != 0 || !pm_addr_add(data, DATA_PRIVATE + 8, &end) ||
        read_word(state, data + DATA_CLASS) != address ||
        read_word(state, node + NODE_SUPERS) != node)
        return;
    g_autofree char *name = get_quark(state, read_word(state, node + NODE_QUARK) & G_MAXUINT32);
    const guint64 sizes = read_word(state, data + DATA_INSTANCE);
    if (name == NULL || g_hash_table_size(state->classes) >= CLASSES_MAX)
        return;
    Class *class = g_new0(Class, 1);
    class->name = g_strconcat(name, " (GType)", NULL);
    class->class_name = g_strconcat("class of ", name, " (GType)", NULL);
    class->instance_bytes = sizes & 0xffff;
    class->private_bytes = sizes >> 16 & 0xffff;
    /* The structure is named by its typedef, its tag has an underscore before it. */
    g_autofree char *tag = g_strconcat("_", name, NULL);
    class->type = pm_recogniser_find_type(state->types, tag, NULL);
    if (class->type == NULL)
        class->type = pm_recogniser_find_type(state->types, name, NULL);
    if (class->type != NULL && class->type->size_bytes > class->instance_bytes)
        class->type = NULL;
    g_hash_table_insert(state->classes, g_memdup2(&address, sizeof address), class);
    state->extent.start = MIN(state->extent.start, address);
    state->extent.end = MAX(state->extent.end, address + 1);
}

/* One pass over the first words of all chunks. */
static void
find_classes(State *state, const PmHeap *heap)
{
    PmHeapIter iter;
    PmChunk chunk;
    PmSpan span = {.start = 0};
    const PmResolverFilter filter = pm_resolver_get_filter(pm_places_get_resolver(state->places));
    pm_heap_iter_init(&iter, heap, 0);
    while (pm_heap_iter_next(&iter, &chunk)) {
        if (chunk.state != PM_CHUNK_USED)
            continue;
        if (chunk.address < span.start || chunk.address - span.start >= span.length_bytes)
            pm_space_get_span(state->space, chunk.address, &span);
        const guint64 offset = chunk.address - span.start;
        if (span.bytes != NULL && span.length_bytes - offset >= 8 &&
            pm_resolver_may_hold(&filter, pm_load_u64(span.bytes + offset)))
            add_class(state, chunk.address);
    }
}

static void
close_gobject(gpointer data)
{
    State *state = data;
    g_hash_table_unref(state->classes);
    g_free(state);
}

static gpointer
open_gobject(PmPlaces *places, PmTypes *types)
{
    const PmSubject *subject = pm_places_get_subject(places);
    const PmProcess *process = subject->process;
    const PmHeap *heap = pm_ptmalloc_get_heap(subject->ptmalloc);
    PmSymbol symbol;
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(process, &count);
    if (pm_image_get_target(subject->image)->word_bytes != 8 ||
        !pm_process_lookup_symbol(process, NULL, "g_type_create_instance", &symbol) ||
        !pm_process_lookup_symbol(process, NULL, "g_quark_to_string", &symbol))
        return NULL;
    State *state = g_new0(State, 1);
    state->places = places;
    state->space = pm_process_get_space(process);
    state->types = types;
    state->extent = (PmRange){G_MAXUINT64, 0};
    state->classes = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, free_class);
    for (gsize i = 0; i < count; i++) {
        for (gsize j = 0; &modules[i] == symbol.module && j < modules[i].data_count; j++)
            find_quarks(state, modules[i].data[j], heap);
    }
    if (state->quark_count > 0)
        find_classes(state, heap);
    if (g_hash_table_size(state->classes) > 0)
        return state;
    close_gobject(state);
    return NULL;
}

static gboolean
recognise_gobject(gpointer data, const PmRecogniserChunk *chunk, PmRecognition *ret_recognition)
{
    const State *state = data;
    if (pm_range_contains(state->extent, chunk->chunk->address)) {
        const Class *own = g_hash_table_lookup(state->classes, &chunk->chunk->address);
        if (own != NULL) {
            ret_recognition->name = own->class_name;
            ret_recognition->confidence = 0.98;
            ret_recognition->reason = "its GType's data leads back to it";
            return TRUE;
        }
    }
    for (gsize at = 0; at + 8 <= chunk->count; at += PRIVATE_UNIT) {
        const guint64 value = pm_load_u64(chunk->bytes + at);
        if (!pm_range_contains(state->extent, value))
            continue;
        const Class *class = g_hash_table_lookup(state->classes, &value);
        if (class == NULL || class->private_bytes != at ||
            pm_recogniser_fit(chunk, at + class->instance_bytes) == PM_FIT_NONE)
            continue;
        ret_recognition->name = class->name;
        ret_recognition->type = class->type;
        ret_recognition->offset_bytes = at;
        ret_recognition->confidence = 0.98;
        ret_recognition->reason = "its g_class is a class, whose instance size agrees";
        return TRUE;
    }
    return FALSE;
}

const PmRecogniser pm_recogniser_gobject = {
    .id = "gobject",
    .min_bytes = 16,
    .max_bytes = 131072,
    .first_words = PM_RECOGNISER_ANY_WORD,
    .open = open_gobject,
    .recognise = recognise_gobject,
    .close = close_gobject,
};
