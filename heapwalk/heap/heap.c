#include "heap/heap.h"

#include "heap/heap-private.h"

const char *
pm_chunk_state_name(PmChunkState state)
{
    static const char *const names[PM_CHUNK_STATES] = {"used", "tcache", "fastbin",
                                                       "bin",  "top",    "runtime"};
    return (guint)state < PM_CHUNK_STATES ? names[state] : "unknown";
}

gboolean
pm_chunk_state_is_free(PmChunkState state)
{
    return state != PM_CHUNK_USED && state != PM_CHUNK_RUNTIME;
}

void
pm_heap_free(PmHeap *heap)
{
    if (heap == NULL)
        return;
    for (gsize i = 0; i < heap->region_count; i++) {
        g_free(heap->frozen[i].starts);
        g_free(heap->frozen[i].states);
        g_free(heap->frozen[i].carries);
        g_free(heap->frozen[i].big);
    }
    g_free(heap->regions);
    g_free(heap->frozen);
    g_free(heap->specials);
    g_free(heap);
}

const PmHeapRegion *
pm_heap_get_regions(const PmHeap *heap, gsize *ret_count)
{
    *ret_count = heap->region_count;
    return heap->regions;
}

guint64
pm_heap_get_ordinals(const PmHeap *heap)
{
    return heap->ordinals;
}

guint64
pm_heap_get_index_bytes(const PmHeap *heap)
{
    return heap->index_bytes;
}

gboolean
pm_heap_find_region(const PmHeap *heap, PmAddr address, gsize *ret_region)
{
    gsize low = 0, high = heap->region_count;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (heap->regions[middle].range.start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || address >= heap->regions[low - 1].range.end)
        return FALSE;
    *ret_region = low - 1;
    return TRUE;
}

