/*
 * Who made the chunks; see culprits.h.
 */
#include "findings/culprits.h"

static GPtrArray *
rank_sites(PmSiteRanker *ranker, const PmSizeFinding *finding)
{
    const PmSiteClues clues = {.request_min = finding->requests.min,
                               .request_max = finding->requests.max,
                               .schema = finding->naming->schema,
                               .layout = PM_RANK_ALL_LAYOUTS,
                               .variable = TRUE,
                               .described_max = PM_CULPRITS_SITES};
    GPtrArray *ranked = pm_sites_rank(ranker, &clues);
    if (ranked->len > PM_CULPRITS_SITES)
        g_ptr_array_set_size(ranked, PM_CULPRITS_SITES);
    return ranked;
}

void
pm_culprits_find(PmFindings *findings, const PmFindingsInput *input, const GPtrArray *sizes)
{
    const PmSiteQuery all = {.variable = TRUE, .unlocated = TRUE};
    g_autoptr(GError) error = NULL;
    if (sizes->len == 0)
        return;
    findings->sites = pm_sites_new(input->subject, &all, input->jobs, &error);
    if (findings->sites == NULL) {
        findings->sites_message = g_strdup(error->message);
        return;
    }
    g_autoptr(PmSiteRanker) ranker =
        pm_site_ranker_new(input->subject, findings->sites, input->namer->places);
    for (guint i = 0; i < MIN(sizes->len, PM_CULPRITS_SUSPECTS); i++) {
        PmSizeFinding *finding = g_ptr_array_index(sizes, i);
        finding->suspect->sites = rank_sites(ranker, finding);
    }
}
