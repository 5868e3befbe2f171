/*
 * Operations on registers and slots; see state.h. A slot is only kept while nothing that may point
 * to it is written through.
 */
#include "analysis/sites/state.h"

#include <string.h>

void
pm_state_forget(PmState *state, const PmFrameFacts *facts)
{
    state->reached = TRUE;
    state->slot_count = 0;
    state->fact = (PmFact){0};
    state->comparison = (PmComparison){0};
    state->partial = (PmPartial){0};
    for (guint i = 0; i < facts->machine->registers; i++)
        state->registers[i] = pm_value_unknown();
}

void
pm_state_copy(PmState *to, const PmState *from, const PmFrameFacts *facts)
{
    memcpy(to, from, G_STRUCT_OFFSET(PmState, slots) + from->slot_count * sizeof from->slots[0]);
    memcpy(to->registers, from->registers, facts->machine->registers * sizeof(PmValue));
}

void
pm_state_enter(PmState *state, PmFrameFacts *facts)
{
    pm_state_forget(state, facts);
    for (guint i = 0; i < PM_ARGUMENTS; i++)
        state->registers[facts->machine->arguments[i]] = pm_value_argument(facts->exprs, i);
    state->registers[facts->machine->stack] = pm_value_of_kind(PM_VALUE_STACK, 0, 0);
}

static void
remove_slot(PmState *state, guint index)
{
    PmComparison *comparison = &state->comparison;
    if (comparison->place == PM_OPERAND_MEMORY && comparison->base == state->slots[index].base &&
        comparison->offset == state->slots[index].offset)
        comparison->place = PM_OPERAND_NONE;
    state->slots[index] = state->slots[--state->slot_count];
}

/* Removes the slots of @base that reach into [@low, @high). */
static void
remove_slots(PmState *state, guint base, gint64 low, gint64 high)
{
    for (guint i = state->slot_count; i > 0; i--) {
        const PmStackSlot *slot = &state->slots[i - 1];
        if (slot->base == base && slot->offset < high && slot->offset + slot->width_bytes > low)
            remove_slot(state, i - 1);
    }
    PmComparison *comparison = &state->comparison;
    if (comparison->place == PM_OPERAND_MEMORY && comparison->base == base &&
        comparison->offset < high && comparison->offset + comparison->width_bytes > low)
        comparison->place = PM_OPERAND_NONE;
}

/* What callees and unknown pointers may have written to. */
static void
remove_escaped(PmState *state, const PmFrameFacts *facts)
{
    for (guint base = 0; base < PM_STACK_BASES; base++)
        if (facts->escapes[base] != G_MAXINT64)
            remove_slots(state, base, facts->escapes[base], G_MAXINT64);
}

static void
remove_all(PmState *state)
{
    for (guint base = 0; base < PM_STACK_BASES; base++)
        remove_slots(state, base, G_MININT64, G_MAXINT64);
}

/* @value is somewhere from which it may be used in ways that are not followed. */
static void
note_escape(PmFrameFacts *facts, const PmValue *value)
{
    if (value->kind == PM_VALUE_STACK && value->id < PM_STACK_BASES)
        facts->escapes[value->id] = MIN(facts->escapes[value->id], (gint64)value->v[0]);
}

static void
set_register(PmState *state, guint reg, const PmValue *value)
{
    PmComparison *comparison = &state->comparison;
    if (comparison->place == PM_OPERAND_REGISTER && comparison->reg == reg)
        comparison->place = PM_OPERAND_NONE;
    if (state->partial.reg == reg)
        state->partial = (PmPartial){0};
    state->registers[reg] = *value;
}

/* The low @width_bytes of a register; on 64-bit machines a write of 32 bits clears the rest. */
static void
write_register(PmState *state, const PmFrameFacts *facts, const PmOperand *operand,
               const PmValue *value)
{
    PmExprs *exprs = facts->exprs;
    guint64 old = 0;
    PmValue written = pm_value_truncate(exprs, value, operand->width_bytes);
    if (operand->width_bytes < 4 && pm_value_is_constant(&state->registers[operand->reg], &old)) {
        const guint64 mask = (G_GUINT64_CONSTANT(1) << (8 * operand->width_bytes)) - 1;
        const PmValue rest = pm_value_constant(old & ~mask);
        written = pm_value_add(exprs, &written, &rest);
    } else if (operand->width_bytes < 4) {
        const PmValue unknown = pm_value_unknown();
        set_register(state, operand->reg, &unknown);
        state->partial = (PmPartial){operand->width_bytes, operand->reg, written};
        return;
    }
    if (operand->width_bytes == 8)
        written.may = value->may;
    set_register(state, operand->reg, &written);
}

