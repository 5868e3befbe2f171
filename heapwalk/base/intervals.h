/*
 * A map from stretches of addresses to what claimed them first. Stretches never overlap: what is
 * added later gets only what is still free.
 */
#pragma once

#include "base/address.h"

/* @tag: the caller's own number, such as an index. */
typedef struct {
    PmAddr start;
    PmAddr end;
    guint64 tag;
} PmInterval;

typedef struct PmIntervals PmIntervals;

PmIntervals *pm_intervals_new(void);
void pm_intervals_free(PmIntervals *intervals);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmIntervals, pm_intervals_free)

/* Gives the free parts of @range to @tag. Cheap where ranges come in ascending order. */
void pm_intervals_add(PmIntervals *intervals, PmRange range, guint64 tag);

/* All stretches in ascending order. Borrowed until the next pm_intervals_add(). */
const PmInterval *pm_intervals_get(const PmIntervals *intervals, gsize *ret_count);

/* The first stretch that ends after @address, or NULL. O(log n). Borrowed like the above. */
const PmInterval *pm_intervals_find(const PmIntervals *intervals, PmAddr address);
