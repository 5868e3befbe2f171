/*
 * In what steps a size that is not known grows: n × 48 + 16 asks for records of 48 bytes behind a
 * header of 16, n + 1 for the length of a string. It is what the code computes as long as nothing
 * wraps, and no bound: it is weighed, never relied on.
 */
#pragma once

#include "analysis/sites/value.h"

/* Something times @factor, and @added. {1, 0} says nothing. */
typedef struct {
    guint64 factor;
    gint64 added;
} PmScale;

#define PM_SCALE_NONE ((PmScale){1, 0})

/*
 * Of an UNKNOWN or a RANGE what was set, of an EXPR that is multiplied and added to what these say,
 * else nothing.
 *
 * @exprs: of the EXPR; NULL where @value is none.
 */
PmScale pm_scale_get(const PmExprs *exprs, const PmValue *value);

/* @value with @scale, where it can have one, and @scale is of a size that records have. */
PmValue pm_scale_set(const PmValue *value, PmScale scale);

static inline gboolean
pm_scale_equals(PmScale a, PmScale b)
{
    return a.factor == b.factor && a.added == b.added;
}

/* What @scale becomes by @step. */
PmScale pm_scale_apply(PmScale scale, const PmStep *step);

/* Of the sum of two numbers that have nothing to do with each other, @sign times the second. */
PmScale pm_scale_sum(PmScale a, PmScale b, gint64 sign);

/* What is true of either of two values: that of both, or of the one that is not a SET, all of which
 * it can give. */
PmScale pm_scale_join(const PmExprs *exprs, const PmValue *a, const PmValue *b);
