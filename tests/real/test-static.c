/*
 * Stripped static programs: no libc of their own, no symbol, main_arena in the program itself.
 */
#include "build.h"
#include "compare.h"
#include "run.h"

#include <string.h>

typedef struct {
    const char *name;
    const char *sample;
    const char *flags;
    const char *options;
    RealCoreKind kind;
    guint threads;
    guint exited;
} Case;

static const Case cases[] = {
    {"static/mix", "mix", "-static -s", "--printf", REAL_KERNEL_CORE, 9, 0},
    {"static/mix-gcore", "mix", "-static -s", "--threads 2", REAL_GCORE, 3, 0},
    {"static/mix-exit-some", "mix", "-static -s", "--exit-some --printf", REAL_KERNEL_CORE, 5, 4},
    {"static/noncontiguous", "layouts", "-static -s", "--body --noncontiguous", REAL_KERNEL_CORE, 1,
     0},
    {"static/foreign-sbrk", "layouts", "-static -s", "--foreign-sbrk", REAL_KERNEL_CORE, 1, 0},
    {"static/symbols", "layouts", "-static", "--body", REAL_KERNEL_CORE, 1, 0},
    {"static-pie/mix", "mix", "-static-pie -s", "--printf", REAL_KERNEL_CORE, 9, 0},
    {"static-pie/body", "layouts", "-static-pie -s", "--body", REAL_GCORE, 1, 0},
};

static void
test_static(gconstpointer data)
{
    const Case *one = data;
    g_autofree char *folder = g_dir_make_tmp("postmalloc-build-XXXXXX", NULL);
    g_autofree char *program_path = g_build_filename(folder, one->sample, NULL);
    g_autofree char *why = NULL;
    if (!real_build_sample(one->sample, program_path, one->flags, &why)) {
        g_test_skip(why);
        real_remove(folder);
        return;
    }
    const char *program[] = {program_path, NULL};
    g_autoptr(RealRun) run = real_run_sample(program, one->options, one->kind);
    if (run != NULL) {
        g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
        RealSubject subject = {.core = run->core};
        gboolean printed = g_strrstr(one->options, "--printf") != NULL;
        RealExpected expected = {
            .threads = one->threads,
            .startup_blocks = real_truth_is_since(truth, 35) ? 4 : 3,
            .found_by = g_str_has_suffix(one->flags, " -s") ? "signature" : "symbol",
            .runtime = real_expect_runtime(one->threads, one->exited, printed),
        };
        expected.runtime.link_maps = 1;
        real_compare(&subject, truth, &expected);
    }
    real_remove(folder);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/real/", cases[i].name, NULL);
        g_test_add_data_func(path, &cases[i], test_static);
    }
    return g_test_run();
}
