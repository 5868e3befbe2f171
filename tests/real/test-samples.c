/*
 * Every chunk of every sample, in kernel cores and gcore snapshots, with what this machine knows of
 * libc's symbols and without it.
 */
#include "compare.h"
#include "run.h"

#include <string.h>

/*
 * @threads: live ones at the end, main too. @dtvs, @tcaches: as in RealRuntime. @tcaches_lazy: the
 * same from 2.43 on, where a thread gets its tcache with its first free().
 */
typedef struct {
    const char *name;
    const char *sample;
    const char *options;
    RealCoreKind kind;
    guint threads;
    guint dtvs;
    guint tcaches;
    guint tcaches_lazy;
} Case;

static const Case cases[] = {
    {"mix/kernel", "mix", "--printf", REAL_KERNEL_CORE, 9, 8, 9, 9},
    {"mix/gcore", "mix", "--printf", REAL_GCORE, 9, 8, 9, 9},
    {"mix-exit-some/kernel", "mix", "--exit-some --seed 2", REAL_KERNEL_CORE, 5, 8, 5, 5},
    {"mix-exit-some/gcore", "mix", "--exit-some --seed 2 --threads 4", REAL_GCORE, 3, 4, 3, 3},
    {"mix-shared-arenas/kernel", "mix", "--arena-max 2 --seed 3", REAL_KERNEL_CORE, 9, 8, 9, 9},
    {"case1", "case1", "100000", REAL_KERNEL_CORE, 1, 0, 1, 0},
    {"case1-churn", "case1", "50000 --churn", REAL_KERNEL_CORE, 1, 0, 1, 1},
    {"case2", "case2", "1000", REAL_KERNEL_CORE, 2, 1, 2, 0},
    {"body/kernel", "layouts", "--body", REAL_KERNEL_CORE, 1, 0, 1, 1},
    {"body/gcore", "layouts", "--body --printf", REAL_GCORE, 1, 0, 1, 1},
    {"no-free", "layouts", "--no-free", REAL_KERNEL_CORE, 1, 0, 1, 0},
    {"noncontiguous/kernel", "layouts", "--body --noncontiguous", REAL_KERNEL_CORE, 1, 0, 1, 1},
    {"noncontiguous/gcore", "layouts", "--body --noncontiguous", REAL_GCORE, 1, 0, 1, 1},
    {"noncontiguous-first", "layouts", "--noncontiguous", REAL_KERNEL_CORE, 1, 0, 1, 1},
    {"noncontiguous-unblocked", "layouts", "--body --noncontiguous --unblock", REAL_KERNEL_CORE, 1,
     0, 1, 1},
    {"foreign-sbrk/kernel", "layouts", "--body --foreign-sbrk", REAL_KERNEL_CORE, 1, 0, 1, 1},
    {"foreign-sbrk/gcore", "layouts", "--body --foreign-sbrk", REAL_GCORE, 1, 0, 1, 1},
    {"foreign-sbrk-first", "layouts", "--foreign-first --body", REAL_KERNEL_CORE, 1, 0, 1, 1},
    {"foreign-sbrk-blocked", "layouts", "--foreign-sbrk --noncontiguous --unblock",
     REAL_KERNEL_CORE, 1, 0, 1, 1},
    {"full-heap/kernel", "layouts", "--full-heap 8", REAL_KERNEL_CORE, 9, 8, 9, 8},
    {"full-heap/gcore", "layouts", "--full-heap 1", REAL_GCORE, 2, 1, 2, 1},
    {"trimmed/kernel", "layouts", "--trimmed", REAL_KERNEL_CORE, 1, 0, 1, 1},
    {"trimmed/gcore", "layouts", "--trimmed", REAL_GCORE, 1, 0, 1, 1},
    {"many-mmapped/kernel", "layouts", "--body --many-mmapped 500", REAL_KERNEL_CORE, 1, 0, 1, 1},
    {"many-mmapped/gcore", "layouts", "--many-mmapped 200", REAL_GCORE, 1, 0, 1, 0},
    {"small-mmapped", "layouts", "--mmap-threshold 1024 --body", REAL_KERNEL_CORE, 1, 0, 1, 1},
    {"no-mmapped", "layouts", "--mmap-threshold 32M --body --many-mmapped 40", REAL_KERNEL_CORE, 1,
     0, 1, 1},
    {"large-bins", "layouts", "--many-mmapped 50 --mmap-threshold 32M", REAL_KERNEL_CORE, 1, 0, 1,
     1},
    {"mix-one-exited", "mix", "--exit-some --threads 1", REAL_KERNEL_CORE, 1, 1, 1, 1},
    {"top-pad", "layouts", "--top-pad 1M --body --many-mmapped 20", REAL_KERNEL_CORE, 1, 0, 1, 1},
};

static RealExpected
expect(const Case *one, const RealTruth *truth)
{
    return (RealExpected){
        .threads = one->threads,
        .runtime =
            {
                .tcaches = real_truth_is_since(truth, 43) ? one->tcaches_lazy : one->tcaches,
                .dtvs = one->dtvs,
                .stdout_buffers = strstr(one->options, "--printf") ? 1 : 0,
            },
    };
}

/* Once with what is known of libc on this machine, once with its symbols out of reach. */
static void
test_sample(gconstpointer data)
{
    const Case *one = data;
    g_autofree char *sample = real_get_sample(one->sample);
    const char *program[] = {sample, NULL};
    g_autoptr(RealRun) run = real_run_sample(program, one->options, one->kind);
    if (run == NULL)
        return;
    g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
    RealExpected expected = expect(one, truth);
    RealSubject subject = {.core = run->core};
    real_compare(&subject, truth, &expected);

    g_autofree char *nothing = g_build_filename(run->folder, "nothing", NULL);
    g_assert_cmpint(g_mkdir_with_parents(nothing, 0700), ==, 0);
    const char *options[] = {"--debug-dir", nothing, NULL};
    subject.options = options;
    expected.found_by = "signature";
    expected.mp_may_hide = strstr(one->options, "--top-pad") != NULL;
    real_compare(&subject, truth, &expected);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/real/samples/", cases[i].name, NULL);
        g_test_add_data_func(path, &cases[i], test_sample);
    }
    return g_test_run();
}
