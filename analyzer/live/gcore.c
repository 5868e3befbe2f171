/*
 * Running gdb; see gcore.h.
 *
 * gdb says on its output how far it has come (echo). A gdb that is ended while it attaches leaves
 * the SIGSTOP of the attach to the process, which then stops: so a signal waits until gdb is
 * attached, when SIGTERM makes it detach; and whatever happened, the process is released in the
 * end. SIGINT is never sent: gdb would pass it on to the process, and end it.
 */
#include "live/gcore.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_MS 100
/* What gdb gets to attach or to give up before it is killed. */
#define PATIENCE_US ((gint64)10 * G_USEC_PER_SEC)
/* Where gdb finds the file, as its own descriptor. */
#define CORE_FD   3
#define CORE_PATH "/proc/self/fd/3"

/* Its words behind each step. */
#define MARK_ATTACH   "@attach"
#define MARK_ATTACHED "@attached"
#define MARK_WRITTEN  "@written"
#define MARK_DETACHED "@detached"

/*
 * @said: what gdb printed, its marks left out. @line: the line that it has not ended yet.
 * @deadline: when it is killed, 0 while nobody is impatient.
 */
typedef struct {
    const PmGcore *gcore;
    GPid child;
    int output;
    GString *line;
    GString *said;
    gint64 attach_at;
    gint64 detached_at;
    gboolean attached;
    gboolean written;
    gboolean interrupted;
    gboolean told;
    gint64 deadline;
} Run;

/* In the child, between fork and exec. */
static void
set_up_child(G_GNUC_UNUSED gpointer data)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setsid();
    /* Where this program is killed, gdb writes to nobody, and must go on until it has detached. */
    (void)signal(SIGPIPE, SIG_IGN);
}

static gboolean
start(Run *run, GError **error)
{
    g_autofree char *gdb = g_find_program_in_path("gdb");
    if (gdb == NULL) {
        g_set_error_literal(error, PM_ERROR, PM_ERROR_NO_PROGRAM,
                            "a running process is read through gdb, and there is no gdb on the "
                            "PATH; install it (apt install gdb, dnf install gdb), or take the core "
                            "in another way and pass the file");
        return FALSE;
    }
    g_autofree char *attach = g_strdup_printf("attach %u", run->gcore->process->pid);
    static const char echo_attach[] = "echo " MARK_ATTACH "\\n";
    static const char echo_attached[] = "echo " MARK_ATTACHED "\\n";
    static const char echo_written[] = "echo " MARK_WRITTEN "\\n";
    static const char echo_detached[] = "echo " MARK_DETACHED "\\n";
    static const char write_core[] = "generate-core-file " CORE_PATH;
    /* No DWARF, no libraries: the notes and the memory need no symbols at all. */
    const char *words[] = {gdb,
                           "--nx",
                           "-q",
                           "--batch",
                           "--readnever",
                           "-iex",
                           "set debuginfod enabled off",
                           "-iex",
                           "set auto-solib-add off",
                           "-iex",
                           "set libthread-db-search-path /nonexistent",
                           "-iex",
                           "set auto-load off",
                           "-iex",
                           "set print thread-events off",
                           "-iex",
                           "set pagination off",
                           "-ex",
                           echo_attach,
                           "-ex",
                           attach,
                           "-ex",
                           echo_attached,
                           "-ex",
                           write_core,
                           "-ex",
                           echo_written,
                           "-ex",
                           "detach",
                           "-ex",
                           echo_detached,
                           NULL};
    g_auto(GStrv) environment = g_get_environ();
    environment = g_environ_setenv(environment, "LC_ALL", "C", TRUE);
    environment = g_environ_unsetenv(environment, "DEBUGINFOD_URLS");
    int pipe_ends[2];
    if (!g_unix_open_pipe(pipe_ends, FD_CLOEXEC, error))
        return FALSE;
    const int core_fd = CORE_FD;
    const gboolean started = g_spawn_async_with_pipes_and_fds(
        NULL, words, (const char *const *)environment, G_SPAWN_DO_NOT_REAP_CHILD, set_up_child,
        NULL, -1, pipe_ends[1], pipe_ends[1], &run->gcore->file->fd, &core_fd, 1, &run->child, NULL,
        NULL, NULL, error);
    close(pipe_ends[1]);
    run->output = pipe_ends[0];
    return started;
}

/* Takes a whole line of gdb's. */
static void
take_line(Run *run)
{
    const char *line = run->line->str;
    if (strcmp(line, MARK_ATTACH) == 0)
        run->attach_at = g_get_monotonic_time();
    else if (strcmp(line, MARK_ATTACHED) == 0)
        run->attached = TRUE;
    else if (strcmp(line, MARK_WRITTEN) == 0)
        run->written = TRUE;
    else if (strcmp(line, MARK_DETACHED) == 0)
        run->detached_at = g_get_monotonic_time();
    else if (run->said->len < 65536)
        g_string_append_printf(run->said, "%s\n", line);
    g_string_truncate(run->line, 0);
}

