/*
 * The lattice; see value.h. Sets of constants are exact; two sets that meet in an operation give a
 * range and not their product, since which of one goes with which of the other is not known.
 */
#include "analysis/sites/value.h"

#include <string.h>

/* What pointers are aligned to at most. */
#define ALIGNMENT_MAX 65536
#define LOW_32        G_GUINT64_CONSTANT(0xffffffff)

void
pm_exprs_init(PmExprs *exprs)
{
    *exprs = (PmExprs){
        .all = g_array_new(FALSE, TRUE, sizeof(PmExpr)),
        .next = g_array_new(FALSE, TRUE, sizeof(guint32)),
    };
}

void
pm_exprs_clear(PmExprs *exprs)
{
    if (exprs->all == NULL)
        return;
    g_array_unref(exprs->all);
    g_array_unref(exprs->next);
    exprs->all = exprs->next = NULL;
}

void
pm_exprs_reset(PmExprs *exprs)
{
    g_array_set_size(exprs->all, 0);
    g_array_set_size(exprs->next, 0);
    memset(exprs->first, 0, sizeof exprs->first);
}

static gboolean
steps_equal(const PmStep *a, const PmStep *b)
{
    return a->kind == b->kind && a->exclusive == b->exclusive && a->a == b->a && a->b == b->b &&
           a->c == b->c;
}

static gboolean
bases_equal(const PmExpr *a, const PmExpr *b)
{
    return a->arguments[0] == b->arguments[0] && a->arguments[1] == b->arguments[1] &&
           a->widen[0] == b->widen[0] && a->widen[1] == b->widen[1];
}

gboolean
pm_expr_equals(const PmExpr *a, const PmExpr *b)
{
    if (!bases_equal(a, b) || a->step_count != b->step_count)
        return FALSE;
    for (guint i = 0; i < a->step_count; i++)
        if (!steps_equal(&a->steps[i], &b->steps[i]))
            return FALSE;
    return TRUE;
}

static guint
hash_expr(const PmExpr *expr)
{
    guint64 hash = expr->arguments[0] + 8U * expr->arguments[1] + 64U * expr->widen[0];
    for (guint i = 0; i < expr->step_count; i++)
        hash = (hash ^ expr->steps[i].kind ^ expr->steps[i].a << 3) * 0x9e3779b97f4a7c15;
    return (guint)(hash >> 32 ^ hash) % PM_EXPR_BUCKETS;
}

gboolean
pm_exprs_add(PmExprs *exprs, const PmExpr *expr, guint32 *ret_id)
{
    const guint bucket = hash_expr(expr);
    guint32 at = exprs->first[bucket];
    while (at != 0 && !pm_expr_equals(pm_exprs_get(exprs, at - 1), expr))
        at = g_array_index(exprs->next, guint32, at - 1);
    if (at == 0) {
        if (exprs->all->len >= PM_EXPRS_MAX)
            return FALSE;
        g_array_append_vals(exprs->all, expr, 1);
        g_array_append_val(exprs->next, exprs->first[bucket]);
        at = exprs->first[bucket] = exprs->all->len;
    }
    *ret_id = at - 1;
    return TRUE;
}

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

static PmValue
make_expr(PmExprs *exprs, const PmExpr *expr)
{
    guint32 id = 0;
    if (!pm_exprs_add(exprs, expr, &id))
        return pm_value_unknown();
    return pm_value_of_kind(PM_VALUE_EXPR, id, 0);
}

PmValue
pm_exprs_move(const PmExprs *from, PmExprs *to, const PmValue *value)
{
    PmValue moved = *value;
    if (value->kind == PM_VALUE_EXPR && !pm_exprs_add(to, pm_exprs_get(from, value->id), &moved.id))
        return pm_value_unknown();
    return moved;
}

