/*
 * Reading /proc of a running process; see process.h.
 */
#include "live/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_BYTES_MAX  65536
#define YAMA            "/proc/sys/kernel/yama/ptrace_scope"
#define RELEASE_STEPS   100
#define RELEASE_STEP_US 20000

/* The fields of /proc/PID/stat behind the name, counted from 3; starttime is field 22. */
#define STAT_FIRST 3
#define STAT_START 22

static char *
read_path(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    GString *text = g_string_new(NULL);
    char part[4096];
    ssize_t count = 0;
    while (text->len < FILE_BYTES_MAX && (count = read(fd, part, sizeof part)) > 0)
        g_string_append_len(text, part, count);
    const int code = errno;
    close(fd);
    errno = code;
    return g_string_free(text, count < 0);
}

char *
pm_live_read(guint32 pid, const char *name)
{
    g_autofree char *path = g_strdup_printf("/proc/%u/%s", pid, name);
    return read_path(path);
}

/* The number behind "KEY:" of a status file. FALSE where it has none. */
static gboolean
find_number(const char *status, const char *key, guint64 *ret_number)
{
    g_autofree char *start = g_strdup_printf("\n%s:", key);
    const char *at = status == NULL ? NULL : strstr(status, start);
    if (at == NULL)
        return FALSE;
    *ret_number = g_ascii_strtoull(at + strlen(start), NULL, 10);
    return TRUE;
}

static char
find_state(const char *status)
{
    const char *at = status == NULL ? NULL : strstr(status, "\nState:");
    if (at == NULL)
        return 'X';
    at += strlen("\nState:");
    return at[strspn(at, " \t")];
}

/* "1234 (name)" */
static char *
describe(guint32 pid)
{
    g_autofree char *name = pm_live_read(pid, "comm");
    return name == NULL ? g_strdup_printf("%u", pid)
                        : g_strdup_printf("%u (%s)", pid, g_strchomp(name));
}

void
pm_live_set_denied(guint32 pid, GError **error)
{
    g_autofree char *who = describe(pid);
    g_autofree char *status = pm_live_read(pid, "status");
    g_autofree char *yama = read_path(YAMA);
    guint64 uid = 0;
    const guint64 scope = yama == NULL ? 0 : g_ascii_strtoull(yama, NULL, 10);
    if (find_number(status, "Uid", &uid) && uid != geteuid())
        g_set_error(error, PM_ERROR, PM_ERROR_PERMISSION,
                    "process %s belongs to user %" G_GUINT64_FORMAT ", and user %u may not look "
                    "into it; run this as that user or as root (sudo)",
                    who, uid, geteuid());
    else if (scope == 3)
        g_set_error(error, PM_ERROR, PM_ERROR_PERMISSION,
                    "process %s: kernel.yama.ptrace_scope is 3, so nobody may look into a process "
                    "until the machine is restarted with another setting",
                    who);
    else if (scope > 0 && geteuid() != 0)
        g_set_error(error, PM_ERROR, PM_ERROR_PERMISSION,
                    "process %s: kernel.yama.ptrace_scope is %" G_GUINT64_FORMAT ", so %s may look "
                    "into it; run this as root (sudo), or allow it until the next start: "
                    "sudo sysctl kernel.yama.ptrace_scope=0",
                    who, scope, scope == 1 ? "only root and its parents" : "only root");
    else
        g_set_error(error, PM_ERROR, PM_ERROR_PERMISSION,
                    "process %s may not be looked into by user %u: it protects itself (setuid, or "
                    "PR_SET_DUMPABLE), or this container may not trace; run this as root (sudo), "
                    "the container with --cap-add SYS_PTRACE",
                    who, geteuid());
}

