/*
 * report: the suspects that it names, of programs of which the ledger or the scene says what went
 * wrong.
 */
#include "build.h"
#include "run.h"
#include "tool.h"

#include <glib/gstdio.h>
#include <string.h>

/* What confidences are called; as findings/suspect.h has them. */
#define MEDIUM 0.4
#define HIGH   0.75

static JsonNode *
report_on(const RealRun *run, const char *options)
{
    RealSubject subject = {.core = run->core};
    g_autofree char *command =
        options == NULL ? g_strdup("report") : g_strdup_printf("report %s", options);
    return real_ask(&subject, command, NULL);
}

/* The report on @scene of the sample @name; NULL where it cannot be made here. */
static JsonNode *
play(const char *name, const char *scene)
{
    g_autoptr(RealRun) run = real_run_built_sample(name, scene, REAL_KERNEL_CORE);
    return run == NULL ? NULL : report_on(run, NULL);
}

static JsonObject *
get_suspect(JsonNode *document, guint index)
{
    JsonArray *suspects = real_get_array(document, "data.suspects");
    if (index >= json_array_get_length(suspects)) {
        real_fail("there is no suspect %u", index + 1);
        return NULL;
    }
    return json_array_get_object_element(suspects, index);
}

/* What a signal says, or NULL where it is not among the evidence. */
static const char *
find_signal(JsonObject *suspect, const char *signal)
{
    JsonArray *evidence = json_object_get_array_member(suspect, "evidence");
    for (guint i = 0; i < json_array_get_length(evidence); i++) {
        JsonObject *seen = json_array_get_object_element(evidence, i);
        if (strcmp(json_object_get_string_member(seen, "signal"), signal) == 0)
            return json_object_get_string_member(seen, "text");
    }
    return NULL;
}

static double
get_confidence(JsonObject *suspect)
{
    return json_object_get_double_member(suspect, "confidence");
}

static void
assert_no_suspects(JsonNode *document)
{
    JsonArray *suspects = real_get_array(document, "data.suspects");
    for (guint i = 0; i < json_array_get_length(suspects); i++)
        g_assert_cmpfloat(get_confidence(json_array_get_object_element(suspects, i)), <, MEDIUM);
}

/* Records with texts on them: the records are to blame for both, although a class holds texts as
 * well. */
static void
test_records(void)
{
    g_autoptr(JsonNode) document = play("suspects", "records");
    JsonObject *first = document == NULL ? NULL : get_suspect(document, 0);
    if (first == NULL)
        return;
    g_assert_cmpuint(real_member_uint(first, "chunk_bytes"), ==, 0x40);
    g_assert_cmpfloat(get_confidence(first), >=, HIGH);
    g_assert_cmpfloat(json_object_get_double_member(first, "lost_share"), ==, 1);
    g_assert_cmpstr(json_object_get_string_member(first, "type"), ==, "Record");
    const char *hanging = find_signal(first, "hanging");
    g_assert_nonnull(hanging);
    g_assert_true(g_str_has_prefix(hanging, "5,000 more lost chunks"));
    g_assert_null(find_signal(first, "hidden"));
}

/* Records that are lost beside others of their class, and buffers that only they lead to: what a
 * sample of the lost ones tells is not said of all, and the buffers are nothing that is in use. */
static void
test_parts(void)
{
    g_autoptr(RealRun) run = real_run_built_sample("suspects", "parts", REAL_KERNEL_CORE);
    g_autoptr(JsonNode) document = run == NULL ? NULL : report_on(run, "--uptime 10h");
    JsonObject *first = document == NULL ? NULL : get_suspect(document, 0);
    JsonObject *buffers = document == NULL ? NULL : get_suspect(document, 1);
    if (first == NULL || buffers == NULL)
        return;
    g_assert_cmpuint(real_member_uint(first, "chunks"), ==, 6000);
    g_assert_cmpuint(real_member_uint(first, "request_bytes"), ==, 56);
    g_assert_true(g_str_has_prefix(real_member_text(first, "title"), "requests of 41–56 bytes"));
    g_assert_nonnull(strstr(real_member_text(first, "looks_like"), "lost ones sampled"));
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(first, "sites")), ==, 10);
    g_assert_cmpuint(real_member_uint(first, "sites_omitted"), >, 100);
    /* It is said to be of no type, or of one. */
    g_assert_true(g_str_has_prefix(find_signal(first, "type"), "Record, by the variable record"));
    g_assert_cmpstr(find_signal(first, "rate"), ==,
                    "500 an hour over 10 hours, if they came evenly; the lost ones alone count");
    g_assert_cmpuint(real_member_uint(buffers, "chunk_bytes"), ==, 0x70);
    g_assert_cmpfloat(json_object_get_double_member(buffers, "lost_share"), ==, 1);
    g_assert_cmpfloat(get_confidence(buffers), <, MEDIUM);
    g_assert_null(find_signal(buffers, "reachable"));
    g_assert_nonnull(find_signal(buffers, "indirect"));
    g_assert_cmpstr(json_object_get_string_member(buffers, "type"), !=, NULL);
}

