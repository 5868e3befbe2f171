/*
 * Files by build-id; see cachefile.h.
 */
#include "base/cachefile.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUILD_ID_CHARS_MAX 128
#define FILE_BYTES_MAX     ((gint64)1 << 31)

void
pm_cache_file_free(gpointer data)
{
    PmCacheFile *file = data;
    if (file == NULL)
        return;
    munmap((gpointer)file->bytes, file->count);
    g_free(file);
}

static gboolean
is_build_id(const char *build_id)
{
    const gsize length = build_id != NULL ? strlen(build_id) : 0;
    if (length < 2 || length > BUILD_ID_CHARS_MAX)
        return FALSE;
    for (gsize i = 0; i < length; i++)
        if (!g_ascii_isxdigit(build_id[i]))
            return FALSE;
    return TRUE;
}

PmCacheFile *
pm_cache_file_map(const char *folder, const char *kind, const char *build_id, gsize least_bytes,
                  gboolean *ret_exists)
{
    *ret_exists = FALSE;
    if (!is_build_id(build_id))
        return NULL;
    g_autofree char *path = g_build_filename(folder, kind, build_id, NULL);
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;
    PmCacheFile *file = NULL;
    *ret_exists = fd >= 0;
    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
        status.st_size > 0 && (guint64)status.st_size >= least_bytes &&
        status.st_size <= FILE_BYTES_MAX) {
        void *bytes = mmap(NULL, (gsize)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes != MAP_FAILED) {
            file = g_new0(PmCacheFile, 1);
            *file = (PmCacheFile){bytes, (gsize)status.st_size};
        }
    }
    close(fd);
    return file;
}

static gboolean
write_parts(int fd, const PmCachePart *parts, gsize part_count)
{
    for (gsize i = 0; i < part_count; i++) {
        const guint8 *at = parts[i].bytes;
        gsize left = parts[i].count;
        while (left > 0) {
            const ssize_t written = write(fd, at, left);
            if (written < 0 && errno == EINTR)
                continue;
            if (written <= 0)
                return FALSE;
            at += written;
            left -= (gsize)written;
        }
    }
    return TRUE;
}

void
pm_cache_file_write(const char *folder, const char *kind, const char *build_id,
                    const PmCachePart *parts, gsize part_count)
{
    if (!is_build_id(build_id))
        return;
    g_autofree char *below = g_build_filename(folder, kind, NULL);
    g_autofree char *path = g_build_filename(below, build_id, NULL);
    g_autofree char *temporary = g_strdup_printf("%s.XXXXXX", path);
    if (g_mkdir_with_parents(below, 0700) != 0)
        return;
    const int fd = g_mkstemp_full(temporary, O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    const gboolean is_written = write_parts(fd, parts, part_count);
    if (close(fd) != 0 || !is_written || g_rename(temporary, path) != 0)
        g_unlink(temporary);
}

guint64
pm_cache_checksum_add(guint64 sum, gconstpointer bytes, gsize count)
{
    const guint8 *at = bytes;
    for (; count >= 8; at += 8, count -= 8) {
        guint64 word = 0;
        memcpy(&word, at, 8);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15;
        sum ^= sum >> 32;
    }
    for (; count > 0; at++, count--)
        sum = ((sum ^ *at) * 0x9e3779b97f4a7c15) ^ 1;
    return sum;
}

char *
pm_cache_get_folder(void)
{
    return g_build_filename(g_get_user_cache_dir(), "postmalloc", NULL);
}
