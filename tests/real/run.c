/*
 * Starting programs and taking their cores.
 */
#include "run.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <glob.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAMPLE_SECONDS 60
#define GDB_SECONDS    120
#define POLL_USEC      2000

typedef struct {
    const char *output_path;
    const char *error_path;
    gboolean may_dump;
} Setup;

void
real_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_test_message("FAILED: %s", text);
    g_test_fail();
}

/* In the child, between fork and exec: async-signal-safe calls only. */
static void
redirect(const char *path, int descriptor)
{
    int fd = open(path ? path : "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd >= 0) {
        dup2(fd, descriptor);
        close(fd);
    }
}

static void
set_up_child(gpointer data)
{
    const Setup *setup = data;
    struct rlimit core = {0, 0};
    if (setup->may_dump)
        core.rlim_cur = core.rlim_max = RLIM_INFINITY;
    setrlimit(RLIMIT_CORE, &core);
    redirect(setup->output_path, STDOUT_FILENO);
    redirect(setup->error_path, STDERR_FILENO);
}

/* meson sets a random MALLOC_PERTURB_; debuginfod would make a test hang on the network and know
 * symbols that are to be unknown. */
static char **
make_environment(const char *const *extra)
{
    char **environment = g_get_environ();
    g_auto(GStrv) names = g_listenv();
    for (gsize i = 0; names[i] != NULL; i++) {
        if (g_str_has_prefix(names[i], "MALLOC_") || g_str_has_prefix(names[i], "LD_"))
            environment = g_environ_unsetenv(environment, names[i]);
    }
    environment = g_environ_unsetenv(environment, "GLIBC_TUNABLES");
    environment = g_environ_unsetenv(environment, "DEBUGINFOD_URLS");
    for (gsize i = 0; extra != NULL && extra[i] != NULL; i++) {
        g_auto(GStrv) parts = g_strsplit(extra[i], "=", 2);
        environment = g_environ_setenv(environment, parts[0], parts[1], TRUE);
    }
    return environment;
}

/* Returns: FALSE after g_test_fail(). */
static gboolean
start(const char *const *command, const char *folder, const char *const *environment, Setup *setup,
      GPid *ret_pid)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) variables = make_environment(environment);
    if (g_spawn_async(folder, (char **)command, variables,
                      G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_SEARCH_PATH, set_up_child, setup, ret_pid,
                      &error))
        return TRUE;
    real_fail("%s", error->message);
    return FALSE;
}

/*
 * Waits until the child has ended or stopped.
 *
 * Returns: its wait status; -1 after @seconds, when it is killed.
 */
static int
await(GPid pid, guint seconds)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;
    int status = 0;
    while (waitpid(pid, &status, WNOHANG | WUNTRACED) == 0) {
        if (g_get_monotonic_time() > deadline) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return -1;
        }
        g_usleep(POLL_USEC);
    }
    return status;
}

int
real_run_command(const char *const *command, const char *folder, const char *output_path,
                 const char *error_path, guint seconds)
{
    Setup setup = {.output_path = output_path, .error_path = error_path};
    GPid pid = 0;
    if (!start(command, folder, NULL, &setup, &pid))
        return -1;
    int status = await(pid, seconds);
    if (status == -1)
        real_fail("%s took more than %u seconds", command[0], seconds);
    return status;
}

gboolean
real_require_program(const char *program, const char *purpose)
{
    g_autofree char *path = g_find_program_in_path(program);
    if (path == NULL) {
        g_autofree char *why = g_strdup_printf("%s is not installed, which %s", program, purpose);
        g_test_skip(why);
    }
    return path != NULL;
}

void
real_remove(const char *path)
{
    if (!g_file_test(path, G_FILE_TEST_IS_SYMLINK) && g_file_test(path, G_FILE_TEST_IS_DIR)) {
        g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
        const char *name = NULL;
        while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
            g_autofree char *child = g_build_filename(path, name, NULL);
            real_remove(child);
        }
    }
    (void)g_remove(path);
}

static RealRun *
make_run(void)
{
    g_autoptr(GError) error = NULL;
    RealRun *run = g_new0(RealRun, 1);
    run->folder = g_dir_make_tmp("postmalloc-real-XXXXXX", &error);
    g_assert_no_error(error);
    run->ledger = g_build_filename(run->folder, "ledger", NULL);
    run->output = g_build_filename(run->folder, "output", NULL);
    return run;
}

void
real_run_free(RealRun *run)
{
    real_remove(run->folder);
    g_free(run->folder);
    g_free(run->core);
    g_free(run->ledger);
    g_free(run->output);
    g_free(run);
}

/* What /proc/sys/kernel/core_pattern says, without its newline. */
static char *
read_core_pattern(void)
{
    char *pattern = NULL;
    if (!g_file_get_contents("/proc/sys/kernel/core_pattern", &pattern, NULL, NULL))
        return g_strdup("core");
    return g_strchomp(pattern);
}