/* A million nodes on one head: what there are many of was not freed. */
static void
test_list(void)
{
    g_autoptr(JsonNode) document = play("suspects", "list");
    JsonObject *first = document == NULL ? NULL : get_suspect(document, 0);
    if (first == NULL)
        return;
    g_assert_cmpuint(real_member_uint(first, "chunk_bytes"), ==, 0x20);
    g_assert_cmpuint(real_member_uint(first, "chunks"), ==, 50000);
    g_assert_cmpfloat(get_confidence(first), >=, HIGH);
    g_assert_nonnull(find_signal(first, "indirect"));
}

/* Rings of blocks of two sizes: nothing hangs on them, and the larger ones are to blame for all. */
static void
test_rings(void)
{
    g_autoptr(JsonNode) document = play("suspects", "rings");
    JsonObject *first = document == NULL ? NULL : get_suspect(document, 0);
    if (first == NULL)
        return;
    g_assert_cmpuint(real_member_uint(first, "chunk_bytes"), ==, 0x30);
    g_assert_cmpuint(real_member_uint(first, "chunks"), ==, 5000);
    g_assert_null(find_signal(first, "hanging"));
    /* Structures of that size have more in them than a pointer: none comes near. */
    g_assert_null(find_signal(first, "type"));
    const char *rings = find_signal(first, "rings");
    g_assert_nonnull(rings);
    g_assert_true(g_str_has_prefix(rings, "5,000 more lost chunks"));
    if (json_array_get_length(real_get_array(document, "data.suspects")) > 1)
        g_assert_cmpfloat(get_confidence(get_suspect(document, 1)), <, MEDIUM);
}

/* One of the three likeliest sites is in @function. */
static void
assert_made_by(JsonObject *suspect, const char *function)
{
    JsonArray *sites = json_object_get_array_member(suspect, "sites");
    gboolean found = FALSE;
    for (guint i = 0; i < MIN(json_array_get_length(sites), 3); i++) {
        JsonObject *site = json_array_get_object_element(sites, i);
        const char *name = json_object_get_string_member(site, "function");
        found = found || g_strcmp0(name, function) == 0;
    }
    g_assert_true(found);
}

/* Buffers of a size that no call is known to ask for: the program's own calls of unknown sizes are
 * likelier than the runtime's. */
static void
test_grown(void)
{
    g_autoptr(JsonNode) document = play("suspects", "grown");
    JsonObject *first = document == NULL ? NULL : get_suspect(document, 0);
    if (first == NULL)
        return;
    g_assert_cmpuint(real_member_uint(first, "chunk_bytes"), ==, 0x410);
    assert_made_by(first, "grow");
}

/* Requests that got a granule more than they need, because malloc could not split that off. */
static void
test_unsplit(void)
{
    g_autoptr(JsonNode) document = play("suspects", "unsplit");
    JsonObject *first = document == NULL ? NULL : get_suspect(document, 0);
    if (first == NULL)
        return;
    g_assert_cmpuint(real_member_uint(first, "chunk_bytes"), ==, 0xd0);
    assert_made_by(first, "make_ticket");
}

/* Texts of all lengths: no size stands out, all of them do. */
static void
test_names(void)
{
    g_autoptr(JsonNode) document = play("suspects", "names");
    JsonObject *first = document == NULL ? NULL : get_suspect(document, 0);
    if (first == NULL)
        return;
    g_assert_true(json_object_get_null_member(first, "chunk_bytes"));
    g_assert_cmpuint(real_member_uint(first, "chunks"), ==, 20000);
    g_assert_cmpstr(json_object_get_string_member(first, "type"), ==, "text");
    g_assert_cmpfloat(get_confidence(first), >=, HIGH);
    assert_made_by(first, "make_name");
    /* Its sizes are not suspects once more. */
    g_assert_cmpuint(json_array_get_length(real_get_array(document, "data.suspects")), ==, 1);
}

