#include "analysis/types/naming.h"

#include <stdlib.h>
#include <string.h>

/* Chunks of one layout whose fields are looked at. */
#define FIT_CHUNKS 256

/* From here on an inferred request rules out structures of other sizes. */
#define SURE_REQUEST 0.9

#define NEAR_FIT 0.6

typedef struct {
    const PmNamer *namer;
    PmNaming *naming;
    GArray *counts;    /* PmNamedRow, while they are being counted */
    guint16 *count_of; /* by chunk of the sample */
    guint32 layout_count[PM_SCHEMA_LAYOUTS_MAX];
} Naming;

#define NO_ROW G_MAXUINT16

static gboolean
type_by_vtable(const PmNamer *namer, const PmChunk *chunk, PmTyped *ret_typed)
{
    const PmSubject *subject = pm_places_get_subject(namer->places);
    guint64 word = 0;
    PmWord first;
    if (!pm_space_read_word(pm_process_get_space(subject->process), chunk->address, &word) ||
        word == 0)
        return FALSE;
    pm_places_classify(namer->places, word, &first);
    if (first.kind != PM_WORD_VTABLE || first.vtable->offset_to_top != 0)
        return FALSE;
    *ret_typed = (PmTyped){.by = PM_TYPED_BY_VTABLE,
                           .name = first.vtable->class_name,
                           .elements = 1,
                           .confidence = 1,
                           .reason = "its first word is the class's vtable"};
    return TRUE;
}

static gboolean
type_by_recogniser(const PmNamer *namer, const PmChunk *chunk, PmTyped *ret_typed)
{
    PmRecognition recognition;
    if (namer->recognisers == NULL ||
        !pm_recognisers_ask(namer->recognisers, chunk, NULL, &recognition))
        return FALSE;
    *ret_typed = (PmTyped){.by = PM_TYPED_BY_RECOGNISER,
                           .name = recognition.name,
                           .type = recognition.type,
                           .offset_bytes = recognition.offset_bytes,
                           .elements = recognition.elements,
                           .confidence = recognition.confidence,
                           .reason = recognition.reason};
    return TRUE;
}

/* What names this very chunk; PM_TYPED_NOT where nothing does. */
static void
type_chunk(const PmNamer *namer, const PmChunk *chunk, PmTyped *ret_typed)
{
    *ret_typed = (PmTyped){.by = PM_TYPED_NOT};
    if (namer->typing != NULL)
        pm_typing_get(namer->typing, chunk, ret_typed);
    else if (!type_by_vtable(namer, chunk, ret_typed))
        (void)type_by_recogniser(namer, chunk, ret_typed);
}

/* The row that has @typed's name; made where there is none yet. NO_ROW where there are too many. */
static guint16
find_row(Naming *work, const PmTyped *typed)
{
    gpointer known = NULL;
    if (g_hash_table_lookup_extended(work->naming->by_name, typed->name, NULL, &known))
        return (guint16)GPOINTER_TO_UINT(known);
    if (work->counts->len >= NO_ROW)
        return NO_ROW;
    PmNamedRow row = {.typed = *typed, .example = PM_ADDR_NONE};
    row.typed.name = g_string_chunk_insert(work->naming->names, typed->name);
    const guint16 number = (guint16)work->counts->len;
    g_array_append_val(work->counts, row);
    g_hash_table_insert(work->naming->by_name, (gpointer)row.typed.name, GUINT_TO_POINTER(number));
    return number;
}

static void
count_chunk(Naming *work, gsize index, guint16 row)
{
    const PmSchema *schema = work->naming->schema;
    const PmChunk *chunk = &schema->sample->chunks[index];
    const guint16 layout = schema->layout_of[index];
    PmNamedRow *count = &g_array_index(work->counts, PmNamedRow, row);
    work->count_of[index] = row;
    count->sampled++;
    count->example = MIN(count->example, chunk->address);
    if (layout < schema->layout_count)
        count->by_layout[layout]++;
}

static void
count_typed(Naming *work)
{
    const PmSample *sample = work->naming->schema->sample;
    for (gsize i = 0; i < sample->count; i++) {
        PmTyped typed;
        work->count_of[i] = NO_ROW;
        type_chunk(work->namer, &sample->chunks[i], &typed);
        const guint16 row = typed.by == PM_TYPED_NOT ? NO_ROW : find_row(work, &typed);
        if (row != NO_ROW)
            count_chunk(work, i, row);
    }
}

