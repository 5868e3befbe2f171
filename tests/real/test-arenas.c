/*
 * Case 4: what `arenas` says that malloc_trim(0) would give back is what it gives back when the
 * same sample calls it; the chunk that pins each heap is the last one in use by the ledger;
 * settings are named where the figures support them, and only there.
 */
#include "build.h"
#include "fetch.h"
#include "run.h"
#include "tool.h"
#include "truth.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define TRIM_SECONDS 60
/* What trimmable_bytes may be off the fall in Private_Dirty: what a thread touches by the way. */
#define SLACK_BYTES 65536

/* The first is the oldest, for which the sample is linked: tcache, then safe-linking; from 2.43 on
 * without fastbins. */
static const char *const suites[] = {"bullseye", "trixie", "forky"};
#define SUITES        G_N_ELEMENTS(suites)
#define FETCH_SECONDS 120

static RealFetched fetched[SUITES];

/*
 * @session: each heap is pinned by what its thread allocated last. @exited: threads that ended.
 * @suspect: the arenas are the report's first suspect. @passing: but with low confidence, for
 * nothing keeps what is free there.
 * @advice: the settings that must be named, in the order of their names, parted by spaces.
 */
typedef struct {
    const char *name;
    const char *options;
    RealCoreKind kind;
    guint threads;
    guint exited;
    gboolean session;
    gboolean suspect;
    gboolean passing;
    const char *advice;
} Case;

static const Case cases[] = {
    {"main-pinned", "--threads 0 --main-bytes 40M", REAL_KERNEL_CORE, 1, 0, TRUE, TRUE, FALSE,
     "malloc_trim"},
    {"main-pinned/gcore", "--threads 0 --main-bytes 40M", REAL_GCORE, 1, 0, TRUE, TRUE, FALSE,
     "malloc_trim"},
    {"main-unpinned", "--threads 0 --main-bytes 40M --unpinned --raise 31M", REAL_KERNEL_CORE, 1, 0,
     FALSE, TRUE, TRUE, "malloc_trim"},
    {"threads", "", REAL_KERNEL_CORE, 65, 0, TRUE, TRUE, FALSE, "M_ARENA_MAX malloc_trim"},
    {"threads-exited", "--exit 20 --raise 31M --seed 2", REAL_KERNEL_CORE, 45, 20, TRUE, TRUE,
     FALSE, "M_ARENA_MAX M_MMAP_THRESHOLD malloc_trim"},
    /* The tops of thread arenas stay, and some hold more than one heap. */
    {"threads-unpinned", "--threads 2 --thread-bytes 90M --unpinned --raise 31M --seed 3",
     REAL_KERNEL_CORE, 3, 0, FALSE, TRUE, FALSE, "M_MMAP_THRESHOLD malloc_trim"},
    {"threads-two-heaps", "--threads 2 --thread-bytes 90M --raise 31M --seed 4", REAL_KERNEL_CORE,
     3, 0, FALSE, TRUE, FALSE, "M_MMAP_THRESHOLD malloc_trim"},
    {"threads-small", "--threads 4 --thread-bytes 256K --main-bytes 256K", REAL_KERNEL_CORE, 5, 0,
     TRUE, FALSE, FALSE, ""},
};

/* Samples that have nothing of the kind. */
typedef struct {
    const char *name;
    const char *sample;
    const char *options;
} Plain;

static const Plain plain[] = {
    {"case1", "case1", "50000 --churn"},
    {"case2", "case2", "1000"},
    {"layouts", "layouts", "--body"},
    {"layouts-trimmed", "layouts", "--trimmed"},
    {"full-heaps", "layouts", "--full-heap 2"},
    {"typed", "typed", ""},
    {"mix-small", "mix", "--threads 8 --steps 60"},
};

/* TRUE where the kernel's cores can be had; a snapshot of 64 arenas has gigabytes of reserves. */
static gboolean
require_kernel_cores(void)
{
    g_autofree char *pattern = NULL;
    if (g_file_get_contents("/proc/sys/kernel/core_pattern", &pattern, NULL, NULL) &&
        pattern[0] == '|') {
        g_test_skip("cores go into a pipe here");
        return FALSE;
    }
    return TRUE;
}

