/*
 * Lists what the recognisers say of a core's chunks in use, for test-recognisers.c and for a look
 * by eye: tab-separated address, usable bytes, recogniser, offset, confidence, type ("-" without
 * one), name, reason.
 *
 * list-recognitions [--no-types] [--all] CORE
 * --all lists chunks that nobody knows too, with "-".
 */
#include "analysis/types/recogniser.h"
#include "cli/session.h"

#include <stdio.h>
#include <string.h>

static void
list(const PmSession *session, gboolean types, gboolean all)
{
    g_autoptr(PmPlaces) places = pm_places_new(&session->subject);
    g_autoptr(PmTypes) table =
        types ? pm_types_new(session->process, NULL, session->diagnostics) : NULL;
    g_autoptr(PmRecognisers) recognisers = pm_recognisers_new(places, table);
    PmHeapIter iter;
    PmChunk chunk;
    pm_heap_iter_init(&iter, pm_ptmalloc_get_heap(session->ptmalloc), 0);
    while (pm_heap_iter_next(&iter, &chunk)) {
        PmRecognition found = {.name = "-", .reason = "-"};
        const char *id = "-";
        if (chunk.state != PM_CHUNK_USED ||
            (!pm_recognisers_ask(recognisers, &chunk, &id, &found) && !all))
            continue;
        g_autofree char *name = g_strescape(found.name, NULL);
        (void)printf("0x%" G_GINT64_MODIFIER "x\t%" G_GUINT64_FORMAT "\t%s\t%" G_GUINT64_FORMAT
                     "\t%.2f\t%s\t%s\t%s\n",
                     chunk.address, chunk.usable_bytes, id, found.offset_bytes, found.confidence,
                     found.type != NULL ? found.type->name : "-", name, found.reason);
    }
}

int
main(int argc, char **argv)
{
    gboolean types = TRUE;
    gboolean all = FALSE;
    PmOptions options = {.no_progress = TRUE, .quiet = TRUE};
    g_autoptr(GError) error = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--no-types") == 0)
            types = FALSE;
        else if (strcmp(argv[i], "--all") == 0)
            all = TRUE;
        else
            options.core = argv[i];
    }
    g_autoptr(PmSession) session = pm_session_new(&options);
    if (!pm_session_open(session, PM_HEAP_REQUIRED, FALSE, &error)) {
        (void)fprintf(stderr, "%s\n", error->message);
        return 1;
    }
    list(session, types, all);
    return 0;
}
