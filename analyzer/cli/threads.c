/*
 * postmalloc threads: what each thread was doing, and what it holds.
 */
#include "report/threads.h"
#include "cli/command.h"

static int
run(const PmSession *session, const PmSink *sink, G_GNUC_UNUSED GError **error)
{
    const PmRegionsOptions options = {.count_nonzero = FALSE, .jobs = session->options->jobs};
    g_autoptr(PmRegions) regions = pm_regions_new(&session->subject, &options);
    g_autoptr(PmThreads) threads = pm_threads_new(&session->subject, regions);
    pm_report_threads(sink, &session->subject, threads);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_threads = {
    .name = "threads",
    .answers = "Each thread: backtrace, stack used and touched, arena, tcache; equal ones once.",
    .details =
        "Frames that call frame information does not lead to are not guessed: '...' says why\n"
        "a backtrace ends before the thread's first function. Cores hold no names of threads,\n"
        "but for the main one.\n",
    .takes = PM_TAKES_COMMON,
    .heap = PM_HEAP_OPTIONAL,
    .run = run,
};
