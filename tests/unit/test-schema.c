/* analyzer/analysis/schema: columns of records whose fields are known, and what their slack
 * betrays. */
#include "schema-rows.h"

#define ROWS 2000

/* Puts one record into row @row; @row of @count in the order of time. */
typedef void (*Fill)(Rows *rows, gsize row, gsize count);

typedef struct {
    const char *name;
    Fill fill;
    gsize bytes;
    const char *columns;
} Case;

static void
fill_counters(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put(rows, row, 0, 4, 1000 + row);
    rows_put(rows, row, 4, 4, 70000 + 9 * row + rows_below(rows, 9));
    rows_put(rows, row, 8, 8, G_GUINT64_CONSTANT(0x100000000) + 50000 * row);
    rows_put(rows, row, 16, 2, 1 + row);
    rows_put(rows, row, 18, 2, rows_below(rows, 3));
}

static void
fill_flags(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    guint64 one = rows_below(rows, 2);
    rows_put(rows, row, 0, 1, one);
    /* Follows from the first one mostly: two fields for all that. */
    rows_put(rows, row, 1, 1, one | (rows_below(rows, 10) == 0 ? 1 : 0));
    rows_put(rows, row, 2, 1, rows_below(rows, 6));
    rows_put(rows, row, 3, 1, rows_below(rows, 3));
    rows_put(rows, row, 4, 2, rows_below(rows, 1500));
    rows_put(rows, row, 6, 2, 1 + rows_below(rows, 4));
    rows_put(rows, row, 8, 4, rows_below(rows, 2) ? 0x80000000 : 0);
    rows_put(rows, row, 12, 4, rows_below(rows, 5));
}

/* Rising, and in any order. */
static void
fill_times(Rows *rows, gsize row, gsize count)
{
    const guint64 quarter = G_GUINT64_CONSTANT(90) * 86400;
    guint64 start = (guint64)ROWS_NOW - quarter;
    guint64 then = start + quarter * row / count;
    guint64 any = start + rows_below(rows, quarter);
    rows_put(rows, row, 0, 4, then);
    rows_put(rows, row, 4, 4, any);
    rows_put(rows, row, 8, 8, then * 1000 + rows_below(rows, 1000));
    rows_put(rows, row, 16, 8, any * 1000000 + rows_below(rows, 1000000));
    rows_put(rows, row, 24, 8, any * 1000000000 + rows_below(rows, 1000000000));
    rows_put(rows, row, 32, 8, rows_below(rows, 4) ? any : 0);
    rows_put(rows, row, 40, 4, rows_random(rows) >> 32); /* what all seconds since 1970 are not */
    rows_put(rows, row, 44, 4, then);
}

static void
fill_reals(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    double real = (double)rows_below(rows, 1 << 30) / 1e6;
    rows_put_double(rows, row, 0, real);
    rows_put_double(rows, row, 8, (double)rows_below(rows, 1000) / 4 - 100);
    rows_put_float(rows, row, 16, (float)real);
    rows_put_float(rows, row, 20, (float)rows_below(rows, 1 << 20) / 1048576.0F);
    rows_put_float(rows, row, 24, (float)rows_below(rows, 200));
    rows_put(rows, row, 28, 4, rows_below(rows, 100));
    rows_put_double(rows, row, 32, rows_below(rows, 3) ? -real : 0);
}

/* A number of 16 bits, a constant and a larger one: as milliseconds they are of 2010. */
static void
fill_packed(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put(rows, row, 0, 2, row == 0 ? 0 : rows_below(rows, 60000));
    rows_put(rows, row, 2, 2, 1);
    rows_put(rows, row, 4, 4, 300);
    rows_put(rows, row, 8, 8, (guint64)ROWS_NOW * 1000 - 7 * row);
}

/* Fractions of ten, and a time that goes on regularly: each could be told as two fields as shortly.
 */
