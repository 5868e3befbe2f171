/*
 * Classes and sums of the leak scan.
 */
#include "reach.h"

#include "problems.h"
#include "run.h"

#include <string.h>

/* The classes as `chunks` names them; `leaks` has them with an underscore. */
static const char *const classes[] = {"reachable", "reachable-interior", "reachable-weak",
                                      "leak-root", "leak-cycle",         "leak-indirect"};
#define CLASSES    G_N_ELEMENTS(classes)
#define FIRST_LOST 3

typedef struct {
    guint64 chunks;
    guint64 chunk_bytes;
} Sum;

/* CLASSES where @name is none of them. */
static gsize
find_class(const char *name)
{
    gsize at = 0;
    while (at < CLASSES && g_strcmp0(name, classes[at]) != 0)
        at++;
    return at;
}

typedef struct {
    RealProblems wrong, strange, missing;
    Sum sums[CLASSES];
} Comparison;

static void
compare_chunk(Comparison *comparison, const RealTruth *truth, JsonObject *chunk)
{
    const guint64 address = real_member_address(chunk, "address");
    const char *state = json_object_get_string_member(chunk, "state");
    const char *reach = json_object_get_string_member_with_default(chunk, "reach", NULL);
    const gsize reach_class = find_class(reach);
    const gboolean runtime = g_str_equal(state, "runtime");
    RealRow *row = real_truth_find(truth, address);
    if (reach_class < CLASSES) {
        comparison->sums[reach_class].chunks++;
        comparison->sums[reach_class].chunk_bytes += real_member_uint(chunk, "chunk_bytes");
    }
    if (row == NULL) {
        if (runtime ? reach != NULL : reach_class >= FIRST_LOST)
            real_problems_add(&comparison->strange, "0x%" G_GINT64_MODIFIER "x, %s: %s", address,
                              state, reach ? reach : "no class");
        return;
    }
    row->seen = TRUE;
    if (runtime || g_strcmp0(reach, row->reach) != 0)
        real_problems_add(&comparison->wrong, "%s at 0x%" G_GINT64_MODIFIER "x: %s, but is %s",
                          row->name ? row->name : "a block", address,
                          runtime ? "runtime" : (reach ? reach : "no class"), row->reach);
}

static gboolean
compare_chunks(const RealSubject *subject, RealTruth *truth, Sum *ret_sums)
{
    g_autoptr(JsonNode) document = real_ask(subject, "chunks --state used --limit 0", NULL);
    if (document == NULL)
        return FALSE;
    Comparison comparison = {0};
    real_problems_init(&comparison.wrong, "blocks of another class");
    real_problems_init(&comparison.strange,
                       "blocks of libc's that are lost, or runtime and have a class");
    real_problems_init(&comparison.missing, "live blocks of the ledger that are not in use");
    real_truth_reset(truth);
    JsonArray *chunks = real_get_array(document, "data.chunks");
    for (guint i = 0; i < json_array_get_length(chunks); i++)
        compare_chunk(&comparison, truth, json_array_get_object_element(chunks, i));
    for (guint i = 0; i < truth->live->len; i++) {
        const RealRow *row = &g_array_index(truth->live, RealRow, i);
        if (!row->seen)
            real_problems_add(&comparison.missing, "0x%" G_GINT64_MODIFIER "x", row->address);
    }
    real_problems_report(&comparison.wrong);
    real_problems_report(&comparison.strange);
    real_problems_report(&comparison.missing);
    memcpy(ret_sums, comparison.sums, sizeof comparison.sums);
    return TRUE;
}

static void
expect_equal(const char *what, guint64 said, guint64 sum)
{
    if (said != sum)
        real_fail("%s: %" G_GUINT64_FORMAT ", but the chunks add up to %" G_GUINT64_FORMAT, what,
                  said, sum);
}

static void
expect_sum(JsonNode *document, const char *path, const Sum *sum)
{
    g_autofree char *chunks = g_strconcat(path, ".chunks", NULL);
    g_autofree char *bytes = g_strconcat(path, ".chunk_bytes", NULL);
    expect_equal(chunks, real_get_uint(document, chunks), sum->chunks);
    expect_equal(bytes, real_get_uint(document, bytes), sum->chunk_bytes);
}

static void
compare_sums(JsonNode *document, const Sum *sums)
{
    Sum lost = {0};
    for (gsize i = 0; i < CLASSES; i++) {
        g_autofree char *path = g_strconcat("data.classes.", classes[i], NULL);
        expect_sum(document, g_strdelimit(path, "-", '_'), &sums[i]);
        if (i >= FIRST_LOST) {
            lost.chunks += sums[i].chunks;
            lost.chunk_bytes += sums[i].chunk_bytes;
        }
    }
    expect_sum(document, "data.lost", &lost);
    JsonArray *groups = real_get_array(document, "data.groups");
    guint64 chunks = 0, bytes = 0;
    for (guint i = 0; i < json_array_get_length(groups); i++) {
        JsonObject *group = json_array_get_object_element(groups, i);
        chunks += real_member_uint(group, "lost_chunks");
        bytes += real_member_uint(group, "lost_bytes");
    }
    expect_equal("chunks of all groups", chunks, lost.chunks);
    expect_equal("bytes of all groups", bytes, lost.chunk_bytes);
}

JsonNode *
real_compare_reach(const RealSubject *subject, RealTruth *truth)
{
    Sum sums[CLASSES];
    if (!compare_chunks(subject, truth, sums))
        return NULL;
    JsonNode *document = real_ask(subject, "leaks", NULL);
    if (document == NULL)
        return NULL;
    compare_sums(document, sums);
    g_autofree char *warnings = real_list_warnings(document);
    g_assert_cmpstr(warnings, ==, "");
    g_assert_cmpfloat(json_node_get_double(real_get(document, "data.root_coverage")), ==, 1);
    g_assert_true(json_node_get_boolean(real_get(document, "data.certain")));
    return document;
}
