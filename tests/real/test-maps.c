/*
 * What `maps` calls each region, beside what the samples know of them: one of every kind, and the
 * stacks of case 3 by their owner; from kernel cores and gcore snapshots, which dump different
 * things, without debug files, and under other versions of glibc.
 */
#include "build.h"
#include "fetch.h"
#include "run.h"
#include "tool.h"

#include <stdio.h>
#include <string.h>

#define PAGE          G_GUINT64_CONSTANT(4096)
#define ORPHAN_BYTES  ((guint64)10240 * 1024)
#define TOUCH_BYTES   ((guint64)80 * 1024)
#define FETCH_SECONDS 300

/* What confidences are called; as findings/suspect.h has them. */
#define MEDIUM 0.4
#define HIGH   0.75

/* One "# region" of a ledger. */
typedef struct {
    char kind[32];
    guint64 start;
    guint64 bytes;
    guint64 guard_bytes;
    guint64 tid;
} Row;

/* A core, what its ledger says and what `maps` says. */
typedef struct {
    RealRun *run;
    GArray *rows;
    JsonNode *document;
} Asked;

static GArray *
read_rows(const char *path)
{
    g_autofree char *text = NULL;
    GArray *rows = g_array_new(FALSE, TRUE, sizeof(Row));
    if (!g_file_get_contents(path, &text, NULL, NULL) || strstr(text, "# end\n") == NULL)
        real_fail("%s is not complete", path);
    g_auto(GStrv) lines = g_strsplit(text == NULL ? "" : text, "\n", -1);
    for (gsize i = 0; lines[i] != NULL; i++) {
        Row row = {""};
        if (sscanf(lines[i],
                   "# region %31s 0x%" G_GINT64_MODIFIER "x %" G_GINT64_MODIFIER
                   "u %" G_GINT64_MODIFIER "u %" G_GINT64_MODIFIER "u",
                   row.kind, &row.start, &row.bytes, &row.guard_bytes, &row.tid) == 5)
            g_array_append_val(rows, row);
    }
    return rows;
}

/* @run: (transfer full) (nullable). FALSE without a run, or after a failure. */
static gboolean
ask(Asked *asked, RealRun *run, const char *const *options)
{
    *asked = (Asked){.run = run};
    if (run == NULL)
        return FALSE;
    const RealSubject subject = {.core = run->core, .options = options};
    asked->rows = read_rows(run->ledger);
    asked->document = real_ask(&subject, "maps", NULL);
    return asked->document != NULL;
}

static void
clear(Asked *asked)
{
    if (asked->run != NULL)
        real_run_free(asked->run);
    if (asked->rows != NULL)
        g_array_unref(asked->rows);
    if (asked->document != NULL)
        json_node_unref(asked->document);
    *asked = (Asked){NULL, NULL, NULL};
}

static JsonObject *
find_region(JsonArray *regions, guint64 address)
{
    for (guint i = 0; i < json_array_get_length(regions); i++) {
        JsonObject *region = json_array_get_object_element(regions, i);
        if (real_member_address(region, "start") <= address &&
            address < real_member_address(region, "end"))
            return region;
    }
    return NULL;
}

static guint64
get_optional(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);
    return node != NULL && JSON_NODE_HOLDS_VALUE(node) ? (guint64)json_node_get_int(node) : 0;
}

