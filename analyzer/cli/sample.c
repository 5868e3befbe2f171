/*
 * postmalloc sample: what some chunks hold.
 */
#include "report/sample.h"
#include "cli/command.h"

static gboolean
prepare(PmSession *session, GError **error)
{
    return pm_session_scan_chosen(session, error) && pm_session_prepare_typing(session);
}

static int
run(const PmSession *session, const PmSink *sink, GError **error)
{
    const PmOptions *options = session->options;
    PmChunkFilter filter;
    if (!pm_session_get_filter(session, &filter, error))
        return PM_EXIT_FAILED;
    g_autoptr(PmDescriber) describer = pm_session_new_describer(session);
    g_autoptr(PmSample) sample = pm_sample_new(&session->subject, session->reach, &filter,
                                               (gsize)options->count, options->seed);
    pm_report_sample(sink, describer, &filter, sample, options->seed);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_sample = {
    .name = "sample",
    .answers = "What some chunks hold: hex, ASCII, and what every word points to.",
    .details =
        "The chunks are chosen evenly over the heap, among those in use unless --state says "
        "otherwise; the\n"
        "same --seed chooses the same ones. What a program did not write since malloc() is what "
        "an earlier\n"
        "owner left there, above all behind the end of what it asked for. Types are those of "
        "types.\n",
    .takes = PM_TAKES_COMMON | PM_TAKES_CHUNKS | PM_TAKES_REACH | PM_TAKES_ARENA | PM_TAKES_COUNT |
             PM_TAKES_USED,
    .heap = PM_HEAP_REQUIRED,
    .prepare = prepare,
    .run = run,
};
