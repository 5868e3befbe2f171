#include "compiled.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static gboolean
run_in(const char *folder, const char *command)
{
    g_auto(GStrv) words = g_strsplit(command, " ", -1);
    g_autoptr(GError) error = NULL;
    g_autofree char *output = NULL;
    g_autofree char *errors = NULL;
    gint status = 0;
    if (!g_spawn_sync(folder, words, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output, &errors,
                      &status, &error)) {
        g_test_message("%s: %s", command, error->message);
        return FALSE;
    }
    if (status != 0)
        g_test_message("%s: %s", command, errors);
    return status == 0;
}

gboolean
compiled_run(const Compiled *compiled, const char *command)
{
    return run_in(compiled->folder, command);
}

static gboolean
compile(const char *folder, const char *compiler, const CompiledSource *sources, const char *flags)
{
    g_autoptr(GString) objects = g_string_new(NULL);
    const char *cxx = g_str_equal(compiler, "gcc") ? "g++" : "clang++";
    gboolean is_cxx = FALSE;
    for (; sources->name != NULL; sources++) {
        g_autofree char *path = g_build_filename(folder, sources->name, NULL);
        const gboolean is_header = g_str_has_suffix(sources->name, ".h");
        g_assert_true(g_file_set_contents(path, sources->text, -1, NULL));
        if (is_header)
            continue;
        const gboolean this_cxx = g_str_has_suffix(sources->name, ".cc");
        g_autofree char *command = g_strdup_printf("%s %s -c %s -o %s.o", this_cxx ? cxx : compiler,
                                                   flags, sources->name, sources->name);
        is_cxx = is_cxx || this_cxx;
        if (!run_in(folder, command))
            return FALSE;
        g_string_append_printf(objects, " %s.o", sources->name);
    }
    g_autofree char *link = g_strdup_printf("%s -Wl,--build-id=sha1%s -o program -lpthread",
                                            is_cxx ? cxx : compiler, objects->str);
    return run_in(folder, link);
}

static void
allow_core(gpointer data)
{
    const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    (void)data;
    setrlimit(RLIMIT_CORE, &unlimited);
}

static char *
find_core(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *entry = NULL;
    while (dir != NULL && (entry = g_dir_read_name(dir)) != NULL)
        if (g_str_has_prefix(entry, "core"))
            return g_build_filename(folder, entry, NULL);
    return NULL;
}

static void
close_core(Compiled *compiled)
{
    pm_process_free(compiled->process);
    pm_image_free(compiled->image);
    pm_diagnostics_free(compiled->diagnostics);
    compiled->process = NULL;
    compiled->image = NULL;
    compiled->diagnostics = NULL;
}

void
compiled_reopen(Compiled *compiled)
{
    g_autoptr(GError) error = NULL;
    if (compiled->process != NULL)
        close_core(compiled);
    compiled->diagnostics = pm_diagnostics_new();
    compiled->image = pm_image_open(compiled->core, compiled->diagnostics, &error);
    g_assert_no_error(error);
    compiled->process =
        pm_process_open(compiled->image, &compiled->options, compiled->diagnostics, &error);
    g_assert_no_error(error);
}

Compiled *
compiled_new(const char *compiler, const CompiledSource *sources, const char *flags)
{
    g_autoptr(Compiled) compiled = g_new0(Compiled, 1);
    compiled->folder = g_dir_make_tmp("postmalloc-XXXXXX", NULL);
    g_assert_nonnull(compiled->folder);
    compiled->program = g_build_filename(compiled->folder, "program", NULL);
    if (!compile(compiled->folder, compiler, sources, flags)) {
        g_test_skip("the program could not be compiled here");
        return NULL;
    }
    char *command[] = {compiled->program, NULL};
    g_assert_true(g_spawn_sync(compiled->folder, command, NULL, G_SPAWN_DEFAULT, allow_core, NULL,
                               NULL, NULL, NULL, NULL));
    compiled->core = find_core(compiled->folder);
    if (compiled->core == NULL) {
        g_test_skip("the kernel writes no core into the current folder (core_pattern, limits)");
        return NULL;
    }
    compiled_reopen(compiled);
    return g_steal_pointer(&compiled);
}

void
compiled_remove(const char *path)
{
    const char *entry = NULL;
    g_autoptr(GDir) dir =
        g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
    while (dir != NULL && (entry = g_dir_read_name(dir)) != NULL) {
        g_autofree char *child = g_build_filename(path, entry, NULL);
        compiled_remove(child);
    }
    g_remove(path);
}

void
compiled_free(Compiled *compiled)
{
    if (compiled == NULL)
        return;
    if (compiled->process != NULL)
        close_core(compiled);
    compiled_remove(compiled->folder);
    g_free(compiled->folder);
    g_free(compiled->program);
    g_free(compiled->core);
    g_free(compiled);
}

const PmModule *
compiled_get_module(const Compiled *compiled)
{
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(compiled->process, &count);
    g_assert_cmpuint(count, >, 0);
    return &modules[0];
}