void
pm_state_store(PmState *state, PmFrameFacts *facts, const PmValue *address, guint width_bytes,
               const PmValue *value)
{
    note_escape(facts, value);
    switch ((PmValueKind)address->kind) {
    case PM_VALUE_STACK:
        break;
    case PM_VALUE_STACK_ANY:
        remove_all(state);
        return;
    case PM_VALUE_POINTER:
    case PM_VALUE_RESULT:
        return;
    default:
        remove_escaped(state, facts);
        return;
    }
    const gint64 offset = (gint64)address->v[0];
    gint64 end = 0;
    if (address->id >= PM_STACK_BASES || width_bytes == 0 ||
        __builtin_add_overflow(offset, (gint64)width_bytes, &end)) {
        remove_all(state);
        return;
    }
    remove_slots(state, address->id, offset, end);
    if ((value->kind == PM_VALUE_UNKNOWN && value->may == 0) || width_bytes > 8 ||
        state->slot_count == PM_SLOTS_MAX)
        return;
    PmStackSlot *slot = &state->slots[state->slot_count++];
    *slot = (PmStackSlot){.offset = offset,
                          .base = (guint8)address->id,
                          .width_bytes = (guint8)width_bytes,
                          .value = pm_value_truncate(facts->exprs, value, width_bytes)};
    if (width_bytes == 8)
        slot->value.may = value->may;
}

static PmValue
read_slot(const PmState *state, const PmFrameFacts *facts, const PmValue *address,
          guint width_bytes)
{
    for (guint i = 0; i < state->slot_count; i++) {
        const PmStackSlot *slot = &state->slots[i];
        if (slot->base == address->id && slot->offset == (gint64)address->v[0] &&
            slot->width_bytes >= width_bytes)
            return pm_value_truncate(facts->exprs, &slot->value, width_bytes);
    }
    const PmValue unknown = pm_value_unknown();
    return pm_value_truncate(facts->exprs, &unknown, width_bytes);
}

PmValue
pm_state_address(const PmState *state, const PmFrameFacts *facts, const PmOperand *operand)
{
    if (operand->is_absolute)
        return pm_value_of_kind(PM_VALUE_POINTER, 0, operand->number);
    PmValue address = pm_value_constant(operand->number);
    if (operand->reg != PM_NO_REGISTER)
        address = pm_value_add(facts->exprs, &state->registers[operand->reg], &address);
    if (operand->index == PM_NO_REGISTER)
        return address;
    const PmValue scale = pm_value_constant(operand->scale);
    const PmValue index =
        pm_value_multiply(facts->exprs, &state->registers[operand->index], &scale);
    return pm_value_add(facts->exprs, &address, &index);
}

static PmValue
read_memory(const PmState *state, const PmFrameFacts *facts, const PmOperand *operand)
{
    const PmValue address = pm_state_address(state, facts, operand);
    guint64 constant = 0;
    if (address.kind == PM_VALUE_STACK)
        return read_slot(state, facts, &address, operand->width_bytes);
    if (operand->width_bytes == 8 && address.kind == PM_VALUE_POINTER)
        return pm_value_of_kind(PM_VALUE_SLOT, 0, address.v[0]);
    if (operand->width_bytes == 8 && pm_value_is_constant(&address, &constant))
        return pm_value_of_kind(PM_VALUE_SLOT, 0, constant);
    const PmValue unknown = pm_value_unknown();
    return pm_value_truncate(facts->exprs, &unknown, operand->width_bytes);
}

PmValue
pm_state_read(const PmState *state, const PmFrameFacts *facts, const PmOperand *operand)
{
    PmValue value = pm_value_unknown();
    switch ((PmOperandKind)operand->kind) {
    case PM_OPERAND_REGISTER:
        value = state->registers[operand->reg];
        if (state->partial.reg == operand->reg && operand->width_bytes != 0 &&
            state->partial.width_bytes >= operand->width_bytes)
            value = state->partial.value;
        break;
    case PM_OPERAND_NUMBER:
        value = pm_value_constant(operand->number);
        break;
    case PM_OPERAND_MEMORY:
        return read_memory(state, facts, operand);
    case PM_OPERAND_NONE:
    case PM_OPERAND_OTHER:
        break;
    }
    return pm_value_truncate(facts->exprs, &value, operand->width_bytes);
}

static void
write_operand(PmState *state, PmFrameFacts *facts, const PmOperand *operand, const PmValue *value)
{
    if (operand->kind == PM_OPERAND_REGISTER) {
        write_register(state, facts, operand, value);
    } else if (operand->kind == PM_OPERAND_MEMORY) {
        const PmValue address = pm_state_address(state, facts, operand);
        pm_state_store(state, facts, &address, operand->width_bytes, value);
    }
}