gsize
pm_heap_find_special(const PmHeap *heap, PmAddr header)
{
    gsize low = 0, high = heap->special_count;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (heap->specials[middle].header < header)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The last big chunk that starts at or before @granule, or NULL. */
static const PmHeapBig *
find_big(const PmFrozenRegion *region, guint64 granule)
{
    gsize low = 0, high = region->big_count;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (region->big[middle].granule <= granule)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? &region->big[low - 1] : NULL;
}

guint64
pm_heap_find_start(const PmFrozenRegion *region, guint64 granule)
{
    if (granule < region->granules) {
        const guint64 block = granule / PM_HEAP_BLOCK_GRANULES;
        guint64 word = granule >> 6;
        guint64 bits = region->starts[word] & (~(guint64)0 >> (63 - (granule & 63)));
        while (bits == 0 && word > block * PM_HEAP_BLOCK_WORDS)
            bits = region->starts[--word];
        if (bits != 0)
            return word * 64 + 63 - (guint64)__builtin_clzll(bits);
        const guint64 back = region->carries[block] & (((guint64)1 << PM_HEAP_BACK_BITS) - 1);
        if (back != 0)
            return block * PM_HEAP_BLOCK_GRANULES - back;
    } else {
        /* Behind the planes lies the rest of the last chunk. */
        const guint64 last = pm_heap_find_start(region, region->granules - 1);
        if (last != PM_HEAP_NO_GRANULE)
            return last;
    }
    const PmHeapBig *big = find_big(region, granule);
    return big != NULL ? big->granule : PM_HEAP_NO_GRANULE;
}

guint64
pm_heap_measure_chunk(const PmHeap *heap, gsize index, guint64 granule)
{
    const PmFrozenRegion *region = &heap->frozen[index];
    const guint64 words = (region->granules + 63) / 64;
    const guint64 last_word = MIN(words, ((granule + PM_HEAP_BIG_GRANULES) >> 6) + 1);
    guint64 word = (granule + 1) >> 6;

    if (word < words) {
        guint64 bits = region->starts[word] & (~(guint64)0 << ((granule + 1) & 63));
        while (bits == 0 && ++word < last_word)
            bits = region->starts[word];
        if (bits != 0)
            return (word * 64 + (guint64)__builtin_ctzll(bits) - granule) << heap->shift;
    }
    const PmHeapBig *big = find_big(region, granule);
    if (big != NULL && big->granule == granule)
        return big->bytes;
    return heap->regions[index].range.end - region->base - (granule << heap->shift);
}

static gboolean
get_bit(const guint64 *plane, guint64 bit)
{
    return ((plane[bit >> 6] >> (bit & 63)) & 1) != 0;
}

static PmHeapCode
get_code(const PmFrozenRegion *region, guint64 granule)
{
    guint code = get_bit(region->states, granule) ? 1 : 0;
    if (granule + 1 < region->granules && !get_bit(region->starts, granule + 1) &&
        get_bit(region->states, granule + 1))
        code |= 2;
    return (PmHeapCode)code;
}

/*
 * The state of the chunk at @header with @code.
 *
 * @special: the first special at or after @header.
 * Returns: FALSE for a gap.
 */
static gboolean
get_state(const PmHeap *heap, PmAddr header, PmHeapCode code, gsize special,
          PmChunkState *ret_state)
{
    static const PmChunkState states[] = {PM_CHUNK_USED, PM_CHUNK_BIN, PM_CHUNK_FASTBIN,
                                          PM_CHUNK_TCACHE};
    *ret_state = states[code];
    if (special >= heap->special_count || heap->specials[special].header != header)
        return TRUE;
    switch (heap->specials[special].kind) {
    case PM_SPECIAL_TOP:
        *ret_state = PM_CHUNK_TOP;
        return TRUE;
    case PM_SPECIAL_RUNTIME:
        *ret_state = PM_CHUNK_RUNTIME;
        return TRUE;
    case PM_SPECIAL_GAP:
        return FALSE;
    }
    return TRUE;
}

/* Fills @ret_chunk from the chunk that starts at @granule of region @index; FALSE for a gap. */
static gboolean
make_chunk(const PmHeap *heap, gsize index, guint64 granule, guint64 ordinal, gsize special,
           PmChunk *ret_chunk)
{
    const PmFrozenRegion *region = &heap->frozen[index];
    const gboolean mmapped = heap->regions[index].mmapped;
    const PmAddr header = region->base + (granule << heap->shift);
    const PmHeapCode code = mmapped ? PM_CODE_USED : get_code(region, granule);
    PmChunkState state;

    if (!get_state(heap, header, code, special, &state))
        return FALSE;
    const guint64 bytes =
        mmapped ? region->mmapped_chunk_bytes : pm_heap_measure_chunk(heap, index, granule);
    *ret_chunk = (PmChunk){
        .address = header + 2 * heap->word_bytes,
        .chunk_bytes = bytes,
        .usable_bytes = bytes - heap->word_bytes,
        .ordinal = ordinal,
        .arena = heap->regions[index].arena,
        .state = state,
        .mmapped = mmapped,
    };
    if (mmapped)
        ret_chunk->usable_bytes = region->mmapped_usable_bytes;
    else if (state == PM_CHUNK_TOP)
        ret_chunk->usable_bytes = 0;
    return TRUE;
}

/* The ordinal of the start at @granule. */
static guint64
get_ordinal(const PmFrozenRegion *region, guint64 granule)
{
    const guint64 block = granule / PM_HEAP_BLOCK_GRANULES;
    guint64 rank = region->carries[block] >> PM_HEAP_BACK_BITS;
    for (guint64 word = block * PM_HEAP_BLOCK_WORDS; word < granule >> 6; word++)
        rank += (guint64)__builtin_popcountll(region->starts[word]);
    const guint64 below = ((guint64)1 << (granule & 63)) - 1;
    rank += (guint64)__builtin_popcountll(region->starts[granule >> 6] & below);
    return region->first_ordinal + rank;
}

gboolean
pm_heap_get_chunk_at(const PmHeap *heap, gsize index, guint64 granule, PmChunk *ret_chunk)
{
    const PmFrozenRegion *region = &heap->frozen[index];
    const PmAddr header = region->base + (granule << heap->shift);
    const guint64 ordinal =
        heap->regions[index].mmapped ? region->first_ordinal : get_ordinal(region, granule);
    return make_chunk(heap, index, granule, ordinal, pm_heap_find_special(heap, header), ret_chunk);
}

gboolean
pm_heap_find_chunk(const PmHeap *heap, PmAddr address, PmChunk *ret_chunk, gint64 *ret_offset_bytes)
{
    gsize index = 0;
    PmChunk chunk;
    guint64 granule = 0;

    if (!pm_heap_find_region(heap, address, &index))
        return FALSE;
    const PmFrozenRegion *region = &heap->frozen[index];
    if (!heap->regions[index].mmapped)
        granule = pm_heap_find_start(region, (address - region->base) >> heap->shift);
    if (granule == PM_HEAP_NO_GRANULE)
        return FALSE;

    gboolean found = pm_heap_get_chunk_at(heap, index, granule, &chunk);
    const PmAddr header = region->base + (granule << heap->shift);
    if (address - header < heap->word_bytes && granule > 0) {
        /* prev_size is the last word of the chunk before, while that is not in a bin. */
        PmChunk before;
        const guint64 previous = pm_heap_find_start(region, granule - 1);
        if (previous != PM_HEAP_NO_GRANULE &&
            pm_heap_get_chunk_at(heap, index, previous, &before) && before.state != PM_CHUNK_BIN &&
            before.state != PM_CHUNK_TOP) {
            chunk = before;
            found = TRUE;
        }
    }
    if (!found)
        return FALSE;
    *ret_chunk = chunk;
    if (ret_offset_bytes != NULL)
        *ret_offset_bytes = (gint64)(address - chunk.address);
    return TRUE;
}

void
pm_heap_fetch(const PmHeap *heap, PmAddr header)
{
    gsize index = 0;
    if (!pm_heap_find_region(heap, header, &index) || heap->regions[index].mmapped)
        return;
    const PmFrozenRegion *region = &heap->frozen[index];
    const guint64 granule = (header - region->base) >> heap->shift;
    if (granule >= region->granules)
        return;
    __builtin_prefetch(&region->starts[granule >> 6]);
    __builtin_prefetch(&region->states[granule >> 6], 1);
    __builtin_prefetch(&region->carries[granule / PM_HEAP_BLOCK_GRANULES]);
}

void
pm_heap_iter_init(PmHeapIter *iter, const PmHeap *heap, gsize region)
{
    *iter = (PmHeapIter){.heap = heap, .region = MIN(region, heap->region_count)};
    if (iter->region < heap->region_count) {
        iter->ordinal = heap->frozen[iter->region].first_ordinal;
        iter->special = pm_heap_find_special(heap, heap->regions[iter->region].range.start);
    }
}

/* Moves on to the region behind the current one. */
static void
enter_next_region(PmHeapIter *iter)
{
    iter->region++;
    iter->granule = 0;
}

gboolean
pm_heap_iter_next(PmHeapIter *iter, PmChunk *ret_chunk)
{
    const PmHeap *heap = iter->heap;
    while (iter->region < heap->region_count) {
        const gsize index = iter->region;
        const PmFrozenRegion *region = &heap->frozen[index];
        const guint64 granule = iter->granule;
        if (granule >= MAX(region->granules, 1)) {
            enter_next_region(iter);
            continue;
        }
        const PmAddr header = region->base + (granule << heap->shift);
        if (header >= heap->regions[index].range.end) {
            enter_next_region(iter);
            continue;
        }
        while (iter->special < heap->special_count && heap->specials[iter->special].header < header)
            iter->special++;
        const gboolean is_chunk =
            make_chunk(heap, index, granule, iter->ordinal, iter->special, ret_chunk);
        iter->ordinal++;
        if (heap->regions[index].mmapped)
            enter_next_region(iter);
        else if (is_chunk)
            iter->granule += ret_chunk->chunk_bytes >> heap->shift;
        else
            iter->granule += pm_heap_measure_chunk(heap, index, granule) >> heap->shift;
        if (is_chunk)
            return TRUE;
    }
    return FALSE;
}

/* Whether the bits of the chunk that starts at @granule are those of one on a bin's list or in a
 * fastbin. */
static gboolean
is_listed(const PmFrozenRegion *region, guint64 granule)
{
    const PmHeapCode code = get_code(region, granule);
    return code == PM_CODE_BIN || code == PM_CODE_FASTBIN;
}

gboolean
pm_heap_find_free(const PmHeap *heap, gsize index, PmAddr from, PmChunk *ret_chunk)
{
    const PmFrozenRegion *region = &heap->frozen[index];
    const guint64 words = (region->granules + 63) / 64;
    const guint64 first = from > region->base ? (from - region->base) >> heap->shift : 0;
    guint64 word = first >> 6;
    if (word >= words)
        return FALSE;
    guint64 bits = region->states[word] & (~(guint64)0 << (first & 63));
    for (;;) {
        while (bits == 0) {
            if (++word >= words)
                return FALSE;
            bits = region->states[word];
        }
        const guint64 granule = word * 64 + (guint64)__builtin_ctzll(bits);
        bits &= bits - 1;
        /* A fastbin's bit is at the second granule. */
        const guint64 start = pm_heap_find_start(region, granule);
        PmChunk chunk;
        if (start != PM_HEAP_NO_GRANULE && start >= first && is_listed(region, start) &&
            pm_heap_get_chunk_at(heap, index, start, &chunk) &&
            (chunk.state == PM_CHUNK_BIN || chunk.state == PM_CHUNK_FASTBIN)) {
            *ret_chunk = chunk;
            return TRUE;
        }
    }
}

gboolean
pm_heap_may_be_free(const PmHeap *heap, gsize index, PmAddr header)
{
    const PmFrozenRegion *region = &heap->frozen[index];
    const guint64 granule = (header - region->base) >> heap->shift;
    return header < region->base || granule >= region->granules || is_listed(region, granule);
}

GArray *
pm_heap_get_gaps(const PmHeap *heap)
{
    GArray *gaps = g_array_new(FALSE, FALSE, sizeof(PmRange));
    for (gsize i = 0; i < heap->special_count; i++) {
        gsize index = 0;
        const PmAddr start = heap->specials[i].header;
        if (heap->specials[i].kind != PM_SPECIAL_GAP || !pm_heap_find_region(heap, start, &index))
            continue;
        const guint64 granule = (start - heap->frozen[index].base) >> heap->shift;
        const PmRange gap = {start, start + pm_heap_measure_chunk(heap, index, granule)};
        g_array_append_val(gaps, gap);
    }
    return gaps;
}
