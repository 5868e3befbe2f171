/*
 * Files without a name; see dumpfile.h.
 */
#include "live/dumpfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define OWNER_ONLY 0600

/* A named one, where the filesystem makes no other. */
static int
open_hidden(PmDumpFile *file, gboolean keeps)
{
    file->hidden = g_build_filename(file->folder, ".postmalloc.XXXXXX", NULL);
    const int fd = g_mkstemp_full(file->hidden, O_RDWR | O_CLOEXEC, OWNER_ONLY);
    if (fd < 0)
        g_clear_pointer(&file->hidden, g_free);
    if (fd >= 0 && !keeps) {
        (void)unlink(file->hidden);
        g_clear_pointer(&file->hidden, g_free);
    }
    return fd;
}

PmDumpFile *
pm_dump_file_new(const char *folder, gboolean keeps, GError **error)
{
    g_autoptr(PmDumpFile) file = g_new0(PmDumpFile, 1);
    file->folder = g_strdup(folder);
    /* O_EXCL would forbid that it ever gets a name. */
    file->fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC | (keeps ? 0 : O_EXCL), OWNER_ONLY);
    if (file->fd < 0)
        file->fd = open_hidden(file, keeps);
    if (file->fd >= 0)
        return g_steal_pointer(&file);
    g_set_error(error, PM_ERROR, PM_ERROR_OPEN, "%s: cannot make a file here: %s; %s", folder,
                g_strerror(errno),
                keeps ? "name another place with -o FILE" : "set TMPDIR to another folder");
    return NULL;
}

void
pm_dump_file_free(PmDumpFile *file)
{
    if (file->hidden != NULL)
        (void)unlink(file->hidden);
    if (file->fd >= 0)
        close(file->fd);
    g_free(file->hidden);
    g_free(file->folder);
    g_free(file);
}

guint64
pm_dump_file_get_free_bytes(const PmDumpFile *file)
{
    struct statvfs status;
    if (fstatvfs(file->fd, &status) != 0 || status.f_blocks == 0)
        return G_MAXUINT64;
    return (guint64)status.f_bavail * status.f_frsize;
}

guint64
pm_dump_file_get_bytes(const PmDumpFile *file)
{
    struct stat status;
    return fstat(file->fd, &status) == 0 ? (guint64)status.st_size : 0;
}

/* Returns: 0, or an errno. */
static int
name_file(PmDumpFile *file, const char *path)
{
    if (file->hidden == NULL) {
        g_autofree char *open_file = g_strdup_printf("/proc/self/fd/%d", file->fd);
        return linkat(AT_FDCWD, open_file, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
    }
    if (renameat2(AT_FDCWD, file->hidden, AT_FDCWD, path, RENAME_NOREPLACE) == 0) {
        g_clear_pointer(&file->hidden, g_free);
        return 0;
    }
    /* Not every filesystem knows that flag; its own name is taken away in the end. */
    return errno == EINVAL && link(file->hidden, path) == 0 ? 0 : errno;
}

gboolean
pm_dump_file_publish(PmDumpFile *file, const char *path, GError **error)
{
    const int code = name_file(file, path);
    if (code == 0)
        return TRUE;
    if (code == EEXIST)
        g_set_error(error, PM_ERROR, PM_ERROR_OUTPUT,
                    "%s is there already, and a snapshot takes no other file's place; name another "
                    "with -o FILE",
                    path);
    else
        g_set_error(error, PM_ERROR, PM_ERROR_OUTPUT, "%s: the snapshot cannot be named: %s", path,
                    g_strerror(code));
    return FALSE;
}