static void
test_one(void)
{
    g_autoptr(JsonNode) document = play("suspects", "one");
    JsonObject *first = document == NULL ? NULL : get_suspect(document, 0);
    if (first == NULL)
        return;
    g_assert_cmpuint(real_member_uint(first, "chunks"), ==, 1);
    g_assert_cmpfloat(get_confidence(first), <, HIGH);
    g_assert_cmpuint(real_member_uint(first, "bytes"), >=, 8 << 20);
}

/* A large table that something refers to is none; it is told with low confidence. */
static void
test_live(void)
{
    g_autoptr(JsonNode) document = play("suspects", "live");
    JsonObject *first = document == NULL ? NULL : get_suspect(document, 0);
    if (first == NULL)
        return;
    assert_no_suspects(document);
    g_assert_cmpuint(real_member_uint(first, "chunks"), ==, 100000);
    g_assert_nonnull(find_signal(first, "reachable"));
}

/* Nor are five forgotten blocks, one of them of the table's own size. */
static void
test_few(void)
{
    g_autoptr(JsonNode) document = play("suspects", "few");
    if (document == NULL)
        return;
    assert_no_suspects(document);
    g_assert_cmpuint(real_get_uint(document, "data.lost.chunks"), ==, 5);
    g_assert_cmpuint(real_member_uint(get_suspect(document, 0), "chunks"), ==, 100001);
}

/* A thousand DTVs are no structure of the program's. */
static void
test_threads(void)
{
    g_autoptr(JsonNode) document = play("suspects", "threads");
    if (document == NULL)
        return;
    g_assert_cmpuint(json_array_get_length(real_get_array(document, "data.suspects")), ==, 0);
}

/* What is held by addresses at odd places, with flags in them, or of the records' ends is not lost,
 * although no scan for pointers sees them: the report says where they stand. */
static void
test_hidden(gconstpointer data)
{
    g_autoptr(JsonNode) document = play("suspects", data);
    JsonObject *first = document == NULL ? NULL : get_suspect(document, 0);
    if (first == NULL)
        return;
    assert_no_suspects(document);
    g_assert_cmpuint(real_member_uint(first, "chunk_bytes"), ==, 0x40);
    g_assert_cmpfloat(json_object_get_double_member(first, "lost_share"), >, 0.4);
    g_assert_nonnull(find_signal(first, "hidden"));
}

/* A view of shared memory that can only be read holds them as well as any other. */
static void
test_view(void)
{
    g_autoptr(JsonNode) document = play("suspects", "view");
    if (document == NULL)
        return;
    assert_no_suspects(document);
    g_assert_cmpuint(real_get_uint(document, "data.lost.chunks"), ==, 0);
}

/* Nor is anybody sure where the core lacks the memory that they may be held by. */
static void
test_file(void)
{
    g_autoptr(JsonNode) document = play("suspects", "file");
    JsonObject *first = document == NULL ? NULL : get_suspect(document, 0);
    if (first == NULL)
        return;
    g_assert_cmpfloat(get_confidence(first), <, HIGH);
    g_assert_nonnull(find_signal(first, "coverage"));
}

/* Forty blocks of a heap of 8 MB are lost, and that is told, but not with more than low confidence.
 */
static void
test_forty(void)
{
    g_autoptr(JsonNode) document = play("suspects", "forty");
    if (document == NULL)
        return;
    assert_no_suspects(document);
    g_assert_cmpuint(real_get_uint(document, "data.lost.chunks"), ==, 40);
}

/* --uptime gives the rate; what was lost over 90 days counts, not what is in use. */
static void
test_rate(void)
{
    g_autoptr(RealRun) run = real_run_built_sample("case1", "43200 --churn", REAL_KERNEL_CORE);
    g_autoptr(JsonNode) document = run == NULL ? NULL : report_on(run, "--uptime 90d");
    JsonObject *first = document == NULL ? NULL : get_suspect(document, 0);
    if (first == NULL)
        return;
    g_assert_cmpuint(real_member_uint(first, "request_bytes"), ==, 20);
    g_assert_cmpfloat(json_object_get_double_member(first, "per_hour"), ==, 20);
    g_assert_cmpstr(find_signal(first, "rate"), ==, "20 an hour over 90 days, if they came evenly");
}

