/*
 * Totals and ranked sizes; see sizes.h. Reads the histogram that the walk made, not the chunks.
 */
#include "analysis/sizes.h"

#include "analysis/leaks.h"

#include <stdlib.h>

/* Chunk bytes of many chunks of one size; a hostile heap saturates. */
static guint64
multiply(guint64 chunks, guint64 chunk_bytes)
{
    guint64 product = 0;
    return __builtin_mul_overflow(chunks, chunk_bytes, &product) ? G_MAXUINT64 : product;
}

guint64
pm_size_row_used_bytes(const PmSizeRow *row)
{
    return multiply(row->used_chunks, row->chunk_bytes);
}

guint64
pm_size_row_free_bytes(const PmSizeRow *row)
{
    return multiply(row->free_chunks, row->chunk_bytes);
}

guint64
pm_size_row_lost_bytes(const PmSizeRow *row)
{
    return multiply(row->lost_chunks, row->chunk_bytes);
}

static int
compare_rows(const void *left, const void *right)
{
    const PmSizeRow *a = left;
    const PmSizeRow *b = right;
    guint64 used_a = pm_size_row_used_bytes(a);
    guint64 used_b = pm_size_row_used_bytes(b);
    if (used_a != used_b)
        return used_a < used_b ? 1 : -1;
    guint64 free_a = pm_size_row_free_bytes(a);
    guint64 free_b = pm_size_row_free_bytes(b);
    if (free_a != free_b)
        return free_a < free_b ? 1 : -1;
    if (a->chunk_bytes == b->chunk_bytes)
        return 0;
    return a->chunk_bytes < b->chunk_bytes ? 1 : -1;
}

static int
compare_size_to_row(const void *key, const void *row)
{
    guint64 size = *(const guint64 *)key;
    guint64 other = ((const PmSizeRow *)row)->chunk_bytes;
    return (size > other) - (size < other);
}

/* Counts the mmapped chunks in the rows, which are still in ascending order of size. */
static void
count_mmapped(PmSizes *sizes, const PmHeap *heap)
{
    gsize count = 0;
    const PmHeapRegion *regions = pm_heap_get_regions(heap, &count);
    for (gsize i = 0; i < count; i++) {
        if (!regions[i].mmapped)
            continue;
        PmHeapIter iter;
        PmChunk chunk;
        pm_heap_iter_init(&iter, heap, i);
        if (!pm_heap_iter_next(&iter, &chunk) || !chunk.mmapped)
            continue;
        PmSizeRow *row = bsearch(&chunk.chunk_bytes, sizes->rows, sizes->row_count, sizeof *row,
                                 compare_size_to_row);
        if (row != NULL)
            row->mmapped_chunks++;
    }
}

static void
add_size(PmSizes *sizes, const PmSizeCount *size, PmSizeRow *row)
{
    row->chunk_bytes = size->chunk_bytes;
    for (guint state = 0; state < PM_CHUNK_STATES; state++) {
        guint64 chunks = size->chunks[state];
        sizes->states[state].chunks += chunks;
        sizes->states[state].chunk_bytes += multiply(chunks, size->chunk_bytes);
        if (pm_chunk_state_is_free((PmChunkState)state))
            row->free_chunks += chunks;
        else
            row->used_chunks += chunks;
    }
}

static void
add_total(PmTotal *sum, const PmTotal *part)
{
    sum->chunks += part->chunks;
    sum->chunk_bytes += part->chunk_bytes;
    sum->usable_bytes += part->usable_bytes;
}

PmSizes *
pm_sizes_new(const PmPtmalloc *ptmalloc)
{
    PmSizes *sizes = g_new0(PmSizes, 1);
    const PmSizeCount *counts = pm_ptmalloc_get_sizes(ptmalloc, &sizes->row_count);
    sizes->rows = g_new0(PmSizeRow, sizes->row_count);
    for (gsize i = 0; i < sizes->row_count; i++)
        add_size(sizes, &counts[i], &sizes->rows[i]);
    for (guint state = 0; state < PM_CHUNK_STATES; state++) {
        PmTotal *total = &sizes->states[state];
        total->usable_bytes = pm_ptmalloc_get_usable_bytes(ptmalloc, (PmChunkState)state);
        if (pm_chunk_state_is_free((PmChunkState)state))
            add_total(&sizes->free, total);
    }
    add_total(&sizes->states[PM_CHUNK_USED], &sizes->states[PM_CHUNK_RUNTIME]);
    count_mmapped(sizes, pm_ptmalloc_get_heap(ptmalloc));
    if (sizes->row_count > 0)
        qsort(sizes->rows, sizes->row_count, sizeof *sizes->rows, compare_rows);
    return sizes;
}

static int
compare_size_to_lost(const void *key, const void *lost)
{
    guint64 size = *(const guint64 *)key;
    guint64 other = ((const PmLostSize *)lost)->chunk_bytes;
    return (size > other) - (size < other);
}

void
pm_sizes_add_lost(PmSizes *sizes, const PmSubject *subject, const PmReach *reach)
{
    if (reach == NULL)
        return;
    const PmReachResult *result = pm_reach_get_result(reach);
    sizes->lost_known = TRUE;
    sizes->lost_certain = pm_leaks_are_certain(subject, reach);
    sizes->lost = result->lost;
    for (gsize i = 0; i < sizes->row_count && result->size_count > 0; i++) {
        PmSizeRow *row = &sizes->rows[i];
        const PmLostSize *lost = bsearch(&row->chunk_bytes, result->sizes, result->size_count,
                                         sizeof *lost, compare_size_to_lost);
        if (lost != NULL)
            row->lost_chunks = lost->lost_chunks;
    }
}

void
pm_sizes_free(PmSizes *sizes)
{
    g_free(sizes->rows);
    g_free(sizes);
}

PmRequests
pm_size_row_requests(const PmSizeRow *row, const PmPtmalloc *ptmalloc, guint word_bytes)
{
    PmRequests mapped = pm_requests_of(ptmalloc, word_bytes, row->chunk_bytes, TRUE);
    PmRequests heap = pm_requests_of(ptmalloc, word_bytes, row->chunk_bytes, FALSE);
    if (row->mmapped_chunks == 0)
        return heap;
    if (row->mmapped_chunks == row->used_chunks + row->free_chunks)
        return mapped;
    return (PmRequests){MIN(mapped.min, heap.min), MAX(mapped.max, heap.max)};
}

double
pm_per_hour(guint64 count, guint64 uptime_seconds)
{
    return uptime_seconds == 0 ? 0 : (double)count * 3600 / (double)uptime_seconds;
}
