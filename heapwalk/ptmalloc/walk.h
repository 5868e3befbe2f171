/*
 * Walking one stretch of heap: chunk after chunk into a region of the index, with what is free,
 * what is odd, and how to go on behind damage.
 */
#pragma once

#include "ptmalloc/ptmalloc-private.h"

/* Sizes below this are counted in arrays, the others in a hash table. */
#define PM_WALK_SMALL_BYTES 65536
/* Half of a small second-level cache. */
#define PM_WALK_BUFFER_BYTES 131072

/* Counts of one heap while it is walked; owned by one worker, folded into the arena at the end of
 * each heap. */
typedef struct {
    guint64 *all;  /* by chunk_bytes / granule: every chunk walked */
    guint64 *bins; /* of these, the ones that are free in a bin */
    PmSizeTable *large;
    guint64 overhead[PM_OVERHEADS];
    GArray *foreign_gaps; /* guint64: bytes that others took by sbrk, by address */
    guint64 used_bytes;
    guint64 free_bytes;
    PmAddr pin;     /* header */
    guint8 *buffer; /* PM_WALK_BUFFER_BYTES that the heap is read through */
} PmWalkCounts;

void pm_walk_counts_init(PmWalkCounts *counts, guint shift);
void pm_walk_counts_clear(PmWalkCounts *counts);

/* Moves what was counted into the arena's table, and sums it up in @counts. */
void pm_walk_counts_fold(PmWalkCounts *counts, PmArenaBuild *build, guint shift);

typedef enum {
    PM_WALK_MAIN,   /* a segment of a main arena: ends at top or at a double fencepost */
    PM_WALK_THREAD, /* a heap of a thread arena: ends at top or at its closing head of size 0 */
} PmWalkKind;

/*
 * What is to be walked.
 *
 * @start: header of the first chunk. @limit: end of the memory that can hold chunks. @top: the
 * arena's top; anywhere.
 * @exact_limit: top, where it is here, must end at the limit.
 * @resume: look for a further segment behind the fenceposts of one (the brk heap: somebody else
 * called sbrk).
 */
typedef struct {
    PmPtmalloc *ptmalloc;
    PmArenaBuild *build;
    PmWalkKind kind;
    PmAddr start;
    PmAddr limit;
    PmAddr top;
    gboolean resume;
    gboolean exact_limit;
} PmWalk;

/*
 * Where the closing head of a full thread heap ends: sysmalloc rounds what it leaves of top down
 * to a chunk's size, and where chunks are aligned to more than their header (i386 since 2.26) that
 * is before the heap's end.
 */
static inline PmAddr
pm_walk_get_closing_end(const PmWalk *walk)
{
    return walk->limit - (walk->ptmalloc->layout->alignment - 2 * walk->ptmalloc->word_bytes);
}

/*
 * Walks @walk into a new region of the index.
 *
 * @counts: added to, then folded into the arena. @ret_end: (out): where the walked part ends:
 * behind top or the last fencepost. Returns: FALSE with PM_ERROR_MEMORY.
 */
gboolean pm_walk_run(const PmWalk *walk, PmWalkCounts *counts, PmAddr *ret_end, GError **error);

/*
 * The first address in [@from, @to), stepping by @step, where a chain of chunks begins that holds
 * for @steps chunks or reaches top or a fencepost before; PM_ADDR_NONE where there is none.
 *
 * @first: the chunk must look like the first of a segment: flags exactly PREV_INUSE; and the chain
 * must reach its end.
 */
typedef struct {
    PmAddr from;
    PmAddr to;
    guint64 step;
    guint steps;
    gboolean first;
} PmChainSearch;
PmAddr pm_walk_find_chain(const PmWalk *walk, const PmChainSearch *search);
