/* analyzer/analysis/schema: mixtures of records, and one kind that looks like several. */
#include "schema-rows.h"

#define ROWS 2000

/* Puts one record into row @row; @row of @count in the order of time. */
typedef void (*Fill)(Rows *rows, gsize row, gsize count);

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

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    for (gsize i = 0; i < G_N_ELEMENTS(mixtures); i++) {
        g_autofree char *path = g_strconcat("/layouts-found/mixture/", mixtures[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_mixture);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(homogeneous); i++) {
        g_autofree char *path =
            g_strconcat("/layouts-found/homogeneous/", homogeneous[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_homogeneous);
    }
    g_test_add_func("/layouts-found/slack-splits-not", test_slack_splits_not);
    g_test_add_func("/layouts-found/classes", test_classes);
    g_test_add_func("/layouts-found/many-vtables", test_many_vtables);
    g_test_add_func("/layouts-found/match", test_match);
    return g_test_run();
}
