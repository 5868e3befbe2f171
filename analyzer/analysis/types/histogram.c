#include "analysis/types/histogram.h"

#include "analysis/types/rest.h"
#include "analysis/types/typing-private.h"

#include <stdlib.h>
#include <string.h>

/* Chunks of one binding. */
typedef struct {
    guint64 chunks;
    guint64 chunk_bytes;
    PmAddr example;
} Count;

typedef struct {
    PmTyping *typing;
    PmTypeHistogram *histogram;
    GArray *counts;   /* Count, by binding */
    PmRest *rest;     /* chunks without a type */
    GHashTable *rows; /* name and source → index */
    GArray *list;     /* PmTypeRow */
} Tally;

static void
add_row(Tally *tally, const PmTypeRow *row)
{
    g_autofree char *key = g_strdup_printf("%u %s", row->by, row->name);
    gpointer known = NULL;
    if (!g_hash_table_lookup_extended(tally->rows, key, NULL, &known)) {
        PmTypeRow copy = *row;
        copy.name = g_strdup(row->name);
        g_hash_table_insert(tally->rows, g_steal_pointer(&key), GUINT_TO_POINTER(tally->list->len));
        g_array_append_val(tally->list, copy);
        return;
    }
    PmTypeRow *sum = &g_array_index(tally->list, PmTypeRow, GPOINTER_TO_UINT(known));
    const double bytes = (double)sum->chunk_bytes + (double)row->chunk_bytes;
    if (bytes > 0)
        sum->confidence = (sum->confidence * (double)sum->chunk_bytes +
                           row->confidence * (double)row->chunk_bytes) /
                          bytes;
    if (row->chunk_bytes > sum->chunk_bytes)
        sum->reason = row->reason;
    sum->chunks += row->chunks;
    sum->chunk_bytes += row->chunk_bytes;
}

static void
add_runtime(Tally *tally, const PmChunk *chunk)
{
    const PmTypeRow row = {.name = (char *)"glibc's own",
                           .by = PM_TYPED_BY_RUNTIME,
                           .chunks = 1,
                           .chunk_bytes = chunk->chunk_bytes,
                           .confidence = 1,
                           .example = chunk->address,
                           .reason = "glibc made them for itself"};
    add_row(tally, &row);
}

static void
count_chunk(Tally *tally, const PmChunk *chunk)
{
    PmTyping *typing = tally->typing;
    PmHit hit;
    PmTotal *used = &tally->histogram->used;
    used->chunks++;
    used->chunk_bytes += chunk->chunk_bytes;
    used->usable_bytes += chunk->usable_bytes;
    if (chunk->state == PM_CHUNK_RUNTIME) {
        add_runtime(tally, chunk);
        return;
    }
    const guint32 id = pm_resolver_find(typing->resolver, chunk->address, &hit) && hit.is_start
                           ? pm_assignments_get_binding(&typing->assignments, hit.slot)
                           : 0;
    if (id == 0) {
        pm_rest_add(tally->rest, chunk);
        return;
    }
    Count *count = &g_array_index(tally->counts, Count, id);
    if (count->chunks++ == 0)
        count->example = chunk->address;
    count->chunk_bytes += chunk->chunk_bytes;
}

static void
add_bindings(Tally *tally)
{
    for (guint32 id = 1; id < tally->counts->len; id++) {
        const Count *count = &g_array_index(tally->counts, Count, id);
        const PmBinding *binding = pm_typing_get_binding(tally->typing, id);
        const PmTypeRow row = {
            .name = (char *)binding->name,
            .by = binding->by,
            .chunks = count->chunks,
            .chunk_bytes = count->chunk_bytes,
            .confidence = pm_typing_get_confidence(binding->by, binding->level),
            .example = count->example,
            .reason = binding->reason,
        };
        if (count->chunks > 0)
            add_row(tally, &row);
    }
}

