/*
 * Layouts and columns of a sample; see schema.h.
 */
#include "analysis/schema/schema.h"

#include "analysis/schema/clusters.h"
#include "analysis/schema/columns.h"
#include "analysis/schema/describe.h"
#include "analysis/schema/slack.h"

#include <glib/gstdio.h>
#include <stdlib.h>

/* The end of large chunks that is looked at for slack alone: a word and a granule. */
#define TAIL_BYTES 24

/* Granules are two words, of which a request uses at least one byte. */
#define SLACK_MAX 15

/* How much newer than the core's file a time stamp may be: clocks differ, tokens expire. */
#define NEWEST_MARGIN (G_GINT64_CONSTANT(86400) * 366)

/* A request is inferred for a class where layouts of this share of the chunks agree. */
#define AGREEING_SHARE 0.5

/* @read: indices of the sample's chunks that are rows of the matrix. */
typedef struct {
    PmSchema *schema;
    PmPlaces *places;
    PmDescriber *describer;
    PmMatrix *matrix;
    guint32 *read;
    gint64 newest_seconds;
    GArray *upper_halves;
} Work;

/* What a word is, without a look-up where the number alone tells: small, or text. */
static PmWordKind
classify(PmPlaces *places, guint64 value)
{
    if (value == 0)
        return PM_WORD_ZERO;
    if (value < 4096 || value >> 56 != 0)
        return PM_WORD_NUMBER;
    PmWord word;
    pm_places_classify(places, value, &word);
    return word.kind;
}

static void
read_rows(Work *work)
{
    PmSchema *schema = work->schema;
    const PmSubject *subject = pm_places_get_subject(work->places);
    PmMatrix *matrix = work->matrix;
    g_autofree guint8 *bytes = g_new(guint8, matrix->stride + 1);
    matrix->rows = 0;
    for (gsize i = 0; i < schema->sample->count; i++) {
        const PmChunk *chunk = &schema->sample->chunks[i];
        guint8 *row = matrix->bytes + matrix->rows * matrix->stride;
        if (!pm_sample_read(subject, chunk, row, matrix->stride)) {
            schema->unread++;
            continue;
        }
        for (gsize word = 0; word < matrix->words; word++)
            matrix->kinds[matrix->rows * matrix->words + word] = (guint8)classify(
                work->places, pm_load_number(row + word * matrix->word_bytes, matrix->word_bytes));
        if (matrix->tail_bytes > 0 &&
            !pm_space_read(pm_process_get_space(subject->process),
                           chunk->address + chunk->usable_bytes - matrix->tail_bytes,
                           matrix->tail + matrix->rows * matrix->tail_bytes, matrix->tail_bytes))
            memset(matrix->tail + matrix->rows * matrix->tail_bytes, 0, matrix->tail_bytes);
        matrix->groups[matrix->rows] = chunk->arena;
        work->read[matrix->rows++] = (guint32)i;
    }
}

/* The distinct upper halves of mapped addresses: what is left of a pointer in slack. Not of the
 * vsyscall page, which negative numbers have. */
static void
find_upper_halves(Work *work)
{
    const PmSubject *subject = pm_places_get_subject(work->places);
    work->upper_halves = g_array_new(FALSE, FALSE, sizeof(guint32));
    if (work->matrix->word_bytes != 8)
        return;
    gsize count = 0;
    const PmSegment *segments = pm_image_get_segments(subject->image, &count);
    for (gsize i = 0; i < count; i++) {
        guint32 half = (guint32)(segments[i].start >> 32);
        if (half != 0 && half < 1U << 16 &&
            (work->upper_halves->len == 0 ||
             g_array_index(work->upper_halves, guint32, work->upper_halves->len - 1) != half))
            g_array_append_val(work->upper_halves, half);
    }
}

