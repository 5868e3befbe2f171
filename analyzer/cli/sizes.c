/*
 * postmalloc sizes: the histogram of chunk sizes.
 */
#include "report/sizes.h"
#include "cli/command.h"

static int
run(const PmSession *session, const PmSink *sink, G_GNUC_UNUSED GError **error)
{
    g_autoptr(PmSizes) sizes = pm_sizes_new(session->ptmalloc);
    pm_report_sizes(sink, &session->subject, sizes);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_sizes = {
    .name = "sizes",
    .answers = "The histogram of chunk sizes: counts, bytes, share; ranked.",
    .takes = PM_TAKES_COMMON,
    .heap = PM_HEAP_REQUIRED,
    .run = run,
};