static void
check_row(JsonArray *regions, const Row *row)
{
    JsonObject *region = find_region(regions, row->start);
    if (region == NULL) {
        real_fail("no region holds 0x%" G_GINT64_MODIFIER "x (%s)", row->start, row->kind);
        return;
    }
    const char *kind = real_member_text(region, "kind");
    const guint64 bytes = real_member_uint(region, "mapped_bytes");
    if (g_strcmp0(kind, row->kind) != 0)
        real_fail("0x%" G_GINT64_MODIFIER "x is %s, not %s", row->start, row->kind, kind);
    if (row->bytes != 0 &&
        (real_member_address(region, "start") != row->start || bytes != row->bytes))
        real_fail("%s at 0x%" G_GINT64_MODIFIER "x has %" G_GUINT64_FORMAT
                  " bytes, not %" G_GUINT64_FORMAT,
                  row->kind, row->start, row->bytes, bytes);
    if (get_optional(region, "thread") != row->tid)
        real_fail("%s at 0x%" G_GINT64_MODIFIER "x belongs to thread %" G_GUINT64_FORMAT
                  ", not %" G_GUINT64_FORMAT,
                  row->kind, row->start, row->tid, get_optional(region, "thread"));
    /* Guards of neighbours that are not stacks may merge. */
    const gboolean is_stack = g_str_has_prefix(row->kind, "stack-") && row->bytes != 0 &&
                              !g_str_equal(row->kind, "stack-signal");
    if (is_stack && real_member_uint(region, "guard_bytes") != row->guard_bytes)
        real_fail("the guard of %s at 0x%" G_GINT64_MODIFIER "x has %" G_GUINT64_FORMAT
                  " bytes, not %" G_GUINT64_FORMAT,
                  row->kind, row->start, row->guard_bytes, real_member_uint(region, "guard_bytes"));
    /* The sample writes to the lower half. */
    if (g_str_equal(row->kind, "shared-memory") &&
        real_member_uint(region, "nonzero_bytes") != row->bytes / 2)
        real_fail("0x%" G_GINT64_MODIFIER "x has %" G_GUINT64_FORMAT " non-zero bytes", row->start,
                  real_member_uint(region, "nonzero_bytes"));
}

/* The row of one kind, or NULL. */
static JsonObject *
find_kind(JsonNode *document, const char *kind)
{
    JsonArray *kinds = real_get_array(document, "data.kinds");
    for (guint i = 0; i < json_array_get_length(kinds); i++) {
        JsonObject *row = json_array_get_object_element(kinds, i);
        if (g_strcmp0(real_member_text(row, "kind"), kind) == 0)
            return row;
    }
    return NULL;
}

static guint64
count_kind(JsonNode *document, const char *kind)
{
    JsonObject *row = find_kind(document, kind);
    return row == NULL ? 0 : real_member_uint(row, "regions");
}

/* Regions ascend, and the sums by kind and in all are theirs. */
static void
check_sums(JsonNode *document)
{
    JsonArray *regions = real_get_array(document, "data.regions");
    JsonArray *kinds = real_get_array(document, "data.kinds");
    guint64 end = 0, mapped = 0, dumped = 0, by_kind = 0;
    for (guint i = 0; i < json_array_get_length(regions); i++) {
        JsonObject *region = json_array_get_object_element(regions, i);
        const guint64 start = real_member_address(region, "start");
        if (start < end || start >= real_member_address(region, "end"))
            real_fail("region %u is out of order", i);
        end = real_member_address(region, "end");
        mapped += real_member_uint(region, "mapped_bytes");
        dumped += real_member_uint(region, "dumped_bytes");
    }
    for (guint i = 0; i < json_array_get_length(kinds); i++)
        by_kind += real_member_uint(json_array_get_object_element(kinds, i), "mapped_bytes");
    g_assert_cmpuint(mapped, ==, by_kind);
    g_assert_cmpuint(mapped, ==, real_get_uint(document, "data.total.mapped_bytes"));
    g_assert_cmpuint(dumped, ==, real_get_uint(document, "data.total.dumped_bytes"));
}

static void
check_rows(const Asked *asked)
{
    JsonArray *regions = real_get_array(asked->document, "data.regions");
    g_assert_cmpuint(asked->rows->len, >, 0);
    for (guint i = 0; i < asked->rows->len; i++)
        check_row(regions, &g_array_index(asked->rows, Row, i));
    check_sums(asked->document);
}

