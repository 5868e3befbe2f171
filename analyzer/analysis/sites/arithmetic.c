/*
 * Arithmetic on values; see value.h. Sets of constants are exact; two sets that meet in an
 * operation give a range and not their product, since which of one goes with which of the other is
 * not known.
 */
#include "analysis/sites/scale.h"
#include "analysis/sites/value-private.h"

/* What pointers are aligned to at most. */
#define ALIGNMENT_MAX 65536

static guint64
sign_extend(guint64 number, guint width_bytes)
{
    switch (width_bytes) {
    case 1:
        return (guint64)(gint64)(gint8)number;
    case 2:
        return (guint64)(gint64)(gint16)number;
    case 4:
        return (guint64)(gint64)(gint32)number;
    default:
        return number;
    }
}

static gboolean
apply_to_constant(const PmStep *step, guint64 number, PmValue *set)
{
    switch ((PmStepKind)step->kind) {
    case PM_STEP_MULTIPLY:
        return pm_value_insert(set, number * step->a);
    case PM_STEP_ADD:
        return pm_value_insert(set, number + step->a);
    case PM_STEP_AND:
        return pm_value_insert(set, number & step->a);
    case PM_STEP_SHIFT:
        return pm_value_insert(set, number >> step->a);
    case PM_STEP_EXTEND:
        return pm_value_insert(set, sign_extend(number, 4));
    case PM_STEP_REPLACE:
        break;
    }
    const gboolean inside = number >= step->a && number <= step->b;
    return (!inside || pm_value_insert(set, step->c)) &&
           ((inside && step->exclusive) || pm_value_insert(set, number));
}

static PmValue
apply_to_range(const PmStep *step, guint64 low, guint64 high)
{
    switch ((PmStepKind)step->kind) {
    case PM_STEP_MULTIPLY:
        if (!__builtin_mul_overflow(high, step->a, &high))
            return pm_value_range(low * step->a, high);
        break;
    case PM_STEP_ADD:
        /* Both ends wrap, or none. */
        if ((low + step->a < low) == (high + step->a < high))
            return pm_value_range(low + step->a, high + step->a);
        break;
    case PM_STEP_AND:
        if ((step->a & (step->a + 1)) == 0 && high <= step->a)
            return pm_value_range(low, high);
        return pm_value_range(0, MIN(high, step->a));
    case PM_STEP_SHIFT:
        return pm_value_range(low >> step->a, high >> step->a);
    case PM_STEP_EXTEND:
        if (high <= G_MAXINT32)
            return pm_value_range(low, high);
        break;
    case PM_STEP_REPLACE:
        if (high < step->a || low > step->b)
            return pm_value_range(low, high);
        return pm_value_range(MIN(low, step->c), MAX(high, step->c));
    }
    return pm_value_unknown();
}

/* One step on any value, but for its scale. */
static PmValue
apply_unscaled(PmExprs *exprs, const PmValue *value, const PmStep *step)
{
    if (value->kind == PM_VALUE_SET) {
        PmValue set = {.kind = PM_VALUE_SET};
        guint i = 0;
        while (i < value->count && apply_to_constant(step, value->v[i], &set))
            i++;
        if (i == value->count)
            return set;
    }
    guint64 low = 0, high = 0;
    if (pm_value_get_bounds(value, &low, &high))
        return apply_to_range(step, low, high);
    if (value->kind == PM_VALUE_EXPR)
        return pm_expr_append(exprs, value, step);
    if (step->kind == PM_STEP_AND)
        return pm_value_range(0, step->a);
    if (step->kind == PM_STEP_SHIFT && value->kind == PM_VALUE_UNKNOWN)
        return pm_value_range(0, G_MAXUINT64 >> step->a);
    return pm_value_unknown();
}

static PmValue
apply_step(PmExprs *exprs, const PmValue *value, const PmStep *step)
{
    const PmValue result = apply_unscaled(exprs, value, step);
    return pm_scale_set(&result, pm_scale_apply(pm_scale_get(exprs, value), step));
}

static PmValue
apply(PmExprs *exprs, const PmValue *value, PmStepKind kind, guint64 a)
{
    const PmStep step = {.kind = (guint8)kind, .a = a};
    return apply_step(exprs, value, &step);
}

