/* Counts of the reachability scan, one for each worker, merged at the end. */
#pragma once

#include "analysis/reach/reach.h"

typedef struct PmTally PmTally;

PmTally *pm_tally_new(void);
void pm_tally_free(PmTally *tally);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmTally, pm_tally_free)

/* Counts a chunk that was reached. @stack_only: by words on stacks alone. */
void pm_tally_add_reached(PmTally *tally, PmReachClass reach_class, gboolean stack_only,
                          guint64 chunk_bytes);
void pm_tally_remove_reached(PmTally *tally, PmReachClass reach_class, gboolean stack_only,
                             guint64 chunk_bytes);

/* Counts @chunks lost chunks of one size. @example: the user pointer of one; the lowest of each
 * size is kept. */
void pm_tally_add_lost(PmTally *tally, guint64 chunk_bytes, guint64 chunks, PmAddr example);

/* Adds @from to @into. */
void pm_tally_merge(PmTally *into, const PmTally *from);

/*
 * Fills the classes and sums of @result, as if every lost chunk were a leak root; @sizes
 * (PmLostSize, by size), and @groups (PmLostGroup, by bytes) accordingly.
 */
void pm_tally_get_result(const PmTally *tally, PmReachResult *result, GArray *sizes,
                         GArray *groups);

/* Sorts groups by lost bytes, most first. */
void pm_reach_sort_groups(GArray *groups);
