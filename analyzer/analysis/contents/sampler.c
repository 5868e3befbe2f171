/*
 * Choosing chunks evenly; see sampler.h. The population is counted block by block with the planes
 * of the index, cut into as many strata of equal numbers as chunks are wanted, and of each stratum
 * one chunk is drawn.
 */
#include "analysis/contents/sampler.h"

#include "heap/match.h"

#include <string.h>

/* Words of 64 granules that are counted together. */
#define BLOCK_WORDS 64

/* @first_word: of region @region; @count: its chunks of the population. */
typedef struct {
    guint32 region;
    guint32 count;
    guint64 first_word;
} Block;

/* @walk: what decides of single chunks. @heap_class: what the planes decide. @by_chunk: each chunk
 * that the planes let pass must still be looked at. */
typedef struct {
    const PmHeap *heap;
    PmChunkWalk walk;
    PmHeapClass heap_class;
    gboolean by_chunk;
} Sampler;

static void
init(Sampler *sampler, const PmSubject *subject, const PmReach *reach, const PmChunkFilter *filter)
{
    *sampler = (Sampler){
        .heap = pm_ptmalloc_get_heap(subject->ptmalloc),
        .heap_class.states = filter->states,
        .by_chunk = filter->reaches != 0,
    };
    pm_chunk_walk_init(&sampler->walk, subject, reach, filter);
    if (filter->by_chunk_bytes)
        sampler->heap_class.chunk_bytes = filter->chunk_bytes;
    else if (filter->by_request)
        sampler->heap_class.chunk_bytes = sampler->walk.class_bytes;
}

/* Clears the bits of chunks that do not pass. */
static guint64
keep_passing(const Sampler *sampler, const Block *block, gsize word, guint64 mask)
{
    guint64 kept = 0;
    while (mask != 0) {
        const guint64 bit = (guint64)__builtin_ctzll(mask);
        PmChunk chunk;
        if (pm_heap_get_chunk(sampler->heap, block->region,
                              (block->first_word + word) * PM_HEAP_WORD_GRANULES + bit, &chunk) &&
            pm_chunk_walk_passes(&sampler->walk, &chunk))
            kept |= (guint64)1 << bit;
        mask &= mask - 1;
    }
    return kept;
}

/* The population's chunks in @block as bits, BLOCK_WORDS words of them. */
static void
match_block(const Sampler *sampler, const Block *block, guint64 *masks)
{
    gsize count = 0;
    const PmHeapRegion *region = &pm_heap_get_regions(sampler->heap, &count)[block->region];
    PmHeapClass heap_class = sampler->heap_class;
    /* The request decides of mmapped chunks, not the size. */
    if (region->mmapped)
        heap_class.chunk_bytes = 0;
    pm_heap_match(sampler->heap, &heap_class, block->region, block->first_word, BLOCK_WORDS, masks);
    if (!sampler->by_chunk && !region->mmapped)
        return;
    for (gsize i = 0; i < BLOCK_WORDS; i++)
        masks[i] = keep_passing(sampler, block, i, masks[i]);
}

static guint
count_bits(const guint64 *masks)
{
    guint count = 0;
    for (gsize i = 0; i < BLOCK_WORDS; i++)
        count += (guint)__builtin_popcountll(masks[i]);
    return count;
}

/* The blocks that hold some of the population; (transfer full): Block. */
static GArray *
count_blocks(const Sampler *sampler, guint64 *ret_population)
{
    GArray *blocks = g_array_new(FALSE, FALSE, sizeof(Block));
    const PmChunkFilter *filter = &sampler->walk.filter;
    guint64 masks[BLOCK_WORDS];
    gsize region_count = 0;
    guint64 population = 0;
    const PmHeapRegion *regions = pm_heap_get_regions(sampler->heap, &region_count);
    /* No chunk has 0 bytes; to the planes that means any size. */
    const gboolean none = filter->by_chunk_bytes && filter->chunk_bytes == 0;

    for (gsize i = 0; i < region_count && !none; i++) {
        if (filter->by_arena && regions[i].arena != filter->arena)
            continue;
        const guint64 words = pm_heap_get_words(sampler->heap, i);
        for (guint64 word = 0; word < words; word += BLOCK_WORDS) {
            Block block = {.region = (guint32)i, .first_word = word};
            match_block(sampler, &block, masks);
            block.count = count_bits(masks);
            population += block.count;
            if (block.count > 0)
                g_array_append_val(blocks, block);
        }
    }
    *ret_population = population;
    return blocks;
}