static PmValue
add_constant(PmExprs *exprs, const PmValue *value, guint64 constant)
{
    if (constant == 0)
        return *value;
    PmValue sum;
    switch ((PmValueKind)value->kind) {
    case PM_VALUE_STACK:
    case PM_VALUE_POINTER:
    case PM_VALUE_RESULT:
        sum = *value;
        sum.v[0] += constant;
        return sum;
    case PM_VALUE_STACK_ANY:
        return *value;
    case PM_VALUE_SLOT:
    case PM_VALUE_BEYOND:
        sum = pm_value_of_kind(PM_VALUE_BEYOND, 0, value->v[0]);
        sum.v[1] = (value->kind == PM_VALUE_BEYOND ? value->v[1] : 0) + constant;
        sum.may = value->may;
        return sum;
    default:
        sum = apply(exprs, value, PM_STEP_ADD, constant);
        sum.may = value->may;
        return sum;
    }
}

/* @a + @sign × @b for two expressions over the same base: 2n + n. */
static PmValue
combine_linear(PmExprs *exprs, const PmValue *a, const PmValue *b, guint64 sign)
{
    guint64 factor_a = 0, added_a = 0, factor_b = 0, added_b = 0;
    const PmExpr *expr_a = pm_exprs_get(exprs, a->id);
    const PmExpr *expr_b = pm_exprs_get(exprs, b->id);
    if (expr_a->open != 0 || expr_b->open != 0 || !pm_expr_bases_equal(expr_a, expr_b) ||
        !pm_expr_is_linear(expr_a, &factor_a, &added_a) ||
        !pm_expr_is_linear(expr_b, &factor_b, &added_b))
        return pm_value_unknown();
    const guint64 factor = factor_a + sign * factor_b;
    const guint64 added = added_a + sign * added_b;
    if (factor == 0)
        return pm_value_constant(added);
    PmExpr sum = {.arguments = {expr_a->arguments[0], expr_a->arguments[1]},
                  .widen = {expr_a->widen[0], expr_a->widen[1]}};
    if (factor != 1)
        sum.steps[sum.step_count++] = (PmStep){.kind = PM_STEP_MULTIPLY, .a = factor};
    if (added != 0)
        sum.steps[sum.step_count++] = (PmStep){.kind = PM_STEP_ADD, .a = added};
    return pm_expr_to_value(exprs, &sum);
}

/* The scale of @a + @sign × @b, as a value of which nothing else is known. */
static PmValue
combine_scales(const PmExprs *exprs, const PmValue *a, const PmValue *b, gint64 sign)
{
    const PmValue unknown = pm_value_unknown();
    return pm_scale_set(&unknown,
                        pm_scale_sum(pm_scale_get(exprs, a), pm_scale_get(exprs, b), sign));
}

static gboolean
is_stack(const PmValue *value)
{
    return value->kind == PM_VALUE_STACK || value->kind == PM_VALUE_STACK_ANY;
}

PmValue
pm_value_add(PmExprs *exprs, const PmValue *a, const PmValue *b)
{
    guint64 constant = 0;
    if (pm_value_is_constant(b, &constant))
        return add_constant(exprs, a, constant);
    if (pm_value_is_constant(a, &constant))
        return add_constant(exprs, b, constant);
    if (is_stack(a) || is_stack(b))
        return pm_value_of_kind(PM_VALUE_STACK_ANY, 0, 0);
    if (a->kind == PM_VALUE_EXPR && b->kind == PM_VALUE_EXPR)
        return combine_linear(exprs, a, b, 1);
    guint64 low_a = 0, high_a = 0, low_b = 0, high_b = 0, high = 0;
    if (pm_value_get_bounds(a, &low_a, &high_a) && pm_value_get_bounds(b, &low_b, &high_b) &&
        !__builtin_add_overflow(high_a, high_b, &high))
        return pm_value_range(low_a + low_b, high);
    return combine_scales(exprs, a, b, 1);
}

