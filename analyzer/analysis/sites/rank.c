/*
 * Candidates and their scores; see rank.h.
 */
#include "analysis/sites/rank.h"

#include "analysis/sites/corroborate.h"
#include "analysis/sites/prior.h"
#include "analysis/sites/sitetypes.h"
#include "analysis/sites/texts.h"

#include <math.h>

/* All sites together of which only bounds or nothing is known weigh at most this, beside one that
 * always asks for the size: one of them may have made the chunks, but there are thousands. */
#define ODD_MASS 0.5
/* Of these the runtime's together weigh at most this, beside those of the program and its
 * libraries: it has hundreds, and few of them work for callers. */
#define ODD_RUNTIME 0.5

/* Where the stores' part of the logarithms is lower, the site is contradicted. */
#define CONTRADICTED (-1.5)

/* So many of the best are asked for the type of their variable, where they are at all likely. */
#define TYPED_MAX   24
#define TYPED_SCORE 0.02

/* @traces: made when they are first asked for. */
struct PmSiteRanker {
    const PmSubject *subject;
    PmSites *sites;
    PmPlaces *places;
    PmDescriber *describer;
    PmTraces *traces;
};

/*
 * A site that can have made the chunks. @weight: without the bytes. @logs: of each row, or NULL
 * where its stores say nothing. @by_layout: what each layout says as a whole, as a factor; NULL
 * without chunks. @of_text: what each kind of text does. @of_type: how each fits the type of the
 * variable, which is in @by_layout already; NULL where none is known.
 */
typedef struct {
    PmRankedSite *ranked;
    gboolean is_runtime;
    double weight;
    float *logs;
    double *by_layout;
    double *of_type;
    double of_text[PM_TEXT_KINDS];
} Candidate;

/* @rows, @texts (PmTextKind of each row), @sums (of each row the odds of all): NULL without chunks.
 */
typedef struct {
    PmSiteRanker *ranker;
    const PmSiteClues *clues;
    PmSiteRows *rows;
    guint8 *texts;
    double *sums;
    PmWitnesses *witnesses;
    GArray *candidates;
} Ranking;

static void
candidate_clear(gpointer data)
{
    Candidate *candidate = data;
    g_free(candidate->logs);
    g_free(candidate->by_layout);
    g_free(candidate->of_type);
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
    ranker->describer = pm_describer_new(places, NULL);
    return ranker;
}

void
pm_site_ranker_free(PmSiteRanker *ranker)
{
    if (ranker == NULL)
        return;
    pm_describer_free(ranker->describer);
    pm_traces_free(ranker->traces);
    g_free(ranker);
}

/* The layout that has most of @shares. */
static gsize
find_main_layout(const PmSiteRows *rows, const float *shares)
{
    gsize best = 0;
    g_autofree double *sums = g_new0(double, rows->layout_count + 1);
    for (gsize row = 0; row < rows->matrix->rows; row++)
        sums[rows->layouts[row]] += (double)shares[row];
    for (gsize i = 1; i < rows->layout_count; i++)
        if (sums[i] > sums[best])
            best = i;
    return best;
}

/* What the layouts say of a site as a whole: the request. */
static void
weigh_layouts(const Ranking *ranking, Candidate *candidate)
{
    const PmSchema *schema = ranking->clues->schema;
    const PmSiteRows *rows = ranking->rows;
    const PmSite *site = candidate->ranked->site;
    candidate->by_layout = g_new0(double, rows->layout_count + 1);
    for (gsize i = 0; i < rows->layout_count; i++)
        candidate->by_layout[i] = pm_prior_of_request(&schema->layouts[i].request, site) *
                                  pm_prior_of_end(&schema->layouts[i], site);
    pm_texts_weigh(ranking->clues, site, candidate->of_text);
}

