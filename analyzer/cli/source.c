/*
 * Fetching the core; see source.h.
 */
#include "cli/source.h"

#include "live/coredump.h"

#include <string.h>

/* A core may be larger than memory, which is where /tmp often is. */
static const char *
get_folder(void)
{
    const char *folder = g_getenv("TMPDIR");
    return folder == NULL || *folder == '\0' ? "/var/tmp" : folder;
}

static void
tell_progress(gpointer progress, guint64 done, guint64 total)
{
    pm_progress_tell(progress, "writing the snapshot", done, total);
}

static gboolean
take_snapshot(PmSource *source, const PmOptions *options, PmProgress *progress, GError **error)
{
    source->process = pm_live_process_open(options->pid, error);
    if (source->process == NULL)
        return FALSE;
    PmSignals signals;
    pm_progress_start(progress, "taking the snapshot");
    pm_signals_hold(&signals);
    const PmSnapshotRequest request = {.process = source->process,
                                       .folder = get_folder(),
                                       .keeps = FALSE,
                                       .signals = &signals,
                                       .progress = tell_progress,
                                       .progress_data = progress};
    source->snapshot = pm_snapshot_take(&request, error);
    pm_signals_release(&signals);
    if (source->snapshot == NULL)
        return FALSE;
    source->path = g_strdup_printf("/proc/self/fd/%d", source->snapshot->file->fd);
    source->label = g_strdup_printf("the snapshot of process %u", options->pid);
    return TRUE;
}

static gboolean
fetch_coredump(PmSource *source, const PmOptions *options, PmProgress *progress, GError **error)
{
    pm_progress_start(progress, "asking coredumpctl");
    source->file = pm_coredump_fetch(options->coredump, get_folder(), error);
    if (source->file == NULL)
        return FALSE;
    source->path = g_strdup_printf("/proc/self/fd/%d", source->file->fd);
    source->label = g_strdup("the core from coredumpctl");
    return TRUE;
}

PmSource *
pm_source_open(const PmOptions *options, PmProgress *progress, GError **error)
{
    g_autoptr(PmSource) source = g_new0(PmSource, 1);
    if (options->core != NULL)
        source->path = g_strdup(options->core);
    else if (options->pid != 0 ? !take_snapshot(source, options, progress, error)
                               : !fetch_coredump(source, options, progress, error))
        return NULL;
    return g_steal_pointer(&source);
}

void
pm_source_free(PmSource *source)
{
    if (source->process != NULL)
        pm_live_process_free(source->process);
    if (source->snapshot != NULL)
        pm_snapshot_free(source->snapshot);
    if (source->file != NULL)
        pm_dump_file_free(source->file);
    g_free(source->path);
    g_free(source->label);
    g_free(source);
}

void
pm_source_name_error(const PmSource *source, GError **error)
{
    if (source->label == NULL || error == NULL || *error == NULL ||
        !g_str_has_prefix((*error)->message, source->path))
        return;
    char *message = g_strconcat(source->label, (*error)->message + strlen(source->path), NULL);
    g_free((*error)->message);
    (*error)->message = message;
}
