/*
 * Split DWARF: the .dwo file of a skeleton unit. libdw finds and opens it; whether it may is said
 * here, for it opens whatever the skeleton names, and goes on with a file that it has just closed
 * where the first unit in it is another one (libdw 0.188, __libdw_find_split_unit).
 */
#pragma once

#include "dwarf/dies.h"

#include <sys/stat.h>

/*
 * @path: (owned). @size_bytes, @modified_ns: of the file at @path.
 */
typedef struct {
    char *path;
    guint64 size_bytes;
    gint64 modified_ns;
} PmSplitFile;

/* The file that the skeleton unit with the topmost DIE @root names. FALSE where it is not here, or
 * is no regular file. */
gboolean pm_split_stat(Dwarf_Die *root, PmSplitFile *ret_file);

/* When a file was last written, in nanoseconds. */
gint64 pm_split_get_modified(const struct stat *status);

/* The topmost DIE of the split unit of @root. FALSE where its file is not here or is another
 * build's. */
gboolean pm_split_get(Dwarf_Die *root, const PmSplitFile *file, Dwarf_Die *ret_split);