static void
count_arenas(PmSchema *schema, const PmSubject *subject)
{
    gsize count = 0;
    if (subject->ptmalloc != NULL)
        (void)pm_ptmalloc_get_arenas(subject->ptmalloc, &count);
    schema->arenas = g_new0(guint64, count + 1);
    schema->arena_count = count;
    for (gsize i = 0; i < schema->sample->count; i++) {
        const PmChunk *chunk = &schema->sample->chunks[i];
        if (chunk->mmapped)
            schema->mmapped++;
        else if (chunk->arena < count)
            schema->arenas[chunk->arena]++;
    }
}

static gint64
find_newest(const PmSubject *subject)
{
    GStatBuf status;
    if (g_stat(pm_image_get_path(subject->image), &status) != 0)
        return g_get_real_time() / G_USEC_PER_SEC + NEWEST_MARGIN;
    return (gint64)status.st_mtime + NEWEST_MARGIN;
}

static int
compare_numbers(const void *a, const void *b)
{
    guint64 first = *(const guint64 *)a;
    guint64 second = *(const guint64 *)b;
    return (first > second) - (first < second);
}

/* Onset and rate by the first column of time stamps. The middle nine tenths give the rate: a few
 * strays do not stretch it. */
static void
find_rate(const PmRows *rows, PmSchemaLayout *layout)
{
    const PmSchemaColumn *column = NULL;
    for (gsize i = 0; i < layout->column_count && column == NULL; i++) {
        PmColumnKind kind = layout->columns[i].kind;
        if (kind >= PM_COLUMN_SECONDS && kind <= PM_COLUMN_NANOSECONDS)
            column = &layout->columns[i];
    }
    if (column == NULL)
        return;
    static const guint64 units[] = {1, 1000, 1000000, 1000000000};
    guint64 unit = units[column->kind - PM_COLUMN_SECONDS];
    g_autofree guint64 *times = g_new(guint64, rows->count + 1);
    gsize count = 0;
    for (gsize i = 0; i < rows->count; i++) {
        guint64 value =
            pm_load_number(pm_rows_get(rows, i) + column->offset_bytes, column->width_bytes);
        if (value != 0)
            times[count++] = value;
    }
    qsort(times, count, sizeof *times, compare_numbers);
    if (count == 0)
        return;
    gsize low = count / 20;
    gsize high = count - 1 - low;
    double hours = (double)(times[high] - times[low]) / (double)unit / 3600;
    layout->time_offset_bytes = column->offset_bytes;
    layout->onset_seconds = (gint64)(times[0] / unit);
    layout->last_seconds = (gint64)(times[count - 1] / unit);
    layout->has_rate = count >= 20 && hours > 0;
    if (layout->has_rate)
        layout->rate_per_hour =
            (double)(high - low) / (double)rows->count * (double)layout->estimate / hours;
}

/* Replaces what lies behind the request by one column of slack. */
static void
cut_slack(GArray *columns, const PmMatrix *matrix, const PmSchemaRequest *request)
{
    if (!request->known || request->request >= matrix->stride)
        return;
    while (columns->len > 0 &&
           g_array_index(columns, PmSchemaColumn, columns->len - 1).offset_bytes >=
               request->request)
        g_array_set_size(columns, columns->len - 1);
    PmSchemaColumn slack = {.offset_bytes = request->request,
                            .width_bytes = matrix->stride - request->request,
                            .kind = PM_COLUMN_SLACK};
    g_array_append_val(columns, slack);
}

