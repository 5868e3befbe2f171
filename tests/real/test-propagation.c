/*
 * Types told of real programs with debug information, which fetch-programs gets: how much of what
 * their variables reach has a type, and whether gdb, and what the programs themselves know of their
 * objects, agree (check-types.py).
 */
#include "fetch.h"
#include "run.h"
#include "tool.h"

#define FETCH_SECONDS   400
#define GDB_SECONDS     120
#define LEAST_SHARE     0.80
#define LEAST_PROGRAMS  3
#define SAMPLE          200
#define EDGES_SHOWN     25
#define TEXTS_SHOWN     40
#define IMPLAUSIBLE_MAX 0.5 /* of the objects of a type: pointers that nobody has set yet */
#define IMPLAUSIBLE_MIN 4   /* objects that say something */

static const char *const programs[] = {"memcached", "lua5.4", "tmux", "redis", "python3.11"};
#define PROGRAMS G_N_ELEMENTS(programs)

static RealFetched fetched[PROGRAMS];
static double best_share[PROGRAMS];

/*
 * @executable: in the program's folder.
 * @reached_percent: of the bytes in use, at least, that variables reach: what coverage is told of.
 * @least_known: objects that the program itself names, or the truth is not there. @known_percent:
 * of them, at least, that have that name. @most_wrong: that may have another, for recognisers
 * guess, and what a tag tells is learnt from a sample. @least_paths: chunks to which a typed path
 * must lead.
 */
typedef struct {
    const char *name;
    gsize program;
    const char *executable;
    const char *environment[2];
    guint reached_percent;
    guint least_known;
    guint known_percent;
    guint most_wrong;
    guint least_paths;
} Case;

/* Python's own allocator keeps most objects where malloc() knows nothing of them, and so most of
 * the pointers to the rest. */
static const Case cases[] = {
    {"memcached", 0, "memcached", {NULL}, 95, 8, 100, 0, 60},
    {"lua", 1, "lua5.4", {NULL}, 95, 28000, 99, 60, 10000},
    {"tmux", 2, "tmux", {NULL}, 95, 20000, 99, 0, 20000},
    {"redis", 3, "redis", {NULL}, 95, 150000, 40, 5, 20000},
    {"python", 4, "usr/bin/python3.11", {NULL}, 5, 500, 95, 0, 30},
    {"python-malloc",
     4,
     "usr/bin/python3.11",
     {"PYTHONMALLOC=malloc", NULL},
     95,
     50000,
     99,
     20,
     100},
};

/* Says how much has a type, and what does not, by the field that leads to it. */
static void
show_coverage(const Case *one, JsonNode *types)
{
    const guint64 reached = real_get_uint(types, "data.coverage.reached_bytes");
    const guint64 typed = real_get_uint(types, "data.coverage.typed_bytes");
    JsonNode *node = real_get(types, "data.coverage.share");
    const double share = node != NULL ? json_node_get_double(node) : 0;
    g_test_message("%s: %.1f %% of the %" G_GUINT64_FORMAT
                   " bytes that variables reach have a type (%" G_GUINT64_FORMAT ")",
                   one->name, share * 100, reached, typed);
    g_assert_cmpuint(typed, <=, reached);
    g_assert_cmpfloat(ABS(share - (double)typed / (double)MAX(reached, 1)), <, 0.001);
    best_share[one->program] = MAX(best_share[one->program], share);
    if (share >= LEAST_SHARE)
        return;
    JsonArray *edges = real_get_array(types, "data.untyped_edges");
    g_assert_cmpuint(json_array_get_length(edges), >, 0);
    for (guint i = 0; i < MIN(json_array_get_length(edges), EDGES_SHOWN); i++) {
        g_autofree char *text = json_to_string(json_array_get_element(edges, i), FALSE);
        g_test_message("  untyped: %s", text);
    }
}