/* Of the rows of @layout what most of the candidate's chunks hold: @shares as of explain(). */
static PmTextKind
find_main_text(const Ranking *ranking, gsize layout, const float *shares)
{
    double sums[PM_TEXT_KINDS] = {0};
    guint best = PM_TEXT_NONE;
    for (gsize row = 0; row < ranking->rows->matrix->rows; row++)
        if (ranking->rows->layouts[row] == layout)
            sums[ranking->texts[row]] += (double)shares[row];
    for (guint kind = 0; kind < PM_TEXT_KINDS; kind++)
        if (sums[kind] > sums[best])
            best = kind;
    return (PmTextKind)best;
}

/* The same as evidence, of the layout that most of its chunks have: @shares as of explain(). */
static void
explain_layouts(const Ranking *ranking, const Candidate *candidate, const float *shares)
{
    PmRankedSite *ranked = candidate->ranked;
    const gsize index = find_main_layout(ranking->rows, shares);
    pm_prior_explain(&ranking->clues->schema->layouts[index], ranked);
    pm_site_types_explain(ranked, candidate->of_type != NULL ? candidate->of_type[index] : 1);
    pm_texts_explain(find_main_text(ranking, index, shares), ranked);
}

static gboolean
has_rows(const Ranking *ranking)
{
    return ranking->rows != NULL && ranking->rows->matrix->rows > 0;
}

static void
weigh_stores(const Ranking *ranking, Candidate *candidate)
{
    const PmRankedSite *ranked = candidate->ranked;
    g_auto(PmClaims) claims = {0};
    pm_claims_init(&claims, ranked->site, ranked->request_bytes, ranking->ranker->places,
                   ranking->rows->matrix->stride);
    candidate->logs = g_new(float, ranking->rows->matrix->rows);
    if (!pm_fingerprint_weigh(ranking->rows, &claims, candidate->logs))
        g_clear_pointer(&candidate->logs, g_free);
}

static void
add_candidate(Ranking *ranking, const PmSite *site)
{
    PmRankedSite *ranked = g_new0(PmRankedSite, 1);
    ranked->site = site;
    ranked->evidence = pm_evidence_new();
    const PmProcess *process = ranking->ranker->subject->process;
    Candidate candidate = {.ranked = ranked,
                           .is_runtime = pm_prior_is_runtime(process, site->module)};
    candidate.weight = pm_prior_of_size(ranking->clues, site, ranked);
    if (candidate.weight <= 0) {
        pm_ranked_site_free(ranked);
        return;
    }
    candidate.weight *= pm_prior_of_module(ranking->clues, candidate.is_runtime, ranked);
    candidate.weight *= pm_prior_of_use(ranking->ranker->sites, ranked);
    candidate.weight *= pm_witnesses_ask_use(ranking->witnesses, site, ranked->evidence);
    g_array_append_val(ranking->candidates, candidate);
}

/* Sites that weigh something together: those with constant sizes, of the others the program's and
 * its libraries', and the runtime's. */
typedef enum {
    GROUP_CONSTANT,
    GROUP_ODD,
    GROUP_ODD_RUNTIME,
    GROUPS,
} Group;

static Group
get_group(const Candidate *candidate)
{
    if (candidate->ranked->site->kind <= PM_SITE_SEVERAL)
        return GROUP_CONSTANT;
    return candidate->is_runtime ? GROUP_ODD_RUNTIME : GROUP_ODD;
}

/* Sites without a constant size weigh no more than ODD_MASS together; no less either where no other
 * can have made the chunks, for somebody did. */
