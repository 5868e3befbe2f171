/*
 * The same comparison under the loaders and libcs of other glibc versions, which fetch-glibc gets
 * from Debian's suites: started through the loader, as a program with options, and in the normal
 * form, by the program's own PT_INTERP.
 */
#include "build.h"
#include "compare.h"
#include "fetch.h"
#include "run.h"

#include <string.h>

#define FETCH_SECONDS 300

static const char *const suites[] = {"bullseye", "trixie", "forky", "sid", "experimental"};
#define SUITES G_N_ELEMENTS(suites)

static RealFetched fetched[SUITES];

/* @normal: by PT_INTERP. @tcaches_lazy: how many threads have ever freed, which is when 2.43 makes
 * a tcache. */
typedef struct {
    const char *name;
    const char *sample;
    const char *options;
    gboolean normal;
    guint threads;
    guint exited;
    guint tcaches_lazy;
} Case;

static const Case cases[] = {
    {"mix", "mix", "--printf", FALSE, 9, 0, 9},
    {"mix-normal", "mix", "--seed 7", TRUE, 9, 0, 9},
    {"mix-exit-some", "mix", "--exit-some --printf", TRUE, 5, 4, 5},
    {"noncontiguous", "layouts", "--body --noncontiguous --unblock", TRUE, 1, 0, 1},
    {"foreign-sbrk", "layouts", "--body --foreign-sbrk", FALSE, 1, 0, 1},
    {"foreign-sbrk-first", "layouts", "--foreign-first --no-free", TRUE, 1, 0, 0},
    {"full-heap", "layouts", "--full-heap 8", FALSE, 9, 0, 8},
    {"trimmed", "layouts", "--trimmed", FALSE, 1, 0, 1},
    {"many-mmapped", "layouts", "--many-mmapped 200", TRUE, 1, 0, 0},
    {"mix-one-exited", "mix", "--exit-some --threads 1", TRUE, 1, 1, 1},
    {"foreign-sbrk-blocked", "layouts", "--foreign-sbrk --noncontiguous", FALSE, 1, 0, 1},
    {"large-bins", "layouts", "--many-mmapped 50 --mmap-threshold 32M", FALSE, 1, 0, 0},
    {"every-shape", "layouts", "--no-free --trimmed --full-heap 2 --foreign-sbrk", TRUE, 3, 0, 3},
    {"body", "layouts", "--body", FALSE, 1, 0, 1},
};

/* Leaves the suite at @number out where one before it has the same glibc. */
static void
drop_twin(gsize number)
{
    RealFetched *suite = &fetched[number];
    for (gsize i = 0; i < number && suite->folder != NULL; i++) {
        if (fetched[i].folder == NULL || !g_str_equal(fetched[i].version, suite->version))
            continue;
        suite->why = g_strdup_printf("%s has glibc %s too", suites[i], suite->version);
        g_clear_pointer(&suite->folder, g_free);
    }
}

static void
fetch_all(void)
{
    real_fetch(g_getenv("POSTMALLOC_FETCH_GLIBC"), suites, SUITES, FETCH_SECONDS, fetched);
    for (gsize i = 0; i < SUITES; i++)
        drop_twin(i);
}

/* The sample for @one under @suite; NULL after a skip. */
static char *
build(const Case *one, const RealFetched *suite, const char *folder)
{
    const RealFetched *oldest = &fetched[0];
    if (oldest->folder == NULL) {
        g_autofree char *why = g_strdup_printf("samples are linked for %s, which cannot be had: %s",
                                               suites[0], oldest->why);
        g_test_skip(why);
        return NULL;
    }
    g_autofree char *sample = g_build_filename(folder, one->sample, NULL);
    g_autofree char *why = NULL;
    if (real_build_portable(one->sample, sample, oldest->folder, one->normal ? suite->folder : NULL,
                            &why))
        return g_steal_pointer(&sample);
    g_test_skip(why);
    return NULL;
}

static void
compare(const Case *one, const RealFetched *suite, const char *sample)
{
    g_autofree char *loader = real_get_loader(suite->folder);
    g_autofree char *libraries = real_get_libraries(suite->folder);
    const char *through_loader[] = {loader, "--library-path", libraries, sample, NULL};
    const char *normal[] = {sample, NULL};
    g_autoptr(RealRun) run =
        real_run_sample(one->normal ? normal : through_loader, one->options, REAL_KERNEL_CORE);
    if (run == NULL)
        return;
    g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
    g_assert_cmpstr(truth->glibc, ==, suite->version);
    RealSubject subject = {.core = run->core};
    RealExpected expected = {
        .threads = one->threads,
        .runtime = real_expect_runtime(one->threads, one->exited,
                                       strstr(one->options, "--printf") != NULL),
    };
    if (real_truth_is_since(truth, 43))
        expected.runtime.tcaches = one->tcaches_lazy;
    real_compare(&subject, truth, &expected);
}

static void
test_version(gconstpointer data)
{
    gsize number = GPOINTER_TO_SIZE(data);
    const RealFetched *suite = &fetched[number / G_N_ELEMENTS(cases)];
    const Case *one = &cases[number % G_N_ELEMENTS(cases)];
    if (suite->folder == NULL) {
        g_test_skip(suite->why);
        return;
    }
    g_autofree char *folder = g_dir_make_tmp("postmalloc-build-XXXXXX", NULL);
    g_autofree char *sample = build(one, suite, folder);
    if (sample != NULL)
        compare(one, suite, sample);
    real_remove(folder);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    fetch_all();
    for (gsize i = 0; i < SUITES; i++) {
        /* One that cannot be had is skipped once, not case by case. */
        gsize count = fetched[i].folder != NULL ? G_N_ELEMENTS(cases) : 1;
        for (gsize j = 0; j < count; j++) {
            g_autofree char *path = g_strdup_printf("/real/versions/%s/%s", suites[i],
                                                    count > 1 ? cases[j].name : "all");
            g_test_add_data_func(path, GSIZE_TO_POINTER(i * G_N_ELEMENTS(cases) + j), test_version);
        }
    }
    return g_test_run();
}
