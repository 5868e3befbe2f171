/*
 * Building the heap index. An allocator adds regions and tiles each of them in ascending order;
 * pm_heap_builder_freeze() makes the index, whose states can still be corrected until it is handed
 * out.
 *
 * The planes are open here so that a walk of 40 million chunks sets bits without a call.
 */
#pragma once

#include "base/error.h"
#include "heap/heap.h"

/*
 * The state of a chunk as two bits of the state plane: one at its first granule, one at its second,
 * which is never the start of another chunk. (A gap of one granule has only the first.)
 */
typedef enum {
    PM_CODE_USED = 0, /* or runtime, where the chunk is among the specials */
    PM_CODE_BIN = 1,  /* or top, or a gap, where it is among the specials */
    PM_CODE_FASTBIN = 2,
    PM_CODE_TCACHE = 3,
} PmHeapCode;

/* Chunks of this many granules or more are listed apart, so that nothing scans across them. */
#define PM_HEAP_BIG_GRANULES 4096

/* One region while it is tiled. Granule 0 is at @base; the planes have @granules bits. */
typedef struct {
    PmAddr base;
    guint shift; /* log2 of a granule's bytes */
    guint64 granules;
    guint64 *starts;
    guint64 *states;
    GArray *big;      /* PmHeapBig */
    GArray *specials; /* PmHeapSpecial */
} PmRegionBuilder;

typedef struct {
    guint64 granule;
    guint64 bytes;
} PmHeapBig;

typedef enum {
    PM_SPECIAL_TOP,
    PM_SPECIAL_GAP,
    PM_SPECIAL_RUNTIME,
} PmSpecialKind;

typedef struct {
    PmAddr header;
    PmSpecialKind kind;
} PmHeapSpecial;

typedef struct PmHeapBuilder PmHeapBuilder;

/*
 * @word_bytes: of the target, 4 or 8. A granule is two words: half of MINSIZE on 64 bit, and what
 * chunks are aligned to on old i386 (newer ones align to two granules).
 */
PmHeapBuilder *pm_heap_builder_new(guint64 word_bytes);
void pm_heap_builder_free(PmHeapBuilder *builder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmHeapBuilder, pm_heap_builder_free)

/*
 * Adds a region that begins with a chunk at @start and holds no chunk start at or after
 * @planes_end. May be called from several threads.
 *
 * @start: aligned to a granule. @planes_end: greater than @start. Regions must not overlap.
 * Returns: (transfer none): lives as long as the builder, or until pm_heap_builder_freeze(). NULL
 * with PM_ERROR_MEMORY.
 */
PmRegionBuilder *pm_heap_builder_add_region(PmHeapBuilder *builder, PmAddr start, PmAddr planes_end,
                                            guint32 arena, GError **error);

/* Says that @region ends at @end, rounded down to whole granules; to be called once it is tiled.
 * Where that is its start, it is dropped. */
void pm_heap_builder_end_region(PmHeapBuilder *builder, PmRegionBuilder *region, PmAddr end);

/*
 * Adds an mmapped chunk, a region of its own. May be called from several threads.
 *
 * @header: of the chunk. @usable_bytes: by the version's rule.
 */
void pm_heap_builder_add_mmapped(PmHeapBuilder *builder, PmAddr header, guint64 chunk_bytes,
                                 guint64 usable_bytes);

/* Tiles on with a chunk of @bytes at granule @granule. */
static inline void
pm_region_put(PmRegionBuilder *region, guint64 granule, guint64 bytes)
{
    region->starts[granule >> 6] |= (guint64)1 << (granule & 63);
    if (G_UNLIKELY(bytes >> region->shift >= PM_HEAP_BIG_GRANULES)) {
        const PmHeapBig big = {granule, bytes};
        g_array_append_val(region->big, big);
    }
}

/* The same for a chunk that is free in a bin. */
static inline void
pm_region_put_bin(PmRegionBuilder *region, guint64 granule, guint64 bytes)
{
    pm_region_put(region, granule, bytes);
    region->states[granule >> 6] |= (guint64)1 << (granule & 63);
}

/* The same for top or a gap of @bytes, at least one granule. */
void pm_region_put_special(PmRegionBuilder *region, guint64 granule, guint64 bytes,
                           PmSpecialKind kind);

/*
 * Sorts the regions, fills the carries and makes the index. @builder is empty afterwards.
 *
 * Returns: (transfer full): NULL with PM_ERROR_MEMORY.
 */
PmHeap *pm_heap_builder_freeze(PmHeapBuilder *builder, GError **error);

/* What pm_heap_mark() met. */
typedef enum {
    PM_MARK_DONE,
    PM_MARK_NO_CHUNK, /* no chunk starts there */
    PM_MARK_NOT_USED, /* it is in a bin, top or a gap */
    PM_MARK_AGAIN,    /* it has that or another free state already */
} PmMarkResult;

/*
 * Before the index is handed out: gives the used chunk whose header is at @header the state @state.
 *
 * @state: PM_CHUNK_TCACHE or PM_CHUNK_FASTBIN. @ret_chunk: (out) (optional): the chunk as it was;
 * untouched for PM_MARK_NO_CHUNK.
 */
PmMarkResult pm_heap_mark(PmHeap *heap, PmAddr header, PmChunkState state, PmChunk *ret_chunk);

/*
 * Before the index is handed out: makes the used chunks whose headers are in @headers `runtime`.
 * Those that are no used chunks are left out.
 */
void pm_heap_mark_runtime(PmHeap *heap, const PmAddr *headers, gsize count);
