/*
 * Types for the layouts of a class; see structs.h.
 */
#include "analysis/structs/structs.h"

#include "analysis/structs/mixture.h"

#include <string.h>

#define SEED 1

/* A chunk is of a type that fits others of its class if it says so much for it, and so much more
 * than for the next. */
#define CHUNK_ODDS 1.0
#define CHUNK_LEAD 0.7

/* What the types leave of a layout is one of its own if it is more than one in so many of it. */
#define LEFT_SHARE 10

/* What a size costs that is not the one that slack bytes betray, in nats, if that is certain. Bytes
 * that nothing writes at the end of a structure look like slack, too. */
#define REQUEST_ODDS  2.0
#define PADDING_BYTES 7

/* Chunks that are compared with types one by one at a time. */
#define BATCH 1024

typedef struct {
    PmFitter *fitter;
    PmSample *sample;
    PmRequests sizes;
    const PmSchema *schema;
    GArray **ranked;  /* of each layout of the schema: what it was ranked as, whole */
    GPtrArray *types; /* const PmType *: those that fit a layout, then those that only some chunks
                       * of one speak for; groups 0 … types->len − 1 */
    guint fitting;    /* how many of @types are of the first kind */
    /* Of each chunk; types->len + n is layout n of the schema, the next the rest. */
    guint *group_of;
} Work;

static GArray *
collect_group(const Work *work, guint group)
{
    GArray *chunks = g_array_new(FALSE, FALSE, sizeof(PmChunk));
    for (gsize i = 0; i < work->sample->count; i++) {
        if (work->group_of[i] == group)
            g_array_append_val(chunks, work->sample->chunks[i]);
    }
    return chunks;
}

static GArray *
rank_group(Work *work, guint group)
{
    g_autoptr(GArray) chunks = collect_group(work, group);
    return pm_fitter_rank(work->fitter, (const PmChunk *)(gconstpointer)chunks->data, chunks->len,
                          work->sizes.min, work->sizes.max);
}

static void
add_type(Work *work, const PmType *type)
{
    if (!g_ptr_array_find(work->types, type, NULL))
        g_ptr_array_add(work->types, (gpointer)type);
}

/* The type that is first of @candidates and fits, at least by most of the chunks, or NULL. */
static const PmType *
get_fitting(const GArray *candidates)
{
    if (candidates->len == 0)
        return NULL;
    const PmCandidate *first = &g_array_index(candidates, PmCandidate, 0);
    return first->fit.fit >= PM_FIT_FITS && !first->is_array ? first->type : NULL;
}

/* The types that fit a layout; where none does, those that some of its chunks speak for. */
static void
find_types(Work *work)
{
    for (gsize i = 0; i < work->schema->layout_count; i++) {
        work->ranked[i] = rank_group(work, (guint)i);
        const PmType *type = get_fitting(work->ranked[i]);
        if (type != NULL)
            add_type(work, type);
    }
    work->fitting = work->types->len;
    for (gsize i = 0; i < work->schema->layout_count; i++) {
        if (get_fitting(work->ranked[i]) != NULL)
            continue;
        g_autoptr(GArray) chunks = collect_group(work, (guint)i);
        g_autoptr(GPtrArray) some = pm_mixture_find(
            work->fitter, (const PmChunk *)(gconstpointer)chunks->data, chunks->len, work->sizes);
        for (guint j = 0; j < some->len; j++)
            add_type(work, g_ptr_array_index(some, j));
    }
}

