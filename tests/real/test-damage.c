/*
 * Damaged heaps: `check` names each kind of damage where it is, and nothing else; a healthy heap
 * has none.
 */
#include "run.h"
#include "tool.h"

#include <string.h>

static const char *const kinds[] = {"overflow", "off-by-one", "use-after-free",
                                    "fastbin",  "unsorted",   "double-free",
                                    "top",      "none"};

/* What the sample said: a code and an address; none for a heap that was left alone. */
static gboolean
read_truth(const RealRun *run, char **ret_code, guint64 *ret_address)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents(run->output, &text, NULL, NULL))
        return FALSE;
    char *space = strchr(text, ' ');
    if (space == NULL)
        return FALSE;
    *space = '\0';
    *ret_code = g_strdup(text);
    *ret_address = g_ascii_strtoull(space + 1, NULL, 16);
    return TRUE;
}

static void
test_kind(gconstpointer data)
{
    const char *kind = data;
    g_autoptr(RealRun) run = real_run_built_sample("case7", kind, REAL_KERNEL_CORE);
    if (run == NULL)
        return;
    const RealSubject subject = {.core = run->core};
    g_autoptr(JsonNode) document = real_ask(&subject, "check", NULL);
    if (document == NULL)
        return;
    JsonArray *violations = real_get_array(document, "data.violations");
    g_autofree char *code = NULL;
    guint64 address = 0;
    if (!read_truth(run, &code, &address)) {
        g_assert_cmpuint(json_array_get_length(violations), ==, 0);
        return;
    }
    g_assert_cmpuint(json_array_get_length(violations), ==, 1);
    if (json_array_get_length(violations) == 0)
        return;
    JsonObject *violation = json_array_get_object_element(violations, 0);
    g_assert_cmpstr(json_object_get_string_member(violation, "code"), ==, code);
    g_assert_cmphex(real_member_address(violation, "address"), ==, address);
}

/* Everything but the chunks that were overwritten is still walked. */
static void
test_walks_on(void)
{
    g_autoptr(RealRun) run = real_run_built_sample("case7", "overflow", REAL_KERNEL_CORE);
    if (run == NULL)
        return;
    const RealSubject subject = {.core = run->core};
    g_autoptr(JsonNode) document = real_ask(&subject, "sizes", NULL);
    g_autoptr(JsonNode) arenas = real_ask(&subject, "arenas", NULL);
    if (document == NULL || arenas == NULL)
        return;
    /* 64 blocks, one of them without a header. */
    guint64 chunks = 0;
    JsonArray *sizes = real_get_array(document, "data.sizes");
    for (guint i = 0; i < json_array_get_length(sizes); i++) {
        JsonObject *row = json_array_get_object_element(sizes, i);
        if (real_member_uint(row, "chunk_bytes") == 0x30)
            chunks = real_member_uint(json_object_get_object_member(row, "used"), "chunks");
    }
    g_assert_cmpuint(chunks, ==, 63);
    JsonObject *arena = json_array_get_object_element(real_get_array(arenas, "data.arenas"), 0);
    JsonObject *overhead = json_object_get_object_member(arena, "overhead");
    g_assert_cmpuint(real_member_uint(overhead, "damaged"), ==, 0x30);
    g_assert_cmpuint(real_member_uint(arena, "used_bytes") + real_member_uint(arena, "free_bytes") +
                         real_member_uint(arena, "overhead_bytes"),
                     ==, real_member_uint(arena, "system_bytes"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *path = g_strconcat("/real/damage/", kinds[i], NULL);
        g_test_add_data_func(path, kinds[i], test_kind);
    }
    g_test_add_func("/real/damage/walks-on", test_walks_on);
    return g_test_run();
}
