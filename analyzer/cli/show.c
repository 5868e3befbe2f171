/*
 * postmalloc show: everything known about one address.
 */
#include "report/show.h"
#include "cli/command.h"

/* Of what holds a chunk, as many are shown; `refs` shows all. */
#define HOLDERS_SHOWN 3

/* Only a chunk in use has a class and something that holds it. */
static gboolean
prepare(PmSession *session, GError **error)
{
    PmChunk chunk;
    pm_session_prepare_places(session);
    if (session->ptmalloc == NULL ||
        !pm_heap_find_chunk(pm_ptmalloc_get_heap(session->ptmalloc), session->options->address,
                            &chunk, NULL) ||
        pm_chunk_state_is_free(chunk.state))
        return TRUE;
    return pm_session_try_scan(session, error) && pm_session_prepare_typing(session);
}

static int
run(const PmSession *session, const PmSink *sink, G_GNUC_UNUSED GError **error)
{
    PmLookup lookup;
    PmHeldChunk held;
    g_autoptr(PmReferences) holders = NULL;
    pm_lookup(&session->subject, session->options->address, &lookup);
    if (session->reach != NULL && pm_held_chunk_find(&session->subject, session->reach,
                                                     session->options->address, &held, NULL)) {
        pm_progress_start(session->progress, PM_PHASE_REFERENCES);
        holders = pm_references_new(session->reach, &held, HOLDERS_SHOWN, FALSE);
        pm_progress_start(session->progress, PM_PHASE_ANSWER);
    }
    g_autoptr(PmDescriber) describer = pm_session_new_describer(session);
    const PmShow show = {.describer = describer,
                         .typing = session->typing,
                         .lookup = &lookup,
                         .reach = session->reach,
                         .holders = holders};
    pm_report_show(sink, &show);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_show = {
    .name = "show",
    .answers = "Everything known about one address, whatever it is.",
    .takes = PM_TAKES_COMMON | PM_TAKES_ADDRESS,
    .heap = PM_HEAP_OPTIONAL,
    .prepare = prepare,
    .run = run,
};