/* Shows the texts of @name, and fails where there are more than @most. */
static void
report_texts(JsonNode *result, const char *name, guint64 most, const char *what)
{
    g_autofree char *count_name = g_strconcat(name, "_count", NULL);
    const guint64 count = real_get_uint(result, count_name);
    if (count == 0)
        return;
    JsonArray *texts = real_get_array(result, name);
    for (guint i = 0; i < MIN(json_array_get_length(texts), TEXTS_SHOWN); i++)
        g_test_message("  %s", json_array_get_string_element(texts, i));
    if (count > most)
        real_fail("%" G_GUINT64_FORMAT " %s", count, what);
}

static void
report_implausible(JsonNode *result)
{
    JsonArray *types = real_get_array(result, "implausible");
    for (guint i = 0; i < json_array_get_length(types); i++) {
        JsonObject *row = json_array_get_object_element(types, i);
        const guint64 objects = real_member_uint(row, "objects");
        const guint64 bad = real_member_uint(row, "bad");
        g_autofree char *text = json_to_string(json_array_get_element(types, i), FALSE);
        g_test_message("  pointers to nothing: %s", text);
        if (objects >= IMPLAUSIBLE_MIN && (double)bad > IMPLAUSIBLE_MAX * (double)objects)
            real_fail("%s", text);
    }
}

static void
report(const Case *one, JsonNode *result)
{
    const guint64 sampled = real_get_uint(result, "sampled");
    const guint64 paths = real_get_uint(result, "paths");
    const guint64 by_pointer = real_get_uint(result, "by_pointer");
    const guint64 agreed = real_get_uint(result, "agreed");
    const guint64 known = real_get_uint(result, "known");
    const guint64 known_typed = real_get_uint(result, "known_typed");
    g_autofree char *missed = json_to_string(real_get(result, "known_missed"), FALSE);
    g_test_message("%s: of %" G_GUINT64_FORMAT
                   " chunks that typed pointers lead to, %" G_GUINT64_FORMAT
                   " have a path from a variable; gdb agrees with %" G_GUINT64_FORMAT
                   " of %" G_GUINT64_FORMAT " of these, %" G_GUINT64_FORMAT " of which pass a cast",
                   one->name, by_pointer, paths, agreed, sampled, real_get_uint(result, "cast"));
    g_test_message("%s: of %" G_GUINT64_FORMAT " objects that the program names, %" G_GUINT64_FORMAT
                   " have its name for them, %" G_GUINT64_FORMAT
                   " one that is true of all, and none: %s; the pointers of %" G_GUINT64_FORMAT
                   " objects were looked at",
                   one->name, known, known_typed, real_get_uint(result, "known_weak"), missed,
                   real_get_uint(result, "examined"));
    g_assert_cmpuint(known, >=, one->least_known);
    g_assert_cmpuint(known_typed * 100, >=, known * one->known_percent);
    g_assert_cmpuint(paths, >=, one->least_paths);
    g_assert_cmpuint(sampled, ==, MIN(paths, SAMPLE));
    report_texts(result, "wrong", 0, "paths are not what gdb says");
    report_texts(result, "known_wrong", one->most_wrong, "objects are not what the program says");
    report_implausible(result);
}

/* The coverage is told of nearly all that is in use, and is no more than the chunks have types. */
static void
check_sums(const Case *one, JsonNode *types, JsonNode *result)
{
    const guint64 used = real_get_uint(result, "used_bytes");
    g_assert_cmpuint(real_get_uint(types, "data.coverage.reached_bytes"), <=, used);
    g_assert_cmpuint(real_get_uint(types, "data.coverage.reached_bytes") * 100, >=,
                     used * one->reached_percent);
    g_assert_cmpuint(real_get_uint(types, "data.coverage.typed_bytes"), <=,
                     real_get_uint(result, "typed_bytes"));
}

