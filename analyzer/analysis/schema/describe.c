/*
 * Columns and layouts in words; see describe.h.
 */
#include "analysis/schema/describe.h"

#include <stdlib.h>
#include <string.h>

/* Values that are shown, and bytes of a string. */
#define VALUES_SHOWN 6
#define PLACES_SHOWN 2
#define NAMED_VALUES 256
#define TEXTS_SHOWN  3
#define TEXT_BYTES   24

/* A value and how many rows have it. */
typedef struct {
    guint64 value;
    gsize rows;
} Tally;

static int
compare_values(const void *a, const void *b)
{
    guint64 first = *(const guint64 *)a;
    guint64 second = *(const guint64 *)b;
    return (first > second) - (first < second);
}

static int
compare_tallies(const void *a, const void *b)
{
    const Tally *first = a;
    const Tally *second = b;
    if (first->rows != second->rows)
        return first->rows < second->rows ? 1 : -1;
    return (first->value > second->value) - (first->value < second->value);
}

static guint64 *
read_values(const PmRows *rows, const PmSchemaColumn *column)
{
    guint64 *values = g_new0(guint64, rows->count + 1);
    for (gsize i = 0; i < rows->count; i++)
        values[i] = pm_load_number(pm_rows_get(rows, i) + column->offset_bytes,
                                   MIN(column->width_bytes, 8));
    return values;
}

/* Values but 0, the most frequent first. (transfer full): Tally. */
static GArray *
tally_values(const PmRows *rows, const PmSchemaColumn *column)
{
    g_autofree guint64 *values = read_values(rows, column);
    GArray *tallies = g_array_new(FALSE, FALSE, sizeof(Tally));
    qsort(values, rows->count, sizeof *values, compare_values);
    for (gsize i = 0; i < rows->count; i++) {
        if (values[i] == 0)
            continue;
        Tally *last = tallies->len == 0 ? NULL : &g_array_index(tallies, Tally, tallies->len - 1);
        if (last != NULL && last->value == values[i]) {
            last->rows++;
            continue;
        }
        Tally tally = {values[i], 1};
        g_array_append_val(tallies, tally);
    }
    g_array_sort(tallies, compare_tallies);
    return tallies;
}

static void
append_share(GString *text, gsize part, gsize whole)
{
    double share = whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
    if (part == whole)
        return;
    if (share >= 0.5 && share < 99.5)
        g_string_append_printf(text, " (%.0f %%)", share);
    else
        g_string_append(text, share < 0.5 ? " (<1 %)" : " (>99 %)");
}

static void
append_nulls(GString *text, const PmSchemaColumn *column, gsize count, const char *what)
{
    if (column->nulls == 0)
        return;
    g_string_append_printf(text, "; %s in %.3g %%", what,
                           100.0 * (double)column->nulls / (double)MAX(count, 1));
}

/* Small numbers in decimal, others in hex. */
static void
append_number(GString *text, guint64 value, gsize width)
{
    gint64 number = pm_as_signed(value, width);
    if (number < 4096)
        g_string_append_printf(text, "%" G_GINT64_FORMAT, number);
    else
        g_string_append_printf(text, "0x%" G_GINT64_MODIFIER "x", value);
}

static void
append_values(GString *text, const PmRows *rows, const PmSchemaColumn *column)
{
    g_autoptr(GArray) tallies = tally_values(rows, column);
    if (column->nulls > 0) {
        g_string_append(text, "0");
        append_share(text, column->nulls, rows->count);
    }
    for (guint i = 0; i < tallies->len; i++) {
        const Tally *tally = &g_array_index(tallies, Tally, i);
        if (text->len > 0)
            g_string_append(text, ", ");
        if (i == VALUES_SHOWN) {
            g_string_append_printf(text, "%u more", tallies->len - i);
            break;
        }
        append_number(text, tally->value, column->width_bytes);
        append_share(text, tally->rows, rows->count);
    }
}

static void
append_time(GString *text, gint64 seconds)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(seconds);
    g_autofree char *formatted =
        time == NULL ? NULL : g_date_time_format(time, "%Y-%m-%d %H:%M:%S");
    g_string_append(text, formatted == NULL ? "?" : formatted);
}

