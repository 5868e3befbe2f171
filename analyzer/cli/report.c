/*
 * postmalloc report: the first page.
 */
#include "analysis/check.h"
#include "cli/command.h"
#include "report/summary.h"

/* Any number, so that two runs give one answer. */
#define SEED 1

static gboolean
prepare(PmSession *session, GError **error)
{
    return pm_session_prepare_arenas(session) && pm_session_try_scan(session, error) &&
           pm_session_prepare_names(session);
}

/* What the chunks of the largest sizes are. */
static GPtrArray *
name_sizes(const PmSession *session, const PmSizes *sizes)
{
    GPtrArray *namings = g_ptr_array_new_with_free_func((GDestroyNotify)pm_naming_free);
    const PmNamer namer = pm_session_get_namer(session);
    if (sizes == NULL)
        return namings;
    for (gsize i = 0; i < MIN(sizes->row_count, PM_SUMMARY_NAMED_SIZES); i++) {
        const PmChunkFilter filter = {.states = 1U << PM_CHUNK_USED,
                                      .by_chunk_bytes = TRUE,
                                      .chunk_bytes = sizes->rows[i].chunk_bytes};
        PmSample *sample =
            pm_sample_new(&session->subject, session->reach, &filter, PM_SCHEMA_SAMPLE, SEED);
        g_ptr_array_add(namings, pm_naming_new(&namer, sample));
    }
    return namings;
}

static int
run(const PmSession *session, const PmSink *sink, G_GNUC_UNUSED GError **error)
{
    const PmSubject *subject = &session->subject;
    PmSummary summary = {.subject = subject};
    const PmRegionsOptions options = {.count_nonzero = FALSE, .jobs = session->options->jobs};
    g_autoptr(PmRegions) regions = pm_regions_new(subject, &options);
    pm_memory_account(subject, regions, &summary.memory);
    g_autoptr(PmCheck) check = pm_check_new(subject);
    g_autoptr(PmSizes) sizes = subject->ptmalloc == NULL ? NULL : pm_sizes_new(subject->ptmalloc);
    summary.arenas = session->arenas;
    if (sizes != NULL)
        pm_sizes_add_lost(sizes, subject, session->reach);
    summary.check = check;
    summary.sizes = sizes;
    const PmNamer namer = pm_session_get_namer(session);
    const PmFindingsInput input = {.subject = subject,
                                   .reach = session->reach,
                                   .sizes = sizes,
                                   .check = check,
                                   .arenas = session->arenas,
                                   .regions = regions,
                                   .namer = &namer,
                                   .again = sink->again,
                                   .jobs = session->options->jobs};
    g_autoptr(PmFindings) findings = pm_findings_new(&input);
    summary.findings = findings;
    /* The page has no room for both. */
    const gboolean names_sizes = sink->json != NULL || findings->suspects->len == 0;
    g_autoptr(GPtrArray) namings = name_sizes(session, names_sizes ? sizes : NULL);
    summary.namings = (PmNaming *const *)namings->pdata;
    summary.naming_count = namings->len;
    pm_report_summary(sink, &summary);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_report = {
    .name = "report",
    .answers = "Where is the memory, and what should I look at next? One page.",
    .takes = PM_TAKES_COMMON,
    .heap = PM_HEAP_OPTIONAL,
    .shows_violations = TRUE,
    .prepare = prepare,
    .run = run,
};
