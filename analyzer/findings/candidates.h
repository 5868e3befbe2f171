/*
 * Which chunk sizes deserve a look: those of which much is lost, or that hang other lost chunks on
 * themselves, and those that hold much of the heap.
 */
#pragma once

#include "analysis/reach/reach.h"
#include "analysis/sizes.h"

/*
 * One size.
 *
 * @row: borrowed from the sizes.
 * @runtime_chunks: of the used ones, those that are glibc's own.
 * @roots: leak roots and members of lost rings of this size. @indirect: its other lost chunks.
 * @ring_chunks, @ring_bytes: of other sizes in the rings that are counted by this one, their
 *   largest. @hanging_chunks, @hanging_bytes: lost chunks of any size that only roots and rings
 *   reach, without them.
 * @blame_bytes: the lost bytes that this size has to answer for, see pm_candidates_find(); 0 where
 *   it is here for its share alone.
 * @root_example: a root of this size, or PM_ADDR_NONE.
 */
typedef struct {
    const PmSizeRow *row;
    guint64 runtime_chunks;
    guint64 roots;
    guint64 indirect;
    guint64 ring_chunks;
    guint64 ring_bytes;
    guint64 hanging_chunks;
    guint64 hanging_bytes;
    guint64 blame_bytes;
    PmAddr root_example;
} PmSizeCandidate;

/* Of a size that is here for its share: the least share of what is in use, and the fewest chunks,
 * without glibc's own. */
#define PM_CANDIDATE_SHARE  0.2
#define PM_CANDIDATE_CHUNKS 1000

/* How many of each kind are looked at. */
#define PM_CANDIDATES_MAX 8

/*
 * Finds them. A lost chunk that hangs on roots which are many (a record and the text that it points
 * to), or is in rings with them, is put down to the size of these; one that hangs on a few (a
 * million nodes on one head) to its own size, because what there are many of is what was not freed.
 *
 * @ptmalloc: the heap. @sizes: of it. @reach: NULL where nobody knows what is lost.
 * Returns: (transfer full): PmSizeCandidate; those with lost chunks first, most blame first, then
 * those with the largest share. A size stands there once.
 */
GArray *pm_candidates_find(const PmPtmalloc *ptmalloc, const PmSizes *sizes, const PmReach *reach);
