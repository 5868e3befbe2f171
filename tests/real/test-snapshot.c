/*
 * Snapshots of a process that allocates all the time: it goes on whatever happens to the snapshot,
 * and nothing is left of one that was not taken.
 */
#include "live.h"
#include "run.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUSY    "--threads 50 --arenas 2"
#define THREADS 51

/* What makes a snapshot take a while. */
#define BALLAST_MIB 100

/* `postmalloc snapshot PID` with @option and its value, or NULL. */
static JsonNode *
ask(const RealLive *live, const char *option, const char *value)
{
    g_autofree char *pid = g_strdup_printf("%d", live->pid);
    const char *options[] = {option, value, NULL};
    const RealSubject subject = {.core = pid, .options = options};
    return real_ask(&subject, "snapshot", NULL);
}

/* The error's text, which has @words in it, after its code was seen to be @code. */
static void
check_refusal(JsonNode *document, const char *code, const char *words)
{
    if (document == NULL)
        return;
    const char *text = real_get_string(document, "error.text");
    if (g_strcmp0(real_get_string(document, "error.code"), code) != 0 || text == NULL ||
        strstr(text, words) == NULL)
        real_fail("not %s with \"%s\", but %s: %s", code, words,
                  real_get_string(document, "error.code"), text);
}

static void
refuse(const char *pid, const char *file, const char *code, const char *words)
{
    const char *options[] = {"-o", file, NULL};
    const RealSubject subject = {.core = pid, .options = options};
    g_autoptr(JsonNode) document = real_ask_refused(&subject, "snapshot");
    check_refusal(document, code, words);
}

