/*
 * What can tell two layouts apart: features of words, halves of words and bytes, each with few
 * values.
 */
#pragma once

#include "analysis/schema/symbols.h"

typedef enum {
    PM_FEATURE_WORD,       /* the symbol of a word */
    PM_FEATURE_HALF,       /* PmHalf of four bytes */
    PM_FEATURE_HALF_VALUE, /* four bytes that hold few values: a tag */
    PM_FEATURE_BYTE,       /* a byte that holds few values */
    PM_FEATURE_PLACE,      /* a word that points to few places of modules: a class, a table */
} PmFeatureType;

/* Where a feature is: @width bytes at @offset of the chunk. */
typedef struct {
    PmFeatureType type;
    guint16 offset;
    guint16 width;
} PmFeature;

/* What a feature is of a row where it cannot be told: within a text, and (of parts of words) where
 * the word is no number. */
#define PM_RAW_MISSING G_MAXUINT64

/* The value of a feature in one row. @symbols: of the row's words. */
guint64 pm_feature_read(const PmFeature *feature, const guint8 *bytes, const guint8 *symbols,
                        guint word_bytes);

/* More values than these are one: the last. */
#define PM_FEATURE_VALUES 24
#define PM_VALUE_MISSING  0xff

/* @values: of the feature, the most frequent first; @count of them. @codes: of each row the index
 * of its value, PM_VALUE_MISSING where there is none. */
typedef struct {
    PmFeature feature;
    guint64 values[PM_FEATURE_VALUES];
    gsize count;
    guint8 *codes;
} PmFeatureColumn;

/*
 * The features that take more than one value.
 *
 * @symbols: rows × words of the matrix. @rows: those to look at.
 * Returns: (transfer full): PmFeatureColumn, at most @max of them: words before halves before
 * bytes.
 */
GArray *pm_features_new(const PmRows *rows, const guint8 *symbols, gsize max);
