/*
 * Programs that nobody wrote for a test. Their truth is what glibc itself says in the living
 * process, at the moment before the snapshot: malloc_stats(), arena by arena.
 */
#include "compare.h"
#include "run.h"

#include <string.h>

typedef struct {
    const char *name;
    const char *command[8];
    const char *environment[3];
    guint64 least_bytes; /* that its arenas have in any case, or it did not do what it was told */
} Case;

static const char bash_script[] =
    "a=(); for ((i = 0; i < 20000; i++)); do a+=(\"word $i\"); done; unset 'a[7]'";

static const char sqlite_script[] =
    "create table t(a, b);"
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)"
    " insert into t select i, hex(randomblob(i % 50)) from n;"
    "create index x on t(b); select count(*) from t;";

/* Threads that end, blocks that other threads free, modules that are loaded late, with TLS. */
static const char python_script[] =
    "import json, threading, decimal, ctypes\n"
    "kept = [str(i) * (i % 300) for i in range(30000)]\n"
    "def work():\n"
    "    text = json.dumps({'k%d' % i: [i] * 9 for i in range(2000)})\n"
    "    kept.extend(json.loads(text) for _ in range(5))\n"
    "threads = [threading.Thread(target=work) for _ in range(3)]\n"
    "[t.start() for t in threads]\n"
    "[t.join() for t in threads]\n"
    "del kept[::3]";

static const Case cases[] = {
    {"bash", {"bash", "-c", bash_script}, {NULL}, 1500000},
    {"sqlite3", {"sqlite3", ":memory:", sqlite_script}, {NULL}, 500000},
    {"git",
     {"git", "--no-pager", "diff", "--no-index", "SAMPLES", "SAMPLES/../heapwalk"},
     {NULL},
     200000},
    {"python3", {"/usr/bin/python3", "-c", python_script}, {"PYTHONMALLOC=malloc", NULL}, 20000000},
    {"gdb", {"gdb", "-nx", "-batch", "-ex", "print sizeof(int)"}, {NULL}, 2000000},
};

/* Arenas and mmap totals as malloc_stats() prints them (malloc.c, __malloc_stats). */
typedef struct {
    GArray *system;
    GArray *in_use;
    guint64 all_system;
} Stats;

static guint64
read_number(const char *line)
{
    const char *equals = strchr(line, '=');
    return equals ? g_ascii_strtoull(g_strchug((char *)equals + 1), NULL, 10) : 0;
}

/*
 * The last of the two answers. "Total" follows the arenas, with the mmapped bytes added to both;
 * other lines are the program's and gdb's.
 */
static void
read_stats(const char *path, Stats *stats)
{
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    gboolean total = FALSE;
    for (gsize i = 0; lines[i] != NULL; i++) {
        guint64 number = read_number(lines[i]);
        if (g_str_has_prefix(lines[i], "Arena 0:")) {
            g_array_set_size(stats->system, 0);
            g_array_set_size(stats->in_use, 0);
            total = FALSE;
        }
        total = total || g_str_has_prefix(lines[i], "Total");
        if (g_str_has_prefix(lines[i], "system bytes") && !total)
            g_array_append_val(stats->system, number);
        else if (g_str_has_prefix(lines[i], "in use bytes") && !total)
            g_array_append_val(stats->in_use, number);
        else if (g_str_has_prefix(lines[i], "system bytes"))
            stats->all_system = number;
    }
}

/* malloc_stats() goes round the ring from main_arena, as `arenas` need not: arenas are matched by
 * their system bytes and use. */
static void
compare_arena(JsonObject *arena, Stats *stats)
{
    guint64 system = real_member_uint(arena, "system_bytes");
    guint64 free = real_member_uint(arena, "free_bytes");
    guint64 overhead = real_member_uint(arena, "overhead_bytes");
    guint64 in_use = system - free + real_member_uint(arena, "tcache_bytes");
    g_assert_cmpuint(real_member_uint(arena, "used_bytes") + free + overhead, ==, system);
    for (guint i = 0; i < stats->system->len; i++) {
        if (g_array_index(stats->system, guint64, i) == system &&
            g_array_index(stats->in_use, guint64, i) == in_use) {
            g_array_remove_index(stats->system, i);
            g_array_remove_index(stats->in_use, i);
            return;
        }
    }
    real_fail("malloc_stats() knows no arena with %" G_GUINT64_FORMAT
              " system bytes of which %" G_GUINT64_FORMAT " are in use",
              system, in_use);
}

static void
compare(const RealSubject *subject, Stats *stats, guint64 least_bytes)
{
    g_autoptr(JsonNode) document = real_ask(subject, "arenas", NULL);
    if (document == NULL)
        return;
    JsonArray *arenas = real_get_array(document, "data.arenas");
    g_assert_cmpuint(json_array_get_length(arenas), ==, stats->system->len);
    guint64 all_system = 0;
    for (guint i = 0; i < json_array_get_length(arenas); i++) {
        JsonObject *arena = json_array_get_object_element(arenas, i);
        compare_arena(arena, stats);
        all_system += real_member_uint(arena, "system_bytes");
    }
    guint64 mmapped = real_get_uint(document, "data.mmapped.bytes");
    g_test_message("%" G_GUINT64_FORMAT " bytes in %u arenas, %" G_GUINT64_FORMAT " mmapped",
                   all_system, json_array_get_length(arenas), mmapped);
    g_assert_cmpuint(all_system + mmapped, ==, stats->all_system);
    g_assert_cmpuint(all_system, >, least_bytes);
    g_assert_cmpuint(mmapped, ==, real_get_uint(document, "data.mmapped.expected_bytes"));
    g_assert_cmpuint(real_get_uint(document, "data.mmapped.chunks"), ==,
                     real_get_uint(document, "data.mmapped.expected_chunks"));
    g_autoptr(JsonNode) check = real_ask(subject, "check", NULL);
    if (check != NULL) {
        g_autofree char *text = json_to_string(real_get(check, "data.violations"), FALSE);
        g_assert_cmpstr(text, ==, "[]");
    }
}

static void
test_program(gconstpointer data)
{
    const Case *one = data;
    /* "SAMPLES" in a word stands for the folder of the samples' sources. */
    g_autoptr(GPtrArray) command = g_ptr_array_new_with_free_func(g_free);
    for (gsize i = 0; one->command[i] != NULL; i++) {
        g_autoptr(GString) word = g_string_new(one->command[i]);
        g_string_replace(word, "SAMPLES", g_getenv("POSTMALLOC_SAMPLES_SOURCE"), 0);
        g_ptr_array_add(command, g_strdup(word->str));
    }
    g_ptr_array_add(command, NULL);
    g_autoptr(RealRun) run =
        real_run_to_exit((const char *const *)command->pdata, one->environment);
    if (run == NULL)
        return;
    Stats stats = {g_array_new(FALSE, FALSE, sizeof(guint64)),
                   g_array_new(FALSE, FALSE, sizeof(guint64)), 0};
    read_stats(run->output, &stats);
    g_assert_cmpuint(stats.system->len, >, 0);
    RealSubject subject = {.core = run->core};
    compare(&subject, &stats, one->least_bytes);
    g_array_unref(stats.system);
    g_array_unref(stats.in_use);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/real/programs/", cases[i].name, NULL);
        g_test_add_data_func(path, &cases[i], test_program);
    }
    return g_test_run();
}
