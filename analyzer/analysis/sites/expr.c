/*
 * Expressions over arguments, kept once each, and steps appended to them; see value.h.
 */
#include "analysis/sites/value-private.h"

#include <string.h>

#define LOW_32 G_GUINT64_CONSTANT(0xffffffff)

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

gboolean
pm_expr_bases_equal(const PmExpr *a, const PmExpr *b)
{
    return a->arguments[0] == b->arguments[0] && a->arguments[1] == b->arguments[1] &&
           a->widen[0] == b->widen[0] && a->widen[1] == b->widen[1];
}

gboolean
pm_expr_equals(const PmExpr *a, const PmExpr *b)
{
    if (!pm_expr_bases_equal(a, b) || a->step_count != b->step_count || a->open != b->open)
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
pm_expr_to_value(PmExprs *exprs, const PmExpr *expr)
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

/* (x + a) × b is x × b + a × b: sums of products are of one form, whatever their order was. */
static gboolean
distribute(PmExpr *expr, guint64 factor)
{
    const guint at = expr->step_count - 1U;
    if (at > 0 && expr->steps[at - 1].kind == PM_STEP_MULTIPLY) {
        expr->steps[at].a *= factor;
        expr->steps[at - 1].a *= factor;
        return TRUE;
    }
    if (expr->step_count == PM_EXPR_STEPS)
        return FALSE;
    expr->steps[at + 1] = (PmStep){.kind = PM_STEP_ADD, .a = expr->steps[at].a * factor};
    expr->steps[at] = (PmStep){.kind = PM_STEP_MULTIPLY, .a = factor};
    expr->step_count++;
    return TRUE;
}

/*
 * The sign-extension of a sum or product of 32 bits is that of the argument's own. It is not where
 * 32 bits do not hold it: of such sizes there are none.
 */
static gboolean
extend_linear(PmExpr *expr)
{
    guint64 factor = 0, added = 0;
    if (expr->arguments[1] != PM_NO_ARGUMENT || expr->step_count == 0 ||
        expr->steps[expr->step_count - 1].kind != PM_STEP_AND ||
        expr->steps[expr->step_count - 1].a != LOW_32)
        return FALSE;
    PmExpr inner = *expr;
    inner.steps[--inner.step_count] = (PmStep){0};
    if (!pm_expr_is_linear(&inner, &factor, &added))
        return FALSE;
    inner.widen[0] = PM_WIDEN_SIGN;
    for (guint i = 0; i < inner.step_count; i++)
        inner.steps[i].a = (guint64)(gint64)(gint32)inner.steps[i].a;
    *expr = inner;
    return TRUE;
}

/* The low 32 bits of an argument alone. */
static gboolean
widen_argument(PmExpr *expr, const PmStep *step)
{
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

/* A step that makes the one before it needless, or can be done with it in one. */
static gboolean
merge_step(PmExpr *expr, const PmStep *step)
{
    if (step->kind == PM_STEP_EXTEND && extend_linear(expr))
        return TRUE;
    PmStep *last = expr->step_count > 0 ? &expr->steps[expr->step_count - 1] : NULL;
    if (last == NULL)
        return widen_argument(expr, step);
    if (last->kind == PM_STEP_ADD && step->kind == PM_STEP_ADD) {
        last->a += step->a;
        if (last->a == 0) {
            *last = (PmStep){0};
            expr->step_count--;
        }
        return TRUE;
    }
    if (last->kind == PM_STEP_ADD && step->kind == PM_STEP_MULTIPLY)
        return distribute(expr, step->a);
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

PmValue
pm_expr_append(PmExprs *exprs, const PmValue *value, const PmStep *step)
{
    PmExpr expr = *pm_exprs_get(exprs, value->id);
    if (!merge_step(&expr, step)) {
        if (expr.step_count == PM_EXPR_STEPS)
            return pm_value_unknown();
        expr.steps[expr.step_count++] = *step;
        drop_inner_cut(&expr);
    }
    return pm_expr_to_value(exprs, &expr);
}

PmValue
pm_value_open(PmExprs *exprs, const PmValue *value)
{
    PmValue opened = *value;
    if (value->kind == PM_VALUE_SET) {
        opened.open = 1;
        return opened;
    }
    if (value->kind != PM_VALUE_EXPR)
        return pm_value_unknown();
    PmExpr expr = *pm_exprs_get(exprs, value->id);
    expr.open = 1;
    return pm_expr_to_value(exprs, &expr);
}

/* An expression that is its base times @ret_factor plus @ret_added. */
gboolean
pm_expr_is_linear(const PmExpr *expr, guint64 *ret_factor, guint64 *ret_added)
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
