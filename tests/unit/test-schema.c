/* analyzer/analysis/schema: columns of records whose fields are known. */
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
    {"reals", fill_reals, 40,
     "0+8 double, 8+8 double, 16+4 float, 20+4 float, 24+4 float, 28+4 number, 32+8 double"},
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

/* Three kinds of records without any tag. */
static void
fill_session(Rows *rows, gsize row)
{
    rows_put_chunk(rows, row, 0);
    rows_put(rows, row, 8, 4, 100 + row);
    rows_put(rows, row, 12, 4, rows_below(rows, 3));
    if (rows_below(rows, 4) != 0)
        rows_put_chunk(rows, row, 16);
}

static void
fill_point(Rows *rows, gsize row)
{
    rows_put_double(rows, row, 0, (double)rows_below(rows, 100000) / 7);
    rows_put_double(rows, row, 8, (double)rows_below(rows, 100000) / 9);
    rows_put(rows, row, 16, 4, rows_below(rows, 50));
}

static void
fill_name(Rows *rows, gsize row)
{
    g_autofree char *text = g_strdup_printf("item-%u", (guint)rows_below(rows, 100000));
    rows_put_text(rows, row, 0, text);
    rows_put_chunk(rows, row, 16);
}

static gsize
choose_mixed(gsize row)
{
    return row % 10 < 6 ? 0 : row % 10 < 9 ? 1 : 2;
}

static void
fill_mixture(Rows *rows, gsize row, gsize count)
{
    static void (*const fills[])(Rows *, gsize) = {fill_session, fill_point, fill_name};
    fills[choose_mixed(row)](rows, row);
    (void)count;
}

/* The same, one kind after the other. */
static void
fill_phases(Rows *rows, gsize row, gsize count)
{
    static void (*const fills[])(Rows *, gsize) = {fill_session, fill_point, fill_name};
    fills[choose_mixed(row * 10 / count)](rows, row);
}

/* A union behind a byte that says what it is; what follows differs in kind only. */
static void
fill_tagged(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    gsize tag = choose_mixed(row);
    rows_put(rows, row, 0, 1, tag + 1);
    rows_put(rows, row, 1, 1, rows_below(rows, 200));
    rows_put(rows, row, 4, 4, tag == 2 ? rows_random(rows) >> 32 : rows_below(rows, 3000));
    if (tag == 0)
        rows_put_chunk(rows, row, 8);
    else if (tag == 1)
        rows_put(rows, row, 8, 8, rows_random(rows));
    else
        rows_put(rows, row, 8, 8, rows_below(rows, 3000));
}

static void
fill_vtables(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put_pointer(rows, row, 0, PM_WORD_VTABLE, 0x7f1200001010 + 0x40 * choose_mixed(row));
    rows_put_chunk(rows, row, 8);
    rows_put(rows, row, 16, 4, rows_below(rows, 100));
}

/* Nodes with vtables beside plain records. */
static void
fill_vtable_mixture(Rows *rows, gsize row, gsize count)
{
    if (choose_mixed(row) == 0)
        rows_put_pointer(rows, row, 0, PM_WORD_VTABLE, 0x7f1200001010);
    else if (choose_mixed(row) == 1)
        fill_session(rows, row);
    else
        fill_name(rows, row);
    (void)count;
}

static void
fill_zero_beside(Rows *rows, gsize row, gsize count)
{
    if (row % 10 < 6)
        return;
    rows_put_double(rows, row, 0, (double)rows_below(rows, 100000) / 7);
    rows_put(rows, row, 8, 4, row + 1);
    rows_put(rows, row, 16, 8, (guint64)ROWS_NOW - rows_below(rows, 100000));
    (void)count;
}

static const struct {
    const char *name;
    Fill fill;
    guint shares[4]; /* of ten */
    gsize least_rows;
} mixtures[] = {
    {"plain", fill_mixture, {6, 3, 1}},
    {"phases", fill_phases, {6, 3, 1}},
    {"tagged", fill_tagged, {6, 3, 1}},
    {"vtables", fill_vtables, {6, 3, 1}},
    {"some-vtables", fill_vtable_mixture, {6, 3, 1}, 200},
    {"never-written", fill_zero_beside, {6, 4}},
};

