/*
 * Running coredumpctl; see coredump.h. It writes the core to its standard output, and what it says
 * to standard error, where that is no terminal. (coredumpctl.c, dump_core)
 */
#include "live/coredump.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAID_BYTES_MAX 4096

/* What can be read from @fd until its end; the first SAID_BYTES_MAX of it. (transfer full) */
static char *
read_said(int fd)
{
    GString *said = g_string_new(NULL);
    char part[512];
    ssize_t count = 0;
    while ((count = read(fd, part, sizeof part)) > 0 || (count < 0 && errno == EINTR)) {
        if (count > 0 && said->len < SAID_BYTES_MAX)
            g_string_append_len(said, part, count);
    }
    return g_string_free(said, FALSE);
}

/* Runs it. Returns: FALSE with @error where it could not be started. */
static gboolean
run(const char *const *words, int output, int *ret_status, char **ret_said, GError **error)
{
    GPid child = 0;
    int errors = -1;
    if (!g_spawn_async_with_pipes_and_fds(NULL, words, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
                                          -1, output, -1, NULL, NULL, 0, &child, NULL, NULL,
                                          &errors, error))
        return FALSE;
    *ret_said = read_said(errors);
    close(errors);
    while (waitpid(child, ret_status, 0) < 0 && errno == EINTR)
        ;
    return TRUE;
}

static void
set_failure(const char *match, char *said, GError **error)
{
    const char *last = g_strrstr(g_strchomp(said), "\n");
    last = last == NULL ? said : last + 1;
    g_set_error(error, PM_ERROR, PM_ERROR_NOT_FOUND,
                "coredumpctl gave no core%s%s%s%s; `coredumpctl list` shows which there are: those "
                "marked missing were removed, and root sees those of all users",
                *match == '\0' ? "" : " for ", match, *last == '\0' ? "" : ": ", last);
}

PmDumpFile *
pm_coredump_fetch(const char *match, const char *folder, GError **error)
{
    g_autofree char *program = g_find_program_in_path("coredumpctl");
    if (program == NULL) {
        g_set_error_literal(error, PM_ERROR, PM_ERROR_NO_PROGRAM,
                            "--coredump asks systemd's coredumpctl, and there is none on the PATH; "
                            "install it (apt install systemd-coredump), or pass the core's file: "
                            "/proc/sys/kernel/core_pattern says where cores go");
        return NULL;
    }
    g_autoptr(PmDumpFile) file = pm_dump_file_new(folder, FALSE, error);
    if (file == NULL)
        return NULL;
    const char *words[] = {program, "--no-pager", "dump", "--", match, NULL};
    if (*match == '\0')
        words[3] = NULL;
    g_autofree char *said = NULL;
    int status = 0;
    if (!run(words, file->fd, &status, &said, error))
        return NULL;
    if (status == 0 && pm_dump_file_get_bytes(file) > 0)
        return g_steal_pointer(&file);
    set_failure(match, said, error);
    return NULL;
}
