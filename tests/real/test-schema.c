/*
 * schema: what it says of chunks of which a sample says in its ledger what they are.
 */
#include "run.h"
#include "tool.h"
#include "truth.h"

#include <math.h>
#include <string.h>

static RealRun *
run_sample(const char *name, const char *options)
{
    return real_run_built_sample(name, options, REAL_KERNEL_CORE);
}

static JsonNode *
ask(const RealRun *run, guint size)
{
    RealSubject subject = {.core = run->core};
    g_autofree char *command = g_strdup_printf("schema --size %u", size);
    return real_ask(&subject, command, NULL);
}

/* "0+4 counter, 4+4 enum, …" of one layout. (transfer full) */
static char *
list_columns(JsonObject *layout)
{
    JsonArray *columns = json_object_get_array_member(layout, "columns");
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < json_array_get_length(columns); i++) {
        JsonObject *column = json_array_get_object_element(columns, i);
        g_string_append_printf(text, "%s%" G_GUINT64_FORMAT "+%" G_GUINT64_FORMAT " %s",
                               i == 0 ? "" : ", ", real_member_uint(column, "offset"),
                               real_member_uint(column, "width"),
                               json_object_get_string_member(column, "kind"));
    }
    return g_string_free(text, FALSE);
}

static JsonObject *
get_layout(JsonNode *document, guint index)
{
    JsonArray *layouts = real_get_array(document, "data.layouts");
    g_assert_cmpuint(json_array_get_length(layouts), >, index);
    return json_array_get_object_element(layouts, index);
}

static JsonObject *
find_column(JsonObject *layout, guint64 offset)
{
    JsonArray *columns = json_object_get_array_member(layout, "columns");
    for (guint i = 0; i < json_array_get_length(columns); i++) {
        JsonObject *column = json_array_get_object_element(columns, i);
        if (real_member_uint(column, "offset") == offset)
            return column;
    }
    real_fail("no column at %" G_GUINT64_FORMAT, offset);
    return NULL;
}

static void
assert_layouts(JsonNode *document, guint count)
{
    g_assert_cmpuint(json_array_get_length(real_get_array(document, "data.layouts")), ==, count);
}

/* Case 1 after months of work: the slack betrays the request. */
static void
test_case1_churn(void)
{
    g_autoptr(RealRun) run = run_sample("case1", "60000 --churn");
    g_autoptr(JsonNode) document = run == NULL ? NULL : ask(run, 20);
    if (document == NULL)
        return;
    g_assert_cmpuint(real_get_uint(document, "data.chunk_bytes"), ==, 0x20);
    g_assert_cmpuint(real_get_uint(document, "data.inferred_request"), ==, 20);
    assert_layouts(document, 1);
    JsonObject *layout = get_layout(document, 0);
    g_autofree char *columns = list_columns(layout);
    g_assert_cmpstr(columns, ==, "0+1 zero, 1+1 constant, 2+18 zero, 20+4 slack");
    JsonObject *constant = find_column(layout, 1);
    g_assert_cmpstr(json_object_get_string_member(constant, "value"), ==, "0x10");
    g_assert_cmpuint(real_member_uint(layout, "estimate"), ==, 60000);
}

/* And in memory that was never used before, which tells nothing. */
static void
test_case1(void)
{
    g_autoptr(RealRun) run = run_sample("case1", "60000");
    g_autoptr(JsonNode) document = run == NULL ? NULL : ask(run, 20);
    if (document == NULL)
        return;
    g_assert_true(json_node_is_null(real_get(document, "data.inferred_request")));
    g_assert_cmpuint(real_get_uint(document, "data.request_min"), ==, 0);
    g_assert_cmpuint(real_get_uint(document, "data.request_max"), ==, 24);
    const char *evidence = real_get_string(document, "data.evidence");
    g_assert_nonnull(strstr(evidence, "any from 0 to 24"));
    g_assert_nonnull(strstr(evidence, "nothing had written before"));
    assert_layouts(document, 1);
    g_autofree char *columns = list_columns(get_layout(document, 0));
    g_assert_cmpstr(columns, ==, "0+1 zero, 1+1 constant, 2+22 zero");
}

/* What the ledger calls the examples of a layout, all the same. (transfer full) */
static char *
name_examples(JsonObject *layout, const RealTruth *truth)
{
    JsonArray *examples = json_object_get_array_member(layout, "examples");
    const char *name = NULL;
    g_assert_cmpuint(json_array_get_length(examples), >, 0);
    for (guint i = 0; i < json_array_get_length(examples); i++) {
        const char *address = json_array_get_string_element(examples, i);
        const RealRow *row = real_truth_find(truth, g_ascii_strtoull(address, NULL, 16));
        g_assert_nonnull(row);
        if (name == NULL)
            name = row->name;
        g_assert_cmpstr(row->name, ==, name);
    }
    return g_strdup(name);
}

