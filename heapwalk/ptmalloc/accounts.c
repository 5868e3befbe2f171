/*
 * The sums: counts by size of each arena and of all, and whether every byte of every arena is
 * accounted for.
 */
#include "ptmalloc/ptmalloc-private.h"

PmSizeTable *
pm_size_table_new(void)
{
    return g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
}

PmSizeCount *
pm_size_table_get(PmSizeTable *table, guint64 chunk_bytes)
{
    PmSizeCount *count = g_hash_table_lookup(table, &chunk_bytes);
    if (count == NULL) {
        count = g_new0(PmSizeCount, 1);
        count->chunk_bytes = chunk_bytes;
        g_hash_table_insert(table, &count->chunk_bytes, count);
    }
    return count;
}

static gint
compare_sizes(gconstpointer a, gconstpointer b)
{
    const PmSizeCount *left = a;
    const PmSizeCount *right = b;
    return left->chunk_bytes < right->chunk_bytes ? -1 : left->chunk_bytes > right->chunk_bytes;
}

PmSizeCount *
pm_size_table_freeze(PmSizeTable *table, gsize *ret_count)
{
    g_autoptr(GArray) array = g_array_new(FALSE, FALSE, sizeof(PmSizeCount));
    GHashTableIter iter;
    gpointer value = NULL;
    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        g_array_append_vals(array, value, 1);
    g_array_sort(array, compare_sizes);
    return (PmSizeCount *)(gpointer)g_array_steal(array, ret_count);
}

static void
merge_sizes(PmSizeTable *into, PmSizeTable *from)
{
    GHashTableIter iter;
    gpointer value = NULL;
    g_hash_table_iter_init(&iter, from);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const PmSizeCount *count = value;
        PmSizeCount *sum = pm_size_table_get(into, count->chunk_bytes);
        for (guint state = 0; state < PM_CHUNK_STATES; state++)
            sum->chunks[state] += count->chunks[state];
        sum->mmapped_chunks += count->mmapped_chunks;
    }
}

static gint
compare_heaps(gconstpointer a, gconstpointer b)
{
    const PmArenaHeap *left = a;
    const PmArenaHeap *right = b;
    return left->start < right->start ? -1 : left->start > right->start;
}

/* Adds one size to the sums of @arena, and to its bins where chunks of it are in one. */
static void
add_size(PmArena *arena, const PmSizeCount *count, GArray *bins)
{
    guint64 bytes[PM_CHUNK_STATES];
    for (guint state = 0; state < PM_CHUNK_STATES; state++) {
        bytes[state] = count->chunk_bytes * count->chunks[state];
        if (!pm_chunk_state_is_free((PmChunkState)state)) {
            arena->used_bytes += bytes[state];
            continue;
        }
        arena->free_bytes += bytes[state];
        if (count->chunks[state] > 0)
            arena->largest_free_bytes = MAX(arena->largest_free_bytes, count->chunk_bytes);
    }
    arena->tcache_bytes += bytes[PM_CHUNK_TCACHE];
    arena->fastbin_bytes += bytes[PM_CHUNK_FASTBIN];
    arena->bin_bytes += bytes[PM_CHUNK_BIN];
    arena->top_bytes += bytes[PM_CHUNK_TOP];
    if (count->chunks[PM_CHUNK_BIN] > 0)
        g_array_append_vals(bins, count, 1);
}

/*
 * What others took by sbrk between the arena's segments counts in system_mem while the arena is
 * contiguous (malloc.c, sysmalloc). One that stopped being so counted the gaps up to then, which
 * lie lowest: as many as make the sum right, or none.
 */
static void
account_foreign_gaps(PmArenaBuild *build)
{
    PmArena *arena = &build->arena;
    const guint64 sum = arena->used_bytes + arena->free_bytes + arena->overhead_bytes;
    guint64 gaps = 0;
    for (guint i = 0; i < build->foreign_gaps->len; i++) {
        gaps += g_array_index(build->foreign_gaps, guint64, i);
        if (!arena->contiguous && sum + gaps == arena->system_bytes)
            break;
    }
    if (!arena->contiguous && sum + gaps != arena->system_bytes)
        return;
    arena->overhead[PM_OVERHEAD_FOREIGN_SBRK] += gaps;
    arena->overhead_bytes += gaps;
}

