/*
 * Compiler command lines for samples.
 */
#include "build.h"

#include "run.h"

#define BUILD_SECONDS 60
#define TRIPLET       "x86_64-linux-gnu"

char *
real_get_libraries(const char *sysroot)
{
    return g_build_filename(sysroot, "lib", TRIPLET, NULL);
}

char *
real_get_loader(const char *sysroot)
{
    return g_build_filename(sysroot, "lib", TRIPLET, "ld-linux-x86-64.so.2", NULL);
}

static void
add_words(GPtrArray *command, const char *words)
{
    g_auto(GStrv) parts = g_strsplit(words, " ", -1);
    for (gsize i = 0; parts[i] != NULL; i++) {
        if (*parts[i])
            g_ptr_array_add(command, g_strdup(parts[i]));
    }
}

static void
add_path(GPtrArray *command, const char *folder, const char *name)
{
    g_ptr_array_add(command, g_build_filename(folder, name, NULL));
}

static void
add_sources(GPtrArray *command, const char *name)
{
    const char *folder = g_getenv("POSTMALLOC_SAMPLES_SOURCE");
    g_autofree char *source = g_strconcat(name, ".c", NULL);
    add_path(command, folder, source);
    add_path(command, folder, "ledger.c");
    add_path(command, folder, "ending.c");
}

static GPtrArray *
start_command(const char *output, const char *options)
{
    GPtrArray *command = g_ptr_array_new_with_free_func(g_free);
    add_words(command, g_getenv("POSTMALLOC_CC"));
    add_words(command,
              "-std=gnu11 -D_GNU_SOURCE -g -O1 -pthread -fno-builtin-malloc -fno-builtin-free");
    add_words(command, options);
    g_ptr_array_add(command, g_strdup("-o"));
    g_ptr_array_add(command, g_strdup(output));
    return command;
}

static gboolean
compile(GPtrArray *command, const char *output, char **ret_why)
{
    g_autofree char *log = g_strconcat(output, ".log", NULL);
    g_ptr_array_add(command, NULL);
    if (real_run_command((const char *const *)command->pdata, NULL, log, log, BUILD_SECONDS) == 0)
        return TRUE;
    g_autofree char *text = NULL;
    g_file_get_contents(log, &text, NULL, NULL);
    *ret_why = g_strdup_printf("the sample cannot be built so here: %.600s", text ? text : "");
    return FALSE;
}

gboolean
real_build_sample(const char *name, const char *output, const char *options, char **ret_why)
{
    g_autoptr(GPtrArray) command = start_command(output, options);
    add_sources(command, name);
    return compile(command, output, ret_why);
}

/*
 * Everything is named in full: compilers differ in where --sysroot makes them look for start files
 * and libraries. Up to 2.33 threads have a library of their own, of which later ones ship an empty
 * one.
 */
gboolean
real_build_portable(const char *name, const char *output, const char *sysroot, const char *runtime,
                    char **ret_why)
{
    g_autofree char *development = g_build_filename(sysroot, "usr", "lib", TRIPLET, NULL);
    g_autofree char *libraries = real_get_libraries(sysroot);
    g_autoptr(GPtrArray) command = start_command(output, "-fPIE -pie -nostdlib");
    g_ptr_array_add(command, g_strconcat("--sysroot=", sysroot, NULL));
    if (runtime != NULL) {
        g_autofree char *loader = real_get_loader(runtime);
        g_autofree char *folder = real_get_libraries(runtime);
        g_ptr_array_add(command, g_strconcat("-Wl,--dynamic-linker=", loader, NULL));
        g_ptr_array_add(command, g_strconcat("-Wl,-rpath,", folder, NULL));
    }
    add_path(command, development, "Scrt1.o");
    add_path(command, development, "crti.o");
    add_sources(command, name);
    add_path(command, libraries, "libpthread.so.0");
    add_path(command, libraries, "libc.so.6");
    add_path(command, development, "libc_nonshared.a");
    g_ptr_array_add(command, g_strdup("-lgcc"));
    add_path(command, development, "crtn.o");
    return compile(command, output, ret_why);
}

gboolean
real_copy_sample(const char *name, const char *folder, gboolean strip)
{
    g_autofree char *from = real_get_sample(name);
    g_autofree char *to = g_build_filename(folder, name, NULL);
    const char *const copy[] = {"cp", from, to, NULL};
    const char *const strips[] = {"strip", "--strip-all", to, NULL};
    return g_file_test(from, G_FILE_TEST_EXISTS) &&
           real_run_command(copy, NULL, NULL, NULL, BUILD_SECONDS) == 0 &&
           (!strip || real_run_command(strips, NULL, NULL, NULL, BUILD_SECONDS) == 0);
}
