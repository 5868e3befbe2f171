/*
 * Instructions as operations; see x86lift.h. Every instruction that is not followed becomes an
 * effect that makes what it may write unknown; for registers that means each that capstone says is
 * written and, since its lists have gaps, each operand of which it says nothing.
 */
#include "analysis/sites/x86lift.h"

static PmOp *
add_op(PmX86Lift *lift, PmOpKind kind)
{
    PmOp *op = &lift->ops[lift->count++];
    *op = (PmOp){.address = lift->instruction->address, .kind = (guint8)kind};
    return op;
}

static PmOperand
make_stack_word(void)
{
    return (PmOperand){.kind = PM_OPERAND_MEMORY,
                       .reg = PM_X86_RSP,
                       .index = PM_NO_REGISTER,
                       .scale = 1,
                       .width_bytes = 8};
}

/* An instruction that is not followed. */
static void
add_effect(PmX86Lift *lift)
{
    const cs_detail *detail = lift->instruction->detail;
    PmOp *op = add_op(lift, PM_OP_EFFECT);
    gboolean sets_flags = lift->x86->eflags != 0;
    for (guint i = 0; i < detail->regs_write_count; i++) {
        op->clobbers |= pm_x86_get_clobber((x86_reg)detail->regs_write[i]);
        sets_flags = sets_flags || detail->regs_write[i] == X86_REG_EFLAGS;
    }
    op->sets_flags = sets_flags ? 1 : 0;
    for (guint i = 0; i < lift->x86->op_count; i++) {
        const cs_x86_op *operand = &lift->x86->operands[i];
        const gboolean written = i == 0 || operand->access == 0 || (operand->access & CS_AC_WRITE);
        if (operand->type == X86_OP_REG && written)
            op->clobbers |= pm_x86_get_clobber(operand->reg);
        else if (operand->type == X86_OP_MEM && written)
            op->dst = pm_x86_convert(lift, i);
    }
    /* A vector register is unknown afterwards. */
    const PmOperand first = pm_x86_convert(lift, 0);
    if (first.kind == PM_OPERAND_VECTOR && op->dst.kind == PM_OPERAND_NONE)
        op->dst = first;
}

/* The same with registers that capstone's lists may lack. */
static void
add_effect_on(PmX86Lift *lift, guint32 clobbers)
{
    add_effect(lift);
    PmOp *op = &lift->ops[lift->count - 1];
    op->clobbers |= clobbers;
    op->sets_flags = TRUE;
    for (guint i = 0; i < lift->x86->op_count; i++) {
        if (lift->x86->operands[i].type == X86_OP_REG)
            op->clobbers |= pm_x86_get_clobber(lift->x86->operands[i].reg);
        else if (lift->x86->operands[i].type == X86_OP_MEM)
            op->dst = pm_x86_convert(lift, i);
    }
}

/* dst = first operand op second one; of one operand, op @number. */
static void
add_binary(PmX86Lift *lift, PmOpKind kind)
{
    PmOp *op = add_op(lift, kind);
    op->dst = pm_x86_convert(lift, 0);
    op->a = op->dst;
    op->b = pm_x86_convert(lift, 1);
    if (op->b.kind == PM_OPERAND_NUMBER)
        op->b.width_bytes = op->dst.width_bytes;
    op->sets_flags = TRUE;
}

static void
add_unary(PmX86Lift *lift, PmOpKind kind, guint64 number)
{
    PmOp *op = add_op(lift, kind);
    op->dst = pm_x86_convert(lift, 0);
    op->a = op->dst;
    op->b = pm_x86_make_number(number, op->dst.width_bytes);
    op->sets_flags = TRUE;
}

static void
add_move(PmX86Lift *lift, PmOpKind kind)
{
    PmOp *op = add_op(lift, kind);
    op->dst = pm_x86_convert(lift, 0);
    op->a = pm_x86_convert(lift, 1);
    if (op->a.kind == PM_OPERAND_NUMBER)
        op->a.width_bytes = op->dst.width_bytes;
}