static void
test_mixture(gconstpointer data)
{
    gsize at = GPOINTER_TO_SIZE(data);
    static const gsize counts[] = {ROWS, 200, 60};
    for (gsize i = 0; i < G_N_ELEMENTS(counts); i++) {
        if (counts[i] < mixtures[at].least_rows)
            continue;
        Rows rows;
        rows_init(&rows, counts[i], 24, 8);
        for (gsize row = 0; row < counts[i]; row++)
            mixtures[at].fill(&rows, row, counts[i]);
        rows_finish(&rows);
        g_autofree char *layouts = rows_describe_layouts(&rows);
        g_auto(GStrv) parts = g_strsplit(layouts, " ", -1);
        g_test_message("%s", layouts);
        gsize expected = 0;
        while (mixtures[at].shares[expected] != 0)
            expected++;
        g_assert_cmpuint(g_strv_length(parts), ==, expected);
        /* One in a hundred may look like another kind: a fraction is full of letters. */
        for (gsize j = 0; j < MIN(expected, g_strv_length(parts)); j++)
            g_assert_cmpfloat_with_epsilon((double)g_ascii_strtoull(parts[j], NULL, 10),
                                           (double)(counts[i] * mixtures[at].shares[j]) / 10,
                                           1.5 + (double)counts[i] / 200);
        rows_clear(&rows);
    }
}

/* One kind of record each, made to look like several. */
static void
fill_nullable(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put(rows, row, 0, 8, 10 + row);
    for (gsize offset = 8; offset < 40; offset += 8) {
        if (rows_below(rows, 2) == 0)
            rows_put_chunk(rows, row, offset);
    }
}

/* A flag that says whether the pointer is set. */
static void
fill_guarded(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put(rows, row, 16, 8, rows_random(rows));
    if (rows_below(rows, 3) == 0)
        return;
    rows_put(rows, row, 0, 1, 1);
    rows_put_chunk(rows, row, 8);
}

/* Length, capacity and pointer are null together; two names that may be missing together. */
static void
fill_optional(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put_chunk(rows, row, 0);
    rows_put(rows, row, 8, 8, (guint64)ROWS_NOW - rows_below(rows, 10000));
    rows_put(rows, row, 16, 4, row);
    if (rows_below(rows, 2) == 0)
        return;
    rows_put_text(rows, row, 20, rows_below(rows, 2) ? "a rather long name" : "short");
    rows_put_chunk(rows, row, 40);
}

/* The same number twice; sizes of any magnitude; two times that rise together. */
static void
fill_twins(Rows *rows, gsize row, gsize count)
{
    guint64 size = rows_random(rows) >> (20 + rows_below(rows, 42));
    guint64 hash = rows_random(rows);
    rows_put(rows, row, 0, 8, size);
    rows_put(rows, row, 8, 8, size + size / 8);
    rows_put(rows, row, 16, 8, hash);
    rows_put(rows, row, 24, 8, hash);
    rows_put(rows, row, 32, 4, 1 + row * 70000 / count);
    rows_put(rows, row, 36, 4, 1 + row * 33000000 / count);
    rows_put(rows, row, 40, 4, 16700000 + row * 200000 / count);
    rows_put(rows, row, 44, 4, row * 70000 / count / 256);
}

/* A literal or a copy, as a flag says. */
static void
fill_owned(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put_chunk(rows, row, 0);
    rows_put(rows, row, 16, 8, row);
    if (rows_below(rows, 2) == 0) {
        rows_put_pointer(rows, row, 24, PM_WORD_RODATA, 0x7f1200004000 + rows_below(rows, 200));
        return;
    }
    rows_put_chunk(rows, row, 24);
    rows_put(rows, row, 8, 1, 1);
}

/* Memory that was never used before is zero behind the data, other memory is not. */
static void
fill_slack(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put(rows, row, 0, 4, row);
    rows_put_chunk(rows, row, 8);
    rows_put(rows, row, 16, 4, rows_below(rows, 9));
    if (row % 2 == 0)
        rows_put_garbage(rows, row, 20, 28);
}

static void
fill_tree(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    gboolean leaf = rows_below(rows, 2) == 0;
    rows_put(rows, row, 0, 8, rows_below(rows, 2));
    rows_put_chunk(rows, row, 8);
    if (!leaf) {
        rows_put_chunk(rows, row, 16);
        rows_put_chunk(rows, row, 24);
    }
    rows_put(rows, row, 32, 4, rows_below(rows, 50000));
}

static const struct {
    const char *name;
    Fill fill;
} homogeneous[] = {
    {"nullable", fill_nullable}, {"guarded", fill_guarded}, {"optional", fill_optional},
    {"twins", fill_twins},       {"owned", fill_owned},     {"slack", fill_slack},
    {"tree", fill_tree},
};

