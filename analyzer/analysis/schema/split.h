/*
 * The split of a set of rows that saves the most bits: of all features and their values that after
 * which the other words are easiest to tell.
 */
#pragma once

#include "analysis/schema/features.h"

/*
 * One value of one feature: rows have it or not.
 *
 * @column: index of the feature. @code: of its value.
 * @gain_bits: what the other words cost less, with the cost of two descriptions taken off.
 * @needed_bits: what it takes to say which rows have it.
 * @strongest_bits: what the one word that follows it best costs less.
 */
typedef struct {
    gsize column;
    guint8 code;
    gsize rows;
    double gain_bits;
    double needed_bits;
    double strongest_bits;
} PmSplit;

/* @rows: indices into the codes of features, @count of them. @least: that each side must have. */
typedef struct {
    const guint32 *rows;
    gsize count;
    gsize least;
} PmSplitRows;

/*
 * The best split of those that are worth it.
 *
 * @columns: PmFeatureColumn. @words: of the matrix.
 * Returns: FALSE where none is worth it.
 */
gboolean pm_split_find(const GArray *columns, const PmSplitRows *rows, gsize words,
                       guint word_bytes, PmSplit *ret_split);