static guint64
units_of(PmColumnKind kind)
{
    switch (kind) {
    case PM_COLUMN_MILLISECONDS:
        return 1000;
    case PM_COLUMN_MICROSECONDS:
        return 1000000;
    case PM_COLUMN_NANOSECONDS:
        return 1000000000;
    default:
        return 1;
    }
}

/* The smallest value that is not zero. */
static guint64
find_first(const PmRows *rows, const PmSchemaColumn *column)
{
    g_autofree guint64 *values = read_values(rows, column);
    guint64 first = column->max;
    for (gsize i = 0; i < rows->count; i++) {
        if (values[i] != 0)
            first = MIN(first, values[i]);
    }
    return first;
}

static void
append_times(GString *text, const PmRows *rows, const PmSchemaColumn *column)
{
    guint64 units = units_of(column->kind);
    append_time(text, (gint64)(find_first(rows, column) / units));
    g_string_append(text, " to ");
    append_time(text, (gint64)(column->max / units));
    if (column->rank_correlation > 0.9)
        g_string_append(text, ", rises");
    append_nulls(text, column, rows->count, "0");
}

static double
to_double(guint64 value, gsize width)
{
    if (width == 8) {
        double number = 0;
        memcpy(&number, &value, sizeof number);
        return number;
    }
    guint32 half = (guint32)value;
    float number = 0;
    memcpy(&number, &half, sizeof number);
    return (double)number;
}

static void
append_floats(GString *text, const PmRows *rows, const PmSchemaColumn *column)
{
    g_autofree guint64 *values = read_values(rows, column);
    double least = to_double(values[0], column->width_bytes);
    double most = least;
    for (gsize i = 1; i < rows->count; i++) {
        double value = to_double(values[i], column->width_bytes);
        least = MIN(least, value);
        most = MAX(most, value);
    }
    char low[G_ASCII_DTOSTR_BUF_SIZE];
    char high[G_ASCII_DTOSTR_BUF_SIZE];
    g_string_append_printf(text, "%s to %s", g_ascii_formatd(low, sizeof low, "%.6g", least),
                           g_ascii_formatd(high, sizeof high, "%.6g", most));
    append_nulls(text, column, rows->count, "0");
}

static void
append_texts(GString *text, const PmRows *rows, const PmSchemaColumn *column)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    if (column->min < column->max)
        g_string_append_printf(text, "%" G_GUINT64_FORMAT " to ", column->min);
    g_string_append_printf(text, "%" G_GUINT64_FORMAT " bytes: ", column->max);
    for (gsize i = 0; i < rows->count && g_hash_table_size(seen) < TEXTS_SHOWN; i++) {
        const guint8 *bytes = pm_rows_get(rows, i) + column->offset_bytes;
        gsize length = pm_text_length(bytes, column->width_bytes);
        if (length == 0)
            continue;
        char *string = g_strndup((const char *)bytes, MIN(length, TEXT_BYTES));
        if (g_hash_table_contains(seen, string)) {
            g_free(string);
            continue;
        }
        g_string_append_printf(text, "%s\"%s%s\"", g_hash_table_size(seen) == 0 ? "" : ", ", string,
                               length > TEXT_BYTES ? "..." : "");
        (void)g_hash_table_add(seen, string);
    }
    append_nulls(text, column, rows->count, "empty");
}

/* One name for all that is alike: stacks by thread, mappings by their start. (transfer full) */
static char *
name_place(PmDescriber *describer, const PmSchemaColumn *column, guint64 value)
{
    const PmImage *image = pm_describer_get_subject(describer)->image;
    if (column->kind == PM_COLUMN_MAPPING) {
        const PmSegment *segment = pm_image_find_segment(image, value);
        return g_strdup_printf("mapping at 0x%" G_GINT64_MODIFIER "x",
                               segment == NULL ? value : segment->start);
    }
    PmWordText text;
    pm_describer_describe(describer, value, &text);
    char *name = NULL;
    if (text.word.kind == PM_WORD_STACK && text.word.thread != NULL)
        name = g_strdup_printf("stack of thread %u", text.word.thread->tid);
    else if (text.is_string)
        name = g_strdup_printf("\"%.*s%s\"", TEXT_BYTES, text.text,
                               text.string_bytes > TEXT_BYTES ? "..." : "");
    else
        name = text.text == NULL ? g_strdup_printf("0x%" G_GINT64_MODIFIER "x", value)
                                 : g_strdup(text.text);
    pm_word_text_clear(&text);
    return name;
}