/* A kind of chunk of one size that nothing types one by one. */
static void
add_named(Tally *tally, const PmNaming *naming, const PmNamedRow *named, guint64 chunk_bytes)
{
    const gboolean is_layout = named->typed.by == PM_TYPED_BY_LAYOUT;
    g_autofree char *name =
        is_layout ? g_strdup_printf("0x%" G_GINT64_MODIFIER "x: %s", chunk_bytes, named->typed.name)
                  : g_strdup(named->typed.name);
    const PmTypeRow row = {.name = name,
                           .by = named->typed.by,
                           .chunks = named->estimate,
                           .chunk_bytes = named->estimate * chunk_bytes,
                           .confidence = named->typed.confidence,
                           .is_estimated = !naming->schema->sample->is_whole,
                           .chunk_size = chunk_bytes,
                           .example = named->example,
                           .reason = named->typed.reason};
    add_row(tally, &row);
}

/* Sizes that nobody looks into: each would cost more than its few bytes are worth. */
static void
add_unseen(Tally *tally, const PmSample *sample, guint64 chunk_bytes)
{
    const PmTypeRow row = {.name = (char *)"other sizes without a type, not looked into",
                           .by = PM_TYPED_BY_LAYOUT,
                           .chunks = sample->population,
                           .chunk_bytes = sample->population * chunk_bytes,
                           .example = sample->chunks[0].address,
                           .reason = "of each size too few bytes"};
    add_row(tally, &row);
}

static void
add_rest(Tally *tally, const PmNamer *namer)
{
    g_autoptr(GArray) sizes = pm_rest_get_sizes(tally->rest);
    for (guint i = 0; i < sizes->len; i++) {
        const guint64 chunk_bytes = g_array_index(sizes, guint64, i);
        PmSample *sample = pm_rest_get_sample(tally->rest, chunk_bytes);
        if (i >= PM_HISTOGRAM_SIZES) {
            add_unseen(tally, sample, chunk_bytes);
            pm_sample_free(sample);
            continue;
        }
        g_autoptr(PmNaming) naming = pm_naming_new(namer, sample);
        for (gsize j = 0; j < naming->row_count; j++)
            add_named(tally, naming, &naming->rows[j], chunk_bytes);
    }
}

static int
compare_rows(const void *a, const void *b)
{
    const PmTypeRow *left = a;
    const PmTypeRow *right = b;
    if (left->chunk_bytes != right->chunk_bytes)
        return left->chunk_bytes > right->chunk_bytes ? -1 : 1;
    return left->by != right->by ? (left->by < right->by ? -1 : 1)
                                 : strcmp(left->name, right->name);
}

PmTypeHistogram *
pm_type_histogram_new(PmTyping *typing, const PmNamer *namer)
{
    PmTypeHistogram *histogram = g_new0(PmTypeHistogram, 1);
    Tally tally = {
        .typing = typing,
        .histogram = histogram,
        .counts = g_array_new(FALSE, TRUE, sizeof(Count)),
        .rest = pm_rest_new(),
        .rows = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .list = g_array_new(FALSE, FALSE, sizeof(PmTypeRow)),
    };
    PmHeapIter iter;
    PmChunk chunk;
    g_array_set_size(tally.counts, typing->bindings->len);
    if (typing->resolver != NULL) {
        pm_heap_iter_init(&iter, pm_ptmalloc_get_heap(typing->subject->ptmalloc), 0);
        while (pm_heap_iter_next(&iter, &chunk))
            if (chunk.state == PM_CHUNK_USED || chunk.state == PM_CHUNK_RUNTIME)
                count_chunk(&tally, &chunk);
    }
    add_bindings(&tally);
    add_rest(&tally, namer);
    histogram->row_count = tally.list->len;
    histogram->rows = (PmTypeRow *)(gpointer)g_array_free(tally.list, FALSE);
    if (histogram->row_count > 0)
        qsort(histogram->rows, histogram->row_count, sizeof *histogram->rows, compare_rows);
    g_array_unref(tally.counts);
    pm_rest_free(tally.rest);
    g_hash_table_unref(tally.rows);
    return histogram;
}

void
pm_type_histogram_free(PmTypeHistogram *histogram)
{
    for (gsize i = 0; i < histogram->row_count; i++)
        g_free(histogram->rows[i].name);
    g_free(histogram->rows);
    g_free(histogram);
}
