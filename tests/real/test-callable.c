/*
 * Sites in functions that nothing in the process leads to, of a library of which a part is used.
 */
#include "run.h"
#include "tool.h"

#include <string.h>

typedef struct {
    const char *function;
    gboolean is_called;
} Expected;

static const Expected expected[] = {
    {"callable_used", TRUE},    {"by_pointer", TRUE},    {"in_table", TRUE},
    {"callable_unused", FALSE}, {"under_unused", FALSE},
};

/* The evidence @signal of @site, or NULL. */
static JsonObject *
find_signal(JsonObject *site, const char *signal)
{
    JsonArray *evidence = json_object_get_array_member(site, "evidence");
    for (guint i = 0; i < json_array_get_length(evidence); i++) {
        JsonObject *one = json_array_get_object_element(evidence, i);
        if (g_str_equal(real_member_text(one, "signal"), signal))
            return one;
    }
    return NULL;
}

static void
check_site(JsonArray *sites, const Expected *one)
{
    for (guint i = 0; i < json_array_get_length(sites); i++) {
        JsonObject *site = json_array_get_object_element(sites, i);
        if (g_strcmp0(real_member_text(site, "function"), one->function) != 0)
            continue;
        JsonObject *unused = find_signal(site, "unused");
        g_test_message("%s: score %.4f", one->function,
                       json_object_get_double_member(site, "score"));
        if (one->is_called != (unused == NULL))
            real_fail("%s is said to be %s", one->function, unused ? "unused" : "used");
        if (unused != NULL)
            g_assert_cmpfloat(json_object_get_double_member(unused, "weight"), <, -0.5);
        /* Those that are called come first. */
        g_assert_cmpint(one->is_called, ==, i < 3);
        return;
    }
    real_fail("there is no site in %s", one->function);
}

/* The program's own, which may have been called, comes behind those that are referred to. */
static void
check_left(JsonArray *sites)
{
    JsonObject *site = json_array_get_object_element(sites, 3);
    g_assert_cmpstr(real_member_text(site, "function"), ==, "callable_left");
    g_assert_nonnull(find_signal(site, "unreferred"));
    g_assert_null(find_signal(site, "unused"));
    for (guint i = 0; i < 3; i++)
        g_assert_null(find_signal(json_array_get_object_element(sites, i), "unreferred"));
}

static void
test_library(void)
{
    g_autoptr(RealRun) run = real_run_built_sample("callable", "", REAL_KERNEL_CORE);
    if (run == NULL)
        return;
    const RealSubject subject = {.core = run->core};
    g_autoptr(JsonNode) document = real_ask(&subject, "sites --size 7331", NULL);
    if (document == NULL)
        return;
    JsonArray *sites = real_get_array(document, "data.sites");
    g_assert_cmpuint(json_array_get_length(sites), ==, G_N_ELEMENTS(expected) + 1);
    for (gsize i = 0; i < G_N_ELEMENTS(expected); i++)
        check_site(sites, &expected[i]);
    check_left(sites);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    g_test_add_func("/real/callable/library", test_library);
    return real_test_run();
}
