/*
 * What the words of a set of chunks hold, as counts of symbols: by it sets are compared, and other
 * chunks are told whether they belong.
 */
#pragma once

#include "analysis/schema/symbols.h"

/* @counts: words × PM_SYMBOLS. @rows: chunks counted. */
typedef struct {
    guint32 *counts;
    gsize words;
    gsize rows;
} PmProfile;

void pm_profile_init(PmProfile *profile, gsize words);
void pm_profile_clear(PmProfile *profile);
void pm_profile_add_row(PmProfile *profile, const guint8 *symbols);
void pm_profile_add(PmProfile *profile, const PmProfile *other);

/*
 * Whether two sets are one layout of which fields are null in some chunks: no word says otherwise,
 * and as many agree as are null in one of the two only.
 *
 * @ret_agreement: (out): how much agrees, to be compared.
 */
gboolean pm_profile_is_same(const PmProfile *a, const PmProfile *b, double *ret_agreement);

/* How probable the symbols are, as the logarithm (base 2) of it, of the profile. ≤ 0. */
double pm_profile_score(const PmProfile *profile, const guint8 *symbols);
