/*
 * The leak scan against valgrind's memcheck: the same program, stopped at the same point, natively
 * and under valgrind; what either calls lost, as a multiset of chunk sizes (REACHABILITY.md,
 * "Against valgrind").
 *
 * Both runs have a library preloaded (stopper.c) that stops them where they are about to exit.
 * Natively, MALLOC_PERTURB_ overwrites what malloc and free leave behind: memcheck knows which
 * bytes were never written since, a core does not.
 */
#include "run.h"
#include "tool.h"

#include <string.h>

#define VALGRIND_SECONDS 120
#define WORDS_MAX        12

/*
 * By itself valgrind puts the heap at 80 million, where ld.so's relocate_time (elf/rtld.c), a count
 * of processor cycles in its data, takes one run in forty for an address of a block. From 8 GiB on,
 * its highest value, counters look like no address.
 */
#define LOWEST_ADDRESS "--aspace-minaddr=0x200000000"

/* What valgrind calls lost and a core cannot: @count blocks of @request_bytes, and why. */
typedef struct {
    guint64 request_bytes;
    guint count;
    const char *why;
} Exception;

/*
 * @command: "BUILD/" at the start of a word stands for the folder of the samples, "SOURCE/" for
 * that of their sources. @least_lost: that it is known to lose.
 */
typedef struct {
    const char *name;
    const char *command[WORDS_MAX];
    guint least_lost;
    Exception exceptions[2];
} Case;

static const char bash_script[] =
    "a=(); for ((i = 0; i < 3000; i++)); do a+=(\"word $i\"); done; unset 'a[7]';"
    "f() { local x=1; printf '%s' \"${a[@]:1:3}\"; }; f; declare -A m=([x]=1 [y]=2); trap f USR1";

static const char dash_script[] =
    "i=0; while [ $i -lt 500 ]; do i=$((i+1)); eval \"v$i=x$i\"; done; f() { g; }; set -- a b c";

static const char sqlite_script[] =
    "create table t(a, b);"
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)"
    " insert into t select i, hex(randomblob(i % 50)) from n;"
    "create index x on t(b); select count(*) from t;";

/* An integer holds the address in digits of 30 bits. */
static const char python_script[] = "import ctypes, json, re\n"
                                    "kept = [{str(i): i} for i in range(1000)]\n"
                                    "json.loads(json.dumps(kept)); re.compile('a+b')\n"
                                    "malloc = ctypes.pythonapi.PyMem_RawMalloc\n"
                                    "malloc.restype = ctypes.c_size_t\n"
                                    "lost = [malloc(n) for n in range(100, 200, 10)]\n";

static const char gdb_script[] =
    "python import ctypes; m = ctypes.pythonapi.PyMem_RawMalloc; m.restype = ctypes.c_size_t;"
    " lost = [m(n) for n in (1000, 2000, 3000)]";

/* Pairs that refer to each other: without a garbage collector nobody frees them. */
static const char perl_script[] = "my %kept; $kept{$_} = 'x' x $_ for 1..300;"
                                  "for (1..20) { my $a = {}; my $b = {of => $a}; $a->{of} = $b; }";

static const char awk_script[] =
    "BEGIN { for (i = 0; i < 2000; i++) a[i] = \"x\" i; for (i in a) s = s a[i]; print length(s) }";

