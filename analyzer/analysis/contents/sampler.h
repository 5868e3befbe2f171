/*
 * Chunks chosen evenly over the address space: repeatable, and without a visit to each chunk of a
 * large heap.
 */
#pragma once

#include "analysis/chunks.h"

/*
 * @chunks: ascending by address, each once; @count of them.
 * @population: how many chunks pass the filter. @population_known: that is exact, as it is of
 * pm_sample_new(); else an estimate.
 * @is_whole: the sample is all of them.
 */
typedef struct {
    PmChunk *chunks;
    gsize count;
    guint64 population;
    gboolean population_known;
    gboolean is_whole;
} PmSample;

/*
 * At most @max_chunks of the chunks that pass @filter, as even over the heap's addresses as they
 * themselves are: every chunk of the population is (nearly) as likely as any other.
 *
 * @reach: needed where the filter asks for classes; else it may be NULL. @seed: the same seed gives
 * the same sample. Never fails. A class that is rare in a large heap costs one pass over the index,
 * none over the chunks' contents.
 */
PmSample *pm_sample_new(const PmSubject *subject, const PmReach *reach, const PmChunkFilter *filter,
                        gsize max_chunks, guint64 seed);
void pm_sample_free(PmSample *sample);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmSample, pm_sample_free)

/*
 * Copies the first @count bytes of the user data of @chunk; bytes that the core has not (lost, not
 * dumped) are zero and FALSE is returned.
 *
 * @count: at most chunk->usable_bytes.
 */
gboolean pm_sample_read(const PmSubject *subject, const PmChunk *chunk, guint8 *bytes, gsize count);