static void
fill_regular(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    guint64 start = (guint64)ROWS_NOW - 90 * G_GUINT64_CONSTANT(86400);
    rows_put_double(rows, row, 0, (double)rows_below(rows, 1000000) / 1000.0 - 500);
    rows_put(rows, row, 8, 8, (start + 2600 * row) * 1000000 + rows_below(rows, 1000000));
    rows_put_double(rows, row, 16, (double)rows_below(rows, 100000) / 100.0);
    /* A time and a weight, which are no double together. */
    rows_put(rows, row, 24, 4, start + rows_below(rows, 5000000));
    rows_put_float(rows, row, 28, 1.0F + (float)rows_below(rows, 3000) / 100.0F);
}

/* Few digits behind the point: the halves of such doubles are as regular as times and floats. */
static void
fill_decimals(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put_double(rows, row, 0, (double)row * 1100.1 + 300000);
    rows_put_double(rows, row, 8, (double)rows_below(rows, 5000000) * 1.1);
    rows_put_double(rows, row, 16, (double)rows_below(rows, 30000) / 100);
    rows_put(rows, row, 24, 4, rows_random(rows) >> 32); /* not the lower half of a double */
    rows_put_float(rows, row, 28, (float)rows_below(rows, 1 << 20) / 1048576.0F);
}

static void
fill_pointers(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put_pointer(rows, row, 0, PM_WORD_VTABLE, 0x7f1200001010);
    rows_put_chunk(rows, row, 8);
    if (rows_below(rows, 3) == 0)
        rows_put_chunk(rows, row, 16);
    rows_put_pointer(rows, row, 24, PM_WORD_CODE, 0x7f1200002000 + 0x40 * rows_below(rows, 3));
    rows_put_pointer(rows, row, 32, PM_WORD_RODATA, 0x7f1200004000 + rows_below(rows, 200));
    rows_put_pointer(rows, row, 40, PM_WORD_STACK, 0x7ffc00004000 + 8 * rows_below(rows, 200));
    if (rows_below(rows, 20) == 0)
        rows_put(rows, row, 48, 8, G_MAXUINT64); /* none */
    else
        rows_put_pointer(rows, row, 48, PM_WORD_CHUNK_INTERIOR, 0x55d0c0001008 + 16 * row);
    rows_put_pointer(rows, row, 56, rows_below(rows, 2) ? PM_WORD_DATA : PM_WORD_CHUNK,
                     0x55d0c0000000 + 16 * row);
}

static void
fill_text(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    static const char *const names[] = {"peter", "anna", "maximilian", "jo", "christine", ""};
    g_autofree char *text =
        g_strdup_printf("%s%s%u", names[rows_below(rows, 6)], "-", (guint)rows_below(rows, 1000));
    rows_put_garbage(rows, row, 4, 20);
    rows_put(rows, row, 0, 4, strlen(text));
    rows_put_text(rows, row, 4, text);
    rows_put_chunk(rows, row, 24);
    rows_put(rows, row, 32, 2, strlen(text) + 1);
    rows_put(rows, row, 34, 2, rows_below(rows, 500));
    /* Rarely there. */
    if (rows_below(rows, 3) == 0)
        rows_put_text(rows, row, 36, "Gr\xc3\xbc\xc3\x9f dich");
}

static void
fill_random(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put_garbage(rows, row, 0, 24);
}

static void
fill_mixed_widths(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put(rows, row, 0, 8, rows_random(rows));
    rows_put(rows, row, 8, 4, rows_random(rows) >> 32);
    rows_put(rows, row, 12, 4, row * 3);
    rows_put(rows, row, 16, 4, rows_random(rows) >> 32); /* 4 bytes of padding behind it */
    rows_put(rows, row, 24, 8, rows_below(rows, 1000000));
    /* Mostly small, sometimes huge: one number. */
    rows_put(rows, row, 32, 8, rows_random(rows) >> (24 + rows_below(rows, 40)));
}

