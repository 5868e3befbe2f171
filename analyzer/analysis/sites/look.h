/*
 * What a single function stores to memory that it is given.
 */
#pragma once

#include "analysis/sites/code.h"

/* What it takes to look into functions of a module one by one. */
typedef struct PmSiteLook PmSiteLook;

/*
 * @targets: @count of functions that allocate, as of pm_site_index_ask(), which may be none.
 * @code: borrowed for its life. One thread at a time.
 */
PmSiteLook *pm_site_look_new(PmModuleCode *code, const guint64 *targets, gsize count);
void pm_site_look_free(PmSiteLook *look);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmSiteLook, pm_site_look_free)

/*
 * What the function at module address @function stores to memory that its argument number
 * @argument points to; with module addresses.
 *
 * Returns: (transfer full): PmStore; empty where there is no such function, or a very large one.
 */
GArray *pm_site_look_into(const PmSiteLook *look, guint64 function, guint argument);
