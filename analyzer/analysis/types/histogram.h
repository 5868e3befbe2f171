/*
 * The chunks in use by type, as `types` shows them; every byte is in one row.
 */
#pragma once

#include "analysis/sizes.h"
#include "analysis/types/naming.h"

/*
 * @name: owned. @confidence: of its chunks, the mean by bytes. @is_estimated: how many there are
 * was reckoned from a sample. @chunk_size: of rows by fit and layout, whose chunks are of one size;
 * else 0. @example: a user pointer.
 */
typedef struct {
    char *name;
    PmTypedBy by;
    guint64 chunks;
    guint64 chunk_bytes;
    double confidence;
    gboolean is_estimated;
    guint64 chunk_size;
    PmAddr example;
    const char *reason; /* borrowed from the typing, or static; may be NULL */
} PmTypeRow;

/*
 * @rows: most bytes first. @used: all in use, runtime included: the sum of the rows.
 */
typedef struct {
    PmTypeRow *rows;
    gsize row_count;
    PmTotal used;
} PmTypeHistogram;

/* Sizes whose chunks without a type are looked at, those with most bytes first. */
#define PM_HISTOGRAM_SIZES 48

/* @namer: of the same typing, for what it cannot type chunk by chunk: named from a sample of each
 * size. Never fails. One pass over the index. */
PmTypeHistogram *pm_type_histogram_new(PmTyping *typing, const PmNamer *namer);
void pm_type_histogram_free(PmTypeHistogram *histogram);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmTypeHistogram, pm_type_histogram_free)