static gboolean
is_same_register(const PmOperand *a, const PmOperand *b)
{
    return a->kind == PM_OPERAND_REGISTER && b->kind == PM_OPERAND_REGISTER && a->reg == b->reg;
}

static PmValue
combine_bits(const PmOp *op, const PmValue *a, const PmValue *b)
{
    if (op->kind == PM_OP_XOR && is_same_register(&op->a, &op->b))
        return pm_value_constant(0);
    return op->kind == PM_OP_OR ? pm_value_or(a, b) : pm_value_xor(a, b);
}

/* A register and-ed with a mask to align the stack begins a stack of its own. */
static PmValue
compute_and(const PmFrameFacts *facts, const PmOp *op, const PmValue *a, const PmValue *b)
{
    if (op->dst.kind == PM_OPERAND_REGISTER && op->dst.reg == facts->machine->stack &&
        a->kind == PM_VALUE_STACK)
        return pm_value_of_kind(PM_VALUE_STACK, 1, 0);
    return pm_value_and(facts->exprs, a, b);
}

static PmValue
shift(const PmFrameFacts *facts, const PmOp *op, const PmValue *a, const PmValue *b)
{
    guint64 bits = 0;
    if (!pm_value_is_constant(b, &bits))
        return pm_value_unknown();
    bits &= op->dst.width_bytes == 8 ? 63 : 31;
    if (op->kind == PM_OP_SHIFT_RIGHT)
        return pm_value_shift_right(facts->exprs, a, (guint)bits);
    const PmValue factor = pm_value_constant(G_GUINT64_CONSTANT(1) << bits);
    return pm_value_multiply(facts->exprs, a, &factor);
}

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

/* Numbers of one width that a comparison is about; the largest signed and the largest one. */
typedef struct {
    guint64 largest_signed;
    guint64 largest;
} Width;

static Width
get_width(guint width_bytes)
{
    const guint64 largest =
        width_bytes >= 8 ? G_MAXUINT64 : (G_GUINT64_CONSTANT(1) << (8 * width_bytes)) - 1;
    return (Width){largest / 2, largest};
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
narrow(PmCondition condition, guint64 number, Width width, guint64 *low, guint64 *high)
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
    const Width width = get_width(comparison->width_bytes);
    const PmCondition plain = drop_sign(condition);
    /* With the sign bit flipped signed order is unsigned order. */
    const guint64 sign = plain == condition ? 0 : width.largest_signed + 1;
    guint64 low = (number & width.largest) ^ sign;
    guint64 high = low;
    return narrow_unsigned(plain, comparison->b ^ sign, &low, &high);
}

/* The expression that was compared lies in a range. */
static void
assume_fact(PmState *state, PmCondition condition)
{
    const PmComparison *comparison = &state->comparison;
    const Width width = get_width(comparison->width_bytes);
    guint64 low = 0, high = width.largest;
    if (comparison->a.kind != PM_VALUE_EXPR)
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
    const Width width = get_width(comparison->width_bytes);
    PmStackSlot *slot = &state->slots[state->slot_count++];
    *slot = (PmStackSlot){.offset = comparison->offset,
                          .base = comparison->base,
                          .width_bytes = comparison->width_bytes,
                          .value = pm_value_range(0, width.largest)};
    return &slot->value;
}

gboolean
pm_state_assume(PmState *state, G_GNUC_UNUSED PmFrameFacts *facts, PmCondition condition,
                gboolean holds)
{
    const PmComparison *comparison = &state->comparison;
    const PmCondition actual = holds ? condition : negate(condition);
    if (!comparison->known || actual == PM_WHEN_OTHER)
        return TRUE;
    assume_fact(state, actual);
    PmValue *value = find_compared(state);
    if (value == NULL)
        value = make_compared(state);
    if (value == NULL)
        return TRUE;
    if (value->kind == PM_VALUE_SET)
        return assume_set(value, comparison, actual);

    const Width width = get_width(comparison->width_bytes);
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
    if (!narrow(actual, comparison->b, width, &low, &high))
        return FALSE;
    *value = pm_value_range(low, high);
    value->may = may;
    return TRUE;
}

static void
compare(PmState *state, const PmFrameFacts *facts, const PmOp *op)
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

