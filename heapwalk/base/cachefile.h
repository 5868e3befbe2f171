/*
 * Files that keep what was found out about a module, by its build-id: FOLDER/KIND/BUILD-ID. Written
 * at once or not at all; whoever reads one checks it as a core is checked, and makes it anew where
 * anything about it is wrong.
 */
#pragma once

#include <glib.h>

/* A file in memory, read-only. */
typedef struct {
    const guint8 *bytes;
    gsize count;
} PmCacheFile;

/*
 * Maps the file of @build_id.
 *
 * @folder: the cache's. @kind: a word of the program's own. @build_id: (nullable): checked, since
 * it becomes part of a path. @least_bytes: what it must have at least.
 * @ret_exists: (out): whether there is a file, good or not.
 * Returns: (transfer full): NULL where there is none that is a regular file of this user.
 */
PmCacheFile *pm_cache_file_map(const char *folder, const char *kind, const char *build_id,
                               gsize least_bytes, gboolean *ret_exists);

/* A PmCacheFile *; NULL is allowed. */
void pm_cache_file_free(gpointer data);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmCacheFile, pm_cache_file_free)

/* One run of bytes of a file. */
typedef struct {
    gconstpointer bytes;
    gsize count;
} PmCachePart;

/*
 * Writes @part_count parts, one behind the other, as the file of @build_id, readable by this user
 * alone. A folder that cannot be written is no error.
 */
void pm_cache_file_write(const char *folder, const char *kind, const char *build_id,
                         const PmCachePart *parts, gsize part_count);

/* Adds @count bytes to a checksum, which begins with 0: against damage, not against forgery. */
guint64 pm_cache_checksum_add(guint64 sum, gconstpointer bytes, gsize count);

/* The user's cache folder for this program: $XDG_CACHE_HOME/postmalloc. (transfer full) */
char *pm_cache_get_folder(void);
