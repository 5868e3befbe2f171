#include "heap/match.h"

#include "heap/heap-private.h"

/* The starts of a word and of the one behind it. */
__extension__ typedef unsigned __int128 Starts;

static guint64
get_plane_words(const PmFrozenRegion *region)
{
    return (region->granules + PM_HEAP_WORD_GRANULES - 1) / PM_HEAP_WORD_GRANULES;
}

guint64
pm_heap_get_words(const PmHeap *heap, gsize region)
{
    return MAX(get_plane_words(&heap->frozen[region]), 1);
}

/* The starts in word @index whose chunks have a code that @codes (bit c for PmHeapCode c) wants. */
static inline guint64
match_codes(const PmFrozenRegion *region, guint64 words, guint64 index, guint codes)
{
    const guint64 starts = region->starts[index];
    const guint64 states = region->states[index];
    guint64 behind = 0;
    if (index + 1 < words)
        behind = region->states[index + 1] & ~region->starts[index + 1];
    const guint64 first = starts & states;
    const guint64 second = starts & ((states & ~starts) >> 1 | behind << 63);
    guint64 mask = 0;
    if ((codes & 1u << PM_CODE_USED) != 0)
        mask |= starts & ~first & ~second;
    if ((codes & 1u << PM_CODE_BIN) != 0)
        mask |= first & ~second;
    if ((codes & 1u << PM_CODE_FASTBIN) != 0)
        mask |= second & ~first;
    if ((codes & 1u << PM_CODE_TCACHE) != 0)
        mask |= first & second;
    return mask;
}

/*
 * The starts in word @index that another start follows after exactly @granules, less than 64: whose
 * next @granules − 1 bits are clear. The last start of a region is none of them.
 */
static inline guint64
match_small(const PmFrozenRegion *region, guint64 words, guint64 index, guint granules)
{
    const guint64 here = region->starts[index];
    const guint64 next = index + 1 < words ? region->starts[index + 1] : 0;
    const Starts starts = (Starts)next << 64 | here;
    Starts between = 0;
    if (granules > 1) {
        /* Bit i of between: a start at i + 1 … i + covered. */
        guint covered = 1;
        between = starts >> 1;
        while (2 * covered <= granules - 1) {
            between |= between >> covered;
            covered *= 2;
        }
        between |= between >> (granules - 1 - covered);
    }
    return here & (guint64)(starts >> granules) & ~(guint64)between;
}

/* The same for 64 granules or more: only the last start of a word can have so many. */
static guint64
match_large(const PmHeap *heap, gsize index, guint64 word, guint64 chunk_bytes)
{
    const guint64 here = heap->frozen[index].starts[word];
    if (here == 0)
        return 0;
    const guint64 bit = 63 - (guint64)__builtin_clzll(here);
    const guint64 granule = word * PM_HEAP_WORD_GRANULES + bit;
    return pm_heap_measure_chunk(heap, index, granule) == chunk_bytes ? (guint64)1 << bit : 0;
}

/* Whether the chunk at @granule has the size that @heap_class wants. */
static gboolean
has_size(const PmHeap *heap, const PmHeapClass *heap_class, gsize region, guint64 granule)
{
    return heap_class->chunk_bytes == 0 ||
           pm_heap_measure_chunk(heap, region, granule) == heap_class->chunk_bytes;
}

static void
set_bit(guint64 *masks, guint64 bit, gboolean value)
{
    const guint64 mask = (guint64)1 << (bit % PM_HEAP_WORD_GRANULES);
    if (value)
        masks[bit / PM_HEAP_WORD_GRANULES] |= mask;
    else
        masks[bit / PM_HEAP_WORD_GRANULES] &= ~mask;
}

static gboolean
wants_special(const PmHeapClass *heap_class, PmSpecialKind kind)
{
    if (kind == PM_SPECIAL_TOP)
        return (heap_class->states & 1u << PM_CHUNK_TOP) != 0;
    return kind == PM_SPECIAL_RUNTIME && (heap_class->states & 1u << PM_CHUNK_RUNTIME) != 0;
}

/* Puts right what the planes say wrongly of top, gaps and glibc's own chunks in @granules from
 * @first on. */
static void
correct_specials(const PmHeap *heap, const PmHeapClass *heap_class, gsize region, guint64 first,
                 guint64 granules, guint64 *masks)
{
    const PmAddr base = heap->frozen[region].base;
    gsize i = pm_heap_find_special(heap, base + (first << heap->shift));
    for (; i < heap->special_count; i++) {
        const guint64 granule = (heap->specials[i].header - base) >> heap->shift;
        if (granule - first >= granules)
            return;
        set_bit(masks, granule - first,
                wants_special(heap_class, heap->specials[i].kind) &&
                    has_size(heap, heap_class, region, granule));
    }
}