/* A place and how many rows lead there. */
typedef struct {
    char *name;
    gsize rows;
} NamedTally;

static void
clear_named(gpointer data)
{
    g_free(((NamedTally *)data)->name);
}

static int
compare_named(const void *a, const void *b)
{
    const NamedTally *first = a;
    const NamedTally *second = b;
    if (first->rows != second->rows)
        return first->rows < second->rows ? 1 : -1;
    return strcmp(first->name, second->name);
}

/* The values by the name of the place that they lead to, the most frequent first; at most
 * NAMED_VALUES of them. (transfer full) */
static GArray *
name_places(PmDescriber *describer, const PmSchemaColumn *column, const GArray *tallies)
{
    GArray *named = g_array_new(FALSE, FALSE, sizeof(NamedTally));
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    g_array_set_clear_func(named, clear_named);
    for (guint i = 0; i < MIN(tallies->len, NAMED_VALUES); i++) {
        const Tally *tally = &g_array_index(tallies, Tally, i);
        char *name = name_place(describer, column, tally->value);
        gpointer at = NULL;
        if (g_hash_table_lookup_extended(seen, name, NULL, &at)) {
            g_array_index(named, NamedTally, GPOINTER_TO_UINT(at)).rows += tally->rows;
            g_free(name);
            continue;
        }
        NamedTally one = {name, tally->rows};
        g_hash_table_insert(seen, one.name, GUINT_TO_POINTER(named->len));
        g_array_append_val(named, one);
    }
    g_array_sort(named, compare_named);
    return named;
}

static void
append_places(GString *text, PmDescriber *describer, const PmRows *rows,
              const PmSchemaColumn *column)
{
    g_autoptr(GArray) tallies = tally_values(rows, column);
    g_autoptr(GArray) named = name_places(describer, column, tallies);
    gsize present = rows->count - column->nulls;
    guint shown = MIN(named->len, PLACES_SHOWN);
    for (guint i = 0; i < shown; i++) {
        const NamedTally *tally = &g_array_index(named, NamedTally, i);
        g_string_append_printf(text, "%s%s", i == 0 ? "" : ", ", tally->name);
        append_share(text, tally->rows, present);
    }
    if (named->len > shown || tallies->len > NAMED_VALUES)
        g_string_append_printf(text, ", %u%s more", named->len - shown,
                               tallies->len > NAMED_VALUES ? " or" : "");
    append_nulls(text, column, rows->count, "null");
}

/* Sizes of the chunks that pointers lead to. */
static void
append_targets(GString *text, PmPlaces *places, const PmRows *rows, const PmSchemaColumn *column)
{
    const PmResolver *resolver = pm_places_get_resolver(places);
    g_autofree guint64 *values = read_values(rows, column);
    g_autofree guint64 *sizes = g_new(guint64, rows->count + 1);
    gsize count = 0;
    for (gsize i = 0; i < rows->count; i++) {
        PmHit hit;
        PmSlotChunk chunk;
        if (values[i] == 0 || resolver == NULL || !pm_resolver_find(resolver, values[i], &hit))
            continue;
        pm_resolver_get_chunk(resolver, hit.slot, hit.region, &chunk);
        sizes[count++] = chunk.chunk_bytes;
    }
    qsort(sizes, count, sizeof *sizes, compare_values);
    g_autoptr(GArray) tallies = g_array_new(FALSE, FALSE, sizeof(Tally));
    for (gsize i = 0; i < count; i++) {
        Tally one = {sizes[i], 1};
        if (i > 0 && sizes[i] == sizes[i - 1])
            g_array_index(tallies, Tally, tallies->len - 1).rows++;
        else
            g_array_append_val(tallies, one);
    }
    g_array_sort(tallies, compare_tallies);
    g_string_append_printf(text, "%sto %s of", column->kind == PM_COLUMN_MIXED ? "some " : "",
                           column->kind == PM_COLUMN_FREED ? "free memory" : "chunks");
    for (guint i = 0; i < MIN(tallies->len, PLACES_SHOWN); i++) {
        g_string_append_printf(text, "%s 0x%" G_GINT64_MODIFIER "x", i == 0 ? "" : ",",
                               g_array_index(tallies, Tally, i).value);
        append_share(text, g_array_index(tallies, Tally, i).rows, count);
    }
    if (tallies->len > PLACES_SHOWN)
        g_string_append_printf(text, ", %u more sizes", tallies->len - PLACES_SHOWN);
    append_nulls(text, column, rows->count, "null");
}

