/*
 * What libstdc++ allocates for exceptions: those in flight or kept by an exception_ptr, and the
 * pool for exceptions thrown when memory is out. 64 bits only.
 */
#include "analysis/types/recognisers/recognisers.h"
#include "base/demangle.h"

#include <string.h>

/*
 * unwind-cxx.h: __cxa_refcounted_exception is 128 bytes before the object; in it at 16 the
 * type_info, at 96 the exception class "GNUCC++\0" (1 for one that depends on another), first
 * letter in the highest byte.
 */
#define EXCEPTION_HEADER 128
#define EXCEPTION_TYPE   16
#define EXCEPTION_CLASS  96
#define GNU_CLASS        G_GUINT64_CONSTANT(0x474e5543432b2b00)

/* eh_alloc.cc, class pool: mutex, first_free_entry, arena, arena_size. The arena is 72,704 bytes
 * (73,728 in some versions), or what GLIBCXX_TUNABLES says. */
#define POOL_LEAST     4096
#define POOL_MOST      (G_GUINT64_CONSTANT(1) << 30)
#define NAME_MAX_BYTES 4096
/* Of libstdc++'s writable data. */
#define DATA_MAX (4U << 20)

typedef struct {
    PmPlaces *places;
    const PmSpace *space;
    PmAddr pool;
    guint64 pool_bytes;
    PmTypes *types;
    GHashTable *classes; /* Class by type_info: of exceptions */
} State;

typedef struct {
    char *name;
    const PmType *type;
} Class;

static void
free_class(gpointer data)
{
    Class *class = data;
    g_free(class->name);
    g_free(class);
}

/* Looks for the pool in @range: where its arena, a chunk, and its size follow one another. */
static void
find_pool(State *state, PmRange range)
{
    PmWord word;
    if (pm_range_bytes(range) > DATA_MAX)
        return;
    for (PmAddr at = range.start; at + 24 <= range.end; at += 8) {
        guint8 words[24];
        if (!pm_space_read(state->space, at, words, sizeof words))
            continue;
        const guint64 free_entry = pm_load_u64(words);
        const guint64 arena = pm_load_u64(words + 8);
        const guint64 bytes = pm_load_u64(words + 16);
        if (bytes < POOL_LEAST || bytes > POOL_MOST || arena == 0 ||
            (free_entry != 0 && free_entry - arena >= bytes))
            continue;
        pm_places_classify(state->places, arena, &word);
        if (word.kind != PM_WORD_CHUNK)
            continue;
        state->pool = arena;
        state->pool_bytes = bytes;
        return;
    }
}

static gpointer
open_cxxruntime(PmPlaces *places, PmTypes *types)
{
    const PmSubject *subject = pm_places_get_subject(places);
    const PmProcess *process = subject->process;
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(process, &count);
    PmSymbol symbol;
    if (pm_image_get_target(subject->image)->word_bytes != 8 ||
        !pm_process_lookup_symbol(process, NULL, "__cxa_allocate_exception", &symbol))
        return NULL;
    State *state = g_new0(State, 1);
    state->places = places;
    state->space = pm_process_get_space(process);
    state->pool = PM_ADDR_NONE;
    state->types = types;
    state->classes = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, free_class);
    for (gsize i = 0; i < count; i++) {
        for (gsize j = 0; &modules[i] == symbol.module && j < modules[i].data_count; j++) {
            if (state->pool == PM_ADDR_NONE)
                find_pool(state, modules[i].data[j]);
        }
    }
    return state;
}

static void
close_cxxruntime(gpointer data)
{
    State *state = data;
    g_hash_table_unref(state->classes);
    g_free(state);
}

/* The class whose type_info is at @address; NULL where that is none. */
static const Class *
find_class(State *state, PmAddr address)
{
    PmWord word;
    guint64 vtable = 0;
    guint64 name = 0;
    const Class *known = g_hash_table_lookup(state->classes, &address);
    if (known != NULL)
        return known;
    if (!pm_space_read_word(state->space, address, &vtable) ||
        !pm_space_read_word(state->space, address + 8, &name))
        return NULL;
    pm_places_classify(state->places, vtable, &word);
    if (word.module == NULL)
        return NULL;
    g_autofree char *mangled = pm_space_read_string(state->space, name, NAME_MAX_BYTES);
    if (mangled == NULL || mangled[0] == 0)
        return NULL;
    /* A star says that the address of the name, too, is that of one class alone. */
    g_autofree char *demangled = pm_demangle_type(mangled[0] == '*' ? mangled + 1 : mangled);
    if (demangled == NULL)
        return NULL;
    Class *class = g_new0(Class, 1);
    class->name = g_strconcat("exception ", demangled, NULL);
    class->type = pm_recogniser_find_type(state->types, demangled, NULL);
    g_hash_table_insert(state->classes, g_memdup2(&address, sizeof address), class);
    return class;
}

static gboolean
recognise_exception(State *state, const PmRecogniserChunk *chunk, PmRecognition *recognition)
{
    if (chunk->count < EXCEPTION_HEADER ||
        (pm_load_u64(chunk->bytes + EXCEPTION_CLASS) & ~G_GUINT64_CONSTANT(1)) != GNU_CLASS)
        return FALSE;
    const Class *class = find_class(state, pm_load_u64(chunk->bytes + EXCEPTION_TYPE));
    if (class == NULL)
        return FALSE;
    recognition->name = class->name;
    recognition->type = class->type;
    recognition->offset_bytes = EXCEPTION_HEADER;
    recognition->confidence = 0.98;
    recognition->reason = "a C++ exception's header: its class, and a type_info";
    return TRUE;
}

static gboolean
recognise_cxxruntime(gpointer data, const PmRecogniserChunk *chunk, PmRecognition *ret_recognition)
{
    State *state = data;
    if (recognise_exception(state, chunk, ret_recognition))
        return TRUE;
    if (chunk->chunk->address != state->pool ||
        pm_recogniser_fit(chunk, state->pool_bytes) == PM_FIT_NONE)
        return FALSE;
    ret_recognition->name = "emergency exception pool (libstdc++)";
    ret_recognition->confidence = 0.97;
    ret_recognition->reason = "libstdc++'s data names it, with its size";
    return TRUE;
}

const PmRecogniser pm_recogniser_cxxruntime = {
    .id = "cxxruntime",
    .min_bytes = EXCEPTION_HEADER,
    .max_bytes = POOL_MOST,
    .first_words = PM_RECOGNISER_ANY_WORD,
    .open = open_cxxruntime,
    .recognise = recognise_cxxruntime,
    .close = close_cxxruntime,
};
