/*
 * Columns of a layout; see columns.h.
 *
 * Words that are pointers are columns of their own, and so are texts. What is left is cut into
 * blocks of 8 bytes, and each block into the fields that take the fewest bits to tell.
 */
#include "analysis/schema/columns.h"

#include "analysis/schema/field.h"
#include "analysis/schema/kinds.h"
#include "analysis/schema/texts.h"

/* Rows that widths are chosen by. */
#define WIDTH_ROWS 1024

/* Of the words that are not null, those that must be pointers for the word to be one field: on 32
 * bit many a number points somewhere. */
#define POINTER_SHARE    0.2
#define POINTER_SHARE_32 0.5

#define LENGTH_SHARE 0.95

/* @claimed: bytes that belong to a column already. @few: some of the rows. */
typedef struct {
    const PmRows *rows;
    PmRows few;
    gsize limit;
    gint64 newest_seconds;
    gboolean *claimed;
    GArray *columns;
} Search;

static void
claim(Search *search, gsize start, gsize end)
{
    for (gsize i = start; i < end; i++)
        search->claimed[i] = TRUE;
}

/* Finds out what the field holds, and adds it. */
static void
add_field(Search *search, gsize offset, gsize width)
{
    const PmRows *rows = search->rows;
    const PmMatrix *matrix = rows->matrix;
    g_autofree guint64 *values = g_new(guint64, rows->count);
    g_autofree guint8 *kinds = g_new(guint8, rows->count);
    g_autofree guint32 *groups = g_new(guint32, rows->count);
    gboolean is_word = width == matrix->word_bytes && offset % width == 0;
    for (gsize i = 0; i < rows->count; i++) {
        gsize row = rows->rows[i];
        values[i] = pm_load_number(pm_rows_get(rows, i) + offset, width);
        groups[i] = matrix->groups[row];
        if (is_word)
            kinds[i] = matrix->kinds[row * matrix->words + offset / width];
    }
    PmFieldValues field = {.values = values,
                           .kinds = is_word ? kinds : NULL,
                           .groups = groups,
                           .count = rows->count,
                           .width = width,
                           .word_bytes = matrix->word_bytes,
                           .newest_seconds = search->newest_seconds};
    PmFieldKind kind;
    pm_field_find_kind(&field, &kind);
    PmSchemaColumn column = {.offset_bytes = offset,
                             .width_bytes = width,
                             .kind = kind.kind,
                             .distinct = kind.distinct,
                             .min = kind.min,
                             .max = kind.max,
                             .nulls = kind.nulls,
                             .rank_correlation = kind.rank_correlation};
    g_array_append_val(search->columns, column);
}

/* Words that are pointers in enough rows. */
static void
find_pointers(Search *search)
{
    const PmRows *rows = search->rows;
    const PmMatrix *matrix = rows->matrix;
    double share = matrix->word_bytes == 8 ? POINTER_SHARE : POINTER_SHARE_32;
    for (gsize word = 0; (word + 1) * matrix->word_bytes <= search->limit; word++) {
        gsize present = 0;
        gsize pointers = 0;
        for (gsize i = 0; i < rows->count; i++) {
            PmWordKind kind = (PmWordKind)matrix->kinds[rows->rows[i] * matrix->words + word];
            present += kind == PM_WORD_ZERO ? 0 : 1;
            pointers += pm_word_kind_is_pointer(kind) ? 1 : 0;
        }
        if (pointers == 0 || (double)pointers < share * (double)present)
            continue;
        gsize offset = word * matrix->word_bytes;
        add_field(search, offset, matrix->word_bytes);
        claim(search, offset, offset + matrix->word_bytes);
    }
}

static void
find_texts(Search *search)
{
    gsize at = 0;
    while (at < search->limit) {
        if (search->claimed[at]) {
            at++;
            continue;
        }
        gsize end = at;
        while (end < search->limit && !search->claimed[end])
            end++;
        PmTextColumn text;
        if (!pm_text_find(search->rows, at, end, &text)) {
            at = end;
            continue;
        }
        PmSchemaColumn column = {.offset_bytes = text.start,
                                 .width_bytes = text.end - text.start,
                                 .kind = PM_COLUMN_TEXT,
                                 .distinct = text.distinct,
                                 .min = text.shortest_bytes,
                                 .max = text.longest_bytes,
                                 .nulls = text.empty};
        g_array_append_val(search->columns, column);
        claim(search, text.start, text.end);
        at = text.end;
    }
}

static gboolean
is_free(const Search *search, gsize offset, gsize width)
{
    if (offset + width > search->limit)
        return FALSE;
    for (gsize i = 0; i < width; i++) {
        if (search->claimed[offset + i])
            return FALSE;
    }
    return TRUE;
}

