/*
 * The request that slack betrays; see slack.h.
 */
#include "analysis/schema/slack.h"

#include <math.h>

/* Rows and values from which on bytes can be called left over. */
#define LEAST_ROWS   16
#define LEAST_VALUES 12

/* Where the data end can be seen in so many bytes at the end at most. */
#define WINDOW_MAX 64

/* What a byte near the end of the chunk holds. @rows: in which it is not zero. */
typedef struct {
    gsize distinct;
    gsize rows;
    guint8 value; /* of the last row */
} Byte;

/* The bytes behind @start of each chunk: the last @count of its user data. */
typedef struct {
    const PmRows *rows;
    guint64 start;
    gsize count;
    Byte bytes[WINDOW_MAX];
} Window;

/* Byte @at of the window in row @row. */
static guint8
get_byte(const Window *window, gsize row, gsize at)
{
    const PmMatrix *matrix = window->rows->matrix;
    guint64 offset = window->start + at;
    if (offset < matrix->stride)
        return pm_rows_get(window->rows, row)[offset];
    guint64 tail = matrix->usable_bytes - matrix->tail_bytes;
    return matrix->tail[window->rows->rows[row] * matrix->tail_bytes + (offset - tail)];
}

/* The window over the last bytes that a request may leave unused, and a word before them. */
static gboolean
open_window(Window *window, const PmRows *rows, const PmRequests *requests)
{
    const PmMatrix *matrix = rows->matrix;
    guint64 usable = matrix->usable_bytes;
    guint64 first = requests->min > matrix->word_bytes ? requests->min - matrix->word_bytes : 0;
    first -= first % matrix->word_bytes;
    guint64 seen_from = matrix->stride == usable ? 0 : usable - matrix->tail_bytes;
    first = MAX(first, seen_from);
    if (usable <= first || usable - first > WINDOW_MAX)
        return FALSE;
    *window = (Window){.rows = rows, .start = first, .count = usable - first};
    for (gsize at = 0; at < window->count; at++) {
        gboolean seen[256] = {FALSE};
        Byte *byte = &window->bytes[at];
        for (gsize i = 0; i < rows->count; i++) {
            guint8 value = get_byte(window, i, at);
            byte->distinct += !seen[value];
            byte->rows += value != 0;
            byte->value = value;
            seen[value] = TRUE;
        }
    }
    return TRUE;
}

/* Values as various as chance has it, of bytes that are not zero in this many rows: half of what is
 * expected, for garbage is not uniform. */
static gboolean
is_various(const Byte *byte)
{
    double expected = 255 * (1 - pow(254.0 / 255, (double)byte->rows));
    return byte->rows >= LEAST_ROWS && byte->distinct >= LEAST_VALUES &&
           (double)byte->distinct >= expected / 2;
}

static const PmSchemaColumn *
find_column(const GArray *columns, guint64 offset)
{
    for (guint i = 0; i < columns->len; i++) {
        const PmSchemaColumn *column = &g_array_index(columns, PmSchemaColumn, i);
        if (offset >= column->offset_bytes && offset < column->offset_bytes + column->width_bytes)
            return column;
    }
    return NULL;
}

/* Kinds whose low bytes are as various as garbage, although all of them are the program's. */
static gboolean
is_data(PmColumnKind kind)
{
    return kind != PM_COLUMN_RANDOM && kind != PM_COLUMN_NUMBER && kind != PM_COLUMN_MIXED &&
           kind != PM_COLUMN_FREED && kind != PM_COLUMN_ZERO;
}

/* Whether the data themselves are text at the end: then each chunk has a request of its own. */
static gboolean
ends_in_text(const GArray *columns, guint64 from)
{
    for (guint i = 0; i < columns->len; i++) {
        const PmSchemaColumn *column = &g_array_index(columns, PmSchemaColumn, i);
        if (column->kind == PM_COLUMN_TEXT && column->min < column->max &&
            column->offset_bytes + column->width_bytes > from)
            return TRUE;
    }
    return FALSE;
}

static void
say(PmSchemaRequest *request, const PmSlackFacts *facts, const char *why)
{
    request->known = FALSE;
    request->evidence =
        g_strdup_printf("requests %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " are possible: %s",
                        facts->requests.min, facts->requests.max, why);
}

/* The smallest number of various bytes, and the largest, in [from, to) of the window. */
static void
get_distinct(const Window *window, gsize from, gsize to, gsize *ret_least, gsize *ret_most)
{
    *ret_least = G_MAXSIZE;
    *ret_most = 0;
    for (gsize at = from; at < to; at++) {
        *ret_least = MIN(*ret_least, window->bytes[at].distinct);
        *ret_most = MAX(*ret_most, window->bytes[at].distinct);
    }
}