PmValue
pm_value_subtract(PmExprs *exprs, const PmValue *a, const PmValue *b)
{
    guint64 constant = 0;
    if (pm_value_is_constant(b, &constant))
        return add_constant(exprs, a, 0 - constant);
    if (is_stack(a))
        return is_stack(b) ? pm_value_unknown() : pm_value_of_kind(PM_VALUE_STACK_ANY, 0, 0);
    if (a->kind == PM_VALUE_EXPR && b->kind == PM_VALUE_EXPR)
        return combine_linear(exprs, a, b, G_MAXUINT64);
    if (pm_value_is_constant(a, &constant) && (b->kind == PM_VALUE_EXPR || pm_value_is_number(b))) {
        const PmValue negative = b->kind == PM_VALUE_RANGE
                                     ? pm_value_unknown()
                                     : apply(exprs, b, PM_STEP_MULTIPLY, G_MAXUINT64);
        return add_constant(exprs, &negative, constant);
    }
    return combine_scales(exprs, a, b, -1);
}

/* Whether @expr is an argument as it was passed, or `n != 0 ? n : 1`; how it is widened. */
static gboolean
is_factor(const PmExpr *expr, guint8 *ret_widen)
{
    const PmStep *step = &expr->steps[0];
    if (expr->arguments[1] != PM_NO_ARGUMENT || expr->step_count > 1)
        return FALSE;
    *ret_widen = expr->widen[0];
    if (expr->step_count == 0)
        return TRUE;
    *ret_widen |= PM_WIDEN_NONZERO;
    return step->kind == PM_STEP_REPLACE && step->exclusive && step->a == 0 && step->b == 0 &&
           step->c == 1;
}

/* The product of two arguments. */
static PmValue
multiply_arguments(PmExprs *exprs, const PmValue *a, const PmValue *b)
{
    const PmExpr *expr_a = pm_exprs_get(exprs, a->id);
    const PmExpr *expr_b = pm_exprs_get(exprs, b->id);
    guint8 widen_a = 0, widen_b = 0;
    if (!is_factor(expr_a, &widen_a) || !is_factor(expr_b, &widen_b))
        return pm_value_unknown();
    PmExpr product = {
        .arguments = {expr_a->arguments[0], expr_b->arguments[0]},
        .widen = {widen_a, widen_b},
    };
    const guint8 open = expr_a->open | expr_b->open;
    if (product.arguments[0] > product.arguments[1])
        product = (PmExpr){
            .arguments = {expr_b->arguments[0], expr_a->arguments[0]},
            .widen = {widen_b, widen_a},
        };
    product.open = open;
    return pm_expr_to_value(exprs, &product);
}

PmValue
pm_value_multiply(PmExprs *exprs, const PmValue *a, const PmValue *b)
{
    guint64 constant = 0;
    const PmValue *other = a;
    if (pm_value_is_constant(a, &constant))
        other = b;
    else if (!pm_value_is_constant(b, &constant))
        other = NULL;
    if (other != NULL) {
        if (constant == 0)
            return pm_value_constant(0);
        return constant == 1 ? *other : apply(exprs, other, PM_STEP_MULTIPLY, constant);
    }
    if (a->kind == PM_VALUE_EXPR && b->kind == PM_VALUE_EXPR)
        return multiply_arguments(exprs, a, b);
    guint64 low_a = 0, high_a = 0, low_b = 0, high_b = 0, high = 0;
    if (pm_value_get_bounds(a, &low_a, &high_a) && pm_value_get_bounds(b, &low_b, &high_b) &&
        !__builtin_mul_overflow(high_a, high_b, &high))
        return pm_value_range(low_a * low_b, high);
    return pm_value_unknown();
}

PmValue
pm_value_and(PmExprs *exprs, const PmValue *a, const PmValue *b)
{
    guint64 mask = 0;
    const PmValue *other = a;
    if (pm_value_is_constant(a, &mask))
        other = b;
    else if (!pm_value_is_constant(b, &mask))
        other = NULL;
    if (other != NULL && mask == G_MAXUINT64)
        return *other;
    if (other != NULL && mask == 0)
        return pm_value_constant(0);
    if (other != NULL) {
        /* Aligning a pointer leaves one; any other mask cuts it to pieces. */
        const gboolean aligns = mask > G_MAXUINT64 - ALIGNMENT_MAX;
        PmValue masked = aligns && is_stack(other) ? pm_value_of_kind(PM_VALUE_STACK_ANY, 0, 0)
                                                   : apply(exprs, other, PM_STEP_AND, mask);
        masked.may = aligns ? other->may : 0;
        return masked;
    }
    guint64 low = 0, high_a = G_MAXUINT64, high_b = G_MAXUINT64;
    pm_value_get_bounds(a, &low, &high_a);
    pm_value_get_bounds(b, &low, &high_b);
    return pm_value_range(0, MIN(high_a, high_b));
}