static gsize
count_named(const RealTruth *truth, const char *name)
{
    gsize count = 0;
    for (guint i = 0; i < truth->live->len; i++)
        count += g_strcmp0(g_array_index(truth->live, RealRow, i).name, name) == 0 ? 1 : 0;
    return count;
}

/* Three kinds of records, none of which has a tag, in one class. */
static void
check_mixture(const RealRun *run, const RealTruth *truth)
{
    static const struct {
        const char *name;
        const char *columns;
    } expected[] = {
        {"session", "0+8 pointer, 8+4 counter, 12+4 enum, 16+8 pointer, 24+8 number, 32+8 seconds"},
        {"point", "0+8 double, 8+8 double, 16+8 double, 24+4 enum, 28+4 float, 32+8 random"},
        {"name", NULL},
    };
    g_autoptr(JsonNode) document = ask(run, 40);
    if (document == NULL)
        return;
    assert_layouts(document, 3);
    for (guint i = 0; i < 3; i++) {
        JsonObject *layout = get_layout(document, i);
        g_autofree char *name = name_examples(layout, truth);
        g_autofree char *columns = list_columns(layout);
        g_assert_cmpstr(name, ==, expected[i].name);
        if (expected[i].columns != NULL)
            g_assert_cmpstr(columns, ==, expected[i].columns);
        else
            g_assert_true(g_str_has_prefix(columns, "0+2 length, 2+"));
        double wrong = (double)real_member_uint(layout, "estimate") -
                       (double)count_named(truth, expected[i].name);
        g_assert_cmpfloat(fabs(wrong), <=, 3);
    }
    g_assert_cmpuint(real_get_uint(document, "data.inferred_request"), ==, 40);
}

/* A field of each kind. */
static void
check_every(const RealRun *run)
{
    static const char expected[] =
        "0+4 counter, 4+4 enum, 8+8 seconds, 16+8 milliseconds, 24+8 microseconds, "
        "32+8 nanoseconds, 40+1 flag, 41+1 enum, 42+2 number, 44+4 constant, 48+8 pointer, "
        "56+8 pointer-interior, 64+8 pointer-freed, 72+8 code, 80+8 rodata, 88+8 data, "
        "96+8 stack, 104+8 mapping, 112+8 double, 120+4 float, 124+4 float, 128+4 length, "
        "132+21 text, 153+7 zero, 160+16 random, 176+16 zero, 192+8 number";
    g_autoptr(JsonNode) document = ask(run, 200);
    if (document == NULL)
        return;
    assert_layouts(document, 1);
    JsonObject *layout = get_layout(document, 0);
    g_autofree char *columns = list_columns(layout);
    g_assert_cmpstr(columns, ==, expected);
    g_assert_nonnull(strstr(json_object_get_string_member(find_column(layout, 72), "text"),
                            "on_open (schema-mix)"));
    g_assert_nonnull(strstr(json_object_get_string_member(find_column(layout, 80), "text"), "\""));
    g_assert_nonnull(
        strstr(json_object_get_string_member(find_column(layout, 96), "text"), "of thread"));
    /* 3,000 in 90 days. */
    double rate = json_object_get_double_member(layout, "per_hour");
    g_assert_cmpfloat_with_epsilon(rate, 3000.0 / (90 * 24), 0.05);
    gint64 onset = json_object_get_int_member(layout, "onset_seconds");
    gint64 last = json_object_get_int_member(layout, "last_seconds");
    g_assert_cmpfloat_with_epsilon((double)(last - onset), 90.0 * 86400, 7200);
}

static void
check_others(const RealRun *run)
{
    g_autoptr(JsonNode) random = ask(run, 100);
    g_autoptr(JsonNode) optional = ask(run, 72);
    g_autoptr(JsonNode) reused = ask(run, 52);
    if (random == NULL || optional == NULL || reused == NULL)
        return;
    /* Random bytes are one thing, and where they end is not to be seen. */
    assert_layouts(random, 1);
    g_autofree char *columns = list_columns(get_layout(random, 0));
    g_assert_cmpstr(columns, ==, "0+104 random");
    g_assert_true(json_node_is_null(real_get(random, "data.inferred_request")));
    /* What is often null is one layout; that its last field is a hash is no slack. */
    assert_layouts(optional, 1);
    g_assert_true(json_node_is_null(real_get(optional, "data.inferred_request")));
    /* Pieces of pointers behind 52 bytes. */
    assert_layouts(reused, 1);
    g_assert_cmpuint(real_get_uint(reused, "data.inferred_request"), ==, 52);
    g_assert_cmpfloat(json_node_get_double(real_get(reused, "data.inferred_confidence")), >, 0.9);
}

/* The chunks of a thread of its own lie in its arena, which says whose they are. */
static void
check_threads(const RealRun *run, const RealTruth *truth)
{
    g_autoptr(JsonNode) document = ask(run, 120);
    if (document == NULL)
        return;
    JsonArray *arenas = real_get_array(document, "data.arenas");
    g_assert_cmpuint(json_array_get_length(arenas), ==, 1);
    JsonArray *threads =
        json_object_get_array_member(json_array_get_object_element(arenas, 0), "threads");
    g_assert_cmpuint(json_array_get_length(threads), ==, 1);
    g_assert_cmpuint((guint64)json_array_get_int_element(threads, 0), !=, truth->pid);
}