static guint
get_codes(guint states)
{
    static const guint8 codes[PM_CHUNK_STATES] = {
        [PM_CHUNK_USED] = 1u << PM_CODE_USED,       [PM_CHUNK_BIN] = 1u << PM_CODE_BIN,
        [PM_CHUNK_FASTBIN] = 1u << PM_CODE_FASTBIN, [PM_CHUNK_TCACHE] = 1u << PM_CODE_TCACHE,
        [PM_CHUNK_TOP] = 1u << PM_CODE_BIN,         [PM_CHUNK_RUNTIME] = 1u << PM_CODE_USED,
    };
    /* Top and runtime are specials; their codes alone say something else. */
    guint wanted = 0;
    for (guint state = 0; state < PM_CHUNK_STATES; state++)
        if ((states & 1u << state) != 0 && state != PM_CHUNK_TOP && state != PM_CHUNK_RUNTIME)
            wanted |= codes[state];
    return wanted;
}

/* The masks of a region with planes, specials and the last chunk left aside. */
static void
match_planes(const PmHeap *heap, const PmHeapClass *heap_class, gsize index, guint64 first_word,
             gsize count, guint64 *masks)
{
    const PmFrozenRegion *region = &heap->frozen[index];
    const guint codes = get_codes(heap_class->states);
    const guint64 words = get_plane_words(region);
    const guint64 granules = heap_class->chunk_bytes >> heap->shift;

    for (gsize i = 0; i < count; i++) {
        const guint64 word = first_word + i;
        guint64 mask = match_codes(region, words, word, codes);
        if (granules >= PM_HEAP_WORD_GRANULES)
            mask &= match_large(heap, index, word, heap_class->chunk_bytes);
        else if (granules > 0)
            mask &= match_small(region, words, word, (guint)granules);
        masks[i] = mask;
    }
}

/* The last chunk of a region has no start behind it to measure it by. */
static void
correct_last(const PmHeap *heap, const PmHeapClass *heap_class, gsize index, guint64 first_word,
             gsize count, guint64 *masks)
{
    const PmFrozenRegion *region = &heap->frozen[index];
    const guint64 first = first_word * PM_HEAP_WORD_GRANULES;
    const guint64 last = pm_heap_find_start(region, region->granules - 1);
    if (last == PM_HEAP_NO_GRANULE || last < first || last - first >= count * PM_HEAP_WORD_GRANULES)
        return;
    const guint64 bit = (guint64)1 << (last % PM_HEAP_WORD_GRANULES);
    const guint64 word = last / PM_HEAP_WORD_GRANULES;
    const guint64 wanted =
        match_codes(region, get_plane_words(region), word, get_codes(heap_class->states));
    set_bit(masks, last - first, (wanted & bit) != 0 && has_size(heap, heap_class, index, last));
}

static guint64
match_mmapped(const PmHeap *heap, const PmHeapClass *heap_class, gsize region)
{
    PmChunk chunk;
    return pm_heap_get_chunk_at(heap, region, 0, &chunk) &&
           (heap_class->states >> chunk.state & 1) != 0 &&
           (heap_class->chunk_bytes == 0 || chunk.chunk_bytes == heap_class->chunk_bytes);
}

void
pm_heap_match(const PmHeap *heap, const PmHeapClass *heap_class, gsize region, guint64 first_word,
              gsize count, guint64 *ret_masks)
{
    const guint64 words = pm_heap_get_words(heap, region);
    for (gsize i = 0; i < count; i++)
        ret_masks[i] = 0;
    if (first_word >= words || count == 0)
        return;
    count = (gsize)MIN(count, words - first_word);
    if (heap->regions[region].mmapped) {
        ret_masks[0] = match_mmapped(heap, heap_class, region);
        return;
    }
    if (heap->frozen[region].granules == 0 ||
        (heap_class->chunk_bytes & (((guint64)1 << heap->shift) - 1)) != 0)
        return;
    match_planes(heap, heap_class, region, first_word, count, ret_masks);
    correct_last(heap, heap_class, region, first_word, count, ret_masks);
    correct_specials(heap, heap_class, region, first_word * PM_HEAP_WORD_GRANULES,
                     count * PM_HEAP_WORD_GRANULES, ret_masks);
}

gboolean
pm_heap_get_chunk(const PmHeap *heap, gsize region, guint64 granule, PmChunk *ret_chunk)
{
    return pm_heap_get_chunk_at(heap, region, granule, ret_chunk);
}
