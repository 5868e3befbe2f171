/*
 * Writes the core of a running process through gdb, and leaves the process running.
 */
#pragma once

#include "live/dumpfile.h"
#include "live/process.h"
#include "live/signals.h"

/* Called while it goes on, ten times a second. @done: bytes written so far. */
typedef void (*PmGcoreProgress)(gpointer data, guint64 done);

/*
 * @signals: held; one that comes ends the snapshot. @progress: may be NULL.
 */
typedef struct {
    const PmLiveProcess *process;
    const PmDumpFile *file;
    const PmSignals *signals;
    PmGcoreProgress progress;
    gpointer progress_data;
} PmGcore;

/*
 * Has gdb attach, write the core to the file (the command generate-core-file) and detach. It runs
 * in a session of its own, so that Ctrl-C reaches it through this program alone; where this
 * program is killed it finishes and detaches. It reads no symbols of libraries and no settings.
 *
 * @ret_stopped_seconds: (out): from gdb's beginning to attach until it had detached: the process
 *   stood still no longer.
 * Returns: FALSE with PM_ERROR_NO_PROGRAM (gdb is missing, or did not do it: the message has its
 *   words), PM_ERROR_PERMISSION, PM_ERROR_NOT_FOUND, PM_ERROR_NO_SPACE or PM_ERROR_INTERRUPTED. The
 *   process runs on in every case.
 */
gboolean pm_gcore_run(const PmGcore *gcore, double *ret_stopped_seconds, GError **error);
