/*
 * The backtraces of `threads`, beside the chains of calls that the sample is known to wait in and
 * beside what gdb sees; and that it says why one ends early.
 */
#include "build.h"
#include "run.h"
#include "tool.h"

#include <string.h>

#define THREADS     9
#define WORKERS     5
#define DEPTH       41
#define GDB_SECONDS 60

/* What must be among a thread's functions, innermost first; others may stand between. */
static const char *const worker_chain[] = {"wait_forever", "worker_inner", "worker_outer",
                                           "run_worker", NULL};
static const char *const handler_chain[] = {"wait_forever", "on_signal", "run_handler", NULL};
static const char *const main_chain[] = {"end_inner", "end_outer", "main", NULL};

static JsonArray *
get_frames(JsonObject *thread)
{
    return json_object_get_array_member(thread, "frames");
}

static const char *
get_function(JsonObject *thread, guint index)
{
    const char *function =
        real_member_text(json_array_get_object_element(get_frames(thread), index), "function");
    return function == NULL ? "" : function;
}

static guint
count_function(JsonObject *thread, const char *name)
{
    guint count = 0;
    for (guint i = 0; i < json_array_get_length(get_frames(thread)); i++)
        count += g_str_equal(get_function(thread, i), name);
    return count;
}

static gboolean
has_chain(JsonObject *thread, const char *const *chain)
{
    for (guint i = 0; i < json_array_get_length(get_frames(thread)) && *chain != NULL; i++)
        if (g_str_equal(get_function(thread, i), *chain))
            chain++;
    return *chain == NULL;
}

static gboolean
is_complete(JsonObject *thread)
{
    return g_strcmp0(real_member_text(thread, "ends"), "complete") == 0;
}

/* The only thread that calls @function. */
static JsonObject *
find_thread(JsonNode *document, const char *function)
{
    JsonArray *threads = real_get_array(document, "data.threads");
    for (guint i = 0; i < json_array_get_length(threads); i++) {
        JsonObject *thread = json_array_get_object_element(threads, i);
        if (count_function(thread, function) > 0)
            return thread;
    }
    real_fail("no thread calls %s", function);
    return NULL;
}

/* The thread that code made at run time called: no file tells who called that. */
static JsonObject *
find_made_code(JsonNode *document)
{
    JsonArray *threads = real_get_array(document, "data.threads");
    for (guint i = 0; i < json_array_get_length(threads); i++) {
        JsonObject *thread = json_array_get_object_element(threads, i);
        if (g_strcmp0(real_member_text(thread, "ends"), "no-module") == 0)
            return thread;
    }
    real_fail("no thread ends in code of no module");
    return NULL;
}

/* A thread on the stack that is its own. */
static void
check_stack(JsonObject *thread)
{
    const guint64 sp = real_member_address(thread, "sp");
    const guint64 start = real_member_address(thread, "stack_start");
    const guint64 end = real_member_address(thread, "stack_end");
    g_assert_cmphex(sp, >, start);
    g_assert_cmphex(sp, <, end);
    g_assert_cmpuint(real_member_uint(thread, "stack_used_bytes"), >, 0);
    g_assert_cmpuint(real_member_uint(thread, "stack_used_bytes"), <=, end - sp);
    if (!json_object_get_null_member(thread, "stack_touched_bytes")) {
        g_assert_cmpuint(real_member_uint(thread, "stack_touched_bytes"), >=,
                         real_member_uint(thread, "stack_used_bytes"));
        g_assert_cmpuint(real_member_uint(thread, "stack_touched_bytes"), <, end - start);
    }
}

static void
check_workers(JsonNode *document)
{
    JsonArray *threads = real_get_array(document, "data.threads");
    guint workers = 0;
    guint64 group = 0;
    g_assert_cmpuint(json_array_get_length(threads), ==, THREADS);
    for (guint i = 0; i < json_array_get_length(threads); i++) {
        JsonObject *thread = json_array_get_object_element(threads, i);
        if (!has_chain(thread, worker_chain))
            continue;
        g_assert_true(is_complete(thread));
        check_stack(thread);
        if (workers++ > 0)
            g_assert_cmpuint(real_member_uint(thread, "group"), ==, group);
        group = real_member_uint(thread, "group");
        JsonObject *frame = json_array_get_object_element(get_frames(thread), 1);
        const char *file = real_member_text(frame, "file");
        g_assert_cmpstr(real_member_text(frame, "function"), ==, "wait_forever");
        g_assert_true(file != NULL && g_str_has_suffix(file, "frames.c"));
        g_assert_cmpuint(real_member_uint(frame, "line"), >, 0);
        g_assert_true(g_str_has_suffix(real_member_text(frame, "module"), "/frames"));
    }
    g_assert_cmpuint(workers, ==, WORKERS);
}

