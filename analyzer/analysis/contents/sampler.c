/*
 * Choosing chunks evenly; see sampler.h. The population is counted block by block with the planes
 * of the index, cut into as many strata of equal numbers as chunks are wanted, and of each stratum
 * one chunk is drawn.
 */
#include "analysis/contents/sampler.h"

#include "analysis/contents/population.h"

#include <string.h>

/* @count: the chunks of the population in it. */
typedef struct {
    PmPopulationBlock place;
    guint count;
} Block;

static guint
count_bits(const guint64 *masks)
{
    guint count = 0;
    for (gsize i = 0; i < PM_POPULATION_WORDS; i++)
        count += (guint)__builtin_popcountll(masks[i]);
    return count;
}

/* The blocks that hold some of the population; (transfer full): Block. */
static GArray *
count_blocks(const PmPopulation *population, guint64 *ret_count)
{
    GArray *blocks = g_array_new(FALSE, FALSE, sizeof(Block));
    guint64 masks[PM_POPULATION_WORDS];
    Block block;
    gboolean more = pm_population_next(population, NULL, &block.place);
    *ret_count = 0;
    while (more) {
        pm_population_match(population, &block.place, masks);
        block.count = count_bits(masks);
        *ret_count += block.count;
        if (block.count > 0)
            g_array_append_val(blocks, block);
        more = pm_population_next(population, &block.place, &block.place);
    }
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
get_ranked(const PmPopulation *population, const Block *block, const guint64 *masks, guint rank,
           PmChunk *ret_chunk)
{
    for (gsize i = 0; i < PM_POPULATION_WORDS; i++) {
        guint64 mask = masks[i];
        const guint count = (guint)__builtin_popcountll(mask);
        if (rank >= count) {
            rank -= count;
            continue;
        }
        while (rank-- > 0)
            mask &= mask - 1;
        return pm_heap_get_chunk(population->heap, block->place.region,
                                 (block->place.first_word + i) * PM_HEAP_WORD_GRANULES +
                                     (guint64)__builtin_ctzll(mask),
                                 ret_chunk);
    }
    return FALSE;
}

/* Draws one chunk of each stratum; @sample->count of them are wanted. */
static void
draw(const PmPopulation *population, const GArray *blocks, guint64 seed, PmSample *sample)
{
    guint64 masks[PM_POPULATION_WORDS];
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
            pm_population_match(population, &block->place, masks);
        matched = block;
        if (get_ranked(population, block, masks, (guint)(rank - passed),
                       &sample->chunks[sample->count]))
            sample->count++;
    }
}

PmSample *
pm_sample_new(const PmSubject *subject, const PmReach *reach, const PmChunkFilter *filter,
              gsize max_chunks, guint64 seed)
{
    PmPopulation population;
    PmSample *sample = g_new0(PmSample, 1);
    pm_population_init(&population, subject, reach, filter);
    g_autoptr(GArray) blocks = count_blocks(&population, &sample->population);
    sample->count = (gsize)MIN(max_chunks, sample->population);
    sample->population_known = TRUE;
    sample->is_whole = sample->count == sample->population;
    sample->chunks = g_new0(PmChunk, sample->count);
    draw(&population, blocks, seed, sample);
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
