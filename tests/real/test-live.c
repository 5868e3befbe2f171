/*
 * Commands on processes that run (-p), and on cores from systemd's store (--coredump).
 */
#include "live.h"
#include "run.h"
#include "tool.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 6

/* A folder for temporary files that must be empty in the end; TMPDIR names it until then. */
static char *
enter_folder(void)
{
    char *folder = g_dir_make_tmp("postmalloc-live-XXXXXX", NULL);
    g_setenv("TMPDIR", folder, TRUE);
    return folder;
}

static void
leave_folder(char *folder)
{
    g_unsetenv("TMPDIR");
    g_assert_cmpuint(real_live_count_files(folder), ==, 0);
    real_remove(folder);
    g_free(folder);
}

/* What the tool prints as text for @words, with "" where it failed. (transfer full) */
static char *
print(const RealLive *live, const char *const *words)
{
    g_autofree char *output = g_build_filename(live->folder, "printed", NULL);
    char *text = NULL;
    (void)g_unlink(output);
    g_assert_cmpint(real_run_command(words, NULL, output, NULL, 60), ==, 0);
    return g_file_get_contents(output, &text, NULL, NULL) ? text : g_strdup("");
}

/* No violation is shown, and every arena adds up unless an operation in it was under way. */
static void
check_consistent(const RealSubject *subject)
{
    g_autoptr(JsonNode) check = real_ask(subject, "check", NULL);
    if (check == NULL)
        return;
    JsonArray *violations = real_get_array(check, "data.violations");
    for (guint i = 0; i < json_array_get_length(violations); i++) {
        JsonObject *violation = json_array_get_object_element(violations, i);
        real_fail("%s at %s: %s", real_member_text(violation, "code"),
                  real_member_text(violation, "address"), real_member_text(violation, "text"));
    }
    /* What is in flight names a thread of the process, or says why it cannot. */
    JsonArray *notes = real_get_array(check, "data.in_flight");
    for (guint i = 0; i < json_array_get_length(notes); i++) {
        const char *text = real_member_text(json_array_get_object_element(notes, i), "text");
        g_test_message("in flight: %s", text);
        if (text == NULL || strstr(text, "thread") == NULL)
            real_fail("in flight, but in no thread: %s", text);
    }
}

static void
test_consistent(gconstpointer options)
{
    g_autoptr(RealLive) live = real_live_start(options);
    if (live == NULL || !real_require_program("gdb", "takes snapshots"))
        return;
    char *folder = enter_folder();
    g_autofree char *source = g_strdup_printf("-p%d", live->pid);
    const RealSubject subject = {.core = source};
    for (guint i = 0; i < ROUNDS; i++) {
        check_consistent(&subject);
        real_live_check(live);
    }
    g_autoptr(JsonNode) arenas = real_ask(&subject, "arenas", NULL);
    JsonArray *rows = arenas == NULL ? NULL : real_get_array(arenas, "data.arenas");
    for (guint i = 0; rows != NULL && i < json_array_get_length(rows); i++) {
        JsonObject *arena = json_array_get_object_element(rows, i);
        if (!json_object_get_boolean_member(arena, "locked"))
            g_assert_cmpuint(real_member_uint(arena, "used_bytes") +
                                 real_member_uint(arena, "free_bytes") +
                                 real_member_uint(arena, "overhead_bytes"),
                             ==, real_member_uint(arena, "system_bytes"));
    }
    real_live_check(live);
    leave_folder(folder);
}

/* Rates come without --uptime, and the commands that are printed are for the same process. */
static void
test_text(void)
{
    g_autoptr(RealLive) live = real_live_start("--threads 4 --arenas 1");
    if (live == NULL || !real_require_program("gdb", "takes snapshots"))
        return;
    char *folder = enter_folder();
    g_autofree char *pid = g_strdup_printf("%d", live->pid);
    g_autofree char *next = g_strdup_printf("\n  postmalloc info -p %s\n", pid);
    const char *report[] = {g_getenv("POSTMALLOC"), "-p", pid, NULL};
    const char *show[] = {g_getenv("POSTMALLOC"), "show", "-p", pid, "0x1000", NULL};
    g_autofree char *page = print(live, report);
    if (strstr(page, next) == NULL || strstr(page, "PER HOUR") == NULL)
        real_fail("no command for the same process, or no rates: %s", page);
    g_autofree char *shown = print(live, show);
    if (strstr(shown, "0x1000") == NULL)
        real_fail("the address that follows -p PID was not read: %s", shown);
    real_live_check(live);
    leave_folder(folder);
}

/* The program's file is taken from the process where its path has gone. */
static void
test_removed(void)
{
    g_autoptr(RealLive) live = real_live_start_removed("--threads 2 --arenas 1");
    if (live == NULL || !real_require_program("gdb", "takes snapshots"))
        return;
    g_autofree char *source = g_strdup_printf("-p%d", live->pid);
    const RealSubject subject = {.core = source};
    g_autoptr(JsonNode) info = real_ask(&subject, "info", NULL);
    JsonArray *modules = info == NULL ? NULL : real_get_array(info, "data.modules");
    if (modules != NULL && json_array_get_length(modules) > 0)
        g_assert_cmpstr(real_member_text(json_array_get_object_element(modules, 0), "elf"), ==,
                        "found");
    real_live_check(live);
}

