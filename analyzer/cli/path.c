/*
 * postmalloc path: a shortest chain of references from a root to a chunk.
 */
#include "report/path.h"
#include "cli/command.h"

static int
run(const PmSession *session, const PmSink *sink, GError **error)
{
    PmHeldChunk held;
    if (!pm_held_chunk_find(&session->subject, session->reach, session->options->address, &held,
                            error))
        return PM_EXIT_FAILED;
    pm_progress_start(session->progress, PM_PHASE_PATH);
    g_autoptr(PmPath) path = pm_path_new(session->reach, &held, error);
    if (path == NULL)
        return PM_EXIT_FAILED;
    pm_progress_start(session->progress, PM_PHASE_ANSWER);
    pm_report_path(sink, &session->subject, session->reach, path);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_path = {
    .name = "path",
    .answers = "A shortest chain of references from a root to this chunk.",
    .details = "ADDR may lie anywhere in the chunk. Where no root leads to it, its class says so: "
               "that is an answer,\n"
               "too. In text a long chain shows both its ends.\n",
    .takes = PM_TAKES_COMMON | PM_TAKES_ADDRESS | PM_TAKES_LIMIT,
    .heap = PM_HEAP_REQUIRED,
    .prepare = pm_session_scan,
    .run = run,
};
