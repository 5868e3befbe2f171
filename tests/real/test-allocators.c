/*
 * Processes that allocate with something else: it is named, and nothing is made up.
 */
#include "build.h"
#include "run.h"
#include "tool.h"

#include <string.h>

/* @library: what is preloaded, looked for in the usual folders of libraries. @name: what it is
 * called. */
typedef struct {
    const char *name;
    const char *library;
} Allocator;

static const Allocator allocators[] = {
    {"jemalloc", "libjemalloc.so.2"},
    {"tcmalloc", "libtcmalloc_minimal.so.4"},
    {"mimalloc", "libmimalloc.so.2"},
};

/* The library's path, or NULL where this machine has none. */
static char *
find_library(const char *library)
{
    static const char *const folders[] = {"/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"};
    for (gsize i = 0; i < G_N_ELEMENTS(folders); i++) {
        char *path = g_build_filename(folders[i], library, NULL);
        if (g_file_test(path, G_FILE_TEST_EXISTS))
            return path;
        g_free(path);
    }
    return NULL;
}

/* The commands that need a glibc heap refuse with the allocator's name; those that do not, answer.
 */
static void
check_named(const RealRun *run, const char *name)
{
    const RealSubject subject = {.core = run->core};
    static const char *const refused[] = {"sizes", "arenas", "chunks", "check", "leaks"};
    for (gsize i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autoptr(JsonNode) document = real_ask_refused(&subject, refused[i]);
        if (document == NULL)
            continue;
        g_assert_cmpstr(real_get_string(document, "error.code"), ==, "no-heap");
        g_assert_nonnull(strstr(real_get_string(document, "error.text"), name));
    }
    static const char *const answered[] = {"info", "report"};
    for (gsize i = 0; i < G_N_ELEMENTS(answered); i++) {
        g_autoptr(JsonNode) document = real_ask(&subject, answered[i], NULL);
        if (document != NULL && i == 0)
            g_assert_cmpstr(real_get_string(document, "data.allocator"), ==, name);
    }
}

static void
test_preloaded(gconstpointer data)
{
    const Allocator *allocator = data;
    g_autofree char *library = find_library(allocator->library);
    if (library == NULL) {
        g_test_skip("the allocator's library is not on this machine");
        return;
    }
    g_autofree char *preload = g_strconcat("LD_PRELOAD=", library, NULL);
    g_autofree char *sample = real_get_sample("case1");
    const char *program[] = {"/usr/bin/env", preload, sample, NULL};
    g_autoptr(RealRun) run = real_run_sample(program, "1000", REAL_KERNEL_CORE);
    if (run != NULL)
        check_named(run, allocator->name);
}

static void
test_musl(void)
{
    if (!real_require_program("musl-gcc", "a program with musl's malloc"))
        return;
    g_autofree char *folder = g_dir_make_tmp("postmalloc-musl-XXXXXX", NULL);
    g_autofree char *source = g_build_filename(folder, "leak.c", NULL);
    g_autofree char *program_path = g_build_filename(folder, "leak", NULL);
    static const char text[] = "#include <stdlib.h>\n"
                               "int main(void) { for (int i = 0; i < 99; i++)\n"
                               "    *(volatile char *)malloc(20) = 1; abort(); }\n";
    const char *compile[] = {"musl-gcc", "-O0", "-o", program_path, source, NULL};
    const char *program[] = {program_path, NULL};
    if (g_file_set_contents(source, text, -1, NULL) &&
        real_run_command(compile, NULL, NULL, NULL, 60) == 0) {
        g_autoptr(RealRun) run = real_run_sample(program, "", REAL_KERNEL_CORE);
        if (run != NULL)
            check_named(run, "musl");
    } else {
        g_test_skip("musl-gcc builds nothing here");
    }
    real_remove(folder);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    for (gsize i = 0; i < G_N_ELEMENTS(allocators); i++) {
        g_autofree char *path = g_strconcat("/real/allocators/", allocators[i].name, NULL);
        g_test_add_data_func(path, &allocators[i], test_preloaded);
    }
    g_test_add_func("/real/allocators/musl", test_musl);
    return g_test_run();
}
