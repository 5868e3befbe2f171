/*
 * postmalloc schema: what the chunks of one size look like.
 */
#include "report/schema.h"
#include "cli/command.h"

#define SEED 1

static gboolean
prepare(PmSession *session, GError **error)
{
    pm_session_prepare_names(session);
    return session->options->filter.reaches == 0 || pm_session_scan(session, error);
}

/* Whether chunks of @size serve malloc(@request). */
static gboolean
serves(const PmSession *session, const PmSizeCount *size, guint64 request)
{
    guint word_bytes = pm_image_get_target(session->image)->word_bytes;
    gboolean mmapped = size->mmapped_chunks > 0;
    PmRequests requests = pm_requests_of(session->ptmalloc, word_bytes, size->chunk_bytes, mmapped);
    return request >= requests.min && request <= requests.max;
}

/* The one size that --size means: of those that serve the request, from a heap or by mmap, the one
 * with the most chunks in use. */
static guint64
choose_size(const PmSession *session)
{
    const PmChunkFilter *filter = &session->options->filter;
    if (filter->by_chunk_bytes)
        return filter->chunk_bytes;
    gsize count = 0;
    const PmSizeCount *sizes = pm_ptmalloc_get_sizes(session->ptmalloc, &count);
    guint64 most = 0;
    guint64 best = pm_ptmalloc_get_chunk_bytes(session->ptmalloc, filter->request_bytes);
    for (gsize i = 0; i < count; i++) {
        guint64 used = sizes[i].chunks[PM_CHUNK_USED];
        if (used > most && serves(session, &sizes[i], filter->request_bytes)) {
            most = used;
            best = sizes[i].chunk_bytes;
        }
    }
    return best;
}

static int
run(const PmSession *session, const PmSink *sink, GError **error)
{
    PmChunkFilter filter;
    if (!pm_session_get_filter(session, &filter, error))
        return PM_EXIT_FAILED;
    /* What the program holds, unless the user asks for something else. */
    if (filter.states == PM_CHUNK_STATES_ALL)
        filter.states = 1U << PM_CHUNK_USED;
    filter.chunk_bytes = choose_size(session);
    filter.by_chunk_bytes = TRUE;
    filter.by_request = FALSE;
    PmSample *sample =
        pm_sample_new(&session->subject, session->reach, &filter, PM_SCHEMA_SAMPLE, SEED);
    if (sample->count == 0) {
        pm_sample_free(sample);
        pm_report_schema_empty(sink, &session->subject, filter.chunk_bytes);
        return PM_EXIT_ANSWERED;
    }
    const PmNamer namer = pm_session_get_namer(session);
    g_autoptr(PmNaming) naming = pm_naming_new(&namer, sample);
    pm_report_schema(sink, &session->subject, naming);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_schema = {
    .name = "schema",
    .answers = "What the chunks of one size look like, column by column, by layout.",
    .details =
        "Looks at up to 4,096 chunks in use, evenly chosen over the heap, and at the first 512 "
        "bytes of each.\n"
        "Splits them into layouts where they are of more than one kind, finds the fields of each "
        "and what they\n"
        "hold, and infers the exact request where what lies behind the data was left over from "
        "former chunks.\n",
    .takes = PM_TAKES_COMMON | PM_TAKES_CHUNKS | PM_TAKES_REACH | PM_TAKES_ARENA | PM_NEEDS_SIZE,
    .heap = PM_HEAP_REQUIRED,
    .prepare = prepare,
    .run = run,
};