/* What there must be beside the @orphans of @bytes each. */
static void
check_case3(const Asked *asked, guint orphans, guint64 bytes)
{
    check_rows(asked);
    g_assert_cmpuint(count_kind(asked->document, "stack-orphan"), ==, orphans);
    g_assert_cmpuint(count_kind(asked->document, "stack-live"), ==, 8);
    g_assert_cmpuint(count_kind(asked->document, "stack-cached"), ==, 5);
    g_assert_cmpuint(count_kind(asked->document, "stack-unjoined"), ==, 3);
    g_assert_cmpuint(count_kind(asked->document, "stack-main"), ==, 1);
    if (orphans == 0)
        return;
    JsonArray *repeated = real_get_array(asked->document, "data.repeated");
    g_assert_cmpuint(json_array_get_length(repeated), >, 0);
    JsonObject *first = json_array_get_object_element(repeated, 0);
    g_assert_cmpstr(real_member_text(first, "kind"), ==, "stack-orphan");
    g_assert_cmpuint(real_member_uint(first, "mapped_bytes"), ==, bytes);
    g_assert_cmpuint(real_member_uint(first, "guard_bytes"), ==, PAGE);
    g_assert_cmpuint(real_member_uint(first, "regions"), ==, orphans);
    g_assert_cmpuint(real_member_uint(first, "total_bytes"), ==, orphans * (bytes + PAGE));
    JsonObject *row = find_kind(asked->document, "stack-orphan");
    g_assert_cmpuint(real_member_uint(row, "nonzero_bytes"), >=, orphans * TOUCH_BYTES);
    g_assert_cmpuint(real_member_uint(row, "nonzero_bytes"), <=,
                     orphans * (TOUCH_BYTES + 4 * PAGE));
    if (!json_object_get_null_member(row, "touched_bytes"))
        g_assert_cmpuint(real_member_uint(row, "touched_bytes"), ==,
                         real_member_uint(row, "nonzero_bytes"));
}

/* The suspects that are regions. */
static guint
count_region_suspects(JsonNode *report)
{
    JsonArray *suspects = real_get_array(report, "data.suspects");
    guint count = 0;
    for (guint i = 0; i < json_array_get_length(suspects); i++)
        count += g_strcmp0(real_member_text(json_array_get_object_element(suspects, i), "kind"),
                           "region") == 0;
    return count;
}

/* What a signal of @suspect says, or NULL. */
static const char *
find_signal(JsonObject *suspect, const char *signal)
{
    JsonArray *evidence = json_object_get_array_member(suspect, "evidence");
    for (guint i = 0; i < json_array_get_length(evidence); i++) {
        JsonObject *seen = json_array_get_object_element(evidence, i);
        if (g_strcmp0(real_member_text(seen, "signal"), signal) == 0)
            return real_member_text(seen, "text");
    }
    return NULL;
}

/* The report's first suspect is the group of orphans; where there are none, no region is one. */
static void
check_suspects(const Asked *asked, guint orphans, const char *title)
{
    const RealSubject subject = {.core = asked->run->core};
    g_autoptr(JsonNode) report = real_ask(&subject, "report --uptime 10h", NULL);
    if (report == NULL)
        return;
    g_assert_cmpuint(count_region_suspects(report), ==, orphans > 0 ? 1 : 0);
    if (orphans == 0)
        return;
    JsonArray *suspects = real_get_array(report, "data.suspects");
    JsonObject *first = json_array_get_object_element(suspects, 0);
    g_assert_cmpstr(real_member_text(first, "kind"), ==, "region");
    g_assert_cmpuint(real_member_uint(first, "chunks"), ==, orphans);
    g_assert_cmpuint(real_member_uint(first, "bytes"), ==, orphans * (ORPHAN_BYTES + PAGE));
    g_assert_cmpfloat(json_object_get_double_member(first, "confidence"), >=, HIGH);
    g_assert_cmpfloat(json_object_get_double_member(first, "per_hour"), ==, orphans / 10.0);
    if (!g_str_has_prefix(real_member_text(first, "title"), title))
        real_fail("the first suspect is \"%s\"", real_member_text(first, "title"));
    const char *ran = find_signal(first, "ran");
    if (ran == NULL || strstr(ran, "short_lived+") == NULL)
        real_fail("what the threads ran is \"%s\"", ran == NULL ? "nothing" : ran);
}