/* Gives the @count chunks from @from on to the type that each fits best. */
static void
assign_batch(Work *work, gsize from, gsize count)
{
    guint types = work->types->len;
    g_autofree double *scores = g_new0(double, types *count);
    g_autoptr(PmScene) scene =
        pm_scene_new(work->fitter, work->sample->chunks + from, count, count, 0);
    /* Chunks that the core has not are in no layout either: then the numbers do not agree. */
    if (scene->block == NULL || scene->block->count != count)
        return;
    for (guint i = 0; i < types; i++)
        pm_fitter_score_each(
            work->fitter, scene,
            pm_fit_plans_get(work->fitter->plans, g_ptr_array_index(work->types, i)), TRUE,
            scores + i * count);
    for (gsize i = 0; i < count; i++) {
        double best = 0;
        double next = 0;
        guint group = 0;
        for (guint j = 0; j < types; j++) {
            double score = scores[j * count + i];
            if (score > best) {
                next = best;
                best = score;
                group = j;
            } else {
                next = MAX(next, score);
            }
        }
        if (best >= (group < work->fitting ? CHUNK_ODDS : PM_MIXTURE_ODDS) &&
            best - next >= CHUNK_LEAD)
            work->group_of[from + i] = group;
    }
}

/* The few chunks that types leave of layouts go together. */
static void
gather_rest(Work *work)
{
    gsize layouts = work->schema->layout_count;
    g_autofree guint64 *left = g_new0(guint64, layouts + 1);
    for (gsize i = 0; i < work->sample->count; i++) {
        if (work->group_of[i] >= work->types->len)
            left[MIN(work->group_of[i] - work->types->len, layouts)]++;
    }
    for (gsize i = 0; i < work->sample->count; i++) {
        if (work->group_of[i] < work->types->len)
            continue;
        gsize layout = MIN(work->group_of[i] - work->types->len, layouts);
        if (layout == layouts ||
            left[layout] * LEFT_SHARE <= work->schema->layouts[layout].chunks_sampled)
            work->group_of[i] = (guint)(work->types->len + layouts);
    }
}

/* Where a layout of the schema is a mixture, or one type has several layouts, what the types say of
 * each chunk tells better: chunks go to the types that fit some layout. */
static void
assign_chunks(Work *work)
{
    for (gsize i = 0; i < work->sample->count; i++)
        work->group_of[i] = work->types->len + work->schema->layout_of[i];
    if (work->types->len == 0)
        return;
    work->fitter->deep_left = PM_DEEP_BUDGET;
    for (gsize i = 0; i < work->sample->count; i += BATCH)
        assign_batch(work, i, MIN(BATCH, work->sample->count - i));
    gather_rest(work);
}

/* Types that only some chunks of a layout spoke for have to fit those that came to them, or go. */
static void
drop_unfit(Work *work)
{
    g_autoptr(GPtrArray) kept = g_ptr_array_new();
    for (guint i = 0; i < work->types->len; i++) {
        const PmType *type = g_ptr_array_index(work->types, i);
        if (i >= work->fitting) {
            g_autoptr(GArray) candidates = rank_group(work, i);
            if (!pm_candidate_fits(candidates, 0) || get_fitting(candidates) != type)
                continue;
        }
        g_ptr_array_add(kept, (gpointer)type);
    }
    gboolean changed = kept->len != work->types->len;
    g_ptr_array_set_size(work->types, 0);
    for (guint i = 0; i < kept->len; i++)
        g_ptr_array_add(work->types, g_ptr_array_index(kept, i));
    if (changed)
        assign_chunks(work);
}

/* What was found for a layout, where @group is all of it and nothing else; else NULL. */
static GArray *
find_ranked(const Work *work, guint group)
{
    gsize layouts = work->schema->layout_count;
    gsize layout = layouts;
    guint64 count = 0;
    for (gsize i = 0; i < work->sample->count; i++) {
        if (work->group_of[i] != group)
            continue;
        if (count++ == 0)
            layout = work->schema->layout_of[i];
        if (work->schema->layout_of[i] != layout)
            return NULL;
    }
    if (layout >= layouts || count != work->schema->layouts[layout].chunks_sampled)
        return NULL;
    return work->ranked[layout];
}

/* What the chunks of @group look like: the layout of the schema that the most of them have. */
static const PmSchemaLayout *
find_look(const Work *work, guint group)
{
    gsize count = work->schema->layout_count;
    g_autofree guint *votes = g_new0(guint, count + 1);
    gsize most = 0;
    for (gsize i = 0; i < work->sample->count; i++) {
        gsize layout = work->schema->layout_of[i];
        if (work->group_of[i] == group && layout < count && ++votes[layout] > votes[most])
            most = layout;
    }
    return votes[most] == 0 ? NULL : &work->schema->layouts[most];
}

