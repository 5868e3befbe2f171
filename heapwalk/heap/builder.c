#include "heap/heap-private.h"

typedef struct {
    PmRegionBuilder open; /* first member: what the caller holds */
    PmHeapRegion region;
    guint64 mmapped_chunk_bytes;
    guint64 mmapped_usable_bytes;
} Building;

struct PmHeapBuilder {
    GMutex lock;
    guint64 word_bytes;
    guint shift;
    GPtrArray *buildings;
};

static void
building_free(gpointer data)
{
    Building *building = data;
    g_free(building->open.starts);
    g_free(building->open.states);
    if (building->open.big != NULL)
        g_array_unref(building->open.big);
    if (building->open.specials != NULL)
        g_array_unref(building->open.specials);
    g_free(building);
}

PmHeapBuilder *
pm_heap_builder_new(guint64 word_bytes)
{
    PmHeapBuilder *builder = g_new0(PmHeapBuilder, 1);
    g_mutex_init(&builder->lock);
    builder->word_bytes = word_bytes;
    builder->shift = word_bytes == 8 ? 4 : 3;
    builder->buildings = g_ptr_array_new_with_free_func(building_free);
    return builder;
}

void
pm_heap_builder_free(PmHeapBuilder *builder)
{
    if (builder == NULL)
        return;
    g_ptr_array_unref(builder->buildings);
    g_mutex_clear(&builder->lock);
    g_free(builder);
}

static void
add_building(PmHeapBuilder *builder, Building *building)
{
    g_mutex_lock(&builder->lock);
    g_ptr_array_add(builder->buildings, building);
    g_mutex_unlock(&builder->lock);
}

PmRegionBuilder *
pm_heap_builder_add_region(PmHeapBuilder *builder, PmAddr start, PmAddr planes_end, guint32 arena,
                           GError **error)
{
    /* One more than chunks can start at: a chunk's state has a bit at its second granule too. */
    const guint64 granules = ((planes_end - start - 1) >> builder->shift) + 2;
    const gsize words = (gsize)((granules + 63) / 64);
    Building *building = g_new0(Building, 1);

    building->region = (PmHeapRegion){.range = {start, start}, .arena = arena};
    building->open = (PmRegionBuilder){
        .base = start,
        .shift = builder->shift,
        .granules = granules,
        /* Zeroed lazily by the kernel where they are large: what is never walked costs nothing. */
        .starts = g_try_malloc0_n(words, sizeof(guint64)),
        .states = g_try_malloc0_n(words, sizeof(guint64)),
        .big = g_array_new(FALSE, FALSE, sizeof(PmHeapBig)),
        .specials = g_array_new(FALSE, FALSE, sizeof(PmHeapSpecial)),
    };
    if (building->open.starts == NULL || building->open.states == NULL) {
        building_free(building);
        g_set_error(error, PM_ERROR, PM_ERROR_MEMORY,
                    "the index of a heap of %" G_GUINT64_FORMAT
                    " bytes does not fit in the memory that this process may use",
                    planes_end - start);
        return NULL;
    }
    add_building(builder, building);
    return &building->open;
}

void
pm_heap_builder_end_region(PmHeapBuilder *builder, PmRegionBuilder *region, PmAddr end)
{
    const PmAddr start = region->base;
    /* A hostile heap ends anywhere; what is less than a granule is no part of the region. */
    ((Building *)region)->region.range.end =
        start + pm_align_down(end - start, (guint64)1 << builder->shift);
}

void
pm_heap_builder_add_mmapped(PmHeapBuilder *builder, PmAddr header, guint64 chunk_bytes,
                            guint64 usable_bytes)
{
    Building *building = g_new0(Building, 1);
    const guint64 user_bytes = 2 * builder->word_bytes + usable_bytes;

    building->open.base = header;
    building->region = (PmHeapRegion){
        .range = {header, header + MAX(chunk_bytes, user_bytes)},
        .arena = PM_ARENA_NONE,
        .mmapped = TRUE,
    };
    building->mmapped_chunk_bytes = chunk_bytes;
    building->mmapped_usable_bytes = usable_bytes;
    add_building(builder, building);
}

