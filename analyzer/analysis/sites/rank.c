/*
 * Candidates and their scores; see rank.h.
 */
#include "analysis/sites/rank.h"

#include "analysis/sites/fingerprint.h"

#include <math.h>

/* What a site weighs before the bytes are looked at, beside one that always asks for the size. All
 * those together of which only bounds or nothing is known weigh at most ODD_MASS: one of them may
 * have made the chunks, but there are thousands. */
#define WEIGHT_RANGE    0.05
#define WEIGHT_VARIABLE 0.01
#define WEIGHT_POINTER  0.8
#define ODD_MASS        0.5

struct PmSiteRanker {
    const PmSubject *subject;
    PmSites *sites;
    PmPlaces *places;
};

/*
 * A site that can have made the chunks. @weight: without the bytes. @logs: of each row, or NULL
 * where its stores say nothing. @by_layout: what the inferred request of each layout says, as a
 * factor.
 */
typedef struct {
    PmRankedSite *ranked;
    double weight;
    double *logs;
    double *by_layout;
} Candidate;

typedef struct {
    PmSiteRanker *ranker;
    const PmSiteClues *clues;
    PmSiteRows *rows;
    GArray *candidates;
} Ranking;

static void
candidate_clear(gpointer data)
{
    Candidate *candidate = data;
    g_free(candidate->logs);
    g_free(candidate->by_layout);
}

void
pm_ranked_site_free(PmRankedSite *ranked)
{
    if (ranked == NULL)
        return;
    g_array_unref(ranked->evidence);
    g_free(ranked);
}

PmSiteRanker *
pm_site_ranker_new(const PmSubject *subject, PmSites *sites, PmPlaces *places)
{
    PmSiteRanker *ranker = g_new0(PmSiteRanker, 1);
    ranker->subject = subject;
    ranker->sites = sites;
    ranker->places = places;
    return ranker;
}

void
pm_site_ranker_free(PmSiteRanker *ranker)
{
    g_free(ranker);
}

static void
add_set_evidence(const PmSite *site, guint matches, PmRankedSite *ranked)
{
    if (site->size.count == 1)
        pm_evidence_add(ranked->evidence, "size", 0.3,
                        "it always asks for %" G_GUINT64_FORMAT " bytes", site->size.v[0]);
    else
        pm_evidence_add(ranked->evidence, "size", 0.1,
                        "%u of the %u sizes that it may ask for are of this class", matches,
                        site->size.count);
}

/* What the call alone says; 0 where it cannot ask for such a size. */
static double
weigh_size(const PmSiteClues *clues, const PmSite *site, PmRankedSite *ranked)
{
    const PmValue *size = &site->size;
    ranked->request_bytes = PM_SIZE_UNKNOWN;
    if (site->kind == PM_SITE_VARIABLE) {
        pm_evidence_add(ranked->evidence, "size", 0, "nothing is known of the size it asks for");
        return clues->variable ? WEIGHT_VARIABLE : 0;
    }
    if (site->kind == PM_SITE_RANGE) {
        pm_evidence_add(ranked->evidence, "size", 0,
                        "it asks for %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " bytes",
                        size->v[0], size->v[1]);
        return clues->variable && size->v[0] <= clues->request_max &&
                       size->v[1] >= clues->request_min
                   ? WEIGHT_RANGE
                   : 0;
    }
    guint matches = 0;
    for (guint i = 0; i < size->count; i++) {
        if (size->v[i] < clues->request_min || size->v[i] > clues->request_max)
            continue;
        ranked->request_bytes = matches++ == 0 ? size->v[i] : PM_SIZE_UNKNOWN;
    }
    add_set_evidence(site, matches, ranked);
    return (double)matches / size->count;
}

static void
add_candidate(Ranking *ranking, const PmSite *site)
{
    PmRankedSite *ranked = g_new0(PmRankedSite, 1);
    ranked->site = site;
    ranked->evidence = pm_evidence_new();
    Candidate candidate = {.ranked = ranked};
    candidate.weight = weigh_size(ranking->clues, site, ranked);
    if (candidate.weight <= 0) {
        pm_ranked_site_free(ranked);
        return;
    }
    if (site->by_pointer) {
        candidate.weight *= WEIGHT_POINTER;
        pm_evidence_add(ranked->evidence, "size", -0.05,
                        "through a pointer, which may have held another function before");
    }
    g_array_append_val(ranking->candidates, candidate);
}

/* Sites without a constant size weigh no more than ODD_MASS together. */
static void
bound_odd(const GArray *candidates)
{
    double mass = 0;
    for (guint i = 0; i < candidates->len; i++) {
        const Candidate *candidate = &g_array_index(candidates, Candidate, i);
        mass += candidate->ranked->site->kind >= PM_SITE_RANGE ? candidate->weight : 0;
    }
    for (guint i = 0; mass > ODD_MASS && i < candidates->len; i++) {
        Candidate *candidate = &g_array_index(candidates, Candidate, i);
        if (candidate->ranked->site->kind >= PM_SITE_RANGE)
            candidate->weight *= ODD_MASS / mass;
    }
}

static gint
compare_ranked(gconstpointer a, gconstpointer b)
{
    const PmRankedSite *left = *(PmRankedSite *const *)a;
    const PmRankedSite *right = *(PmRankedSite *const *)b;
    if (left->score > right->score || left->score < right->score)
        return left->score > right->score ? -1 : 1;
    if (left->site->module != right->site->module)
        return left->site->module < right->site->module ? -1 : 1;
    return left->site->address < right->site->address ? -1
                                                      : left->site->address > right->site->address;
}

static gint
compare_evidence(gconstpointer a, gconstpointer b)
{
    const double left = ((const PmEvidence *)a)->weight;
    const double right = ((const PmEvidence *)b)->weight;
    return left > right ? -1 : left < right;
}

/* Without chunks: each one's share of the weights. */
static void
score_alone(const GArray *candidates)
{
    double sum = PM_RANK_OTHER;
    for (guint i = 0; i < candidates->len; i++)
        sum += g_array_index(candidates, Candidate, i).weight;
    for (guint i = 0; i < candidates->len; i++) {
        const Candidate *candidate = &g_array_index(candidates, Candidate, i);
        candidate->ranked->score = candidate->weight / sum;
    }
}

GPtrArray *
pm_sites_rank(PmSiteRanker *ranker, const PmSiteClues *clues)
{
    gsize count = 0;
    const PmSite *all = pm_sites_get(ranker->sites, &count);
    g_autoptr(GArray) candidates = g_array_new(FALSE, FALSE, sizeof(Candidate));
    g_array_set_clear_func(candidates, candidate_clear);
    Ranking ranking = {.ranker = ranker, .clues = clues, .candidates = candidates};
    for (gsize i = 0; i < count; i++)
        add_candidate(&ranking, &all[i]);
    bound_odd(candidates);
    score_alone(candidates);
    GPtrArray *ranked =
        g_ptr_array_new_full(candidates->len, (GDestroyNotify)(gpointer)pm_ranked_site_free);
    for (guint i = 0; i < candidates->len; i++) {
        PmRankedSite *site = g_array_index(candidates, Candidate, i).ranked;
        g_array_sort(site->evidence, compare_evidence);
        g_ptr_array_add(ranked, site);
    }
    g_ptr_array_sort(ranked, compare_ranked);
    return ranked;
}