/* The widths of the fields in a block: @widths[i] of the field that begins at byte i, 0 for none.
 */
typedef struct {
    guint8 widths[8];
    double bits;
} Cut;

/* The best cut of the @width bytes at @offset. */
static void
cut_block(const Search *search, gsize offset, gsize width, Cut *cut)
{
    *cut = (Cut){.bits = 0};
    gboolean whole = is_free(search, offset, width);
    if (width == 1 && !whole)
        return;
    gboolean is_set = FALSE;
    double bits =
        whole ? pm_field_cost(&search->few, offset, width, search->newest_seconds, &is_set) +
                    PM_FIELD_BITS
              : 0;
    Cut first = {.bits = 0};
    Cut second = {.bits = 0};
    gboolean constant = whole && pm_field_is_constant(&search->few, offset, width);
    if (width > 1 && !constant) {
        cut_block(search, offset, width / 2, &first);
        cut_block(search, offset + width / 2, width / 2, &second);
    }
    double least = is_set ? bits : bits * (1 - PM_FIELD_TIE);
    if (whole && (width == 1 || constant || least <= first.bits + second.bits)) {
        cut->widths[0] = (guint8)width;
        cut->bits = bits;
        return;
    }
    memcpy(cut->widths, first.widths, width / 2);
    memcpy(cut->widths + width / 2, second.widths, width / 2);
    cut->bits = first.bits + second.bits;
}

static void
find_fields(Search *search)
{
    for (gsize offset = 0; offset < search->limit; offset += 8) {
        Cut cut;
        cut_block(search, offset, 8, &cut);
        for (gsize i = 0; i < 8; i++) {
            if (cut.widths[i] != 0)
                add_field(search, offset + i, cut.widths[i]);
        }
    }
}

static int
compare_columns(const void *a, const void *b)
{
    guint64 first = ((const PmSchemaColumn *)a)->offset_bytes;
    guint64 second = ((const PmSchemaColumn *)b)->offset_bytes;
    return (first > second) - (first < second);
}

/* The smallest aligned field that holds the bytes from @first to @last (inclusive). */
static gsize
cover(gsize first, gsize last, gsize *ret_width)
{
    gsize width = 1;
    while (width < 8 && first / width != last / width)
        width *= 2;
    *ret_width = width;
    return first / width * width;
}

/*
 * Cuts a constant into what is zero and what is not: nobody can tell whether 00 10 is one number or
 * two.
 */
static void
add_constant(GArray *into, const PmSchemaColumn *column, const guint8 *bytes)
{
    gsize at = column->offset_bytes;
    gsize end = at + column->width_bytes;
    while (at < end) {
        gsize run = at;
        gboolean zero = bytes[at] == 0;
        while (run < end && (bytes[run] == 0) == zero)
            run++;
        PmSchemaColumn part = *column;
        part.offset_bytes = at;
        part.width_bytes = run - at;
        part.kind = PM_COLUMN_ZERO;
        part.min = part.max = 0;
        if (!zero) {
            gsize width = 0;
            gsize start = cover(at, run - 1, &width);
            if (start < at || start + width > end) {
                /* Odd bytes at the edge: one by one. */
                start = at;
                width = 1;
            }
            part.offset_bytes = start;
            part.width_bytes = width;
            part.kind = PM_COLUMN_CONSTANT;
            part.min = part.max = pm_load_number(bytes + start, width);
            run = start + width;
        }
        g_array_append_val(into, part);
        at = run;
    }
}

/* Joins neighbours that are zero, or random: where one such field ends is not to be seen. */
static GArray *
join_columns(Search *search)
{
    GArray *joined = g_array_new(FALSE, TRUE, sizeof(PmSchemaColumn));
    g_autoptr(GArray) parts = g_array_new(FALSE, TRUE, sizeof(PmSchemaColumn));
    g_array_sort(search->columns, compare_columns);
    for (guint i = 0; i < search->columns->len; i++) {
        const PmSchemaColumn *column = &g_array_index(search->columns, PmSchemaColumn, i);
        if (column->kind == PM_COLUMN_CONSTANT)
            add_constant(parts, column, pm_rows_get(search->rows, 0));
        else
            g_array_append_val(parts, *column);
    }
    for (guint i = 0; i < parts->len; i++) {
        const PmSchemaColumn *column = &g_array_index(parts, PmSchemaColumn, i);
        PmSchemaColumn *before =
            joined->len == 0 ? NULL : &g_array_index(joined, PmSchemaColumn, joined->len - 1);
        gboolean joins = before != NULL && before->kind == column->kind &&
                         (column->kind == PM_COLUMN_ZERO || column->kind == PM_COLUMN_RANDOM);
        if (!joins) {
            g_array_append_val(joined, *column);
            continue;
        }
        before->width_bytes += column->width_bytes;
        before->distinct = MAX(before->distinct, column->distinct);
        before->max = MAX(before->max, column->max);
        before->min = MIN(before->min, column->min);
        before->rank_correlation = 0;
    }
    return joined;
}

