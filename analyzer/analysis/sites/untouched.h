/*
 * Modules of which nothing has run, as far as their variables tell: a library that is loaded for
 * others' sake and never used leaves all that begins as zero as it is.
 */
#pragma once

#include "process/process.h"

/*
 * Whether each of the variables of @module that begin as zero (.bss) is still zero.
 *
 * @space: of its process. Returns: FALSE also where it has too few of them to tell, or where they
 * are not all in the core. Thread-safe.
 */
gboolean pm_module_is_untouched(const PmSpace *space, const PmModule *module);
