/*
 * The chunks that pass a filter, block by block of the heap's planes: what need not look at each
 * chunk does not.
 */
#pragma once

#include "analysis/chunks.h"
#include "heap/match.h"

/* Words of 64 granules that make a block. */
#define PM_POPULATION_WORDS 64

/* @walk: what decides of single chunks. @heap_class, @reach (NULL: of any class): what planes
 * decide. */
typedef struct {
    const PmHeap *heap;
    const PmReach *reach;
    PmChunkWalk walk;
    PmHeapClass heap_class;
} PmPopulation;

/* A block: the words of @region from @first_word on. */
typedef struct {
    guint32 region;
    guint64 first_word;
} PmPopulationBlock;

/* @reach: needed where the filter asks for classes; else it may be NULL. */
void pm_population_init(PmPopulation *population, const PmSubject *subject, const PmReach *reach,
                        const PmChunkFilter *filter);

/* The block behind @block, or the first one where @block is NULL; those of regions that have none
 * of the population are left out. FALSE at the end. */
gboolean pm_population_next(const PmPopulation *population, const PmPopulationBlock *block,
                            PmPopulationBlock *ret_block);

/*
 * The population's chunks in @block: bit b of @ret_masks[w] for the one at granule
 * (first_word + w) × 64 + b, as pm_heap_get_chunk() takes it.
 *
 * @ret_masks: (out): PM_POPULATION_WORDS of them. Thread-safe.
 */
void pm_population_match(const PmPopulation *population, const PmPopulationBlock *block,
                         guint64 *ret_masks);
