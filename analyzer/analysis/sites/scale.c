/*
 * Steps of sizes; see scale.h.
 */
#include "analysis/sites/scale.h"

#include "analysis/sites/value-private.h"

/* Larger ones are no records, and cannot overflow when they are multiplied. */
#define FACTOR_MAX (1 << 20)
#define ADDED_MAX  (1 << 20)
/* What sizes are rounded to. */
#define ALIGNMENT_MAX 64

static PmScale
bound(PmScale scale)
{
    const gboolean fits = scale.factor > 0 && scale.factor <= FACTOR_MAX &&
                          scale.added >= -ADDED_MAX && scale.added <= ADDED_MAX;
    return fits ? scale : PM_SCALE_NONE;
}

PmScale
pm_scale_get(const PmExprs *exprs, const PmValue *value)
{
    guint64 factor = 0, added = 0;
    if (pm_value_is_vague(value) && value->v[2] != 0)
        return (PmScale){value->v[2], (gint64)value->v[3]};
    if (value->kind == PM_VALUE_BEYOND)
        return bound((PmScale){1, (gint64)value->v[1]});
    if (value->kind == PM_VALUE_EXPR &&
        pm_expr_is_linear(pm_exprs_get(exprs, value->id), &factor, &added))
        return bound((PmScale){factor, (gint64)added});
    return PM_SCALE_NONE;
}

PmValue
pm_scale_set(const PmValue *value, PmScale scale)
{
    PmValue scaled = *value;
    if (!pm_value_is_vague(value))
        return scaled;
    scale = bound(scale);
    const gboolean says = !pm_scale_equals(scale, PM_SCALE_NONE);
    scaled.v[2] = says ? scale.factor : 0;
    scaled.v[3] = says ? (guint64)scale.added : 0;
    return scaled;
}

PmScale
pm_scale_apply(PmScale scale, const PmStep *step)
{
    const gint64 number = (gint64)step->a;
    switch ((PmStepKind)step->kind) {
    case PM_STEP_MULTIPLY:
        if (number > 0 && number <= FACTOR_MAX)
            return bound((PmScale){scale.factor * step->a, scale.added * number});
        break;
    case PM_STEP_ADD:
        if (number >= -ADDED_MAX && number <= ADDED_MAX)
            return bound((PmScale){scale.factor, scale.added + number});
        break;
    case PM_STEP_AND:
        if (step->a == G_MAXUINT32)
            return scale;
        /* Rounded to a multiple of a few bytes: what was added was more by one less than that. */
        if (scale.factor == 1 && number < 0 && number >= -ALIGNMENT_MAX)
            return bound((PmScale){1, MAX(scale.added + number + 1, 0)});
        break;
    case PM_STEP_EXTEND:
        return scale;
    case PM_STEP_SHIFT:
    case PM_STEP_REPLACE:
        break;
    }
    return PM_SCALE_NONE;
}

PmScale
pm_scale_sum(PmScale a, PmScale b, gint64 sign)
{
    guint64 factor = a.factor, rest = b.factor;
    while (rest != 0) {
        const guint64 next = factor % rest;
        factor = rest;
        rest = next;
    }
    return bound((PmScale){factor, a.added + sign * b.added});
}

/* Whether @set holds nothing that @scale, which is one of records, does not give. */
static gboolean
gives_all(PmScale scale, const PmValue *set)
{
    for (guint i = 0; i < set->count; i++)
        if (set->v[i] > G_MAXINT32 || ((gint64)set->v[i] - scale.added) % (gint64)scale.factor != 0)
            return FALSE;
    return scale.factor > 1;
}

PmScale
pm_scale_join(const PmExprs *exprs, const PmValue *a, const PmValue *b)
{
    const PmScale scale_a = pm_scale_get(exprs, a);
    const PmScale scale_b = pm_scale_get(exprs, b);
    if (a->kind == PM_VALUE_SET)
        return gives_all(scale_b, a) ? scale_b : PM_SCALE_NONE;
    if (b->kind == PM_VALUE_SET)
        return gives_all(scale_a, b) ? scale_a : PM_SCALE_NONE;
    return pm_scale_equals(scale_a, scale_b) ? scale_a : PM_SCALE_NONE;
}
