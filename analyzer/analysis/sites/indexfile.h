/*
 * Indexes in files, one for each build-id: FOLDER/sites/BUILD-ID.
 */
#pragma once

#include "analysis/sites/index.h"

/*
 * Reads what is kept of @code's module into @index, which is empty.
 *
 * @folder: the cache's. What is there counts only where it was made from the same code with the
 * same names known.
 * @ret_was_damaged: (out): there was a file that could not be used.
 * Returns: FALSE where there is none that can be used; @index is then empty.
 */
gboolean pm_site_index_load(PmSiteIndex *index, const PmModuleCode *code, const char *folder,
                            gboolean *ret_was_damaged);

/* Writes @index there. A folder that cannot be written is no error; a module without a build-id has
 * no file. */
void pm_site_index_save(PmSiteIndex *index, const PmModuleCode *code, const char *folder);