/* Some of the chunks of @layout that nothing names, evenly: at most FIT_CHUNKS. */
static GArray *
collect_layout(const Naming *work, gsize layout)
{
    const PmSchema *schema = work->naming->schema;
    GArray *chunks = g_array_new(FALSE, FALSE, sizeof(PmChunk));
    guint64 all = 0;
    guint64 seen = 0;
    for (gsize i = 0; i < schema->sample->count; i++)
        all += work->count_of[i] == NO_ROW && schema->layout_of[i] == layout;
    const guint64 step = MAX(1, all / FIT_CHUNKS);
    for (gsize i = 0; i < schema->sample->count && chunks->len < FIT_CHUNKS; i++)
        if (work->count_of[i] == NO_ROW && schema->layout_of[i] == layout && seen++ % step == 0)
            g_array_append_val(chunks, schema->sample->chunks[i]);
    return chunks;
}

/* The requests that structures for @layout are looked for in. */
static void
get_requests(const PmSchema *schema, gsize layout, guint64 *ret_min, guint64 *ret_max)
{
    const PmSchemaRequest *own = &schema->layouts[layout].request;
    const PmSchemaRequest *request = own->known ? own : &schema->request;
    *ret_min = schema->requests.min;
    *ret_max = schema->requests.max;
    if (request->known && request->confidence >= SURE_REQUEST) {
        *ret_min = request->request;
        *ret_max = request->padded;
    }
}

/* Whether any column of @layout holds what the fields of a structure can be right or wrong about:
 * plain numbers fit everything. */
static gboolean
is_telling(const PmSchemaLayout *layout)
{
    for (gsize i = 0; i < layout->column_count; i++) {
        switch (layout->columns[i].kind) {
        case PM_COLUMN_ZERO:
        case PM_COLUMN_CONSTANT:
        case PM_COLUMN_FLAG:
        case PM_COLUMN_ENUM:
        case PM_COLUMN_COUNTER:
        case PM_COLUMN_LENGTH:
        case PM_COLUMN_NUMBER:
        case PM_COLUMN_RANDOM:
        case PM_COLUMN_SLACK:
            break;
        default:
            return TRUE;
        }
    }
    return FALSE;
}

static void
name_layout(Naming *work, gsize layout)
{
    const PmSchema *schema = work->naming->schema;
    g_autoptr(GArray) chunks = collect_layout(work, layout);
    PmTyped typed = {.by = PM_TYPED_BY_LAYOUT,
                     .name = schema->layouts[layout].signature,
                     .elements = 1,
                     .reason = "nothing names it: this is what it looks like"};
    PmNamedRow nearest = {0};
    if (chunks->len == 0)
        return;
    if (work->namer->fitter != NULL && is_telling(&schema->layouts[layout])) {
        guint64 min = 0;
        guint64 max = 0;
        get_requests(schema, layout, &min, &max);
        g_autoptr(GArray) candidates =
            pm_fitter_rank(work->namer->fitter, (const PmChunk *)(gconstpointer)chunks->data,
                           chunks->len, min, max);
        const PmCandidate *best =
            candidates->len > 0 ? &g_array_index(candidates, PmCandidate, 0) : NULL;
        if (best != NULL) {
            nearest.nearest = best->type;
            nearest.nearest_fit = best->fit.fit;
        }
        if (best != NULL && pm_candidate_fits(candidates, 0)) {
            typed = (PmTyped){.by = PM_TYPED_BY_FIT,
                              .name = best->type->name,
                              .type = best->type,
                              .elements = best->elements,
                              .confidence = best->fit.fit,
                              .reason = "the structure whose fields fit best"};
        }
    }
    const guint16 row = find_row(work, &typed);
    if (row == NO_ROW)
        return;
    PmNamedRow *count = &g_array_index(work->counts, PmNamedRow, row);
    count->nearest = nearest.nearest;
    count->nearest_fit = nearest.nearest_fit;
    work->naming->row_of_layout[layout] = row;
    for (gsize i = 0; i < schema->sample->count; i++)
        if (work->count_of[i] == NO_ROW && schema->layout_of[i] == layout)
            count_chunk(work, i, row);
}

/* The chunks that nothing names and the core has not. */
static void
count_unread(Naming *work)
{
    const PmSchema *schema = work->naming->schema;
    const PmTyped typed = {.by = PM_TYPED_BY_LAYOUT,
                           .name = "contents not in the core",
                           .elements = 1,
                           .reason = "its bytes are not in the core"};
    for (gsize i = 0; i < schema->sample->count; i++) {
        const guint16 row = work->count_of[i] == NO_ROW ? find_row(work, &typed) : NO_ROW;
        if (row != NO_ROW)
            count_chunk(work, i, row);
    }
}

static int
compare_rows(const void *left, const void *right)
{
    const PmNamedRow *a = left;
    const PmNamedRow *b = right;
    if (a->sampled != b->sampled)
        return a->sampled < b->sampled ? 1 : -1;
    return strcmp(a->typed.name, b->typed.name);
}

