#include "dwarf/evaluate.h"

#include <dwarf.h>

#define STACK_MAX 64
/* There are no jumps, so that an expression takes as many steps as it has operations. */
#define OPERATIONS_MAX 4096

typedef struct {
    const PmEvaluation *evaluation;
    Dwarf_Attribute *attribute;
    guint64 stack[STACK_MAX];
    guint depth;
    gboolean is_value;
    gboolean in_frame_base;
} Machine;

static gboolean run(Machine *machine, const Dwarf_Op *ops, gsize count);

static gboolean
push(Machine *machine, guint64 value)
{
    if (machine->depth == STACK_MAX)
        return FALSE;
    if (machine->evaluation->word_bytes == 4)
        value &= G_MAXUINT32;
    machine->stack[machine->depth++] = value;
    return TRUE;
}

static gboolean
get_register(const Machine *machine, guint64 number, guint64 *ret_value)
{
    const PmFrameRegisters *registers = machine->evaluation->registers;
    if (number >= PM_FRAME_REGISTERS_MAX || ((registers->known >> number) & 1) == 0)
        return FALSE;
    *ret_value = registers->values[number];
    return TRUE;
}

static gboolean
push_register(Machine *machine, guint64 number, guint64 offset)
{
    guint64 value = 0;
    return get_register(machine, number, &value) && push(machine, value + offset);
}

/* What the frame's base is: a register's content, or an address. */
static gboolean
push_frame_base(Machine *machine, guint64 offset)
{
    const PmEvaluation *evaluation = machine->evaluation;
    Machine inner = {.evaluation = evaluation, .in_frame_base = TRUE};
    return !machine->in_frame_base && evaluation->frame_base != NULL &&
           run(&inner, evaluation->frame_base, evaluation->frame_base_count) && inner.depth > 0 &&
           push(machine, inner.stack[inner.depth - 1] + offset);
}

static gboolean
push_indexed(Machine *machine, const Dwarf_Op *op)
{
    Dwarf_Attribute indexed;
    Dwarf_Addr address = 0;
    return machine->attribute != NULL &&
           dwarf_getlocation_attr(machine->attribute, op, &indexed) == 0 &&
           dwarf_formaddr(&indexed, &address) == 0 &&
           push(machine, address + machine->evaluation->bias);
}

static gboolean
load(Machine *machine, guint64 count)
{
    guint8 bytes[8] = {0};
    if (machine->depth == 0 || count == 0 || count > machine->evaluation->word_bytes ||
        !pm_space_read(machine->evaluation->space, machine->stack[machine->depth - 1], bytes,
                       count))
        return FALSE;
    machine->stack[machine->depth - 1] = pm_load_u64(bytes);
    return TRUE;
}

static gboolean
combine(Machine *machine, guint8 atom)
{
    if (machine->depth < 2)
        return FALSE;
    const guint64 right = machine->stack[--machine->depth];
    const guint64 left = machine->stack[--machine->depth];
    switch (atom) {
    case DW_OP_plus:
        return push(machine, left + right);
    case DW_OP_minus:
        return push(machine, left - right);
    case DW_OP_mul:
        return push(machine, left * right);
    case DW_OP_and:
        return push(machine, left & right);
    case DW_OP_or:
        return push(machine, left | right);
    case DW_OP_xor:
        return push(machine, left ^ right);
    case DW_OP_shl:
        return push(machine, right < 64 ? left << right : 0);
    case DW_OP_shr:
        return push(machine, right < 64 ? left >> right : 0);
    default:
        return FALSE;
    }
}

static gboolean
rearrange(Machine *machine, guint8 atom)
{
    guint64 *top = &machine->stack[machine->depth - 1];
    guint64 value = 0;
    if (machine->depth < (atom == DW_OP_swap || atom == DW_OP_over ? 2u : 1u))
        return FALSE;
    switch (atom) {
    case DW_OP_dup:
        return push(machine, *top);
    case DW_OP_drop:
        machine->depth--;
        return TRUE;
    case DW_OP_over:
        return push(machine, top[-1]);
    case DW_OP_swap:
        value = *top;
        *top = top[-1];
        top[-1] = value;
        return TRUE;
    default:
        return FALSE;
    }
}

