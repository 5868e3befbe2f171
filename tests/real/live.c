/*
 * Starting and watching the sample busy.
 */
#include "live.h"

#include "run.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define POLL_USEC  5000
#define POLL_STEPS 2000

/* In the child, between fork and exec. */
static void
set_up_child(gpointer data)
{
    (void)data;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* It must not keep the machine from what looks at it. */
    (void)setpriority(PRIO_PROCESS, 0, 10);
}

static guint64
read_counter(const RealLive *live)
{
    guint64 value = 0;
    const int fd = open(live->counter, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    if (read(fd, &value, sizeof value) != sizeof value)
        value = 0;
    close(fd);
    return value;
}

/* Waits until the counter is past @before. */
static gboolean
await_progress(const RealLive *live, guint64 before)
{
    for (guint i = 0; i < POLL_STEPS; i++) {
        if (read_counter(live) > before)
            return TRUE;
        g_usleep(POLL_USEC);
    }
    return FALSE;
}

char *
real_live_read(const RealLive *live, const char *name)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/%s", live->pid, name);
    char *text = NULL;
    return g_file_get_contents(path, &text, NULL, NULL) ? text : g_strdup("");
}

static RealLive *
live_new(void)
{
    RealLive *live = g_new0(RealLive, 1);
    live->folder = g_dir_make_tmp("postmalloc-live-XXXXXX", NULL);
    live->counter = g_build_filename(live->folder, "counter", NULL);
    return live;
}

/* Starts the program @sample. */
static gboolean
start(RealLive *live, const char *sample, const char *options)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *line = g_strdup_printf("%s %s %s", sample, live->counter, options);
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    g_auto(GStrv) environment = g_get_environ();
    g_auto(GStrv) names = g_listenv();
    for (gsize i = 0; names[i] != NULL; i++) {
        if (g_str_has_prefix(names[i], "MALLOC_") || strcmp(names[i], "GLIBC_TUNABLES") == 0)
            environment = g_environ_unsetenv(environment, names[i]);
    }
    if (!g_spawn_async(live->folder, words, environment, G_SPAWN_DO_NOT_REAP_CHILD, set_up_child,
                       NULL, &live->pid, &error)) {
        real_fail("%s: %s", sample, error->message);
        return FALSE;
    }
    if (await_progress(live, 0))
        return TRUE;
    real_fail("the sample busy does not get going");
    return FALSE;
}

RealLive *
real_live_start(const char *options)
{
    g_autofree char *sample = real_get_sample("busy");
    g_autoptr(RealLive) live = live_new();
    return start(live, sample, options) ? g_steal_pointer(&live) : NULL;
}

RealLive *
real_live_start_removed(const char *options)
{
    g_autofree char *sample = real_get_sample("busy");
    g_autoptr(RealLive) live = live_new();
    g_autofree char *copy = g_build_filename(live->folder, "removed", NULL);
    const char *command[] = {"cp", sample, copy, NULL};
    if (real_run_command(command, NULL, NULL, NULL, 30) != 0) {
        real_fail("%s: cannot be copied to %s", sample, copy);
        return NULL;
    }
    const gboolean started = start(live, copy, options);
    (void)unlink(copy);
    return started ? g_steal_pointer(&live) : NULL;
}

void
real_live_free(RealLive *live)
{
    if (live->pid > 0) {
        kill(live->pid, SIGKILL);
        waitpid(live->pid, NULL, 0);
    }
    real_remove(live->folder);
    g_free(live->folder);
    g_free(live->counter);
    g_free(live);
}

void
real_live_check(const RealLive *live)
{
    g_autofree char *status = NULL;
    gboolean is_free = FALSE;
    /* gdb may be about to let go. */
    for (guint i = 0; i < POLL_STEPS && !is_free; i++) {
        g_free(status);
        status = real_live_read(live, "status");
        is_free = strstr(status, "TracerPid:\t0\n") != NULL &&
                  strstr(status, "State:\tT") == NULL && strstr(status, "State:\tt") == NULL;
        if (!is_free)
            g_usleep(POLL_USEC);
    }
    if (!is_free)
        real_fail("the process is traced or stopped: %s", status);
    else if (!await_progress(live, read_counter(live)))
        real_fail("the process does not go on: %s", status);
}

guint
real_live_count_files(const char *folder)
{
    DIR *entries = opendir(folder);
    guint count = 0;
    for (struct dirent *entry = entries == NULL ? NULL : readdir(entries); entry != NULL;
         entry = readdir(entries))
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (entries != NULL)
        closedir(entries);
    return count;
}
