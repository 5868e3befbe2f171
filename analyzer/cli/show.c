/*
 * postmalloc show: everything known about one address.
 */
#include "report/show.h"
#include "cli/command.h"

static int
run(const PmSession *session, const PmSink *sink, G_GNUC_UNUSED GError **error)
{
    PmLookup lookup;
    pm_lookup(&session->subject, session->options->address, &lookup);
    pm_report_show(sink, &session->subject, &lookup);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_show = {
    .name = "show",
    .answers = "Everything known about one address, whatever it is.",
    .takes = PM_TAKES_COMMON | PM_TAKES_ADDRESS,
    .heap = PM_HEAP_OPTIONAL,
    .run = run,
};
