/*
 * postmalloc sites: the call sites that can allocate a size.
 */
#include "report/sites.h"
#include "cli/command.h"

/* Any number, so that two runs give one answer. */
#define SEED 1

static gboolean
prepare(PmSession *session, G_GNUC_UNUSED GError **error)
{
    return pm_session_prepare_places(session);
}

/* What was asked for, as a range of requests. FALSE with @error set where no request is such. */
static gboolean
make_query(const PmSession *session, PmSiteQuery *ret_query, GError **error)
{
    const PmOptions *options = session->options;
    const PmChunkFilter *filter = &options->filter;
    *ret_query = (PmSiteQuery){.variable = options->variable,
                               .by_request = filter->by_request || filter->by_chunk_bytes};
    if (filter->by_request)
        ret_query->request_min = ret_query->request_max = filter->request_bytes;
    else if (filter->by_chunk_bytes &&
             !pm_sites_chunk_to_requests(filter->chunk_bytes, &ret_query->request_min,
                                         &ret_query->request_max)) {
        g_set_error(error, PM_ERROR, PM_ERROR_NOT_FOUND,
                    "no request gives a chunk of %" G_GUINT64_FORMAT
                    " bytes: chunks are multiples of 16, at least 32",
                    filter->chunk_bytes);
        return FALSE;
    }
    return TRUE;
}

/* The chunks that the answer is about: their size, and all requests that give it. Without a heap
 * the requests are those of @query alone. */
static void
choose_chunks(const PmSession *session, const PmSiteQuery *query, PmSitesAnswer *answer,
              PmRequests *ret_requests)
{
    const PmChunkFilter *filter = &session->options->filter;
    const guint word_bytes = pm_image_get_target(session->image)->word_bytes;
    *ret_requests = (PmRequests){query->request_min, query->request_max};
    if (session->ptmalloc == NULL)
        return;
    PmRequests requests = *ret_requests;
    if (filter->by_request)
        answer->chunk_bytes = pm_requests_choose_size(session->ptmalloc, word_bytes,
                                                      filter->request_bytes, &requests);
    else
        answer->chunk_bytes = filter->chunk_bytes;
    ret_requests->min = MIN(ret_requests->min, requests.min);
    ret_requests->max = MAX(ret_requests->max, requests.max);
}

/* NULL where no chunk of the size is in use. */
static PmSchema *
look_at_chunks(const PmSession *session, PmSitesAnswer *answer)
{
    const PmChunkFilter filter = {
        .states = 1U << PM_CHUNK_USED, .by_chunk_bytes = TRUE, .chunk_bytes = answer->chunk_bytes};
    if (session->ptmalloc == NULL)
        return NULL;
    PmSample *sample = pm_sample_new(&session->subject, NULL, &filter, PM_SCHEMA_SAMPLE, SEED);
    answer->chunks = sample->population;
    if (sample->count == 0) {
        pm_sample_free(sample);
        return NULL;
    }
    return pm_schema_new(session->places, sample);
}

/* Whether @ranked can ask for what the user asked about; then its request is that one. */
static gboolean
is_asked_for(const PmSiteQuery *query, PmRankedSite *ranked)
{
    const PmSite *site = ranked->site;
    const PmValue *size = &site->size;
    if (site->kind >= PM_SITE_RANGE)
        return site->kind == PM_SITE_VARIABLE ||
               (size->v[0] <= query->request_max && size->v[1] >= query->request_min);
    guint matches = 0;
    ranked->request_bytes = PM_SIZE_UNKNOWN;
    for (guint i = 0; i < size->count; i++)
        if (size->v[i] >= query->request_min && size->v[i] <= query->request_max)
            ranked->request_bytes = matches++ == 0 ? size->v[i] : PM_SIZE_UNKNOWN;
    return matches > 0;
}

/* Ranks all that give such chunks, and keeps those that were asked for. */
static void
rank(const PmSession *session, const PmSiteQuery *query, PmSitesAnswer *answer,
     const PmRequests *requests)
{
    g_autoptr(PmSchema) schema = look_at_chunks(session, answer);
    g_autoptr(PmSiteRanker) ranker =
        pm_site_ranker_new(&session->subject, answer->sites, session->places);
    g_autoptr(PmFitter) fitter =
        schema != NULL ? pm_fitter_new(session->places, session->types) : NULL;
    const PmSiteClues clues = {.request_min = requests->min,
                               .request_max = requests->max,
                               .schema = schema,
                               .layout = PM_RANK_ALL_LAYOUTS,
                               .variable = query->variable,
                               .fitter = fitter};
    answer->ranked = pm_sites_rank(ranker, &clues);
    for (guint i = answer->ranked->len; i > 0; i--)
        if (!is_asked_for(query, g_ptr_array_index(answer->ranked, i - 1)))
            g_ptr_array_remove_index(answer->ranked, i - 1);
}

static int
run(const PmSession *session, const PmSink *sink, GError **error)
{
    PmSiteQuery query;
    PmRequests requests = {0};
    if (!make_query(session, &query, error))
        return PM_EXIT_FAILED;
    PmSitesAnswer answer = {.query = &query};
    PmSiteQuery wider = query;
    if (query.by_request) {
        choose_chunks(session, &query, &answer, &requests);
        wider.request_min = requests.min;
        wider.request_max = requests.max;
        wider.unlocated = TRUE;
    }
    g_autoptr(PmSites) sites =
        pm_sites_new(&session->subject, &wider, session->options->jobs, error);
    if (sites == NULL)
        return PM_EXIT_FAILED;
    answer.sites = sites;
    if (query.by_request)
        rank(session, &query, &answer, &requests);
    else
        answer.ranked = pm_sites_list(sites);
    pm_report_sites(sink, &session->subject, &answer);
    g_ptr_array_unref(answer.ranked);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_sites = {
    .name = "sites",
    .answers = "The calls of malloc, operator new and the like that ask for a size.",
    .details =
        "Found by disassembling every module whose code is in the core or in its file, with "
        "symbols or\n"
        "without. A function that only passes its argument on to malloc and returns what it gets "
        "is an\n"
        "allocator itself, and the sites are the calls of it. --size takes N as the exact request, "
        "and\n"
        "--chunk-size every request that gives the chunk; without either all calls with a "
        "constant size\n"
        "are listed.\n\n"
        "SCORE is the share of the chunks of that size that came from the site, as far as can be "
        "told: by what\n"
        "its function writes to them before anybody else sees them, held against the bytes of a "
        "sample of\n"
        "the chunks; by the request that the slack betrays; by return addresses in stacks; by the "
        "modules that\n"
        "the chunks point to; by the threads that use their arena. Below each site stands what "
        "says most for\n"
        "it (+) and against it (-). Without such chunks the scores are those of the calls "
        "alone.\n",
    .takes = PM_TAKES_COMMON | PM_TAKES_SITES,
    .heap = PM_HEAP_OPTIONAL,
    .prepare = prepare,
    .run = run,
};
