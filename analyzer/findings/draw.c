#include "findings/draw.h"

/* Any number, so that two runs give one answer. */
#define SEED 1

PmSample *
pm_draw_chunks(const PmFindingsInput *input, guint64 chunk_bytes, guint classes, gsize count)
{
    const PmChunkFilter filter = {.states = 1U << PM_CHUNK_USED,
                                  .by_chunk_bytes = chunk_bytes != 0,
                                  .chunk_bytes = chunk_bytes,
                                  .reaches = input->reach != NULL ? classes : 0};
    return pm_sample_new(input->subject, input->reach, &filter, count, SEED);
}
