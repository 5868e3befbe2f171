/* heapwalk/base: target address arithmetic, diagnostics, error codes. */
#include "base/diagnostics.h"
#include "base/error.h"

static void
test_addr_add(void)
{
    PmAddr sum = 7;
    g_assert_true(pm_addr_add(0x1000, 0x234, &sum));
    g_assert_cmphex(sum, ==, 0x1234);
    g_assert_true(pm_addr_add(G_MAXUINT64 - 1, 1, &sum));
    g_assert_cmphex(sum, ==, G_MAXUINT64);

    sum = 7;
    g_assert_false(pm_addr_add(G_MAXUINT64, 1, &sum));
    g_assert_false(pm_addr_add(2, G_MAXUINT64, &sum));
    g_assert_cmphex(sum, ==, 7);
}

static void
test_align(void)
{
    g_assert_cmphex(pm_align_down(0x1fff, 0x1000), ==, 0x1000);
    g_assert_cmphex(pm_align_down(0x1000, 0x1000), ==, 0x1000);
    g_assert_cmphex(pm_align_up(0x1001, 0x1000), ==, 0x2000);
    g_assert_cmphex(pm_align_up(0x1000, 0x1000), ==, 0x1000);
    g_assert_cmphex(pm_align_up(0, 16), ==, 0);
    g_assert_cmphex(pm_align_up(G_MAXUINT64 - 2, 16), ==, G_MAXUINT64 - 15);
}

static void
test_range(void)
{
    const PmRange range = {.start = 0x1000, .end = 0x1010};
    g_assert_false(pm_range_contains(range, 0xfff));
    g_assert_true(pm_range_contains(range, 0x1000));
    g_assert_true(pm_range_contains(range, 0x100f));
    g_assert_false(pm_range_contains(range, 0x1010));
    g_assert_cmpuint(pm_range_bytes(range), ==, 16);
}

static void
test_diagnostics_keep_what_was_said(void)
{
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    pm_diagnostics_add(diagnostics, "module-missing", PM_SEVERITY_WARNING, PM_ADDR_NONE,
                       "%s is not here", "libfoo.so");
    pm_diagnostics_add_arena(diagnostics, "chunk-size", PM_SEVERITY_ERROR, 0x7000, 0x7010,
                             "size %d", 3);

    g_assert_cmpuint(pm_diagnostics_get_count(diagnostics), ==, 2);
    const PmDiagnostic *first = pm_diagnostics_get(diagnostics, 0);
    g_assert_cmpstr(first->code, ==, "module-missing");
    g_assert_cmpint(first->severity, ==, PM_SEVERITY_WARNING);
    g_assert_cmphex(first->address, ==, PM_ADDR_NONE);
    g_assert_cmphex(first->arena, ==, PM_ADDR_NONE);
    g_assert_cmpstr(first->text, ==, "libfoo.so is not here");
    const PmDiagnostic *second = pm_diagnostics_get(diagnostics, 1);
    g_assert_cmphex(second->arena, ==, 0x7000);
    g_assert_cmphex(second->address, ==, 0x7010);
    g_assert_cmpstr(second->text, ==, "size 3");
}

/* A hostile heap gives millions of one kind; the others must still be heard, and the total be
 * known. */
static void
test_diagnostics_cap_each_code(void)
{
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    const guint many = 3 * PM_DIAGNOSTICS_PER_CODE;
    for (guint i = 0; i < many; i++)
        pm_diagnostics_add(diagnostics, "chunk-size", PM_SEVERITY_WARNING, i, "number %u", i);
    pm_diagnostics_add(diagnostics, "truncated", PM_SEVERITY_WARNING, PM_ADDR_NONE, "late");

    g_assert_cmpuint(pm_diagnostics_get_count(diagnostics), ==, PM_DIAGNOSTICS_PER_CODE + 1);
    g_assert_cmpuint(pm_diagnostics_count_code(diagnostics, "chunk-size"), ==, many);
    g_assert_cmpuint(pm_diagnostics_count_code(diagnostics, "truncated"), ==, 1);
    g_assert_cmpuint(pm_diagnostics_count_code(diagnostics, "never-added"), ==, 0);
    g_assert_cmpuint(pm_diagnostics_get_omitted(diagnostics), ==, many - PM_DIAGNOSTICS_PER_CODE);
    g_assert_cmpstr(pm_diagnostics_get(diagnostics, 0)->text, ==, "number 0");
    g_assert_cmpstr(pm_diagnostics_get(diagnostics, PM_DIAGNOSTICS_PER_CODE)->text, ==, "late");
}

static gpointer
add_from_thread(gpointer data)
{
    for (guint i = 0; i < 500; i++)
        pm_diagnostics_add(data, "threaded", PM_SEVERITY_NOTE, i, "from a thread");
    return NULL;
}

static void
test_diagnostics_from_threads(void)
{
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    GThread *threads[4];
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("adder", add_from_thread, diagnostics);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
    g_assert_cmpuint(pm_diagnostics_count_code(diagnostics, "threaded"), ==, 2000);
    g_assert_cmpuint(
        pm_diagnostics_get_count(diagnostics) + pm_diagnostics_get_omitted(diagnostics), ==, 2000);
}

/* Scripts compare these words: they are in INTERFACE.md. */
static void
test_names_scripts_rely_on(void)
{
    static const struct {
        PmError code;
        const char *word;
    } errors[] = {
        {PM_ERROR_OPEN, "open"},
        {PM_ERROR_NOT_A_CORE, "not-a-core"},
        {PM_ERROR_COMPRESSED, "compressed"},
        {PM_ERROR_UNSUPPORTED, "unsupported"},
        {PM_ERROR_NO_HEAP, "no-heap"},
        {PM_ERROR_NOT_FOUND, "not-found"},
        {PM_ERROR_MEMORY, "memory"},
        {PM_ERROR_USAGE, "usage"},
        {PM_ERROR_OUTPUT, "output"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(errors); i++) {
        g_autoptr(GError) error = g_error_new_literal(PM_ERROR, (gint)errors[i].code, "text");
        g_assert_cmpstr(pm_error_code(error), ==, errors[i].word);
    }
    g_autoptr(GError) foreign = g_error_new_literal(G_FILE_ERROR, G_FILE_ERROR_NOENT, "text");
    g_assert_cmpstr(pm_error_code(foreign), ==, "internal");

    g_assert_cmpstr(pm_severity_name(PM_SEVERITY_NOTE), ==, "note");
    g_assert_cmpstr(pm_severity_name(PM_SEVERITY_WARNING), ==, "warning");
    g_assert_cmpstr(pm_severity_name(PM_SEVERITY_ERROR), ==, "error");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/addr-add", test_addr_add);
    g_test_add_func("/base/align", test_align);
    g_test_add_func("/base/range", test_range);
    g_test_add_func("/base/diagnostics/keep", test_diagnostics_keep_what_was_said);
    g_test_add_func("/base/diagnostics/cap", test_diagnostics_cap_each_code);
    g_test_add_func("/base/diagnostics/threads", test_diagnostics_from_threads);
    g_test_add_func("/base/names", test_names_scripts_rely_on);
    return g_test_run();
}
