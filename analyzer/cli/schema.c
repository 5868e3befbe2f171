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

/* The one size that is asked for. */
static guint64
choose_size(const PmSession *session)
{
    const PmChunkFilter *filter = &session->options->filter;
    if (filter->by_chunk_bytes)
        return filter->chunk_bytes;
    return pm_requests_choose_size(session->ptmalloc,
                                   pm_image_get_target(session->image)->word_bytes,
                                   filter->request_bytes, NULL);
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
