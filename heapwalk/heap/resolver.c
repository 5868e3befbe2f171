#include "heap/resolver.h"

#include "heap/heap-private.h"

/* Regions begin at a new word of every plane, so that sweeps can combine planes word by word. */
#define WORD_SLOTS 64

typedef struct {
    PmSlot first;
    guint64 slots;
} SlotRange;

struct PmResolver {
    const PmHeap *heap;
    PmResolverFilter filter;
    guint8 *tiles;
    guint32 *tile_regions; /* the first region that reaches into each tile */
    guint64 tile_count;
    SlotRange *ranges; /* by region */
    guint64 slots;
};

/* The end of what region @index's last chunk may use: one word past its end. */
static PmAddr
get_reach(const PmHeap *heap, gsize index)
{
    return heap->regions[index].range.end + heap->word_bytes;
}

static guint64
tile_of(const PmResolver *resolver, PmAddr address)
{
    return (address - resolver->filter.low) >> PM_RESOLVER_TILE_SHIFT;
}

static void
fill_tiles(PmResolver *resolver)
{
    const PmHeap *heap = resolver->heap;
    const gsize count = heap->region_count;
    if (count == 0)
        return;
    const PmAddr high = get_reach(heap, count - 1);
    resolver->filter.low =
        pm_align_down(heap->regions[0].range.start, (guint64)1 << PM_RESOLVER_TILE_SHIFT);
    resolver->filter.span_bytes = high - resolver->filter.low;
    resolver->tile_count = tile_of(resolver, high - 1) + 1;
    resolver->tiles = g_try_malloc0((resolver->tile_count + 7) / 8);
    resolver->tile_regions = g_try_malloc0_n(resolver->tile_count, sizeof(guint32));
    if (resolver->tiles == NULL || resolver->tile_regions == NULL) {
        resolver->filter.span_bytes = 0;
        return;
    }
    resolver->filter.tiles = resolver->tiles;
    for (gsize i = count; i-- > 0;) {
        const guint64 first = tile_of(resolver, heap->regions[i].range.start);
        const guint64 last = tile_of(resolver, get_reach(heap, i) - 1);
        for (guint64 tile = first; tile <= last; tile++) {
            resolver->tiles[tile / 8] |= (guint8)(1u << (tile % 8));
            resolver->tile_regions[tile] = (guint32)i;
        }
    }
}

static void
number_slots(PmResolver *resolver)
{
    const PmHeap *heap = resolver->heap;
    resolver->ranges = g_new0(SlotRange, heap->region_count + 1);
    for (gsize i = 0; i < heap->region_count; i++) {
        const guint64 granules = MAX(heap->frozen[i].granules, 2);
        resolver->ranges[i].first = resolver->slots;
        resolver->ranges[i].slots = pm_align_up(granules, WORD_SLOTS);
        resolver->slots += resolver->ranges[i].slots;
    }
    resolver->ranges[heap->region_count].first = resolver->slots;
}

PmResolver *
pm_resolver_new(const PmHeap *heap)
{
    PmResolver *resolver = g_new0(PmResolver, 1);
    resolver->heap = heap;
    fill_tiles(resolver);
    number_slots(resolver);
    return resolver;
}

void
pm_resolver_free(PmResolver *resolver)
{
    if (resolver == NULL)
        return;
    g_free(resolver->tiles);
    g_free(resolver->tile_regions);
    g_free(resolver->ranges);
    g_free(resolver);
}

guint64
pm_resolver_get_slots(const PmResolver *resolver)
{
    return resolver->slots;
}

PmResolverFilter
pm_resolver_get_filter(const PmResolver *resolver)
{
    return resolver->filter;
}

/* The last region that begins at or before @value, where it reaches that far. */
static gboolean
find_region(const PmResolver *resolver, PmAddr value, guint32 *ret_region)
{
    const PmHeap *heap = resolver->heap;
    gsize low = resolver->tile_regions[tile_of(resolver, value)];
    gsize high = low + 1;

    /* Most tiles hold one region; those of mmapped chunks may hold thousands. */
    while (high < heap->region_count && heap->regions[high].range.start <= value)
        high = MIN(heap->region_count, low + 2 * (high - low));
    while (high - low > 1) {
        const gsize middle = low + (high - low) / 2;
        if (heap->regions[middle].range.start <= value)
            low = middle;
        else
            high = middle;
    }
    if (value < heap->regions[low].range.start || value >= get_reach(heap, low))
        return FALSE;
    *ret_region = (guint32)low;
    return TRUE;
}

/* Fills @ret_hit for the start at @granule, if @value lies in its user data. */
static gboolean
hit_chunk(const PmResolver *resolver, guint32 region, guint64 granule, PmAddr value, PmHit *ret_hit)
{
    PmSlotChunk chunk;
    const PmSlot slot = resolver->ranges[region].first + granule;
    pm_resolver_get_chunk(resolver, slot, region, &chunk);
    if (value < chunk.user || value - chunk.user >= chunk.usable_bytes)
        return FALSE;
    *ret_hit = (PmHit){.slot = slot, .region = region, .is_start = value == chunk.user};
    return TRUE;
}