/* Types what a report says to type. */
static void
type_command(const char *line)
{
    g_auto(GStrv) words = NULL;
    g_assert_true(g_str_has_prefix(line, "postmalloc "));
    g_assert_true(g_shell_parse_argv(line, NULL, &words, NULL));
    g_free(words[0]);
    words[0] = g_strdup(g_getenv("POSTMALLOC"));
    const int status = real_run_command((const char *const *)words, NULL, NULL, NULL, 60);
    if (status != 0)
        real_fail("'%s' ended with %d", line, status);
}

/* What a report tells to type next can be typed. */
static void
test_next(void)
{
    g_autoptr(RealRun) run = real_run_built_sample("suspects", "records", REAL_KERNEL_CORE);
    g_autoptr(JsonNode) document = run == NULL ? NULL : report_on(run, NULL);
    if (document == NULL)
        return;
    JsonArray *suspects = real_get_array(document, "data.suspects");
    guint typed = 0;
    for (guint i = 0; i < json_array_get_length(suspects); i++) {
        JsonArray *next =
            json_object_get_array_member(json_array_get_object_element(suspects, i), "next");
        for (guint j = 0; j < json_array_get_length(next); j++) {
            type_command(json_array_get_string_element(next, j));
            typed++;
        }
    }
    g_assert_cmpuint(typed, >, 2);
}

/* Cases 1 and 2: the size and the call that made the chunks, with symbols and without. */
typedef struct {
    const char *name;
    const char *sample;
    const char *options;
    gboolean is_stripped;
    guint64 chunk_bytes;
    const char *function;
    const char *argument;
} Case;

static const Case cases[] = {
    {"case1-fresh", "case1", "60000", FALSE, 0x20, "parse_event", "malloc(20)"},
    {"case1-churn", "case1", "60000 --churn", FALSE, 0x20, "parse_event", "malloc(20)"},
    {"case1-fresh-stripped", "case1", "60000", TRUE, 0x20, NULL, "malloc(20)"},
    {"case1-churn-stripped", "case1", "60000 --churn", TRUE, 0x20, NULL, "malloc(20)"},
    {"case2", "case2", "2000", FALSE, 0x2010, "fibonacci", "calloc(1024, 8)"},
    {"case2-stripped", "case2", "2000", TRUE, 0x2010, NULL, "calloc(1024, 8)"},
};

/* A copy of the sample @name in @folder, without symbols and debug information. (transfer full) */
static char *
strip_sample(const char *name, const char *folder)
{
    g_autofree char *from = real_get_sample(name);
    g_autofree char *to = g_build_filename(folder, name, NULL);
    const char *const strip[] = {"strip", "--strip-all", "-o", to, from, NULL};
    if (real_run_command(strip, NULL, NULL, NULL, 30) != 0) {
        real_fail("%s was not stripped", from);
        return NULL;
    }
    return g_steal_pointer(&to);
}

static void
assert_site(const Case *one, JsonObject *first)
{
    if (json_object_get_null_member(first, "site")) {
        real_fail("%s: no site", one->name);
        return;
    }
    JsonObject *site = json_object_get_object_member(first, "site");
    g_assert_cmpstr(json_object_get_string_member(site, "argument"), ==, one->argument);
    g_autofree char *module = g_path_get_basename(json_object_get_string_member(site, "module"));
    g_assert_cmpstr(module, ==, one->sample);
    if (one->function != NULL)
        g_assert_cmpstr(json_object_get_string_member(site, "function"), ==, one->function);
}

static void
test_case(gconstpointer data)
{
    const Case *one = data;
    g_autofree char *folder = g_dir_make_tmp("postmalloc-report-XXXXXX", NULL);
    g_autofree char *program =
        one->is_stripped ? strip_sample(one->sample, folder) : real_get_sample(one->sample);
    const char *const words[] = {program, NULL};
    g_autoptr(RealRun) run =
        program == NULL ? NULL : real_run_sample(words, one->options, REAL_KERNEL_CORE);
    g_autoptr(JsonNode) document = run == NULL ? NULL : report_on(run, NULL);
    JsonObject *first = document == NULL ? NULL : get_suspect(document, 0);
    if (first != NULL) {
        g_assert_cmpuint(real_member_uint(first, "chunk_bytes"), ==, one->chunk_bytes);
        g_assert_cmpfloat(get_confidence(first), >=, HIGH);
        assert_site(one, first);
    }
    real_remove(folder);
}

