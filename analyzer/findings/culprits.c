/*
 * Who made the chunks; see culprits.h.
 */
#include "findings/culprits.h"

#include "analysis/format.h"
#include "findings/weights.h"

/* Modules whose code is not here that are named. */
#define UNREAD_NAMED 3

static GPtrArray *
rank_sites(PmSiteRanker *ranker, const PmSizeFinding *finding, PmFitter *fitter)
{
    const PmSiteClues clues = {.request_min = finding->requests.min,
                               .request_max = finding->requests.max,
                               .schema = finding->naming->schema,
                               .layout = PM_RANK_ALL_LAYOUTS,
                               .variable = TRUE,
                               .described_max = PM_CULPRITS_SITES,
                               .fitter = fitter};
    GPtrArray *ranked = pm_sites_rank(ranker, &clues);
    if (ranked->len > PM_CULPRITS_SITES)
        g_ptr_array_set_size(ranked, PM_CULPRITS_SITES);
    return ranked;
}

/* Code that is not here may hold the site, whatever the others' scores are. */
static void
add_unread(PmSuspect *suspect, const PmSites *sites)
{
    gsize count = 0;
    const PmUnreadModule *unread = pm_sites_get_unread(sites, &count);
    g_autoptr(GString) names = g_string_new(NULL);
    for (gsize i = 0; i < MIN(count, UNREAD_NAMED); i++) {
        g_autofree char *name = g_path_get_basename(unread[i].module->path);
        g_string_append_printf(names, "%s%s", i > 0 ? ", " : "", name);
    }
    if (count > 0)
        pm_evidence_add(suspect->evidence, "code-missing", PM_WEIGHT_UNREAD,
                        "the code of %s is not here, and who calls malloc there is not known: %s%s "
                        "(--exe, --sysroot)",
                        pm_format_things(count, "module").text, names->str,
                        count > UNREAD_NAMED ? " …" : "");
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
        finding->suspect->sites = rank_sites(ranker, finding, input->namer->fitter);
        add_unread(finding->suspect, findings->sites);
    }
}
