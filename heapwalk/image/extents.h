/*
 * The data extents of a sparse file: which of its bytes take room on disk. lseek(2), SEEK_DATA and
 * SEEK_HOLE.
 */
#pragma once

#include <glib.h>

/* Bytes [start, end) of the file are data; extents ascend and do not touch. */
typedef struct {
    guint64 start;
    guint64 end;
} PmExtent;

typedef struct {
    PmExtent *extents;
    gsize count;
    gboolean has_holes;
} PmExtents;

/*
 * Asks the file system for the extents of @fd, a file of @file_bytes. Where it knows no holes, or
 * there are more than PM_EXTENTS_MAX, the (rest of the) file is one extent.
 *
 * @ret_extents: (out): to be cleared with pm_extents_clear().
 */
void pm_extents_init(PmExtents *ret_extents, int fd, guint64 file_bytes);
void pm_extents_clear(PmExtents *extents);
#define PM_EXTENTS_MAX (1u << 22)

/*
 * Whether @offset lies in data, and where that run ends. O(log n).
 *
 * @ret_end: (out): end of the run, greater than @offset; G_MAXUINT64 in the hole after the last
 * extent.
 */
gboolean pm_extents_find(const PmExtents *extents, guint64 offset, guint64 *ret_end);

/* Bytes of [@start, @end) that are data. */
guint64 pm_extents_count(const PmExtents *extents, guint64 start, guint64 end);
