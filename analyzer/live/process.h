/*
 * A running process as /proc tells of it: whether it may be looked at, since when it runs, where
 * its files are. Reads; changes nothing. Facts: proc(5), ptrace(2), the kernel's
 * Documentation/admin-guide/LSM/Yama.rst.
 */
#pragma once

#include "base/error.h"

/*
 * @name: comm. @uptime_seconds: since it was started, at least 1.
 * @stopped: by a signal (SIGSTOP, Ctrl-Z), before anybody looked at it.
 * @root: "/proc/PID/root" where it sees other files than this process does, as in a container; else
 * NULL.
 * @exe: "/proc/PID/exe" where its program's file was removed or replaced since; else NULL.
 */
typedef struct {
    guint32 pid;
    char *name;
    guint64 uptime_seconds;
    gboolean stopped;
    char *root;
    char *exe;
} PmLiveProcess;

/*
 * Looks at process @pid.
 *
 * Returns: (transfer full): NULL with PM_ERROR_NOT_FOUND where there is no such process, it has
 * ended, or it is a thread of another one or of the kernel; PM_ERROR_PERMISSION where this user may
 * not look into it, or a debugger holds it. The message names the remedy.
 */
PmLiveProcess *pm_live_process_open(guint32 pid, GError **error);
void pm_live_process_free(PmLiveProcess *process);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmLiveProcess, pm_live_process_free)

/* Sets PM_ERROR_PERMISSION: why process @pid cannot be looked into, and the remedy. */
void pm_live_set_denied(guint32 pid, GError **error);

/* The file NAME of /proc/PID, NUL-terminated, at most 64 KiB of it. (transfer full): NULL with
 * errno set where it cannot be read. */
char *pm_live_read(guint32 pid, const char *name);

/*
 * Sees to it that @process goes on after whoever traced it ended: a SIGSTOP of an attach that was
 * cut short may still be under way to it, or have stopped it. Waits up to two seconds for that.
 * A process that was stopped before stays so.
 */
void pm_live_process_release(const PmLiveProcess *process);