static const Case cases[] = {
    {"bash", {"bash", "-c", bash_script}},
    {"dash", {"dash", "-c", dash_script}},
    {"git", {"git", "--no-pager", "diff", "--no-index", "SOURCE/", "SOURCE/../heapwalk"}},
    {"sqlite3", {"sqlite3", ":memory:", sqlite_script}},
    {"python3", {"/usr/bin/python3", "-c", python_script}, .least_lost = 10},
    {"gdb",
     {"gdb", "-nx", "-batch", "-ex", gdb_script, "-ex", "print sizeof(int)"},
     .least_lost = 3},
    {"perl", {"perl", "-e", perl_script}, .least_lost = 40},
    {"xz", {"xz", "-2", "-c", "BUILD/reach"}},
    {"awk", {"awk", awk_script}},
    {"sed", {"sed", "-n", "s/\\(root\\).*\\(bash\\)/\\2\\1/p;/x/{H;x;s/\\n/,/g;x}", "/etc/passwd"}},
    {"openssl", {"openssl", "dgst", "-sha256", "/etc/passwd"}},
    {"sort", {"sort", "-r", "/etc/passwd"}},
    {"ld", {"ld", "-shared", "BUILD/libreach-plugin.so", "-o", "/dev/null"}},
    {"gcc", {"gcc", "-v"}},
    {"readelf", {"readelf", "-aW", "BUILD/libreach-plugin.so"}},
    {"case1", {"BUILD/case1", "3000"}, .least_lost = 3000},
    {"case2", {"BUILD/case2", "200"}, .least_lost = 200},
    {"mix", {"BUILD/mix", "--threads", "0", "--steps", "3000"}, .least_lost = 100},
    {"body", {"BUILD/layouts", "--body"}, .least_lost = 100},
    {"cxx", {"BUILD/reach-cxx"}, .least_lost = 100},
    {"kept",
     {"BUILD/reach", "--no-control", "--list", "--tree", "--ring", "--last-word", "--large",
      "--fan", "--interior", "--keys", "--plugin"}},
    {"slack",
     {"BUILD/reach", "--no-control", "--slack", "--lost-list"},
     7,
     {{20, 1,
       "a pointer to the byte after 20 requested ones: valgrind knows the request, in a core the"
       " chunk has 24 bytes and the pointer leads into it"}}},
    {"rings",
     {"BUILD/reach", "--no-control", "--lost-ring", "--lost-double-list", "--lost-ring-with-tail",
      "--lost-ring-with-root", "--lost-rings", "--lost-linked-rings"},
     40},
    {"lost",
     {"BUILD/reach", "--no-control", "--lost-list", "--lost-tree", "--lost-child",
      "--lost-shared-child", "--lost-diamond", "--self", "--lost-large", "--past-end",
      "--unaligned"},
     40},
    {"freed", {"BUILD/reach", "--no-control", "--freed", "--moved", "--closed-plugin"}, 15},
};

/* What malloc makes of a request on 64 bit: a word before it, in steps of 16, at least 32. */
static guint64
get_chunk_bytes(guint64 request_bytes)
{
    return MAX(32, (request_bytes + 8 + 15) & ~(guint64)15);
}

static char *
expand(const char *word)
{
    static const struct {
        const char *prefix, *variable;
    } folders[] = {{"BUILD/", "POSTMALLOC_SAMPLES"}, {"SOURCE/", "POSTMALLOC_SAMPLES_SOURCE"}};
    for (gsize i = 0; i < G_N_ELEMENTS(folders); i++) {
        if (g_str_has_prefix(word, folders[i].prefix))
            return g_build_filename(g_getenv(folders[i].variable), word + strlen(folders[i].prefix),
                                    NULL);
    }
    return g_strdup(word);
}

/* Settings of both runs, with the stopper; NULL-terminated. */
static GPtrArray *
make_environment(const char *folder)
{
    GPtrArray *environment = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(environment, g_strdup("G_SLICE=always-malloc"));
    g_ptr_array_add(environment, g_strdup("PYTHONMALLOC=malloc"));
    g_ptr_array_add(environment, g_strdup("PYTHONHASHSEED=0"));
    g_ptr_array_add(environment, g_strdup("LC_ALL=C"));
    g_ptr_array_add(environment, g_strconcat("LD_PRELOAD=", g_getenv("POSTMALLOC_STOPPER"), NULL));
    g_ptr_array_add(environment, g_strconcat("POSTMALLOC_REQUESTS=", folder, "/requests", NULL));
    return environment;
}

static GPtrArray *
make_command(const Case *one)
{
    GPtrArray *command = g_ptr_array_new_with_free_func(g_free);
    for (gsize i = 0; i < WORDS_MAX && one->command[i] != NULL; i++)
        g_ptr_array_add(command, expand(one->command[i]));
    return command;
}

/* Runs the program under memcheck, whose log then has every block; (transfer full) its path. */
static char *
run_valgrind(const Case *one, const char *folder)
{
    g_autoptr(GPtrArray) environment = make_environment(folder);
    g_autoptr(GPtrArray) program = make_command(one);
    g_autoptr(GPtrArray) command = g_ptr_array_new();
    g_autofree char *log = g_build_filename(folder, "valgrind.log", NULL);
    g_autofree char *log_option = g_strconcat("--log-file=", log, NULL);
    g_autofree char *vgdb_option = g_strconcat("--vgdb-prefix=", folder, "/vgdb", NULL);
    const char *tool[] = {"valgrind",        "--tool=memcheck", "--default-suppressions=no",
                          "--num-callers=4", LOWEST_ADDRESS,    log_option,
                          vgdb_option};
    g_ptr_array_add(command, (gpointer) "env");
    g_ptr_array_add(command, (gpointer) "POSTMALLOC_VALGRIND=1");
    for (guint i = 0; i < environment->len; i++)
        g_ptr_array_add(command, environment->pdata[i]);
    for (gsize i = 0; i < G_N_ELEMENTS(tool); i++)
        g_ptr_array_add(command, (gpointer)tool[i]);
    for (guint i = 0; i < program->len; i++)
        g_ptr_array_add(command, program->pdata[i]);
    g_ptr_array_add(command, NULL);
    const char *const *words = (const char *const *)command->pdata;
    if (real_run_command(words, folder, NULL, NULL, VALGRIND_SECONDS) == 0)
        return g_steal_pointer(&log);
    g_autofree char *text = NULL;
    g_file_get_contents(log, &text, NULL, NULL);
    real_fail("valgrind failed: %.2000s", text ? text : "");
    return NULL;
}

