/*
 * The request that slack betrays; see slack.h.
 */
#include "analysis/schema/slack.h"

#include <math.h>

/* Rows and values from which on bytes can be called left over. */
#define LEAST_ROWS   16
#define LEAST_VALUES 12
/* How much more various they are than the byte before them. */
#define CONTRAST 4

/* Upper halves of stale pointers: so many at least, and so many for each other number next to one,
 * for a counter passes by such a value, too. */
/* How sure a whole field at the end is: words 0 and 1 of a free chunk are malloc's, the others
 * survive. */
#define FULL_SURE 0.6

/* The upper half of addresses on a stack that is not randomised, and the largest number of 16
 * bits. */
#define LARGEST_SHORT 0x7fff

#define STALE_LEAST  3
#define STALE_EXCESS 4
#define STALE_NEAR   64
/* Of the last words that are not zero, those that hold the chunk's size. */
#define SIZES_SHARE 0.5
/* The share of the rows with a stale pointer by which more of them are not zero in a byte. */
#define STALE_MORE 0.5

/* Where the data end can be seen in so many bytes at the end at most. */
#define WINDOW_MAX 64

/* What a byte near the end of the chunk holds. @rows: in which it is not zero. */
typedef struct {
    gsize distinct;
    gsize rows;
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

/* Kinds that no garbage has; what is random, or any number, or of no one kind may be garbage. */
static gboolean
is_data(const PmSchemaColumn *column, gsize rows)
{
    switch (column->kind) {
    case PM_COLUMN_ZERO:
    case PM_COLUMN_RANDOM:
    case PM_COLUMN_NUMBER:
    case PM_COLUMN_MIXED:
    case PM_COLUMN_FREED:
    case PM_COLUMN_FLAG:
    case PM_COLUMN_SLACK:
        return FALSE;
    default:
        /* In a few chunks anything may be left over. */
        return column->nulls * 2 < rows;
    }
}

/* Whether something behind @from is the program's for sure. */
static gboolean
has_data_behind(const GArray *columns, guint64 from, gsize rows)
{
    for (guint i = 0; i < columns->len; i++) {
        const PmSchemaColumn *column = &g_array_index(columns, PmSchemaColumn, i);
        if (column->offset_bytes >= from && is_data(column, rows))
            return TRUE;
    }
    return FALSE;
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

/* A field that fills a word, and is the program's. */
static gboolean
is_whole(const PmSchemaColumn *column, gsize rows, guint word_bytes)
{
    return is_data(column, rows) && column->kind >= PM_COLUMN_SECONDS &&
           column->kind <= PM_COLUMN_DOUBLE && column->width_bytes == word_bytes;
}

/* Whether the last field is a whole one of the program's, which no shorter request would hold. */
static gboolean
is_full(const GArray *columns, const PmSlackFacts *facts, gsize rows, guint word_bytes)
{
    if (columns->len == 0 || facts->requests.max < word_bytes)
        return FALSE;
    const PmSchemaColumn *last = find_column(columns, facts->requests.max - 1);
    return last != NULL && is_whole(last, rows, word_bytes) &&
           last->offset_bytes + last->width_bytes == facts->requests.max;
}

static void
say(PmSchemaRequest *request, const PmSlackFacts *facts, const char *why)
{
    request->known = FALSE;
    request->evidence =
        g_strdup_printf("any from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT ": %s",
                        facts->requests.min, facts->requests.max, why);
}

static char *
describe_range(guint64 first, guint64 last, const char *one, const char *more)
{
    return first == last
               ? g_strdup_printf("byte %" G_GUINT64_FORMAT " %s", first, one)
               : g_strdup_printf("bytes %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " %s", first,
                                 last, more);
}

/* Says that bytes are zero in every chunk, or that there is no telling. */
static void
say_why_not(const Window *window, const PmSlackFacts *facts, PmSchemaRequest *request)
{
    gsize used = window->count;
    while (used > 0 && window->bytes[used - 1].rows == 0)
        used--;
    guint64 first = window->start + used;
    guint64 end = window->start + window->count;
    /* The upper bytes of a number are zero, too: a few of them say nothing. */
    if (first + 4 > end) {
        say(request, facts, "nothing tells the end of the data from what may lie behind it");
        return;
    }
    g_autofree char *range = describe_range(first, end - 1, "is", "are");
    g_autofree char *why = g_strdup_printf(
        "%s zero in every chunk: cleared, or memory that nothing had written before", range);
    say(request, facts, why);
}

/* Says what is seen on both sides of @cut, an offset in the window. */
static void
claim_by_variety(const Window *window, gsize cut, PmSchemaRequest *request)
{
    gsize least = G_MAXSIZE;
    for (gsize at = cut; at < window->count; at++)
        least = MIN(least, window->bytes[at].distinct);
    guint64 start = window->start;
    g_autofree char *slack =
        describe_range(start + cut, start + window->count - 1, "holds", "hold");
    gsize width = window->count - cut;
    /* A field of 1, 2, 4 or 8 bytes could fill it; one of any other width could not. */
    gboolean field = width <= 8 && (width & (width - 1)) == 0;
    request->known = TRUE;
    request->request = start + cut;
    request->confidence = field ? 0.6 : 0.8;
    request->evidence = g_strdup_printf(
        "%s %s%" G_GSIZE_FORMAT " different values%s, as memory does that was used before; byte "
        "%" G_GUINT64_FORMAT " holds %" G_GSIZE_FORMAT "%s",
        slack, least == 256 ? "" : "at least ", least, width == 1 ? "" : " each", start + cut - 1,
        window->bytes[cut - 1].distinct,
        field ? ". A last field of random values (a hash, a nonce) would look the same" : "");
}

/*
 * The smallest cut from which on all bytes are various, with one that is far less so before it.
 *
 * Returns: window->count where there is none.
 */
static gsize
find_various(const Window *window)
{
    gsize cut = window->count;
    gsize least = G_MAXSIZE;
    while (cut > 0 && is_various(&window->bytes[cut - 1])) {
        cut--;
        least = MIN(least, window->bytes[cut].distinct);
    }
    /* What was left over in a whole word is a pointer or a number, and various in its lower bytes
     * alone: a word that is various in all of them is a hash. */
    if (cut % window->rows->matrix->word_bytes == 0 || cut == window->count ||
        window->bytes[cut - 1].distinct * CONTRAST > least)
        return window->count;
    return cut;
}

static gboolean
is_upper_half(const PmSlackFacts *facts, guint32 value)
{
    for (gsize i = 0; i < facts->upper_count; i++) {
        if (facts->upper_halves[i] == value)
            return TRUE;
    }
    return FALSE;
}

/* The upper half of the word at @word of the window, in row @row. */
static guint32
get_upper(const Window *window, gsize row, gsize word)
{
    guint32 value = 0;
    for (gsize i = 0; i < 4; i++)
        value |= (guint32)get_byte(window, row, word + 4 + i) << (8 * i);
    return value;
}

/* Rows whose word at @word points nowhere, but has the upper half of what pointers there are: the
 * lower half was overwritten. @stale: (out): of each row whether it is one. Returns: how many; 0
 * where too few. */
static gsize
find_stale(const Window *window, const PmSlackFacts *facts, gsize word, gboolean *stale)
{
    const PmRows *rows = window->rows;
    const PmMatrix *matrix = rows->matrix;
    gsize count = 0;
    gsize near = 0;
    for (gsize i = 0; i < rows->count; i++) {
        guint32 upper = get_upper(window, i, word);
        guint64 at = (window->start + word) / matrix->word_bytes;
        gboolean pointer = at < matrix->words &&
                           matrix->kinds[rows->rows[i] * matrix->words + at] != PM_WORD_NUMBER;
        stale[i] = !pointer && upper != LARGEST_SHORT && is_upper_half(facts, upper);
        count += stale[i] ? 1 : 0;
        for (gsize j = 0; j < facts->upper_count && !stale[i] && upper != 0; j++)
            near += upper + STALE_NEAR - facts->upper_halves[j] < 2 * STALE_NEAR ? 1 : 0;
    }
    return count >= STALE_LEAST && count >= STALE_EXCESS * near ? count : 0;
}

/* Where the data end in a word whose upper half was left over: its lower bytes belong to that as
 * far as they are there when it is there. */
static gsize
find_end(const Window *window, gsize word, const gboolean *stale, gsize stale_count)
{
    gsize rows = window->rows->count;
    gsize end = word + 4;
    for (; end > word; end--) {
        gsize with = 0;
        gsize without = 0;
        for (gsize i = 0; i < rows; i++) {
            gsize present = get_byte(window, i, end - 1) != 0 ? 1 : 0;
            with += stale[i] ? present : 0;
            without += stale[i] ? 0 : present;
        }
        double more = (double)with / (double)stale_count -
                      (double)without / (double)MAX(rows - stale_count, 1);
        if (more < STALE_MORE)
            break;
    }
    return end;
}

/*
 * Whether a whole word of the window from @from on is various in all its bytes: a hash, for what is
 * left over there is a pointer or a number, and various in its lower bytes alone. (find_various())
 */
static gboolean
has_hash_behind(const Window *window, gsize from)
{
    const gsize word_bytes = window->rows->matrix->word_bytes;
    for (gsize word = from; word + word_bytes <= window->count; word += word_bytes) {
        gsize various = 0;
        while (various < word_bytes && is_various(&window->bytes[word + various]))
            various++;
        if (various == word_bytes)
            return TRUE;
    }
    return FALSE;
}

/* The first word in which pointers were left over above the data. Returns: FALSE where none is. */
static gboolean
claim_by_stale(const Window *window, const GArray *columns, const PmSlackFacts *facts,
               PmSchemaRequest *request)
{
    gsize rows = window->rows->count;
    g_autofree gboolean *stale = g_new(gboolean, rows);
    if (window->rows->matrix->word_bytes != 8)
        return FALSE;
    for (gsize word = 0; word + 8 <= window->count; word += 8) {
        gsize count = find_stale(window, facts, word, stale);
        if (count == 0)
            continue;
        guint64 end = window->start + find_end(window, word, stale, count);
        /* A whole pointer to what is mapped no more is no remainder of one. */
        if (end == window->start + word)
            continue;
        if (end < facts->requests.min || end > facts->requests.max ||
            has_data_behind(columns, end, rows) || has_hash_behind(window, word + 8))
            continue;
        g_autofree char *range = describe_range(end, window->start + word + 7, "holds", "hold");
        *request = (PmSchemaRequest){.known = TRUE, .request = end, .confidence = 0.95};
        request->evidence = g_strdup_printf("%s in %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT
                                            " chunks the upper part of a pointer "
                                            "whose lower part was overwritten",
                                            range, count, rows);
        return TRUE;
    }
    return FALSE;
}

/*
 * While a chunk is free in a bin, its size stands in its last word (malloc.c, set_foot): where it
 * still does, that word was never the program's. A whole field that ends there is where the data
 * end.
 */
static gboolean
claim_by_size(const Window *window, const GArray *columns, const PmSlackFacts *facts,
              PmSchemaRequest *request)
{
    const PmMatrix *matrix = window->rows->matrix;
    gsize last = window->count - matrix->word_bytes;
    guint64 end = window->start + last;
    gsize sizes = 0;
    gsize present = 0;
    if (window->count < matrix->word_bytes || end < facts->requests.min ||
        end > facts->requests.max)
        return FALSE;
    for (gsize i = 0; i < window->rows->count; i++) {
        guint64 value = 0;
        for (gsize j = 0; j < matrix->word_bytes; j++)
            value |= (guint64)get_byte(window, i, last + j) << (8 * j);
        sizes += value == facts->chunk_bytes ? 1 : 0;
        present += value != 0 ? 1 : 0;
    }
    const PmSchemaColumn *before = end == 0 ? NULL : find_column(columns, end - 1);
    if (sizes < LEAST_ROWS || (double)sizes < SIZES_SHARE * (double)present || before == NULL ||
        !is_whole(before, window->rows->count, matrix->word_bytes))
        return FALSE;
    *request = (PmSchemaRequest){.known = TRUE, .request = end, .confidence = 0.85};
    request->evidence = g_strdup_printf(
        "the last word holds the size of the chunk in %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT
        " chunks, which malloc leaves there while one is free; the field before it is whole",
        sizes, window->rows->count);
    return TRUE;
}

/* The widest field that is seen in front of @end: records are aligned to it. */
static guint64
find_alignment(const GArray *columns, guint64 end, guint word_bytes)
{
    guint64 widest = 1;
    for (guint i = 0; i < columns->len; i++) {
        const PmSchemaColumn *column = &g_array_index(columns, PmSchemaColumn, i);
        /* What is zero or random, or text, has no width. */
        if (column->offset_bytes >= end || column->kind == PM_COLUMN_ZERO ||
            column->kind == PM_COLUMN_RANDOM || column->kind == PM_COLUMN_TEXT)
            continue;
        widest = MAX(widest, MIN(column->width_bytes, word_bytes));
    }
    return widest;
}

/* Says so where padding at the end of the record would look the same. */
static void
consider_padding(const GArray *columns, const PmSlackFacts *facts, guint word_bytes,
                 PmSchemaRequest *request)
{
    guint64 alignment = find_alignment(columns, request->request, word_bytes);
    request->padded = MIN(pm_align_up(request->request, alignment), facts->requests.max);
    if (request->padded == request->request)
        return;
    g_autofree char *evidence = request->evidence;
    request->evidence = g_strdup_printf(
        "%s. Or %" G_GUINT64_FORMAT " with %" G_GUINT64_FORMAT " of padding at the end", evidence,
        request->padded, request->padded - request->request);
}

/* Where the bytes behind the data were left over, by the surest sign first. */
static void
look_behind(const Window *window, const GArray *columns, const PmSlackFacts *facts,
            PmSchemaRequest *request)
{
    const PmRows *rows = window->rows;
    if (claim_by_stale(window, columns, facts, request) ||
        claim_by_size(window, columns, facts, request))
        return;
    gsize cut = find_various(window);
    guint64 at = window->start + cut;
    const PmSchemaColumn *column = find_column(columns, at);
    if (cut < window->count && at >= facts->requests.min && at <= facts->requests.max &&
        (column == NULL || !is_data(column, rows->count)))
        claim_by_variety(window, cut, request);
    else
        say_why_not(window, facts, request);
}

void
pm_slack_infer(const PmRows *rows, const GArray *columns, const PmSlackFacts *facts,
               PmSchemaRequest *ret_request)
{
    const PmRequests *requests = &facts->requests;
    guint word_bytes = rows->matrix->word_bytes;
    PmSchemaRequest request = {.known = FALSE};
    Window window;
    if (requests->min == requests->max)
        request = (PmSchemaRequest){TRUE, requests->min, requests->min, 1.0,
                                    g_strdup("no other request gives this chunk size")};
    else if (rows->count < LEAST_ROWS)
        say(&request, facts, "there are too few chunks to compare");
    else if (!open_window(&window, rows, requests))
        say(&request, facts, "fresh mappings are zero behind the data");
    else if (is_full(columns, facts, rows->count, word_bytes))
        request = (PmSchemaRequest){
            TRUE, requests->max, requests->max, FULL_SURE,
            g_strdup("the last word that a request can ask for is a field of the program's, or "
                     "what a former chunk left there whole")};
    else if (ends_in_text(columns, MAX(requests->min, word_bytes)))
        say(&request, facts, "the chunks hold texts of different lengths");
    else
        look_behind(&window, columns, facts, &request);
    if (request.known && request.confidence < 1)
        consider_padding(columns, facts, word_bytes, &request);
    *ret_request = request;
}
