/*
 * postmalloc check: the integrity of the heap.
 */
#include "report/check.h"
#include "cli/command.h"

static int
run(const PmSession *session, const PmSink *sink, G_GNUC_UNUSED GError **error)
{
    g_autoptr(PmCheck) check = pm_check_new(&session->subject);
    pm_report_check(sink, &session->subject, check);
    return session->options->strict && check->row_count > 0 ? PM_EXIT_LIMIT : PM_EXIT_ANSWERED;
}

const PmCommand pm_command_check = {
    .name = "check",
    .answers = "Every violated invariant of the heap, its address and what it usually means.",
    .takes = PM_TAKES_COMMON | PM_TAKES_LIMIT | PM_TAKES_STRICT,
    .heap = PM_HEAP_REQUIRED,
    .verifies_bins = TRUE,
    .shows_violations = TRUE,
    .run = run,
};
