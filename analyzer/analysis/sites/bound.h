/*
 * Calls that were never made: where the dynamic linker binds functions when they are first called,
 * a word that is not bound yet says that nothing in its module has called the function.
 */
#pragma once

#include "analysis/sites/sites.h"

typedef struct PmBindings PmBindings;

/* @process: borrowed for the life of the result. One thread at a time. NULL where the machine's
 * code cannot be read. */
PmBindings *pm_bindings_new(const PmProcess *process);
void pm_bindings_free(PmBindings *bindings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmBindings, pm_bindings_free)

/*
 * Whether @site calls through a word of a PLT that is not bound: then it never ran.
 *
 * @bindings: may be NULL. Returns: FALSE also where that is not known: a direct call, a module that
 * was bound when it was loaded, code or data that the core has not.
 */
gboolean pm_bindings_is_unbound(PmBindings *bindings, const PmSite *site);
