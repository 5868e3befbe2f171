/*
 * The leak scan on what breaks leak scans: samples/reach-odd.c.
 */
#include "run.h"
#include "tool.h"
#include "truth.h"

#include <string.h>

#define CLASSES 6
/* What the scene keeps out of the core. */
#define EXCLUDED_BYTES 163840
/* More rows than this are counted only. */
#define ROWS_MAX 50000

typedef struct {
    const char *name;
    const char *options;
    RealCoreKind kind;
} Case;

static const Case cases[] = {
    {"hubs", "--hubs", REAL_KERNEL_CORE},
    {"holes", "--holes", REAL_KERNEL_CORE},
    {"mmapped", "--mmapped", REAL_KERNEL_CORE},
    {"damage", "--damage", REAL_KERNEL_CORE},
    {"user-stack", "--user-stack", REAL_KERNEL_CORE},
    {"user-stack-gcore", "--user-stack", REAL_GCORE},
    {"inner-handler", "--inner-handler", REAL_KERNEL_CORE},
    {"inner-handler-gcore", "--inner-handler", REAL_GCORE},
    {"borrowed-stack", "--borrowed-stack", REAL_KERNEL_CORE},
    {"ended", "--ended", REAL_KERNEL_CORE},
    {"joined", "--joined", REAL_KERNEL_CORE},
};

static const char *const classes[CLASSES] = {
    "reachable", "reachable-interior", "reachable-weak", "leak-root", "leak-cycle", "leak-indirect",
};

/* The overwritten chunk is no chunk any more. */
static gboolean
is_gone(const RealRow *row)
{
    return g_strcmp0(row->name, "victim") == 0;
}

static void
compare_sums(JsonNode *document, const RealTruth *truth)
{
    guint64 expected[CLASSES] = {0};
    for (guint i = 0; i < truth->live->len; i++) {
        const RealRow *row = &g_array_index(truth->live, RealRow, i);
        for (guint j = 0; j < CLASSES; j++)
            expected[j] += !is_gone(row) && strcmp(row->reach, classes[j]) == 0 ? 1 : 0;
    }
    for (guint i = 0; i < CLASSES; i++) {
        g_autofree char *path = g_strdup_printf("data.classes.%s.chunks", classes[i]);
        g_strdelimit(path, "-", '_');
        const guint64 said = real_get_uint(document, path);
        if (said != expected[i])
            real_fail("%s: %" G_GUINT64_FORMAT ", not %" G_GUINT64_FORMAT, classes[i], said,
                      expected[i]);
    }

    guint64 chunks = 0, bytes = 0;
    JsonArray *groups = real_get_array(document, "data.groups");
    for (guint i = 0; i < json_array_get_length(groups); i++) {
        JsonObject *group = json_array_get_object_element(groups, i);
        chunks += real_member_uint(group, "lost_chunks");
        bytes += real_member_uint(group, "lost_bytes");
    }
    g_assert_cmpuint(chunks, ==, real_get_uint(document, "data.lost.chunks"));
    g_assert_cmpuint(bytes, ==, real_get_uint(document, "data.lost.chunk_bytes"));
}

static void
compare_chunks(const RealSubject *subject, const RealTruth *truth, const char *command)
{
    g_autoptr(JsonNode) document = real_ask(subject, command, NULL);
    guint found = 0;
    if (document == NULL)
        return;
    JsonArray *chunks = real_get_array(document, "data.chunks");
    for (guint i = 0; i < json_array_get_length(chunks); i++) {
        JsonObject *chunk = json_array_get_object_element(chunks, i);
        const RealRow *row = real_truth_find(truth, real_member_address(chunk, "address"));
        if (row == NULL || json_object_get_null_member(chunk, "reach"))
            continue;
        found++;
        const char *reach = json_object_get_string_member(chunk, "reach");
        if (strcmp(reach, row->reach) != 0)
            real_fail("%s (0x%" G_GINT64_MODIFIER "x) is %s, not %s", row->name, row->address,
                      reach, row->reach);
    }
    for (guint i = 0; i < truth->live->len; i++)
        found += is_gone(&g_array_index(truth->live, RealRow, i)) ? 1 : 0;
    g_assert_cmpuint(found, ==, truth->live->len);
}

static void
test_case(gconstpointer data)
{
    static const char *const leaks[] = {"leaks -j 1", "leaks -j 8"};
    const Case *one = data;
    g_autoptr(RealRun) run = real_run_built_sample("reach-odd", one->options, one->kind);
    if (run == NULL)
        return;
    g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
    const RealSubject subject = {.core = run->core};
    for (gsize i = 0; i < G_N_ELEMENTS(leaks); i++) {
        g_autoptr(JsonNode) document = real_ask(&subject, leaks[i], NULL);
        if (document != NULL)
            compare_sums(document, truth);
    }
    if (truth->live->len <= ROWS_MAX) {
        compare_chunks(&subject, truth, "chunks --state used --limit 0 -j 1");
        compare_chunks(&subject, truth, "chunks --state used --limit 0 -j 8");
    }
}

/* What the program kept out of the core may hold references: nothing behind it is surely lost. */
static void
test_excluded(void)
{
    g_autofree char *sample = g_build_filename(g_getenv("POSTMALLOC_SAMPLES"), "reach-odd", NULL);
    const char *program[] = {sample, NULL};
    g_autoptr(RealRun) run = real_run_sample(program, "--excluded", REAL_KERNEL_CORE);
    if (run == NULL)
        return;
    const RealSubject subject = {.core = run->core};
    g_autoptr(JsonNode) document = real_ask(&subject, "leaks", NULL);
    if (document == NULL)
        return;
    JsonObject *answer = json_node_get_object(real_get(document, "data"));
    g_assert_cmpuint(real_get_uint(document, "data.lost.chunks"), >, 0);
    g_assert_cmpuint(real_get_uint(document, "data.missing_heap_bytes"), ==, EXCLUDED_BYTES);
    g_assert_false(json_object_get_boolean_member(answer, "certain"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/real/reach-odd/", cases[i].name, NULL);
        g_test_add_data_func(path, &cases[i], test_case);
    }
    g_test_add_func("/real/reach-odd/excluded", test_excluded);
    return g_test_run();
}