void
pm_region_put_special(PmRegionBuilder *region, guint64 granule, guint64 bytes, PmSpecialKind kind)
{
    const PmHeapSpecial special = {region->base + (granule << region->shift), kind};
    pm_region_put_bin(region, granule, bytes);
    g_array_append_val(region->specials, special);
}

static gint
compare_buildings(gconstpointer a, gconstpointer b)
{
    const Building *left = *(Building *const *)a;
    const Building *right = *(Building *const *)b;
    return left->region.range.start < right->region.range.start
               ? -1
               : left->region.range.start > right->region.range.start;
}

/* The first block after @block that does not lie wholly inside @big. */
static guint64
block_after_big(const PmHeapBig *big, guint shift)
{
    return (big->granule + (big->bytes >> shift)) / PM_HEAP_BLOCK_GRANULES;
}

/* Fills the carries. Returns the number of starts. */
static guint64
fill_carries(PmFrozenRegion *frozen, guint shift)
{
    const guint64 words = (frozen->granules + 63) / 64;
    const guint64 blocks = (words + PM_HEAP_BLOCK_WORDS - 1) / PM_HEAP_BLOCK_WORDS;
    guint64 rank = 0;
    guint64 last_start = 0;
    gsize next_big = 0;

    for (guint64 block = 0; block < blocks; block++) {
        const guint64 first_granule = block * PM_HEAP_BLOCK_GRANULES;
        const guint64 back = rank > 0 ? first_granule - last_start : 0;
        frozen->carries[block] = rank << PM_HEAP_BACK_BITS;
        if (back < (guint64)1 << PM_HEAP_BACK_BITS)
            frozen->carries[block] |= back;

        const guint64 last_word = MIN(words, (block + 1) * PM_HEAP_BLOCK_WORDS);
        for (guint64 word = block * PM_HEAP_BLOCK_WORDS; word < last_word; word++) {
            const guint64 bits = frozen->starts[word];
            if (bits == 0)
                continue;
            rank += (guint64)__builtin_popcountll(bits);
            last_start = word * 64 + 63 - (guint64)__builtin_clzll(bits);
        }
        /* Skip the blocks inside a big chunk that begins here, so that their carries are never
         * touched. */
        while (next_big < frozen->big_count && frozen->big[next_big].granule < last_start)
            next_big++;
        if (next_big < frozen->big_count && frozen->big[next_big].granule == last_start)
            block = MAX(block + 1, block_after_big(&frozen->big[next_big], shift)) - 1;
    }
    return rank;
}

/* Moves what @building holds into region @index of @heap. */
static gboolean
freeze_region(PmHeap *heap, gsize index, Building *building, GArray *specials, GError **error)
{
    PmFrozenRegion *frozen = &heap->frozen[index];
    heap->regions[index] = building->region;
    *frozen = (PmFrozenRegion){
        .base = building->open.base,
        .first_ordinal = heap->ordinals,
        .mmapped_chunk_bytes = building->mmapped_chunk_bytes,
        .mmapped_usable_bytes = building->mmapped_usable_bytes,
    };
    if (building->region.mmapped) {
        heap->ordinals++;
        return TRUE;
    }
    const gsize words = (gsize)((building->open.granules + 63) / 64);
    const gsize blocks = (words + PM_HEAP_BLOCK_WORDS - 1) / PM_HEAP_BLOCK_WORDS;
    frozen->carries = g_try_malloc0_n(blocks, sizeof(guint64));
    if (frozen->carries == NULL) {
        g_set_error(error, PM_ERROR, PM_ERROR_MEMORY,
                    "the index of %" G_GUINT64_FORMAT
                    " granules does not fit in the memory that this process may use",
                    building->open.granules);
        return FALSE;
    }
    frozen->granules = building->open.granules;
    frozen->starts = g_steal_pointer(&building->open.starts);
    frozen->states = g_steal_pointer(&building->open.states);
    frozen->big = (PmHeapBig *)(gpointer)g_array_steal(building->open.big, &frozen->big_count);
    g_array_append_vals(specials, building->open.specials->data, building->open.specials->len);
    heap->ordinals += fill_carries(frozen, heap->shift);
    heap->index_bytes +=
        (2 * (guint64)words + blocks) * sizeof(guint64) + frozen->big_count * sizeof(PmHeapBig);
    return TRUE;
}