/* Whether the memory map of @pid can be read, which takes the kernel's leave to look into it. */
static gboolean
may_look(guint32 pid)
{
    char byte = 0;
    g_autofree char *path = g_strdup_printf("/proc/%u/maps", pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return FALSE;
    const ssize_t count = read(fd, &byte, 1);
    close(fd);
    return count >= 0;
}

static gboolean
check_tracer(guint32 pid, guint64 tracer, GError **error)
{
    if (tracer == 0)
        return TRUE;
    g_autofree char *who = describe(pid);
    g_autofree char *by = describe((guint32)tracer);
    g_set_error(error, PM_ERROR, PM_ERROR_PERMISSION,
                "process %s is held by process %s, and only one debugger can hold it: let that one "
                "detach first, or take the core with it (gdb: generate-core-file)",
                who, by);
    return FALSE;
}

/* Whether @pid, whose status is @status, has memory that a snapshot could hold. */
static gboolean
check_kind(guint32 pid, const char *status, GError **error)
{
    guint64 group = pid, tracer = 0, size = 0;
    const char state = find_state(status);
    g_autofree char *who = describe(pid);
    (void)find_number(status, "Tgid", &group);
    (void)find_number(status, "TracerPid", &tracer);
    if (group != pid)
        g_set_error(error, PM_ERROR, PM_ERROR_NOT_FOUND,
                    "%s is a thread of process %" G_GUINT64_FORMAT ": pass that number", who,
                    group);
    else if (state == 'Z' || state == 'X')
        g_set_error(error, PM_ERROR, PM_ERROR_NOT_FOUND,
                    "process %s has ended; only its entry is left until its parent asks for it",
                    who);
    else if (!find_number(status, "VmSize", &size))
        g_set_error(error, PM_ERROR, PM_ERROR_NOT_FOUND,
                    "process %s is a thread of the kernel: it has no memory of its own", who);
    else
        return check_tracer(pid, tracer, error);
    return FALSE;
}

/* Seconds since @pid was started, at least 1; 0 where that cannot be told. */
static guint64
read_uptime(guint32 pid)
{
    g_autofree char *text = pm_live_read(pid, "stat");
    /* The name may hold anything, spaces and parentheses too. */
    const char *at = text == NULL ? NULL : strrchr(text, ')');
    struct timespec now;
    const long ticks = sysconf(_SC_CLK_TCK);
    if (at == NULL || ticks <= 0 || clock_gettime(CLOCK_BOOTTIME, &now) != 0)
        return 0;
    g_auto(GStrv) fields = g_strsplit(at + 2, " ", STAT_START - STAT_FIRST + 2);
    if (g_strv_length(fields) < STAT_START - STAT_FIRST + 1)
        return 0;
    const guint64 start =
        g_ascii_strtoull(fields[STAT_START - STAT_FIRST], NULL, 10) / (guint64)ticks;
    return MAX(1, (guint64)now.tv_sec - MIN(start, (guint64)now.tv_sec));
}

/* "/proc/PID/root" where that is not the root of this process. */
static char *
find_root(guint32 pid)
{
    struct stat ours, theirs, our_mounts, their_mounts;
    char *root = g_strdup_printf("/proc/%u/root", pid);
    g_autofree char *mounts = g_strdup_printf("/proc/%u/ns/mnt", pid);
    if (stat("/", &ours) == 0 && stat(root, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
        ours.st_ino == theirs.st_ino &&
        (stat("/proc/self/ns/mnt", &our_mounts) != 0 || stat(mounts, &their_mounts) != 0 ||
         our_mounts.st_ino == their_mounts.st_ino))
        g_clear_pointer(&root, g_free);
    return root;
}

/* "/proc/PID/exe" where its path leads to another file by now, or to none. */
static char *
find_exe(guint32 pid, const char *root)
{
    struct stat running, there;
    char *exe = g_strdup_printf("/proc/%u/exe", pid);
    char target[4096];
    const ssize_t length = readlink(exe, target, sizeof target - 1);
    if (length > 0) {
        target[length] = '\0';
        g_autofree char *path = g_strconcat(root == NULL ? "" : root, target, NULL);
        if (stat(exe, &running) != 0 ||
            (stat(path, &there) == 0 && running.st_dev == there.st_dev &&
             running.st_ino == there.st_ino))
            g_clear_pointer(&exe, g_free);
    } else {
        g_clear_pointer(&exe, g_free);
    }
    return exe;
}

PmLiveProcess *
pm_live_process_open(guint32 pid, GError **error)
{
    g_autofree char *status = pm_live_read(pid, "status");
    if (status == NULL) {
        g_set_error(error, PM_ERROR, PM_ERROR_NOT_FOUND,
                    "there is no process %u, or it is hidden from this user", pid);
        return NULL;
    }
    if (!check_kind(pid, status, error))
        return NULL;
    if (!may_look(pid)) {
        pm_live_set_denied(pid, error);
        return NULL;
    }
    PmLiveProcess *process = g_new0(PmLiveProcess, 1);
    process->pid = pid;
    process->name = pm_live_read(pid, "comm");
    if (process->name == NULL)
        process->name = g_strdup("?");
    g_strchomp(process->name);
    process->uptime_seconds = read_uptime(pid);
    process->stopped = find_state(status) == 'T';
    process->root = find_root(pid);
    process->exe = find_exe(pid, process->root);
    return process;
}

void
pm_live_process_free(PmLiveProcess *process)
{
    g_free(process->name);
    g_free(process->root);
    g_free(process->exe);
    g_free(process);
}

/* Whether a SIGSTOP waits in the mask behind "KEY:". */
static gboolean
waits_for_stop(const char *status, const char *key)
{
    g_autofree char *start = g_strdup_printf("\n%s:\t", key);
    const char *at = status == NULL ? NULL : strstr(status, start);
    return at != NULL && (g_ascii_strtoull(at + strlen(start), NULL, 16) >> (SIGSTOP - 1) & 1) != 0;
}

/* Whether a thread of @pid is stopped, or about to be. */
static gboolean
is_stopping(guint32 pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%u/task", pid);
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    gboolean stopping = FALSE;
    for (const char *name = folder == NULL ? NULL : g_dir_read_name(folder);
         name != NULL && !stopping; name = g_dir_read_name(folder)) {
        g_autofree char *file = g_strdup_printf("task/%s/status", name);
        g_autofree char *status = pm_live_read(pid, file);
        stopping = find_state(status) == 'T' || waits_for_stop(status, "SigPnd") ||
                   waits_for_stop(status, "ShdPnd");
    }
    return stopping;
}

void
pm_live_process_release(const PmLiveProcess *process)
{
    if (process->stopped)
        return;
    for (guint i = 0; i < RELEASE_STEPS; i++) {
        g_autofree char *status = pm_live_read(process->pid, "status");
        guint64 tracer = 0;
        if (status == NULL)
            return;
        if (find_number(status, "TracerPid", &tracer) && tracer == 0) {
            if (!is_stopping(process->pid))
                return;
            /* It takes what stopped it away, and what is about to. */
            (void)kill((pid_t)process->pid, SIGCONT);
        }
        g_usleep(RELEASE_STEP_US);
    }
}
