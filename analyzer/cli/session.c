/*
 * Opening a core; see session.h.
 */
#include "cli/session.h"

#include "analysis/format.h"
#include "ptmalloc/allocators.h"
#include "ptmalloc/violations.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Of one code, as lines on standard error. */
#define LINES_PER_CODE 3

/* The note that is always shown: it was done to somebody's process. */
#define PROCESS_STOPPED "process-stopped"

PmSession *
pm_session_new(const PmOptions *options)
{
    PmSession *session = g_new0(PmSession, 1);
    session->options = options;
    session->diagnostics = pm_diagnostics_new();
    gboolean visible = !options->no_progress && !options->quiet && isatty(STDERR_FILENO) == 1;
    session->progress = pm_progress_new(visible);
    session->subject.diagnostics = session->diagnostics;
    session->subject.uptime_seconds = options->uptime_seconds;
    return session;
}

void
pm_session_free(PmSession *session)
{
    pm_progress_free(session->progress);
    if (session->typing != NULL)
        pm_typing_free(session->typing);
    if (session->recognisers != NULL)
        pm_recognisers_free(session->recognisers);
    if (session->fitter != NULL)
        pm_fitter_free(session->fitter);
    if (session->types != NULL)
        pm_types_free(session->types);
    if (session->places != NULL)
        pm_places_free(session->places);
    if (session->reach != NULL)
        pm_reach_free(session->reach);
    if (session->arenas != NULL)
        pm_arenas_free(session->arenas);
    if (session->ptmalloc != NULL)
        pm_ptmalloc_free(session->ptmalloc);
    if (session->process != NULL)
        pm_process_free(session->process);
    if (session->image != NULL)
        pm_image_free(session->image);
    if (session->source != NULL)
        pm_source_free(session->source);
    pm_diagnostics_free(session->diagnostics);
    g_clear_error(&session->heap_error);
    g_free(session->allocator);
    g_free(session);
}

static gboolean
open_heap(PmSession *session, PmHeapNeed need, gboolean verify_bins, GError **error)
{
    pm_progress_start(session->progress, PM_PHASE_WALK);
    PmPtmallocOptions options = {.jobs = session->options->jobs, .verify_bins = verify_bins};
    session->ptmalloc =
        pm_ptmalloc_walk(session->process, &options, session->diagnostics, &session->heap_error);
    session->subject.ptmalloc = session->ptmalloc;
    if (session->ptmalloc != NULL) {
        session->subject.allocator = "glibc";
        return TRUE;
    }
    /* Only the absence of a glibc heap leaves an answer; want of memory does not. */
    if (need == PM_HEAP_OPTIONAL &&
        g_error_matches(session->heap_error, PM_ERROR, PM_ERROR_NO_HEAP)) {
        session->subject.heap_message = session->heap_error->message;
        session->allocator = pm_allocator_recognise(session->process, NULL);
        session->subject.allocator = session->allocator;
        return TRUE;
    }
    g_propagate_error(error, g_steal_pointer(&session->heap_error));
    return FALSE;
}

/* What a running process told besides its memory. */
static void
note_process(PmSession *session)
{
    const PmSource *source = session->source;
    if (source->process == NULL)
        return;
    pm_diagnostics_add(session->diagnostics, PROCESS_STOPPED, PM_SEVERITY_NOTE, PM_ADDR_NONE,
                       "process %u (%s) stood still for %.2f s while a snapshot of it was written, "
                       "and runs on",
                       source->process->pid, source->process->name,
                       source->snapshot->stopped_seconds);
    if (session->subject.uptime_seconds == 0)
        session->subject.uptime_seconds = source->process->uptime_seconds;
}

static gboolean
open_image(PmSession *session, GError **error)
{
    session->source = pm_source_open(session->options, session->progress, error);
    if (session->source == NULL)
        return FALSE;
    note_process(session);
    pm_progress_start(session->progress, "opening the core");
    session->image = pm_image_open(session->source->path, session->diagnostics, error);
    session->subject.image = session->image;
    if (session->image == NULL)
        pm_source_name_error(session->source, error);
    return session->image != NULL;
}

/* As the user said, else as a running process sees them. */
static PmProcessOptions
choose_files(const PmSession *session)
{
    const PmOptions *options = session->options;
    const PmLiveProcess *live = session->source->process;
    PmProcessOptions files = {
        .exe = options->exe, .sysroot = options->sysroot, .debug_dir = options->debug_dir};
    if (live != NULL && files.exe == NULL)
        files.exe = live->exe;
    if (live != NULL && files.sysroot == NULL)
        files.sysroot = live->root;
    return files;
}

/* A folder that is not there holds no file, as an empty one does; but whoever mistyped its name
 * would not know why none is found. */
static void
check_folders(const PmSession *session)
{
    const char *const folders[] = {session->options->sysroot, session->options->debug_dir};
    for (gsize i = 0; i < G_N_ELEMENTS(folders); i++)
        if (folders[i] != NULL && !g_file_test(folders[i], G_FILE_TEST_IS_DIR))
            pm_diagnostics_add(
                session->diagnostics, "folder-missing", PM_SEVERITY_WARNING, PM_ADDR_NONE,
                "%s: there is no such folder; %s", folders[i],
                i == 0 ? "--sysroot takes the one under which the files of the machine lie"
                       : "--debug-dir takes the one under which separate debug files lie");
}