/* The report says that the code of case2 is not here. */
static void
assert_missing(const RealRun *run)
{
    g_autoptr(JsonNode) without = report_on(run, NULL);
    if (without == NULL)
        return;
    const char *missing = find_signal(get_suspect(without, 0), "code-missing");
    g_assert_nonnull(missing);
    g_assert_nonnull(strstr(missing, "case2"));
}

/* --exe and --sysroot bring it. */
static void
assert_brought(const RealRun *run, const char *file, const char *root)
{
    static const Case fibonacci = {.sample = "case2", .argument = "calloc(1024, 8)"};
    const char *const exe[] = {"--exe", file, NULL};
    const char *const sysroot[] = {"--sysroot", root, NULL};
    const RealSubject subjects[] = {{run->core, exe}, {run->core, sysroot}};
    for (guint i = 0; i < G_N_ELEMENTS(subjects); i++) {
        g_autoptr(JsonNode) document = real_ask(&subjects[i], "report", NULL);
        if (document != NULL)
            assert_site(&fibonacci, get_suspect(document, 0));
    }
}

/* Case 2 from a container: the program's path does not exist here. The report says whose code is
 * missing; --exe and --sysroot bring it. */
static void
test_container(void)
{
    g_autofree char *folder = g_dir_make_tmp("postmalloc-report-XXXXXX", NULL);
    g_autofree char *program = strip_sample("case2", folder);
    g_autofree char *root = g_build_filename(folder, "image", NULL);
    g_autofree char *kept = g_strconcat(root, program, NULL);
    g_autofree char *kept_folder = g_path_get_dirname(kept);
    g_assert_cmpint(g_mkdir_with_parents(kept_folder, 0755), ==, 0);
    const char *const words[] = {program, NULL};
    g_autoptr(RealRun) run =
        program == NULL ? NULL : real_run_sample(words, "500", REAL_KERNEL_CORE);
    if (run != NULL) {
        g_assert_cmpint(g_rename(program, kept), ==, 0);
        assert_missing(run);
        assert_brought(run, kept, root);
    }
    real_remove(folder);
}

/* The data of the libraries is lost with the end of a core, and their dynamic sections with it: the
 * calls in them are found by the files, but for a few that go through lost words. */
static void
test_cut(void)
{
    g_autoptr(RealRun) run = real_run_built_sample("case1", "60000", REAL_KERNEL_CORE);
    RealSubject subject = {.core = run == NULL ? NULL : run->core};
    g_autoptr(JsonNode) whole = run == NULL ? NULL : real_ask(&subject, "sites --size 24", NULL);
    if (whole == NULL)
        return;
    real_run_cut(run, 1, 2);
    g_autoptr(JsonNode) cut = real_ask(&subject, "sites --size 24", NULL);
    if (cut == NULL)
        return;
    g_assert_true(json_node_get_boolean(real_get(cut, "core.truncated")));
    g_assert_cmpuint(real_get_uint(cut, "data.counts.exact") * 10, >=,
                     real_get_uint(whole, "data.counts.exact") * 9);
}

/* The page about @run in text. (transfer full) */
static char *
read_page(const RealRun *run)
{
    g_autofree char *output = g_build_filename(run->folder, "page", NULL);
    const char *const words[] = {g_getenv("POSTMALLOC"), "report", run->core, NULL};
    char *page = NULL;
    g_assert_cmpint(real_run_command(words, NULL, output, NULL, 60), ==, 0);
    g_assert_true(g_file_get_contents(output, &page, NULL, NULL));
    return page;
}

/* In a static program without symbols nobody knows which function is malloc: that is said, and not
 * that no call asks for such a size. */
static void
test_nameless(void)
{
    g_autofree char *folder = g_dir_make_tmp("postmalloc-report-XXXXXX", NULL);
    g_autofree char *program = g_build_filename(folder, "case2", NULL);
    g_autofree char *why = NULL;
    const char *const words[] = {program, NULL};
    if (!real_build_sample("case2", program, "-static -s", &why)) {
        g_test_skip(why);
        real_remove(folder);
        return;
    }
    g_autoptr(RealRun) run = real_run_sample(words, "500", REAL_KERNEL_CORE);
    g_autoptr(JsonNode) document = run == NULL ? NULL : report_on(run, NULL);
    if (document != NULL) {
        g_autofree char *page = read_page(run);
        g_assert_nonnull(find_signal(get_suspect(document, 0), "malloc-unknown"));
        g_assert_nonnull(strstr(page, "made by      not known: no call of malloc is found"));
    }
    real_remove(folder);
}

