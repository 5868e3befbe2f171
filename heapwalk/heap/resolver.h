/*
 * From a word of memory to the chunk that it points into, fast enough to be asked of every word of
 * a core: a filter that drops what cannot point into a heap, a table from address to region, and
 * the planes of the index.
 *
 * A chunk is named by its slot: the number of its first granule, counted over all regions. Slots
 * ascend with the address and index bit planes of pm_resolver_get_slots() bits. Every chunk has two
 * slots of its own at least, so that a plane holds two bits for it.
 */
#pragma once

#include "heap/heap.h"

typedef guint64 PmSlot;
#define PM_SLOT_NONE G_MAXUINT64

typedef struct PmResolver PmResolver;

/*
 * @heap: borrowed for the life of the resolver, which is immutable and may be read by any number of
 *   threads.
 */
PmResolver *pm_resolver_new(const PmHeap *heap);
void pm_resolver_free(PmResolver *resolver);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmResolver, pm_resolver_free)

/* One more than the largest slot: the length of a bit plane over all chunks. */
guint64 pm_resolver_get_slots(const PmResolver *resolver);

/*
 * The part that every word is tested against: @low ≤ value < @low + @span_bytes, and the 64 MiB
 * around it hold some heap.
 */
typedef struct {
    PmAddr low;
    guint64 span_bytes;
    const guint8 *tiles;
} PmResolverFilter;

/* The filter, by value, to be kept in registers by hot loops; lives as long as @resolver. */
PmResolverFilter pm_resolver_get_filter(const PmResolver *resolver);

#define PM_RESOLVER_TILE_SHIFT 26

/* Whether @value may point into a heap. FALSE is certain. */
static inline gboolean
pm_resolver_may_hold(const PmResolverFilter *filter, guint64 value)
{
    const guint64 offset = value - filter->low;
    return offset < filter->span_bytes && ((filter->tiles[offset >> (PM_RESOLVER_TILE_SHIFT + 3)] >>
                                            ((offset >> PM_RESOLVER_TILE_SHIFT) & 7)) &
                                           1) != 0;
}

/* What a word points at. @is_start: it equals the user pointer. @region: as pm_heap_get_regions().
 */
typedef struct {
    PmSlot slot;
    guint32 region;
    gboolean is_start;
} PmHit;

/*
 * Finds the chunk or gap whose user data holds @value: user ≤ @value < user + usable bytes, where
 * the last word overlaps the header of the next chunk. Headers belong to no chunk, free chunks and
 * gaps count: the caller has a plane that tells them.
 *
 * Returns: FALSE where there is none. O(1) but for the regions of one 64 MiB tile.
 */
gboolean pm_resolver_find(const PmResolver *resolver, guint64 value, PmHit *ret_hit);

/* A chunk of which only the slot is known. @user: its user pointer. */
typedef struct {
    PmAddr user;
    guint64 chunk_bytes;
    guint64 usable_bytes;
    guint32 region;
} PmSlotChunk;

/* The chunk at @slot, a start, in region @region. */
void pm_resolver_get_chunk(const PmResolver *resolver, PmSlot slot, guint32 region,
                           PmSlotChunk *ret_chunk);

/* The region that @slot lies in. O(log regions). */
guint32 pm_resolver_get_region(const PmResolver *resolver, PmSlot slot);

/*
 * One region for sweeps over the planes, word by word: word @index holds the slots from
 * first slot + 64 × @index on.
 *
 * @ret_words: (out): how many words the region has.
 */
PmSlot pm_resolver_get_sweep(const PmResolver *resolver, guint32 region, guint64 *ret_words);

/* The user pointer of a chunk at the first slot of @region, and what one slot more adds to it. */
PmAddr pm_resolver_get_first_user(const PmResolver *resolver, guint32 region,
                                  guint64 *ret_slot_bytes);

/* The starts of used chunks in a word of a sweep. */
guint64 pm_resolver_get_used_starts(const PmResolver *resolver, guint32 region, guint64 index);

/* All starts there, of chunks and gaps. */
guint64 pm_resolver_get_starts(const PmResolver *resolver, guint32 region, guint64 index);

/* The starts of everything else there: free chunks, top, gaps. */
guint64 pm_resolver_get_free_starts(const PmResolver *resolver, guint32 region, guint64 index);

/* Fetches what pm_resolver_find() for a user pointer @value will look at; FALSE where it will find
 * nothing. @ret_slot: (out): of the user pointer, for planes of the caller's. */
gboolean pm_resolver_prefetch(const PmResolver *resolver, guint64 value, PmSlot *ret_slot);