PmValue
pm_value_argument(PmExprs *exprs, guint number)
{
    const PmExpr expr = {.arguments = {(guint8)number, PM_NO_ARGUMENT}};
    return make_expr(exprs, &expr);
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
        return a->v[0] == b->v[0] && a->v[1] == b->v[1];
    case PM_VALUE_EXPR:
        return a->id == b->id;
    case PM_VALUE_STACK:
    case PM_VALUE_RESULT:
        return a->id == b->id && a->v[0] == b->v[0];
    case PM_VALUE_POINTER:
    case PM_VALUE_SLOT:
        return a->v[0] == b->v[0];
    case PM_VALUE_NONE:
    case PM_VALUE_STACK_ANY:
    case PM_VALUE_UNKNOWN:
        break;
    }
    return TRUE;
}

/* The bounds of a set or range; FALSE for anything else. */
static gboolean
get_bounds(const PmValue *value, guint64 *ret_low, guint64 *ret_high)
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
static gboolean
insert_constant(PmValue *set, guint64 constant)
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
        while (i < b->count && insert_constant(&set, b->v[i]))
            i++;
        if (i == b->count)
            return set;
    }
    guint64 low_a = 0, high_a = 0, low_b = 0, high_b = 0;
    get_bounds(a, &low_a, &high_a);
    get_bounds(b, &low_b, &high_b);
    return pm_value_range(MIN(low_a, low_b), MAX(high_a, high_b));
}

static gboolean
is_number(const PmValue *value)
{
    return value->kind == PM_VALUE_SET || value->kind == PM_VALUE_RANGE;
}

static gboolean
is_zero(const PmValue *value)
{
    return value->kind == PM_VALUE_SET && value->count == 1 && value->v[0] == 0;
}

static PmValue append_step(PmExprs *exprs, const PmValue *value, const PmStep *step);

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
    return append_step(exprs, &value, step);
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
    return pm_value_unknown();
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
    return append_step(exprs, expr, &step);
}

/* Different kinds of values, or different ones of a kind that has no join but "unknown". */
static PmValue
join_kinds(PmExprs *exprs, const PmValue *a, const PmValue *b, const PmFact *fact_a,
           const PmFact *fact_b)
{
    guint64 constant = 0;
    if (a->kind == PM_VALUE_EXPR && b->kind == PM_VALUE_EXPR)
        return join_exprs(exprs, a, b, fact_a, fact_b);
    if (a->kind == PM_VALUE_EXPR && pm_value_is_constant(b, &constant))
        return join_with_constant(exprs, a, constant, fact_a, fact_b);
    if (b->kind == PM_VALUE_EXPR && pm_value_is_constant(a, &constant))
        return join_with_constant(exprs, b, constant, fact_b, fact_a);
    /* A result may be null anyway. */
    if (a->kind == PM_VALUE_RESULT && a->v[0] == 0 && is_zero(b))
        return *a;
    if (b->kind == PM_VALUE_RESULT && b->v[0] == 0 && is_zero(a))
        return *b;
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
    else if (is_number(a) && is_number(b))
        joined = join_numbers(a, b);
    else
        joined = join_kinds(exprs, a, b, fact_a, fact_b);
    joined.may = a->may | b->may;
    return joined;
}

/* A step that makes the one before it needless, or can be done with it in one. */
static gboolean
merge_step(PmExpr *expr, const PmStep *step)
{
    PmStep *last = expr->step_count > 0 ? &expr->steps[expr->step_count - 1] : NULL;
    if (last == NULL) {
        /* The low 32 bits of an argument alone. */
        if (expr->arguments[1] != PM_NO_ARGUMENT)
            return FALSE;
        if (step->kind == PM_STEP_AND && step->a == LOW_32)
            expr->widen[0] = PM_WIDEN_ZERO;
        else if (step->kind == PM_STEP_EXTEND)
            expr->widen[0] = PM_WIDEN_SIGN;
        else
            return FALSE;
        return TRUE;
    }
    if (last->kind == PM_STEP_ADD && step->kind == PM_STEP_ADD) {
        last->a += step->a;
        if (last->a == 0) {
            *last = (PmStep){0};
            expr->step_count--;
        }
        return TRUE;
    }
    if (last->kind == PM_STEP_MULTIPLY && step->kind == PM_STEP_MULTIPLY) {
        last->a *= step->a;
        return TRUE;
    }
    if (last->kind == PM_STEP_AND && step->kind == PM_STEP_AND) {
        last->a &= step->a;
        return TRUE;
    }
    if (last->kind == PM_STEP_EXTEND && step->kind == PM_STEP_EXTEND)
        return TRUE;
    if ((last->kind == PM_STEP_AND && last->a == LOW_32 && step->kind == PM_STEP_EXTEND) ||
        (last->kind == PM_STEP_EXTEND && step->kind == PM_STEP_AND && (step->a >> 32) == 0)) {
        *last = *step;
        return TRUE;
    }
    return FALSE;
}

