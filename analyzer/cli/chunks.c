/*
 * postmalloc chunks: the chunks themselves, one a line.
 */
#include "report/chunks.h"
#include "cli/command.h"

/* Only chunks in use have a type. */
static gboolean
prepare(PmSession *session, GError **error)
{
    if (!pm_session_scan_chosen(session, error))
        return FALSE;
    const gboolean used = (session->options->filter.states >> PM_CHUNK_USED & 1) != 0;
    return !used || pm_session_prepare_typing(session);
}

static int
run(const PmSession *session, const PmSink *sink, GError **error)
{
    PmChunkFilter filter;
    if (!pm_session_get_filter(session, &filter, error))
        return PM_EXIT_FAILED;
    const PmChunkTypes types = {.typing = session->typing,
                                .only = session->options->type,
                                .paths = session->options->paths};
    pm_report_chunks(sink, &session->subject, session->reach, &types, &filter);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_chunks = {
    .name = "chunks",
    .answers = "The chunks themselves, one a line, filtered by size, state, class, arena, type.",
    .details = "The class of each comes from the leak scan, and its type from what types says; "
               "both run first,\n"
               "unless only free chunks are asked for. Chunks that are free or glibc's own have no "
               "class.\n"
               "--type takes a name as types shows it; struct, union and enum may be left out.\n",
    .takes = PM_TAKES_COMMON | PM_TAKES_CHUNKS | PM_TAKES_REACH | PM_TAKES_ARENA | PM_TAKES_LIMIT |
             PM_TAKES_TYPE,
    .heap = PM_HEAP_REQUIRED,
    .prepare = prepare,
    .run = run,
};