/* Runs @sample again, to where it would end, and has it call malloc_trim(0). FALSE after
 * g_test_skip(). */
static gboolean
measure_fall(const char *sample, const char *options, const RealRun *run, guint64 *ret_fall)
{
    g_autofree char *output = g_build_filename(run->folder, "trim", NULL);
    g_autofree char *line = g_strconcat(sample, " --trim ", options, NULL);
    g_auto(GStrv) words = g_strsplit(g_strchomp(line), " ", -1);
    const int status =
        real_run_command((const char *const *)words, run->folder, output, NULL, TRIM_SECONDS);
    if (status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 4) {
        g_test_skip("no /proc/self/smaps_rollup here");
        return FALSE;
    }
    g_autofree char *text = NULL;
    guint64 before = 0, after = 0;
    g_assert_cmpint(status, ==, 0);
    g_assert_true(g_file_get_contents(output, &text, NULL, NULL));
    g_assert_cmpint(
        sscanf(text, "before %" G_GUINT64_FORMAT " after %" G_GUINT64_FORMAT, &before, &after), ==,
        2);
    g_assert_cmpuint(before, >=, after);
    *ret_fall = before - after;
    return TRUE;
}

static void
compare_trim(const char *sample, const char *options, const RealRun *run, JsonNode *document)
{
    guint64 fall = 0, sum = 0;
    const guint64 trimmable = real_get_uint(document, "data.totals.trimmable_bytes");
    JsonArray *arenas = real_get_array(document, "data.arenas");
    for (guint i = 0; i < json_array_get_length(arenas); i++)
        sum += real_member_uint(json_array_get_object_element(arenas, i), "trimmable_bytes");
    g_assert_cmpuint(sum, ==, trimmable);
    if (!measure_fall(sample, options, run, &fall))
        return;
    const guint64 off = fall > trimmable ? fall - trimmable : trimmable - fall;
    g_test_message("trimmable %" G_GUINT64_FORMAT ", Private_Dirty fell by %" G_GUINT64_FORMAT,
                   trimmable, fall);
    if (off > SLACK_BYTES)
        real_fail("trimmable_bytes is %" G_GUINT64_FORMAT
                  ", but Private_Dirty fell by %" G_GUINT64_FORMAT,
                  trimmable, fall);
}

/* The last live row of [start, end), or NULL. */
static const RealRow *
find_last_row(const RealTruth *truth, guint64 start, guint64 end)
{
    const RealRow *last = NULL;
    for (guint i = 0; i < truth->live->len; i++) {
        const RealRow *row = &g_array_index(truth->live, RealRow, i);
        if (row->address >= start && row->address < end && row->place != REAL_PLACE_MMAPPED)
            last = row;
    }
    return last;
}

static void
compare_session(JsonObject *pin, const RealRow *row)
{
    g_assert_cmpstr(row->name, ==, "session");
    g_assert_cmpstr(real_member_text(pin, "state"), ==, "used");
    g_assert_cmpstr(real_member_text(pin, "type"), ==, "struct case4_session");
    g_assert_cmpstr(real_member_text(pin, "type_source"), ==, "pointer");
}

/* The pin is the last row in use, or behind it a block of glibc's own or one in a tcache. */
static void
compare_pin(const Case *one, const RealTruth *truth, JsonObject *heap)
{
    const guint64 end = real_member_address(heap, "end");
    const RealRow *row = find_last_row(truth, real_member_address(heap, "start"), end);
    JsonObject *pin = json_object_get_null_member(heap, "pin")
                          ? NULL
                          : json_object_get_object_member(heap, "pin");
    if (pin == NULL) {
        g_assert_null(row);
        return;
    }
    const guint64 address = real_member_address(pin, "address");
    const char *state = real_member_text(pin, "state");
    g_assert_cmpuint(address + real_member_uint(pin, "chunk_bytes") - 16 +
                         real_member_uint(pin, "above_bytes"),
                     ==, end);
    if (g_str_equal(state, "used")) {
        g_assert_nonnull(row);
        g_assert_cmphex(address, ==, row->address);
        g_assert_cmpuint(real_member_uint(pin, "chunk_bytes"), ==, row->chunk_bytes);
        g_assert_cmpstr(real_member_text(pin, "reach"), ==, row->reach);
    } else {
        g_assert_true(g_str_equal(state, "runtime") || g_str_equal(state, "tcache"));
        g_assert_true(row == NULL || address > row->address);
        g_assert_null(real_member_text(pin, "reach"));
    }
    if (one->session && row != NULL)
        compare_session(pin, row);
}

