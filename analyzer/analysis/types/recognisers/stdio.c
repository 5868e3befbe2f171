/*
 * glibc's streams: FILE of fopen, fdopen, popen, open_memstream and fopencookie, by the table of
 * functions that each of them leads to; and the buffers that they point to.
 */
#include "analysis/types/recognisers/recognisers.h"

/* libio.h: _IO_MAGIC in the upper half of _flags; _IO_USER_BUF, the program's own buffer. */
#define FILE_MAGIC      G_GUINT64_CONSTANT(0xfbad0000)
#define FILE_MAGIC_MASK G_GUINT64_CONSTANT(0xffff0000)

/* Of _IO_list_all's chain and of the table of buffers: a program has hundreds of streams. */
#define STREAMS_MAX 65536

/* libioP.h, struct _IO_jump_t: two unused words, then 19 functions. */
#define JUMP_UNUSED 2
#define JUMP_WORDS  21
/* Tables of special streams leave some functions out. */
#define JUMP_LEAST 8

/* Where things are, in words: struct _IO_FILE as it is since 2.1 (bits/types/struct_FILE.h) with
 * the table of functions behind it (libioP.h, struct _IO_FILE_plus). */
typedef struct {
    gsize buffer; /* base; end is in the next word */
    gsize save;   /* base; end is two words on */
    gsize chain;
    gsize lock;
    gsize wide;
    gsize vtable;
} Layout;

static const Layout layout64 = {7, 9, 13, 17, 20, 27};
static const Layout layout32 = {7, 9, 13, 18, 22, 37};

/* struct _IO_wide_data (libio.h): the wide buffer's base and end. */
#define WIDE_BUFFER_WORD 6

/*
 * What the function that made it puts between FILE and its lock tells them apart, in bytes from the
 * start of the chunk: struct locked_FILE of iofopen.c, iopopen.c, memstream.c and iofopncook.c.
 */
typedef struct {
    guint16 lock64;
    guint16 lock32;
    const char *name;
    const char *buffer_name;
} Maker;

static const Maker makers[] = {
    {224, 152, "FILE", "stdio buffer"},
    {240, 160, "FILE (popen)", "stdio buffer"},
    {256, 168, "FILE (memstream)", "memstream buffer"},
    {264, 172, "FILE (fopencookie)", "stdio buffer"},
};

typedef struct {
    PmAddr end;
    const char *name;
} Buffer;

typedef struct {
    PmPlaces *places;
    const PmSpace *space;
    const PmModule *libc;
    const Layout *layout;
    gsize word_bytes;
    const PmType *type;
    GHashTable *tables;  /* addresses that are, or are not, tables of functions */
    GHashTable *buffers; /* Buffer by the address of its base */
} State;

static gboolean
is_code_of_libc(const State *state, guint64 value)
{
    PmWord word;
    pm_places_classify(state->places, value, &word);
    return word.kind == PM_WORD_CODE && word.module == state->libc;
}

static gboolean
check_table(const State *state, PmAddr address)
{
    guint64 functions = 0;
    for (gsize i = 0; i < JUMP_WORDS; i++) {
        guint64 value = 0;
        if (!pm_space_read_word(state->space, address + i * state->word_bytes, &value))
            return FALSE;
        if (value == 0)
            continue;
        if (i < JUMP_UNUSED || !is_code_of_libc(state, value))
            return FALSE;
        functions++;
    }
    return functions >= JUMP_LEAST;
}

/* Whether @address is a struct _IO_jump_t of libc's. */
static gboolean
is_table(State *state, PmAddr address)
{
    gpointer known = NULL;
    if (state->libc == NULL || address < state->libc->start ||
        address > state->libc->end - JUMP_WORDS * state->word_bytes ||
        address % state->word_bytes != 0)
        return FALSE;
    if (g_hash_table_lookup_extended(state->tables, &address, NULL, &known))
        return GPOINTER_TO_INT(known);
    const gboolean is_one = check_table(state, address);
    if (g_hash_table_size(state->tables) < STREAMS_MAX)
        g_hash_table_insert(state->tables, g_memdup2(&address, sizeof address),
                            GINT_TO_POINTER(is_one));
    return is_one;
}

static void
add_buffer(State *state, const guint8 *stream, gsize word, gsize end_word, const char *name)
{
    const guint64 base = pm_load_word(stream + word * state->word_bytes, state->word_bytes);
    const guint64 end = pm_load_word(stream + end_word * state->word_bytes, state->word_bytes);
    if (base == 0 || end <= base || g_hash_table_size(state->buffers) >= STREAMS_MAX)
        return;
    const Buffer buffer = {end, name};
    g_hash_table_insert(state->buffers, g_memdup2(&base, sizeof base),
                        g_memdup2(&buffer, sizeof buffer));
}

