/*
 * Redis' strings (sds.h): a packed header of length, capacity and a byte of flags, then the text;
 * and redisObject with such a string in the same chunk (object.c, createEmbeddedStringObject).
 * Other programs have copied sds, so that no name of Redis is asked for.
 */
#include "analysis/contents/text.h"
#include "analysis/types/recognisers/recognisers.h"

/* The low three bits of the flags. */
#define SDS_TYPE_MASK 7U

/* sds.h, struct sdshdr5 … sdshdr64: two numbers of @width bytes, a byte of flags. */
typedef struct {
    const char *name;
    const char *type_name;
    guint flags;
    gsize width;
    guint64 limit; /* sdsReqType(): longer ones have the next header */
} Form;

static const Form forms[] = {
    {"sds (sdshdr8)", "sdshdr8", 1, 1, 1U << 8},
    {"sds (sdshdr16)", "sdshdr16", 2, 2, 1U << 16},
    {"sds (sdshdr32)", "sdshdr32", 3, 4, G_GUINT64_CONSTANT(1) << 32},
    {"sds (sdshdr64)", "sdshdr64", 4, 8, G_MAXUINT64},
};

/* @is_at_home: the program has sds' own structures or functions, so that bytes of any kind are
 * believed. */
typedef struct {
    const PmSpace *space;
    gsize word_bytes;
    gboolean is_at_home;
    const PmType *types[G_N_ELEMENTS(forms)];
    const PmType *short_type;
    const PmType *object;
} State;

static gpointer
open_sds(PmPlaces *places, PmTypes *types)
{
    const PmSubject *subject = pm_places_get_subject(places);
    State *state = g_new0(State, 1);
    PmSymbol symbol;
    state->space = pm_process_get_space(subject->process);
    state->word_bytes = pm_image_get_target(subject->image)->word_bytes;
    state->is_at_home = pm_process_lookup_symbol(subject->process, NULL, "sdsnewlen", &symbol);
    for (gsize i = 0; i < G_N_ELEMENTS(forms); i++)
        state->types[i] = pm_recogniser_find_type(types, forms[i].type_name, NULL);
    state->short_type = pm_recogniser_find_type(types, "sdshdr5", NULL);
    if (state->types[0] != NULL)
        state->object = pm_recogniser_find_type(types, "redisObject", state->types[0]->module);
    state->is_at_home = state->is_at_home || state->types[0] != NULL;
    return state;
}

static guint64
load(const guint8 *bytes, gsize width)
{
    guint64 value = 0;
    for (gsize i = 0; i < width; i++)
        value |= (guint64)bytes[i] << (8 * i);
    return value;
}

/* Whether the @length bytes of text at @at, within what was read, are text; their NUL must be one
 * wherever it is. */
static gboolean
holds_text(const State *state, const PmRecogniserChunk *chunk, gsize at, guint64 length)
{
    guint8 end = 1;
    if (!pm_space_read(state->space, chunk->chunk->address + at + length, &end, 1) || end != 0)
        return FALSE;
    if (state->is_at_home)
        return TRUE;
    const gsize shown = (gsize)MIN(length, chunk->count - at);
    const gsize text = pm_text_measure(chunk->bytes + at, shown, NULL);
    /* What was read may end within a character. */
    return text == shown || (shown < length && shown - text < 4);
}

/*
 * The header at @at: its numbers agree with one another and with the request.
 *
 * @is_exact: the capacity fills the chunk to its last usable byte, as sdsnewlen() has it since
 *   Redis 6.2, or the length is the capacity, as where nothing was ever appended.
 */
