/*
 * Made-up rows; see schema-rows.h.
 */
#include "schema-rows.h"

#include <string.h>

#define HEAP G_GUINT64_CONSTANT(0x55d0c0000000)

void
rows_init(Rows *rows, gsize count, gsize bytes, guint word_bytes)
{
    rows->matrix = pm_matrix_new(count, bytes, 0, word_bytes);
    rows->random = G_GUINT64_CONSTANT(0x1234567);
}

void
rows_clear(Rows *rows)
{
    pm_matrix_free(rows->matrix);
}

guint64
rows_random(Rows *rows)
{
    rows->random ^= rows->random >> 12;
    rows->random ^= rows->random << 25;
    rows->random ^= rows->random >> 27;
    return rows->random * G_GUINT64_CONSTANT(0x2545f4914f6cdd1d);
}

guint64
rows_below(Rows *rows, guint64 limit)
{
    return (rows_random(rows) >> 16) % limit;
}

void
rows_put(Rows *rows, gsize row, gsize offset, gsize width, guint64 value)
{
    guint8 *bytes = rows->matrix->bytes + row * rows->matrix->stride + offset;
    for (gsize i = 0; i < width; i++)
        bytes[i] = (guint8)(value >> (8 * i));
}

void
rows_put_pointer(Rows *rows, gsize row, gsize offset, PmWordKind kind, guint64 value)
{
    PmMatrix *matrix = rows->matrix;
    rows_put(rows, row, offset, matrix->word_bytes, value);
    matrix->kinds[row * matrix->words + offset / matrix->word_bytes] = (guint8)kind;
}

void
rows_put_chunk(Rows *rows, gsize row, gsize offset)
{
    guint64 heap = rows->matrix->word_bytes == 8 ? HEAP : 0x56550000;
    rows_put_pointer(rows, row, offset, PM_WORD_CHUNK, heap + 16 * rows_below(rows, 1 << 20));
}

void
rows_put_text(Rows *rows, gsize row, gsize offset, const char *text)
{
    memcpy(rows->matrix->bytes + row * rows->matrix->stride + offset, text, strlen(text) + 1);
}

void
rows_put_double(Rows *rows, gsize row, gsize offset, double value)
{
    guint64 bits = 0;
    memcpy(&bits, &value, sizeof bits);
    rows_put(rows, row, offset, 8, bits);
}

void
rows_put_float(Rows *rows, gsize row, gsize offset, float value)
{
    guint32 bits = 0;
    memcpy(&bits, &value, sizeof bits);
    rows_put(rows, row, offset, 4, bits);
}

void
rows_put_garbage(Rows *rows, gsize row, gsize offset, gsize count)
{
    for (gsize i = 0; i < count; i++)
        rows_put(rows, row, offset + i, 1, rows_random(rows) >> 32);
}

void
rows_finish(Rows *rows)
{
    PmMatrix *matrix = rows->matrix;
    for (gsize i = 0; i < matrix->rows * matrix->words; i++) {
        if (pm_load_number(matrix->bytes + i * matrix->word_bytes, matrix->word_bytes) == 0)
            matrix->kinds[i] = PM_WORD_ZERO;
    }
}

static guint32 *
list_all(const Rows *rows)
{
    guint32 *all = g_new(guint32, rows->matrix->rows + 1);
    for (gsize i = 0; i < rows->matrix->rows; i++)
        all[i] = (guint32)i;
    return all;
}

GArray *
rows_columns(const Rows *rows, gsize limit)
{
    g_autofree guint32 *all = list_all(rows);
    PmRows every = {rows->matrix, all, rows->matrix->rows};
    return pm_columns_new(&every, limit, ROWS_NEWEST);
}

void
rows_infer(const Rows *rows, guint64 min, guint64 max, PmSchemaRequest *ret_request)
{
    static const guint32 upper[] = {0x55d0, 0x7f12, 0x7ffc};
    PmSlackFacts facts = {rows->matrix->stride + 8, {min, max}, upper, G_N_ELEMENTS(upper)};
    g_autofree guint32 *all = list_all(rows);
    PmRows every = {rows->matrix, all, rows->matrix->rows};
    g_autoptr(GArray) columns = rows_columns(rows, rows->matrix->stride);
    pm_slack_infer(&every, columns, &facts, ret_request);
}

char *
rows_describe(const Rows *rows, gsize limit)
{
    g_autoptr(GArray) columns = rows_columns(rows, limit);
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < columns->len; i++) {
        const PmSchemaColumn *column = &g_array_index(columns, PmSchemaColumn, i);
        g_string_append_printf(text, "%s%" G_GUINT64_FORMAT "+%" G_GUINT64_FORMAT " %s",
                               i == 0 ? "" : ", ", column->offset_bytes, column->width_bytes,
                               pm_column_kind_name(column->kind));
    }
    return g_string_free(text, FALSE);
}

char *
rows_describe_layouts(const Rows *rows)
{
    g_autoptr(PmClusters) clusters = pm_clusters_new(rows->matrix, PM_SCHEMA_LAYOUTS_MAX);
    const guint16 *layouts = pm_clusters_get_layouts(clusters);
    GString *text = g_string_new(NULL);
    for (gsize i = 0; i < pm_clusters_get_count(clusters); i++) {
        gsize members = 0;
        for (gsize row = 0; row < rows->matrix->rows; row++)
            members += layouts[row] == i ? 1 : 0;
        g_string_append_printf(text, "%s%" G_GSIZE_FORMAT, i == 0 ? "" : " ", members);
    }
    return g_string_free(text, FALSE);
}