/* Sums and products modulo 2^32 need to be cut to 32 bits once, at their end. */
static void
drop_inner_cut(PmExpr *expr)
{
    const guint last = expr->step_count - 1;
    if (expr->steps[last].kind != PM_STEP_AND || expr->steps[last].a != LOW_32)
        return;
    guint at = last;
    while (at > 0 && (expr->steps[at - 1].kind == PM_STEP_ADD ||
                      expr->steps[at - 1].kind == PM_STEP_MULTIPLY))
        at--;
    if (at == last || at == 0 || expr->steps[at - 1].kind != PM_STEP_AND ||
        expr->steps[at - 1].a != LOW_32)
        return;
    memmove(&expr->steps[at - 1], &expr->steps[at], (last - at + 1) * sizeof expr->steps[0]);
    expr->steps[last] = (PmStep){0};
    expr->step_count--;
    /* What is side by side now may be one step. */
    if (at >= 2) {
        PmExpr shorter = *expr;
        shorter.step_count = (guint8)(at - 1);
        for (guint i = at - 1; i < PM_EXPR_STEPS; i++)
            shorter.steps[i] = (PmStep){0};
        for (guint i = at - 1; i < expr->step_count; i++)
            if (!merge_step(&shorter, &expr->steps[i]))
                shorter.steps[shorter.step_count++] = expr->steps[i];
        *expr = shorter;
    }
}

static PmValue
append_step(PmExprs *exprs, const PmValue *value, const PmStep *step)
{
    PmExpr expr = *pm_exprs_get(exprs, value->id);
    if (!merge_step(&expr, step)) {
        if (expr.step_count == PM_EXPR_STEPS)
            return pm_value_unknown();
        expr.steps[expr.step_count++] = *step;
        drop_inner_cut(&expr);
    }
    return make_expr(exprs, &expr);
}

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
        return insert_constant(set, number * step->a);
    case PM_STEP_ADD:
        return insert_constant(set, number + step->a);
    case PM_STEP_AND:
        return insert_constant(set, number & step->a);
    case PM_STEP_SHIFT:
        return insert_constant(set, number >> step->a);
    case PM_STEP_EXTEND:
        return insert_constant(set, sign_extend(number, 4));
    case PM_STEP_REPLACE:
        break;
    }
    const gboolean inside = number >= step->a && number <= step->b;
    return (!inside || insert_constant(set, step->c)) &&
           ((inside && step->exclusive) || insert_constant(set, number));
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

/* One step on any value. */
static PmValue
apply_step(PmExprs *exprs, const PmValue *value, const PmStep *step)
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
    if (get_bounds(value, &low, &high))
        return apply_to_range(step, low, high);
    if (value->kind == PM_VALUE_EXPR)
        return append_step(exprs, value, step);
    if (step->kind == PM_STEP_AND)
        return pm_value_range(0, step->a);
    if (step->kind == PM_STEP_SHIFT && value->kind == PM_VALUE_UNKNOWN)
        return pm_value_range(0, G_MAXUINT64 >> step->a);
    return pm_value_unknown();
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
    default:
        sum = apply(exprs, value, PM_STEP_ADD, constant);
        sum.may = value->may;
        return sum;
    }
}

