/*
 * Indexes in files, one for each build-id: FOLDER/types/BUILD-ID. What is read from one is checked
 * as a core is, and it is made anew where anything about it is wrong.
 */
#pragma once

#include "dwarf/typeindex.h"
#include "process/debuginfo.h"

/* What an index was made from. */
typedef struct {
    PmDebugFile main_file;
    PmDebugFile alt_file;
} PmIndexOrigin;

/*
 * The index of the module with @build_id, mapped.
 *
 * @folder: the cache's. @origin: what it must have been made from; split files must be as they
 * were.
 * @ret_was_damaged: (out): there was a file, but it was damaged, or made from something else or by
 *   another version.
 * Returns: (transfer full): NULL where there is none that can be used.
 */
PmTypeIndex *pm_index_cache_load(const char *folder, const char *build_id,
                                 const PmIndexOrigin *origin, gboolean *ret_was_damaged);

/* Writes @index there, at once or not at all. A folder that cannot be written is no error. */
void pm_index_cache_save(const char *folder, const char *build_id, const PmIndexOrigin *origin,
                         const PmTypeIndex *index);
