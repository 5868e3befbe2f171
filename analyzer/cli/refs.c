/*
 * postmalloc refs: who points at a chunk, and what it points at.
 */
#include "cli/command.h"
#include "report/references.h"

static int
run(const PmSession *session, const PmSink *sink, GError **error)
{
    PmHeldChunk held;
    if (!pm_held_chunk_find(&session->subject, session->reach, session->options->address, &held,
                            error))
        return PM_EXIT_FAILED;
    pm_progress_start(session->progress, PM_PHASE_REFERENCES);
    g_autoptr(PmReferences) references =
        pm_references_new(session->reach, &held, session->options->limit, TRUE);
    pm_progress_start(session->progress, PM_PHASE_ANSWER);
    pm_report_references(sink, &session->subject, session->reach, references);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_refs = {
    .name = "refs",
    .answers = "Who points at this chunk, and what it points at.",
    .details = "ADDR may lie anywhere in the chunk. Each reference is a word that holds the "
               "chunk's address (start)\n"
               "or one inside it (interior).\n",
    .takes = PM_TAKES_COMMON | PM_TAKES_ADDRESS | PM_TAKES_LIMIT,
    .heap = PM_HEAP_REQUIRED,
    .prepare = pm_session_scan,
    .run = run,
};
