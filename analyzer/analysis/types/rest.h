/*
 * The chunks of each size that nothing names one by one: counted, and some of each kept as a
 * sample, while all chunks are passed by once.
 */
#pragma once

#include "analysis/contents/sampler.h"

typedef struct PmRest PmRest;

/* Chunks of one size that are kept. */
#define PM_REST_SAMPLE 1024

PmRest *pm_rest_new(void);
void pm_rest_free(PmRest *rest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmRest, pm_rest_free)

/* Counts @chunk. Every chunk of a size is as likely as any other to be kept; the same chunks in the
 * same order give the same sample. */
void pm_rest_add(PmRest *rest, const PmChunk *chunk);

/* The sizes, those with most bytes first. (transfer full): guint64. */
GArray *pm_rest_get_sizes(const PmRest *rest);

/* What was kept of the chunks of @chunk_bytes, one of pm_rest_get_sizes(). (transfer full) */
PmSample *pm_rest_get_sample(const PmRest *rest, guint64 chunk_bytes);
