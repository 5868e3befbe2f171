/*
 * Where in the source a site is whose function has others inlined.
 */
#pragma once

#include "analysis/sites/sites.h"

/*
 * Sets site->inlined. Where site->file is that of a library's header (an allocator of the C++
 * library, say), makes it and the line those of the innermost call that is not in one; where all
 * are, of the function's own.
 *
 * @types: of the site's process.
 */
void pm_inlining_find(PmTypes *types, PmSite *site);