static void
check_others(JsonNode *document)
{
    JsonObject *deep = find_thread(document, "recurse");
    JsonObject *handler = find_thread(document, "on_signal");
    JsonObject *made = find_made_code(document);
    if (deep == NULL || handler == NULL || made == NULL)
        return;
    g_assert_cmpuint(count_function(deep, "recurse"), ==, DEPTH);
    g_assert_cmpuint(count_function(deep, "run_recursion"), ==, 1);
    g_assert_true(is_complete(deep));
    check_stack(deep);
    /* Its alternate stack is a chunk of the arena that it allocates from. */
    g_assert_true(has_chain(handler, handler_chain));
    g_assert_true(is_complete(handler));
    g_assert_cmpstr(real_member_text(handler, "runs_on"), ==, "arena-heap");
    g_assert_true(json_object_get_null_member(handler, "stack_used_bytes"));
    g_assert_cmphex(real_member_address(handler, "arena"), !=, G_MAXUINT64);
    g_assert_cmpuint(json_array_get_length(get_frames(made)), ==, 3);
    g_assert_cmpstr(get_function(made, 1), ==, "wait_forever");
}

static void
check_main(JsonNode *document, RealCoreKind kind)
{
    JsonObject *first = find_thread(document, "end_outer");
    if (first == NULL)
        return;
    g_assert_true(has_chain(first, main_chain));
    g_assert_true(is_complete(first));
    check_stack(first);
    if (kind == REAL_KERNEL_CORE)
        g_assert_cmpstr(real_member_text(first, "name"), ==, "main-of-frames");
    else
        g_assert_true(json_object_get_null_member(first, "name"));
}

static void
test_chains(gconstpointer data)
{
    const RealCoreKind kind = (RealCoreKind)GPOINTER_TO_INT(data);
    g_autoptr(RealRun) run = real_run_built_sample("frames", "", kind);
    if (run == NULL)
        return;
    const RealSubject subject = {.core = run->core};
    g_autoptr(JsonNode) document = real_ask(&subject, "threads", NULL);
    if (document == NULL)
        return;
    check_workers(document);
    check_others(document);
    check_main(document, kind);
}

/* The thread @tid of @document, or NULL. */
static JsonObject *
find_tid(JsonNode *document, guint64 tid)
{
    JsonArray *threads = real_get_array(document, "data.threads");
    for (guint i = 0; i < json_array_get_length(threads); i++) {
        JsonObject *thread = json_array_get_object_element(threads, i);
        if (real_member_uint(thread, "tid") == tid)
            return thread;
    }
    return NULL;
}

/* @words: "THREAD", the id, and the code addresses that gdb saw. Where ours are complete they are
 * all of gdb's; else gdb, which guesses on, saw them first. */
static void
compare_thread(JsonNode *document, char **words)
{
    JsonObject *thread = find_tid(document, g_ascii_strtoull(words[1], NULL, 10));
    if (thread == NULL) {
        real_fail("thread %s is missing", words[1]);
        return;
    }
    const guint ours = json_array_get_length(get_frames(thread));
    const guint theirs = g_strv_length(words) - 2;
    if (is_complete(thread) ? ours != theirs : ours > theirs)
        real_fail("thread %s has %u frames, and %u for gdb", words[1], ours, theirs);
    for (guint i = 0; i < MIN(ours, theirs); i++) {
        JsonObject *frame = json_array_get_object_element(get_frames(thread), i);
        const guint64 pc = g_ascii_strtoull(words[i + 2], NULL, 16);
        if (real_member_address(frame, "pc") != pc)
            real_fail("frame %u of thread %s is at 0x%" G_GINT64_MODIFIER
                      "x, and at 0x%" G_GINT64_MODIFIER "x for gdb",
                      i, words[1], real_member_address(frame, "pc"), pc);
    }
}

