/*
 * Where sites are said to be whose functions were inlined, on a program that is compiled here.
 */
#include "analysis/sites/sites.h"
#include "compiled.h"
#include "dwarf/inlined.h"

#define REQUEST 4808

static const char source[] =
    "#include <cstdlib>\n"
    "#include <memory>\n"
    "void *volatile kept;\n"
    "static inline __attribute__((always_inline)) void *take(unsigned long count) {\n"
    "    return std::allocator<long>().allocate(count);\n"
    "}\n"
    "static inline __attribute__((always_inline)) void fill() {\n"
    "    kept = take(601);\n"
    "}\n"
    "int main() {\n"
    "    fill();\n"
    "    std::abort();\n"
    "}\n";

static const CompiledSource sources[] = {{"main.cc", source}, {NULL, NULL}};

static void
assert_called(const GArray *inlined, guint index, const char *function, guint line)
{
    const PmInlined *call = &g_array_index(inlined, PmInlined, index);
    g_assert_cmpstr(call->function, ==, function);
    g_assert_cmpuint(call->line, ==, line);
    g_assert_true(g_str_has_suffix(call->file, "main.cc"));
}

/* Not in the header of the C++ library that calls operator new: in the function of the program's
 * that calls that. */
static void
test_library(gconstpointer compiler)
{
    g_autoptr(Compiled) compiled = compiled_new(compiler, sources, "-g -O2");
    g_autoptr(GError) error = NULL;
    gsize count = 0;
    if (compiled == NULL)
        return;
    const PmTypesOptions options = {.cache_folder = ""};
    g_autoptr(PmTypes) types = pm_types_new(compiled->process, &options, compiled->diagnostics);
    const PmSubject subject = {.image = compiled->image,
                               .process = compiled->process,
                               .types = types,
                               .diagnostics = compiled->diagnostics};
    const PmSiteQuery query = {
        .by_request = TRUE, .request_min = REQUEST, .request_max = REQUEST, .cache_folder = ""};
    g_autoptr(PmSites) sites = pm_sites_new(&subject, &query, 1, &error);
    g_assert_no_error(error);
    const PmSite *site = pm_sites_get(sites, &count);
    g_assert_cmpuint(count, ==, 1);
    g_assert_cmpstr(site->function, ==, "main");
    g_assert_true(g_str_has_suffix(site->file, "main.cc"));
    g_assert_cmpuint(site->line, ==, 5);
    g_assert_nonnull(site->inlined);
    g_assert_cmpuint(site->inlined->len, ==, 2);
    assert_called(site->inlined, 0, "take", 8);
    assert_called(site->inlined, 1, "fill", 11);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#ifdef __x86_64__
    g_test_add_data_func("/inlining/gcc", "gcc", test_library);
    g_test_add_data_func("/inlining/clang", "clang", test_library);
#endif
    return g_test_run();
}