static void
add_stack_step(PmX86Lift *lift, guint64 bytes)
{
    PmOp *op = add_op(lift, PM_OP_ADD);
    op->dst = pm_x86_make_register(PM_X86_RSP, 8);
    op->a = op->dst;
    op->b = pm_x86_make_number(bytes, 8);
}

static void
add_push(PmX86Lift *lift)
{
    PmOperand pushed = pm_x86_convert(lift, 0);
    /* Its address was made before the stack pointer moved. */
    if (pushed.kind == PM_OPERAND_MEMORY && pushed.reg == PM_X86_RSP && !pushed.is_absolute)
        pushed.number += 8;
    else if (pushed.kind == PM_OPERAND_REGISTER && pushed.reg == PM_X86_RSP)
        pushed = (PmOperand){.kind = PM_OPERAND_OTHER};
    add_stack_step(lift, (guint64)-8);
    PmOp *op = add_op(lift, PM_OP_MOVE);
    op->dst = make_stack_word();
    op->a = pushed;
    op->a.width_bytes = 8;
}

static void
add_pop(PmX86Lift *lift)
{
    const PmOperand popped = pm_x86_convert(lift, 0);
    if (popped.kind != PM_OPERAND_REGISTER || popped.reg == PM_X86_RSP || popped.width_bytes != 8) {
        add_effect_on(lift, PM_X86_BIT(PM_X86_RSP));
        return;
    }
    PmOp *op = add_op(lift, PM_OP_MOVE);
    op->dst = popped;
    op->a = make_stack_word();
    add_stack_step(lift, 8);
}

static void
add_leave(PmX86Lift *lift)
{
    PmOp *op = add_op(lift, PM_OP_MOVE);
    op->dst = pm_x86_make_register(PM_X86_RSP, 8);
    op->a = pm_x86_make_register(PM_X86_RBP, 8);
    op = add_op(lift, PM_OP_MOVE);
    op->dst = pm_x86_make_register(PM_X86_RBP, 8);
    op->a = make_stack_word();
    add_stack_step(lift, 8);
}

static void
add_multiply(PmX86Lift *lift)
{
    if (lift->x86->op_count == 2) {
        add_binary(lift, PM_OP_MULTIPLY);
        return;
    }
    PmOp *op = add_op(lift, PM_OP_MULTIPLY);
    op->sets_flags = TRUE;
    if (lift->x86->op_count == 3) {
        op->dst = pm_x86_convert(lift, 0);
        op->a = pm_x86_convert(lift, 1);
        op->b = pm_x86_convert(lift, 2);
        op->b.width_bytes = op->dst.width_bytes;
        return;
    }
    /* The low half is the same for both signs. */
    op->b = pm_x86_convert(lift, 0);
    op->dst = pm_x86_make_register(PM_X86_RAX, op->b.width_bytes);
    op->a = op->dst;
    op->clobbers = PM_X86_BIT(PM_X86_RDX);
}

static void
add_transfer(PmX86Lift *lift, PmOpKind kind)
{
    PmOp *op = add_op(lift, kind);
    const PmOperand target = pm_x86_convert(lift, 0);
    if (target.kind == PM_OPERAND_NUMBER)
        op->target = target.number;
    else
        op->a = target;
    if (kind == PM_OP_CALL)
        op->sets_flags = TRUE;
}

static void
add_branch(PmX86Lift *lift, PmCondition condition)
{
    PmOp *op = add_op(lift, PM_OP_BRANCH);
    op->target = (guint64)lift->x86->operands[0].imm;
    op->condition = (guint8)condition;
}

static void
add_select(PmX86Lift *lift, PmCondition condition)
{
    PmOp *op = add_op(lift, PM_OP_SELECT);
    op->dst = pm_x86_convert(lift, 0);
    op->a = pm_x86_convert(lift, 1);
    op->b = op->dst;
    op->condition = (guint8)condition;
}