static void
check_sum(PmPtmalloc *ptmalloc, const PmArenaBuild *build)
{
    const PmArena *arena = &build->arena;
    const guint64 sum = arena->used_bytes + arena->free_bytes + arena->overhead_bytes;
    if (sum == arena->system_bytes)
        return;
    const char *text = "the chunks and overheads of the arena add up to %" G_GUINT64_FORMAT
                       " bytes; its system_mem is %" G_GUINT64_FORMAT;
    if (pm_image_is_truncated(pm_space_get_image(ptmalloc->space)))
        pm_diagnostics_add_arena(ptmalloc->diagnostics, "arena-lost", PM_SEVERITY_WARNING,
                                 arena->address, arena->address, text, sum, arena->system_bytes);
    else
        pm_ptmalloc_violation(ptmalloc, build, "arena-sum", arena->address, text, sum,
                              arena->system_bytes);
}

static void
account_arena(PmPtmalloc *ptmalloc, PmArenaBuild *build)
{
    gsize count = 0;
    g_autofree PmSizeCount *sizes = pm_size_table_freeze(build->sizes, &count);
    g_autoptr(GArray) bins = g_array_new(FALSE, FALSE, sizeof(PmSizeCount));
    PmArena *arena = &build->arena;

    for (gsize i = 0; i < count; i++)
        add_size(arena, &sizes[i], bins);
    for (guint i = 0; i < PM_OVERHEADS; i++)
        arena->overhead_bytes += arena->overhead[i];
    account_foreign_gaps(build);
    check_sum(ptmalloc, build);
    g_array_sort(build->heaps, compare_heaps);
    arena->heaps = (PmArenaHeap *)(gpointer)g_array_steal(build->heaps, &arena->heap_count);
    arena->threads = (guint32 *)(gpointer)g_array_steal(build->threads, &arena->thread_count);
    arena->bins = (PmSizeCount *)(gpointer)g_array_steal(bins, &arena->bin_count);
}

/* Usable bytes by state: those of mmapped chunks depend on the version's form, and are asked one by
 * one. */
static void
sum_usable(PmPtmalloc *ptmalloc)
{
    gsize count = 0;
    for (guint i = 0; i < ptmalloc->arenas->len; i++) {
        g_autofree PmSizeCount *sizes =
            pm_size_table_freeze(pm_ptmalloc_get_build(ptmalloc, i)->sizes, &count);
        for (gsize j = 0; j < count; j++)
            for (guint state = 0; state < PM_CHUNK_STATES; state++)
                if (state != PM_CHUNK_TOP)
                    ptmalloc->usable_bytes[state] +=
                        sizes[j].chunks[state] * (sizes[j].chunk_bytes - ptmalloc->word_bytes);
    }
    const PmHeapRegion *regions = pm_heap_get_regions(ptmalloc->heap, &count);
    for (gsize i = 0; i < count; i++) {
        PmChunk chunk;
        PmHeapIter iter;
        if (!regions[i].mmapped)
            continue;
        pm_heap_iter_init(&iter, ptmalloc->heap, i);
        if (pm_heap_iter_next(&iter, &chunk))
            ptmalloc->usable_bytes[chunk.state] += chunk.usable_bytes;
    }
}

void
pm_ptmalloc_account(PmPtmalloc *ptmalloc)
{
    PmSizeTable *all = pm_size_table_new();
    sum_usable(ptmalloc);
    ptmalloc->public_arenas = g_new0(PmArena, ptmalloc->arenas->len);
    for (guint i = 0; i < ptmalloc->arenas->len; i++) {
        PmArenaBuild *build = pm_ptmalloc_get_build(ptmalloc, i);
        merge_sizes(all, build->sizes);
        account_arena(ptmalloc, build);
        ptmalloc->public_arenas[i] = build->arena;
    }
    merge_sizes(all, ptmalloc->mmapped_sizes);
    ptmalloc->sizes = pm_size_table_freeze(all, &ptmalloc->size_count);
    g_hash_table_unref(all);
}
