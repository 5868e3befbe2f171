/*
 * Features of rows; see features.h.
 */
#include "analysis/schema/features.h"

#include <stdlib.h>

/* A tag has few values: more are a number. */
#define TAG_VALUES  16
#define BYTE_VALUES 12

guint64
pm_feature_read(const PmFeature *feature, const guint8 *bytes, const guint8 *symbols,
                guint word_bytes)
{
    guint8 symbol = symbols[feature->offset / word_bytes];
    if (symbol == PM_SYMBOL_MISSING)
        return PM_RAW_MISSING;
    if (feature->type == PM_FEATURE_WORD)
        return symbol;
    if (feature->type == PM_FEATURE_PLACE)
        return symbol == PM_SYMBOL_CODE || symbol == PM_SYMBOL_RODATA || symbol == PM_SYMBOL_DATA
                   ? pm_load_number(bytes + feature->offset, feature->width)
                   : PM_RAW_MISSING;
    if (symbol != PM_SYMBOL_ZERO && !pm_symbol_is_number(symbol))
        return PM_RAW_MISSING;
    PmHalf half = PM_HALF_ZERO;
    if (symbol != PM_SYMBOL_ZERO)
        half = feature->offset % word_bytes < 4 ? pm_symbol_lower(symbol) : pm_symbol_upper(symbol);
    if (half == PM_HALF_TEXT)
        return PM_RAW_MISSING;
    return feature->type == PM_FEATURE_HALF
               ? (guint64)half
               : pm_load_number(bytes + feature->offset, feature->width);
}

/* Distinct values and how often each occurs. */
typedef struct {
    guint64 values[PM_FEATURE_VALUES];
    guint counts[PM_FEATURE_VALUES];
    gsize count;
    gboolean overflowed;
} Census;

static void
count_value(Census *census, guint64 value)
{
    gsize at = 0;
    while (at < census->count && census->values[at] != value)
        at++;
    if (at == PM_FEATURE_VALUES) {
        census->overflowed = TRUE;
        return;
    }
    if (at == census->count) {
        census->values[at] = value;
        census->counts[at] = 0;
        census->count++;
    }
    census->counts[at]++;
    /* What is frequent is found soon. */
    if (at > 0 && census->counts[at] > census->counts[at - 1]) {
        guint64 other = census->values[at - 1];
        guint other_count = census->counts[at - 1];
        census->values[at - 1] = census->values[at];
        census->counts[at - 1] = census->counts[at];
        census->values[at] = other;
        census->counts[at] = other_count;
    }
}

/* Reads the feature in all rows. Returns: whether it is missing in any. */
static gboolean
take_census(const PmFeature *feature, const PmRows *rows, const guint8 *symbols, guint64 *raw,
            Census *census)
{
    const PmMatrix *matrix = rows->matrix;
    gboolean missing = FALSE;
    for (gsize i = 0; i < rows->count; i++) {
        raw[i] = pm_feature_read(feature, pm_rows_get(rows, i),
                                 symbols + rows->rows[i] * matrix->words, matrix->word_bytes);
        missing = missing || raw[i] == PM_RAW_MISSING;
        if (raw[i] != PM_RAW_MISSING && !census->overflowed)
            count_value(census, raw[i]);
    }
    return missing;
}

/* Appends the feature where it takes from two to @most values. Returns: how many it takes; a large
 * number where there are more than can be told. */
static gsize
add_feature(GArray *columns, const PmFeature *feature, const PmRows *rows, const guint8 *symbols,
            gsize most)
{
    Census census = {.count = 0};
    g_autofree guint64 *raw = g_new(guint64, rows->count);
    gsize missing = take_census(feature, rows, symbols, raw, &census) ? 1 : 0;
    if (census.overflowed && feature->type != PM_FEATURE_WORD)
        return G_MAXSIZE;
    if (census.count + missing < 2 || census.count == 0 || census.count > most)
        return census.count;
    PmFeatureColumn column = {.feature = *feature, .count = census.count};
    column.codes = g_new(guint8, rows->count);
    for (gsize i = 0; i < rows->count; i++) {
        gsize code = 0;
        while (code < census.count - 1 && census.values[code] != raw[i])
            code++;
        column.codes[i] = raw[i] == PM_RAW_MISSING ? PM_VALUE_MISSING : (guint8)code;
    }
    memcpy(column.values, census.values, sizeof column.values);
    g_array_append_val(columns, column);
    return census.count;
}

/* Bytes of the four at @offset. One whose lower neighbour takes many values is the upper part of a
 * larger number, and rises with it. */
static void
add_bytes(GArray *columns, guint16 offset, const PmRows *rows, const guint8 *symbols)
{
    for (guint16 i = 0; i < 4; i++) {
        PmFeature feature = {PM_FEATURE_BYTE, (guint16)(offset + i), 1};
        if (add_feature(columns, &feature, rows, symbols, BYTE_VALUES) > BYTE_VALUES)
            return;
    }
}

static void
clear_column(gpointer data)
{
    g_free(((PmFeatureColumn *)data)->codes);
}

GArray *
pm_features_new(const PmRows *rows, const guint8 *symbols, gsize max)
{
    const PmMatrix *matrix = rows->matrix;
    GArray *columns = g_array_new(FALSE, FALSE, sizeof(PmFeatureColumn));
    g_array_set_clear_func(columns, clear_column);
    for (gsize i = 0; i < matrix->words && columns->len < max; i++) {
        PmFeature feature = {PM_FEATURE_WORD, (guint16)(i * matrix->word_bytes),
                             (guint16)matrix->word_bytes};
        (void)add_feature(columns, &feature, rows, symbols, PM_FEATURE_VALUES);
        feature.type = PM_FEATURE_PLACE;
        (void)add_feature(columns, &feature, rows, symbols, TAG_VALUES);
    }
    for (gsize offset = 0; offset + 4 <= matrix->stride && columns->len < max; offset += 4) {
        PmFeature half = {PM_FEATURE_HALF, (guint16)offset, 4};
        PmFeature value = {PM_FEATURE_HALF_VALUE, (guint16)offset, 4};
        if (matrix->word_bytes == 8)
            (void)add_feature(columns, &half, rows, symbols, PM_FEATURE_VALUES);
        if (add_feature(columns, &value, rows, symbols, TAG_VALUES) > TAG_VALUES)
            add_bytes(columns, (guint16)offset, rows, symbols);
    }
    if (columns->len > max)
        g_array_set_size(columns, (guint)max);
    return columns;
}
