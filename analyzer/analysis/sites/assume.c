/*
 * What a comparison says of what was compared, on either way of a branch; see state.h.
 */
#include "analysis/sites/scale.h"
#include "analysis/sites/state-private.h"

static PmCondition
negate(PmCondition condition)
{
    switch (condition) {
    case PM_WHEN_EQUAL:
        return PM_WHEN_UNEQUAL;
    case PM_WHEN_UNEQUAL:
        return PM_WHEN_EQUAL;
    case PM_WHEN_BELOW:
        return PM_WHEN_ABOVE_EQUAL;
    case PM_WHEN_BELOW_EQUAL:
        return PM_WHEN_ABOVE;
    case PM_WHEN_ABOVE:
        return PM_WHEN_BELOW_EQUAL;
    case PM_WHEN_ABOVE_EQUAL:
        return PM_WHEN_BELOW;
    case PM_WHEN_LESS:
        return PM_WHEN_GREATER_EQUAL;
    case PM_WHEN_LESS_EQUAL:
        return PM_WHEN_GREATER;
    case PM_WHEN_GREATER:
        return PM_WHEN_LESS_EQUAL;
    case PM_WHEN_GREATER_EQUAL:
        return PM_WHEN_LESS;
    case PM_WHEN_OTHER:
        break;
    }
    return PM_WHEN_OTHER;
}

PmWidth
pm_width_of(guint width_bytes)
{
    const guint64 largest =
        width_bytes >= 8 ? G_MAXUINT64 : (G_GUINT64_CONSTANT(1) << (8 * width_bytes)) - 1;
    return (PmWidth){largest / 2, largest};
}

/* Cuts [*low, *high] to what fulfils an unsigned @condition with @number. FALSE: nothing does. */
static gboolean
narrow_unsigned(PmCondition condition, guint64 number, guint64 *low, guint64 *high)
{
    switch (condition) {
    case PM_WHEN_EQUAL:
        if (number < *low || number > *high)
            return FALSE;
        *low = *high = number;
        return TRUE;
    case PM_WHEN_UNEQUAL:
        if (*low == *high && *low == number)
            return FALSE;
        *low += *low == number ? 1 : 0;
        *high -= *high == number ? 1 : 0;
        return TRUE;
    case PM_WHEN_BELOW:
        if (number == 0)
            return FALSE;
        *high = MIN(*high, number - 1);
        return *low <= *high;
    case PM_WHEN_BELOW_EQUAL:
        *high = MIN(*high, number);
        return *low <= *high;
    case PM_WHEN_ABOVE:
        if (number == G_MAXUINT64)
            return FALSE;
        *low = MAX(*low, number + 1);
        return *low <= *high;
    case PM_WHEN_ABOVE_EQUAL:
        *low = MAX(*low, number);
        return *low <= *high;
    default:
        return TRUE;
    }
}

/* A signed condition as the unsigned one that it is among numbers of one sign. */
static PmCondition
drop_sign(PmCondition condition)
{
    switch (condition) {
    case PM_WHEN_LESS:
        return PM_WHEN_BELOW;
    case PM_WHEN_LESS_EQUAL:
        return PM_WHEN_BELOW_EQUAL;
    case PM_WHEN_GREATER:
        return PM_WHEN_ABOVE;
    case PM_WHEN_GREATER_EQUAL:
        return PM_WHEN_ABOVE_EQUAL;
    default:
        return condition;
    }
}

/*
 * The same for any condition. Signed ones are only followed where numbers below zero are out of
 * question on one side.
 */
static gboolean
narrow(PmCondition condition, guint64 number, PmWidth width, guint64 *low, guint64 *high)
{
    const PmCondition plain = drop_sign(condition);
    if (plain == condition)
        return narrow_unsigned(condition, number, low, high);
    if (number > width.largest_signed)
        return TRUE;
    if (condition == PM_WHEN_GREATER || condition == PM_WHEN_GREATER_EQUAL) {
        *high = MIN(*high, width.largest_signed);
        return *low <= *high && narrow_unsigned(plain, number, low, high);
    }
    return *high > width.largest_signed || narrow_unsigned(plain, number, low, high);
}

/* Whether @number, @width_bytes of it, fulfils @condition. */
static gboolean
fulfils(PmCondition condition, guint64 number, const PmComparison *comparison)
{
    const PmWidth width = pm_width_of(comparison->width_bytes);
    const PmCondition plain = drop_sign(condition);
    /* With the sign bit flipped signed order is unsigned order. */
    const guint64 sign = plain == condition ? 0 : width.largest_signed + 1;
    guint64 low = (number & width.largest) ^ sign;
    guint64 high = low;
    return narrow_unsigned(plain, comparison->b ^ sign, &low, &high);
}

/* The expression that was compared lies in a range. */
static void
assume_fact(PmState *state, const PmFrameFacts *facts, PmCondition condition)
{
    const PmComparison *comparison = &state->comparison;
    const PmWidth width = pm_width_of(comparison->width_bytes);
    guint64 low = 0, high = width.largest;
    /* What is open in two places may be two numbers. */
    if (comparison->a.kind != PM_VALUE_EXPR ||
        pm_exprs_get(facts->exprs, comparison->a.id)->open != 0)
        return;
    /* Sizes below zero are never allocated: as if there were none. */
    if (condition == PM_WHEN_LESS || condition == PM_WHEN_LESS_EQUAL) {
        if (comparison->b > width.largest_signed)
            return;
        high = width.largest_signed;
    }
    if (!narrow(condition, comparison->b, width, &low, &high) ||
        (low == 0 && high == width.largest))
        return;
    state->fact = (PmFact){.known = TRUE, .expr = comparison->a.id, .low = low, .high = high};
}

