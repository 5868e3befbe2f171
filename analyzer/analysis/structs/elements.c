/*
 * Arrays; see elements.h.
 */
#include "analysis/structs/elements.h"

/* Elements that are tried must say so much for themselves alone. */
#define ELEMENT_ODDS  0.7
#define ELEMENT_MIN   ((guint64)8)
#define ELEMENT_MAX   ((guint64)4096)
#define ELEMENT_TYPES 20000

/* Chunks that pointers lead to: so many are looked at, and one in so many of the words that are not
 * zero must lead to one. */
#define TARGETS      32
#define TARGETS_MIN  8
#define TARGET_SHARE 2

/* How many of @size_bytes give a size in the range; 0 for none, or less than two. */
static guint64
count_elements(guint64 size_bytes, guint64 min_bytes, guint64 max_bytes)
{
    if (size_bytes == 0)
        return 0;
    guint64 count = max_bytes / size_bytes;
    return count >= 2 && count * size_bytes >= min_bytes ? count : 0;
}

/* The types of @size_bytes that speak for themselves at the start of the chunks. Returns: how many
 * were tried. */
static guint
add_elements_of(PmFitter *fitter, PmScene *scene, guint64 size_bytes, GArray *candidates)
{
    g_autoptr(GPtrArray) types = pm_types_find_by_size(fitter->types, size_bytes, size_bytes);
    for (guint i = 0; i < types->len; i++) {
        guint before = candidates->len;
        pm_rank_add(fitter, scene, g_ptr_array_index(types, i), FALSE, candidates);
        PmCandidate *candidate = &g_array_index(candidates, PmCandidate, before);
        candidate->is_array = TRUE;
        if (candidate->fit.log_odds < ELEMENT_ODDS || candidate->fit.contradictions > 0)
            g_array_set_size(candidates, before);
    }
    return types->len;
}

/* Types of which a whole number fills the chunks. */
static void
add_structures(PmFitter *fitter, PmScene *scene, guint64 min_bytes, guint64 max_bytes,
               GArray *candidates)
{
    guint tried = 0;
    guint64 largest = MIN(max_bytes / 2, ELEMENT_MAX);
    for (guint64 size = ELEMENT_MIN; size <= largest && tried < ELEMENT_TYPES; size++) {
        if (count_elements(size, min_bytes, max_bytes) > 0)
            tried += add_elements_of(fitter, scene, size, candidates);
    }
}

/* The chunks that words of @scene lead to, all of the size that the most of them have. */
static GArray *
collect_targets(PmFitter *fitter, const PmBlock *block)
{
    const PmHeap *heap = pm_ptmalloc_get_heap(pm_places_get_subject(fitter->places)->ptmalloc);
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(PmChunk));
    GArray *same = g_array_new(FALSE, FALSE, sizeof(PmChunk));
    gsize told = 0;
    for (gsize i = 0; i < block->count * block->words; i++) {
        const PmLooked *looked = &block->looked[i];
        PmChunk chunk;
        told += looked->value != 0 ? 1 : 0;
        if (looked->word.kind == PM_WORD_CHUNK &&
            pm_heap_find_chunk(heap, looked->user, &chunk, NULL))
            g_array_append_val(all, chunk);
    }
    if (all->len < TARGETS_MIN || all->len * (gsize)TARGET_SHARE < told)
        return same;
    guint64 most = 0;
    guint best = 0;
    for (guint i = 0; i < MIN(all->len, TARGETS); i++) {
        const guint64 size = g_array_index(all, PmChunk, i).chunk_bytes;
        guint count = 0;
        for (guint j = 0; j < all->len; j++)
            count += g_array_index(all, PmChunk, j).chunk_bytes == size ? 1 : 0;
        if (count > best) {
            best = count;
            most = size;
        }
    }
    for (guint i = 0; i < all->len && same->len < TARGETS; i++) {
        if (g_array_index(all, PmChunk, i).chunk_bytes == most)
            g_array_append_val(same, g_array_index(all, PmChunk, i));
    }
    return same;
}

/* Pointers to what fits the chunks that the words here lead to. */
static void
add_pointers(PmFitter *fitter, PmScene *scene, const PmRequests *sizes, GArray *candidates)
{
    const PmSubject *subject = pm_places_get_subject(fitter->places);
    guint word_bytes = pm_image_get_target(subject->image)->word_bytes;
    if (count_elements(word_bytes, sizes->min, sizes->max) == 0)
        return;
    g_autoptr(GArray) targets = collect_targets(fitter, scene->block);
    if (targets->len < TARGETS_MIN)
        return;
    const PmChunk *chunks = (const PmChunk *)(gconstpointer)targets->data;
    PmRequests requests =
        pm_requests_of(subject->ptmalloc, word_bytes, chunks[0].chunk_bytes, chunks[0].mmapped);
    g_autoptr(GArray) ranked =
        pm_rank(fitter, chunks, targets->len, MAX(requests.min, 1), requests.max, FALSE);
    if (ranked->len == 0 || !pm_fit_is_good(&g_array_index(ranked, PmCandidate, 0).fit))
        return;
    const PmType *target = g_array_index(ranked, PmCandidate, 0).type;
    PmCandidate candidate = {.type = pm_types_get_pointer(fitter->types, target), .is_array = TRUE};
    g_array_append_val(candidates, candidate);
}

void
pm_elements_add(PmFitter *fitter, PmScene *scene, const PmRequests *sizes, GArray *candidates)
{
    add_structures(fitter, scene, sizes->min, sizes->max, candidates);
    add_pointers(fitter, scene, sizes, candidates);
}
