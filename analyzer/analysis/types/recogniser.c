/*
 * Asking recognisers; see recogniser.h. A chunk costs one look into a table by its size and one at
 * its bytes; the first word is classified for those alone that want to know.
 */
#include "analysis/types/recognisers/recognisers.h"

/* Those that know more than bytes first: of two that are as sure the first one is believed. */
static const PmRecogniser *const table[] = {
    &pm_recogniser_cpython,    &pm_recogniser_stdio, &pm_recogniser_glibc,
    &pm_recogniser_cxxruntime, &pm_recogniser_zlib,  &pm_recogniser_gobject,
    &pm_recogniser_packed,     &pm_recogniser_sds,   &pm_recogniser_text,
};

/* Usable sizes below this are looked up in a table, by words. */
#define SMALL_BYTES 4096
#define SMALL_WORDS (SMALL_BYTES / 4)

typedef struct {
    const PmRecogniser *recogniser;
    gpointer state;
} Opened;

/*
 * @opened: of @count; bit k of a mask stands for the k-th.
 * @small: which of them take chunks of 4 × index usable bytes.
 * @span: where the last chunk was read.
 */
struct PmRecognisers {
    PmPlaces *places;
    const PmPtmalloc *ptmalloc;
    const PmSpace *space;
    guint word_bytes;
    gsize count;
    Opened opened[G_N_ELEMENTS(table)];
    guint32 small[SMALL_WORDS];
    PmSpan span;
    guint8 buffer[PM_RECOGNISER_BYTES];
};

static guint32
find_takers(const PmRecognisers *recognisers, guint64 usable_bytes)
{
    guint32 mask = 0;
    for (gsize i = 0; i < recognisers->count; i++) {
        const PmRecogniser *recogniser = recognisers->opened[i].recogniser;
        if (usable_bytes >= recogniser->min_bytes && usable_bytes <= recogniser->max_bytes)
            mask |= 1U << i;
    }
    return mask;
}

PmRecognisers *
pm_recognisers_new(PmPlaces *places, PmTypes *types)
{
    const PmSubject *subject = pm_places_get_subject(places);
    PmRecognisers *recognisers = g_new0(PmRecognisers, 1);
    recognisers->places = places;
    recognisers->ptmalloc = subject->ptmalloc;
    recognisers->space = pm_process_get_space(subject->process);
    recognisers->word_bytes = pm_image_get_target(subject->image)->word_bytes;
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        gpointer state = table[i]->open != NULL ? table[i]->open(places, types) : NULL;
        if (table[i]->open == NULL || state != NULL)
            recognisers->opened[recognisers->count++] = (Opened){table[i], state};
    }
    for (gsize i = 0; i < SMALL_WORDS; i++)
        recognisers->small[i] = find_takers(recognisers, i * 4);
    return recognisers;
}

void
pm_recognisers_free(PmRecognisers *recognisers)
{
    if (recognisers == NULL)
        return;
    for (gsize i = 0; i < recognisers->count; i++) {
        if (recognisers->opened[i].recogniser->close != NULL)
            recognisers->opened[i].recogniser->close(recognisers->opened[i].state);
    }
    g_free(recognisers);
}

/* @count bytes at @address; NULL where the core has them not. */
static const guint8 *
read_start(PmRecognisers *recognisers, PmAddr address, gsize count)
{
    PmSpan *span = &recognisers->span;
    if (address - span->start >= span->length_bytes || address < span->start)
        pm_space_get_span(recognisers->space, address, span);
    const guint64 offset = address - span->start;
    if (span->bytes != NULL && span->length_bytes - offset >= count)
        return span->bytes + offset;
    return pm_space_read(recognisers->space, address, recognisers->buffer, count)
               ? recognisers->buffer
               : NULL;
}

static gboolean
takes_first_word(PmRecognisers *recognisers, const PmRecogniser *recogniser,
                 PmRecogniserChunk *chunk, gboolean *is_classified)
{
    if (recogniser->first_words == PM_RECOGNISER_ANY_WORD)
        return TRUE;
    if (!*is_classified)
        pm_places_classify(recognisers->places,
                           pm_recogniser_load(chunk, recognisers->word_bytes, 0), &chunk->first);
    *is_classified = TRUE;
    return (recogniser->first_words >> chunk->first.kind & 1) != 0;
}

gboolean
pm_recognisers_ask(PmRecognisers *recognisers, const PmChunk *chunk, const char **ret_id,
                   PmRecognition *ret_recognition)
{
    const guint64 usable = chunk->usable_bytes;
    guint32 mask =
        usable < SMALL_BYTES ? recognisers->small[usable / 4] : find_takers(recognisers, usable);
    if (mask == 0)
        return FALSE;
    PmRecogniserChunk asked = {.chunk = chunk, .count = (gsize)MIN(usable, PM_RECOGNISER_BYTES)};
    asked.bytes = read_start(recognisers, chunk->address, asked.count);
    if (asked.bytes == NULL)
        return FALSE;
    asked.requests = pm_requests_of(recognisers->ptmalloc, recognisers->word_bytes,
                                    chunk->chunk_bytes, chunk->mmapped);
    PmRecognition best = {.confidence = 0};
    const char *id = NULL;
    gboolean is_classified = FALSE;
    for (; mask != 0; mask &= mask - 1) {
        const Opened *opened = &recognisers->opened[__builtin_ctz(mask)];
        PmRecognition found = {.elements = 1};
        if (takes_first_word(recognisers, opened->recogniser, &asked, &is_classified) &&
            opened->recogniser->recognise(opened->state, &asked, &found) &&
            found.confidence > best.confidence) {
            best = found;
            id = opened->recogniser->id;
        }
    }
    if (id == NULL)
        return FALSE;
    *ret_recognition = best;
    if (ret_id != NULL)
        *ret_id = id;
    return TRUE;
}

PmFit
pm_recogniser_fit(const PmRecogniserChunk *chunk, guint64 request_bytes)
{
    const PmRequests requests = chunk->requests;
    if (request_bytes > requests.max)
        return PM_FIT_NONE;
    if (request_bytes >= requests.min)
        return PM_FIT_EXACT;
    /* Of a class below: as wide as this one, and its last request is the one before @min. */
    return !chunk->chunk->mmapped && requests.min - request_bytes <= requests.max - requests.min + 1
               ? PM_FIT_CLASS_BELOW
               : PM_FIT_NONE;
}

const PmType *
pm_recogniser_find_type(PmTypes *types, const char *name, const PmModule *prefer)
{
    if (types == NULL)
        return NULL;
    g_autoptr(GPtrArray) found = pm_types_find_by_name(types, name, prefer);
    return found->len > 0 ? g_ptr_array_index(found, 0) : NULL;
}
