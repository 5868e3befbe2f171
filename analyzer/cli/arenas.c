/*
 * postmalloc arenas: what each arena holds, in use and free.
 */
#include "report/arenas.h"
#include "cli/command.h"

static int
run(const PmSession *session, const PmSink *sink, GError **error)
{
    guint32 only = PM_ARENA_NONE;
    if (session->options->filter.by_arena &&
        !pm_chunks_find_arena(session->ptmalloc, session->options->arena, &only, error))
        return PM_EXIT_FAILED;
    pm_report_arenas(sink, &session->subject, only);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_arenas = {
    .name = "arenas",
    .answers =
        "Each arena: in use, free, top, tcache, largest free chunk, what a trim would return.",
    .takes = PM_TAKES_COMMON | PM_TAKES_ARENA,
    .heap = PM_HEAP_REQUIRED,
    .run = run,
};