/* An expression that is its base times @ret_factor plus @ret_added. */
static gboolean
is_linear(const PmExpr *expr, guint64 *ret_factor, guint64 *ret_added)
{
    guint at = 0;
    *ret_factor = 1;
    *ret_added = 0;
    if (at < expr->step_count && expr->steps[at].kind == PM_STEP_MULTIPLY)
        *ret_factor = expr->steps[at++].a;
    if (at < expr->step_count && expr->steps[at].kind == PM_STEP_ADD)
        *ret_added = expr->steps[at++].a;
    return at == expr->step_count;
}

/* @a + @sign × @b for two expressions over the same base: 2n + n. */
static PmValue
combine_linear(PmExprs *exprs, const PmValue *a, const PmValue *b, guint64 sign)
{
    guint64 factor_a = 0, added_a = 0, factor_b = 0, added_b = 0;
    const PmExpr *expr_a = pm_exprs_get(exprs, a->id);
    const PmExpr *expr_b = pm_exprs_get(exprs, b->id);
    if (!bases_equal(expr_a, expr_b) || !is_linear(expr_a, &factor_a, &added_a) ||
        !is_linear(expr_b, &factor_b, &added_b))
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
    return make_expr(exprs, &sum);
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
    if (get_bounds(a, &low_a, &high_a) && get_bounds(b, &low_b, &high_b) &&
        !__builtin_add_overflow(high_a, high_b, &high))
        return pm_value_range(low_a + low_b, high);
    return pm_value_unknown();
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
    if (pm_value_is_constant(a, &constant) && (b->kind == PM_VALUE_EXPR || is_number(b))) {
        const PmValue negative = b->kind == PM_VALUE_RANGE
                                     ? pm_value_unknown()
                                     : apply(exprs, b, PM_STEP_MULTIPLY, G_MAXUINT64);
        return add_constant(exprs, &negative, constant);
    }
    return pm_value_unknown();
}

/* The product of two arguments as they were passed. */
static PmValue
multiply_arguments(PmExprs *exprs, const PmValue *a, const PmValue *b)
{
    const PmExpr *expr_a = pm_exprs_get(exprs, a->id);
    const PmExpr *expr_b = pm_exprs_get(exprs, b->id);
    if (expr_a->step_count != 0 || expr_b->step_count != 0 ||
        expr_a->arguments[1] != PM_NO_ARGUMENT || expr_b->arguments[1] != PM_NO_ARGUMENT)
        return pm_value_unknown();
    if (expr_a->arguments[0] > expr_b->arguments[0]) {
        const PmExpr *swap = expr_a;
        expr_a = expr_b;
        expr_b = swap;
    }
    const PmExpr product = {
        .arguments = {expr_a->arguments[0], expr_b->arguments[0]},
        .widen = {expr_a->widen[0], expr_b->widen[0]},
    };
    return make_expr(exprs, &product);
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
    if (get_bounds(a, &low_a, &high_a) && get_bounds(b, &low_b, &high_b) &&
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
    get_bounds(a, &low, &high_a);
    get_bounds(b, &low, &high_b);
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
            if (!insert_constant(ret_set, exclusive ? a->v[i] ^ b->v[j] : a->v[i] | b->v[j]))
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
            insert_constant(&set, sign_extend(cut.v[i], width_bytes));
        return set;
    }
    return pm_value_unknown();
}

static PmValue
get_argument(PmExprs *exprs, const PmExpr *expr, guint which, const PmValue *arguments)
{
    if (expr->arguments[which] >= PM_ARGUMENTS)
        return pm_value_unknown();
    const PmValue *argument = &arguments[expr->arguments[which]];
    switch ((PmWiden)expr->widen[which]) {
    case PM_WIDEN_ZERO:
        return pm_value_truncate(exprs, argument, 4);
    case PM_WIDEN_SIGN:
        return pm_value_sign_extend(exprs, argument, 4);
    case PM_WIDEN_NONE:
        break;
    }
    return *argument;
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
    return value;
}
