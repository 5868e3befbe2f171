/*
 * zlib's states: the stream that they point to points back to them, and their mode is one of few
 * numbers.
 */
#include "analysis/types/recognisers/recognisers.h"

/* zlib.h, z_stream: next_in, avail_in, total_in, next_out, avail_out, total_out, msg, state. */
#define STREAM_STATE_WORD 7

/* inflate.h since 1.2.9: HEAD … SYNC. */
#define INFLATE_HEAD 16180
#define INFLATE_SYNC 16211

/* struct deflate_state and struct inflate_state of all versions and word sizes, with their forks.
 */
#define STATE_LEAST 2048
#define STATE_MOST  65536

typedef struct {
    const PmSpace *space;
    gsize word_bytes;
    const PmType *deflate;
    const PmType *inflate;
} State;

static gpointer
open_zlib(PmPlaces *places, PmTypes *types)
{
    const PmSubject *subject = pm_places_get_subject(places);
    State *state = g_new0(State, 1);
    state->space = pm_process_get_space(subject->process);
    state->word_bytes = pm_image_get_target(subject->image)->word_bytes;
    state->deflate = pm_recogniser_find_type(types, "internal_state", NULL);
    state->inflate = pm_recogniser_find_type(types, "inflate_state", NULL);
    return state;
}

/* deflate.h: INIT_STATE, GZIP_STATE, EXTRA_STATE, NAME_STATE, COMMENT_STATE, HCRC_STATE,
 * BUSY_STATE, FINISH_STATE. */
static gboolean
is_deflate_status(guint32 status)
{
    static const guint16 all[] = {42, 57, 69, 73, 91, 103, 113, 666};
    for (gsize i = 0; i < G_N_ELEMENTS(all); i++) {
        if (status == all[i])
            return TRUE;
    }
    return FALSE;
}

static gboolean
recognise_zlib(gpointer data, const PmRecogniserChunk *chunk, PmRecognition *ret_recognition)
{
    const State *state = data;
    const guint32 mode = pm_load_u32(chunk->bytes + state->word_bytes);
    const gboolean is_inflate = mode >= INFLATE_HEAD && mode <= INFLATE_SYNC;
    guint64 back = 0;
    if ((!is_inflate && !is_deflate_status(mode)) ||
        !pm_space_read_word(state->space,
                            pm_load_word(chunk->bytes, state->word_bytes) +
                                STREAM_STATE_WORD * state->word_bytes,
                            &back) ||
        back != chunk->chunk->address)
        return FALSE;
    ret_recognition->name = is_inflate ? "inflate state (zlib)" : "deflate state (zlib)";
    ret_recognition->type = is_inflate ? state->inflate : state->deflate;
    ret_recognition->confidence = 0.98;
    ret_recognition->reason = "the z_stream that it points to points back, and its mode is zlib's";
    return TRUE;
}

const PmRecogniser pm_recogniser_zlib = {
    .id = "zlib",
    .min_bytes = STATE_LEAST,
    .max_bytes = STATE_MOST,
    .first_words = PM_RECOGNISER_ANY_WORD & ~(1U << PM_WORD_NUMBER | 1U << PM_WORD_ZERO),
    .open = open_zlib,
    .recognise = recognise_zlib,
    .close = g_free,
};