/* Types of another size than was requested have that against them. */
static void
weigh_request(GArray *candidates, const PmSchemaRequest *request)
{
    if (!request->known)
        return;
    for (guint i = 0; i < candidates->len; i++) {
        PmCandidate *candidate = &g_array_index(candidates, PmCandidate, i);
        guint64 bytes = candidate->type->size_bytes * candidate->elements;
        if (bytes < request->request || bytes - request->request > PADDING_BYTES)
            candidate->fit.log_odds -= REQUEST_ODDS * request->confidence;
        candidate->fit.fit = pm_fit_squash(candidate->fit.log_odds);
    }
    pm_rank_sort(candidates);
}

static void
make_layout(Work *work, guint group, PmStructsLayout *layout)
{
    for (gsize i = 0; i < work->sample->count; i++) {
        if (work->group_of[i] != group)
            continue;
        layout->chunks_sampled++;
        if (layout->example_count < G_N_ELEMENTS(layout->examples))
            layout->examples[layout->example_count++] = work->sample->chunks[i].address;
    }
    const PmSchemaLayout *look = find_look(work, group);
    if (layout->chunks_sampled == 0 || look == NULL) {
        layout->chunks_sampled = 0;
        return;
    }
    gboolean is_left = group == work->types->len + work->schema->layout_count;
    layout->signature = g_strdup(is_left ? "what other layouts left" : look->signature);
    layout->is_rest = is_left || look->is_rest;
    layout->share = (double)layout->chunks_sampled / (double)work->sample->count;
    layout->estimate = (guint64)(layout->share * (double)work->sample->population + 0.5);
    layout->request_known = look->request.known;
    layout->request = look->request.request;
    layout->request_confidence = look->request.confidence;
    GArray *ranked = find_ranked(work, group);
    layout->candidates = ranked == NULL ? rank_group(work, group) : g_array_ref(ranked);
    weigh_request(layout->candidates, &look->request);
    layout->fits = pm_candidate_fits(layout->candidates, 0);
}

static int
compare_layouts(gconstpointer a, gconstpointer b)
{
    const PmStructsLayout *left = a, *right = b;
    if (left->chunks_sampled != right->chunks_sampled)
        return left->chunks_sampled > right->chunks_sampled ? -1 : 1;
    return left->examples[0] < right->examples[0] ? -1 : left->examples[0] > right->examples[0];
}

static void
make_layouts(PmStructs *structs, Work *work)
{
    gsize groups = work->types->len + work->schema->layout_count + 1;
    GArray *layouts = g_array_new(FALSE, TRUE, sizeof(PmStructsLayout));
    for (gsize i = 0; i < groups; i++) {
        PmStructsLayout layout = {0};
        make_layout(work, (guint)i, &layout);
        if (layout.chunks_sampled > 0)
            g_array_append_val(layouts, layout);
    }
    g_array_sort(layouts, compare_layouts);
    structs->layout_count = layouts->len;
    structs->layouts = (PmStructsLayout *)(gpointer)g_array_free(layouts, FALSE);
}

static gboolean
is_named(const PmStructs *structs, const PmStructsRow *row)
{
    const PmStructsLayout *layout = &structs->layouts[row->layout];
    return layout->fits && row->candidate == &g_array_index(layout->candidates, PmCandidate, 0);
}

static int
compare_rows(gconstpointer a, gconstpointer b, gpointer data)
{
    const PmStructsRow *left = a, *right = b;
    gboolean left_named = is_named(data, left);
    gboolean right_named = is_named(data, right);
    if (left_named != right_named)
        return left_named ? -1 : 1;
    double difference = left->candidate->fit.log_odds - right->candidate->fit.log_odds;
    if (difference != 0)
        return difference > 0 ? -1 : 1;
    return strcmp(left->candidate->type->name, right->candidate->type->name);
}

