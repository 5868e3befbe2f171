/*
 * Reads chunks to hold sites against; see fingerprint.h.
 */
#include "analysis/sites/fingerprint.h"

/* A chunk leads to few modules. */
#define MODULES_MAX 8

PmSiteRows *
pm_site_rows_new(gsize count, gsize stride_bytes, guint word_bytes, gsize layout_count)
{
    PmSiteRows *rows = g_new0(PmSiteRows, 1);
    rows->matrix = pm_matrix_new(count, stride_bytes, 0, word_bytes);
    rows->layouts = g_new0(guint16, count + 1);
    rows->layout_rows = g_new0(gsize, layout_count + 1);
    rows->layout_count = layout_count;
    rows->module_rows = g_hash_table_new(NULL, NULL);
    return rows;
}

void
pm_site_rows_free(PmSiteRows *rows)
{
    if (rows == NULL)
        return;
    pm_matrix_free(rows->matrix);
    g_free(rows->layouts);
    g_free(rows->layout_rows);
    g_hash_table_unref(rows->module_rows);
    g_free(rows);
}

/* Counts the row for the modules that it leads to, each once. */
static void
count_modules(PmSiteRows *rows, const PmModule *const *modules, gsize count)
{
    for (gsize i = 0; i < count; i++) {
        gboolean is_new = TRUE;
        for (gsize j = 0; j < i; j++)
            is_new = is_new && modules[j] != modules[i];
        if (!is_new)
            continue;
        const guint seen = GPOINTER_TO_UINT(g_hash_table_lookup(rows->module_rows, modules[i]));
        g_hash_table_insert(rows->module_rows, (gpointer)modules[i], GUINT_TO_POINTER(seen + 1));
    }
}

/* What the words of a row are. */
static void
classify_row(PmSiteRows *rows, PmPlaces *places, gsize row)
{
    PmMatrix *matrix = rows->matrix;
    const PmModule *modules[MODULES_MAX];
    gsize count = 0;
    for (gsize word = 0; word < matrix->words; word++) {
        const guint64 value = pm_load_number(
            pm_matrix_get_row(matrix, row) + word * matrix->word_bytes, matrix->word_bytes);
        PmWord what = {.kind = value == 0 ? PM_WORD_ZERO : PM_WORD_NUMBER};
        if (pm_places_may_point(places, value))
            pm_places_classify(places, value, &what);
        matrix->kinds[row * matrix->words + word] = (guint8)what.kind;
        if ((what.kind == PM_WORD_VTABLE || what.kind == PM_WORD_CODE ||
             what.kind == PM_WORD_RODATA) &&
            what.module != NULL && count < MODULES_MAX)
            modules[count++] = what.module;
    }
    count_modules(rows, modules, count);
}

/* The chunks of the sample that are to be looked at: at most PM_SITE_ROWS_MAX, evenly. */
static gsize
choose(const PmSchema *schema, gsize layout, gsize *chosen)
{
    gsize count = 0;
    for (gsize i = 0; i < schema->sample->count; i++)
        count += schema->layout_of[i] < schema->layout_count &&
                 (layout == G_MAXSIZE || schema->layout_of[i] == layout);
    gsize seen = 0, taken = 0;
    for (gsize i = 0; i < schema->sample->count; i++) {
        if (schema->layout_of[i] >= schema->layout_count ||
            (layout != G_MAXSIZE && schema->layout_of[i] != layout))
            continue;
        if (seen * PM_SITE_ROWS_MAX / MAX(count, PM_SITE_ROWS_MAX) >= taken)
            chosen[taken++] = i;
        seen++;
    }
    return taken;
}

PmSiteRows *
pm_site_rows_read(PmPlaces *places, const PmSchema *schema, gsize layout)
{
    const PmSubject *subject = pm_places_get_subject(places);
    g_autofree gsize *chosen = g_new(gsize, schema->sample->count + 1);
    const gsize count = choose(schema, layout, chosen);
    PmSiteRows *rows =
        pm_site_rows_new(count, schema->bytes_per_chunk, schema->word_bytes, schema->layout_count);
    PmMatrix *matrix = rows->matrix;
    gsize row = 0;
    for (gsize i = 0; i < count; i++) {
        const PmChunk *chunk = &schema->sample->chunks[chosen[i]];
        if (!pm_sample_read(subject, chunk, matrix->bytes + row * matrix->stride, matrix->stride))
            continue;
        rows->layouts[row] = schema->layout_of[chosen[i]];
        rows->layout_rows[rows->layouts[row]]++;
        matrix->groups[row] = chunk->mmapped ? G_MAXUINT32 : chunk->arena;
        classify_row(rows, places, row);
        row++;
    }
    matrix->rows = row;
    for (gsize i = 0; i < schema->layout_count; i++)
        rows->is_used = rows->is_used || schema->layouts[i].request.known;
    return rows;
}