/* Returns: FALSE where gdb has closed its output. */
static gboolean
read_output(Run *run)
{
    char part[1024];
    const ssize_t count = read(run->output, part, sizeof part);
    if (count < 0)
        return errno == EINTR || errno == EAGAIN;
    for (ssize_t i = 0; i < count; i++) {
        if (part[i] == '\n')
            take_line(run);
        else if (part[i] != '\0' && run->line->len < 4096)
            g_string_append_c(run->line, part[i]);
    }
    return count > 0;
}

/* Passes the user's wish to stop on, when gdb is ready for it. */
static void
heed_signals(Run *run)
{
    const gint64 now = g_get_monotonic_time();
    if (!run->interrupted && pm_signals_came(run->gcore->signals)) {
        run->interrupted = TRUE;
        run->deadline = now + PATIENCE_US;
    }
    if (run->interrupted && !run->told && (run->attached || run->attach_at == 0)) {
        run->told = TRUE;
        (void)kill(run->child, SIGTERM);
    }
    if (run->deadline != 0 && now > run->deadline) {
        run->deadline = 0;
        (void)kill(run->child, SIGKILL);
    }
}

/* Until gdb has closed its output. Returns: its wait status. */
static int
follow(Run *run)
{
    const PmGcore *gcore = run->gcore;
    gboolean open = TRUE;
    while (open) {
        struct pollfd waits[] = {{.fd = run->output, .events = POLLIN},
                                 {.fd = gcore->signals->fd, .events = POLLIN}};
        /* What has come stays readable: once seen, it is waited for no more. */
        const int ready = poll(waits, run->interrupted ? 1 : 2, TICK_MS);
        if (ready > 0 && waits[0].revents != 0)
            open = read_output(run);
        heed_signals(run);
        if (gcore->progress != NULL && run->attached)
            gcore->progress(gcore->progress_data, pm_dump_file_get_bytes(gcore->file));
    }
    int status = 0;
    while (waitpid(run->child, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* The first of gdb's lines that holds @words, or NULL. (transfer full) */
static char *
find_line(const Run *run, const char *words)
{
    const char *at = strstr(run->said->str, words);
    if (at == NULL)
        return NULL;
    while (at > run->said->str && at[-1] != '\n')
        at--;
    return g_strndup(at, strcspn(at, "\n"));
}

/* gdb goes on, and says so, where a write fails. */
static gboolean
check_writes(const Run *run, GError **error)
{
    g_autofree char *failure = find_line(run, "Failed to write corefile contents");
    if (failure == NULL)
        failure = find_line(run, "No space left on device");
    if (failure == NULL)
        return TRUE;
    g_set_error(error, PM_ERROR, PM_ERROR_NO_SPACE,
                "%s: the snapshot could not be written (gdb: %s); the process runs on",
                run->gcore->file->folder, failure);
    return FALSE;
}

/* Says why there is no snapshot. */
static void
set_failure(const Run *run, GError **error)
{
    const guint32 pid = run->gcore->process->pid;
    g_autofree char *ptrace = find_line(run, "ptrace: ");
    if (run->interrupted)
        g_set_error(error, PM_ERROR, PM_ERROR_INTERRUPTED,
                    "interrupted: nothing was written, and process %u runs on", pid);
    else if (ptrace != NULL && strstr(ptrace, "not permitted") != NULL)
        pm_live_set_denied(pid, error);
    else if (ptrace != NULL && strstr(ptrace, "No such process") != NULL)
        g_set_error(error, PM_ERROR, PM_ERROR_NOT_FOUND, "process %u has ended", pid);
    else {
        const char *last = g_strrstr(g_strchomp(run->said->str), "\n");
        last = last == NULL ? run->said->str : last + 1;
        g_set_error(error, PM_ERROR, PM_ERROR_NO_PROGRAM, "gdb took no snapshot of process %u%s%s",
                    pid, *last == '\0' ? "" : ": ", last);
    }
}

gboolean
pm_gcore_run(const PmGcore *gcore, double *ret_stopped_seconds, GError **error)
{
    Run run = {.gcore = gcore, .output = -1};
    if (!start(&run, error)) {
        if (run.output >= 0)
            close(run.output);
        return FALSE;
    }
    run.line = g_string_new(NULL);
    run.said = g_string_new(NULL);
    const int status = follow(&run);
    const gboolean whole = run.written && run.detached_at != 0 && status == 0 && !run.interrupted;
    if (!whole)
        pm_live_process_release(gcore->process);
    gboolean taken = FALSE;
    if (whole)
        taken = check_writes(&run, error);
    else if (run.interrupted || check_writes(&run, error))
        set_failure(&run, error);
    if (taken)
        *ret_stopped_seconds = (double)(run.detached_at - run.attach_at) / G_USEC_PER_SEC;
    close(run.output);
    g_spawn_close_pid(run.child);
    g_string_free(run.line, TRUE);
    g_string_free(run.said, TRUE);
    return taken;
}
