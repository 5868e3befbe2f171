/*
 * The lattice; see value.h.
 */
#include "analysis/sites/scale.h"
#include "analysis/sites/value-private.h"

#include <string.h>

PmValue
pm_value_of_kind(PmValueKind kind, guint32 id, guint64 v)
{
    return (PmValue){.kind = (guint8)kind, .id = id, .v = {v}};
}

PmValue
pm_value_unknown(void)
{
    return (PmValue){.kind = PM_VALUE_UNKNOWN};
}

PmValue
pm_value_constant(guint64 constant)
{
    return (PmValue){.kind = PM_VALUE_SET, .count = 1, .v = {constant}};
}

PmValue
pm_value_range(guint64 low, guint64 high)
{
    if (low == high)
        return pm_value_constant(low);
    if (low == 0 && high == G_MAXUINT64)
        return pm_value_unknown();
    return (PmValue){.kind = PM_VALUE_RANGE, .v = {low, high}};
}

PmValue
pm_value_argument(PmExprs *exprs, guint number)
{
    const PmExpr expr = {.arguments = {(guint8)number, PM_NO_ARGUMENT}};
    return pm_expr_to_value(exprs, &expr);
}

gboolean
pm_value_is_constant(const PmValue *value, guint64 *ret_constant)
{
    if (value->kind != PM_VALUE_SET || value->count != 1)
        return FALSE;
    *ret_constant = value->v[0];
    return TRUE;
}

gboolean
pm_value_equals(const PmValue *a, const PmValue *b)
{
    if (a->kind != b->kind)
        return FALSE;
    switch ((PmValueKind)a->kind) {
    case PM_VALUE_SET:
        return a->count == b->count && memcmp(a->v, b->v, a->count * sizeof a->v[0]) == 0;
    case PM_VALUE_RANGE:
        return a->v[0] == b->v[0] && a->v[1] == b->v[1] && a->v[2] == b->v[2] && a->v[3] == b->v[3];
    case PM_VALUE_UNKNOWN:
        return a->v[2] == b->v[2] && a->v[3] == b->v[3];
    case PM_VALUE_EXPR:
        return a->id == b->id;
    case PM_VALUE_STACK:
    case PM_VALUE_RESULT:
        return a->id == b->id && a->v[0] == b->v[0];
    case PM_VALUE_POINTER:
    case PM_VALUE_SLOT:
        return a->v[0] == b->v[0];
    case PM_VALUE_BEYOND:
    case PM_VALUE_FIELD:
        return a->v[0] == b->v[0] && a->v[1] == b->v[1];
    case PM_VALUE_NONE:
    case PM_VALUE_STACK_ANY:
        break;
    }
    return TRUE;
}

/* The bounds of a set or range; FALSE for anything else. */
gboolean
pm_value_get_bounds(const PmValue *value, guint64 *ret_low, guint64 *ret_high)
{
    if (value->kind == PM_VALUE_RANGE) {
        *ret_low = value->v[0];
        *ret_high = value->v[1];
        return TRUE;
    }
    if (value->kind != PM_VALUE_SET)
        return FALSE;
    *ret_low = value->v[0];
    *ret_high = value->v[value->count - 1];
    return TRUE;
}

/* Adds @constant to a set; FALSE where it is full. */
gboolean
pm_value_insert(PmValue *set, guint64 constant)
{
    guint at = 0;
    while (at < set->count && set->v[at] < constant)
        at++;
    if (at < set->count && set->v[at] == constant)
        return TRUE;
    if (set->count == PM_VALUE_CONSTANTS)
        return FALSE;
    memmove(&set->v[at + 1], &set->v[at], (set->count - at) * sizeof set->v[0]);
    set->v[at] = constant;
    set->count++;
    return TRUE;
}

static PmValue
join_numbers(const PmValue *a, const PmValue *b)
{
    if (a->kind == PM_VALUE_SET && b->kind == PM_VALUE_SET) {
        PmValue set = *a;
        guint i = 0;
        while (i < b->count && pm_value_insert(&set, b->v[i]))
            i++;
        if (i == b->count)
            return set;
    }
    guint64 low_a = 0, high_a = 0, low_b = 0, high_b = 0;
    pm_value_get_bounds(a, &low_a, &high_a);
    pm_value_get_bounds(b, &low_b, &high_b);
    return pm_value_range(MIN(low_a, low_b), MAX(high_a, high_b));
}

static gboolean
is_zero(const PmValue *value)
{
    return value->kind == PM_VALUE_SET && value->count == 1 && value->v[0] == 0;
}

static gboolean
are_apart(const PmFact *fact, guint32 expr, guint64 low, guint64 high)
{
    return fact != NULL && fact->known && fact->expr == expr &&
           (fact->high < low || fact->low > high);
}

/* The expression without its last step, where that is a replacement; FALSE where it is none. */
static gboolean
split_replacement(PmExprs *exprs, const PmValue *value, guint32 *ret_rest, PmStep *ret_step)
{
    PmExpr expr = *pm_exprs_get(exprs, value->id);
    if (expr.step_count == 0 || expr.steps[expr.step_count - 1].kind != PM_STEP_REPLACE)
        return FALSE;
    *ret_step = expr.steps[--expr.step_count];
    expr.steps[expr.step_count] = (PmStep){0};
    return pm_exprs_add(exprs, &expr, ret_rest);
}

/* @step after expression @rest. */
static PmValue
replace_in(PmExprs *exprs, guint32 rest, const PmStep *step)
{
    const PmValue value = pm_value_of_kind(PM_VALUE_EXPR, rest, 0);
    return pm_expr_append(exprs, &value, step);
}