static gboolean
step_constant(Machine *machine, const Dwarf_Op *op)
{
    switch (op->atom) {
    case DW_OP_addr:
        return push(machine, op->number + machine->evaluation->bias);
    case DW_OP_addrx:
    case DW_OP_GNU_addr_index:
        return push_indexed(machine, op);
    case DW_OP_const1u:
    case DW_OP_const1s:
    case DW_OP_const2u:
    case DW_OP_const2s:
    case DW_OP_const4u:
    case DW_OP_const4s:
    case DW_OP_const8u:
    case DW_OP_const8s:
    case DW_OP_constu:
    case DW_OP_consts:
        return push(machine, op->number);
    default:
        return FALSE;
    }
}

static gboolean
step(Machine *machine, const Dwarf_Op *op)
{
    const guint8 atom = op->atom;
    if (atom >= DW_OP_lit0 && atom <= DW_OP_lit31)
        return push(machine, (guint64)atom - DW_OP_lit0);
    if (atom >= DW_OP_breg0 && atom <= DW_OP_breg31)
        return push_register(machine, (guint64)atom - DW_OP_breg0, op->number);
    switch (atom) {
    case DW_OP_bregx:
        return push_register(machine, op->number, op->number2);
    case DW_OP_fbreg:
        return push_frame_base(machine, op->number);
    case DW_OP_call_frame_cfa:
        return machine->evaluation->registers->cfa != PM_ADDR_NONE &&
               push(machine, machine->evaluation->registers->cfa);
    case DW_OP_plus_uconst:
        if (machine->depth == 0)
            return FALSE;
        machine->depth--;
        return push(machine, machine->stack[machine->depth] + op->number);
    case DW_OP_neg:
        if (machine->depth == 0)
            return FALSE;
        machine->depth--;
        return push(machine, 0 - machine->stack[machine->depth]);
    case DW_OP_deref:
        return load(machine, machine->evaluation->word_bytes);
    case DW_OP_deref_size:
        return load(machine, op->number);
    case DW_OP_dup:
    case DW_OP_drop:
    case DW_OP_over:
    case DW_OP_swap:
        return rearrange(machine, atom);
    case DW_OP_nop:
        return TRUE;
    default:
        return step_constant(machine, op) || combine(machine, atom);
    }
}

/* The whole of the expression may be the name of a register. */
static gboolean
is_register(const Dwarf_Op *op, guint64 *ret_number)
{
    if (op->atom >= DW_OP_reg0 && op->atom <= DW_OP_reg31)
        *ret_number = (guint64)op->atom - DW_OP_reg0;
    else if (op->atom == DW_OP_regx)
        *ret_number = op->number;
    else
        return FALSE;
    return TRUE;
}

static gboolean
run(Machine *machine, const Dwarf_Op *ops, gsize count)
{
    guint64 number = 0;
    if (count == 0 || count > OPERATIONS_MAX)
        return FALSE;
    if (count == 1 && is_register(&ops[0], &number)) {
        machine->is_value = TRUE;
        return push_register(machine, number, 0);
    }
    for (gsize i = 0; i < count; i++) {
        if (ops[i].atom == DW_OP_stack_value && i + 1 == count) {
            machine->is_value = TRUE;
            break;
        }
        if (!step(machine, &ops[i]))
            return FALSE;
    }
    return machine->depth > 0;
}

gboolean
pm_evaluate(const PmEvaluation *evaluation, Dwarf_Attribute *attribute, const Dwarf_Op *ops,
            gsize count, PmLocation *ret_location)
{
    Machine machine = {.evaluation = evaluation, .attribute = attribute};
    if (!run(&machine, ops, count))
        return FALSE;
    *ret_location = (PmLocation){machine.is_value, machine.stack[machine.depth - 1]};
    return TRUE;
}
