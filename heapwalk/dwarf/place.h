/*
 * Where a variable is, as far as it is the same for every instruction: an address, or an offset in
 * its module's TLS block.
 */
#pragma once

#include "dwarf/dies.h"

/* FALSE where the variable at @walk has no fixed place, or the linker left it out. */
gboolean pm_place_read(const PmDieWalk *walk, guint64 *ret_value, gboolean *ret_is_tls);