static void
fill_layout(Work *work, const PmRows *rows, PmSchemaLayout *layout)
{
    PmSchema *schema = work->schema;
    const PmMatrix *matrix = work->matrix;
    PmSlackFacts facts = {schema->chunk_bytes, schema->requests,
                          (const guint32 *)work->upper_halves->data, work->upper_halves->len};
    layout->chunks_sampled = rows->count;
    layout->share = (double)rows->count / (double)matrix->rows;
    layout->estimate = (guint64)(layout->share * (double)schema->sample->population + 0.5);
    GArray *columns = pm_columns_new(rows, matrix->stride, work->newest_seconds);
    pm_slack_infer(rows, columns, &facts, &layout->request);
    if (layout->request.known && layout->request.request < matrix->stride) {
        /* A field that reaches into the slack was none. */
        g_array_unref(columns);
        columns = pm_columns_new(rows, layout->request.request, work->newest_seconds);
        cut_slack(columns, matrix, &layout->request);
    }
    for (guint i = 0; i < columns->len; i++)
        pm_schema_describe_column(work->describer, work->places, rows,
                                  &g_array_index(columns, PmSchemaColumn, i));
    gsize count = columns->len;
    layout->columns = (PmSchemaColumn *)g_array_free(columns, FALSE);
    layout->column_count = count;
    pm_schema_describe_layout(work->places, rows, layout);
    find_rate(rows, layout);
    for (gsize i = 0; i < MIN(rows->count, G_N_ELEMENTS(layout->examples)); i++) {
        gsize row = rows->rows[i * rows->count / MIN(rows->count, G_N_ELEMENTS(layout->examples))];
        layout->examples[layout->example_count++] = schema->sample->chunks[work->read[row]].address;
    }
}

/* Splits the rows into layouts, and looks at each. */
static void
find_layouts(Work *work)
{
    PmSchema *schema = work->schema;
    const PmMatrix *matrix = work->matrix;
    schema->clusters = pm_clusters_new(matrix, PM_SCHEMA_LAYOUTS_MAX);
    schema->layout_count = pm_clusters_get_count(schema->clusters);
    schema->layouts = g_new0(PmSchemaLayout, schema->layout_count + 1);
    const guint16 *layouts = pm_clusters_get_layouts(schema->clusters);
    g_autofree guint32 *members = g_new(guint32, matrix->rows + 1);
    for (gsize i = 0; i < schema->layout_count; i++) {
        PmRows rows = {matrix, members, 0};
        for (gsize row = 0; row < matrix->rows; row++) {
            if (layouts[row] == i)
                members[rows.count++] = (guint32)row;
        }
        schema->layouts[i].is_rest =
            pm_clusters_has_rest(schema->clusters) && i == schema->layout_count - 1;
        fill_layout(work, &rows, &schema->layouts[i]);
    }
    for (gsize i = 0; i < schema->sample->count; i++)
        schema->layout_of[i] = (guint16)schema->layout_count;
    for (gsize row = 0; row < matrix->rows; row++)
        schema->layout_of[work->read[row]] = layouts[row];
}

/* What the layouts say together. */
static void
infer_request(PmSchema *schema)
{
    const PmSchemaLayout *first = NULL;
    double share = 0;
    gboolean agree = TRUE;
    for (gsize i = 0; i < schema->layout_count; i++) {
        const PmSchemaLayout *layout = &schema->layouts[i];
        if (!layout->request.known)
            continue;
        if (first == NULL)
            first = layout;
        agree = agree && layout->request.request == first->request.request &&
                layout->request.padded == first->request.padded;
        share += layout->share;
    }
    PmSchemaRequest *request = &schema->request;
    if (first == NULL) {
        request->evidence =
            g_strdup(schema->layout_count == 0 ? "there are no chunks to look at"
                                               : schema->layouts[0].request.evidence);
        return;
    }
    if (!agree || share < AGREEING_SHARE) {
        request->evidence = g_strdup(agree ? "only few of the chunks betray their request"
                                           : "its layouts have different requests: see each");
        return;
    }
    request->known = TRUE;
    request->request = first->request.request;
    request->padded = first->request.padded;
    request->confidence = first->request.confidence;
    request->evidence = g_strdup(first->request.evidence);
}

