/*
 * A snapshot of a running process in a file: looked at, measured against the space there is, taken.
 */
#pragma once

#include "live/gcore.h"

/*
 * @folder: where the file is made. @keeps: whether it is to get a name there; else the message for
 * want of space names TMPDIR. @signals: held. @progress: may be NULL; @total: what will be written.
 */
typedef struct {
    const PmLiveProcess *process;
    const char *folder;
    gboolean keeps;
    const PmSignals *signals;
    void (*progress)(gpointer data, guint64 done, guint64 total);
    gpointer progress_data;
} PmSnapshotRequest;

/*
 * @file: the core. @bytes: its size. @expected_bytes: what was reckoned before.
 * @stopped_seconds: for how long the process stood still.
 */
typedef struct {
    PmDumpFile *file;
    guint64 bytes;
    guint64 expected_bytes;
    double stopped_seconds;
} PmSnapshot;

/*
 * Takes a snapshot.
 *
 * Returns: (transfer full): NULL with what pm_live_measure(), pm_dump_file_new() and pm_gcore_run()
 * set; PM_ERROR_NO_SPACE, before the process is stopped, where it would not fit.
 */
PmSnapshot *pm_snapshot_take(const PmSnapshotRequest *request, GError **error);
void pm_snapshot_free(PmSnapshot *snapshot);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmSnapshot, pm_snapshot_free)
