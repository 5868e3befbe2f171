/*
 * What names chunks, made when a command asks for it; see session.h.
 */
#include "cli/session.h"

static void
open_places(PmSession *session)
{
    if (session->places == NULL)
        session->places = pm_places_new(&session->subject);
}

static void
open_types(PmSession *session)
{
    if (session->types != NULL)
        return;
    const PmTypesOptions options = {.progress = pm_progress_tell_dwarf,
                                    .progress_data = session->progress};
    session->types = pm_types_new(session->process, &options, session->diagnostics);
    session->fitter = pm_fitter_new(session->places, session->types);
    session->recognisers = pm_recognisers_new(session->places, session->types);
}

gboolean
pm_session_prepare_names(PmSession *session)
{
    if (session->ptmalloc == NULL)
        return TRUE;
    open_places(session);
    open_types(session);
    return TRUE;
}

gboolean
pm_session_prepare_typing(PmSession *session)
{
    if (session->ptmalloc == NULL)
        return TRUE;
    pm_session_prepare_names(session);
    pm_progress_start(session->progress, PM_PHASE_TYPES);
    if (session->typing == NULL)
        session->typing = pm_typing_new(session->places, session->types);
    return TRUE;
}

PmNamer
pm_session_get_namer(const PmSession *session)
{
    return (PmNamer){.places = session->places,
                     .typing = session->typing,
                     .recognisers = session->recognisers,
                     .fitter = session->fitter};
}
