/*
 * postmalloc leaks: what nothing refers to any more.
 */
#include "report/leaks.h"
#include "cli/command.h"

static gboolean
prepare(PmSession *session, GError **error)
{
    return pm_session_scan(session, error) && pm_session_prepare_names(session);
}

static int
run(const PmSession *session, const PmSink *sink, G_GNUC_UNUSED GError **error)
{
    const PmOptions *options = session->options;
    const PmNamer namer = pm_session_get_namer(session);
    g_autoptr(PmLeaks) leaks = pm_leaks_new(&session->subject, session->reach, &namer);
    pm_report_leaks(sink, &session->subject, leaks,
                    options->fails_over ? &options->fail_over_bytes : NULL);
    gboolean over =
        options->fails_over && leaks->result->lost.chunk_bytes > options->fail_over_bytes;
    return over ? PM_EXIT_LIMIT : PM_EXIT_ANSWERED;
}

const PmCommand pm_command_leaks = {
    .name = "leaks",
    .answers = "What nothing refers to any more, grouped by what the rest of it hangs on.",
    .details = "A chunk is lost where no chain of pointers leads to it from a root: registers, "
               "live stacks,\n"
               "thread-local storage, data of modules, shared memory and writable files. Lost "
               "chunks are grouped\n"
               "by the chunk size, type and layout of the leak root (or ring of chunks) that they "
               "hang on.\n"
               "Types are told as types does; on heaps of more than a million chunks without typed "
               "pointers.\n\n"
               "  leak-root          nothing refers to it\n"
               "  leak-cycle         only the ring of lost chunks that it is part of does\n"
               "  leak-indirect      only other lost chunks do\n"
               "  reachable-interior found only by way of a pointer into the middle of a chunk\n"
               "  reachable-weak     found only from mappings of unknown use, such as a program's "
               "own pools\n",
    .takes = PM_TAKES_COMMON | PM_TAKES_FAIL_OVER,
    .heap = PM_HEAP_REQUIRED,
    .prepare = prepare,
    .run = run,
};
