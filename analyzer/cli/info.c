/*
 * postmalloc info: the program, its threads and modules, and how complete the core is.
 */
#include "report/info.h"
#include "cli/command.h"

static int
run(const PmSession *session, const PmSink *sink, G_GNUC_UNUSED GError **error)
{
    pm_report_info(sink, &session->subject);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_info = {
    .name = "info",
    .answers = "Which program, signal, threads, glibc; which modules? How complete is the core?",
    .takes = PM_TAKES_COMMON,
    .heap = PM_HEAP_OPTIONAL,
    .run = run,
};