static void
add_truth(PmX86Lift *lift)
{
    PmOp *op = add_op(lift, PM_OP_TRUTH);
    op->dst = pm_x86_convert(lift, 0);
}

static gboolean
operands_equal(const PmOperand *a, const PmOperand *b)
{
    return a->kind == PM_OPERAND_REGISTER && b->kind == PM_OPERAND_REGISTER && a->reg == b->reg &&
           a->width_bytes == b->width_bytes;
}

/* cmp, and test of a register with itself, which compares it with 0. */
static void
add_compare(PmX86Lift *lift, gboolean is_test)
{
    PmOp *op = add_op(lift, PM_OP_COMPARE);
    op->a = pm_x86_convert(lift, 0);
    op->b = pm_x86_convert(lift, 1);
    op->b.width_bytes = op->a.width_bytes;
    op->sets_flags = TRUE;
    if (is_test && operands_equal(&op->a, &op->b))
        op->b = pm_x86_make_number(0, op->a.width_bytes);
    else if (is_test)
        op->kind = PM_OP_EFFECT;
}

static void
add_borrow(PmX86Lift *lift)
{
    const PmOperand a = pm_x86_convert(lift, 0);
    const PmOperand b = pm_x86_convert(lift, 1);
    if (!operands_equal(&a, &b)) {
        add_effect(lift);
        return;
    }
    PmOp *op = add_op(lift, PM_OP_BORROW);
    op->dst = a;
    op->sets_flags = TRUE;
}

/* By a number, or by cl; of one operand, by 1. */
static void
add_shift(PmX86Lift *lift, PmOpKind kind)
{
    if (lift->x86->op_count == 2)
        add_binary(lift, kind);
    else
        add_unary(lift, kind, 1);
}

/* xchg %ax, %ax is padding; that of 32 bits clears the upper half. */
static void
add_exchange(PmX86Lift *lift)
{
    const PmOperand a = pm_x86_convert(lift, 0);
    const PmOperand b = pm_x86_convert(lift, 1);
    if (operands_equal(&a, &b) && a.width_bytes != 4)
        add_op(lift, PM_OP_NONE);
    else
        add_effect_on(lift, 0);
}

/* String instructions: stos stores the register that is its second operand. */
static void
add_fill(PmX86Lift *lift)
{
    PmOp *op = add_op(lift, PM_OP_FILL);
    op->clobbers = PM_X86_BIT(PM_X86_RDI) | PM_X86_BIT(PM_X86_RSI) | PM_X86_BIT(PM_X86_RCX);
    op->dst = pm_x86_convert(lift, 0);
    op->a = pm_x86_convert(lift, 1);
    op->b = lift->x86->prefix[0] == X86_PREFIX_REP ? pm_x86_make_register(PM_X86_RCX, 8)
                                                   : pm_x86_make_number(1, 8);
    if (op->a.kind != PM_OPERAND_REGISTER)
        op->a = (PmOperand){.kind = PM_OPERAND_OTHER};
}