static PmValue
select_value(const PmState *state, PmFrameFacts *facts, const PmOp *op)
{
    const PmCondition condition = (PmCondition)op->condition;
    PmState when, otherwise;
    pm_state_copy(&when, state, facts);
    pm_state_copy(&otherwise, state, facts);
    const gboolean may_hold = pm_state_assume(&when, facts, condition, TRUE);
    const gboolean may_fail = pm_state_assume(&otherwise, facts, condition, FALSE);
    const PmValue a = pm_state_read(&when, facts, &op->a);
    const PmValue b = pm_state_read(&otherwise, facts, &op->b);
    if (!may_fail)
        return a;
    if (!may_hold)
        return b;
    return pm_value_join(facts->exprs, &a, &b, &when.fact, &otherwise.fact);
}

static PmValue
compute(const PmState *state, PmFrameFacts *facts, const PmOp *op)
{
    const PmValue a = pm_state_read(state, facts, &op->a);
    const PmValue b = pm_state_read(state, facts, &op->b);
    PmValue truth = pm_value_constant(0);
    switch ((PmOpKind)op->kind) {
    case PM_OP_MOVE:
        return a;
    case PM_OP_EXTEND:
        return pm_value_sign_extend(facts->exprs, &a, op->a.width_bytes);
    case PM_OP_ADD:
        return pm_value_add(facts->exprs, &a, &b);
    case PM_OP_SUBTRACT:
        return pm_value_subtract(facts->exprs, &a, &b);
    case PM_OP_MULTIPLY:
        return pm_value_multiply(facts->exprs, &a, &b);
    case PM_OP_AND:
        return compute_and(facts, op, &a, &b);
    case PM_OP_OR:
    case PM_OP_XOR:
        return combine_bits(op, &a, &b);
    case PM_OP_SHIFT_LEFT:
    case PM_OP_SHIFT_RIGHT:
        return shift(facts, op, &a, &b);
    case PM_OP_BORROW:
    case PM_OP_TRUTH:
        truth.count = 2;
        truth.v[1] = op->kind == PM_OP_TRUTH ? 1 : get_width(op->dst.width_bytes).largest;
        return truth;
    case PM_OP_SELECT:
        return select_value(state, facts, op);
    default:
        return pm_value_unknown();
    }
}

/*
 * Arithmetic that makes a pointer to the stack in a register lets it escape; the setting of a frame
 * pointer does not.
 */
static void
note_arithmetic(const PmState *state, PmFrameFacts *facts, const PmOp *op, const PmValue *value)
{
    if (op->kind == PM_OP_MOVE || op->kind == PM_OP_EXTEND || op->dst.kind != PM_OPERAND_REGISTER ||
        op->dst.reg == facts->machine->stack)
        return;
    note_escape(facts, value);
    if (value->kind != PM_VALUE_STACK_ANY)
        return;
    const PmOperand *operands[] = {&op->a, &op->b};
    for (gsize i = 0; i < G_N_ELEMENTS(operands); i++) {
        const PmOperand *operand = operands[i];
        if (operand->kind == PM_OPERAND_REGISTER ||
            (operand->kind == PM_OPERAND_MEMORY && operand->reg != PM_NO_REGISTER)) {
            const PmValue offset =
                pm_value_constant(operand->kind == PM_OPERAND_MEMORY ? operand->number : 0);
            const PmValue base =
                pm_value_add(facts->exprs, &state->registers[operand->reg], &offset);
            note_escape(facts, &base);
        }
        if (operand->kind == PM_OPERAND_MEMORY && operand->index != PM_NO_REGISTER)
            note_escape(facts, &state->registers[operand->index]);
    }
}

static void
call(PmState *state, PmFrameFacts *facts, const PmValue *result)
{
    const PmMachine *machine = facts->machine;
    for (guint i = 0; i < PM_ARGUMENTS; i++)
        note_escape(facts, &state->registers[machine->arguments[i]]);
    remove_escaped(state, facts);
    const PmValue *stack = &state->registers[machine->stack];
    /* The callee's own frame. */
    if (stack->kind == PM_VALUE_STACK)
        remove_slots(state, stack->id, G_MININT64, (gint64)stack->v[0]);
    else
        remove_all(state);
    const PmValue unknown = pm_value_unknown();
    for (guint i = 0; i < machine->registers; i++)
        if ((machine->caller_saved >> i & 1) != 0)
            set_register(state, i, &unknown);
    set_register(state, machine->result, result);
}

static void
fill(PmState *state, PmFrameFacts *facts, const PmOp *op)
{
    const PmValue address = op->dst.kind == PM_OPERAND_MEMORY
                                ? pm_state_address(state, facts, &op->dst)
                                : pm_value_unknown();
    if (address.kind == PM_VALUE_STACK || address.kind == PM_VALUE_STACK_ANY)
        remove_all(state);
    else
        remove_escaped(state, facts);
}