/* The next number of a sequence that looks random. (splitmix64, Steele, Lea and Flood 2014) */
static guint64
next_random(guint64 *state)
{
    guint64 z = *state += G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * G_GUINT64_CONSTANT(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * G_GUINT64_CONSTANT(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* The rank at which stratum @index of @count begins. */
static guint64
get_stratum(guint64 index, guint64 count, guint64 population)
{
    __extension__ typedef unsigned __int128 Product;
    return (guint64)((Product)index * population / count);
}

/* The chunk that is number @rank of those in @block. */
static gboolean
get_ranked(const Sampler *sampler, const Block *block, const guint64 *masks, guint rank,
           PmChunk *ret_chunk)
{
    for (gsize i = 0; i < BLOCK_WORDS; i++) {
        guint64 mask = masks[i];
        const guint count = (guint)__builtin_popcountll(mask);
        if (rank >= count) {
            rank -= count;
            continue;
        }
        while (rank-- > 0)
            mask &= mask - 1;
        return pm_heap_get_chunk(sampler->heap, block->region,
                                 (block->first_word + i) * PM_HEAP_WORD_GRANULES +
                                     (guint64)__builtin_ctzll(mask),
                                 ret_chunk);
    }
    return FALSE;
}

/* Draws one chunk of each stratum; @sample->count of them are wanted. */
static void
draw(const Sampler *sampler, const GArray *blocks, guint64 seed, PmSample *sample)
{
    guint64 masks[BLOCK_WORDS];
    const gsize wanted = sample->count;
    const Block *matched = NULL;
    guint64 passed = 0; /* ranks before the block */
    guint at = 0;

    sample->count = 0;
    for (gsize i = 0; i < wanted; i++) {
        const guint64 start = get_stratum(i, wanted, sample->population);
        const guint64 width = get_stratum(i + 1, wanted, sample->population) - start;
        const guint64 rank = start + next_random(&seed) % width;
        while (rank - passed >= g_array_index(blocks, Block, at).count)
            passed += g_array_index(blocks, Block, at++).count;
        const Block *block = &g_array_index(blocks, Block, at);
        if (block != matched)
            match_block(sampler, block, masks);
        matched = block;
        if (get_ranked(sampler, block, masks, (guint)(rank - passed),
                       &sample->chunks[sample->count]))
            sample->count++;
    }
}

PmSample *
pm_sample_new(const PmSubject *subject, const PmReach *reach, const PmChunkFilter *filter,
              gsize max_chunks, guint64 seed)
{
    Sampler sampler;
    PmSample *sample = g_new0(PmSample, 1);
    init(&sampler, subject, reach, filter);
    g_autoptr(GArray) blocks = count_blocks(&sampler, &sample->population);
    sample->count = (gsize)MIN(max_chunks, sample->population);
    sample->population_known = TRUE;
    sample->is_whole = sample->count == sample->population;
    sample->chunks = g_new0(PmChunk, sample->count);
    draw(&sampler, blocks, seed, sample);
    return sample;
}

void
pm_sample_free(PmSample *sample)
{
    if (sample == NULL)
        return;
    g_free(sample->chunks);
    g_free(sample);
}

gboolean
pm_sample_read(const PmSubject *subject, const PmChunk *chunk, guint8 *bytes, gsize count)
{
    const PmSpace *space = pm_process_get_space(subject->process);
    gboolean whole = TRUE;
    gsize done = 0;

    if (pm_space_read(space, chunk->address, bytes, count))
        return TRUE;
    while (done < count) {
        PmSpan span;
        pm_space_get_span(space, chunk->address + done, &span);
        const gsize length = (gsize)MIN(span.length_bytes, count - done);
        if (span.bytes != NULL)
            memcpy(bytes + done, span.bytes, length);
        else
            memset(bytes + done, 0, length);
        whole = whole && (span.bytes != NULL || span.hole);
        done += length;
    }
    return whole;
}
