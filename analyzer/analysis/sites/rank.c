/*
 * Candidates and their scores; see rank.h.
 */
#include "analysis/sites/rank.h"

#include "analysis/sites/corroborate.h"

#include <math.h>

/* What a site weighs before the bytes are looked at, beside one that always asks for the size. All
 * those together of which only bounds or nothing is known weigh at most ODD_MASS: one of them may
 * have made the chunks, but there are thousands. */
#define WEIGHT_RANGE    0.05
#define WEIGHT_VARIABLE 0.01
#define WEIGHT_POINTER  0.8
#define ODD_MASS        0.5

/* The request that slack betrays, when that is certain: how much likelier a site that asks for it,
 * and how much less likely one that asks for less or for more. What asks for more may have left its
 * end unused; what asks for less would have written where it must not. */
#define REQUEST_SAME 4.0
#define REQUEST_LESS 0.05
#define REQUEST_MORE 0.3

/* Data behind the end of what a site asks for. */
#define BEYOND_END 0.15

/* What the C library and the dynamic linker ask for on their own account are mostly things of which
 * there is one; less than that where there are very many chunks. */
#define RUNTIME_FEW   0.4
#define RUNTIME_MANY  0.05
#define RUNTIME_COUNT 1000

/* Chunks that begin with text come from copies of strings, whose sizes vary. */
#define TEXT_VARIABLE 6.0
#define TEXT_CONSTANT 0.4
#define TEXT_OTHER    2.0

/* Where the stores' part of the logarithms is lower, the site is contradicted. */
#define CONTRADICTED (-1.5)

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
 * without chunks.
 */
typedef struct {
    PmRankedSite *ranked;
    double weight;
    float *logs;
    double *by_layout;
} Candidate;