static gboolean
may_be_length(PmColumnKind kind)
{
    return kind == PM_COLUMN_NUMBER || kind == PM_COLUMN_ENUM || kind == PM_COLUMN_FLAG ||
           kind == PM_COLUMN_COUNTER;
}

/* Whether the numbers are the lengths of the strings, with or without the NUL. */
static gboolean
is_length_of(const PmRows *rows, const PmSchemaColumn *number, const PmSchemaColumn *text)
{
    PmTextColumn column = {.start = text->offset_bytes,
                           .end = text->offset_bytes + text->width_bytes};
    gsize without = 0;
    gsize with = 0;
    for (gsize i = 0; i < rows->count; i++) {
        guint64 value =
            pm_load_number(pm_rows_get(rows, i) + number->offset_bytes, number->width_bytes);
        gsize length = pm_text_read(rows, i, &column);
        without += value == length;
        with += value == length + 1;
    }
    return (double)MAX(with, without) >= LENGTH_SHARE * (double)rows->count;
}

/* Whether @number never exceeds @capacity, which is of the same width. */
static gboolean
is_within_capacity(const PmRows *rows, const PmSchemaColumn *number, const PmSchemaColumn *capacity)
{
    if (number->width_bytes != capacity->width_bytes || capacity->max > G_MAXUINT32 ||
        capacity->distinct < 3 || number->distinct < 3)
        return FALSE;
    gsize same = 0;
    for (gsize i = 0; i < rows->count; i++) {
        const guint8 *bytes = pm_rows_get(rows, i);
        guint64 value = pm_load_number(bytes + number->offset_bytes, number->width_bytes);
        guint64 most = pm_load_number(bytes + capacity->offset_bytes, capacity->width_bytes);
        if (value > most)
            return FALSE;
        same += value == most;
    }
    return same < rows->count;
}

static gboolean
is_pointer_column(const GArray *columns, guint at)
{
    return at < columns->len &&
           (g_array_index(columns, PmSchemaColumn, at).kind == PM_COLUMN_POINTER ||
            g_array_index(columns, PmSchemaColumn, at).kind == PM_COLUMN_INTERIOR);
}

/* Lengths: of a text in the chunk, or with a capacity beside them and a pointer beside both. */
static void
find_lengths(const PmRows *rows, GArray *columns)
{
    for (guint i = 0; i < columns->len; i++) {
        PmSchemaColumn *number = &g_array_index(columns, PmSchemaColumn, i);
        if (!may_be_length(number->kind) || number->width_bytes > 8)
            continue;
        gboolean found = FALSE;
        for (guint j = 0; j < columns->len && !found; j++) {
            const PmSchemaColumn *text = &g_array_index(columns, PmSchemaColumn, j);
            found = text->kind == PM_COLUMN_TEXT && text->min < text->max &&
                    is_length_of(rows, number, text);
        }
        if (!found && i + 1 < columns->len) {
            const PmSchemaColumn *next = &g_array_index(columns, PmSchemaColumn, i + 1);
            found = may_be_length(next->kind) && number->kind == PM_COLUMN_NUMBER &&
                    ((i > 0 && is_pointer_column(columns, i - 1)) ||
                     is_pointer_column(columns, i + 2)) &&
                    is_within_capacity(rows, number, next);
        }
        if (found)
            number->kind = PM_COLUMN_LENGTH;
    }
}

GArray *
pm_columns_new(const PmRows *rows, gsize limit, gint64 newest_seconds)
{
    gsize count = MIN(rows->count, (gsize)WIDTH_ROWS);
    g_autofree guint32 *few = g_new(guint32, count);
    g_autofree gboolean *claimed = g_new0(gboolean, limit + 1);
    for (gsize i = 0; i < count; i++)
        few[i] = rows->rows[i * rows->count / count];
    Search search = {.rows = rows,
                     .few = {rows->matrix, few, count},
                     .limit = limit,
                     .newest_seconds = newest_seconds,
                     .claimed = claimed};
    search.columns = g_array_new(FALSE, TRUE, sizeof(PmSchemaColumn));
    find_pointers(&search);
    find_texts(&search);
    find_fields(&search);
    GArray *joined = join_columns(&search);
    g_array_unref(search.columns);
    find_lengths(rows, joined);
    return joined;
}
