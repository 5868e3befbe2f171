/*
 * postmalloc chunks: the chunks themselves, one a line.
 */
#include "report/chunks.h"
#include "cli/command.h"

static int
run(const PmSession *session, const PmSink *sink, GError **error)
{
    PmChunkFilter filter = session->options->filter;
    if (filter.by_arena &&
        !pm_chunks_find_arena(session->ptmalloc, session->options->arena, &filter.arena, error))
        return PM_EXIT_FAILED;
    pm_report_chunks(sink, &session->subject, &filter);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_chunks = {
    .name = "chunks",
    .answers = "The chunks themselves, one a line, filtered by size, state and arena.",
    .takes = PM_TAKES_COMMON | PM_TAKES_CHUNKS | PM_TAKES_ARENA | PM_TAKES_LIMIT,
    .heap = PM_HEAP_REQUIRED,
    .run = run,
};
