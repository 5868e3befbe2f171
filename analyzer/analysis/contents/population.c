/*
 * Filters on the planes of the index; see population.h.
 */
#include "analysis/contents/population.h"

void
pm_population_init(PmPopulation *population, const PmSubject *subject, const PmReach *reach,
                   const PmChunkFilter *filter)
{
    *population = (PmPopulation){
        .heap = pm_ptmalloc_get_heap(subject->ptmalloc),
        .reach = filter->reaches != 0 ? reach : NULL,
        .heap_class.states = filter->states,
    };
    /* Only chunks in use have a class. */
    if (filter->reaches != 0)
        population->heap_class.states &= 1U << PM_CHUNK_USED;
    pm_chunk_walk_init(&population->walk, subject, reach, filter);
    if (filter->by_chunk_bytes)
        population->heap_class.chunk_bytes = filter->chunk_bytes;
    else if (filter->by_request)
        population->heap_class.chunk_bytes = population->walk.class_bytes;
}

static gboolean
takes_region(const PmPopulation *population, const PmHeapRegion *region)
{
    const PmChunkFilter *filter = &population->walk.filter;
    return !filter->by_arena || region->arena == filter->arena;
}

gboolean
pm_population_next(const PmPopulation *population, const PmPopulationBlock *block,
                   PmPopulationBlock *ret_block)
{
    const PmChunkFilter *filter = &population->walk.filter;
    gsize count = 0;
    const PmHeapRegion *regions = pm_heap_get_regions(population->heap, &count);
    PmPopulationBlock next = {0, 0};

    /* No chunk has 0 bytes; to the planes that means any size. */
    if (filter->by_chunk_bytes && filter->chunk_bytes == 0)
        return FALSE;
    if (block != NULL) {
        next = *block;
        next.first_word += PM_POPULATION_WORDS;
        if (next.first_word >= pm_heap_get_words(population->heap, next.region))
            next = (PmPopulationBlock){.region = next.region + 1};
    }
    while (next.region < count && !takes_region(population, &regions[next.region]))
        next = (PmPopulationBlock){.region = next.region + 1};
    if (next.region >= count)
        return FALSE;
    *ret_block = next;
    return TRUE;
}

/* Clears the bits of chunks that do not pass. */
static guint64
keep_passing(const PmPopulation *population, const PmPopulationBlock *block, gsize word,
             guint64 mask)
{
    guint64 kept = 0;
    while (mask != 0) {
        const guint64 bit = (guint64)__builtin_ctzll(mask);
        PmChunk chunk;
        if (pm_heap_get_chunk(population->heap, block->region,
                              (block->first_word + word) * PM_HEAP_WORD_GRANULES + bit, &chunk) &&
            pm_chunk_walk_passes(&population->walk, &chunk))
            kept |= (guint64)1 << bit;
        mask &= mask - 1;
    }
    return kept;
}

void
pm_population_match(const PmPopulation *population, const PmPopulationBlock *block,
                    guint64 *ret_masks)
{
    gsize count = 0;
    const PmHeapRegion *region = &pm_heap_get_regions(population->heap, &count)[block->region];
    PmHeapClass heap_class = population->heap_class;
    /* The request decides of mmapped chunks, not the size. */
    if (region->mmapped)
        heap_class.chunk_bytes = 0;
    pm_heap_match(population->heap, &heap_class, block->region, block->first_word,
                  PM_POPULATION_WORDS, ret_masks);
    for (gsize i = 0; i < PM_POPULATION_WORDS; i++) {
        if (ret_masks[i] == 0)
            continue;
        if (region->mmapped)
            ret_masks[i] = keep_passing(population, block, i, ret_masks[i]);
        else if (population->reach != NULL)
            ret_masks[i] = pm_reach_match(population->reach, block->region, block->first_word + i,
                                          ret_masks[i], population->walk.filter.reaches);
    }
}
