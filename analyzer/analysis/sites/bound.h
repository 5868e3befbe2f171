/*
 * Calls that were never made: where the dynamic linker binds functions when they are first called,
 * a word that is not bound yet says that nothing in its module has called the function.
 */
#pragma once

#include "analysis/sites/sites.h"

/*
 * Whether @site, of @process, calls through a word of a PLT that is not bound: then it never ran.
 *
 * Returns: FALSE also where that is not known: a direct call, a module that was bound when it was
 * loaded, code or data that the core has not.
 */
gboolean pm_site_is_unbound(const PmProcess *process, const PmSite *site);