/* Returns: how many heaps there are. */
static guint
compare_pins(const Case *one, const RealTruth *truth, JsonNode *document)
{
    guint count = 0;
    JsonArray *arenas = real_get_array(document, "data.arenas");
    for (guint i = 0; i < json_array_get_length(arenas); i++) {
        JsonArray *heaps =
            json_object_get_array_member(json_array_get_object_element(arenas, i), "heaps_detail");
        for (guint j = 0; j < json_array_get_length(heaps); j++, count++)
            compare_pin(one, truth, json_array_get_object_element(heaps, j));
    }
    return count;
}

static int
compare_names(gconstpointer left, gconstpointer right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The settings named, in the order of their names, parted by spaces. */
static char *
list_advice(JsonNode *document)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    JsonArray *advice = real_get_array(document, "data.advice");
    for (guint i = 0; i < json_array_get_length(advice); i++)
        g_ptr_array_add(
            names, (gpointer)real_member_text(json_array_get_object_element(advice, i), "setting"));
    g_ptr_array_sort(names, compare_names);
    g_ptr_array_add(names, NULL);
    return g_strjoinv(" ", (char **)names->pdata);
}

/* Each thread is at one arena, and each arena that nobody left has one. */
static void
compare_threads(const Case *one, JsonNode *document)
{
    guint threads = 0, empty = 0;
    JsonArray *arenas = real_get_array(document, "data.arenas");
    for (guint i = 0; i < json_array_get_length(arenas); i++) {
        const guint count = json_array_get_length(
            json_object_get_array_member(json_array_get_object_element(arenas, i), "threads"));
        threads += count;
        empty += count == 0;
    }
    g_assert_cmpuint(threads, ==, one->threads);
    g_assert_cmpuint(empty, ==, one->exited);
    g_assert_cmpuint(real_get_uint(document, "data.totals.arenas_without_threads"), ==,
                     one->exited);
    g_assert_cmpuint(json_array_get_length(arenas), ==, one->threads + one->exited);
}

/* The suspect of the kind that the arenas make, or NULL. */
static JsonObject *
find_suspect(JsonNode *report)
{
    JsonArray *suspects = real_get_array(report, "data.suspects");
    for (guint i = 0; i < json_array_get_length(suspects); i++) {
        JsonObject *suspect = json_array_get_object_element(suspects, i);
        if (g_strcmp0(real_member_text(suspect, "kind"), "arena") == 0)
            return suspect;
    }
    return NULL;
}

/* Where the arenas hold more free memory than a program needs, they are the first suspect: nothing
 * in this sample leaks. Where nothing keeps it there, it may be needed again a moment later. */
static void
compare_suspect(const Case *one, const RealSubject *subject, JsonNode *arenas)
{
    g_autoptr(JsonNode) report = real_ask(subject, "report", NULL);
    if (report == NULL)
        return;
    JsonObject *suspect = find_suspect(report);
    const guint64 held = real_get_uint(arenas, "data.totals.free_bytes") -
                         real_get_uint(arenas, "data.totals.untouched_bytes");
    if (!one->suspect) {
        g_assert_null(suspect);
        return;
    }
    g_assert_nonnull(suspect);
    if (suspect == NULL)
        return;
    g_assert_cmpuint(real_member_uint(suspect, "rank"), ==, 1);
    g_assert_cmpuint(real_member_uint(suspect, "bytes"), ==, held);
    g_assert_cmpuint(real_member_uint(suspect, "chunks"), ==, one->threads + one->exited);
    const gboolean is_low = g_strcmp0(real_member_text(suspect, "confidence_word"), "low") == 0;
    g_assert_cmpint(is_low, ==, one->passing);
}

