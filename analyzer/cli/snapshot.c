/*
 * postmalloc snapshot: the core of a running process, which runs on.
 */
#include "live/snapshot.h"
#include "cli/command.h"

#include <errno.h>
#include <sys/stat.h>

static void
tell_progress(gpointer progress, guint64 done, guint64 total)
{
    pm_progress_tell(progress, "writing the snapshot", done, total);
}

/* Before anything is stopped for it. */
static gboolean
check_path(const char *path, GError **error)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return TRUE;
    g_set_error(error, PM_ERROR, PM_ERROR_OUTPUT,
                "%s is there already, and a snapshot takes no other file's place; name another "
                "with -o FILE",
                path);
    return FALSE;
}

static PmSnapshot *
take(const PmSession *session, const PmLiveProcess *process, const char *path, GError **error)
{
    PmSignals signals;
    g_autofree char *folder = g_path_get_dirname(path);
    pm_progress_start(session->progress, "taking the snapshot");
    pm_signals_hold(&signals);
    const PmSnapshotRequest request = {.process = process,
                                       .folder = folder,
                                       .keeps = TRUE,
                                       .signals = &signals,
                                       .progress = tell_progress,
                                       .progress_data = session->progress};
    PmSnapshot *snapshot = pm_snapshot_take(&request, error);
    /* Who wanted it ended gets no file; the signal ends this program when it is released. */
    if (snapshot != NULL &&
        (pm_signals_came(&signals) || !pm_dump_file_publish(snapshot->file, path, error))) {
        pm_snapshot_free(snapshot);
        snapshot = NULL;
    }
    pm_progress_start(session->progress, PM_PHASE_ANSWER);
    pm_signals_release(&signals);
    return snapshot;
}

static void
print(const PmSink *sink, const PmLiveProcess *process, const char *path,
      const PmSnapshot *snapshot)
{
    g_autofree char *size = g_strconcat(pm_format_bytes(snapshot->bytes).text, NULL);
    g_autofree char *stopped =
        g_strdup_printf("process %u (%s) stood still for %.2f s and runs on", process->pid,
                        process->name, snapshot->stopped_seconds);
    g_autofree char *quoted = pm_options_quote_word(path);
    g_autofree char *safe = pm_sanitise(quoted, sink->utf8);
    const char *const items[] = {path, size, stopped, NULL};
    pm_sink_items(sink, items);
    pm_sink_line(sink, "next  postmalloc report %s --uptime %" G_GUINT64_FORMAT "s", safe,
                 process->uptime_seconds);
}

static int
run(const PmSession *session, const PmSink *sink, GError **error)
{
    const PmOptions *options = session->options;
    g_autofree char *name = g_strdup_printf("core.%u", options->pid);
    const char *path = options->output == NULL ? name : options->output;
    g_autoptr(PmLiveProcess) process = pm_live_process_open(options->pid, error);
    if (process == NULL || !check_path(path, error))
        return PM_EXIT_FAILED;
    g_autoptr(PmSnapshot) snapshot = take(session, process, path, error);
    if (snapshot == NULL)
        return PM_EXIT_FAILED;
    if (sink->json == NULL) {
        print(sink, process, path, snapshot);
        return PM_EXIT_ANSWERED;
    }
    pm_sink_begin(sink, &session->subject);
    pm_json_string(sink->json, "file", path);
    pm_json_double(sink->json, "stopped_seconds", snapshot->stopped_seconds);
    pm_json_uint(sink->json, "bytes", snapshot->bytes);
    pm_json_uint(sink->json, "expected_bytes", snapshot->expected_bytes);
    pm_json_uint(sink->json, "pid", process->pid);
    pm_json_uint(sink->json, "uptime_seconds", process->uptime_seconds);
    pm_sink_end(sink);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_snapshot = {
    .name = "snapshot",
    .answers = "The core of a running process, which runs on: gdb stops it while it writes.",
    .details = "Writes core.PID, which only its owner may read, and takes no other file's place. "
               "gdb keeps no\nholes and writes what was never touched too: what it will write is "
               "reckoned first, and refused\nwhere it does not fit.\n",
    .takes = PM_TAKES_ALONE | PM_TAKES_PID | PM_TAKES_OUTPUT,
    .opens_nothing = TRUE,
    .run = run,
};