static void
test_homogeneous(gconstpointer data)
{
    gsize at = GPOINTER_TO_SIZE(data);
    static const gsize counts[] = {4096, ROWS, 200, 40, 5, 2, 1};
    for (gsize i = 0; i < G_N_ELEMENTS(counts); i++) {
        Rows rows;
        rows_init(&rows, counts[i], 48, 8);
        for (gsize row = 0; row < counts[i]; row++)
            homogeneous[at].fill(&rows, row, counts[i]);
        rows_finish(&rows);
        g_autofree char *layouts = rows_describe_layouts(&rows);
        g_autofree char *expected = g_strdup_printf("%" G_GSIZE_FORMAT, counts[i]);
        g_assert_cmpstr(layouts, ==, expected);
        rows_clear(&rows);
    }
}

/* A number as an object; what lies behind its 28 bytes is mostly nothing, else of any kind. */
static void
fill_object(Rows *rows, gsize row, G_GNUC_UNUSED gsize count)
{
    rows_put(rows, row, 0, 8, 1);
    rows_put_pointer(rows, row, 8, PM_WORD_DATA, 0x7f1200008000);
    rows_put(rows, row, 16, 8, 1 + (row % 50 == 0 ? 1 : 0));
    rows_put(rows, row, 24, 4, rows_below(rows, 70000));
    if (row % 4 != 0)
        return;
    guint64 kind = rows_below(rows, 5);
    rows_put(rows, row, 28, 4, kind < 2 ? 0xffffffff : kind == 2 ? 0x55d0 : 7 * kind);
    if (rows_below(rows, 2) == 0)
        rows_put_chunk(rows, row, 32);
    else
        rows_put(rows, row, 32, 8, rows_random(rows) >> rows_below(rows, 60));
}

/* What may be slack does not split one kind of record. */
static void
test_slack_splits_not(void)
{
    Rows rows;
    rows_init(&rows, ROWS, 40, 8);
    for (gsize row = 0; row < ROWS; row++)
        fill_object(&rows, row, ROWS);
    rows_finish(&rows);
    rows.matrix->slack_from = 25;
    g_autofree char *layouts = rows_describe_layouts(&rows);
    g_assert_cmpstr(layouts, ==, "2000");
    PmSchemaRequest request;
    rows_infer(&rows, 25, 40, &request);
    g_assert_true(request.known);
    g_assert_cmpuint(request.request, ==, 28);
    g_free(request.evidence);
    rows_clear(&rows);
}

/* A pointer to its class says what an object is, as long as its fields say so, too. */
static void
test_classes(void)
{
    Rows rows;
    rows_init(&rows, ROWS, 40, 8);
    for (gsize row = 0; row < ROWS; row++) {
        guint64 kind = row % 4;
        rows_put(&rows, row, 0, 8, 1 + rows_below(&rows, 3));
        rows_put_pointer(&rows, row, 8, PM_WORD_DATA,
                         0x7f1200008000 + 0x100 * (kind == 3 ? 2 : kind));
        if (kind == 0)
            rows_put(&rows, row, 16, 8, rows_random(&rows));
        else if (kind == 1)
            rows_put(&rows, row, 16, 8, rows_below(&rows, 100));
        else
            rows_put_chunk(&rows, row, 16);
        rows_put(&rows, row, 24, 8, rows_below(&rows, 1000));
    }
    rows_finish(&rows);
    g_autofree char *layouts = rows_describe_layouts(&rows);
    g_assert_cmpstr(layouts, ==, "1000 500 500");
    rows_clear(&rows);
}

/* More classes than layouts: the largest, and one for what is left. */
static void
test_many_vtables(void)
{
    Rows rows;
    rows_init(&rows, 820, 24, 8);
    gsize row = 0;
    for (guint64 class = 0; class < 40; class ++) {
        for (guint64 i = 0; i <= class; i++)
            rows_put_pointer(&rows, row++, 0, PM_WORD_VTABLE, 0x7f1200001010 + 0x40 * class);
    }
    rows_finish(&rows);
    g_autoptr(PmClusters) clusters = pm_clusters_new(rows.matrix, PM_SCHEMA_LAYOUTS_MAX);
    const guint16 *layouts = pm_clusters_get_layouts(clusters);
    g_assert_cmpuint(pm_clusters_get_count(clusters), ==, PM_SCHEMA_LAYOUTS_MAX);
    g_assert_true(pm_clusters_has_rest(clusters));
    gsize largest = 0;
    gsize rest = 0;
    for (gsize i = 0; i < row; i++) {
        largest += layouts[i] == 0 ? 1 : 0;
        rest += layouts[i] == PM_SCHEMA_LAYOUTS_MAX - 1 ? 1 : 0;
    }
    g_assert_cmpuint(largest, ==, 40);
    g_assert_cmpuint(rest, ==, 25 * 26 / 2);
    rows_clear(&rows);
}