/* Shares the population out among the rows, so that nothing is lost by rounding. */
static void
estimate(PmNaming *naming)
{
    const PmSample *sample = naming->schema->sample;
    guint64 sampled = 0;
    guint64 given = 0;
    for (gsize i = 0; i < naming->row_count; i++) {
        PmNamedRow *row = &naming->rows[i];
        sampled += row->sampled;
        const double share = (double)sampled / (double)MAX(1, sample->count);
        const guint64 upto = sampled == sample->count
                                 ? sample->population
                                 : (guint64)((double)sample->population * MIN(share, 1.0));
        row->estimate = upto > given ? upto - given : 0;
        given = MAX(given, upto);
    }
}

/* The layout that most of the chunks of @count have. */
static gsize
get_layout(const PmNamedRow *count)
{
    gsize most = 0;
    for (gsize i = 1; i < PM_SCHEMA_LAYOUTS_MAX; i++)
        if (count->by_layout[i] > count->by_layout[most])
            most = i;
    return most;
}

/* Makes the tables that lead to rows say where these are now; @names: of the rows as they were. */
static void
renumber(PmNaming *naming, const char *const *names)
{
    for (gsize i = 0; i < naming->row_count; i++)
        g_hash_table_insert(naming->by_name, (gpointer)naming->rows[i].typed.name,
                            GUINT_TO_POINTER(i));
    for (gsize i = 0; i < naming->schema->layout_count; i++) {
        guint16 *row = &naming->row_of_layout[i];
        if (*row != NO_ROW)
            *row = (guint16)GPOINTER_TO_UINT(g_hash_table_lookup(naming->by_name, names[*row]));
    }
}

/* Sorts the rows. */
static void
finish(Naming *work)
{
    PmNaming *naming = work->naming;
    naming->row_count = work->counts->len;
    naming->rows = g_new0(PmNamedRow, naming->row_count + 1);
    g_autofree const char **names = g_new0(const char *, naming->row_count + 1);
    for (gsize i = 0; i < naming->row_count; i++) {
        naming->rows[i] = g_array_index(work->counts, PmNamedRow, i);
        naming->rows[i].layout = get_layout(&naming->rows[i]);
        names[i] = naming->rows[i].typed.name;
    }
    qsort(naming->rows, naming->row_count, sizeof *naming->rows, compare_rows);
    renumber(naming, names);
    estimate(naming);
}

PmNaming *
pm_naming_new(const PmNamer *namer, PmSample *sample)
{
    PmNaming *naming = g_new0(PmNaming, 1);
    naming->schema = pm_schema_new(namer->places, sample);
    naming->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    naming->names = g_string_chunk_new(1024);
    naming->row_of_layout = g_new(guint16, PM_SCHEMA_LAYOUTS_MAX);
    for (gsize i = 0; i < PM_SCHEMA_LAYOUTS_MAX; i++)
        naming->row_of_layout[i] = NO_ROW;
    Naming work = {.namer = namer,
                   .naming = naming,
                   .counts = g_array_new(FALSE, FALSE, sizeof(PmNamedRow)),
                   .count_of = g_new(guint16, naming->schema->sample->count + 1)};
    count_typed(&work);
    for (gsize i = 0; i < naming->schema->layout_count; i++)
        name_layout(&work, i);
    count_unread(&work);
    finish(&work);
    g_array_unref(work.counts);
    g_free(work.count_of);
    return naming;
}

gboolean
pm_named_row_has_near(const PmNamedRow *row)
{
    return row->nearest != NULL && row->nearest_fit >= NEAR_FIT;
}

void
pm_naming_free(PmNaming *naming)
{
    if (naming == NULL)
        return;
    pm_schema_free(naming->schema);
    g_hash_table_unref(naming->by_name);
    g_string_chunk_free(naming->names);
    g_free(naming->row_of_layout);
    g_free(naming->rows);
    g_free(naming);
}

gsize
pm_naming_match(const PmNaming *naming, const PmNamer *namer, const PmChunk *chunk)
{
    guint8 bytes[PM_SCHEMA_BYTES_MAX];
    PmTyped typed;
    gpointer known = NULL;
    type_chunk(namer, chunk, &typed);
    if (typed.by != PM_TYPED_NOT)
        return g_hash_table_lookup_extended(naming->by_name, typed.name, NULL, &known)
                   ? GPOINTER_TO_UINT(known)
                   : naming->row_count;
    const gsize count = MIN(naming->schema->bytes_per_chunk, (gsize)chunk->usable_bytes);
    pm_sample_read(pm_places_get_subject(namer->places), chunk, bytes, MIN(count, sizeof bytes));
    const gsize layout =
        pm_schema_match(naming->schema, namer->places, bytes, MIN(count, sizeof bytes));
    if (layout >= naming->schema->layout_count || naming->row_of_layout[layout] == NO_ROW)
        return naming->row_count;
    return naming->row_of_layout[layout];
}
