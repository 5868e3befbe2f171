/*
 * postmalloc structs: the DWARF types that fit a size, ranked by how well real chunks fit them.
 */
#include "report/structs.h"
#include "cli/command.h"

static int
run(const PmSession *session, const PmSink *sink, GError **error)
{
    PmChunkFilter filter;
    if (!pm_session_get_filter(session, &filter, error))
        return PM_EXIT_FAILED;
    /* What is free, or glibc's own, has no type; unless it was asked for. */
    if (filter.states == PM_CHUNK_STATES_ALL)
        filter.states = 1U << PM_CHUNK_USED;
    pm_progress_start(session->progress, PM_PHASE_DWARF);
    /* The index of types is made, or read, by the first question. */
    g_ptr_array_unref(pm_types_find_by_size(session->types, G_MAXUINT64, G_MAXUINT64));
    pm_progress_start(session->progress, PM_PHASE_FITTING);
    g_autoptr(PmStructs) structs =
        pm_structs_new(session->places, session->types, session->reach, &filter);
    pm_progress_start(session->progress, PM_PHASE_ANSWER);
    pm_report_structs(sink, &session->subject, structs);
    return PM_EXIT_ANSWERED;
}

static gboolean
prepare(PmSession *session, GError **error)
{
    pm_session_prepare_places(session);
    return session->options->filter.reaches == 0 || pm_session_scan(session, error);
}

const PmCommand pm_command_structs = {
    .name = "structs",
    .answers = "The types whose size fits, ranked by how well real chunks fit their fields.",
    .details =
        "--size N asks for types of exactly N bytes, --chunk-size N for those of every request "
        "that gives\n"
        "such a chunk. Types come from the debug information (DWARF) of all modules; what exists "
        "is indexed\n"
        "on first use and kept in the user's cache folder.\n\n"
        "FIT says how much more likely the chunks' bytes are for this type than by chance, from 0 "
        "to 1: pointers\n"
        "that lead to chunks that can hold their target, functions, text in char arrays, enums in "
        "range, vtables.\n"
        "0.5 means that its fields say nothing: so it is for plain integers, and for zeros. From "
        "0.90 on, a type\n"
        "is said to fit. CONTRADICTIONS are the fields that are wrong in more than a few of the "
        "chunks.\n",
    .takes = PM_TAKES_COMMON | PM_TAKES_CHUNKS | PM_TAKES_REACH | PM_TAKES_ARENA | PM_NEEDS_SIZE,
    .heap = PM_HEAP_REQUIRED,
    .prepare = prepare,
    .run = run,
};