static void
test_taken(void)
{
    g_autoptr(RealLive) live = real_live_start(BUSY);
    if (live == NULL || !real_require_program("gdb", "takes snapshots"))
        return;
    g_autofree char *folder = g_dir_make_tmp("postmalloc-snapshot-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(folder, "taken", NULL);
    const gint64 before = g_get_monotonic_time();
    g_autoptr(JsonNode) document = ask(live, "-o", file);
    const double passed = (double)(g_get_monotonic_time() - before) / G_USEC_PER_SEC;
    struct stat status = {0};
    real_live_check(live);
    if (document != NULL) {
        const double stopped = json_node_get_double(real_get(document, "data.stopped_seconds"));
        const guint64 expected = real_get_uint(document, "data.expected_bytes");
        g_assert_cmpstr(real_get_string(document, "data.file"), ==, file);
        g_assert_cmpint(stat(file, &status), ==, 0);
        g_assert_cmpuint(status.st_mode & 07777, ==, 0600);
        g_assert_cmpuint(real_get_uint(document, "data.bytes"), ==, (guint64)status.st_size);
        g_assert_true(stopped > 0 && stopped <= passed);
        /* The notes come on top; threads may map and unmap a few large chunks in between. */
        g_assert_cmpuint(expected, <=, (guint64)status.st_size + (16 << 20));
        g_assert_cmpuint(expected + (16 << 20), >=, (guint64)status.st_size);
    }
    g_assert_cmpuint(real_live_count_files(folder), ==, 1);

    /* A second one takes no other file's place, and does not stop the process for it. */
    g_autofree char *pid = g_strdup_printf("%d", live->pid);
    refuse(pid, file, "output", "is there already");
    struct stat after = {0};
    g_assert_cmpint(stat(file, &after), ==, 0);
    g_assert_true(after.st_ino == status.st_ino && after.st_mtime == status.st_mtime &&
                  after.st_size == status.st_size);

    const RealSubject subject = {.core = file};
    g_autoptr(JsonNode) info = real_ask(&subject, "info", NULL);
    if (info != NULL)
        g_assert_cmpuint(json_array_get_length(real_get_array(info, "data.threads")), ==, THREADS);
    real_remove(folder);
}

/* The name by default, and what a person sees. */
static void
test_text(void)
{
    g_autoptr(RealLive) live = real_live_start("--threads 2 --arenas 1");
    if (live == NULL || !real_require_program("gdb", "takes snapshots"))
        return;
    g_autofree char *folder = g_dir_make_tmp("postmalloc-snapshot-XXXXXX", NULL);
    g_autofree char *output = g_build_filename(live->folder, "stdout", NULL);
    g_autofree char *pid = g_strdup_printf("%d", live->pid);
    g_autofree char *name = g_strconcat("core.", pid, NULL);
    g_autofree char *next = g_strdup_printf("next  postmalloc report %s --uptime ", name);
    g_autofree char *text = NULL;
    const char *command[] = {g_getenv("POSTMALLOC"), "snapshot", pid, NULL};
    g_assert_cmpint(real_run_command(command, folder, output, NULL, 60), ==, 0);
    g_assert_true(g_file_get_contents(output, &text, NULL, NULL));
    if (!g_str_has_prefix(text, name) || strstr(text, " s and runs on\n") == NULL ||
        strstr(text, next) == NULL)
        real_fail("not what a person is to see: %s", text);
    g_autofree char *core = g_build_filename(folder, name, NULL);
    g_assert_true(g_file_test(core, G_FILE_TEST_IS_REGULAR));
    real_live_check(live);
    real_remove(folder);
}

static void
test_no_space(void)
{
    g_autoptr(RealLive) live = real_live_start("--threads 4 --arenas 1 --ballast 32");
    if (live == NULL || !real_require_program("gdb", "takes snapshots"))
        return;
    g_autofree char *folder = g_dir_make_tmp("postmalloc-snapshot-XXXXXX", NULL);
    if (mount("none", folder, "tmpfs", 0, "size=16m") != 0) {
        g_test_skip("a small filesystem can be mounted by root alone");
        (void)g_rmdir(folder);
        return;
    }
    g_autofree char *file = g_build_filename(folder, "refused", NULL);
    g_autofree char *pid = g_strdup_printf("%d", live->pid);
    refuse(pid, file, "no-space", "16.0 MiB free");
    refuse(pid, file, "no-space", "another filesystem with -o FILE");
    g_assert_cmpuint(real_live_count_files(folder), ==, 0);
    real_live_check(live);
    g_assert_cmpint(umount(folder), ==, 0);
    (void)g_rmdir(folder);
}

/* Whatever ends gdb in the middle of writing: here a limit on the size of files. */
static void
test_cut(void)
{
    g_autoptr(RealLive) live = real_live_start("--threads 20 --arenas 1 --ballast 32");
    if (live == NULL || !real_require_program("gdb", "takes snapshots") ||
        !real_require_program("prlimit", "limits the size of files"))
        return;
    g_autofree char *folder = g_dir_make_tmp("postmalloc-snapshot-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(folder, "cut", NULL);
    g_autofree char *pid = g_strdup_printf("%d", live->pid);
    const char *command[] = {
        "prlimit", "--fsize=4194304", g_getenv("POSTMALLOC"), "snapshot", "-o", file, pid, NULL};
    const int status = real_run_command(command, NULL, NULL, NULL, 60);
    g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    g_assert_cmpuint(real_live_count_files(folder), ==, 0);
    real_live_check(live);
    real_remove(folder);
}

/*
 * Runs @command, sends it @signal_number after @delay_ms, and sees to it that the process goes on
 * and that @folder holds nothing, or @file whole.
 *
 * Returns: whether the signal ended the command.
 */
static gboolean
interrupt(const RealLive *live, const char *const *command, int signal_number, guint delay_ms)
{
    g_autofree char *folder = g_path_get_dirname(command[3]);
    GPid tool = 0;
    int status = 0;
    GStatBuf named;
    g_assert_true(g_spawn_async(NULL, (char **)command, NULL,
                                G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL |
                                    G_SPAWN_STDERR_TO_DEV_NULL,
                                NULL, NULL, &tool, NULL));
    g_usleep((gulong)delay_ms * 1000);
    kill(tool, signal_number);
    g_assert_cmpint(waitpid(tool, &status, 0), ==, tool);
    real_live_check(live);
    /* It may have come when all was done: then the file is whole. */
    const gboolean is_whole = g_stat(command[3], &named) == 0;
    if (WIFSIGNALED(status)) {
        g_assert_cmpint(WTERMSIG(status), ==, signal_number);
        g_assert_cmpuint(real_live_count_files(folder), ==, is_whole ? 1 : 0);
        g_assert_true(!is_whole || named.st_size > BALLAST_MIB << 20);
    }
    (void)g_unlink(command[3]);
    return WIFSIGNALED(status);
}

/* Signals to postmalloc at any moment. */
static void
test_interrupted(gconstpointer data)
{
    static const guint delays_ms[] = {0, 100, 200, 250, 300, 350, 400, 500, 700};
    g_autoptr(RealLive) live =
        real_live_start("--threads 50 --arenas 1 --ballast " G_STRINGIFY(BALLAST_MIB));
    if (live == NULL || !real_require_program("gdb", "takes snapshots"))
        return;
    g_autofree char *folder = g_dir_make_tmp("postmalloc-snapshot-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(folder, "interrupted", NULL);
    g_autofree char *pid = g_strdup_printf("%d", live->pid);
    const char *command[] = {g_getenv("POSTMALLOC"), "snapshot", "-o", file, pid, NULL};
    guint ended = 0;
    for (gsize i = 0; i < G_N_ELEMENTS(delays_ms); i++)
        ended += interrupt(live, command, GPOINTER_TO_INT(data), delays_ms[i]) ? 1 : 0;
    g_assert_cmpuint(ended, >, 0);
    real_remove(folder);
}

/* What cannot be looked at, and why. */
static void
test_refused(void)
{
    g_autofree char *own = g_strdup_printf("%d", getpid());
    refuse("2147483647", "/dev/null/x", "not-found", "there is no process");
    const pid_t ended = fork();
    if (ended == 0)
        _exit(0);
    siginfo_t seen;
    g_assert_cmpint(waitid(P_PID, (id_t)ended, &seen, WEXITED | WNOWAIT), ==, 0);
    g_autofree char *zombie = g_strdup_printf("%d", ended);
    refuse(zombie, "/dev/null/x", "not-found", "has ended");
    g_assert_cmpint(waitpid(ended, NULL, 0), ==, ended);
    refuse(own, "/nowhere/x", "open", "name another place with -o FILE");
}

static void
test_thread(void)
{
    g_autoptr(RealLive) live = real_live_start("--threads 2 --arenas 1");
    if (live == NULL)
        return;
    g_autofree char *path = g_strdup_printf("/proc/%d/task", live->pid);
    g_autofree char *pid = g_strdup_printf("%d", live->pid);
    g_autoptr(GDir) tasks = g_dir_open(path, 0, NULL);
    const char *tid = NULL;
    while (tasks != NULL && (tid = g_dir_read_name(tasks)) != NULL && strcmp(tid, pid) == 0)
        ;
    if (tid != NULL)
        refuse(tid, "/dev/null/x", "not-found", pid);
    else
        real_fail("the process has one thread");
}

/* Runs the tool through @wrapper and looks for @words in what it says. */
static void
check_message(const RealLive *live, const char *const *wrapper, const char *words)
{
    g_autofree char *pid = g_strdup_printf("%d", live->pid);
    g_autofree char *errors = g_build_filename(live->folder, "errors", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GPtrArray) command = g_ptr_array_new();
    for (gsize i = 0; wrapper[i] != NULL; i++)
        g_ptr_array_add(command, (gpointer)wrapper[i]);
    const char *rest[] = {g_getenv("POSTMALLOC"), "snapshot", pid, "-o",
                          "/tmp/never-written",   NULL};
    for (gsize i = 0; i < G_N_ELEMENTS(rest); i++)
        g_ptr_array_add(command, (gpointer)rest[i]);
    (void)g_unlink(errors);
    const int status =
        real_run_command((const char *const *)command->pdata, NULL, NULL, errors, 60);
    g_assert_true(g_file_get_contents(errors, &text, NULL, NULL));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1 || strstr(text, words) == NULL)
        real_fail("wait status %d, and \"%s\" is not in: %s", status, words, text);
    real_live_check(live);
}

static void
test_no_gdb(void)
{
    g_autoptr(RealLive) live = real_live_start("--threads 1 --arenas 1");
    const char *wrapper[] = {"/usr/bin/env", "PATH=/nonexistent", NULL};
    if (live != NULL)
        check_message(live, wrapper, "there is no gdb on the PATH; install it");
}

static void
test_other_user(void)
{
    g_autoptr(RealLive) live = real_live_start("--threads 1 --arenas 1");
    if (live == NULL)
        return;
    const char *wrapper[] = {"setpriv", "--reuid=65534", "--clear-groups", NULL};
    const char *tries[] = {
        "setpriv", "--reuid=65534", "--clear-groups", "test", "-x", g_getenv("POSTMALLOC"), NULL};
    if (!real_require_program("setpriv", "runs it as another user"))
        return;
    if (real_run_command(tries, NULL, NULL, NULL, 10) != 0)
        g_test_skip("only root can run it as another user, who must be able to reach it");
    else
        check_message(live, wrapper, "run this as that user or as root");
}

/* Only one debugger can hold a process. */
static void
test_held(void)
{
    g_autoptr(RealLive) live = real_live_start("--threads 1 --arenas 1");
    if (live == NULL || !real_require_program("gdb", "holds the process"))
        return;
    g_autofree char *attach = g_strdup_printf("attach %d", live->pid);
    const char *command[] = {"gdb", "-nx", "-batch", "-ex", attach, "-ex", "shell sleep 60", NULL};
    GPid gdb = 0;
    g_assert_true(g_spawn_async(NULL, (char **)command, NULL,
                                G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD |
                                    G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL,
                                NULL, NULL, &gdb, NULL));
    gboolean held = FALSE;
    for (guint i = 0; i < 1000 && !held; i++) {
        g_autofree char *status = real_live_read(live, "status");
        held = strstr(status, "TracerPid:\t0\n") == NULL;
        g_usleep(10000);
    }
    g_autofree char *pid = g_strdup_printf("%d", live->pid);
    if (held)
        refuse(pid, "/dev/null/x", "permission", "only one debugger");
    else
        real_fail("gdb does not attach");
    kill(gdb, SIGKILL);
    waitpid(gdb, NULL, 0);
}

/* What was stopped before stays so. */
static void
test_stopped(void)
{
    g_autoptr(RealLive) live = real_live_start("--threads 3 --arenas 1");
    if (live == NULL || !real_require_program("gdb", "takes snapshots"))
        return;
    g_autofree char *file = g_build_filename(live->folder, "stopped", NULL);
    kill(live->pid, SIGSTOP);
    g_assert_cmpint(waitpid(live->pid, NULL, WUNTRACED), ==, live->pid);
    g_autoptr(JsonNode) document = ask(live, "-o", file);
    g_autofree char *status = real_live_read(live, "status");
    if (strstr(status, "State:\tT (stopped)") == NULL)
        real_fail("it was stopped, and is no more: %s", status);
    kill(live->pid, SIGCONT);
    real_live_check(live);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    g_test_add_func("/real/snapshot/taken", test_taken);
    g_test_add_func("/real/snapshot/text", test_text);
    g_test_add_func("/real/snapshot/no-space", test_no_space);
    g_test_add_func("/real/snapshot/cut", test_cut);
    g_test_add_data_func("/real/snapshot/interrupted", GINT_TO_POINTER(SIGINT), test_interrupted);
    g_test_add_data_func("/real/snapshot/terminated", GINT_TO_POINTER(SIGTERM), test_interrupted);
    g_test_add_data_func("/real/snapshot/killed", GINT_TO_POINTER(SIGKILL), test_interrupted);
    g_test_add_func("/real/snapshot/refused", test_refused);
    g_test_add_func("/real/snapshot/thread", test_thread);
    g_test_add_func("/real/snapshot/no-gdb", test_no_gdb);
    g_test_add_func("/real/snapshot/other-user", test_other_user);
    g_test_add_func("/real/snapshot/held", test_held);
    g_test_add_func("/real/snapshot/stopped", test_stopped);
    return g_test_run();
}