static gboolean
check_header(const State *state, const PmRecogniserChunk *chunk, const Form *form, gsize at,
             guint64 *ret_length)
{
    const gsize header = 2 * form->width + 1;
    if (at + header >= chunk->count || chunk->bytes[at + header - 1] != form->flags)
        return FALSE;
    const guint64 length = load(chunk->bytes + at, form->width);
    const guint64 capacity = load(chunk->bytes + at + form->width, form->width);
    if (length > capacity || capacity >= form->limit || capacity >= chunk->chunk->usable_bytes)
        return FALSE;
    const guint64 request = at + header + capacity + 1;
    const gboolean is_filled = request == chunk->chunk->usable_bytes;
    if (!is_filled && (length != capacity || pm_recogniser_fit(chunk, request) != PM_FIT_EXACT) &&
        (!state->is_at_home || pm_recogniser_fit(chunk, request) == PM_FIT_NONE))
        return FALSE;
    if (!holds_text(state, chunk, at + header, length))
        return FALSE;
    *ret_length = length;
    return TRUE;
}

/* struct sdshdr5: a byte of flags, whose upper five bits are the length. A letter before any text
 * looks like it, hence only where sds is at home. */
static gboolean
recognise_short(const State *state, const PmRecogniserChunk *chunk, PmRecognition *recognition)
{
    const guint64 length = chunk->bytes[0] >> 3;
    const guint64 request = 1 + length + 1;
    if (!state->is_at_home || (chunk->bytes[0] & SDS_TYPE_MASK) != 0 || length == 0 ||
        request > chunk->count || chunk->bytes[request - 1] != 0 ||
        pm_recogniser_fit(chunk, request) == PM_FIT_NONE ||
        pm_text_measure(chunk->bytes + 1, (gsize)length, NULL) != length)
        return FALSE;
    recognition->name = "sds (sdshdr5)";
    recognition->type = state->short_type;
    recognition->confidence = length < 4 ? 0.6 : 0.96;
    recognition->reason = "text behind a byte that tells its length";
    return TRUE;
}

/* server.h, struct redisObject: type:4 encoding:4 lru:24, refcount, ptr; OBJ_STRING is 0,
 * OBJ_ENCODING_EMBSTR 8. The pointer leads behind the header that follows it. */
static gboolean
recognise_object(const State *state, const PmRecogniserChunk *chunk, PmRecognition *recognition)
{
    const gsize text = 8 + state->word_bytes + 3;
    guint64 length = 0;
    if (chunk->count <= text || chunk->bytes[0] != 0x80 ||
        pm_load_word(chunk->bytes + 8, state->word_bytes) != chunk->chunk->address + text ||
        !check_header(state, chunk, &forms[0], text - 3, &length))
        return FALSE;
    recognition->name = "redisObject (embstr)";
    recognition->type = state->object;
    recognition->confidence = 0.99;
    recognition->reason = "redisObject whose pointer leads to the sds behind it";
    return TRUE;
}

static gboolean
recognise_sds(gpointer data, const PmRecogniserChunk *chunk, PmRecognition *ret_recognition)
{
    const State *state = data;
    guint64 length = 0;
    if (recognise_object(state, chunk, ret_recognition) ||
        recognise_short(state, chunk, ret_recognition))
        return TRUE;
    for (gsize i = 0; i < G_N_ELEMENTS(forms); i++) {
        if (!check_header(state, chunk, &forms[i], 0, &length))
            continue;
        /* Flags and capacity are right by chance once in 4,000 chunks of random bytes; a NUL behind
         * text that is as long as the header says makes that one in a billion. */
        if (length < 4 && !state->is_at_home)
            return FALSE;
        ret_recognition->name = forms[i].name;
        ret_recognition->type = state->types[i];
        ret_recognition->confidence = state->is_at_home ? 0.96 : 0.9;
        ret_recognition->reason = "an sds header whose capacity agrees with the request";
        if (length == 0)
            ret_recognition->confidence = 0.7;
        return TRUE;
    }
    return FALSE;
}

const PmRecogniser pm_recogniser_sds = {
    .id = "sds",
    .min_bytes = 12,
    .max_bytes = G_MAXUINT64,
    .first_words = PM_RECOGNISER_ANY_WORD,
    .open = open_sds,
    .recognise = recognise_sds,
    .close = g_free,
};