/* Where no file may be written, the answer is the same: what was found out is not kept. */
static void
test_no_files(void)
{
    g_autoptr(RealRun) run = real_run_built_sample("case1", "2000", REAL_KERNEL_CORE);
    if (run == NULL)
        return;
    const char *const words[] = {"sh",
                                 "-c",
                                 "ulimit -f 0; XDG_CACHE_HOME=$0/cache exec \"$1\" report \"$2\"",
                                 run->folder,
                                 g_getenv("POSTMALLOC"),
                                 run->core,
                                 NULL};
    g_assert_cmpint(real_run_command(words, NULL, NULL, NULL, 60), ==, 0);
}

/* A library that asks for as much, and was never called: where functions are bound when they are
 * first called, that can be seen. */
static void
test_unbound(void)
{
    g_autofree char *folder = g_dir_make_tmp("postmalloc-report-XXXXXX", NULL);
    g_autofree char *source = g_build_filename(folder, "idle.c", NULL);
    g_autofree char *library = g_build_filename(folder, "libidle.so", NULL);
    g_autofree char *preload = g_strconcat("LD_PRELOAD=", library, NULL);
    g_autofree char *program = real_get_sample("case1");
    g_auto(GStrv) compiler = g_strsplit(g_getenv("POSTMALLOC_CC"), " ", 2);
    const char *const compile[] = {compiler[0], "-O1",   "-shared", "-fPIC", "-Wl,-z,lazy",
                                   "-o",        library, source,    NULL};
    const char *const words[] = {"env", preload, program, NULL};
    g_assert_true(g_file_set_contents(
        source, "#include <stdlib.h>\nvoid *idle(void);\nvoid *idle(void) { return malloc(20); }\n",
        -1, NULL));
    g_assert_cmpint(real_run_command(compile, NULL, NULL, NULL, 30), ==, 0);
    g_autoptr(RealRun) run = real_run_sample(words, "20000", REAL_KERNEL_CORE);
    RealSubject subject = {.core = run == NULL ? NULL : run->core};
    g_autoptr(JsonNode) document = run == NULL ? NULL : real_ask(&subject, "sites --size 20", NULL);
    if (document != NULL) {
        JsonArray *sites = real_get_array(document, "data.sites");
        g_assert_cmpuint(json_array_get_length(sites), ==, 2);
        JsonObject *idle = json_array_get_object_element(sites, 1);
        g_assert_cmpstr(json_object_get_string_member(idle, "function"), ==, "idle");
        g_assert_cmpfloat(json_object_get_double_member(idle, "score"), <, 0.01);
        g_assert_nonnull(find_signal(idle, "unbound"));
        g_assert_null(find_signal(json_array_get_object_element(sites, 0), "unbound"));
    }
    real_remove(folder);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    g_test_add_func("/real/report/records", test_records);
    g_test_add_func("/real/report/parts", test_parts);
    g_test_add_func("/real/report/list", test_list);
    g_test_add_func("/real/report/rings", test_rings);
    g_test_add_func("/real/report/grown", test_grown);
    g_test_add_func("/real/report/unsplit", test_unsplit);
    g_test_add_func("/real/report/names", test_names);
    g_test_add_func("/real/report/one", test_one);
    g_test_add_func("/real/report/live", test_live);
    g_test_add_func("/real/report/few", test_few);
    g_test_add_func("/real/report/threads", test_threads);
    g_test_add_data_func("/real/report/packed", "packed", test_hidden);
    g_test_add_data_func("/real/report/tagged", "tagged", test_hidden);
    g_test_add_data_func("/real/report/ends", "ends", test_hidden);
    g_test_add_func("/real/report/view", test_view);
    g_test_add_func("/real/report/file", test_file);
    g_test_add_func("/real/report/forty", test_forty);
    g_test_add_func("/real/report/rate", test_rate);
    g_test_add_func("/real/report/next", test_next);
    g_test_add_func("/real/report/container", test_container);
    g_test_add_func("/real/report/cut", test_cut);
    g_test_add_func("/real/report/nameless", test_nameless);
    g_test_add_func("/real/report/no-files", test_no_files);
    g_test_add_func("/real/report/unbound", test_unbound);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/real/report/", cases[i].name, NULL);
        g_test_add_data_func(path, &cases[i], test_case);
    }
    return g_test_run();
}