/* What a column of no one kind holds. */
static void
append_mixture(GString *text, const PmRows *rows, const PmSchemaColumn *column)
{
    const PmMatrix *matrix = rows->matrix;
    Tally tallies[PM_WORD_KINDS] = {{0, 0}};
    for (gsize i = 0; i < PM_WORD_KINDS; i++)
        tallies[i].value = i;
    for (gsize i = 0; i < rows->count; i++)
        tallies[matrix->kinds[rows->rows[i] * matrix->words +
                              column->offset_bytes / matrix->word_bytes]]
            .rows++;
    qsort(tallies, PM_WORD_KINDS, sizeof *tallies, compare_tallies);
    for (gsize i = 0; i < 4 && tallies[i].rows > 0; i++) {
        g_string_append_printf(text, "%s%s", i == 0 ? "" : ", ",
                               pm_word_kind_name((PmWordKind)tallies[i].value));
        append_share(text, tallies[i].rows, rows->count);
    }
}

/* The least and the largest number; negative ones where none is far from zero. */
static void
append_range(GString *text, const PmRows *rows, const PmSchemaColumn *column)
{
    g_autofree guint64 *values = read_values(rows, column);
    gsize width = CLAMP(column->width_bytes, 1, 8);
    gint64 least = G_MAXINT64;
    gint64 most = G_MININT64;
    for (gsize i = 0; i < rows->count; i++) {
        least = MIN(least, pm_as_signed(values[i], width));
        most = MAX(most, pm_as_signed(values[i], width));
    }
    /* Numbers that use every bit are not signed. */
    if (least < 0 && pm_bit_length((guint64)most) + 1 < 8 * width)
        g_string_append_printf(text, "%" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, least, most);
    else
        g_string_append_printf(text, "%" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT, column->min,
                               column->max);
}

static void
append_counter(GString *text, const PmRows *rows, const PmSchemaColumn *column)
{
    guint64 first = find_first(rows, column);
    g_string_append_printf(
        text, "%" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT ", rises with the address (%.2f)",
        first, column->max, column->rank_correlation);
    append_nulls(text, column, rows->count, "0");
}

void
pm_schema_describe_column(PmDescriber *describer, PmPlaces *places, const PmRows *rows,
                          PmSchemaColumn *column)
{
    GString *text = g_string_new(NULL);
    switch (column->kind) {
    case PM_COLUMN_ZERO:
        break;
    case PM_COLUMN_CONSTANT:
        g_string_append_printf(text, "0x%" G_GINT64_MODIFIER "x", column->min);
        break;
    case PM_COLUMN_FLAG:
    case PM_COLUMN_ENUM:
        append_values(text, rows, column);
        break;
    case PM_COLUMN_COUNTER:
        append_counter(text, rows, column);
        break;
    case PM_COLUMN_SECONDS:
    case PM_COLUMN_MILLISECONDS:
    case PM_COLUMN_MICROSECONDS:
    case PM_COLUMN_NANOSECONDS:
        append_times(text, rows, column);
        break;
    case PM_COLUMN_POINTER:
    case PM_COLUMN_INTERIOR:
    case PM_COLUMN_FREED:
        append_targets(text, places, rows, column);
        break;
    case PM_COLUMN_VTABLE:
    case PM_COLUMN_CODE:
    case PM_COLUMN_RODATA:
    case PM_COLUMN_DATA:
    case PM_COLUMN_STACK:
    case PM_COLUMN_MAPPING:
        append_places(text, describer, rows, column);
        break;
    case PM_COLUMN_DOUBLE:
    case PM_COLUMN_FLOAT:
        append_floats(text, rows, column);
        break;
    case PM_COLUMN_LENGTH:
    case PM_COLUMN_NUMBER:
        append_range(text, rows, column);
        break;
    case PM_COLUMN_TEXT:
        append_texts(text, rows, column);
        break;
    case PM_COLUMN_MIXED:
        append_mixture(text, rows, column);
        break;
    case PM_COLUMN_RANDOM:
        g_string_append(text, "any value as likely as any other");
        break;
    case PM_COLUMN_SLACK:
        g_string_append(text, "behind the request: left over from former chunks");
        break;
    }
    column->text = g_string_free(text, FALSE);
}