/* @rows, @is_text (of each layout): NULL without chunks. */
typedef struct {
    PmSiteRanker *ranker;
    const PmSiteClues *clues;
    PmSiteRows *rows;
    gboolean *is_text;
    PmWitnesses *witnesses;
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

/* How the request of a layout and the sizes of @site agree, as a factor. */
static double
compare_request(const PmSchemaRequest *request, const PmSite *site)
{
    gboolean is_less = FALSE;
    if (!request->known || site->kind >= PM_SITE_RANGE)
        return 1;
    for (guint i = 0; i < site->size.count; i++) {
        if (site->size.v[i] >= request->request &&
            site->size.v[i] <= MAX(request->request, request->padded))
            return 1 + request->confidence * (REQUEST_SAME - 1);
        is_less = is_less || site->size.v[i] < request->request;
    }
    return 1 - request->confidence * (1 - (is_less ? REQUEST_LESS : REQUEST_MORE));
}

/* Where the data of a layout end at least; 0 where that is not known. Numbers and pointers may be
 * left over from other records; what is the same in all chunks is not. */
static gsize
find_data_end(const PmSchemaLayout *layout)
{
    gsize end = 0;
    for (gsize i = 0; !layout->is_rest && i < layout->column_count; i++) {
        const PmSchemaColumn *column = &layout->columns[i];
        if (column->kind == PM_COLUMN_CONSTANT || column->kind == PM_COLUMN_VTABLE ||
            column->kind == PM_COLUMN_COUNTER)
            end = column->offset_bytes + 1;
    }
    return end;
}

/* Data behind the end of all that @site asks for speak against it, as a factor. */
static double
compare_end(const PmSchemaLayout *layout, const PmSite *site)
{
    if (site->kind >= PM_SITE_RANGE)
        return 1;
    for (guint i = 0; i < site->size.count; i++)
        if (site->size.v[i] >= find_data_end(layout))
            return 1;
    return BEYOND_END;
}

static void
add_request_evidence(const PmSchema *schema, gsize layout, double factor, PmRankedSite *ranked)
{
    const PmSchemaRequest *request = &schema->layouts[layout].request;
    if (!request->known || ranked->site->kind >= PM_SITE_RANGE)
        return;
    pm_evidence_add(ranked->evidence, "request", tanh(log(factor) / 3),
                    "what lies behind the data says that %" G_GUINT64_FORMAT
                    " bytes were asked for%s",
                    request->request, factor > 1 ? ", as it does" : "; it asks for others");
}

/* The layout that most of the rows have. */
static gsize
find_main_layout(const PmSiteRows *rows)
{
    gsize best = 0;
    for (gsize i = 1; i < rows->layout_count; i++)
        if (rows->layout_rows[i] > rows->layout_rows[best])
            best = i;
    return best;
}

/* What the layouts say of a site as a whole: the request, and whether they are text. */
static void
weigh_layouts(const Ranking *ranking, Candidate *candidate)
{
    const PmSchema *schema = ranking->clues->schema;
    const PmSiteRows *rows = ranking->rows;
    const PmSite *site = candidate->ranked->site;
    const gboolean is_constant = site->kind <= PM_SITE_SEVERAL;
    if (rows == NULL || rows->matrix->rows == 0)
        return;
    candidate->by_layout = g_new0(double, rows->layout_count + 1);
    for (gsize i = 0; i < rows->layout_count; i++) {
        candidate->by_layout[i] = compare_request(&schema->layouts[i].request, site) *
                                  compare_end(&schema->layouts[i], site);
        if (ranking->is_text[i])
            candidate->by_layout[i] *= is_constant ? TEXT_CONSTANT : TEXT_VARIABLE;
    }
    const gsize layout = find_main_layout(rows);
    add_request_evidence(schema, layout, compare_request(&schema->layouts[layout].request, site),
                         candidate->ranked);
    if (compare_end(&schema->layouts[layout], site) < 1)
        pm_evidence_add(candidate->ranked->evidence, "request", tanh(log(BEYOND_END) / 3),
                        "the chunks hold data at +%" G_GSIZE_FORMAT ", behind what it asks for",
                        find_data_end(&schema->layouts[layout]) - 1);
    if (ranking->is_text[layout])
        pm_evidence_add(candidate->ranked->evidence, "contents", is_constant ? -0.3 : 0.3,
                        "the chunks hold text: %s",
                        is_constant ? "strings are mostly of sizes that vary"
                                    : "its size varies, as that of strings does");
}

static void
weigh_stores(const Ranking *ranking, Candidate *candidate)
{
    PmSiteRanker *ranker = ranking->ranker;
    PmRankedSite *ranked = candidate->ranked;
    if (ranking->rows == NULL || ranking->rows->matrix->rows == 0)
        return;
    g_auto(PmClaims) claims = {0};
    double mean = 0;
    pm_claims_init(&claims, ranked->site, ranked->request_bytes, ranker->places,
                   ranking->rows->matrix->stride);
    candidate->logs = g_new(float, ranking->rows->matrix->rows);
    if (pm_fingerprint_weigh(ranking->rows, &claims, ranker->describer, candidate->logs,
                             ranked->evidence, &mean))
        ranked->is_contradicted = mean < CONTRADICTED;
    else
        g_clear_pointer(&candidate->logs, g_free);
}

/* Sites of the runtime itself. */
static double
weigh_runtime(const Ranking *ranking, const PmSite *site, PmRankedSite *ranked)
{
    const PmProcess *process = ranking->ranker->subject->process;
    const PmSchema *schema = ranking->clues->schema;
    const gboolean is_many = schema != NULL && schema->sample->population >= RUNTIME_COUNT;
    if (site->module->is_executable ||
        (site->module != pm_process_get_libc(process) && !site->module->is_interpreter))
        return 1;
    pm_evidence_add(ranked->evidence, "module", is_many ? -0.5 : -0.2,
                    "the C library's own calls seldom make many chunks");
    return is_many ? RUNTIME_MANY : RUNTIME_FEW;
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
    candidate.weight *= weigh_runtime(ranking, site, ranked);
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

static double
get_odds(const Candidate *candidate, gsize row, gsize layout)
{
    const double odds = candidate->weight * candidate->by_layout[layout];
    return candidate->logs != NULL ? odds * exp((double)candidate->logs[row]) : odds;
}

/* The mean over the chunks of each one's share. */
static void
score_by_rows(const Ranking *ranking)
{
    const GArray *candidates = ranking->candidates;
    const gsize rows = ranking->rows->matrix->rows;
    g_autofree double *odds = g_new(double, candidates->len + 1);
    for (gsize row = 0; row < rows; row++) {
        const gsize layout = ranking->rows->layouts[row];
        double sum = PM_RANK_OTHER * (ranking->is_text[layout] ? TEXT_OTHER : 1);
        for (guint i = 0; i < candidates->len; i++) {
            odds[i] = get_odds(&g_array_index(candidates, Candidate, i), row, layout);
            sum += odds[i];
        }
        for (guint i = 0; i < candidates->len; i++)
            g_array_index(candidates, Candidate, i).ranked->score += odds[i] / sum / (double)rows;
    }
}

/* Whether the chunks of @layout begin with text. */
static gboolean
begins_with_text(const PmSchemaLayout *layout)
{
    return !layout->is_rest && layout->column_count > 0 &&
           layout->columns[0].kind == PM_COLUMN_TEXT;
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
        ranking->is_text = g_new0(gboolean, clues->schema->layout_count + 1);
        for (gsize i = 0; i < clues->schema->layout_count; i++)
            ranking->is_text[i] = begins_with_text(&clues->schema->layouts[i]);
    }
    ranking->witnesses = pm_witnesses_new(ranker->subject, ranking->rows, ranker->traces);
}

static void
finish(Ranking *ranking)
{
    pm_witnesses_free(ranking->witnesses);
    pm_site_rows_free(ranking->rows);
    g_free(ranking->is_text);
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
        weigh_layouts(ranking, candidate);
        weigh_stores(ranking, candidate);
    }
    if (ranking->rows != NULL && ranking->rows->matrix->rows > 0)
        score_by_rows(ranking);
    else
        score_alone(candidates);
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
