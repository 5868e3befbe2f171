/*
 * Which chunks a command speaks of (--size, --chunk-size, --state, --reach, --arena), and the walk
 * over them.
 */
#pragma once

#include "analysis/reach/reach.h"

/* Every state, for PmChunkFilter.states. */
#define PM_CHUNK_STATES_ALL ((1U << PM_CHUNK_STATES) - 1)

/*
 * @states: bit s for PmChunkState s. @by_request: chunks that serve malloc(@request_bytes).
 * @by_chunk_bytes: chunks of exactly @chunk_bytes. @by_arena: chunks of the arena at index @arena.
 * @reaches: bit c for PmReachClass c; 0 for chunks of any class or none.
 */
typedef struct {
    guint states;
    gboolean by_request;
    guint64 request_bytes;
    gboolean by_chunk_bytes;
    guint64 chunk_bytes;
    gboolean by_arena;
    guint32 arena;
    guint reaches;
} PmChunkFilter;

/* Walks the chunks that pass a filter, in ascending address order. To be read through
 * pm_chunk_walk_next() only. */
typedef struct {
    PmHeapIter iter;
    PmChunkFilter filter;
    const PmPtmalloc *ptmalloc;
    const PmReach *reach;
    guint word_bytes;
    guint64 class_bytes;
} PmChunkWalk;

/* @reach: needed where the filter asks for classes; else it may be NULL. */
void pm_chunk_walk_init(PmChunkWalk *walk, const PmSubject *subject, const PmReach *reach,
                        const PmChunkFilter *filter);

/* The next chunk that passes; FALSE at the end. Makes no allocation. */
gboolean pm_chunk_walk_next(PmChunkWalk *walk, PmChunk *ret_chunk);

/* Whether @chunk passes the filter of @walk, wherever that is. */
gboolean pm_chunk_walk_passes(const PmChunkWalk *walk, const PmChunk *chunk);

/*
 * The index of the arena whose malloc_state is at @address.
 *
 * Returns: FALSE with PM_ERROR_NOT_FOUND where no arena is there.
 */
gboolean pm_chunks_find_arena(const PmPtmalloc *ptmalloc, PmAddr address, guint32 *ret_arena,
                              GError **error);

/* What the runtime chunk at @address is, or NULL. Borrowed from @ptmalloc. O(log n). */
const char *pm_chunks_find_runtime(const PmPtmalloc *ptmalloc, PmAddr address);
