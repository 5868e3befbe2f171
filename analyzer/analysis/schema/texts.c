/*
 * Columns of text; see texts.h.
 */
#include "analysis/schema/texts.h"

/* Of the rows: those that may not be text, and those in which there must be some. */
#define MOST_WRONG    0.1
#define LEAST_PRESENT 0.2
/* Most offsets are dropped by what these rows show. */
#define FEW_ROWS ((gsize)256)
/* The mean length: less is a number that looks like a letter. */
#define LEAST_LENGTH 4

gsize
pm_text_read(const PmRows *rows, gsize row, const PmTextColumn *column)
{
    return pm_text_length(pm_rows_get(rows, row) + column->start, column->end - column->start);
}

/* Strings at one offset, over all rows. */
typedef struct {
    gsize present;
    gsize empty;
    gsize wrong;
    gsize total_bytes;
    gsize shortest;
    gsize longest;
    gsize unended; /* no NUL follows */
} Survey;

static void
survey(const PmRows *rows, gsize start, gsize end, Survey *result)
{
    *result = (Survey){.shortest = G_MAXSIZE};
    for (gsize i = 0; i < rows->count; i++) {
        const guint8 *bytes = pm_rows_get(rows, i) + start;
        gsize length = pm_text_length(bytes, end - start);
        gboolean ended = length == end - start || bytes[length] == '\0';
        if (length == 0) {
            result->empty += ended ? 1 : 0;
            result->wrong += ended ? 0 : 1;
            continue;
        }
        result->present++;
        result->unended += ended ? 0 : 1;
        result->total_bytes += length;
        result->shortest = MIN(result->shortest, length);
        result->longest = MAX(result->longest, length);
    }
}

static gboolean
is_text(const Survey *result, gsize count)
{
    if (result->present == 0 || (double)result->present < LEAST_PRESENT * (double)count ||
        result->total_bytes < LEAST_LENGTH * result->present)
        return FALSE;
    /* Without a NUL: a fixed number of letters. */
    gsize unended = result->shortest == result->longest ? 0 : result->unended;
    return (double)(result->wrong + unended) <= MOST_WRONG * (double)count;
}

/* Whether a quarter of the rows or more have a letter at @offset; most offsets end here. */
static gboolean
may_begin(const PmRows *rows, gsize offset)
{
    gsize letters = 0;
    for (gsize i = 0; i < rows->count; i++)
        letters += pm_rows_get(rows, i)[offset] >= 0x20;
    return (double)letters >= LEAST_PRESENT * (double)rows->count;
}

static void
count_distinct(const PmRows *rows, PmTextColumn *column)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (gsize i = 0; i < rows->count; i++)
        (void)g_hash_table_add(seen, g_strndup((const char *)pm_rows_get(rows, i) + column->start,
                                               pm_text_read(rows, i, column)));
    column->distinct = g_hash_table_size(seen);
}

gboolean
pm_text_find(const PmRows *rows, gsize from, gsize end, PmTextColumn *ret_column)
{
    guint32 chosen[FEW_ROWS];
    PmRows few = {rows->matrix, chosen, MIN(rows->count, FEW_ROWS)};
    for (gsize i = 0; i < few.count; i++)
        chosen[i] = rows->rows[i * rows->count / few.count];
    for (gsize start = from; start + LEAST_LENGTH <= end; start++) {
        Survey result;
        if (!may_begin(&few, start))
            continue;
        survey(&few, start, end, &result);
        if (!is_text(&result, few.count))
            continue;
        survey(rows, start, end, &result);
        if (!is_text(&result, rows->count))
            continue;
        gsize nul = result.unended == 0 ? 1 : 0;
        PmTextColumn column = {.start = start,
                               .end = MIN(start + result.longest + nul, end),
                               .shortest_bytes = result.shortest,
                               .longest_bytes = result.longest,
                               .empty = result.empty};
        count_distinct(rows, &column);
        *ret_column = column;
        return TRUE;
    }
    return FALSE;
}