static void
bound_odd(const GArray *candidates)
{
    double masses[GROUPS] = {0}, factors[GROUPS] = {1, 1, 1};
    for (guint i = 0; i < candidates->len; i++) {
        const Candidate *candidate = &g_array_index(candidates, Candidate, i);
        masses[get_group(candidate)] += candidate->weight;
    }
    const double own = masses[GROUP_ODD], runtime = masses[GROUP_ODD_RUNTIME];
    const double kept = own > 0 ? MIN(runtime, own * ODD_RUNTIME) : runtime;
    const double least = ODD_MASS * MAX(0, 1 - masses[GROUP_CONSTANT]);
    if (own + kept <= 0)
        return;
    factors[GROUP_ODD] = CLAMP(own + kept, least, ODD_MASS) / (own + kept);
    factors[GROUP_ODD_RUNTIME] = factors[GROUP_ODD] * (runtime > 0 ? kept / runtime : 1);
    for (guint i = 0; i < candidates->len; i++) {
        Candidate *candidate = &g_array_index(candidates, Candidate, i);
        candidate->weight *= factors[get_group(candidate)];
    }
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

static double
get_odds(const Ranking *ranking, const Candidate *candidate, gsize row)
{
    const gsize layout = ranking->rows->layouts[row];
    const double odds =
        candidate->weight * candidate->by_layout[layout] * candidate->of_text[ranking->texts[row]];
    return candidate->logs != NULL ? odds * exp((double)candidate->logs[row]) : odds;
}

/* The mean over the chunks of each one's share. */
static void
score_by_rows(const Ranking *ranking)
{
    const GArray *candidates = ranking->candidates;
    const gsize rows = ranking->rows->matrix->rows;
    for (gsize row = 0; row < rows; row++) {
        double sum = PM_RANK_OTHER * pm_texts_weigh_other((PmTextKind)ranking->texts[row]);
        for (guint i = 0; i < candidates->len; i++)
            sum += get_odds(ranking, &g_array_index(candidates, Candidate, i), row);
        ranking->sums[row] = sum;
    }
    for (guint i = 0; i < candidates->len; i++) {
        const Candidate *candidate = &g_array_index(candidates, Candidate, i);
        candidate->ranked->score = 0;
        for (gsize row = 0; row < rows; row++)
            candidate->ranked->score +=
                get_odds(ranking, candidate, row) / ranking->sums[row] / (double)rows;
    }
}

/*
 * What the chunks say of the site, as evidence: over those that it is likely to have made, for a
 * class mostly has chunks of several.
 */
static void
explain(const Ranking *ranking, const Candidate *candidate)
{
    PmRankedSite *ranked = candidate->ranked;
    const gsize rows = ranking->rows->matrix->rows;
    const double whole = MAX(ranked->score * (double)rows, G_MINDOUBLE);
    g_autofree float *shares = g_new(float, rows);
    for (gsize row = 0; row < rows; row++)
        shares[row] = (float)(get_odds(ranking, candidate, row) / ranking->sums[row] / whole);
    explain_layouts(ranking, candidate, shares);
    g_auto(PmClaims) claims = {0};
    pm_claims_init(&claims, ranked->site, ranked->request_bytes, ranking->ranker->places,
                   ranking->rows->matrix->stride);
    ranked->is_contradicted =
        pm_fingerprint_explain(ranking->rows, &claims, shares, ranking->ranker->describer,
                               ranked->evidence) < CONTRADICTED;
}

static void
prepare(Ranking *ranking)
{
    PmSiteRanker *ranker = ranking->ranker;
    const PmSiteClues *clues = ranking->clues;
    if (ranker->traces == NULL)
        ranker->traces = pm_traces_new(ranker->subject->process, ranker->sites);
    if (clues->schema != NULL) {
        ranking->rows = pm_site_rows_read(ranker->places, clues->schema, clues->layout);
        ranking->texts = pm_texts_read(clues, ranking->rows);
    }
    ranking->witnesses =
        pm_witnesses_new(ranker->subject, ranker->sites, ranking->rows, ranker->traces);
}

static void
finish(Ranking *ranking)
{
    pm_witnesses_free(ranking->witnesses);
    pm_site_rows_free(ranking->rows);
    g_free(ranking->texts);
    g_free(ranking->sums);
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
compare_candidates(gconstpointer a, gconstpointer b)
{
    const PmRankedSite *left = ((const Candidate *)a)->ranked;
    const PmRankedSite *right = ((const Candidate *)b)->ranked;
    return compare_ranked(&left, &right);
}

/* What DWARF says of the best, which takes too long for all; then the scores are made anew. */
static void
weigh_types(const Ranking *ranking)
{
    const GArray *candidates = ranking->candidates;
    gboolean changed = FALSE;
    g_array_sort(ranking->candidates, compare_candidates);
    for (guint i = 0; i < MIN(candidates->len, TYPED_MAX); i++) {
        Candidate *candidate = &g_array_index(candidates, Candidate, i);
        g_autofree double *factors = g_new(double, ranking->rows->layout_count + 1);
        if (candidate->ranked->score < TYPED_SCORE)
            break;
        if (!pm_site_types_weigh(ranking->ranker->sites, ranking->clues, candidate->ranked,
                                 factors))
            continue;
        for (gsize layout = 0; layout < ranking->rows->layout_count; layout++)
            candidate->by_layout[layout] *= factors[layout];
        candidate->of_type = g_steal_pointer(&factors);
        changed = TRUE;
    }
    if (changed)
        score_by_rows(ranking);
}

static void
weigh(Ranking *ranking)
{
    const GArray *candidates = ranking->candidates;
    bound_odd(candidates);
    for (guint i = 0; i < candidates->len; i++) {
        Candidate *candidate = &g_array_index(candidates, Candidate, i);
        candidate->weight *= pm_witnesses_ask(ranking->witnesses, candidate->ranked->site,
                                              candidate->ranked->evidence);
        if (!has_rows(ranking))
            continue;
        /* Of others there are thousands. */
        if (candidate->ranked->site->kind <= PM_SITE_SEVERAL)
            pm_sites_complete(ranking->ranker->sites, candidate->ranked->site);
        weigh_layouts(ranking, candidate);
        weigh_stores(ranking, candidate);
    }
    if (!has_rows(ranking)) {
        score_alone(candidates);
        return;
    }
    ranking->sums = g_new0(double, ranking->rows->matrix->rows);
    score_by_rows(ranking);
    weigh_types(ranking);
    for (guint i = 0; i < candidates->len; i++)
        explain(ranking, &g_array_index(candidates, Candidate, i));
}

GPtrArray *
pm_sites_list(const PmSites *sites)
{
    gsize count = 0;
    const PmSite *all = pm_sites_get(sites, &count);
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)(gpointer)pm_ranked_site_free);
    for (gsize i = 0; i < count; i++) {
        PmRankedSite *ranked = g_new0(PmRankedSite, 1);
        ranked->site = &all[i];
        ranked->request_bytes = all[i].request_bytes;
        ranked->score = all[i].score;
        ranked->evidence = pm_evidence_new();
        g_ptr_array_add(list, ranked);
    }
    return list;
}