static void
test_regions(gconstpointer data)
{
    static const char *const every_kind[] = {
        "main-heap",     "arena-heap",    "mmapped-chunk", "stack-main",
        "stack-live",    "stack-signal",  "guard",         "module-text",
        "module-rodata", "module-relro",  "module-data",   "module-bss",
        "vdso",          "shared-memory", "file",          "anonymous"};
    Asked asked;
    if (ask(&asked, real_run_built_sample("regions", "", (RealCoreKind)GPOINTER_TO_INT(data)),
            NULL)) {
        check_rows(&asked);
        for (gsize i = 0; i < G_N_ELEMENTS(every_kind); i++)
            if (count_kind(asked.document, every_kind[i]) == 0)
                real_fail("no %s", every_kind[i]);
        g_assert_cmpuint(count_kind(asked.document, "stack-signal"), ==, 2);
        g_assert_cmpuint(count_kind(asked.document, "stack-orphan"), ==, 0);
        g_assert_cmpuint(count_kind(asked.document, "stack-unjoined"), ==, 0);
        /* Nothing is wrong with it. */
        check_suspects(&asked, 0, NULL);
    }
    clear(&asked);
}

/* `show` says of an address what `maps` says of its region. */
static void
check_show(const Asked *asked, const char *kind)
{
    const RealSubject subject = {.core = asked->run->core};
    for (guint i = 0; i < asked->rows->len; i++) {
        const Row *row = &g_array_index(asked->rows, Row, i);
        if (!g_str_equal(row->kind, kind))
            continue;
        g_autofree char *address =
            g_strdup_printf("0x%" G_GINT64_MODIFIER "x", row->start + row->bytes / 2);
        g_autoptr(JsonNode) document = real_ask(&subject, "show", address);
        if (document != NULL)
            g_assert_cmpstr(real_get_string(document, "data.region.kind"), ==, kind);
        return;
    }
}

typedef struct {
    const char *name;
    const char *options;
    RealCoreKind kind;
    guint orphans;
} Case;

static const Case cases[] = {
    {"kernel", "", REAL_KERNEL_CORE, 500},
    {"gcore", "--orphans 20", REAL_GCORE, 20},
    {"no-orphans", "--orphans 0", REAL_KERNEL_CORE, 0},
    {"merged", "--orphans 17 --merged 3", REAL_KERNEL_CORE, 20},
    {"own-stacks", "--orphans 0 --user 2", REAL_KERNEL_CORE, 2},
};

static void
test_case3(gconstpointer data)
{
    const Case *one = data;
    Asked asked;
    if (ask(&asked, real_run_built_sample("case3", one->options, one->kind), NULL)) {
        if (strstr(one->options, "--user") == NULL)
            check_case3(&asked, one->orphans, ORPHAN_BYTES);
        else
            check_rows(&asked);
        g_autofree char *title = g_strdup_printf("%u orphan thread stacks of 10,240 KiB + 4 KiB "
                                                 "guard",
                                                 one->orphans);
        check_show(&asked, "stack-orphan");
        check_show(&asked, "stack-unjoined");
        check_suspects(&asked, one->orphans > 2 ? one->orphans : 0, title);
        g_assert_cmpuint(count_kind(asked.document, "stack-orphan"), ==, one->orphans);
    }
    clear(&asked);
}

/* Many threads that nobody joined are a suspect of their own. */
static void
test_unjoined(void)
{
    Asked asked;
    if (ask(&asked,
            real_run_built_sample("case3", "--orphans 0 --live 2 --cached 2 --unjoined 40",
                                  REAL_KERNEL_CORE),
            NULL)) {
        const RealSubject subject = {.core = asked.run->core};
        g_autoptr(JsonNode) report = real_ask(&subject, "report", NULL);
        check_rows(&asked);
        g_assert_cmpuint(count_kind(asked.document, "stack-unjoined"), ==, 40);
        g_assert_nonnull(report);
        g_assert_cmpuint(count_region_suspects(report), ==, 1);
        JsonObject *first =
            json_array_get_object_element(real_get_array(report, "data.suspects"), 0);
        g_assert_cmpuint(real_member_uint(first, "chunks"), ==, 40);
        g_assert_cmpfloat(json_object_get_double_member(first, "confidence"), >=, MEDIUM);
        g_assert_nonnull(strstr(real_member_text(first, "title"), "nobody joined"));
    }
    clear(&asked);
}