/* What the stream whose words are @stream keeps outside of itself. */
static void
add_buffers(State *state, const guint8 *stream, const char *name)
{
    const Layout *layout = state->layout;
    const guint64 wide = pm_load_word(stream + layout->wide * state->word_bytes, state->word_bytes);
    guint8 words[2 * sizeof(guint64)];
    add_buffer(state, stream, layout->buffer, layout->buffer + 1, name);
    add_buffer(state, stream, layout->save, layout->save + 2, "stdio backup buffer");
    if (wide != 0 && pm_space_read(state->space, wide + WIDE_BUFFER_WORD * state->word_bytes, words,
                                   2 * state->word_bytes))
        add_buffer(state, words, 0, 1, "stdio wide buffer");
}

/* Which of makers[] the stream at @address comes from; NULL where its lock is elsewhere. */
static const Maker *
find_maker(const State *state, PmAddr address, const guint8 *stream)
{
    const guint64 lock =
        pm_load_word(stream + state->layout->lock * state->word_bytes, state->word_bytes);
    for (gsize i = 0; i < G_N_ELEMENTS(makers); i++) {
        if (lock - address == (state->word_bytes == 8 ? makers[i].lock64 : makers[i].lock32))
            return &makers[i];
    }
    return NULL;
}

/* _IO_list_all leads to every open stream, also to those in libc's data. */
static void
walk_streams(State *state, const PmProcess *process)
{
    PmSymbol symbol;
    PmAddr at = 0;
    guint8 stream[256];
    const gsize bytes = (state->layout->vtable + 1) * state->word_bytes;
    if (!pm_process_lookup_symbol(process, state->libc, "_IO_list_all", &symbol) ||
        !pm_space_read_word(state->space, symbol.address, &at))
        return;
    for (guint i = 0; i < STREAMS_MAX && at != 0; i++) {
        if (!pm_space_read(state->space, at, stream, bytes) ||
            (pm_load_u32(stream) & FILE_MAGIC_MASK) != FILE_MAGIC)
            break;
        const Maker *maker = find_maker(state, at, stream);
        add_buffers(state, stream, maker != NULL ? maker->buffer_name : "stdio buffer");
        at = pm_load_word(stream + state->layout->chain * state->word_bytes, state->word_bytes);
    }
}

static gpointer
open_stdio(PmPlaces *places, PmTypes *types)
{
    const PmSubject *subject = pm_places_get_subject(places);
    const PmModule *libc = pm_process_get_libc(subject->process);
    if (libc == NULL)
        return NULL;
    State *state = g_new0(State, 1);
    state->places = places;
    state->space = pm_process_get_space(subject->process);
    state->libc = libc;
    state->word_bytes = pm_image_get_target(subject->image)->word_bytes;
    state->layout = state->word_bytes == 8 ? &layout64 : &layout32;
    state->type = pm_recogniser_find_type(types, "_IO_FILE", NULL);
    state->tables = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    state->buffers = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    walk_streams(state, subject->process);
    return state;
}

static void
close_stdio(gpointer data)
{
    State *state = data;
    g_hash_table_unref(state->tables);
    g_hash_table_unref(state->buffers);
    g_free(state);
}

static gboolean
recognise_stream(State *state, const PmRecogniserChunk *chunk, PmRecognition *recognition)
{
    if (chunk->count < (state->layout->vtable + 1) * state->word_bytes ||
        (pm_load_u32(chunk->bytes) & FILE_MAGIC_MASK) != FILE_MAGIC ||
        !is_table(state, pm_recogniser_load(chunk, state->word_bytes, state->layout->vtable)))
        return FALSE;
    const Maker *maker = find_maker(state, chunk->chunk->address, chunk->bytes);
    recognition->name = maker != NULL ? maker->name : "FILE";
    recognition->type = state->type;
    recognition->confidence = maker != NULL ? 1.0 : 0.95;
    recognition->reason = maker != NULL
                              ? "_flags, and pointers to libc's functions and to its own lock"
                              : "_flags, and a pointer to a table of libc's functions";
    add_buffers(state, chunk->bytes, maker != NULL ? maker->buffer_name : "stdio buffer");
    return TRUE;
}

static gboolean
recognise_stdio(gpointer data, const PmRecogniserChunk *chunk, PmRecognition *ret_recognition)
{
    State *state = data;
    if (recognise_stream(state, chunk, ret_recognition))
        return TRUE;
    if (g_hash_table_size(state->buffers) == 0)
        return FALSE;
    const Buffer *buffer = g_hash_table_lookup(state->buffers, &chunk->chunk->address);
    /* A program's own buffer may be the first member of something larger. */
    if (buffer == NULL ||
        pm_recogniser_fit(chunk, buffer->end - chunk->chunk->address) == PM_FIT_NONE)
        return FALSE;
    ret_recognition->name = buffer->name;
    ret_recognition->confidence = 0.98;
    ret_recognition->reason = "an open stream's buffer begins and ends with it";
    return TRUE;
}

const PmRecogniser pm_recogniser_stdio = {
    .id = "stdio",
    .min_bytes = 12,
    .max_bytes = G_MAXUINT64,
    .first_words = PM_RECOGNISER_ANY_WORD,
    .open = open_stdio,
    .recognise = recognise_stdio,
    .close = close_stdio,
};