static char *
describe_range(guint64 first, guint64 last)
{
    return first == last
               ? g_strdup_printf("byte %" G_GUINT64_FORMAT " holds", first)
               : g_strdup_printf("bytes %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " hold", first,
                                 last);
}

/* Says what is seen on both sides of @cut, an offset in the window. */
static void
claim_by_variety(const Window *window, gsize cut, PmSchemaRequest *request)
{
    gsize word = window->rows->matrix->word_bytes;
    gsize before = cut % word == 0 ? cut - word : cut - cut % word;
    gsize least = 0;
    gsize most = 0;
    gsize data_least = 0;
    gsize data_most = 0;
    get_distinct(window, cut, window->count, &least, &most);
    get_distinct(window, before, cut, &data_least, &data_most);
    guint64 start = window->start;
    g_autofree char *slack = describe_range(start + cut, start + window->count - 1);
    g_autofree char *data = describe_range(start + before, start + cut - 1);
    gsize width = window->count - cut;
    /* A field of 1, 2, 4 or 8 bytes could fill it; one of any other width could not. */
    gboolean field = width <= 8 && (width & (width - 1)) == 0;
    request->known = TRUE;
    request->request = start + cut;
    request->confidence = field ? 0.6 : 0.8;
    request->evidence = g_strdup_printf(
        "%s %" G_GSIZE_FORMAT " or more different values each over the chunks, as memory does that "
        "was used before; %s at most %" G_GSIZE_FORMAT "%s",
        slack, least, data, data_most,
        field ? ". A last field of random values (a hash, a nonce) would look the same" : "");
}

/*
 * The smallest cut from which on all bytes are various.
 *
 * Returns: window->count where the last one is not.
 */
static gsize
find_cut(const Window *window)
{
    gsize cut = window->count;
    while (cut > 0 && is_various(&window->bytes[cut - 1]))
        cut--;
    return cut;
}

/* Whether the last field is a whole one of the program's, which no shorter request would hold. */
static gboolean
is_full(const GArray *columns, const PmSlackFacts *facts, guint word_bytes)
{
    if (columns->len == 0 || facts->requests.max < word_bytes)
        return FALSE;
    const PmSchemaColumn *last = find_column(columns, facts->requests.max - 1);
    return last != NULL && is_data(last->kind) && last->kind >= PM_COLUMN_SECONDS &&
           last->kind <= PM_COLUMN_DOUBLE && last->width_bytes == word_bytes &&
           last->offset_bytes + last->width_bytes == facts->requests.max;
}

void
pm_slack_infer(const PmRows *rows, const GArray *columns, const PmSlackFacts *facts,
               PmSchemaRequest *ret_request)
{
    const PmMatrix *matrix = rows->matrix;
    Window window;
    *ret_request = (PmSchemaRequest){.known = FALSE};
    if (facts->requests.min == facts->requests.max) {
        *ret_request = (PmSchemaRequest){TRUE, facts->requests.min, 1.0,
                                         g_strdup("no other request gives this chunk size")};
        return;
    }
    if (rows->count < LEAST_ROWS) {
        say(ret_request, facts, "there are too few chunks to compare");
        return;
    }
    if (!open_window(&window, rows, &facts->requests)) {
        say(ret_request, facts, "fresh mappings are zero behind the data");
        return;
    }
    gsize cut = find_cut(&window);
    guint64 at = window.start + cut;
    gsize unused = 0;
    for (gsize i = window.count; i > 0 && window.bytes[i - 1].rows == 0; i--)
        unused++;
    if (is_full(columns, facts, matrix->word_bytes)) {
        *ret_request = (PmSchemaRequest){
            TRUE, facts->requests.max, 0.9,
            g_strdup("the last word that a request can ask for is a field of the program's")};
        return;
    }
    if (ends_in_text(columns, MAX(facts->requests.min, matrix->word_bytes)))
        say(ret_request, facts, "the chunks hold texts of different lengths");
    else if (unused > 0)
        say(ret_request, facts,
            "what lies behind the data is zero in every chunk: memory that nothing had written "
            "before, or that was cleared");
    else if (cut == window.count || cut == 0 || at < facts->requests.min ||
             at > facts->requests.max)
        say(ret_request, facts,
            cut == window.count ? "the last bytes do not look like left-over memory"
                                : "the data themselves are as various as left-over memory");
    else {
        const PmSchemaColumn *column = find_column(columns, at);
        if (column != NULL && is_data(column->kind))
            say(ret_request, facts, "the data reach to the end of the chunk");
        else
            claim_by_variety(&window, cut, ret_request);
    }
}