/*
 * Reads memcheck's answer to block_list: a line "… bytes in … blocks are definitely lost in loss
 * record …", a backtrace, then its blocks, "0xADDRESS[BYTES]". What hangs on them follows,
 * indented, and comes once more in a record of its own.
 *
 * @ret_blocks: (out): of all classes.
 * Returns: (transfer full): requests of what is definitely or indirectly lost. NULL after
 * g_test_fail().
 */
static GArray *
read_log(const char *path, guint *ret_blocks)
{
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    GArray *lost = g_array_new(FALSE, FALSE, sizeof(guint64));
    gboolean is_lost = FALSE, complete = FALSE;
    for (gsize i = 0; lines[i] != NULL; i++) {
        const char *line = strstr(lines[i] + strspn(lines[i], "="), "== ");
        line = line != NULL ? line + strlen("== ") : "";
        char *end = NULL;
        if (strstr(line, " in loss record ") != NULL)
            is_lost = strstr(line, " definitely lost in") || strstr(line, " indirectly lost in");
        complete = complete || g_str_has_prefix(line, "LEAK SUMMARY:");
        if (!g_str_has_prefix(line, "0x"))
            continue;
        (void)g_ascii_strtoull(line, &end, 16);
        if (*end != '[')
            continue;
        const guint64 bytes = g_ascii_strtoull(end + 1, NULL, 10);
        (*ret_blocks)++;
        if (is_lost)
            g_array_append_val(lost, bytes);
    }
    if (!complete)
        real_fail("valgrind did not search for leaks: %.2000s", text);
    return lost;
}

/* What every live block was asked for: guint64 address → guint64 bytes. */
static GHashTable *
read_requests(const char *folder)
{
    g_autofree char *path = g_build_filename(folder, "requests", NULL);
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    GHashTable *requests = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    for (gsize i = 0; lines[i] != NULL && *lines[i]; i++) {
        char *space = NULL;
        guint64 pair[2] = {g_ascii_strtoull(lines[i], &space, 16), 0};
        pair[1] = g_ascii_strtoull(space, NULL, 10);
        g_hash_table_insert(requests, g_memdup2(&pair[0], sizeof *pair),
                            g_memdup2(&pair[1], sizeof *pair));
    }
    return requests;
}

/*
 * What postmalloc calls lost, as requests. malloc gives a chunk that is larger where the rest would
 * be too small for one, and memalign often: without the request such a chunk could not be told from
 * that of a larger request.
 */
static GArray *
ask_lost(const RealRun *run, GHashTable *requests)
{
    RealSubject subject = {.core = run->core};
    g_autoptr(JsonNode) document = real_ask(&subject, "chunks --reach lost --limit 0", NULL);
    g_autoptr(JsonNode) leaks = real_ask(&subject, "leaks", NULL);
    if (document == NULL || leaks == NULL)
        return NULL;
    GArray *lost = g_array_new(FALSE, FALSE, sizeof(guint64));
    JsonArray *chunks = real_get_array(document, "data.chunks");
    for (guint i = 0; i < json_array_get_length(chunks); i++) {
        JsonObject *chunk = json_array_get_object_element(chunks, i);
        const guint64 address = real_member_address(chunk, "address");
        const guint64 chunk_bytes = real_member_uint(chunk, "chunk_bytes");
        const guint64 *bytes = g_hash_table_lookup(requests, &address);
        if (bytes == NULL) {
            real_fail("0x%" G_GINT64_MODIFIER "x is lost, but no live block of the program",
                      address);
            continue;
        }
        if (chunk_bytes < get_chunk_bytes(*bytes))
            real_fail("a request of %" G_GUINT64_FORMAT " bytes gave a chunk of %" G_GUINT64_FORMAT,
                      *bytes, chunk_bytes);
        g_array_append_val(lost, *bytes);
    }
    g_assert_cmpuint(real_get_uint(leaks, "data.lost.chunks"), ==, lost->len);
    return lost;
}

