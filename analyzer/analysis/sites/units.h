/*
 * Which functions have to be looked at for a set of references, and what belongs to each: a
 * compiler may put the unlikely part of a function elsewhere, and jumps there and back.
 */
#pragma once

#include "analysis/sites/code.h"

/*
 * @ranges: PmCodeRange, ascending. @function: where calls enter it, or PM_ADDR_NONE. @is_guess:
 * where it begins is a guess, so that it may be misread at first.
 */
typedef struct {
    GArray *ranges;
    guint64 function;
    gboolean is_guess;
} PmUnit;

/* Its bytes. */
guint64 pm_unit_measure(const PmUnit *unit);

/*
 * The functions that hold any of @references (PmReference).
 *
 * Returns: (transfer full): PmUnit *, in ascending order. One thread at a time, for it asks for
 *   symbols.
 */
GPtrArray *pm_units_find(const PmModuleCode *code, const GArray *references);
