/*
 * What names chunks, made when a command asks for it; see session.h.
 */
#include "cli/session.h"

gboolean
pm_session_prepare_arenas(PmSession *session)
{
    if (session->arenas == NULL && session->ptmalloc != NULL)
        session->arenas = pm_arenas_new(session->ptmalloc, session->process);
    return TRUE;
}

gboolean
pm_session_prepare_places(PmSession *session)
{
    if (session->places == NULL)
        session->places = pm_places_new(&session->subject);
    return TRUE;
}

static void
open_namer(PmSession *session)
{
    pm_session_prepare_places(session);
    if (session->fitter != NULL)
        return;
    session->fitter = pm_fitter_new(session->places, session->types);
    session->recognisers = pm_recognisers_new(session->places, session->types);
}

static guint64
count_used(const PmSession *session)
{
    gsize count = 0;
    guint64 used = 0;
    const PmSizeCount *sizes = pm_ptmalloc_get_sizes(session->ptmalloc, &count);
    for (gsize i = 0; i < count; i++)
        used += sizes[i].chunks[PM_CHUNK_USED];
    return used;
}

gboolean
pm_session_prepare_names(PmSession *session)
{
    if (session->ptmalloc == NULL)
        return TRUE;
    if (count_used(session) <= PM_SESSION_TYPED_CHUNKS)
        return pm_session_prepare_typing(session);
    open_namer(session);
    return TRUE;
}

gboolean
pm_session_prepare_typing(PmSession *session)
{
    if (session->ptmalloc == NULL)
        return TRUE;
    open_namer(session);
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

static char *
name_chunk(gpointer data, const PmChunk *chunk)
{
    PmTyped typed;
    pm_typing_get(data, chunk, &typed);
    return typed.by != PM_TYPED_BY_RUNTIME ? g_strdup(typed.name) : NULL;
}

PmDescriber *
pm_session_new_describer(const PmSession *session)
{
    PmDescriber *describer = pm_describer_new(session->places, session->reach);
    if (session->typing != NULL)
        pm_describer_set_typer(describer, name_chunk, session->typing);
    return describer;
}