static void
fill_constants(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put(rows, row, 0, 2, 0x1000);
    rows_put(rows, row, 8, 4, 0x78563412);
    rows_put(rows, row, 14, 1, 7);
}

/* What is small and may be negative, in all widths; and a bit field, which is not. */
static void
fill_signed(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put(rows, row, 0, 8, 2 - rows_below(rows, 5));
    rows_put(rows, row, 8, 4, 100 - rows_below(rows, 300));
    rows_put(rows, row, 12, 2, 1 - rows_below(rows, 3));
    rows_put(rows, row, 16, 8, row % 100 == 7 ? G_MAXUINT64 : 1);
    rows_put(rows, row, 24, 4, 0x80000000U | (1U << rows_below(rows, 8)));
}

static const Case cases[] = {
    {"counters", fill_counters, 24,
     "0+4 counter, 4+4 counter, 8+8 counter, 16+2 counter, 18+2 enum, 20+4 zero"},
    {"flags", fill_flags, 16,
     "0+1 flag, 1+1 flag, 2+1 enum, 3+1 enum, 4+2 number, 6+2 enum, 8+4 flag, 12+4 enum"},
    {"times", fill_times, 48,
     "0+4 seconds, 4+4 seconds, 8+8 milliseconds, 16+8 microseconds, 24+8 nanoseconds, "
     "32+8 seconds, 40+4 random, 44+4 seconds"},
    {"regular", fill_regular, 32,
     "0+8 double, 8+8 microseconds, 16+8 double, 24+4 seconds, 28+4 float"},
    {"packed", fill_packed, 16, "0+8 number, 8+8 milliseconds"},
    {"reals", fill_reals, 40,
     "0+8 double, 8+8 double, 16+4 float, 20+4 float, 24+4 float, 28+4 number, 32+8 double"},
    {"decimals", fill_decimals, 32, "0+8 double, 8+8 double, 16+8 double, 24+4 random, 28+4 float"},
    {"pointers", fill_pointers, 64,
     "0+8 vtable, 8+8 pointer, 16+8 pointer, 24+8 code, 32+8 rodata, 40+8 stack, "
     "48+8 pointer-interior, 56+8 mixed"},
    {"text", fill_text, 56,
     "0+4 length, 4+15 text, 19+5 random, 24+8 pointer, 32+2 length, 34+2 number, 36+12 text, "
     "48+8 zero"},
    {"random", fill_random, 24, "0+24 random"},
    {"widths", fill_mixed_widths, 40,
     "0+12 random, 12+4 counter, 16+4 random, 20+4 zero, 24+8 number, 32+8 number"},
    {"signed", fill_signed, 32,
     "0+8 enum, 8+4 number, 12+2 enum, 14+2 zero, 16+8 enum, 24+2 enum, 26+1 zero, "
     "27+1 constant, 28+4 zero"},
    {"constants", fill_constants, 24,
     "0+1 zero, 1+1 constant, 2+6 zero, 8+4 constant, 12+2 zero, 14+1 constant, 15+9 zero"},
};

static void
test_columns(gconstpointer data)
{
    const Case *one = data;
    static const gsize counts[] = {ROWS, 300};
    for (gsize i = 0; i < G_N_ELEMENTS(counts); i++) {
        Rows rows;
        rows_init(&rows, counts[i], one->bytes, 8);
        for (gsize row = 0; row < counts[i]; row++)
            one->fill(&rows, row, counts[i]);
        rows_finish(&rows);
        g_autofree char *columns = rows_describe(&rows, one->bytes);
        g_test_message("%s", columns);
        g_assert_cmpstr(columns, ==, one->columns);
        g_autofree char *layouts = rows_describe_layouts(&rows);
        g_autofree char *all = g_strdup_printf("%" G_GSIZE_FORMAT, counts[i]);
        g_assert_cmpstr(layouts, ==, all);
        rows_clear(&rows);
    }
}

