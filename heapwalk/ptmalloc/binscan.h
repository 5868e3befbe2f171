/*
 * The signature of a malloc_state: its array of bins, circular list heads of which most are empty
 * and so hold their own address. Needs no symbol and no layout.
 */
#pragma once

#include "image/space.h"

/*
 * One bins array. @bins: address of bins[0]. @empty: bins that point to themselves. @linked: bins
 * whose first and last chunk point back. @bad: bins that do neither; @unknown: bins whose chunks
 * are not in the core.
 */
typedef struct {
    PmAddr bins;
    guint empty;
    guint linked;
    guint bad;
    guint unknown;
} PmBinHit;

/*
 * Looks at the 127 bins at @bins.
 *
 * Returns: FALSE where the array itself is not readable.
 */
gboolean pm_binscan_check(const PmSpace *space, PmAddr bins, PmBinHit *ret_hit);

/* Whether @hit is good enough to be a malloc_state's: damaged ones pass too. */
gboolean pm_binscan_is_plausible(const PmBinHit *hit);

/* The same where something else says that there is a malloc_state: all its bins may hold chunks. */
gboolean pm_binscan_is_possible(const PmBinHit *hit);

/* Appends the plausible bins arrays in the dumped bytes of @range to @hits (PmBinHit). */
void pm_binscan_range(const PmSpace *space, PmRange range, GArray *hits);

/* Sorts @hits by address and keeps the best of those that overlap. */
void pm_binscan_reduce(const PmSpace *space, GArray *hits);
