/*
 * Measuring, then taking; see snapshot.h.
 */
#include "live/snapshot.h"

#include "live/memory.h"

/* Notes and headers beside the memory: registers of each thread, the list of mappings. */
#define NOTES_BYTES ((guint64)4 << 20)

typedef struct {
    const PmSnapshotRequest *request;
    guint64 total;
} Progress;

static void
tell(gpointer data, guint64 done)
{
    const Progress *progress = data;
    progress->request->progress(progress->request->progress_data, done, progress->total);
}

/* "34.4 MiB" (transfer full) */
static char *
format_bytes(guint64 bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes / 1024;
    guint unit = 0;
    for (; value >= 1024 && unit + 1 < G_N_ELEMENTS(units); unit++)
        value /= 1024;
    return g_strdup_printf("%.1f %s", value, units[unit]);
}

/* What the user can do instead. (transfer full) */
static char *
list_alternatives(const PmSnapshotRequest *request, const PmLiveMemory *memory, guint64 free_bytes)
{
    GString *text = g_string_new(request->keeps ? "name a file on another filesystem with -o FILE"
                                                : "set TMPDIR to a folder on another filesystem");
    const guint64 private_bytes = memory->snapshot_bytes - memory->shared_bytes + NOTES_BYTES;
    g_autofree char *shared = format_bytes(memory->shared_bytes);
    if (memory->shared_bytes > 0 && private_bytes < free_bytes)
        g_string_append_printf(
            text, "; or leave out its shared memory (%s): echo 0x%x > /proc/%u/coredump_filter",
            shared, memory->private_filter, request->process->pid);
    return g_string_free(text, FALSE);
}

static gboolean
check_space(const PmSnapshotRequest *request, const PmDumpFile *file, const PmLiveMemory *memory,
            GError **error)
{
    const guint64 free_bytes = pm_dump_file_get_free_bytes(file);
    if (memory->snapshot_bytes <= G_MAXUINT64 - NOTES_BYTES &&
        memory->snapshot_bytes + NOTES_BYTES <= free_bytes)
        return TRUE;
    g_autofree char *needed = format_bytes(memory->snapshot_bytes);
    g_autofree char *resident = format_bytes(memory->resident_bytes);
    g_autofree char *there = format_bytes(free_bytes);
    g_autofree char *instead = list_alternatives(request, memory, free_bytes);
    g_set_error(error, PM_ERROR, PM_ERROR_NO_SPACE,
                "a snapshot of process %u (%s) takes %s, and %s has %s free; gcore keeps no holes, "
                "and writes reserves and guards too: only %s of it are in memory; %s",
                request->process->pid, request->process->name, needed, request->folder, there,
                resident, instead);
    return FALSE;
}

PmSnapshot *
pm_snapshot_take(const PmSnapshotRequest *request, GError **error)
{
    PmLiveMemory memory;
    if (!pm_live_measure(request->process->pid, &memory, error))
        return NULL;
    g_autoptr(PmDumpFile) file = pm_dump_file_new(request->folder, request->keeps, error);
    if (file == NULL || !check_space(request, file, &memory, error))
        return NULL;
    Progress progress = {.request = request, .total = memory.snapshot_bytes};
    const PmGcore gcore = {.process = request->process,
                           .file = file,
                           .signals = request->signals,
                           .progress = request->progress == NULL ? NULL : tell,
                           .progress_data = &progress};
    double stopped_seconds = 0;
    if (!pm_gcore_run(&gcore, &stopped_seconds, error))
        return NULL;
    PmSnapshot *snapshot = g_new0(PmSnapshot, 1);
    snapshot->bytes = pm_dump_file_get_bytes(file);
    snapshot->file = g_steal_pointer(&file);
    snapshot->expected_bytes = memory.snapshot_bytes;
    snapshot->stopped_seconds = stopped_seconds;
    return snapshot;
}

void
pm_snapshot_free(PmSnapshot *snapshot)
{
    pm_dump_file_free(snapshot->file);
    g_free(snapshot);
}