void
pm_state_apply(PmState *state, PmFrameFacts *facts, const PmOp *op, const PmValue *result)
{
    PmValue value;
    if (op->sets_flags && op->kind != PM_OP_COMPARE)
        state->comparison = (PmComparison){0};
    switch ((PmOpKind)op->kind) {
    case PM_OP_NONE:
    case PM_OP_BRANCH:
    case PM_OP_JUMP:
    case PM_OP_RETURN:
    case PM_OP_TRAP:
        break;
    case PM_OP_UNDECODED:
        pm_state_forget(state, facts);
        return;
    case PM_OP_CALL:
        call(state, facts, result);
        return;
    case PM_OP_COMPARE:
        compare(state, facts, op);
        return;
    case PM_OP_FILL:
        fill(state, facts, op);
        break;
    case PM_OP_EFFECT:
        value = pm_value_unknown();
        write_operand(state, facts, &op->dst, &value);
        break;
    case PM_OP_ADDRESS:
        value = pm_state_address(state, facts, &op->a);
        note_arithmetic(state, facts, op, &value);
        write_operand(state, facts, &op->dst, &value);
        break;
    default:
        value = compute(state, facts, op);
        note_arithmetic(state, facts, op, &value);
        write_operand(state, facts, &op->dst, &value);
        break;
    }
    const PmValue unknown = pm_value_unknown();
    for (guint i = 0; op->clobbers != 0 && i < facts->machine->registers; i++)
        if ((op->clobbers >> i & 1) != 0)
            set_register(state, i, &unknown);
}

/* Joins one value. Returns: whether *into changed. */
static gboolean
join_value(PmValue *into, const PmValue *from, const PmState *state, const PmState *other,
           PmFrameFacts *facts, gboolean widen)
{
    if (into->kind == from->kind && (from->may & ~into->may) == 0 && pm_value_equals(into, from))
        return FALSE;
    PmValue joined = pm_value_join(facts->exprs, into, from, &state->fact, &other->fact);
    const gboolean differs = !pm_value_equals(&joined, into);
    /* Two constants that take turns are no counter. */
    const gboolean few = joined.kind == PM_VALUE_SET && joined.count <= 2;
    if (differs && widen && !few) {
        const gboolean stack = joined.kind == PM_VALUE_STACK || joined.kind == PM_VALUE_STACK_ANY;
        const guint64 may = joined.may;
        joined = stack ? pm_value_of_kind(PM_VALUE_STACK_ANY, 0, 0) : pm_value_unknown();
        joined.may = may;
    }
    const gboolean changed = !pm_value_equals(&joined, into) || joined.may != into->may;
    *into = joined;
    return changed;
}

static const PmStackSlot *
find_slot(const PmState *state, const PmStackSlot *like)
{
    for (guint i = 0; i < state->slot_count; i++)
        if (state->slots[i].base == like->base && state->slots[i].offset == like->offset &&
            state->slots[i].width_bytes == like->width_bytes)
            return &state->slots[i];
    return NULL;
}

static gboolean
join_facts(PmFact *into, const PmFact *from, gboolean widen)
{
    if (!into->known)
        return FALSE;
    PmFact joined = {0};
    if (from->known && from->expr == into->expr) {
        joined = *into;
        joined.low = MIN(joined.low, from->low);
        joined.high = MAX(joined.high, from->high);
    }
    const gboolean changed =
        joined.known != into->known || joined.low != into->low || joined.high != into->high;
    if (changed && widen)
        joined = (PmFact){0};
    *into = joined;
    return changed;
}

gboolean
pm_state_join(PmState *into, const PmState *from, PmFrameFacts *facts, gboolean widen)
{
    if (!into->reached) {
        pm_state_copy(into, from, facts);
        into->comparison = (PmComparison){0};
        into->partial = (PmPartial){0};
        return TRUE;
    }
    gboolean changed = FALSE;
    into->partial = (PmPartial){0};
    for (guint i = 0; i < facts->machine->registers; i++)
        changed |= join_value(&into->registers[i], &from->registers[i], into, from, facts, widen);
    for (guint i = into->slot_count; i > 0; i--) {
        PmStackSlot *slot = &into->slots[i - 1];
        const PmStackSlot *other = find_slot(from, slot);
        if (other != NULL) {
            changed |= join_value(&slot->value, &other->value, into, from, facts, widen);
        } else {
            remove_slot(into, i - 1);
            changed = TRUE;
        }
    }
    changed |= join_facts(&into->fact, &from->fact, widen);
    return changed;
}
