/*
 * Kinds and layouts by name; see describe.h.
 */
#include "analysis/schema/describe.h"

/* Runs of columns of one kind that a signature names. */
#define SIGNED_RUNS 8

static const struct {
    PmColumnKind kind;
    const char *name;
} kind_names[] = {
    {PM_COLUMN_ZERO, "zero"},
    {PM_COLUMN_CONSTANT, "constant"},
    {PM_COLUMN_FLAG, "flag"},
    {PM_COLUMN_ENUM, "enum"},
    {PM_COLUMN_COUNTER, "counter"},
    {PM_COLUMN_SECONDS, "seconds"},
    {PM_COLUMN_MILLISECONDS, "milliseconds"},
    {PM_COLUMN_MICROSECONDS, "microseconds"},
    {PM_COLUMN_NANOSECONDS, "nanoseconds"},
    {PM_COLUMN_POINTER, "pointer"},
    {PM_COLUMN_INTERIOR, "pointer-interior"},
    {PM_COLUMN_FREED, "pointer-freed"},
    {PM_COLUMN_VTABLE, "vtable"},
    {PM_COLUMN_CODE, "code"},
    {PM_COLUMN_RODATA, "rodata"},
    {PM_COLUMN_DATA, "data"},
    {PM_COLUMN_STACK, "stack"},
    {PM_COLUMN_MAPPING, "mapping"},
    {PM_COLUMN_DOUBLE, "double"},
    {PM_COLUMN_FLOAT, "float"},
    {PM_COLUMN_LENGTH, "length"},
    {PM_COLUMN_NUMBER, "number"},
    {PM_COLUMN_TEXT, "text"},
    {PM_COLUMN_RANDOM, "random"},
    {PM_COLUMN_SLACK, "slack"},
    {PM_COLUMN_MIXED, "mixed"},
};

const char *
pm_column_kind_name(PmColumnKind kind)
{
    g_assert((gsize)kind < G_N_ELEMENTS(kind_names));
    return kind_names[kind].name;
}

/* The bytes of a layout in which nothing changes: "00 10 00 ...". */
static char *
sign_bytes(const PmRows *rows, gsize count)
{
    GString *text = g_string_new(NULL);
    const guint8 *bytes = pm_rows_get(rows, 0);
    gsize last = count;
    while (last > 0 && bytes[last - 1] == 0)
        last--;
    gsize shown = MIN(MIN(last + 1, count), 16);
    for (gsize i = 0; i < shown; i++)
        g_string_append_printf(text, "%s%02x", i == 0 ? "" : " ", bytes[i]);
    if (shown < count)
        g_string_append(text, " ...");
    return g_string_free(text, FALSE);
}

/* A pointer to one place of a module in all chunks: a table of functions, a class. */
static gboolean
is_one_place(const PmSchemaColumn *column)
{
    return (column->kind == PM_COLUMN_DATA || column->kind == PM_COLUMN_RODATA ||
            column->kind == PM_COLUMN_CODE) &&
           column->distinct == 1 && column->nulls == 0 && column->text != NULL;
}

/* Zeros say nothing of what a field is, and neither does slack. */
static gboolean
is_silent(const PmSchemaColumn *column)
{
    return column->kind == PM_COLUMN_ZERO || column->kind == PM_COLUMN_SLACK;
}

/* The end of the run of columns like the one at @first, and in *ret_length how many they are. */
static gsize
find_run(const PmSchemaLayout *layout, gsize first, gsize *ret_length)
{
    gsize end = first;
    *ret_length = 0;
    for (; end < layout->column_count; end++) {
        const PmSchemaColumn *column = &layout->columns[end];
        if (column->kind != layout->columns[first].kind && !is_silent(column))
            break;
        *ret_length += is_silent(column) ? 0 : 1;
    }
    return end;
}

/* Kinds in the order of their columns; runs of one kind once. */
static char *
sign_kinds(const PmSchemaLayout *layout)
{
    GString *text = g_string_new(NULL);
    gsize shown = 0;
    gsize next = 0;
    for (gsize i = 0; i < layout->column_count; i = next) {
        const PmSchemaColumn *column = &layout->columns[i];
        gsize length = 0;
        next = is_silent(column) ? i + 1 : find_run(layout, i, &length);
        if (is_silent(column))
            continue;
        const gboolean is_known = is_one_place(column) || column->kind == PM_COLUMN_CONSTANT;
        if (shown++ == SIGNED_RUNS) {
            g_string_append(text, "...");
            break;
        }
        g_string_append_printf(text, "%s%s", text->len == 0 ? "" : ", ",
                               length == 1 && is_known && column->text != NULL
                                   ? column->text
                                   : pm_column_kind_name(column->kind));
        if (length > 1)
            g_string_append_printf(text, " x%" G_GSIZE_FORMAT, length);
    }
    return g_string_free(text, FALSE);
}

void
pm_schema_describe_layout(PmPlaces *places, const PmRows *rows, PmSchemaLayout *layout)
{
    gboolean constant = TRUE;
    gsize data_bytes = 0;
    for (gsize i = 0; i < layout->column_count; i++) {
        const PmSchemaColumn *column = &layout->columns[i];
        constant =
            constant && (column->kind == PM_COLUMN_ZERO || column->kind == PM_COLUMN_CONSTANT ||
                         column->kind == PM_COLUMN_SLACK);
        if (column->kind != PM_COLUMN_SLACK)
            data_bytes = (gsize)(column->offset_bytes + column->width_bytes);
    }
    if (layout->is_rest) {
        layout->signature = g_strdup("others");
        return;
    }
    if (rows->matrix->words > 0 &&
        rows->matrix->kinds[rows->rows[0] * rows->matrix->words] == PM_WORD_VTABLE) {
        PmWord word;
        pm_places_classify(places, pm_load_number(pm_rows_get(rows, 0), rows->matrix->word_bytes),
                           &word);
        if (word.kind == PM_WORD_VTABLE && word.vtable != NULL) {
            layout->name = g_strdup(word.vtable->class_name);
            layout->signature = g_strdup_printf("vtable of %s", layout->name);
            return;
        }
    }
    layout->signature = constant ? sign_bytes(rows, data_bytes) : sign_kinds(layout);
}
