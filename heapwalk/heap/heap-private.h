/* What heap.c and builder.c share: the frozen region. */
#pragma once

#include "heap/builder.h"

/* A carry covers this many granules, four words of a plane. */
#define PM_HEAP_BLOCK_GRANULES 256
#define PM_HEAP_BLOCK_WORDS    (PM_HEAP_BLOCK_GRANULES / 64)

/*
 * A carry: the rank of the block's first start among the region's starts in the upper 40 bits;
 * below, how many granules before the block the last start lies, 0 where that is too far or there
 * is none. Blocks that lie wholly inside a big chunk have no carry (0): the list of big chunks
 * answers for them.
 */
#define PM_HEAP_BACK_BITS 24

typedef struct {
    PmAddr base;
    guint64 granules; /* 0 for an mmapped chunk */
    guint64 *starts;
    guint64 *states;
    guint64 *carries;
    PmHeapBig *big;
    gsize big_count;
    guint64 first_ordinal;
    guint64 mmapped_chunk_bytes;
    guint64 mmapped_usable_bytes;
} PmFrozenRegion;

struct PmHeap {
    guint64 word_bytes;
    guint shift;
    PmHeapRegion *regions;
    PmFrozenRegion *frozen; /* parallel to regions */
    gsize region_count;
    PmHeapSpecial *specials; /* ascending by header */
    gsize special_count;
    guint64 ordinals;
    guint64 index_bytes;
};

/* The index of the region whose range holds @address; FALSE where there is none. */
gboolean pm_heap_find_region(const PmHeap *heap, PmAddr address, gsize *ret_region);

/* The last start at or before @granule; PM_HEAP_NO_GRANULE where there is none. */
guint64 pm_heap_find_start(const PmFrozenRegion *region, guint64 granule);
#define PM_HEAP_NO_GRANULE G_MAXUINT64

/* The bytes of what starts at @granule of region @index: a chunk, a gap, top. */
guint64 pm_heap_measure_chunk(const PmHeap *heap, gsize index, guint64 granule);

/* Fills @ret_chunk from the chunk that starts at @granule of region @index; FALSE for a gap. */
gboolean pm_heap_get_chunk_at(const PmHeap *heap, gsize index, guint64 granule, PmChunk *ret_chunk);

/* Index of the first special whose header is at or after @header. */
gsize pm_heap_find_special(const PmHeap *heap, PmAddr header);