/* Each candidate once, of the layout that it fits best. */
static void
make_rows(PmStructs *structs)
{
    g_autoptr(GHashTable) known = g_hash_table_new(NULL, NULL);
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(PmStructsRow));
    for (guint i = 0; i < structs->layout_count; i++) {
        GArray *candidates = structs->layouts[i].candidates;
        for (guint j = 0; j < candidates->len; j++) {
            PmStructsRow row = {i, &g_array_index(candidates, PmCandidate, j)};
            g_array_append_val(all, row);
        }
    }
    g_array_sort_with_data(all, compare_rows, structs);
    structs->rows = g_array_new(FALSE, FALSE, sizeof(PmStructsRow));
    for (guint i = 0; i < all->len; i++) {
        const PmStructsRow *row = &g_array_index(all, PmStructsRow, i);
        /* A type and the array of it are two candidates. */
        gsize key = GPOINTER_TO_SIZE(row->candidate->type) + (row->candidate->is_array ? 1 : 0);
        if (g_hash_table_add(known, GSIZE_TO_POINTER(key)))
            g_array_append_val(structs->rows, *row);
    }
}

static GPtrArray *
find_modules_without_dwarf(const PmProcess *process)
{
    GPtrArray *without = g_ptr_array_new();
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(process, &count);
    for (gsize i = 0; i < count; i++) {
        if (!modules[i].dwarf && !modules[i].is_vdso)
            g_ptr_array_add(without, (gpointer)&modules[i]);
    }
    return without;
}

PmStructs *
pm_structs_new(PmPlaces *places, PmTypes *types, const PmReach *reach, const PmChunkFilter *filter)
{
    const PmSubject *subject = pm_places_get_subject(places);
    guint word_bytes = pm_image_get_target(subject->image)->word_bytes;
    PmStructs *structs = g_new0(PmStructs, 1);
    structs->modules_without_dwarf = find_modules_without_dwarf(subject->process);
    PmSample *sample = pm_sample_new(subject, reach, filter, PM_SCHEMA_SAMPLE, SEED);
    g_autoptr(PmSchema) schema = pm_schema_new(places, sample);
    g_autoptr(PmFitter) fitter = pm_fitter_new(places, types);
    structs->population = sample->population;
    structs->sampled = sample->count;
    if (sample->count > 0) {
        const PmChunk *first = &sample->chunks[0];
        structs->chunk_bytes = first->chunk_bytes;
        structs->requests =
            pm_requests_of(subject->ptmalloc, word_bytes, first->chunk_bytes, first->mmapped);
    } else if (filter->by_chunk_bytes) {
        structs->requests =
            pm_requests_of(subject->ptmalloc, word_bytes, filter->chunk_bytes, FALSE);
    }
    structs->sizes = structs->requests;
    /* What has no size has no contents either. */
    structs->sizes.min = MAX(structs->sizes.min, 1);
    if (filter->by_request)
        structs->sizes.min = structs->sizes.max = filter->request_bytes;
    g_autoptr(GPtrArray) fitting = g_ptr_array_new();
    g_autofree guint *group_of = g_new0(guint, sample->count + 1);
    Work work = {.fitter = fitter,
                 .sample = sample,
                 .sizes = structs->sizes,
                 .schema = schema,
                 .ranked = g_new0(GArray *, schema->layout_count + 1),
                 .types = fitting,
                 .group_of = group_of};
    assign_chunks(&work);
    find_types(&work);
    assign_chunks(&work);
    drop_unfit(&work);
    make_layouts(structs, &work);
    for (gsize i = 0; i < schema->layout_count; i++)
        g_array_unref(work.ranked[i]);
    g_free(work.ranked);
    make_rows(structs);
    return structs;
}

void
pm_structs_free(PmStructs *structs)
{
    for (gsize i = 0; i < structs->layout_count; i++) {
        g_free(structs->layouts[i].signature);
        g_array_unref(structs->layouts[i].candidates);
    }
    g_free(structs->layouts);
    g_array_unref(structs->rows);
    g_ptr_array_unref(structs->modules_without_dwarf);
    g_free(structs);
}