GPtrArray *
pm_sites_rank(PmSiteRanker *ranker, const PmSiteClues *clues)
{
    gsize count = 0;
    const PmSite *all = pm_sites_get(ranker->sites, &count);
    g_autoptr(GArray) candidates = g_array_new(FALSE, FALSE, sizeof(Candidate));
    g_array_set_clear_func(candidates, candidate_clear);
    Ranking ranking = {.ranker = ranker, .clues = clues, .candidates = candidates};
    prepare(&ranking);
    for (gsize i = 0; i < count; i++)
        add_candidate(&ranking, &all[i]);
    weigh(&ranking);
    GPtrArray *ranked =
        g_ptr_array_new_full(candidates->len, (GDestroyNotify)(gpointer)pm_ranked_site_free);
    for (guint i = 0; i < candidates->len; i++) {
        PmRankedSite *site = g_array_index(candidates, Candidate, i).ranked;
        g_array_sort(site->evidence, compare_evidence);
        g_ptr_array_add(ranked, site);
    }
    g_ptr_array_sort(ranked, compare_ranked);
    const guint described = clues->described_max > 0 ? clues->described_max : ranked->len;
    for (guint i = 0; i < MIN(described, ranked->len); i++) {
        const PmRankedSite *site = g_ptr_array_index(ranked, i);
        pm_sites_locate(ranker->sites, site->site);
    }
    finish(&ranking);
    return ranked;
}
