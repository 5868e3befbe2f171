/*
 * Target addresses and the arithmetic on numbers that a core supplies.
 *
 * A PmAddr is a number, never a host pointer. Every sum of two numbers of which one comes from a
 * core goes through these helpers, so that a wrapped address cannot pass a bounds check.
 */
#pragma once

#include <glib.h>

/* An address in the dead process, zero-extended where the target has 32 bits. */
typedef guint64 PmAddr;

/* "No address"; no mapping of a Linux process ends above it. */
#define PM_ADDR_NONE G_MAXUINT64

/* A half-open range of target addresses, start ≤ end. */
typedef struct {
    PmAddr start;
    PmAddr end;
} PmRange;

/* The order of two PmAddr, for sorting and searching. */
static inline gint
pm_addr_compare(gconstpointer a, gconstpointer b)
{
    const PmAddr left = *(const PmAddr *)a;
    const PmAddr right = *(const PmAddr *)b;
    return left < right ? -1 : left > right;
}

static inline guint64
pm_range_bytes(PmRange range)
{
    return range.end - range.start;
}

static inline gboolean
pm_range_contains(PmRange range, PmAddr address)
{
    return address >= range.start && address < range.end;
}

/*
 * Adds @bytes to @address.
 *
 * @ret_sum: (out): the sum; untouched where it does not fit.
 * Returns: FALSE where the sum would wrap.
 */
static inline gboolean
pm_addr_add(PmAddr address, guint64 bytes, PmAddr *ret_sum)
{
    guint64 sum = 0;
    if (__builtin_add_overflow(address, bytes, &sum))
        return FALSE;
    *ret_sum = sum;
    return TRUE;
}

/* Rounds @value down to a multiple of @alignment, a power of two. */
static inline guint64
pm_align_down(guint64 value, guint64 alignment)
{
    return value & ~(alignment - 1);
}

/* Rounds @value up to a multiple of @alignment, a power of two; saturates at the largest such
 * multiple. */
static inline guint64
pm_align_up(guint64 value, guint64 alignment)
{
    guint64 sum = 0;
    if (__builtin_add_overflow(value, alignment - 1, &sum))
        sum = G_MAXUINT64;
    return pm_align_down(sum, alignment);
}