/* The core of @pid by the kernel's pattern (core(5)): %p and %P are the pid, any other % is left
 * open. */
static char *
find_kernel_core(const char *folder, GPid pid)
{
    g_autofree char *pattern = read_core_pattern();
    g_autoptr(GString) name = g_string_new(g_path_is_absolute(pattern) ? "" : folder);
    if (name->len > 0)
        g_string_append_c(name, '/');
    for (const char *at = pattern; *at; at++) {
        if (*at != '%')
            g_string_append_c(name, *at);
        else if (*++at == 'p' || *at == 'P')
            g_string_append_printf(name, "%d", pid);
        else if (*at)
            g_string_append_c(name, *at == '%' ? '%' : '*');
        if (!*at)
            break;
    }
    glob_t found = {0};
    char *core = NULL;
    if (glob(name->str, 0, NULL, &found) == 0)
        core = g_strdup(found.gl_pathv[0]);
    globfree(&found);
    if (core == NULL) {
        g_string_append_printf(name, ".%d", pid); /* core_uses_pid */
        if (g_file_test(name->str, G_FILE_TEST_EXISTS))
            core = g_strdup(name->str);
    }
    return core;
}

static gboolean
take_kernel_core(RealRun *run, GPid pid, int status)
{
    if (status == -1 || !WIFSIGNALED(status)) {
        g_autofree char *output = NULL;
        g_file_get_contents(run->output, &output, NULL, NULL);
        real_fail("the sample did not abort (wait status %d): %s", status, output ? output : "");
        return FALSE;
    }
    g_autofree char *core = find_kernel_core(run->folder, pid);
    if (core == NULL) {
        g_test_skip("the kernel wrote no core that could be found by core_pattern");
        return FALSE;
    }
    run->core = g_build_filename(run->folder, "core", NULL);
    if (g_strcmp0(core, run->core) != 0 && g_rename(core, run->core) != 0) {
        g_free(run->core);
        run->core = g_steal_pointer(&core); /* on another file system; it stays where it is */
    }
    return TRUE;
}

static gboolean
take_gcore(RealRun *run, GPid pid, int status)
{
    gboolean stopped = status != -1 && WIFSTOPPED(status);
    g_autofree char *prefix = g_build_filename(run->folder, "snapshot", NULL);
    g_autofree char *number = g_strdup_printf("%d", pid);
    const char *command[] = {"gcore", "-o", prefix, number, NULL};
    g_autofree char *log = g_build_filename(run->folder, "gcore.log", NULL);
    if (stopped)
        real_run_command(command, run->folder, log, log, GDB_SECONDS);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    run->core = g_strdup_printf("%s.%d", prefix, pid);
    if (g_file_test(run->core, G_FILE_TEST_EXISTS))
        return TRUE;
    g_autofree char *text = NULL;
    g_file_get_contents(stopped ? log : run->output, &text, NULL, NULL);
    real_fail("no snapshot (wait status %d): %s", status, text ? text : "");
    return FALSE;
}

/* Falls back to a snapshot where the kernel's cores cannot be had. FALSE after g_test_skip(). */
static gboolean
settle_kind(RealCoreKind *kind)
{
    g_autofree char *pattern = read_core_pattern();
    if (*kind == REAL_KERNEL_CORE && pattern[0] == '|') {
        g_test_message("cores go into a pipe here (%s): taking a gcore snapshot instead", pattern);
        *kind = REAL_GCORE;
    }
    return *kind != REAL_GCORE || real_require_program("gcore", "takes the snapshot (package gdb)");
}

RealRun *
real_run_sample(const char *const *program, const char *options, RealCoreKind kind)
{
    if (!settle_kind(&kind))
        return NULL;
    g_autoptr(RealRun) run = make_run();
    g_autoptr(GPtrArray) command = g_ptr_array_new();
    for (gsize i = 0; program[i] != NULL; i++)
        g_ptr_array_add(command, (gpointer)program[i]);
    g_auto(GStrv) words = g_strsplit(options, " ", -1);
    for (gsize i = 0; words[i] != NULL; i++) {
        if (*words[i])
            g_ptr_array_add(command, words[i]);
    }
    const char *ending[] = {"--ledger", run->ledger, "--end", kind == REAL_GCORE ? "stop" : "abort",
                            NULL};
    for (gsize i = 0; i < G_N_ELEMENTS(ending); i++)
        g_ptr_array_add(command, (gpointer)ending[i]);
    Setup setup = {run->output, run->output, kind == REAL_KERNEL_CORE};
    GPid pid = 0;
    if (!start((const char *const *)command->pdata, run->folder, NULL, &setup, &pid))
        return NULL;
    int status = await(pid, SAMPLE_SECONDS);
    gboolean taken =
        kind == REAL_GCORE ? take_gcore(run, pid, status) : take_kernel_core(run, pid, status);
    return taken ? g_steal_pointer(&run) : NULL;
}