/* Sets of which one has a single member: their members combined. */
static gboolean
combine_sets(const PmValue *a, const PmValue *b, gboolean exclusive, PmValue *ret_set)
{
    if (a->kind != PM_VALUE_SET || b->kind != PM_VALUE_SET || (a->count > 1 && b->count > 1))
        return FALSE;
    *ret_set = (PmValue){.kind = PM_VALUE_SET};
    for (guint i = 0; i < a->count; i++)
        for (guint j = 0; j < b->count; j++)
            if (!pm_value_insert(ret_set, exclusive ? a->v[i] ^ b->v[j] : a->v[i] | b->v[j]))
                return FALSE;
    return TRUE;
}

PmValue
pm_value_or(const PmValue *a, const PmValue *b)
{
    PmValue set;
    guint64 constant = 0;
    if (combine_sets(a, b, FALSE, &set))
        return set;
    if ((pm_value_is_constant(a, &constant) || pm_value_is_constant(b, &constant)) &&
        constant == G_MAXUINT64)
        return pm_value_constant(constant);
    return pm_value_unknown();
}

PmValue
pm_value_xor(const PmValue *a, const PmValue *b)
{
    PmValue set;
    return combine_sets(a, b, TRUE, &set) ? set : pm_value_unknown();
}

PmValue
pm_value_shift_right(PmExprs *exprs, const PmValue *a, guint bits)
{
    return bits == 0 ? *a : apply(exprs, a, PM_STEP_SHIFT, bits);
}

PmValue
pm_value_truncate(PmExprs *exprs, const PmValue *a, guint width_bytes)
{
    if (width_bytes >= 8)
        return *a;
    const PmValue mask = pm_value_constant((G_GUINT64_CONSTANT(1) << (8 * width_bytes)) - 1);
    return pm_value_and(exprs, a, &mask);
}

PmValue
pm_value_sign_extend(PmExprs *exprs, const PmValue *a, guint width_bytes)
{
    if (width_bytes >= 8)
        return *a;
    if (width_bytes == 4)
        return apply(exprs, a, PM_STEP_EXTEND, 0);
    const PmValue cut = pm_value_truncate(exprs, a, width_bytes);
    if (cut.kind == PM_VALUE_SET) {
        PmValue set = {.kind = PM_VALUE_SET};
        for (guint i = 0; i < cut.count; i++)
            pm_value_insert(&set, sign_extend(cut.v[i], width_bytes));
        return set;
    }
    return pm_value_unknown();
}

static PmValue
get_argument(PmExprs *exprs, const PmExpr *expr, guint which, const PmValue *arguments)
{
    if (expr->arguments[which] >= PM_ARGUMENTS)
        return pm_value_unknown();
    PmValue value = arguments[expr->arguments[which]];
    switch ((PmWiden)(expr->widen[which] & PM_WIDEN_MASK)) {
    case PM_WIDEN_ZERO:
        value = pm_value_truncate(exprs, &value, 4);
        break;
    case PM_WIDEN_SIGN:
        value = pm_value_sign_extend(exprs, &value, 4);
        break;
    case PM_WIDEN_NONE:
        break;
    }
    const PmStep nonzero = {.kind = PM_STEP_REPLACE, .exclusive = TRUE, .c = 1};
    return (expr->widen[which] & PM_WIDEN_NONZERO) != 0 ? apply_step(exprs, &value, &nonzero)
                                                        : value;
}

PmValue
pm_expr_apply(PmExprs *exprs, const PmExpr *expr, const PmValue *arguments)
{
    PmValue value = get_argument(exprs, expr, 0, arguments);
    if (expr->arguments[1] != PM_NO_ARGUMENT) {
        const PmValue other = get_argument(exprs, expr, 1, arguments);
        value = pm_value_multiply(exprs, &value, &other);
    }
    for (guint i = 0; i < expr->step_count && i < PM_EXPR_STEPS; i++)
        value = apply_step(exprs, &value, &expr->steps[i]);
    return expr->open != 0 ? pm_value_open(exprs, &value) : value;
}
