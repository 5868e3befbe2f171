/*
 * What it takes to look for calls in functions of a module, one by one: for the index, and for who
 * wants to know what one function stores.
 */
#pragma once

#include "analysis/sites/units.h"

/*
 * @wanted: the addresses of functions, thunks, and words of which calls are looked for. @bases:
 * words through which those of them are reached that are members of something.
 */
typedef struct {
    const PmModuleCode *code;
    PmTargets *wanted;
    PmTargets *bases;
} PmSearch;

/* @code: prepared; borrowed until the end. @targets: @count module addresses of functions, or of
 * words that hold a function's address. */
void pm_search_begin(PmSearch *search, const PmModuleCode *code, const guint64 *targets,
                     gsize count);
void pm_search_end(PmSearch *search);

/* What refers to anything that is wanted: PmReference by address. (transfer full) */
GArray *pm_search_find_references(const PmSearch *search);

/*
 * Has @flow look at @unit.
 *
 * @argument: what is stored through that argument is asked for, too; or PM_NO_ARGUMENT.
 * Returns: as pm_flow_run().
 */
const GArray *pm_search_run(const PmSearch *search, PmFlow *flow, const PmUnit *unit,
                            guint argument);

/* What was asked for, for a call of @target: a thunk stands for its word. */
guint64 pm_search_resolve(const PmSearch *search, guint64 target);

/* Appends @count of @stores, which a run found, to @to. */
void pm_search_add_stores(const PmSearch *search, GArray *to, const PmStore *stores, guint count);
