/*
 * Filtering chunks; see chunks.h.
 */
#include "analysis/chunks.h"

#include "analysis/requests.h"

#include <stdlib.h>

void
pm_chunk_walk_init(PmChunkWalk *walk, const PmSubject *subject, const PmReach *reach,
                   const PmChunkFilter *filter)
{
    *walk = (PmChunkWalk){.filter = *filter,
                          .ptmalloc = subject->ptmalloc,
                          .reach = reach,
                          .word_bytes = pm_image_get_target(subject->image)->word_bytes};
    if (filter->by_request)
        walk->class_bytes = pm_ptmalloc_get_chunk_bytes(subject->ptmalloc, filter->request_bytes);
    pm_heap_iter_init(&walk->iter, pm_ptmalloc_get_heap(subject->ptmalloc), 0);
}

static gboolean
serves_request(const PmChunkWalk *walk, const PmChunk *chunk)
{
    if (!chunk->mmapped)
        return chunk->chunk_bytes == walk->class_bytes;
    PmRequests requests =
        pm_requests_of(walk->ptmalloc, walk->word_bytes, chunk->chunk_bytes, TRUE);
    return walk->filter.request_bytes >= requests.min && walk->filter.request_bytes <= requests.max;
}

gboolean
pm_chunk_walk_passes(const PmChunkWalk *walk, const PmChunk *chunk)
{
    const PmChunkFilter *filter = &walk->filter;
    if ((filter->states >> chunk->state & 1) == 0)
        return FALSE;
    if (filter->by_chunk_bytes && chunk->chunk_bytes != filter->chunk_bytes)
        return FALSE;
    if (filter->by_arena && chunk->arena != filter->arena)
        return FALSE;
    if (filter->by_request && !serves_request(walk, chunk))
        return FALSE;
    return filter->reaches == 0 ||
           (filter->reaches >> pm_reach_get_class(walk->reach, chunk) & 1) != 0;
}

gboolean
pm_chunk_walk_next(PmChunkWalk *walk, PmChunk *ret_chunk)
{
    while (pm_heap_iter_next(&walk->iter, ret_chunk)) {
        if (pm_chunk_walk_passes(walk, ret_chunk))
            return TRUE;
    }
    return FALSE;
}

gboolean
pm_chunks_find_arena(const PmPtmalloc *ptmalloc, PmAddr address, guint32 *ret_arena, GError **error)
{
    gsize count = 0;
    const PmArena *arenas = pm_ptmalloc_get_arenas(ptmalloc, &count);
    for (gsize i = 0; i < count; i++) {
        if (arenas[i].address == address) {
            *ret_arena = (guint32)i;
            return TRUE;
        }
    }
    g_set_error(error, PM_ERROR, PM_ERROR_NOT_FOUND,
                "no arena at 0x%" G_GINT64_MODIFIER "x; `postmalloc arenas` lists them", address);
    return FALSE;
}

static int
compare_address_to_runtime(const void *key, const void *element)
{
    PmAddr address = *(const PmAddr *)key;
    PmAddr other = ((const PmRuntimeChunk *)element)->address;
    return (address > other) - (address < other);
}

const char *
pm_chunks_find_runtime(const PmPtmalloc *ptmalloc, PmAddr address)
{
    gsize count = 0;
    const PmRuntimeChunk *chunks = pm_ptmalloc_get_runtime_chunks(ptmalloc, &count);
    if (count == 0)
        return NULL;
    const PmRuntimeChunk *found =
        bsearch(&address, chunks, count, sizeof *chunks, compare_address_to_runtime);
    return found == NULL ? NULL : found->what;
}