/* Of two samples: threads in known chains, and threads in the middle of malloc's work. */
static void
test_gdb(gconstpointer data)
{
    const char *name = data;
    g_autoptr(RealRun) run = NULL;
    if (!real_require_program("gdb", "is the oracle"))
        return;
    run = real_run_built_sample(name, "", REAL_KERNEL_CORE);
    if (run == NULL)
        return;
    g_autofree char *sample = real_get_sample(name);
    g_autofree char *output = g_build_filename(run->folder, "gdb.txt", NULL);
    g_autofree char *text = NULL;
    const char *command[] = {"gdb",
                             "-nx",
                             "-batch",
                             "-ex",
                             "set debuginfod enabled off",
                             "-x",
                             g_getenv("POSTMALLOC_LIST_FRAMES"),
                             sample,
                             run->core,
                             NULL};
    const RealSubject subject = {.core = run->core};
    g_autoptr(JsonNode) document = real_ask(&subject, "threads", NULL);
    if (document == NULL || real_run_command(command, run->folder, output, NULL, GDB_SECONDS) < 0 ||
        !g_file_get_contents(output, &text, NULL, NULL))
        return;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    guint compared = 0;
    for (gsize i = 0; lines[i] != NULL; i++) {
        if (!g_str_has_prefix(lines[i], "THREAD "))
            continue;
        g_auto(GStrv) words = g_strsplit(g_strchomp(lines[i]), " ", -1);
        compare_thread(document, words);
        compared++;
    }
    if (compared == 0)
        g_test_skip("this gdb does not run Python");
    else
        g_assert_cmpuint(compared, ==,
                         json_array_get_length(real_get_array(document, "data.threads")));
}

/* The program's file is gone: libc's frames are found, and then it says what is missing. */
static void
test_no_file(void)
{
    g_autofree char *folder = g_dir_make_tmp("postmalloc-threads-XXXXXX", NULL);
    g_autofree char *program = g_build_filename(folder, "frames", NULL);
    const char *const command[] = {program, NULL};
    if (!real_copy_sample("frames", folder, FALSE)) {
        g_test_skip("the sample frames cannot be copied");
    } else {
        g_autoptr(RealRun) run = real_run_sample(command, "", REAL_KERNEL_CORE);
        real_remove(program);
        const RealSubject subject = {.core = run == NULL ? NULL : run->core};
        g_autoptr(JsonNode) document = run == NULL ? NULL : real_ask(&subject, "threads", NULL);
        JsonArray *threads = document == NULL ? NULL : real_get_array(document, "data.threads");
        for (guint i = 0; threads != NULL && i < json_array_get_length(threads); i++) {
            JsonObject *thread = json_array_get_object_element(threads, i);
            g_assert_cmpstr(real_member_text(thread, "ends"), ==, "no-file");
            g_assert_cmpuint(json_array_get_length(get_frames(thread)), >=, 2);
        }
    }
    real_remove(folder);
}

/* The end of the core is lost, and with it the stack of the main thread, which stands last. */
static void
test_cut(void)
{
    g_autoptr(RealRun) run = real_run_built_sample("frames", "", REAL_KERNEL_CORE);
    if (run == NULL)
        return;
    real_run_cut(run, 199, 200);
    const RealSubject subject = {.core = run->core};
    g_autoptr(JsonNode) document = real_ask(&subject, "threads", NULL);
    if (document == NULL)
        return;
    JsonArray *threads = real_get_array(document, "data.threads");
    g_assert_cmpuint(json_array_get_length(threads), ==, THREADS);
    /* The kernel notes the thread that crashed first. */
    JsonObject *first = json_array_get_object_element(threads, 0);
    g_assert_cmpstr(real_member_text(first, "ends"), ==, "no-stack");
    g_assert_cmpuint(json_array_get_length(get_frames(first)), >=, 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/threads/chains/kernel", GINT_TO_POINTER(REAL_KERNEL_CORE), test_chains);
    g_test_add_data_func("/threads/chains/gcore", GINT_TO_POINTER(REAL_GCORE), test_chains);
    g_test_add_data_func("/threads/gdb/frames", "frames", test_gdb);
    g_test_add_data_func("/threads/gdb/case2", "case2", test_gdb);
    g_test_add_data_func("/threads/gdb/regions", "regions", test_gdb);
    g_test_add_func("/threads/no-file", test_no_file);
    g_test_add_func("/threads/cut", test_cut);
    return g_test_run();
}
