/*
 * The frozen heap index: every chunk of every heap region as one bit per granule, and what can be
 * asked of it.
 *
 * A region is a stretch of target memory that is tiled by chunks without a seam: what lies between
 * chunks (fenceposts, damage, a foreign sbrk) is tiled by gaps, which no call here returns. Per
 * region there are two planes of one bit per granule (half the smallest chunk: 16 bytes on 64 bit,
 * 8 on 32 bit) and a carry of eight bytes per 256 granules: 37 million 32-byte chunks cost 21 MB.
 * An mmapped chunk is a region of its own, without planes.
 */
#pragma once

#include "base/address.h"

/* INTERFACE.md, "state". PM_CHUNK_USED is what the program holds; PM_CHUNK_RUNTIME what glibc
 * itself holds. */
typedef enum {
    PM_CHUNK_USED,
    PM_CHUNK_TCACHE,
    PM_CHUNK_FASTBIN,
    PM_CHUNK_BIN,
    PM_CHUNK_TOP,
    PM_CHUNK_RUNTIME,
} PmChunkState;
#define PM_CHUNK_STATES 6

/* "used", "tcache", "fastbin", "bin", "top", "runtime"; static. */
const char *pm_chunk_state_name(PmChunkState state);

/* TRUE for tcache, fastbin, bin and top. */
gboolean pm_chunk_state_is_free(PmChunkState state);

/*
 * One chunk, by value.
 *
 * @address: the user pointer, as malloc returned it. @chunk_bytes: the size field without its flag
 * bits.
 * @usable_bytes: malloc_usable_size(); 0 for top.
 * @ordinal: its place among all chunks in ascending address order, gaps counted: unique, less than
 * pm_heap_get_ordinals().
 * @arena: index of its arena among those that the allocator reports; PM_ARENA_NONE for an mmapped
 * chunk.
 */
typedef struct {
    PmAddr address;
    guint64 chunk_bytes;
    guint64 usable_bytes;
    guint64 ordinal;
    guint32 arena;
    PmChunkState state;
    gboolean mmapped;
} PmChunk;
#define PM_ARENA_NONE G_MAXUINT32

/* What a region is made of. */
typedef struct {
    PmRange range; /* first chunk's header … end of the last one */
    guint32 arena; /* PM_ARENA_NONE for an mmapped chunk */
    gboolean mmapped;
} PmHeapRegion;

typedef struct PmHeap PmHeap;

void pm_heap_free(PmHeap *heap);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmHeap, pm_heap_free)

/* The regions in ascending address order. Borrowed. */
const PmHeapRegion *pm_heap_get_regions(const PmHeap *heap, gsize *ret_count);

/* One more than the largest ordinal: the length of a side column. */
guint64 pm_heap_get_ordinals(const PmHeap *heap);

/*
 * Finds the chunk whose header or user data holds @address.
 *
 * @ret_chunk: (out): untouched where none is found.
 * @ret_offset_bytes: (out) (optional): @address − user pointer; negative in the header. The last
 * word of the user data of a used chunk lies past chunk_bytes, in the next chunk's prev_size: it
 * belongs to the used chunk. Returns: FALSE where @address lies in no chunk.
 *
 * O(1) within a region, O(log regions) to find that. Thread-safe. Never fails.
 */
gboolean pm_heap_find_chunk(const PmHeap *heap, PmAddr address, PmChunk *ret_chunk,
                            gint64 *ret_offset_bytes);

/* Has what the index says of the chunk at @header fetched, for who will ask for it soon. Any
 * address will do. */
void pm_heap_fetch(const PmHeap *heap, PmAddr header);

/* An iterator over all chunks in ascending address order; copy it freely. */
typedef struct {
    const PmHeap *heap;
    gsize region;
    guint64 granule;
    guint64 ordinal;
    gsize special;
} PmHeapIter;

/* Starts before the first chunk of region @region (0 for all), or at the end where there is none.
 */
void pm_heap_iter_init(PmHeapIter *iter, const PmHeap *heap, gsize region);

/* The next chunk, of this region or a later one; FALSE at the end. Amortised O(1). */
gboolean pm_heap_iter_next(PmHeapIter *iter, PmChunk *ret_chunk);

/*
 * The first chunk of the region with @index, at or behind the header @from, that is on a bin's list
 * or in a fastbin. Passes over what is not free 64 granules at a time.
 *
 * Returns: FALSE where there is none. Thread-safe. Never fails.
 */
gboolean pm_heap_find_free(const PmHeap *heap, gsize index, PmAddr from, PmChunk *ret_chunk);

/* FALSE: the chunk of the region with @index that begins at @header is on no bin's list and in no
 * fastbin. TRUE: it may be, or it is not of this region. O(1). */
gboolean pm_heap_may_be_free(const PmHeap *heap, gsize index, PmAddr header);

/*
 * What lies between the chunks of regions: fenceposts, damage, what was not in the core, a foreign
 * sbrk.
 *
 * Returns: (transfer full): PmRange, ascending.
 */
GArray *pm_heap_get_gaps(const PmHeap *heap);

/* Bytes of anonymous memory that the index takes. */
guint64 pm_heap_get_index_bytes(const PmHeap *heap);