/* Ctrl-C while the snapshot is written: the process goes on, and nothing is left. */
static void
test_interrupted(void)
{
    static const guint delays_ms[] = {50, 150, 250, 350};
    g_autoptr(RealLive) live = real_live_start("--threads 50 --arenas 1 --ballast 60");
    if (live == NULL || !real_require_program("gdb", "takes snapshots"))
        return;
    char *folder = enter_folder();
    g_autofree char *source = g_strdup_printf("-p%d", live->pid);
    const char *command[] = {g_getenv("POSTMALLOC"), "sizes", source, NULL};
    guint ended = 0;
    for (gsize i = 0; i < G_N_ELEMENTS(delays_ms); i++) {
        GPid tool = 0;
        int status = 0;
        g_assert_true(g_spawn_async(NULL, (char **)command, NULL,
                                    G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL |
                                        G_SPAWN_STDERR_TO_DEV_NULL,
                                    NULL, NULL, &tool, NULL));
        g_usleep((gulong)delays_ms[i] * 1000);
        kill(tool, SIGINT);
        g_assert_cmpint(waitpid(tool, &status, 0), ==, tool);
        real_live_check(live);
        g_assert_cmpuint(real_live_count_files(folder), ==, 0);
        ended += WIFSIGNALED(status) && WTERMSIG(status) == SIGINT ? 1 : 0;
    }
    g_assert_cmpuint(ended, >, 0);
    leave_folder(folder);
}

static void
refuse(const char *source, const char *code, const char *words)
{
    const RealSubject subject = {.core = source};
    g_autoptr(JsonNode) document = real_ask_refused(&subject, "sizes");
    if (document == NULL)
        return;
    const char *text = real_get_string(document, "error.text");
    if (g_strcmp0(real_get_string(document, "error.code"), code) != 0 || text == NULL ||
        strstr(text, words) == NULL)
        real_fail("not %s with \"%s\", but %s", code, words, text);
}

static void
test_refused(void)
{
    refuse("-p2147483647", "not-found", "there is no process");
    g_setenv("TMPDIR", "/nonexistent", TRUE);
    g_autofree char *own = g_strdup_printf("-p%d", getpid());
    refuse(own, "open", "set TMPDIR to another folder");
    g_unsetenv("TMPDIR");
}

/* A coredumpctl that has one core, of the program busy. */
static void
write_store(const char *folder, const char *core)
{
    g_autofree char *program = g_build_filename(folder, "coredumpctl", NULL);
    g_autofree char *quoted = g_shell_quote(core);
    g_autofree char *script =
        g_strdup_printf("#!/bin/sh\n"
                        "[ \"$1 $2 ${3:---}\" = '--no-pager dump --' ] || exit 9\n"
                        "echo '           PID: 1 (busy)' >&2\n"
                        "case $4 in ''|busy) exec cat %s ;; esac\n"
                        "echo 'No match found.' >&2\n"
                        "exit 1\n",
                        quoted);
    g_assert_true(g_file_set_contents(program, script, -1, NULL));
    g_assert_cmpint(g_chmod(program, 0755), ==, 0);
}

static void
test_coredump(void)
{
    g_autoptr(RealLive) live = real_live_start("--threads 3 --arenas 1");
    if (live == NULL || !real_require_program("gdb", "takes the core"))
        return;
    g_autofree char *path = g_strdup(g_getenv("PATH"));
    g_autofree char *store = g_build_filename(live->folder, "store", NULL);
    g_autofree char *core = g_build_filename(store, "core", NULL);
    g_autofree char *pid = g_strdup_printf("%d", live->pid);
    g_assert_cmpint(g_mkdir(store, 0700), ==, 0);
    const char *command[] = {g_getenv("POSTMALLOC"), "snapshot", pid, "-o", core, NULL};
    g_free(print(live, command));
    write_store(store, core);
    g_autofree char *further = g_strconcat(store, ":", path, NULL);
    char *folder = enter_folder();
    g_setenv("PATH", further, TRUE);

    const char *sources[] = {"--coredump", "--coredump=busy"};
    for (gsize i = 0; i < G_N_ELEMENTS(sources); i++) {
        const RealSubject subject = {.core = sources[i]};
        g_autoptr(JsonNode) info = real_ask(&subject, "info", NULL);
        if (info != NULL)
            g_assert_cmpuint(real_get_uint(info, "data.process.pid"), ==, (guint64)live->pid);
    }
    refuse("--coredump=other", "not-found", "No match found.");
    const char *report[] = {g_getenv("POSTMALLOC"), "--coredump=busy", NULL};
    g_autofree char *page = print(live, report);
    if (strstr(page, "\n  postmalloc info '--coredump=busy'\n") == NULL)
        real_fail("no command for the same core: %s", page);
    g_setenv("PATH", "/nonexistent", TRUE);
    refuse("--coredump", "no-program", "apt install systemd-coredump");
    g_setenv("PATH", path, TRUE);
    leave_folder(folder);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    g_test_add_data_func("/real/live/consistent/threads", "--threads 50 --arenas 2",
                         test_consistent);
    g_test_add_data_func("/real/live/consistent/arenas", "--threads 16 --arenas 8",
                         test_consistent);
    g_test_add_data_func("/real/live/consistent/one-thread", "--threads 1 --arenas 1",
                         test_consistent);
    g_test_add_func("/real/live/text", test_text);
    g_test_add_func("/real/live/removed", test_removed);
    g_test_add_func("/real/live/interrupted", test_interrupted);
    g_test_add_func("/real/live/refused", test_refused);
    g_test_add_func("/real/live/coredump", test_coredump);
    return g_test_run();
}