static void
test_mix(void)
{
    g_autoptr(RealRun) run = run_sample("schema-mix", "3000");
    if (run == NULL)
        return;
    g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
    check_mixture(run, truth);
    check_every(run);
    check_others(run);
    check_threads(run, truth);
}

/* A larger population is told from a sample of it. */
static void
test_sampled(void)
{
    g_autoptr(RealRun) run = run_sample("schema-mix", "12000 --seed 5");
    if (run == NULL)
        return;
    g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
    g_autoptr(JsonNode) document = ask(run, 40);
    if (document == NULL)
        return;
    static const char *const names[] = {"session", "point", "name"};
    assert_layouts(document, 3);
    g_assert_cmpuint(real_get_uint(document, "data.chunks_sampled"), <, 12000);
    for (guint i = 0; i < 3; i++) {
        JsonObject *layout = get_layout(document, i);
        g_autofree char *name = name_examples(layout, truth);
        g_assert_cmpstr(name, ==, names[i]);
        double share = json_object_get_double_member(layout, "share");
        g_assert_cmpfloat_with_epsilon(share, (double)count_named(truth, names[i]) / 12000, 0.04);
    }
}

/* Objects of classes of one size: a layout for each vtable, named as the program names its class.
 */
static void
test_vtables(void)
{
    g_autofree char *sample = g_build_filename(g_getenv("POSTMALLOC_SAMPLES"), "types-cxx", NULL);
    if (!g_file_test(sample, G_FILE_TEST_IS_EXECUTABLE)) {
        g_test_skip("there is no C++ compiler here");
        return;
    }
    g_autoptr(RealRun) run = run_sample("types-cxx", "");
    g_autoptr(JsonNode) document = run == NULL ? NULL : ask(run, 40);
    if (document == NULL)
        return;
    g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
    JsonArray *layouts = real_get_array(document, "data.layouts");
    guint named = 0;
    for (guint i = 0; i < json_array_get_length(layouts); i++) {
        JsonObject *layout = json_array_get_object_element(layouts, i);
        if (json_node_is_null(json_object_get_member(layout, "name")))
            continue;
        named++;
        /* In the ledger a space is a ~. */
        g_autofree char *name = name_examples(layout, truth);
        g_assert_cmpstr(g_strdelimit(name, "~", ' '), ==,
                        json_object_get_string_member(layout, "name"));
        g_assert_cmpuint(real_member_uint(layout, "estimate"), ==, 8);
    }
    g_assert_cmpuint(named, >=, 8);
}

/* Types are counted by layout: a type may be that of several, and no layout has more chunks of its
 * types than it has chunks. */
static void
test_types(void)
{
    g_autoptr(RealRun) run = run_sample("structs40", "");
    g_autoptr(JsonNode) document = run == NULL ? NULL : ask(run, 72);
    if (document == NULL)
        return;
    JsonArray *layouts = real_get_array(document, "data.layouts");
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    guint repeated = 0;
    for (guint i = 0; i < json_array_get_length(layouts); i++) {
        JsonObject *layout = json_array_get_object_element(layouts, i);
        JsonArray *types = json_object_get_array_member(layout, "types");
        guint64 typed = 0;
        for (guint j = 0; j < json_array_get_length(types); j++) {
            JsonObject *type = json_array_get_object_element(types, j);
            typed += real_member_uint(type, "chunks_sampled");
            repeated +=
                !g_hash_table_add(seen, (gpointer)json_object_get_string_member(type, "type"));
        }
        g_assert_cmpuint(typed, <=, real_member_uint(layout, "chunks_sampled"));
    }
    g_assert_cmpuint(repeated, >, 0);
}

/* A size that nobody has is an answer. */
static void
test_no_chunks(void)
{
    g_autoptr(RealRun) run = run_sample("case1", "1000");
    g_autoptr(JsonNode) document = run == NULL ? NULL : ask(run, 5000);
    if (document == NULL)
        return;
    assert_layouts(document, 0);
    g_assert_cmpuint(real_get_uint(document, "data.population"), ==, 0);
    g_assert_cmpuint(json_array_get_length(real_get_array(document, "data.nearest")), >, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    g_test_add_func("/real/schema/case1-churn", test_case1_churn);
    g_test_add_func("/real/schema/case1", test_case1);
    g_test_add_func("/real/schema/mix", test_mix);
    g_test_add_func("/real/schema/sampled", test_sampled);
    g_test_add_func("/real/schema/vtables", test_vtables);
    g_test_add_func("/real/schema/types", test_types);
    g_test_add_func("/real/schema/no-chunks", test_no_chunks);
    return g_test_run();
}