PmHeap *
pm_heap_builder_freeze(PmHeapBuilder *builder, GError **error)
{
    g_autoptr(PmHeap) heap = g_new0(PmHeap, 1);
    g_autoptr(GArray) specials = g_array_new(FALSE, FALSE, sizeof(PmHeapSpecial));
    const GPtrArray *buildings = builder->buildings;

    heap->word_bytes = builder->word_bytes;
    heap->shift = builder->shift;
    g_ptr_array_sort(builder->buildings, compare_buildings);
    heap->regions = g_new0(PmHeapRegion, buildings->len);
    heap->frozen = g_new0(PmFrozenRegion, buildings->len);
    for (guint i = 0; i < buildings->len; i++) {
        Building *building = g_ptr_array_index(buildings, i);
        if (pm_range_bytes(building->region.range) == 0)
            continue;
        if (!freeze_region(heap, heap->region_count, building, specials, error)) {
            heap->region_count++;
            return NULL;
        }
        heap->region_count++;
    }
    g_ptr_array_set_size(builder->buildings, 0);
    heap->specials = (PmHeapSpecial *)(gpointer)g_array_steal(specials, &heap->special_count);
    heap->index_bytes += heap->region_count * (sizeof(PmHeapRegion) + sizeof(PmFrozenRegion)) +
                         heap->special_count * sizeof(PmHeapSpecial);
    return g_steal_pointer(&heap);
}

PmMarkResult
pm_heap_mark(PmHeap *heap, PmAddr header, PmChunkState state, PmChunk *ret_chunk)
{
    PmChunk chunk;
    gsize index = 0;
    const PmAddr user = header + 2 * heap->word_bytes;

    if (!pm_heap_find_region(heap, header, &index) || heap->regions[index].mmapped ||
        !pm_heap_find_chunk(heap, user, &chunk, NULL) || chunk.address != user)
        return PM_MARK_NO_CHUNK;
    if (ret_chunk != NULL)
        *ret_chunk = chunk;
    if (chunk.state == PM_CHUNK_TCACHE || chunk.state == PM_CHUNK_FASTBIN)
        return PM_MARK_AGAIN;
    if (chunk.state != PM_CHUNK_USED)
        return PM_MARK_NOT_USED;

    PmFrozenRegion *region = &heap->frozen[index];
    const guint64 first = (header - region->base) >> heap->shift;
    const guint64 second = first + 1;
    if (state == PM_CHUNK_TCACHE)
        region->states[first >> 6] |= (guint64)1 << (first & 63);
    region->states[second >> 6] |= (guint64)1 << (second & 63);
    return PM_MARK_DONE;
}

static gint
compare_specials(gconstpointer a, gconstpointer b)
{
    const PmHeapSpecial *left = a;
    const PmHeapSpecial *right = b;
    return left->header < right->header ? -1 : left->header > right->header;
}

void
pm_heap_mark_runtime(PmHeap *heap, const PmAddr *headers, gsize count)
{
    g_autoptr(GArray) specials = g_array_new(FALSE, FALSE, sizeof(PmHeapSpecial));
    if (heap->special_count > 0)
        g_array_append_vals(specials, heap->specials, (guint)heap->special_count);
    for (gsize i = 0; i < count; i++) {
        PmChunk chunk;
        const PmAddr user = headers[i] + 2 * heap->word_bytes;
        const PmHeapSpecial special = {headers[i], PM_SPECIAL_RUNTIME};
        if (pm_heap_find_chunk(heap, user, &chunk, NULL) && chunk.address == user &&
            chunk.state == PM_CHUNK_USED)
            g_array_append_val(specials, special);
    }
    g_array_sort(specials, compare_specials);
    /* A header given twice must count once. */
    gsize kept = 0;
    PmHeapSpecial *all = (PmHeapSpecial *)(gpointer)specials->data;
    for (guint i = 0; i < specials->len; i++)
        if (kept == 0 || all[kept - 1].header != all[i].header)
            all[kept++] = all[i];
    g_free(heap->specials);
    heap->specials = (PmHeapSpecial *)(gpointer)g_array_steal(specials, NULL);
    heap->special_count = kept;
}