/* Other chunks of the class go where their like went; what is like none goes nowhere. */
static void
test_match(void)
{
    Rows rows;
    Rows others;
    rows_init(&rows, ROWS, 24, 8);
    rows_init(&others, ROWS, 24, 8);
    others.random = 4711;
    for (gsize row = 0; row < ROWS; row++) {
        fill_mixture(&rows, row, ROWS);
        fill_mixture(&others, row, ROWS);
    }
    rows_finish(&rows);
    rows_finish(&others);
    g_autoptr(PmClusters) clusters = pm_clusters_new(rows.matrix, PM_SCHEMA_LAYOUTS_MAX);
    gsize none = pm_clusters_get_count(clusters);
    gsize wrong = 0;
    for (gsize row = 0; row < ROWS; row++)
        wrong += pm_clusters_match(clusters, pm_matrix_get_row(others.matrix, row),
                                   others.matrix->kinds + row * others.matrix->words) !=
                         choose_mixed(row)
                     ? 1
                     : 0;
    g_assert_cmpuint(wrong, <, ROWS / 50);
    guint8 alien[24] = {0};
    guint8 kinds[3] = {PM_WORD_STACK, PM_WORD_STACK, PM_WORD_CODE};
    g_assert_cmpuint(pm_clusters_match(clusters, alien, kinds), ==, none);
    kinds[0] = PM_WORD_VTABLE;
    g_assert_cmpuint(pm_clusters_match(clusters, alien, kinds), ==, none);
    rows_clear(&rows);
    rows_clear(&others);
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
    rows_put(rows, row, 20, 4, 0x5000 + row * 0x1000 / count);
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

/* @request: 0 where none must be inferred. @confidence: that it must not exceed, and not fall
 * below by more than 0.2. @evidence: part of it. */
static const struct {
    const char *name;
    Fill fill;
    gsize bytes;
    guint64 min;
    guint64 max;
    guint64 request;
    double confidence;
    const char *evidence;
} requests[] = {
    {"event", fill_event, 24, 0, 24, 20, 0.7, "bytes 20 to 23 hold"},
    {"reused", fill_reused, 40, 25, 40, 28, 0.99, "the upper part of a pointer"},
    {"reused-odd", fill_reused_odd, 24, 0, 24, 19, 0.99, "the upper part of a pointer"},
    /* No different from an event's. */
    {"hash-last", fill_hash_last, 24, 0, 24, 20, 0.7, "a hash"},
    {"random", fill_random, 24, 0, 24, 0, 0, "nothing tells"},
    {"negative", fill_negative, 24, 0, 24, 0, 0, "nothing tells"},
    {"passing", fill_passing, 24, 0, 24, 0, 0, "nothing tells"},
    {"pointer-last", fill_pointer_last, 24, 0, 24, 24, 0.95, "a field"},
    {"never-written", fill_never_written, 24, 0, 24, 0, 0, "0 to 24: bytes 2 to 23 are zero"},
    {"text", fill_text, 56, 41, 56, 0, 0, ""},
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
            g_assert_cmpfloat(request.confidence, <=, requests[at].confidence);
            g_assert_cmpfloat(request.confidence, >=, requests[at].confidence - 0.2);
        }
        g_assert_nonnull(strstr(request.evidence, requests[at].evidence));
        g_free(request.evidence);
        rows_clear(&rows);
    }
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
    for (gsize i = 0; i < G_N_ELEMENTS(mixtures); i++) {
        g_autofree char *path = g_strconcat("/schema/mixture/", mixtures[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_mixture);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(homogeneous); i++) {
        g_autofree char *path = g_strconcat("/schema/homogeneous/", homogeneous[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_homogeneous);
    }
    g_test_add_func("/schema/slack-splits-not", test_slack_splits_not);
    g_test_add_func("/schema/classes", test_classes);
    g_test_add_func("/schema/many-vtables", test_many_vtables);
    g_test_add_func("/schema/match", test_match);
    g_test_add_func("/schema/32-bit", test_32_bit);
    for (gsize i = 0; i < G_N_ELEMENTS(requests); i++) {
        g_autofree char *path = g_strconcat("/schema/request/", requests[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_request);
    }
    return g_test_run();
}
