/*
 * One core, opened as far as a command needs it: image, process, heap; and the diagnostics that
 * came up on the way.
 */
#pragma once

#include "analysis/arenas.h"
#include "analysis/contents/describe.h"
#include "analysis/reach/reach.h"
#include "analysis/types/naming.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/source.h"

typedef enum {
    PM_HEAP_UNUSED,   /* the command does not look at it */
    PM_HEAP_OPTIONAL, /* without one the command still answers, and says why there is none */
    PM_HEAP_REQUIRED,
} PmHeapNeed;

/*
 * @source: where the core came from.
 * @subject: what the analyses see; its pointers are those of the session. @arenas, @reach: what is
 * free, and the scan, or NULL where the command did not ask for it. @types: there once the core is
 * open.
 * @places … @typing: what chunks are, each NULL until a command asks for it.
 */
typedef struct {
    const PmOptions *options;
    PmDiagnostics *diagnostics;
    PmSource *source;
    PmImage *image;
    PmProcess *process;
    PmPtmalloc *ptmalloc;
    PmArenas *arenas;
    PmReach *reach;
    PmTypes *types;
    PmPlaces *places;
    PmFitter *fitter;
    PmRecognisers *recognisers;
    PmTyping *typing;
    GError *heap_error;
    char *allocator;
    PmProgress *progress;
    PmSubject subject;
} PmSession;

/* An empty session; @options: borrowed. Nothing is opened yet. */
PmSession *pm_session_new(const PmOptions *options);
void pm_session_free(PmSession *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmSession, pm_session_free)

/*
 * Opens the core.
 *
 * @verify_bins: follow the lists of the bins too, for what `check` reports.
 * Returns: FALSE with what pm_source_open(), pm_image_open(), pm_process_open() and, for
 * PM_HEAP_REQUIRED, pm_ptmalloc_walk() set. What was opened until then stays in the session.
 */
gboolean pm_session_open(PmSession *session, PmHeapNeed heap, gboolean verify_bins, GError **error);

/*
 * Scans for what nothing refers to; the session has been opened. Without a heap it does nothing.
 *
 * Returns: FALSE with what pm_reach_new() set.
 */
gboolean pm_session_scan(PmSession *session, GError **error);

/* The same for commands that have an answer without it: a failure is a diagnostic. Returns: TRUE.
 */
gboolean pm_session_try_scan(PmSession *session, GError **error);

/*
 * The scan that a list of chunks by the filter options takes: that of pm_session_scan() where
 * --reach chooses among them, else of pm_session_try_scan(); none without chunks in use, for only
 * they have a class.
 */
gboolean pm_session_scan_chosen(PmSession *session, GError **error);

/*
 * The filter options with --arena looked up; the session has a heap.
 *
 * Returns: FALSE with what pm_chunks_find_arena() set.
 */
gboolean pm_session_get_filter(const PmSession *session, PmChunkFilter *ret_filter, GError **error);

/* Makes session->arenas. Without a heap it does nothing. Returns: TRUE. */
gboolean pm_session_prepare_arenas(PmSession *session);

/* Makes session->places. Returns: TRUE. */
gboolean pm_session_prepare_places(PmSession *session);

/* Heaps of more chunks in use are typed only for commands that need it: it visits each of them. */
#define PM_SESSION_TYPED_CHUNKS 1000000

/*
 * Makes what names chunks from a sample of them: session->places, types, fitter, recognisers; on
 * heaps of at most PM_SESSION_TYPED_CHUNKS session->typing, too. Without a heap it does nothing.
 *
 * Returns: TRUE.
 */
gboolean pm_session_prepare_names(PmSession *session);

/* The same with session->typing on a heap of any size. Returns: TRUE. */
gboolean pm_session_prepare_typing(PmSession *session);

/* A describer of words that knows the types of chunks where session->typing was made.
 * (transfer full); session->places must have been made. */
PmDescriber *pm_session_new_describer(const PmSession *session);

/* What was made of these, for pm_naming_new(). */
PmNamer pm_session_get_namer(const PmSession *session);

/*
 * The diagnostics on standard error, a line each, few of each code; nothing under --quiet, notes
 * only under --verbose.
 *
 * @violations: FALSE leaves out those that `check` lists, because the command shows them itself.
 */
void pm_session_print_diagnostics(const PmSession *session, gboolean violations);

/* --stats. */
void pm_session_print_stats(const PmSession *session);