/* What was compared, where it still is; NULL where it is nowhere. */
static PmValue *
find_compared(PmState *state)
{
    const PmComparison *comparison = &state->comparison;
    if (comparison->place == PM_OPERAND_REGISTER)
        return &state->registers[comparison->reg];
    if (comparison->place != PM_OPERAND_MEMORY)
        return NULL;
    for (guint i = 0; i < state->slot_count; i++) {
        PmStackSlot *slot = &state->slots[i];
        if (slot->base == comparison->base && slot->offset == comparison->offset &&
            slot->width_bytes == comparison->width_bytes)
            return &slot->value;
    }
    return NULL;
}

static gboolean
assume_set(PmValue *value, const PmComparison *comparison, PmCondition condition)
{
    PmValue kept = *value;
    kept.count = 0;
    for (guint i = 0; i < value->count; i++)
        if (fulfils(condition, value->v[i], comparison))
            kept.v[kept.count++] = value->v[i];
    if (kept.count == 0)
        return FALSE;
    *value = kept;
    return TRUE;
}

/* A slot of which nothing is known is no slot yet. */
static PmValue *
make_compared(PmState *state)
{
    const PmComparison *comparison = &state->comparison;
    if (comparison->place != PM_OPERAND_MEMORY || state->slot_count == PM_SLOTS_MAX)
        return NULL;
    for (guint i = 0; i < state->slot_count; i++)
        if (state->slots[i].base == comparison->base &&
            state->slots[i].offset < comparison->offset + comparison->width_bytes &&
            state->slots[i].offset + state->slots[i].width_bytes > comparison->offset)
            return NULL;
    const PmWidth width = pm_width_of(comparison->width_bytes);
    PmStackSlot *slot = &state->slots[state->slot_count++];
    *slot = (PmStackSlot){.offset = comparison->offset,
                          .base = comparison->base,
                          .width_bytes = comparison->width_bytes,
                          .value = pm_value_range(0, width.largest)};
    return &slot->value;
}

gboolean
pm_state_assume(PmState *state, PmFrameFacts *facts, PmCondition condition, gboolean holds)
{
    const PmComparison *comparison = &state->comparison;
    const PmCondition actual = holds ? condition : negate(condition);
    if (!comparison->known || actual == PM_WHEN_OTHER)
        return TRUE;
    assume_fact(state, facts, actual);
    PmValue *value = find_compared(state);
    if (value == NULL)
        value = make_compared(state);
    if (value == NULL)
        return TRUE;
    if (value->kind == PM_VALUE_SET)
        return assume_set(value, comparison, actual);

    const PmWidth width = pm_width_of(comparison->width_bytes);
    guint64 low = 0, high = G_MAXUINT64;
    if (value->kind == PM_VALUE_RANGE) {
        low = value->v[0];
        high = value->v[1];
    } else if (value->kind == PM_VALUE_EXPR) {
        /* An argument stays one, unless only one number is left of it. */
        if (actual != PM_WHEN_EQUAL)
            return TRUE;
    } else if (value->kind != PM_VALUE_UNKNOWN && value->kind != PM_VALUE_SLOT) {
        return TRUE;
    }
    /* The upper half is not compared. */
    if (high > width.largest &&
        !(comparison->place == PM_OPERAND_MEMORY && value->kind == PM_VALUE_EXPR))
        return TRUE;
    const guint64 may = value->may;
    const PmScale scale = pm_scale_get(facts->exprs, value);
    if (!narrow(actual, comparison->b, width, &low, &high))
        return FALSE;
    /* What a word holds stays that, unless only one number is left of it. */
    if (value->kind == PM_VALUE_SLOT && low != high)
        return TRUE;
    const PmValue range = pm_value_range(low, high);
    *value = pm_scale_set(&range, scale);
    value->may = may;
    return TRUE;
}

void
pm_state_compare(PmState *state, const PmFrameFacts *facts, const PmOp *op)
{
    const PmValue b = pm_state_read(state, facts, &op->b);
    PmComparison *comparison = &state->comparison;
    *comparison = (PmComparison){.width_bytes = op->a.width_bytes};
    if (!pm_value_is_constant(&b, &comparison->b) || op->a.width_bytes == 0)
        return;
    comparison->known = TRUE;
    comparison->a = pm_state_read(state, facts, &op->a);
    if (op->a.kind == PM_OPERAND_REGISTER) {
        comparison->place = PM_OPERAND_REGISTER;
        comparison->reg = op->a.reg;
    } else if (op->a.kind == PM_OPERAND_MEMORY) {
        const PmValue address = pm_state_address(state, facts, &op->a);
        if (address.kind != PM_VALUE_STACK || address.id >= PM_STACK_BASES)
            return;
        comparison->place = PM_OPERAND_MEMORY;
        comparison->base = (guint8)address.id;
        comparison->offset = (gint64)address.v[0];
    }
}
