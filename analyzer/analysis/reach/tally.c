#include "analysis/reach/tally.h"

/* Sizes below this are counted in an array, by granules of 8 bytes. */
#define SMALL_BYTES 32768
#define SMALL_SHIFT 3

typedef struct {
    guint64 chunk_bytes;
    guint64 chunks;
    PmAddr example;
} LostCount;

struct PmTally {
    PmReachSum classes[PM_REACH_CLASSES];
    PmReachSum stack_only;
    LostCount *small;  /* by chunk_bytes >> SMALL_SHIFT */
    GHashTable *large; /* chunk_bytes → LostCount */
};

PmTally *
pm_tally_new(void)
{
    PmTally *tally = g_new0(PmTally, 1);
    tally->small = g_new0(LostCount, SMALL_BYTES >> SMALL_SHIFT);
    tally->large = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    return tally;
}

void
pm_tally_free(PmTally *tally)
{
    if (tally == NULL)
        return;
    g_free(tally->small);
    g_hash_table_unref(tally->large);
    g_free(tally);
}

void
pm_tally_add_reached(PmTally *tally, PmReachClass reach_class, gboolean stack_only,
                     guint64 chunk_bytes)
{
    tally->classes[reach_class].chunks++;
    tally->classes[reach_class].chunk_bytes += chunk_bytes;
    if (stack_only) {
        tally->stack_only.chunks++;
        tally->stack_only.chunk_bytes += chunk_bytes;
    }
}

void
pm_tally_remove_reached(PmTally *tally, PmReachClass reach_class, gboolean stack_only,
                        guint64 chunk_bytes)
{
    tally->classes[reach_class].chunks--;
    tally->classes[reach_class].chunk_bytes -= chunk_bytes;
    if (stack_only) {
        tally->stack_only.chunks--;
        tally->stack_only.chunk_bytes -= chunk_bytes;
    }
}

static LostCount *
get_count(PmTally *tally, guint64 chunk_bytes)
{
    LostCount *count = NULL;
    if (chunk_bytes < SMALL_BYTES) {
        count = &tally->small[chunk_bytes >> SMALL_SHIFT];
    } else {
        count = g_hash_table_lookup(tally->large, &chunk_bytes);
        if (count == NULL) {
            count = g_new0(LostCount, 1);
            count->chunk_bytes = chunk_bytes;
            g_hash_table_insert(tally->large, &count->chunk_bytes, count);
        }
    }
    count->chunk_bytes = chunk_bytes;
    return count;
}

void
pm_tally_add_lost(PmTally *tally, guint64 chunk_bytes, guint64 chunks, PmAddr example)
{
    LostCount *count = get_count(tally, chunk_bytes);
    if (count->chunks == 0 || example < count->example)
        count->example = example;
    count->chunks += chunks;
}

void
pm_tally_merge(PmTally *into, const PmTally *from)
{
    GHashTableIter iter;
    gpointer value = NULL;
    for (guint i = 0; i < PM_REACH_CLASSES; i++) {
        into->classes[i].chunks += from->classes[i].chunks;
        into->classes[i].chunk_bytes += from->classes[i].chunk_bytes;
    }
    into->stack_only.chunks += from->stack_only.chunks;
    into->stack_only.chunk_bytes += from->stack_only.chunk_bytes;
    for (guint i = 0; i < SMALL_BYTES >> SMALL_SHIFT; i++) {
        const LostCount *count = &from->small[i];
        if (count->chunks > 0)
            pm_tally_add_lost(into, count->chunk_bytes, count->chunks, count->example);
    }
    g_hash_table_iter_init(&iter, from->large);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const LostCount *count = value;
        pm_tally_add_lost(into, count->chunk_bytes, count->chunks, count->example);
    }
}

static gint
compare_sizes(gconstpointer a, gconstpointer b)
{
    const PmLostSize *left = a;
    const PmLostSize *right = b;
    return left->chunk_bytes < right->chunk_bytes ? -1 : left->chunk_bytes > right->chunk_bytes;
}

static gint
compare_groups(gconstpointer a, gconstpointer b)
{
    const PmLostGroup *left = a;
    const PmLostGroup *right = b;
    if (left->lost_bytes != right->lost_bytes)
        return left->lost_bytes > right->lost_bytes ? -1 : 1;
    return left->chunk_bytes < right->chunk_bytes ? -1 : left->chunk_bytes > right->chunk_bytes;
}

void
pm_reach_sort_groups(GArray *groups)
{
    g_array_sort(groups, compare_groups);
}

static void
append_count(const LostCount *count, PmReachResult *result, GArray *sizes, GArray *groups)
{
    const guint64 bytes = count->chunks * count->chunk_bytes;
    const PmLostSize size = {.chunk_bytes = count->chunk_bytes, .lost_chunks = count->chunks};
    const PmLostGroup group = {
        .chunk_bytes = count->chunk_bytes,
        .roots = count->chunks,
        .root_bytes = bytes,
        .lost_chunks = count->chunks,
        .lost_bytes = bytes,
        .example = count->example,
    };
    g_array_append_val(sizes, size);
    g_array_append_val(groups, group);
    result->lost.chunks += count->chunks;
    result->lost.chunk_bytes += bytes;
}

void
pm_tally_get_result(const PmTally *tally, PmReachResult *result, GArray *sizes, GArray *groups)
{
    GHashTableIter iter;
    gpointer value = NULL;
    for (guint i = 0; i < PM_REACH_CLASSES; i++)
        result->classes[i] = tally->classes[i];
    result->stack_only = tally->stack_only;
    for (guint i = 0; i < SMALL_BYTES >> SMALL_SHIFT; i++)
        if (tally->small[i].chunks > 0)
            append_count(&tally->small[i], result, sizes, groups);
    g_hash_table_iter_init(&iter, tally->large);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        append_count(value, result, sizes, groups);
    result->classes[PM_REACH_LEAK_ROOT] = result->lost;
    g_array_sort(sizes, compare_sizes);
    pm_reach_sort_groups(groups);
}