gboolean
pm_session_open(PmSession *session, PmHeapNeed heap, gboolean verify_bins, GError **error)
{
    check_folders(session);
    if (!open_image(session, error))
        return FALSE;
    pm_progress_start(session->progress, "reading modules and threads");
    const PmProcessOptions files = choose_files(session);
    session->process = pm_process_open(session->image, &files, session->diagnostics, error);
    session->subject.process = session->process;
    if (session->process == NULL)
        return FALSE;
    const PmTypesOptions types = {.progress = pm_progress_tell_dwarf,
                                  .progress_data = session->progress};
    session->types = pm_types_new(session->process, &types, session->diagnostics);
    session->subject.types = session->types;
    if (heap != PM_HEAP_UNUSED && !open_heap(session, heap, verify_bins, error))
        return FALSE;
    return TRUE;
}

gboolean
pm_session_scan(PmSession *session, GError **error)
{
    if (session->ptmalloc == NULL)
        return TRUE;
    pm_progress_start(session->progress, PM_PHASE_SCAN);
    session->reach = pm_reach_new(&session->subject, session->options->jobs, error);
    return session->reach != NULL;
}

gboolean
pm_session_try_scan(PmSession *session, G_GNUC_UNUSED GError **error)
{
    g_autoptr(GError) failure = NULL;
    if (!pm_session_scan(session, &failure))
        pm_diagnostics_add(session->diagnostics, "scan-failed", PM_SEVERITY_WARNING, PM_ADDR_NONE,
                           "what is lost is not known: %s", failure->message);
    return TRUE;
}

gboolean
pm_session_scan_chosen(PmSession *session, GError **error)
{
    const PmChunkFilter *filter = &session->options->filter;
    if (filter->reaches != 0)
        return pm_session_scan(session, error);
    return (filter->states >> PM_CHUNK_USED & 1) == 0 || pm_session_try_scan(session, error);
}

gboolean
pm_session_get_filter(const PmSession *session, PmChunkFilter *ret_filter, GError **error)
{
    *ret_filter = session->options->filter;
    return !ret_filter->by_arena || pm_chunks_find_arena(session->ptmalloc, session->options->arena,
                                                         &ret_filter->arena, error);
}

static void
print_diagnostic(const PmDiagnostic *diagnostic)
{
    g_autofree char *text = pm_sanitise(diagnostic->text, g_get_charset(NULL));
    (void)fprintf(stderr, "postmalloc: %s: %s", pm_severity_name(diagnostic->severity), text);
    if (diagnostic->address != PM_ADDR_NONE)
        (void)fprintf(stderr, " (at %s)", pm_format_address(diagnostic->address).text);
    (void)fputc('\n', stderr);
}

void
pm_session_print_diagnostics(const PmSession *session, gboolean violations)
{
    if (session->options->quiet)
        return;
    g_autoptr(GHashTable) lines = g_hash_table_new(g_str_hash, g_str_equal);
    guint count = pm_diagnostics_get_count(session->diagnostics);
    pm_progress_hide(session->progress);
    for (guint i = 0; i < count; i++) {
        const PmDiagnostic *diagnostic = pm_diagnostics_get(session->diagnostics, i);
        if ((diagnostic->severity == PM_SEVERITY_NOTE && !session->options->verbose &&
             strcmp(diagnostic->code, PROCESS_STOPPED) != 0) ||
            (!violations && pm_violation_find(diagnostic->code) != NULL))
            continue;
        gpointer key = (gpointer)diagnostic->code;
        guint printed = GPOINTER_TO_UINT(g_hash_table_lookup(lines, key));
        g_hash_table_insert(lines, key, GUINT_TO_POINTER(printed + 1));
        guint64 total = pm_diagnostics_count_code(session->diagnostics, diagnostic->code);
        if (printed < LINES_PER_CODE || session->options->verbose)
            print_diagnostic(diagnostic);
        else if (printed == LINES_PER_CODE)
            (void)fprintf(stderr, "postmalloc: %s more like that (%s)%s\n",
                          pm_format_count(total - LINES_PER_CODE).text, diagnostic->code,
                          pm_violation_find(diagnostic->code) == NULL ? "; -v shows them"
                                                                      : "; see postmalloc check");
    }
    pm_progress_reveal(session->progress);
}

void
pm_session_print_stats(const PmSession *session)
{
    guint64 index_bytes = 0;
    guint64 chunks = 0;
    if (session->ptmalloc != NULL) {
        gsize count = 0;
        const PmSizeCount *sizes = pm_ptmalloc_get_sizes(session->ptmalloc, &count);
        for (gsize i = 0; i < count; i++) {
            for (guint state = 0; state < PM_CHUNK_STATES; state++)
                chunks += sizes[i].chunks[state];
        }
        index_bytes = pm_heap_get_index_bytes(pm_ptmalloc_get_heap(session->ptmalloc));
    }
    pm_progress_print_stats(session->progress, index_bytes, chunks);
}
