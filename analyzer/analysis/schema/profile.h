/*
 * What the words of a set of chunks hold, as counts of symbols: by it sets are compared, and other
 * chunks are told whether they belong.
 */
#pragma once

#include "analysis/schema/symbols.h"

/*
 * What lengths in bits the numbers in four bytes have. @letters: those of them that could be a few
 * letters of text. @texts: how often a longer text begins there.
 */
typedef struct {
    guint32 numbers[33];
    guint32 letters[33];
    guint32 texts;
} PmLengths;

/* @counts: words × PM_SYMBOLS. @lengths: of the lower and the upper half of each
 * word. @rows: chunks counted. */
typedef struct {
    guint32 *counts;
    PmLengths *lengths;
    gsize words;
    gsize rows;
} PmProfile;

void pm_profile_init(PmProfile *profile, gsize words);
void pm_profile_clear(PmProfile *profile);
void pm_profile_add_row(PmProfile *profile, const guint8 *bytes, const guint8 *symbols,
                        guint word_bytes);
void pm_profile_add(PmProfile *profile, const PmProfile *other);

/*
 * Whether two sets are one layout of which fields are null in some chunks: no word says otherwise,
 * and as many agree as are null in one of the two only.
 *
 * @slack_word: from this word on what is of no one kind may be slack, and then says nothing.
 * @ret_agreement: (out): how much agrees, to be compared.
 */
gboolean pm_profile_is_same(const PmProfile *a, const PmProfile *b, gsize slack_word,
                            double *ret_agreement);

/* How probable each symbol is in each word: logarithms (base 2), words × PM_SYMBOLS.
 * (transfer full) */
double *pm_profile_get_scores(const PmProfile *profile);

/* The logarithm of how probable the symbols of a row are: the sum of their scores. ≤ 0. */
double pm_score_row(const double *scores, const guint8 *symbols, gsize words);
