/*
 * What operations do to registers and slots; see state.h.
 */
#include "analysis/sites/state-private.h"

#include <string.h>

static gboolean
is_same_register(const PmOperand *a, const PmOperand *b)
{
    return (a->kind == PM_OPERAND_REGISTER || a->kind == PM_OPERAND_VECTOR) && a->kind == b->kind &&
           a->reg == b->reg;
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
        truth.v[1] = op->kind == PM_OP_TRUTH ? 1 : pm_width_of(op->dst.width_bytes).largest;
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
    pm_state_note_escape(facts, value);
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
            pm_state_note_escape(facts, &base);
        }
        if (operand->kind == PM_OPERAND_MEMORY && operand->index != PM_NO_REGISTER)
            pm_state_note_escape(facts, &state->registers[operand->index]);
    }
}

static void
call(PmState *state, PmFrameFacts *facts, const PmValue *result)
{
    const PmMachine *machine = facts->machine;
    for (guint i = 0; i < PM_ARGUMENTS; i++)
        pm_state_note_escape(facts, &state->registers[machine->arguments[i]]);
    pm_state_remove_escaped(state, facts);
    const PmValue *stack = &state->registers[machine->stack];
    /* The callee's own frame. */
    if (stack->kind == PM_VALUE_STACK)
        pm_state_remove_slots(state, stack->id, G_MININT64, (gint64)stack->v[0]);
    else
        pm_state_remove_all(state);
    const PmValue unknown = pm_value_unknown();
    for (guint i = 0; i < machine->registers; i++)
        if ((machine->caller_saved >> i & 1) != 0)
            pm_state_set_register(state, i, &unknown);
    memset(state->vectors, 0, sizeof state->vectors);
    pm_state_set_register(state, machine->result, result);
}

static void
fill(PmState *state, PmFrameFacts *facts, const PmOp *op)
{
    const PmValue address = op->dst.kind == PM_OPERAND_MEMORY
                                ? pm_state_address(state, facts, &op->dst)
                                : pm_value_unknown();
    if (address.kind == PM_VALUE_STACK || address.kind == PM_VALUE_STACK_ANY)
        pm_state_remove_all(state);
    else
        pm_state_remove_escaped(state, facts);
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
        pm_state_compare(state, facts, op);
        return;
    case PM_OP_FILL:
        fill(state, facts, op);
        break;
    case PM_OP_EFFECT:
        value = pm_value_unknown();
        pm_state_write(state, facts, &op->dst, &value);
        break;
    case PM_OP_ADDRESS:
        value = pm_state_address(state, facts, &op->a);
        note_arithmetic(state, facts, op, &value);
        pm_state_write(state, facts, &op->dst, &value);
        break;
    default:
        value = compute(state, facts, op);
        note_arithmetic(state, facts, op, &value);
        pm_state_write(state, facts, &op->dst, &value);
        break;
    }
    const PmValue unknown = pm_value_unknown();
    for (guint i = 0; op->clobbers != 0 && i < facts->machine->registers; i++)
        if ((op->clobbers >> i & 1) != 0)
            pm_state_set_register(state, i, &unknown);
}
