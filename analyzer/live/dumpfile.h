/*
 * The file that a snapshot goes to: only its owner may read it, it has no name until it is whole,
 * and it takes no other file's place. Where the filesystem cannot make files without a name
 * (O_TMPFILE of open(2)), it has a hidden one in the same folder until then.
 */
#pragma once

#include "base/error.h"

/* @fd: open for reading and writing. @hidden: its name until it has its own, or NULL. */
typedef struct {
    int fd;
    char *folder;
    char *hidden;
} PmDumpFile;

/*
 * A new, empty file in @folder, mode 0600.
 *
 * @keeps: FALSE for a file that will never have a name: nothing is left of it whatever happens.
 * Returns: (transfer full): NULL with PM_ERROR_OPEN.
 */
PmDumpFile *pm_dump_file_new(const char *folder, gboolean keeps, GError **error);

/* Closes it; removes it where it was not published. */
void pm_dump_file_free(PmDumpFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmDumpFile, pm_dump_file_free)

/* What its filesystem has left for this user; G_MAXUINT64 where that cannot be told. */
guint64 pm_dump_file_get_free_bytes(const PmDumpFile *file);

/* What was written to it so far. */
guint64 pm_dump_file_get_bytes(const PmDumpFile *file);

/*
 * Gives it the name @path, in its folder.
 *
 * Returns: FALSE with PM_ERROR_OUTPUT where there is such a file already, or it cannot be named.
 */
gboolean pm_dump_file_publish(PmDumpFile *file, const char *path, GError **error);
