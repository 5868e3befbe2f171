/*
 * Replays the fuzz target on cores made here and now, and on their mutations: real cores of
 * samples, with their modules at hand and as if from another machine; cores that the builder makes.
 */
#include <string.h>
#include <sys/wait.h>

#include "../real/run.h"
#include "core-builder.h"

#define PAGE            G_GUINT64_CONSTANT(4096)
#define REPLAY_SECONDS  300
#define ITERATIONS_FEW  "150" /* modules are opened and searched for symbols each time */
#define ITERATIONS_MANY "1000"

static void
replay(const char *path, const char *iterations)
{
    const char *command[] = {g_getenv("FUZZ_CORE"), "--iterations", iterations, path, NULL};
    g_autoptr(CoreFile) log = core_file_new(NULL, 0);
    g_assert_nonnull(command[0]);
    const int status = real_run_command(command, NULL, log, log, REPLAY_SECONDS);
    if (status == 0)
        return;
    g_autofree char *text = NULL;
    g_file_get_contents(log, &text, NULL, NULL);
    g_autofree char *kept = g_build_filename(g_get_tmp_dir(), "postmalloc-fuzz-failed", NULL);
    g_autofree char *bytes = NULL;
    gsize count = 0;
    if (g_file_get_contents(path, &bytes, &count, NULL))
        g_file_set_contents(kept, bytes, (gssize)count, NULL);
    g_test_fail_printf("wait status %d; the core is kept as %s: %s", status, kept, text);
}

/* Renames every module, so that none is found: what a core of another machine is like. */
static void
hide_modules(const char *path, const char *program)
{
    g_autofree char *bytes = NULL;
    gsize count = 0;
    g_assert_true(g_file_get_contents(path, &bytes, &count, NULL));
    const char *const names[] = {"/lib/", "/lib64/", program};
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        char *end = bytes + count;
        char *found = bytes;
        while ((found = memmem(found, (gsize)(end - found), names[i], strlen(names[i]))) != NULL)
            found[1] = '-';
    }
    g_assert_true(g_file_set_contents(path, bytes, (gssize)count, NULL));
}

typedef struct {
    const char *variable; /* names the sample */
    const char *options;
    RealCoreKind kind;
} Seed;

static void
test_real(gconstpointer data)
{
    const Seed *seed = data;
    const char *program[] = {g_getenv(seed->variable), NULL};
    g_assert_nonnull(program[0]);
    g_autoptr(RealRun) run = real_run_sample(program, seed->options, seed->kind);
    if (run == NULL)
        return;
    replay(run->core, ITERATIONS_FEW);
    hide_modules(run->core, program[0]);
    replay(run->core, ITERATIONS_MANY);
}

static void
test_built(gconstpointer data)
{
    static guint8 bytes[4096];
    static const CoreFileMapping mappings[] = {
        {0x400000, 0x402000, 0, "/usr/bin/prog"},
        {0x600000, 0x602000, 0, "/usr/lib/libc.so.6"},
    };
    static const guint64 auxv[][2] = {
        {AT_PHDR, 0x400040}, {AT_PHENT, 56},       {AT_PHNUM, 2}, {AT_PAGESZ, 4096},
        {AT_BASE, 0x600000}, {AT_ENTRY, 0x400100}, {AT_NULL, 0},
    };
    for (gsize i = 0; i < sizeof bytes; i++)
        bytes[i] = (guint8)(i % 16 == 2 ? 0x40 : i % 5);
    g_autoptr(CoreBuilder) builder = core_builder_new((guint16)GPOINTER_TO_UINT(data));
    for (guint64 i = 0; i < 4; i++)
        core_builder_add_segment(builder, &(CoreSegment){.start = 0x400000 + i * 0x100000,
                                                         .mapped_bytes = 2 * PAGE,
                                                         .dumped_bytes = PAGE,
                                                         .flags = PF_R | PF_W,
                                                         .bytes = bytes,
                                                         .bytes_count = PAGE});
    core_builder_add_prstatus(builder,
                              &(CoreThread){.tid = 9, .signal = 6, .sp = 0x500100, .tp = 0x500800});
    core_builder_add_prpsinfo(builder, 9, "prog", "prog");
    core_builder_add_siginfo(builder, 11, 1, 0x1234);
    core_builder_add_auxv(builder, auxv, G_N_ELEMENTS(auxv));
    core_builder_add_file_mappings(builder, mappings, G_N_ELEMENTS(mappings));
    core_builder_add_prstatus(builder, &(CoreThread){.tid = 10, .sp = 0x700100});
    for (guint variant = 0; variant < 3; variant++) {
        if (variant == 1)
            core_builder_set_gcore_layout(builder);
        if (variant == 2)
            core_builder_set_extended_numbering(builder);
        g_autoptr(CoreFile) core = core_builder_write_temp(builder);
        replay(core, ITERATIONS_MANY);
    }
}

int
main(int argc, char **argv)
{
    static const Seed seeds[] = {
        {"SAMPLE_CASE1", "100", REAL_KERNEL_CORE},
        {"SAMPLE_MIX", "--threads 2 --steps 40", REAL_KERNEL_CORE},
        {"SAMPLE_LAYOUTS", "--foreign-sbrk --many-mmapped 6", REAL_GCORE},
    };
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/fuzz-core/case1", &seeds[0], test_real);
    g_test_add_data_func("/fuzz-core/mix", &seeds[1], test_real);
    g_test_add_data_func("/fuzz-core/layouts", &seeds[2], test_real);
    g_test_add_data_func("/fuzz-core/built/x86-64", GUINT_TO_POINTER(EM_X86_64), test_built);
    g_test_add_data_func("/fuzz-core/built/i386", GUINT_TO_POINTER(EM_386), test_built);
    g_test_add_data_func("/fuzz-core/built/aarch64", GUINT_TO_POINTER(EM_AARCH64), test_built);
    return g_test_run();
}