/* Two expressions: the same, or one of them with some values replaced. */
static PmValue
join_exprs(PmExprs *exprs, const PmValue *a, const PmValue *b, const PmFact *fact_a,
           const PmFact *fact_b)
{
    guint32 rest = 0;
    PmStep step;
    if (split_replacement(exprs, a, &rest, &step) && rest == b->id) {
        step.exclusive = step.exclusive && are_apart(fact_b, rest, step.a, step.b);
        return replace_in(exprs, rest, &step);
    }
    if (split_replacement(exprs, b, &rest, &step) && rest == a->id) {
        step.exclusive = step.exclusive && are_apart(fact_a, rest, step.a, step.b);
        return replace_in(exprs, rest, &step);
    }
    const PmValue open_a = pm_value_open(exprs, a);
    const PmValue open_b = pm_value_open(exprs, b);
    return pm_value_equals(&open_a, &open_b) ? open_a : pm_value_unknown();
}

/* An expression on one path, a constant on the other. */
static PmValue
join_with_constant(PmExprs *exprs, const PmValue *expr, guint64 constant, const PmFact *expr_fact,
                   const PmFact *constant_fact)
{
    guint32 rest = 0;
    PmStep step;
    /* What a size that overflowed is replaced by; no allocation of it succeeds. */
    if (constant == G_MAXUINT64)
        return *expr;
    if (constant_fact == NULL || !constant_fact->known)
        return pm_value_unknown();
    if (split_replacement(exprs, expr, &rest, &step) && rest == constant_fact->expr &&
        step.c == constant) {
        const gboolean within = constant_fact->low >= step.a && constant_fact->high <= step.b;
        step.exclusive = step.exclusive && within;
        step.a = MIN(step.a, constant_fact->low);
        step.b = MAX(step.b, constant_fact->high);
        return replace_in(exprs, rest, &step);
    }
    if (constant_fact->expr != expr->id)
        return pm_value_unknown();
    step = (PmStep){
        .kind = PM_STEP_REPLACE,
        .exclusive = are_apart(expr_fact, expr->id, constant_fact->low, constant_fact->high),
        .a = constant_fact->low,
        .b = constant_fact->high,
        .c = constant,
    };
    return pm_expr_append(exprs, expr, &step);
}

/* Whether @b may be any other size than the expression @a. */
static gboolean
may_open(const PmValue *a, const PmValue *b)
{
    return a->kind == PM_VALUE_EXPR && b->may == 0 &&
           (b->kind == PM_VALUE_UNKNOWN || b->kind == PM_VALUE_SLOT || pm_value_is_number(b));
}

/* Different kinds of values, or different ones of a kind that has no join but "unknown". */
static PmValue
join_kinds(PmExprs *exprs, const PmValue *a, const PmValue *b, const PmFact *fact_a,
           const PmFact *fact_b)
{
    guint64 constant = 0;
    PmValue joined = pm_value_unknown();
    if (a->kind == PM_VALUE_EXPR && b->kind == PM_VALUE_EXPR)
        return join_exprs(exprs, a, b, fact_a, fact_b);
    if (a->kind == PM_VALUE_EXPR && pm_value_is_constant(b, &constant))
        joined = join_with_constant(exprs, a, constant, fact_a, fact_b);
    if (b->kind == PM_VALUE_EXPR && pm_value_is_constant(a, &constant))
        joined = join_with_constant(exprs, b, constant, fact_b, fact_a);
    if (joined.kind == PM_VALUE_EXPR)
        return joined;
    /* One of several calls made it: which, @may tells. */
    if (a->kind == PM_VALUE_RESULT && b->kind == PM_VALUE_RESULT && a->v[0] == b->v[0])
        return *a;
    /* A result may be null anyway. */
    if (a->kind == PM_VALUE_RESULT && a->v[0] == 0 && is_zero(b))
        return *a;
    if (b->kind == PM_VALUE_RESULT && b->v[0] == 0 && is_zero(a))
        return *b;
    if (may_open(a, b))
        return pm_value_open(exprs, a);
    if (may_open(b, a))
        return pm_value_open(exprs, b);
    const gboolean stack_a = a->kind == PM_VALUE_STACK || a->kind == PM_VALUE_STACK_ANY;
    const gboolean stack_b = b->kind == PM_VALUE_STACK || b->kind == PM_VALUE_STACK_ANY;
    /* Whatever may point to the stack must be taken to do so when something is stored there. */
    if (stack_a || stack_b)
        return pm_value_of_kind(PM_VALUE_STACK_ANY, 0, 0);
    return pm_value_unknown();
}

PmValue
pm_value_join(PmExprs *exprs, const PmValue *a, const PmValue *b, const PmFact *fact_a,
              const PmFact *fact_b)
{
    PmValue joined;
    if (a->kind == PM_VALUE_NONE)
        return *b;
    if (b->kind == PM_VALUE_NONE)
        return *a;
    if (pm_value_equals(a, b))
        joined = *a;
    else if (pm_value_is_number(a) && pm_value_is_number(b))
        joined = join_numbers(a, b);
    else
        joined = join_kinds(exprs, a, b, fact_a, fact_b);
    joined = pm_scale_set(&joined, pm_scale_join(exprs, a, b));
    joined.may = a->may | b->may;
    if (joined.kind == PM_VALUE_SET)
        joined.open = a->open | b->open;
    return joined;
}