/* Instructions that write what capstone 4 does not list in full. */
static gboolean
lift_special(PmX86Lift *lift)
{
    switch (lift->instruction->id) {
    case X86_INS_XCHG:
        add_exchange(lift);
        return TRUE;
    case X86_INS_XADD:
        add_effect_on(lift, 0);
        return TRUE;
    case X86_INS_CMPXCHG:
        add_effect_on(lift, PM_X86_BIT(PM_X86_RAX));
        return TRUE;
    case X86_INS_CMPXCHG8B:
    case X86_INS_CMPXCHG16B:
    case X86_INS_RDTSC:
    case X86_INS_XGETBV:
    case X86_INS_DIV:
    case X86_INS_IDIV:
        add_effect_on(lift, PM_X86_BIT(PM_X86_RAX) | PM_X86_BIT(PM_X86_RDX));
        return TRUE;
    case X86_INS_CPUID:
    case X86_INS_RDTSCP:
    case X86_INS_RDPMC:
        add_effect_on(lift, PM_X86_BIT(PM_X86_RAX) | PM_X86_BIT(PM_X86_RBX) |
                                PM_X86_BIT(PM_X86_RCX) | PM_X86_BIT(PM_X86_RDX));
        return TRUE;
    case X86_INS_SYSCALL:
    case X86_INS_SYSENTER:
    case X86_INS_INT:
        add_effect_on(lift, PM_X86_CALL_CLOBBERS);
        return TRUE;
    case X86_INS_LOOP:
    case X86_INS_LOOPE:
    case X86_INS_LOOPNE:
        add_effect_on(lift, PM_X86_BIT(PM_X86_RCX));
        add_branch(lift, PM_WHEN_OTHER);
        return TRUE;
    case X86_INS_VZEROALL:
        add_op(lift, PM_OP_UNDECODED)->sets_flags = TRUE;
        return TRUE;
    case X86_INS_ENTER:
        add_effect_on(lift, PM_X86_BIT(PM_X86_RSP) | PM_X86_BIT(PM_X86_RBP));
        return TRUE;
    case X86_INS_STOSB:
    case X86_INS_STOSW:
    case X86_INS_STOSD:
    case X86_INS_STOSQ:
    case X86_INS_MOVSB:
    case X86_INS_MOVSW:
    case X86_INS_MOVSQ:
    case X86_INS_INSB:
    case X86_INS_INSD:
        break;
    case X86_INS_MOVSD: /* the string instruction, or the vector one */
        if (lift->x86->op_count == 2 && lift->x86->operands[0].type == X86_OP_MEM &&
            lift->x86->operands[1].type == X86_OP_MEM)
            break;
        return FALSE;
    default:
        return FALSE;
    }
    add_fill(lift);
    return TRUE;
}

static gboolean
lift_arithmetic(PmX86Lift *lift)
{
    switch (lift->instruction->id) {
    case X86_INS_ADD:
        add_binary(lift, PM_OP_ADD);
        return TRUE;
    case X86_INS_SUB:
        add_binary(lift, PM_OP_SUBTRACT);
        return TRUE;
    case X86_INS_AND:
        add_binary(lift, PM_OP_AND);
        return TRUE;
    case X86_INS_OR:
        add_binary(lift, PM_OP_OR);
        return TRUE;
    case X86_INS_XOR:
        add_binary(lift, PM_OP_XOR);
        return TRUE;
    case X86_INS_INC:
        add_unary(lift, PM_OP_ADD, 1);
        return TRUE;
    case X86_INS_DEC:
        add_unary(lift, PM_OP_SUBTRACT, 1);
        return TRUE;
    case X86_INS_NOT:
        add_unary(lift, PM_OP_XOR, G_MAXUINT64);
        return TRUE;
    case X86_INS_NEG:
        add_unary(lift, PM_OP_MULTIPLY, G_MAXUINT64);
        return TRUE;
    case X86_INS_IMUL:
    case X86_INS_MUL:
        add_multiply(lift);
        return TRUE;
    case X86_INS_SHL:
    case X86_INS_SAL:
        add_shift(lift, PM_OP_SHIFT_LEFT);
        return TRUE;
    case X86_INS_SHR:
        add_shift(lift, PM_OP_SHIFT_RIGHT);
        return TRUE;
    case X86_INS_SBB:
        add_borrow(lift);
        return TRUE;
    case X86_INS_CMP:
        add_compare(lift, FALSE);
        return TRUE;
    case X86_INS_TEST:
        add_compare(lift, TRUE);
        return TRUE;
    default:
        return FALSE;
    }
}

