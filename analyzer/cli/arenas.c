/*
 * postmalloc arenas: what each arena holds, in use and free, and what keeps it.
 */
#include "report/arenas.h"
#include "cli/command.h"

/*
 * What pins a heap is told with its class and type where somebody will look: where the figures
 * speak for something, where one arena was asked for, and in JSON on a heap that is soon scanned.
 * On a large heap that is in order the answer comes as quickly as that of `sizes`.
 */
static gboolean
prepare(PmSession *session, GError **error)
{
    const PmOptions *options = session->options;
    if (!pm_session_prepare_arenas(session) || session->ptmalloc == NULL)
        return TRUE;
    const gboolean small =
        pm_heap_get_ordinals(pm_ptmalloc_get_heap(session->ptmalloc)) <= PM_SESSION_TYPED_CHUNKS;
    if (session->arenas->advice->len == 0 && !options->filter.by_arena && !options->verbose &&
        !(options->json && small))
        return TRUE;
    return pm_session_try_scan(session, error) && pm_session_prepare_names(session);
}

static int
run(const PmSession *session, const PmSink *sink, GError **error)
{
    guint32 only = PM_ARENA_NONE;
    if (session->options->filter.by_arena &&
        !pm_chunks_find_arena(session->ptmalloc, session->options->arena, &only, error))
        return PM_EXIT_FAILED;
    const PmArenasView view = {
        .arenas = session->arenas,
        .only = pm_arenas_find(session->arenas, session->ptmalloc, only),
        .reach = session->reach,
        .typing = session->typing,
    };
    pm_report_arenas(sink, &session->subject, &view);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_arenas = {
    .name = "arenas",
    .answers =
        "Each arena: in use, free, top, tcache, largest free chunk, what a trim would return.",
    .details =
        "TRIMMABLE is what malloc_trim(0) would give back: whole pages with memory behind them in\n"
        "free chunks and in the main arena's top. The other free bytes share their pages with\n"
        "chunks in use, are in a tcache or at the top of a thread's heap, or take no memory "
        "(UNTOUCHED).\n"
        "A heap shrinks from its end alone: the last chunk in use pins it. Where the figures speak "
        "for a\n"
        "setting of malloc it is named with them, else none is.\n",
    .takes = PM_TAKES_COMMON | PM_TAKES_ARENA,
    .heap = PM_HEAP_REQUIRED,
    .prepare = prepare,
    .run = run,
};
