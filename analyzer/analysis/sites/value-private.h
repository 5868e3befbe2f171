/* What the files of the lattice share. */
#pragma once

#include "analysis/sites/value.h"

static inline gboolean
pm_value_is_number(const PmValue *value)
{
    return value->kind == PM_VALUE_SET || value->kind == PM_VALUE_RANGE;
}

/* The bounds of a set or range; FALSE for anything else. */
gboolean pm_value_get_bounds(const PmValue *value, guint64 *ret_low, guint64 *ret_high);

/* Adds @constant to a set; FALSE where it is full. */
gboolean pm_value_insert(PmValue *set, guint64 constant);

/* Whether both are over the same arguments. */
gboolean pm_expr_bases_equal(const PmExpr *a, const PmExpr *b);

/* An expression that is its base times @ret_factor plus @ret_added. */
gboolean pm_expr_is_linear(const PmExpr *expr, guint64 *ret_factor, guint64 *ret_added);

/* @expr as a value; UNKNOWN where @exprs is full. */
PmValue pm_expr_to_value(PmExprs *exprs, const PmExpr *expr);

/* The expression @value with one step more; UNKNOWN where it has too many. */
PmValue pm_expr_append(PmExprs *exprs, const PmValue *value, const PmStep *step);
