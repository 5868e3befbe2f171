/*
 * postmalloc chunks: the chunks themselves, one a line.
 */
#include "report/chunks.h"
#include "cli/command.h"

/* Only chunks in use have a class. */
static gboolean
prepare(PmSession *session, GError **error)
{
    const PmChunkFilter *filter = &session->options->filter;
    if (filter->reaches != 0)
        return pm_session_scan(session, error);
    return (filter->states >> PM_CHUNK_USED & 1) == 0 || pm_session_try_scan(session, error);
}

static int
run(const PmSession *session, const PmSink *sink, GError **error)
{
    PmChunkFilter filter = session->options->filter;
    if (filter.by_arena &&
        !pm_chunks_find_arena(session->ptmalloc, session->options->arena, &filter.arena, error))
        return PM_EXIT_FAILED;
    pm_report_chunks(sink, &session->subject, session->reach, &filter);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_chunks = {
    .name = "chunks",
    .answers = "The chunks themselves, one a line, filtered by size, state, class and arena.",
    .details = "The class of each comes from the leak scan, which runs first and doubles the time, "
               "unless only\n"
               "free chunks are asked for. Chunks that are free or glibc's own have no class.\n",
    .takes = PM_TAKES_COMMON | PM_TAKES_CHUNKS | PM_TAKES_REACH | PM_TAKES_ARENA | PM_TAKES_LIMIT,
    .heap = PM_HEAP_REQUIRED,
    .prepare = prepare,
    .run = run,
};