gboolean
pm_resolver_find(const PmResolver *resolver, guint64 value, PmHit *ret_hit)
{
    guint32 index = 0;
    const PmHeap *heap = resolver->heap;

    if (!pm_resolver_may_hold(&resolver->filter, value) || !find_region(resolver, value, &index))
        return FALSE;
    const PmFrozenRegion *region = &heap->frozen[index];
    if (heap->regions[index].mmapped)
        return hit_chunk(resolver, index, 0, value, ret_hit);
    const guint64 header_bytes = 2 * heap->word_bytes;
    const guint64 offset = value - region->base;
    if (offset < header_bytes)
        return FALSE;

    /* A user pointer, which most are, needs no look at sizes. */
    const guint64 start = (offset - header_bytes) >> heap->shift;
    if ((offset & (((guint64)1 << heap->shift) - 1)) == 0 && start < region->granules &&
        ((region->starts[start >> 6] >> (start & 63)) & 1) != 0) {
        *ret_hit = (PmHit){
            .slot = resolver->ranges[index].first + start, .region = index, .is_start = TRUE};
        return TRUE;
    }
    guint64 granule = pm_heap_find_start(region, offset >> heap->shift);
    if (granule == PM_HEAP_NO_GRANULE)
        return FALSE;
    /* The first word of a chunk's header is the last of the user data before it. */
    if (offset - (granule << heap->shift) < heap->word_bytes) {
        if (granule == 0)
            return FALSE;
        granule = pm_heap_find_start(region, granule - 1);
        if (granule == PM_HEAP_NO_GRANULE)
            return FALSE;
    }
    return hit_chunk(resolver, index, granule, value, ret_hit);
}

void
pm_resolver_get_chunk(const PmResolver *resolver, PmSlot slot, guint32 region,
                      PmSlotChunk *ret_chunk)
{
    const PmHeap *heap = resolver->heap;
    const PmFrozenRegion *frozen = &heap->frozen[region];
    const guint64 granule = slot - resolver->ranges[region].first;
    PmSlotChunk chunk = {
        .user = frozen->base + (granule << heap->shift) + 2 * heap->word_bytes,
        .region = region,
    };
    if (heap->regions[region].mmapped) {
        chunk.chunk_bytes = frozen->mmapped_chunk_bytes;
        chunk.usable_bytes = frozen->mmapped_usable_bytes;
    } else {
        chunk.chunk_bytes = pm_heap_measure_chunk(heap, region, granule);
        chunk.usable_bytes = chunk.chunk_bytes - heap->word_bytes;
    }
    *ret_chunk = chunk;
}

guint32
pm_resolver_get_region(const PmResolver *resolver, PmSlot slot)
{
    gsize low = 0, high = resolver->heap->region_count;
    while (high - low > 1) {
        const gsize middle = low + (high - low) / 2;
        if (resolver->ranges[middle].first <= slot)
            low = middle;
        else
            high = middle;
    }
    return (guint32)low;
}

PmSlot
pm_resolver_get_sweep(const PmResolver *resolver, guint32 region, guint64 *ret_words)
{
    *ret_words = resolver->ranges[region].slots / WORD_SLOTS;
    return resolver->ranges[region].first;
}

PmAddr
pm_resolver_get_first_user(const PmResolver *resolver, guint32 region, guint64 *ret_slot_bytes)
{
    *ret_slot_bytes = (guint64)1 << resolver->heap->shift;
    return resolver->heap->frozen[region].base + 2 * resolver->heap->word_bytes;
}

guint64
pm_resolver_get_starts(const PmResolver *resolver, guint32 region, guint64 index)
{
    const PmFrozenRegion *frozen = &resolver->heap->frozen[region];
    if (frozen->granules == 0)
        return index == 0 ? 1 : 0;
    return index < (frozen->granules + WORD_SLOTS - 1) / WORD_SLOTS ? frozen->starts[index] : 0;
}

guint64
pm_resolver_get_free_starts(const PmResolver *resolver, guint32 region, guint64 index)
{
    const PmFrozenRegion *frozen = &resolver->heap->frozen[region];
    const guint64 words = (frozen->granules + WORD_SLOTS - 1) / WORD_SLOTS;
    if (index >= words)
        return 0;
    /* A free chunk has the state bit at its first granule (bin, top, gap, tcache), at its second
     * (fastbin), or at both; the second is never a start. */
    const guint64 starts = frozen->starts[index];
    const guint64 second = frozen->states[index] & ~starts;
    guint64 next = 0;
    if (index + 1 < words)
        next = frozen->states[index + 1] & ~frozen->starts[index + 1];
    return starts & (frozen->states[index] | second >> 1 | next << 63);
}

guint64
pm_resolver_get_used_starts(const PmResolver *resolver, guint32 region, guint64 index)
{
    const PmFrozenRegion *frozen = &resolver->heap->frozen[region];
    const guint64 words = (frozen->granules + WORD_SLOTS - 1) / WORD_SLOTS;
    if (frozen->granules == 0)
        return index == 0 ? 1 : 0;
    if (index >= words)
        return 0;
    return frozen->starts[index] & ~pm_resolver_get_free_starts(resolver, region, index);
}

gboolean
pm_resolver_prefetch(const PmResolver *resolver, guint64 value, PmSlot *ret_slot)
{
    guint32 index = 0;
    if (!pm_resolver_may_hold(&resolver->filter, value) || !find_region(resolver, value, &index))
        return FALSE;
    const PmFrozenRegion *region = &resolver->heap->frozen[index];
    const guint64 granule = (value - region->base) >> resolver->heap->shift;
    if (region->granules > 0 && granule < region->granules)
        __builtin_prefetch(&region->starts[granule >> 6]);
    *ret_slot = resolver->ranges[index].first + MIN(granule, resolver->ranges[index].slots - 1);
    return TRUE;
}