static void
test_case(gconstpointer data)
{
    const Case *one = data;
    if (one->kind == REAL_KERNEL_CORE && !require_kernel_cores())
        return;
    g_autoptr(RealRun) run = real_run_built_sample("case4", one->options, one->kind);
    if (run == NULL)
        return;
    const RealSubject subject = {.core = run->core};
    g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
    g_autoptr(JsonNode) document = real_ask(&subject, "arenas", NULL);
    if (document == NULL)
        return;
    g_autofree char *sample = real_get_sample("case4");
    compare_trim(sample, one->options, run, document);
    compare_threads(one, document);
    const guint heaps = compare_pins(one, truth, document);
    g_assert_cmpuint(heaps, >=, one->threads + one->exited);
    if (strstr(one->name, "two-heaps") != NULL)
        g_assert_cmpuint(heaps, >, one->threads);
    g_autofree char *advice = list_advice(document);
    g_assert_cmpstr(advice, ==, one->advice);
    compare_suspect(one, &subject, document);
}

static void
test_plain(gconstpointer data)
{
    const Plain *one = data;
    g_autoptr(RealRun) run = real_run_built_sample(one->sample, one->options, REAL_KERNEL_CORE);
    if (run == NULL)
        return;
    const RealSubject subject = {.core = run->core};
    g_autoptr(JsonNode) document = real_ask(&subject, "arenas", NULL);
    if (document == NULL)
        return;
    g_autofree char *advice = list_advice(document);
    g_assert_cmpstr(advice, ==, "");
    g_autoptr(JsonNode) report = real_ask(&subject, "report", NULL);
    if (report != NULL)
        g_assert_null(find_suspect(report));
}

/* Under @suite's glibc: malloc_trim is the same in all, what it finds is not. */
static void
test_version(gconstpointer data)
{
    const RealFetched *suite = data;
    static const char *const options[] = {
        "--threads 0 --main-bytes 24M", "--threads 0 --main-bytes 24M --unpinned --raise 31M",
        "--threads 16 --thread-bytes 1M", "--threads 2 --thread-bytes 70M --unpinned --raise 31M"};
    if (!require_kernel_cores())
        return;
    if (suite->folder == NULL || fetched[0].folder == NULL) {
        g_test_skip(suite->folder == NULL ? suite->why : fetched[0].why);
        return;
    }
    g_autofree char *folder = g_dir_make_tmp("postmalloc-build-XXXXXX", NULL);
    g_autofree char *sample = g_build_filename(folder, "case4", NULL);
    g_autofree char *why = NULL;
    if (!real_build_portable("case4", sample, fetched[0].folder, suite->folder, &why)) {
        g_test_skip(why);
        real_remove(folder);
        return;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(options); i++) {
        const char *program[] = {sample, NULL};
        g_autoptr(RealRun) run = real_run_sample(program, options[i], REAL_KERNEL_CORE);
        const RealSubject subject = {.core = run != NULL ? run->core : NULL};
        g_autoptr(JsonNode) document = run != NULL ? real_ask(&subject, "arenas", NULL) : NULL;
        if (document != NULL)
            compare_trim(sample, options[i], run, document);
    }
    real_remove(folder);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/real/arenas/", cases[i].name, NULL);
        g_test_add_data_func(path, &cases[i], test_case);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(plain); i++) {
        g_autofree char *path = g_strconcat("/real/arenas/plain/", plain[i].name, NULL);
        g_test_add_data_func(path, &plain[i], test_plain);
    }
    real_fetch(g_getenv("POSTMALLOC_FETCH_GLIBC"), suites, SUITES, FETCH_SECONDS, fetched);
    for (gsize i = 0; i < SUITES; i++) {
        g_autofree char *path = g_strconcat("/real/arenas/versions/", suites[i], NULL);
        g_test_add_data_func(path, &fetched[i], test_version);
    }
    return g_test_run();
}