/* 20 of 24 bytes; behind them what was there before. */
static void
fill_event(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put(rows, row, 1, 1, 0x10);
    rows_put_garbage(rows, row, 20, 4);
}

/* 28 of 40 bytes; behind them mostly nothing, else pieces of other records: some pointers have
 * their lower half overwritten. */
static void
fill_reused(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put(rows, row, 0, 8, 1);
    rows_put_chunk(rows, row, 8);
    rows_put(rows, row, 16, 8, row * 3);
    if (row % 10 == 0) {
        rows_put_chunk(rows, row, 32);
        rows_put(rows, row, 28, 4, row % 20 == 0 ? 0x55d0 : 0xffffffff);
    }
    rows_put(rows, row, 24, 4, rows_below(rows, 30000));
}

/* 19 of 24. */
static void
fill_reused_odd(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put_chunk(rows, row, 8);
    if (row % 10 == 0)
        rows_put(rows, row, 16, 8, G_GUINT64_CONSTANT(0x55d0c1000000) | (rows_random(rows) >> 40));
    rows_put(rows, row, 16, 1, rows_below(rows, 5));
    rows_put(rows, row, 17, 2, rows_below(rows, 1000));
}

static void
fill_hash_last(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put_chunk(rows, row, 0);
    rows_put(rows, row, 8, 8, row);
    rows_put(rows, row, 16, 4, rows_below(rows, 5));
    rows_put(rows, row, 20, 4, rows_random(rows) >> 32);
}

static void
fill_negative(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put_chunk(rows, row, 0);
    rows_put(rows, row, 16, 8, 3 - rows_below(rows, 9));
}

/* Passes by what the upper half of a pointer is. */
static void
fill_passing(Rows *rows, gsize row, gsize count)
{
    rows_put_chunk(rows, row, 0);
    rows_put(rows, row, 16, 4, rows_below(rows, 50));
    rows_put(rows, row, 20, 4, 0x5500 + row * 0x100 / count);
}

/* As various in front of where the garbage might begin. */
static void
fill_no_contrast(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put_chunk(rows, row, 0);
    rows_put(rows, row, 16, 4, rows_below(rows, 100) << 24);
    rows_put_garbage(rows, row, 20, 4);
}

static void
fill_pointer_last(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put(rows, row, 0, 8, row);
    rows_put_chunk(rows, row, 16);
}

static void
fill_never_written(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put(rows, row, 1, 1, 0x10);
}

/* 32 of 40 bytes; some chunks were free in a bin before. */
static void
fill_size_behind(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put(rows, row, 0, 8, row);
    rows_put_chunk(rows, row, 16);
    rows_put_chunk(rows, row, 24);
    rows_put(rows, row, 32, 8, row % 3 == 0 ? 0x30 : row % 7 == 0 ? 0xb0 : 0);
}

/* A node of a hash table: what is left over in the padding of the key is not the end, for the key's
 * hash stands behind it. */
static void
fill_hash_behind(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put_chunk(rows, row, 0);
    rows_put_chunk(rows, row, 8);
    rows_put(rows, row, 16, 8, 30 + rows_below(rows, 10));
    rows_put(rows, row, 40, 4, rows_below(rows, 30000));
    if (row % 50 == 0)
        rows_put(rows, row, 44, 4, 0x55d0);
    rows_put(rows, row, 48, 8, rows_random(rows));
}

/* @request: 0 where none must be inferred. @padded: with padding. @confidence: that it must not
 * exceed, and not fall below by more than 0.2. @evidence: part of it. */