/* Neither debug files nor the program's own symbols. */
static void
test_stripped(void)
{
    g_autofree char *folder = g_dir_make_tmp("postmalloc-maps-XXXXXX", NULL);
    g_autofree char *empty = g_build_filename(folder, "debug", NULL);
    g_autofree char *program = g_build_filename(folder, "case3", NULL);
    const char *const command[] = {program, NULL};
    const char *const options[] = {"--debug-dir", empty, NULL};
    Asked asked = {NULL, NULL, NULL};
    if (!real_copy_sample("case3", folder, TRUE))
        g_test_skip("the sample case3 cannot be stripped");
    else if (ask(&asked, real_run_sample(command, "--orphans 40", REAL_KERNEL_CORE), options))
        check_case3(&asked, 40, ORPHAN_BYTES);
    clear(&asked);
    real_remove(folder);
}

/* The program's file and the libraries are not here: nothing can be read of their code. */
static void
test_without_files(void)
{
    g_autofree char *folder = g_dir_make_tmp("postmalloc-maps-XXXXXX", NULL);
    g_autofree char *program = g_build_filename(folder, "case3", NULL);
    const char *const command[] = {program, NULL};
    Asked asked = {NULL, NULL, NULL};
    if (!real_copy_sample("case3", folder, FALSE)) {
        g_test_skip("the sample case3 cannot be copied");
    } else {
        RealRun *run = real_run_sample(command, "--orphans 40", REAL_KERNEL_CORE);
        real_remove(program);
        if (ask(&asked, run, NULL))
            check_case3(&asked, 40, ORPHAN_BYTES);
    }
    clear(&asked);
    real_remove(folder);
}

static const char *const suites[] = {"bullseye", "trixie", "forky", "sid"};
static RealFetched fetched[G_N_ELEMENTS(suites)];

/* Under another glibc, whose lists and guards differ. */
static void
test_version(gconstpointer data)
{
    const RealFetched *suite = &fetched[GPOINTER_TO_SIZE(data)];
    g_autofree char *why = NULL;
    if (suite->folder == NULL || fetched[0].folder == NULL) {
        g_test_skip(suite->folder == NULL ? suite->why : fetched[0].why);
        return;
    }
    g_autofree char *folder = g_dir_make_tmp("postmalloc-maps-XXXXXX", NULL);
    g_autofree char *sample = g_build_filename(folder, "case3", NULL);
    const char *const command[] = {sample, NULL};
    Asked asked = {NULL, NULL, NULL};
    if (!real_build_portable("case3", sample, fetched[0].folder, suite->folder, &why))
        g_test_skip(why);
    else if (ask(&asked, real_run_sample(command, "--orphans 10", REAL_KERNEL_CORE), NULL))
        check_case3(&asked, 10, ORPHAN_BYTES);
    clear(&asked);
    real_remove(folder);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/maps/regions/kernel", GINT_TO_POINTER(REAL_KERNEL_CORE), test_regions);
    g_test_add_data_func("/maps/regions/gcore", GINT_TO_POINTER(REAL_GCORE), test_regions);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/maps/case3/%s", cases[i].name);
        g_test_add_data_func(path, &cases[i], test_case3);
    }
    g_test_add_func("/maps/case3/unjoined", test_unjoined);
    g_test_add_func("/maps/case3/stripped", test_stripped);
    g_test_add_func("/maps/case3/without-files", test_without_files);
    real_fetch(g_getenv("POSTMALLOC_FETCH_GLIBC"), suites, G_N_ELEMENTS(suites), FETCH_SECONDS,
               fetched);
    for (gsize i = 0; i < G_N_ELEMENTS(suites); i++) {
        g_autofree char *path = g_strdup_printf("/maps/case3/%s", suites[i]);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_version);
    }
    return g_test_run();
}