char *
real_get_sample(const char *name)
{
    return g_build_filename(g_getenv("POSTMALLOC_SAMPLES"), name, NULL);
}

RealRun *
real_run_built_sample(const char *name, const char *options, RealCoreKind kind)
{
    g_autofree char *path = real_get_sample(name);
    const char *const program[] = {path, NULL};
    if (g_file_test(path, G_FILE_TEST_EXISTS))
        return real_run_sample(program, options, kind);
    g_autofree char *why =
        g_strdup_printf("the sample %s was not built: its compiler or library is not here", name);
    g_test_skip(why);
    return NULL;
}

RealRun *
real_run_to_stop(const char *const *command, const char *const *environment)
{
    if (!real_require_program("gcore", "takes the snapshot (package gdb)") ||
        !real_require_program(command[0], "this test looks at"))
        return NULL;
    g_autoptr(RealRun) run = make_run();
    Setup setup = {run->output, run->output, FALSE};
    GPid pid = 0;
    if (!start(command, run->folder, environment, &setup, &pid))
        return NULL;
    return take_gcore(run, pid, await(pid, SAMPLE_SECONDS)) ? g_steal_pointer(&run) : NULL;
}

RealRun *
real_run_to_signal(const char *const *command, const char *const *environment)
{
    RealCoreKind kind = REAL_KERNEL_CORE;
    if (!settle_kind(&kind) || !real_require_program(command[0], "this test takes"))
        return NULL;
    g_autoptr(RealRun) run = make_run();
    g_autoptr(GPtrArray) variables = g_ptr_array_new();
    for (gsize i = 0; environment != NULL && environment[i] != NULL; i++)
        g_ptr_array_add(variables, (gpointer)environment[i]);
    g_ptr_array_add(variables, kind == REAL_GCORE ? (gpointer) "POSTMALLOC_END=STOP"
                                                  : (gpointer) "POSTMALLOC_END=ABRT");
    g_ptr_array_add(variables, NULL);
    Setup setup = {run->output, run->output, kind == REAL_KERNEL_CORE};
    GPid pid = 0;
    if (!start(command, run->folder, (const char *const *)variables->pdata, &setup, &pid))
        return NULL;
    int status = await(pid, SAMPLE_SECONDS);
    gboolean taken =
        kind == REAL_GCORE ? take_gcore(run, pid, status) : take_kernel_core(run, pid, status);
    return taken ? g_steal_pointer(&run) : NULL;
}

RealRun *
real_run_to_exit(const char *const *command, const char *const *environment)
{
    if (!real_require_program("gdb", "runs the program") ||
        !real_require_program(command[0], "this test looks at"))
        return NULL;
    g_autoptr(RealRun) run = make_run();
    run->core = g_build_filename(run->folder, "core", NULL);
    g_autofree char *gcore_line = g_strdup_printf("gcore %s", run->core);
    g_autofree char *log = g_build_filename(run->folder, "gdb.log", NULL);
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    /* Twice: the first may allocate the buffer of standard error after it has counted. */
    const char *lines[] = {
        "set debuginfod enabled off", "set breakpoint pending on", "break exit", "run",
        "call (void)malloc_stats()",  "call (void)malloc_stats()", gcore_line,   "kill"};
    g_ptr_array_add(words, (gpointer) "gdb");
    g_ptr_array_add(words, (gpointer) "-nx");
    g_ptr_array_add(words, (gpointer) "-batch");
    for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_ptr_array_add(words, (gpointer) "-ex");
        g_ptr_array_add(words, (gpointer)lines[i]);
    }
    g_ptr_array_add(words, (gpointer) "--args");
    for (gsize i = 0; command[i] != NULL; i++)
        g_ptr_array_add(words, (gpointer)command[i]);
    g_ptr_array_add(words, NULL);
    Setup setup = {log, run->output, FALSE};
    GPid pid = 0;
    if (!start((const char *const *)words->pdata, run->folder, environment, &setup, &pid))
        return NULL;
    int status = await(pid, GDB_SECONDS);
    if (status == 0 && g_file_test(run->core, G_FILE_TEST_EXISTS))
        return g_steal_pointer(&run);
    g_autofree char *text = NULL;
    g_file_get_contents(log, &text, NULL, NULL);
    real_fail("no core of %s (gdb's wait status %d): %s", command[0], status, text ? text : "");
    return NULL;
}

void
real_run_cut(const RealRun *run, guint numerator, guint denominator)
{
    GStatBuf status;
    g_assert_cmpint(g_stat(run->core, &status), ==, 0);
    g_assert_cmpint(truncate(run->core, status.st_size / denominator * numerator), ==, 0);
}

int
real_test_run(void)
{
    g_autofree char *cache = g_dir_make_tmp("postmalloc-cache-XXXXXX", NULL);
    g_setenv("XDG_CACHE_HOME", cache, TRUE);
    const int status = g_test_run();
    real_remove(cache);
    return status;
}