static const struct {
    const char *name;
    Fill fill;
    gsize bytes;
    guint64 min;
    guint64 max;
    guint64 request;
    guint64 padded;
    double confidence;
    const char *evidence;
} requests[] = {
    {"event", fill_event, 24, 0, 24, 20, 20, 0.7, "bytes 20 to 23 hold"},
    {"reused", fill_reused, 40, 25, 40, 28, 32, 0.99, "the upper part of a pointer"},
    {"reused-odd", fill_reused_odd, 24, 0, 24, 19, 24, 0.99, "Or 24 with 5 of padding"},
    /* No different from an event's. */
    {"hash-last", fill_hash_last, 24, 0, 24, 20, 24, 0.7, "a hash"},
    {"random", fill_random, 24, 0, 24, 0, 0, 0, "nothing tells"},
    {"negative", fill_negative, 24, 0, 24, 0, 0, 0, "nothing tells"},
    {"passing", fill_passing, 24, 0, 24, 0, 0, 0, "nothing tells"},
    {"no-contrast", fill_no_contrast, 24, 0, 24, 0, 0, 0, "nothing tells"},
    {"pointer-last", fill_pointer_last, 24, 0, 24, 24, 24, 0.7, "a field"},
    {"never-written", fill_never_written, 24, 0, 24, 0, 0, 0, "0 to 24: bytes 2 to 23 are zero"},
    {"size-behind", fill_size_behind, 40, 25, 40, 32, 32, 0.9, "the size of the chunk"},
    {"hash-behind", fill_hash_behind, 56, 41, 56, 0, 0, 0, "nothing tells"},
    {"text", fill_text, 56, 41, 56, 0, 0, 0, ""},
};

static void
test_request(gconstpointer data)
{
    gsize at = GPOINTER_TO_SIZE(data);
    static const gsize counts[] = {4096, ROWS, 500};
    for (gsize i = 0; i < G_N_ELEMENTS(counts); i++) {
        Rows rows;
        PmSchemaRequest request;
        rows_init(&rows, counts[i], requests[at].bytes, 8);
        for (gsize row = 0; row < counts[i]; row++)
            requests[at].fill(&rows, row, counts[i]);
        rows_finish(&rows);
        rows_infer(&rows, requests[at].min, requests[at].max, &request);
        g_test_message("%s", request.evidence);
        g_assert_cmpuint(request.known ? request.request : 0, ==, requests[at].request);
        if (request.known) {
            g_assert_cmpuint(request.padded, ==, requests[at].padded);
            g_assert_cmpfloat(request.confidence, <=, requests[at].confidence);
            g_assert_cmpfloat(request.confidence, >=, requests[at].confidence - 0.2);
        }
        g_assert_nonnull(strstr(request.evidence, requests[at].evidence));
        g_free(request.evidence);
        rows_clear(&rows);
    }
}

/* Words of four bytes: pointers are shorter, numbers of eight bytes are not. */
static void
test_32_bit(void)
{
    Rows rows;
    rows_init(&rows, ROWS, 28, 4);
    for (gsize row = 0; row < ROWS; row++) {
        rows_put_chunk(&rows, row, 0);
        rows_put(&rows, row, 4, 4, row);
        rows_put(&rows, row, 8, 8,
                 (guint64)ROWS_NOW * 1000000000 - rows_below(&rows, G_GUINT64_CONSTANT(1) << 50));
        if (rows_below(&rows, 2) == 0)
            rows_put_chunk(&rows, row, 16);
        rows_put_text(&rows, row, 20, rows_below(&rows, 2) ? "yellow" : "green");
    }
    rows_finish(&rows);
    g_autofree char *columns = rows_describe(&rows, 28);
    g_autofree char *layouts = rows_describe_layouts(&rows);
    g_assert_cmpstr(
        columns, ==,
        "0+4 pointer, 4+4 counter, 8+8 nanoseconds, 16+4 pointer, 20+7 text, 27+1 zero");
    g_assert_cmpstr(layouts, ==, "2000");
    rows_clear(&rows);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/schema/columns/", cases[i].name, NULL);
        g_test_add_data_func(path, &cases[i], test_columns);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(requests); i++) {
        g_autofree char *path = g_strconcat("/schema/request/", requests[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_request);
    }
    g_test_add_func("/schema/32-bit", test_32_bit);
    return g_test_run();
}
