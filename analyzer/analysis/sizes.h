/*
 * The histogram of chunk sizes as `sizes` and `report` show it: totals by state, and the sizes
 * ranked by what is in use.
 */
#pragma once

#include "analysis/reach/reach.h"
#include "analysis/requests.h"

/* @usable_bytes: malloc_usable_size over all of them. */
typedef struct {
    guint64 chunks;
    guint64 chunk_bytes;
    guint64 usable_bytes;
} PmTotal;

/* One size. @mmapped_chunks: how many of the used ones have a mapping of their own. @lost_chunks:
 * how many of them are lost, once that was added. */
typedef struct {
    guint64 chunk_bytes;
    guint64 used_chunks;
    guint64 free_chunks;
    guint64 mmapped_chunks;
    guint64 lost_chunks;
} PmSizeRow;

/*
 * @states: by PmChunkState; that of PM_CHUNK_USED includes the runtime chunks, as INTERFACE.md
 * says.
 * @free: tcache, fastbin, bin and top together.
 * @rows: by used bytes, then free bytes, largest first.
 * @lost_known: whether @lost and the rows' lost chunks were added. @lost_certain: as
 * pm_leaks_are_certain(). @lost_skipped: nobody looked, because the user did not ask; set by the
 * command.
 */
typedef struct {
    PmTotal states[PM_CHUNK_STATES];
    PmTotal free;
    gboolean lost_known;
    gboolean lost_certain;
    gboolean lost_skipped;
    PmReachSum lost;
    PmSizeRow *rows;
    gsize row_count;
} PmSizes;

/* @ptmalloc: the heap. Never fails. */
PmSizes *pm_sizes_new(const PmPtmalloc *ptmalloc);
void pm_sizes_free(PmSizes *sizes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmSizes, pm_sizes_free)

/* Adds what the scan of @subject found lost. @reach: NULL adds nothing. */
void pm_sizes_add_lost(PmSizes *sizes, const PmSubject *subject, const PmReach *reach);

/* row->used_chunks, row->free_chunks and row->lost_chunks in bytes. */
guint64 pm_size_row_used_bytes(const PmSizeRow *row);
guint64 pm_size_row_free_bytes(const PmSizeRow *row);
guint64 pm_size_row_lost_bytes(const PmSizeRow *row);

/* The requests that give @row's chunks, those from a heap and the mmapped ones together. */
PmRequests pm_size_row_requests(const PmSizeRow *row, const PmPtmalloc *ptmalloc, guint word_bytes);

/* Things an hour: @count over @uptime_seconds; 0 where that is 0. */
double pm_per_hour(guint64 count, guint64 uptime_seconds);
