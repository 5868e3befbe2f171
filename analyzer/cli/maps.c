/*
 * postmalloc maps: what every part of the address space is.
 */
#include "report/maps.h"
#include "cli/command.h"

static int
run(const PmSession *session, const PmSink *sink, G_GNUC_UNUSED GError **error)
{
    const PmRegionsOptions options = {.count_nonzero = TRUE, .jobs = session->options->jobs};
    g_autoptr(PmRegions) regions = pm_regions_new(&session->subject, &options);
    pm_report_maps(sink, &session->subject, regions);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_maps = {
    .name = "maps",
    .answers = "Every region: heap, stack, orphan stack, module, file; mapped beside touched.",
    .details =
        "Stacks are told by glibc's own lists of threads, by the control block in them, and, of\n"
        "those that nobody knows any more, by their shape: a guard below, return addresses above.\n"
        "The list has the fullest regions; --top 0 has all of them in the order of addresses.\n",
    .takes = PM_TAKES_COMMON,
    .heap = PM_HEAP_OPTIONAL,
    .run = run,
};
