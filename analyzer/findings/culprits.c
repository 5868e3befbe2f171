/*
 * Who made the chunks; see culprits.h.
 */
#include "findings/culprits.h"

#include "analysis/format.h"
#include "findings/draw.h"
#include "findings/weights.h"

/* Modules whose code is not here that are named. */
#define UNREAD_NAMED 3

static void
rank_sites(PmSiteRanker *ranker, PmSuspect *suspect, const PmSiteClues *clues)
{
    suspect->sites = pm_sites_rank(ranker, clues);
    for (guint i = 0; i < suspect->sites->len; i++) {
        const PmRankedSite *ranked = g_ptr_array_index(suspect->sites, i);
        suspect->askers +=
            ranked->site->kind <= PM_SITE_SEVERAL && ranked->request_bytes >= clues->request_min;
    }
    if (suspect->sites->len > PM_CULPRITS_SITES) {
        suspect->sites_omitted = suspect->sites->len - PM_CULPRITS_SITES;
        g_ptr_array_set_size(suspect->sites, PM_CULPRITS_SITES);
    }
}

static void
rank_size(PmSiteRanker *ranker, const PmSizeFinding *finding, PmFitter *fitter)
{
    const PmSiteClues clues = {.request_min = finding->requests.min,
                               .request_max = finding->requests.max,
                               .schema = finding->naming->schema,
                               .layout = PM_RANK_ALL_LAYOUTS,
                               .variable = TRUE,
                               .described_max = PM_CULPRITS_SITES,
                               .fitter = fitter};
    rank_sites(ranker, finding->suspect, &clues);
}

/* By the lost chunks of the family's commonest size. */
static void
rank_family(PmSiteRanker *ranker, const PmFindingsInput *input, const PmFamilyFinding *family)
{
    g_autoptr(PmSchema) schema =
        pm_schema_new(input->namer->places,
                      pm_draw_chunks(input, family->chunk_bytes, PM_REACH_LOST, PM_SCHEMA_SAMPLE));
    const PmSiteClues clues = {.request_min = schema->requests.min,
                               .request_max = schema->requests.max,
                               .schema = schema,
                               .layout = PM_RANK_ALL_LAYOUTS,
                               .variable = TRUE,
                               .varied = TRUE,
                               .described_max = PM_CULPRITS_SITES,
                               .fitter = input->namer->fitter};
    rank_sites(ranker, family->suspect, &clues);
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

/* The same of calls of a malloc that nobody knows the place of. */
static void
add_nameless(PmSuspect *suspect, const PmSites *sites)
{
    gsize count = 0;
    const PmModule *const *nameless = pm_sites_get_nameless(sites, &count);
    for (gsize i = 0; i < count; i++) {
        g_autofree char *name = g_path_get_basename(nameless[i]->path);
        pm_evidence_add(suspect->evidence, "malloc-unknown", PM_WEIGHT_UNREAD,
                        "%s holds malloc, but no symbol says where: who calls it is not known "
                        "(--exe, --debug-dir: the same build with its symbols)",
                        name);
    }
}

/* What speaks against all sites of @suspect: what was not seen. */
static void
add_unseen(PmSuspect *suspect, const PmSites *sites)
{
    add_unread(suspect, sites);
    add_nameless(suspect, sites);
}

void
pm_culprits_find(PmFindings *findings, const PmFindingsInput *input, const GPtrArray *sizes,
                 const PmFamilyFinding *family)
{
    const PmSiteQuery all = {.variable = TRUE, .unlocated = TRUE};
    g_autoptr(GError) error = NULL;
    if (sizes->len == 0 && family == NULL)
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
        rank_size(ranker, finding, input->namer->fitter);
        add_unseen(finding->suspect, findings->sites);
    }
    if (family != NULL) {
        rank_family(ranker, input, family);
        add_unseen(family->suspect, findings->sites);
    }
}
