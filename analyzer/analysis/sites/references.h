/*
 * What in a module's code may refer to something in the module: found once, and sorted by what is
 * referred to.
 */
#pragma once

#include "analysis/sites/code.h"

/* Fills @code's references and strays, from its texts and functions. */
void pm_module_code_read_references(PmModuleCode *code);

/* Appends what may refer to module address @target to @references (PmReference), by ascending
 * address. @code: prepared. */
void pm_module_code_find_references(const PmModuleCode *code, guint64 target, GArray *references);