static gboolean
lift_move(PmX86Lift *lift)
{
    PmOp *op = NULL;
    switch (lift->instruction->id) {
    case X86_INS_MOV:
    case X86_INS_MOVABS:
    case X86_INS_MOVZX:
        add_move(lift, PM_OP_MOVE);
        return TRUE;
    case X86_INS_MOVSX:
    case X86_INS_MOVSXD:
        add_move(lift, PM_OP_EXTEND);
        return TRUE;
    case X86_INS_CDQE:
        op = add_op(lift, PM_OP_EXTEND);
        op->dst = pm_x86_make_register(PM_X86_RAX, 8);
        op->a = pm_x86_make_register(PM_X86_RAX, 4);
        return TRUE;
    case X86_INS_LEA:
        add_move(lift, PM_OP_ADDRESS);
        return TRUE;
    case X86_INS_PUSH:
        add_push(lift);
        return TRUE;
    case X86_INS_POP:
        add_pop(lift);
        return TRUE;
    case X86_INS_LEAVE:
        add_leave(lift);
        return TRUE;
    default:
        return FALSE;
    }
}

static gboolean
lift_transfer(PmX86Lift *lift)
{
    switch (lift->instruction->id) {
    case X86_INS_CALL:
        add_transfer(lift, PM_OP_CALL);
        return TRUE;
    case X86_INS_JMP:
        add_transfer(lift, PM_OP_JUMP);
        return TRUE;
    case X86_INS_RET:
        add_op(lift, PM_OP_RETURN);
        return TRUE;
    case X86_INS_UD2:
    case X86_INS_HLT:
    case X86_INS_INT3:
    case X86_INS_RETF:
    case X86_INS_IRETQ:
        add_op(lift, PM_OP_TRAP);
        return TRUE;
    case X86_INS_NOP:
    case X86_INS_ENDBR64:
        add_op(lift, PM_OP_NONE);
        return TRUE;
    default:
        return FALSE;
    }
}

/* Half a vector register in memory, as movlps and movq store it, is not zeroed by these: only what
 * stores it whole, or its low part, is followed. */
static gboolean
lift_vector(PmX86Lift *lift)
{
    const guint id = lift->instruction->id;
    const guint count = lift->x86->op_count;
    if (pm_x86_is_vector_move(id) && count == 2) {
        add_move(lift, PM_OP_MOVE);
        return TRUE;
    }
    if ((id == X86_INS_MOVQ || id == X86_INS_VMOVQ || id == X86_INS_MOVD || id == X86_INS_VMOVD ||
         id == X86_INS_MOVLPS || id == X86_INS_VMOVLPS) &&
        count == 2 && lift->x86->operands[0].type == X86_OP_MEM) {
        add_move(lift, PM_OP_MOVE);
        PmOp *op = &lift->ops[lift->count - 1];
        op->a.width_bytes = op->dst.width_bytes;
        return TRUE;
    }
    if (!pm_x86_is_vector_xor(id) || count < 2)
        return FALSE;
    PmOp *op = add_op(lift, PM_OP_XOR);
    op->dst = pm_x86_convert(lift, 0);
    op->a = pm_x86_convert(lift, count - 2);
    op->b = pm_x86_convert(lift, count - 1);
    return TRUE;
}

static void
lift_flags_user(PmX86Lift *lift)
{
    const guint id = lift->instruction->id;
    if (pm_x86_is_branch(id))
        add_branch(lift, pm_x86_get_condition(id));
    else if (pm_x86_is_select(id))
        add_select(lift, pm_x86_get_condition(id));
    else if (pm_x86_is_truth(id))
        add_truth(lift);
    else
        add_effect(lift);
}

void
pm_x86_lift(PmX86Lift *lift)
{
    const cs_x86_op *first = &lift->x86->operands[0];
    if (!lift_move(lift) && !lift_arithmetic(lift) && !lift_transfer(lift) && !lift_special(lift) &&
        !lift_vector(lift))
        lift_flags_user(lift);
    /* The second byte of a register is no operand that can be assigned to. */
    if (lift->x86->op_count > 0 && first->type == X86_OP_REG && pm_x86_is_high(first->reg))
        lift->ops[lift->count - 1].clobbers |= pm_x86_get_clobber(first->reg);
}