static int
compare_numbers(gconstpointer a, gconstpointer b)
{
    const guint64 *left = a, *right = b;
    return *left < *right ? -1 : *left > *right;
}

/* Takes each exception's blocks out of what valgrind has. One that is not there any more fails. */
static void
take_exceptions(const Case *one, GArray *of_valgrind)
{
    for (gsize i = 0; i < G_N_ELEMENTS(one->exceptions); i++) {
        const Exception *exception = &one->exceptions[i];
        for (guint j = 0; j < exception->count; j++) {
            guint at = 0;
            if (!g_array_binary_search(of_valgrind, &exception->request_bytes, compare_numbers,
                                       &at)) {
                real_fail("valgrind has no lost block of %" G_GUINT64_FORMAT
                          " bytes left, but should: %s",
                          exception->request_bytes, exception->why);
                return;
            }
            g_array_remove_index(of_valgrind, at);
        }
        if (exception->count > 0)
            g_test_message("%u lost block of %" G_GUINT64_FORMAT " bytes to valgrind alone: %s",
                           exception->count, exception->request_bytes, exception->why);
    }
}

/* Both sorted by request, which is the order of chunk sizes too. */
static void
compare(GArray *of_valgrind, GArray *ours)
{
    g_autoptr(GString) text = g_string_new(NULL);
    guint i = 0, j = 0;
    while (i < of_valgrind->len || j < ours->len) {
        const guint64 left = i < of_valgrind->len
                                 ? get_chunk_bytes(g_array_index(of_valgrind, guint64, i))
                                 : G_MAXUINT64;
        const guint64 right =
            j < ours->len ? get_chunk_bytes(g_array_index(ours, guint64, j)) : G_MAXUINT64;
        if (left != right && text->len < 1000)
            g_string_append_printf(text, "\n    %" G_GUINT64_FORMAT ": lost to %s alone",
                                   MIN(left, right), left < right ? "valgrind" : "postmalloc");
        i += left <= right ? 1 : 0;
        j += right <= left ? 1 : 0;
    }
    if (text->len > 0)
        real_fail("chunk sizes of lost blocks differ:%s", text->str);
}

static void
compare_runs(const Case *one, const char *folder, const char *log)
{
    guint blocks = 0;
    g_autoptr(GArray) of_valgrind = read_log(log, &blocks);
    g_autoptr(GPtrArray) environment = make_environment(folder);
    g_autoptr(GPtrArray) command = make_command(one);
    g_ptr_array_add(environment, NULL);
    g_ptr_array_add(command, NULL);
    g_autoptr(RealRun) run = real_run_to_stop((const char *const *)command->pdata,
                                              (const char *const *)environment->pdata);
    if (run == NULL)
        return;
    g_autoptr(GHashTable) requests = read_requests(folder);
    g_autoptr(GArray) ours = ask_lost(run, requests);
    if (ours == NULL)
        return;
    g_test_message("of %u blocks under valgrind and %u natively, %u and %u are lost", blocks,
                   g_hash_table_size(requests), of_valgrind->len, ours->len);
    g_assert_cmpuint(of_valgrind->len, >=, one->least_lost);
    g_array_sort(of_valgrind, compare_numbers);
    g_array_sort(ours, compare_numbers);
    take_exceptions(one, of_valgrind);
    compare(of_valgrind, ours);
}

static void
test_program(gconstpointer data)
{
    const Case *one = data;
    g_autofree char *program = expand(one->command[0]);
    if (g_getenv("POSTMALLOC_STOPPER") == NULL) {
        g_test_skip("valgrind's headers are not installed, which stopper.c takes");
        return;
    }
    if (!real_require_program("valgrind", "this test compares with") ||
        !real_require_program(program, "this test looks at"))
        return;
    g_autofree char *folder = g_dir_make_tmp("postmalloc-valgrind-XXXXXX", NULL);
    g_assert_nonnull(folder);
    g_autofree char *log = run_valgrind(one, folder);
    if (log != NULL)
        compare_runs(one, folder, log);
    real_remove(folder);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/real/valgrind/", cases[i].name, NULL);
        g_test_add_data_func(path, &cases[i], test_program);
    }
    return g_test_run();
}
