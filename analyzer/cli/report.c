/*
 * postmalloc report: the first page.
 */
#include "analysis/check.h"
#include "cli/command.h"
#include "report/summary.h"

static int
run(const PmSession *session, const PmSink *sink, G_GNUC_UNUSED GError **error)
{
    const PmSubject *subject = &session->subject;
    PmSummary summary = {.subject = subject};
    pm_memory_account(subject, &summary.memory);
    g_autoptr(PmCheck) check = pm_check_new(subject);
    g_autoptr(PmSizes) sizes = subject->ptmalloc == NULL ? NULL : pm_sizes_new(subject->ptmalloc);
    if (sizes != NULL)
        pm_sizes_add_lost(sizes, subject, session->reach);
    summary.check = check;
    summary.sizes = sizes;
    pm_report_summary(sink, &summary);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_report = {
    .name = "report",
    .answers = "Where is the memory, and what should I look at next? One page.",
    .takes = PM_TAKES_COMMON,
    .heap = PM_HEAP_OPTIONAL,
    .shows_violations = TRUE,
    .prepare = pm_session_try_scan,
    .run = run,
};
