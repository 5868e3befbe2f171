#include "base/intervals.h"

struct PmIntervals {
    GArray *array; /* PmInterval, ascending, without overlaps */
};

PmIntervals *
pm_intervals_new(void)
{
    PmIntervals *intervals = g_new0(PmIntervals, 1);
    intervals->array = g_array_new(FALSE, FALSE, sizeof(PmInterval));
    return intervals;
}

void
pm_intervals_free(PmIntervals *intervals)
{
    if (intervals == NULL)
        return;
    g_array_unref(intervals->array);
    g_free(intervals);
}

/* Index of the first stretch that ends after @address. */
static guint
lower_bound(const GArray *array, PmAddr address)
{
    guint low = 0, high = array->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(array, PmInterval, middle).end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void
pm_intervals_add(PmIntervals *intervals, PmRange range, guint64 tag)
{
    GArray *array = intervals->array;
    PmAddr next = range.start;
    for (guint i = lower_bound(array, range.start); next < range.end; i++) {
        PmAddr taken_start = range.end;
        PmAddr taken_end = range.end;
        if (i < array->len) {
            taken_start = MIN(range.end, g_array_index(array, PmInterval, i).start);
            taken_end = g_array_index(array, PmInterval, i).end;
        }
        if (next < taken_start) {
            const PmInterval interval = {next, taken_start, tag};
            g_array_insert_val(array, i, interval);
            i++;
        }
        next = MAX(next, taken_end);
    }
}

const PmInterval *
pm_intervals_get(const PmIntervals *intervals, gsize *ret_count)
{
    *ret_count = intervals->array->len;
    return (const PmInterval *)(gpointer)intervals->array->data;
}

const PmInterval *
pm_intervals_find(const PmIntervals *intervals, PmAddr address)
{
    const guint i = lower_bound(intervals->array, address);
    return i < intervals->array->len ? &g_array_index(intervals->array, PmInterval, i) : NULL;
}