/* What the chunks have in common: the smallest usable size, and the requests. */
static guint64
measure_chunks(PmSchema *schema, const PmSubject *subject, gboolean *ret_mmapped)
{
    const PmSample *sample = schema->sample;
    guint64 usable = sample->count == 0 ? 0 : G_MAXUINT64;
    *ret_mmapped = FALSE;
    for (gsize i = 0; i < sample->count; i++) {
        usable = MIN(usable, sample->chunks[i].usable_bytes);
        *ret_mmapped = *ret_mmapped || sample->chunks[i].mmapped;
        schema->chunk_bytes = sample->chunks[i].chunk_bytes;
    }
    if (sample->count > 0)
        schema->requests = pm_requests_of(subject->ptmalloc, schema->word_bytes,
                                          schema->chunk_bytes, *ret_mmapped);
    return usable;
}

/* An empty matrix for the chunks of the sample. */
static PmMatrix *
make_matrix(PmSchema *schema, const PmSubject *subject)
{
    gboolean mmapped = FALSE;
    guint64 usable = measure_chunks(schema, subject, &mmapped);
    gsize stride = (gsize)MIN(usable, PM_SCHEMA_BYTES_MAX);
    stride -= stride % schema->word_bytes;
    schema->bytes_per_chunk = stride;
    gsize tail_bytes = stride < usable && usable >= TAIL_BYTES && !mmapped ? TAIL_BYTES : 0;
    PmMatrix *matrix = pm_matrix_new(schema->sample->count, stride, tail_bytes, schema->word_bytes);
    matrix->usable_bytes = usable;
    /* The smallest class serves what is smaller, too, but no program asks for a byte or two. */
    matrix->slack_from = MAX(schema->requests.min, usable - MIN(usable, SLACK_MAX));
    return matrix;
}

PmSchema *
pm_schema_new(PmPlaces *places, PmSample *sample)
{
    const PmSubject *subject = pm_places_get_subject(places);
    PmSchema *schema = g_new0(PmSchema, 1);
    schema->sample = sample;
    schema->layout_of = g_new0(guint16, sample->count + 1);
    schema->word_bytes = pm_image_get_target(subject->image)->word_bytes;
    count_arenas(schema, subject);
    Work work = {.schema = schema,
                 .places = places,
                 .describer = pm_describer_new(places, NULL),
                 .matrix = make_matrix(schema, subject),
                 .read = g_new0(guint32, sample->count + 1),
                 .newest_seconds = find_newest(subject)};
    read_rows(&work);
    find_upper_halves(&work);
    find_layouts(&work);
    infer_request(schema);
    pm_matrix_free(work.matrix);
    pm_describer_free(work.describer);
    g_free(work.read);
    g_array_unref(work.upper_halves);
    return schema;
}

void
pm_schema_free(PmSchema *schema)
{
    if (schema == NULL)
        return;
    for (gsize i = 0; i < schema->layout_count; i++) {
        PmSchemaLayout *layout = &schema->layouts[i];
        for (gsize j = 0; j < layout->column_count; j++)
            g_free(layout->columns[j].text);
        g_free(layout->columns);
        g_free(layout->signature);
        g_free(layout->name);
        g_free(layout->request.evidence);
    }
    g_free(schema->layouts);
    g_free(schema->layout_of);
    g_free(schema->arenas);
    g_free(schema->request.evidence);
    pm_clusters_free(schema->clusters);
    pm_sample_free(schema->sample);
    g_free(schema);
}

gsize
pm_schema_match(const PmSchema *schema, PmPlaces *places, const guint8 *bytes, gsize count)
{
    gsize words = schema->bytes_per_chunk / schema->word_bytes;
    guint8 kinds[PM_WORDS_MAX];
    if (count < schema->bytes_per_chunk || words > PM_WORDS_MAX || words == 0)
        return schema->layout_count;
    for (gsize i = 0; i < words; i++)
        kinds[i] = (guint8)classify(
            places, pm_load_number(bytes + i * schema->word_bytes, schema->word_bytes));
    return pm_clusters_match(schema->clusters, bytes, kinds);
}
