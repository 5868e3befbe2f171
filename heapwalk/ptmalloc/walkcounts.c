/*
 * What a walk counts, by size.
 */
#include <string.h>

#include "ptmalloc/walk.h"

void
pm_walk_counts_init(PmWalkCounts *counts, guint shift)
{
    *counts = (PmWalkCounts){.pin = PM_ADDR_NONE};
    counts->all = g_new0(guint64, PM_WALK_SMALL_BYTES >> shift);
    counts->bins = g_new0(guint64, PM_WALK_SMALL_BYTES >> shift);
    counts->large = pm_size_table_new();
    counts->foreign_gaps = g_array_new(FALSE, FALSE, sizeof(guint64));
    counts->buffer = g_malloc(PM_WALK_BUFFER_BYTES);
}

void
pm_walk_counts_clear(PmWalkCounts *counts)
{
    g_free(counts->all);
    g_free(counts->bins);
    g_free(counts->buffer);
    g_array_unref(counts->foreign_gaps);
    g_hash_table_unref(counts->large);
}

static void
add_counts(PmSizeTable *sizes, PmWalkCounts *counts, guint64 bytes, const guint64 *chunks)
{
    PmSizeCount *sum = pm_size_table_get(sizes, bytes);
    for (guint state = 0; state < PM_CHUNK_STATES; state++) {
        sum->chunks[state] += chunks[state];
        if (pm_chunk_state_is_free((PmChunkState)state))
            counts->free_bytes += bytes * chunks[state];
        else
            counts->used_bytes += bytes * chunks[state];
    }
}

void
pm_walk_counts_fold(PmWalkCounts *counts, PmArenaBuild *build, guint shift)
{
    GHashTableIter iter;
    gpointer value = NULL;

    g_mutex_lock(&build->lock);
    for (guint64 i = 0; i < (guint64)PM_WALK_SMALL_BYTES >> shift; i++) {
        if (counts->all[i] == 0)
            continue;
        const guint64 chunks[PM_CHUNK_STATES] = {
            [PM_CHUNK_USED] = counts->all[i] - counts->bins[i],
            [PM_CHUNK_BIN] = counts->bins[i],
        };
        add_counts(build->sizes, counts, i << shift, chunks);
    }
    g_hash_table_iter_init(&iter, counts->large);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const PmSizeCount *count = value;
        add_counts(build->sizes, counts, count->chunk_bytes, count->chunks);
    }
    g_mutex_unlock(&build->lock);
    memset(counts->all, 0, (PM_WALK_SMALL_BYTES >> shift) * sizeof(guint64));
    memset(counts->bins, 0, (PM_WALK_SMALL_BYTES >> shift) * sizeof(guint64));
    g_hash_table_remove_all(counts->large);
}
