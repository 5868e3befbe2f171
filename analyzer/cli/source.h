/*
 * Where the core comes from: a file, a running process, or systemd's store of cores.
 */
#pragma once

#include "cli/options.h"
#include "cli/progress.h"
#include "live/snapshot.h"

/*
 * @path: what to open. @label: how to call it in messages, where @path has a name for nobody; else
 * NULL.
 * @process, @snapshot: of -p, or NULL. @file: of --coredump, or NULL.
 */
typedef struct {
    char *path;
    char *label;
    PmLiveProcess *process;
    PmSnapshot *snapshot;
    PmDumpFile *file;
} PmSource;

/*
 * Fetches what @options name. A snapshot or a core from the store goes to a file without a name in
 * TMPDIR, or in /var/tmp where that is not set: it is gone with this program, however that ends.
 *
 * Returns: (transfer full): NULL with what pm_live_process_open(), pm_snapshot_take() and
 * pm_coredump_fetch() set.
 */
PmSource *pm_source_open(const PmOptions *options, PmProgress *progress, GError **error);
void pm_source_free(PmSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmSource, pm_source_free)

/* Says in @error, which speaks of @source's path, what that is. */
void pm_source_name_error(const PmSource *source, GError **error);