/* Returns: (transfer full): what check-types.py says; NULL after g_test_fail(). */
static JsonNode *
ask_gdb(const Case *one, const char *executable, const char *core, const char *chunks)
{
    g_autofree char *folder = g_path_get_dirname(chunks);
    g_autofree char *output = g_build_filename(folder, "result", NULL);
    g_autofree char *log = g_build_filename(folder, "gdb.log", NULL);
    g_autofree char *program = g_strconcat("CHECK_PROGRAM=", programs[one->program], NULL);
    g_autofree char *input = g_strconcat("CHECK_CHUNKS=", chunks, NULL);
    g_autofree char *result = g_strconcat("CHECK_RESULT=", output, NULL);
    g_autofree char *debug = g_strconcat("set debug-file-directory ", fetched[one->program].folder,
                                         "/usr/lib/debug:/usr/lib/debug", NULL);
    g_autofree char *scripts = g_path_get_dirname(g_getenv("POSTMALLOC_CHECK_TYPES"));
    g_autofree char *import = g_strconcat("PYTHONPATH=", scripts, NULL);
    const char *command[] = {"env",
                             import,
                             "PYTHONDONTWRITEBYTECODE=1",
                             program,
                             input,
                             result,
                             "gdb",
                             "-nx",
                             "-batch",
                             "-iex",
                             debug,
                             "-iex",
                             "set debuginfod enabled off",
                             "-x",
                             g_getenv("POSTMALLOC_CHECK_TYPES"),
                             executable,
                             core,
                             NULL};
    const int status = real_run_command(command, folder, log, log, GDB_SECONDS);
    g_autoptr(JsonParser) parser = json_parser_new();
    if (status == 0 && json_parser_load_from_file(parser, output, NULL))
        return json_parser_steal_root(parser);
    g_autofree char *text = NULL;
    g_file_get_contents(log, &text, NULL, NULL);
    real_fail("check-types.py failed (gdb's wait status %d): %s", status, text ? text : "");
    return NULL;
}

static void
test_program(gconstpointer data)
{
    const Case *one = data;
    const RealFetched *program = &fetched[one->program];
    if (program->folder == NULL) {
        g_autofree char *why =
            g_strdup_printf("%s cannot be had: %s", programs[one->program], program->why);
        g_test_skip(why);
        return;
    }
    if (!real_require_program("gdb", "this test compares with"))
        return;
    const char *command[] = {"python3", g_getenv("POSTMALLOC_SERVE"), programs[one->program],
                             program->folder, NULL};
    g_autoptr(RealRun) run = real_run_to_signal(command, one->environment);
    if (run == NULL)
        return;
    g_autofree char *debug = g_build_filename(program->folder, "usr/lib/debug", NULL);
    const char *const options[] = {"--debug-dir", debug, NULL};
    const RealSubject subject = {
        .core = run->core, .options = g_file_test(debug, G_FILE_TEST_IS_DIR) ? options : NULL};
    g_autofree char *chunks = g_build_filename(run->folder, "chunks", NULL);
    g_autofree char *executable = g_build_filename(program->folder, one->executable, NULL);
    g_autoptr(JsonNode) types = real_ask(&subject, "types", NULL);
    if (types == NULL || !real_ask_into(&subject, "chunks --paths --state used --limit 0", chunks))
        return;
    show_coverage(one, types);
    g_autoptr(JsonNode) result = ask_gdb(one, executable, run->core, chunks);
    if (result == NULL)
        return;
    report(one, result);
    check_sums(one, types, result);
}

static void
test_three(void)
{
    guint measured = 0, reached = 0;
    for (gsize i = 0; i < PROGRAMS; i++) {
        measured += best_share[i] > 0 ? 1 : 0;
        reached += best_share[i] >= LEAST_SHARE ? 1 : 0;
    }
    if (measured < LEAST_PROGRAMS) {
        g_test_skip("fewer than three programs could be looked at");
        return;
    }
    g_assert_cmpuint(reached, >=, LEAST_PROGRAMS);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    real_fetch(g_getenv("POSTMALLOC_FETCH_PROGRAMS"), programs, PROGRAMS, FETCH_SECONDS, fetched);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/real/propagation/", cases[i].name, NULL);
        g_test_add_data_func(path, &cases[i], test_program);
    }
    g_test_add_func("/real/propagation/three", test_three);
    return real_test_run();
}
