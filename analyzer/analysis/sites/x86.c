/*
 * x86-64 instructions as operations, by capstone 4. Every instruction that is not followed becomes
 * an effect that makes what it may write unknown; for registers that means each that capstone says
 * is written and, since its lists have gaps, each operand of which it says nothing.
 */
#include "analysis/sites/memo.h"
#include "analysis/sites/x86scan.h"
#include "image/space.h"

#if __has_include(<capstone/capstone.h>)
#include <capstone/capstone.h>
#else
#include <capstone.h>
#endif

/* Registers by their numbers in instructions. */
enum {
    RAX = 0,
    RCX = 1,
    RDX = 2,
    RBX = 3,
    RSP = 4,
    RBP = 5,
    RSI = 6,
    RDI = 7,
};

#define BIT(reg) (1U << (reg))
#define CALL_CLOBBERS                                                                              \
    (BIT(RAX) | BIT(RCX) | BIT(RDX) | BIT(RSI) | BIT(RDI) | BIT(8) | BIT(9) | BIT(10) | BIT(11))

struct PmDecoder {
    csh handle;
    cs_insn *instruction;
    PmMemo *memo;
};

/* A register's number, width and first byte. */
typedef struct {
    guint8 number;
    guint8 width_bytes;
    gboolean is_high;
} Register;

/* By capstone's number; width 0 for what is no general register. */
static Register registers[X86_REG_ENDING];

static void
name_register(x86_reg reg, guint number, guint width_bytes)
{
    registers[reg] = (Register){(guint8)number, (guint8)width_bytes, FALSE};
}

static gpointer
fill_registers(G_GNUC_UNUSED gpointer data)
{
    static const x86_reg low[8][4] = {
        {X86_REG_RAX, X86_REG_EAX, X86_REG_AX, X86_REG_AL},
        {X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL},
        {X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL},
        {X86_REG_RBX, X86_REG_EBX, X86_REG_BX, X86_REG_BL},
        {X86_REG_RSP, X86_REG_ESP, X86_REG_SP, X86_REG_SPL},
        {X86_REG_RBP, X86_REG_EBP, X86_REG_BP, X86_REG_BPL},
        {X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL},
        {X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL},
    };
    static const x86_reg high[4] = {X86_REG_AH, X86_REG_CH, X86_REG_DH, X86_REG_BH};
    for (guint i = 0; i < 8; i++) {
        for (guint j = 0; j < 4; j++)
            name_register(low[i][j], i, 8U >> j);
        name_register((x86_reg)(X86_REG_R8 + (int)i), 8 + i, 8);
        name_register((x86_reg)(X86_REG_R8B + (int)i), 8 + i, 1);
        name_register((x86_reg)(X86_REG_R8D + (int)i), 8 + i, 4);
        name_register((x86_reg)(X86_REG_R8W + (int)i), 8 + i, 2);
    }
    for (guint i = 0; i < 4; i++)
        registers[high[i]] = (Register){(guint8)i, 1, TRUE};
    return NULL;
}

static PmDecoder *
decoder_new(void)
{
    static GOnce once = G_ONCE_INIT;
    g_once(&once, fill_registers, NULL);
    csh handle = 0;
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK)
        return NULL;
    cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
    PmDecoder *decoder = g_new0(PmDecoder, 1);
    decoder->handle = handle;
    decoder->instruction = cs_malloc(handle);
    decoder->memo = pm_memo_new();
    return decoder;
}

static void
decoder_free(PmDecoder *decoder)
{
    cs_free(decoder->instruction, 1);
    cs_close(&decoder->handle);
    pm_memo_free(decoder->memo);
    g_free(decoder);
}

/* The instruction that is turned into operations; @count of them so far. */
typedef struct {
    const cs_insn *instruction;
    const cs_x86 *x86;
    PmOp *ops;
    guint count;
} Lift;

static PmOp *
add_op(Lift *lift, PmOpKind kind)
{
    PmOp *op = &lift->ops[lift->count++];
    *op = (PmOp){.address = lift->instruction->address, .kind = (guint8)kind};
    return op;
}

static PmOperand
make_register(guint number, guint width_bytes)
{
    return (PmOperand){
        .kind = PM_OPERAND_REGISTER, .reg = (guint8)number, .width_bytes = (guint8)width_bytes};
}

static PmOperand
make_number(guint64 number, guint width_bytes)
{
    return (PmOperand){
        .kind = PM_OPERAND_NUMBER, .number = number, .width_bytes = (guint8)width_bytes};
}

static PmOperand
make_stack_word(void)
{
    return (PmOperand){.kind = PM_OPERAND_MEMORY,
                       .reg = RSP,
                       .index = PM_NO_REGISTER,
                       .scale = 1,
                       .width_bytes = 8};
}

/* Memory. A 32-bit address (67 prefix) and a thread's own memory (fs, gs) are not followed. */
static PmOperand
convert_memory(const Lift *lift, const cs_x86_op *from)
{
    const x86_op_mem *mem = &from->mem;
    PmOperand to = {.kind = PM_OPERAND_OTHER, .width_bytes = from->size};
    if (mem->segment == X86_REG_FS || mem->segment == X86_REG_GS || lift->x86->addr_size != 8)
        return to;
    to.kind = PM_OPERAND_MEMORY;
    to.reg = PM_NO_REGISTER;
    to.index = PM_NO_REGISTER;
    to.scale = (guint8)mem->scale;
    to.number = (guint64)mem->disp;
    if (mem->base == X86_REG_RIP) {
        to.is_absolute = TRUE;
        to.number += lift->instruction->address + lift->instruction->size;
        return to;
    }
    if (mem->base != X86_REG_INVALID)
        to.reg = registers[mem->base].number;
    if (mem->index != X86_REG_INVALID && mem->index != X86_REG_RIZ)
        to.index = registers[mem->index].number;
    return to;
}

static PmOperand
convert(const Lift *lift, guint which)
{
    const cs_x86_op *from = &lift->x86->operands[which];
    if (which >= lift->x86->op_count)
        return (PmOperand){0};
    if (from->type == X86_OP_IMM)
        return make_number((guint64)from->imm, from->size);
    if (from->type == X86_OP_MEM)
        return convert_memory(lift, from);
    if (from->type == X86_OP_REG && from->reg < X86_REG_ENDING &&
        registers[from->reg].width_bytes != 0 && !registers[from->reg].is_high)
        return make_register(registers[from->reg].number, registers[from->reg].width_bytes);
    return (PmOperand){.kind = PM_OPERAND_OTHER, .width_bytes = from->size};
}

static guint32
get_clobber(x86_reg reg)
{
    return reg < X86_REG_ENDING && registers[reg].width_bytes != 0 ? BIT(registers[reg].number) : 0;
}

/* An instruction that is not followed. */
static void
add_effect(Lift *lift)
{
    const cs_detail *detail = lift->instruction->detail;
    PmOp *op = add_op(lift, PM_OP_EFFECT);
    gboolean sets_flags = lift->x86->eflags != 0;
    for (guint i = 0; i < detail->regs_write_count; i++) {
        op->clobbers |= get_clobber((x86_reg)detail->regs_write[i]);
        sets_flags = sets_flags || detail->regs_write[i] == X86_REG_EFLAGS;
    }
    op->sets_flags = sets_flags ? 1 : 0;
    for (guint i = 0; i < lift->x86->op_count; i++) {
        const cs_x86_op *operand = &lift->x86->operands[i];
        const gboolean written = i == 0 || operand->access == 0 || (operand->access & CS_AC_WRITE);
        if (operand->type == X86_OP_REG && written)
            op->clobbers |= get_clobber(operand->reg);
        else if (operand->type == X86_OP_MEM && written)
            op->dst = convert(lift, i);
    }
}

/* The same with registers that capstone's lists may lack. */
static void
add_effect_on(Lift *lift, guint32 clobbers)
{
    add_effect(lift);
    PmOp *op = &lift->ops[lift->count - 1];
    op->clobbers |= clobbers;
    op->sets_flags = TRUE;
    for (guint i = 0; i < lift->x86->op_count; i++) {
        if (lift->x86->operands[i].type == X86_OP_REG)
            op->clobbers |= get_clobber(lift->x86->operands[i].reg);
        else if (lift->x86->operands[i].type == X86_OP_MEM)
            op->dst = convert(lift, i);
    }
}

/* dst = first operand op second one; of one operand, op @number. */
static void
add_binary(Lift *lift, PmOpKind kind)
{
    PmOp *op = add_op(lift, kind);
    op->dst = convert(lift, 0);
    op->a = op->dst;
    op->b = convert(lift, 1);
    if (op->b.kind == PM_OPERAND_NUMBER)
        op->b.width_bytes = op->dst.width_bytes;
    op->sets_flags = TRUE;
}

static void
add_unary(Lift *lift, PmOpKind kind, guint64 number)
{
    PmOp *op = add_op(lift, kind);
    op->dst = convert(lift, 0);
    op->a = op->dst;
    op->b = make_number(number, op->dst.width_bytes);
    op->sets_flags = TRUE;
}

static void
add_move(Lift *lift, PmOpKind kind)
{
    PmOp *op = add_op(lift, kind);
    op->dst = convert(lift, 0);
    op->a = convert(lift, 1);
    if (op->a.kind == PM_OPERAND_NUMBER)
        op->a.width_bytes = op->dst.width_bytes;
}

static void
add_stack_step(Lift *lift, guint64 bytes)
{
    PmOp *op = add_op(lift, PM_OP_ADD);
    op->dst = make_register(RSP, 8);
    op->a = op->dst;
    op->b = make_number(bytes, 8);
}

static void
add_push(Lift *lift)
{
    PmOperand pushed = convert(lift, 0);
    /* Its address was made before the stack pointer moved. */
    if (pushed.kind == PM_OPERAND_MEMORY && pushed.reg == RSP && !pushed.is_absolute)
        pushed.number += 8;
    else if (pushed.kind == PM_OPERAND_REGISTER && pushed.reg == RSP)
        pushed = (PmOperand){.kind = PM_OPERAND_OTHER};
    add_stack_step(lift, (guint64)-8);
    PmOp *op = add_op(lift, PM_OP_MOVE);
    op->dst = make_stack_word();
    op->a = pushed;
    op->a.width_bytes = 8;
}

static void
add_pop(Lift *lift)
{
    const PmOperand popped = convert(lift, 0);
    if (popped.kind != PM_OPERAND_REGISTER || popped.reg == RSP || popped.width_bytes != 8) {
        add_effect_on(lift, BIT(RSP));
        return;
    }
    PmOp *op = add_op(lift, PM_OP_MOVE);
    op->dst = popped;
    op->a = make_stack_word();
    add_stack_step(lift, 8);
}

static void
add_leave(Lift *lift)
{
    PmOp *op = add_op(lift, PM_OP_MOVE);
    op->dst = make_register(RSP, 8);
    op->a = make_register(RBP, 8);
    op = add_op(lift, PM_OP_MOVE);
    op->dst = make_register(RBP, 8);
    op->a = make_stack_word();
    add_stack_step(lift, 8);
}

static void
add_multiply(Lift *lift)
{
    if (lift->x86->op_count == 2) {
        add_binary(lift, PM_OP_MULTIPLY);
        return;
    }
    PmOp *op = add_op(lift, PM_OP_MULTIPLY);
    op->sets_flags = TRUE;
    if (lift->x86->op_count == 3) {
        op->dst = convert(lift, 0);
        op->a = convert(lift, 1);
        op->b = convert(lift, 2);
        op->b.width_bytes = op->dst.width_bytes;
        return;
    }
    /* The low half is the same for both signs. */
    op->b = convert(lift, 0);
    op->dst = make_register(RAX, op->b.width_bytes);
    op->a = op->dst;
    op->clobbers = BIT(RDX);
}

static void
add_transfer(Lift *lift, PmOpKind kind)
{
    PmOp *op = add_op(lift, kind);
    const PmOperand target = convert(lift, 0);
    if (target.kind == PM_OPERAND_NUMBER)
        op->target = target.number;
    else
        op->a = target;
    if (kind == PM_OP_CALL)
        op->sets_flags = TRUE;
}

static void
add_branch(Lift *lift, PmCondition condition)
{
    PmOp *op = add_op(lift, PM_OP_BRANCH);
    op->target = (guint64)lift->x86->operands[0].imm;
    op->condition = (guint8)condition;
}

static void
add_select(Lift *lift, PmCondition condition)
{
    PmOp *op = add_op(lift, PM_OP_SELECT);
    op->dst = convert(lift, 0);
    op->a = convert(lift, 1);
    op->b = op->dst;
    op->condition = (guint8)condition;
}

static void
add_truth(Lift *lift)
{
    PmOp *op = add_op(lift, PM_OP_TRUTH);
    op->dst = convert(lift, 0);
}

static gboolean
operands_equal(const PmOperand *a, const PmOperand *b)
{
    return a->kind == PM_OPERAND_REGISTER && b->kind == PM_OPERAND_REGISTER && a->reg == b->reg &&
           a->width_bytes == b->width_bytes;
}

/* cmp, and test of a register with itself, which compares it with 0. */
static void
add_compare(Lift *lift, gboolean is_test)
{
    PmOp *op = add_op(lift, PM_OP_COMPARE);
    op->a = convert(lift, 0);
    op->b = convert(lift, 1);
    op->b.width_bytes = op->a.width_bytes;
    op->sets_flags = TRUE;
    if (is_test && operands_equal(&op->a, &op->b))
        op->b = make_number(0, op->a.width_bytes);
    else if (is_test)
        op->kind = PM_OP_EFFECT;
}

static void
add_borrow(Lift *lift)
{
    const PmOperand a = convert(lift, 0);
    const PmOperand b = convert(lift, 1);
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
add_shift(Lift *lift, PmOpKind kind)
{
    if (lift->x86->op_count == 2)
        add_binary(lift, kind);
    else
        add_unary(lift, kind, 1);
}

static PmCondition
get_condition(guint id)
{
    switch (id) {
    case X86_INS_JE:
    case X86_INS_CMOVE:
        return PM_WHEN_EQUAL;
    case X86_INS_JNE:
    case X86_INS_CMOVNE:
        return PM_WHEN_UNEQUAL;
    case X86_INS_JB:
    case X86_INS_CMOVB:
        return PM_WHEN_BELOW;
    case X86_INS_JBE:
    case X86_INS_CMOVBE:
        return PM_WHEN_BELOW_EQUAL;
    case X86_INS_JA:
    case X86_INS_CMOVA:
        return PM_WHEN_ABOVE;
    case X86_INS_JAE:
    case X86_INS_CMOVAE:
        return PM_WHEN_ABOVE_EQUAL;
    case X86_INS_JL:
    case X86_INS_CMOVL:
        return PM_WHEN_LESS;
    case X86_INS_JLE:
    case X86_INS_CMOVLE:
        return PM_WHEN_LESS_EQUAL;
    case X86_INS_JG:
    case X86_INS_CMOVG:
        return PM_WHEN_GREATER;
    case X86_INS_JGE:
    case X86_INS_CMOVGE:
        return PM_WHEN_GREATER_EQUAL;
    default:
        return PM_WHEN_OTHER;
    }
}

static gboolean
is_select(guint id)
{
    switch (id) {
    case X86_INS_CMOVA:
    case X86_INS_CMOVAE:
    case X86_INS_CMOVB:
    case X86_INS_CMOVBE:
    case X86_INS_CMOVE:
    case X86_INS_CMOVG:
    case X86_INS_CMOVGE:
    case X86_INS_CMOVL:
    case X86_INS_CMOVLE:
    case X86_INS_CMOVNE:
    case X86_INS_CMOVNO:
    case X86_INS_CMOVNP:
    case X86_INS_CMOVNS:
    case X86_INS_CMOVO:
    case X86_INS_CMOVP:
    case X86_INS_CMOVS:
        return TRUE;
    default:
        return FALSE;
    }
}

static gboolean
is_truth(guint id)
{
    switch (id) {
    case X86_INS_SETA:
    case X86_INS_SETAE:
    case X86_INS_SETB:
    case X86_INS_SETBE:
    case X86_INS_SETE:
    case X86_INS_SETG:
    case X86_INS_SETGE:
    case X86_INS_SETL:
    case X86_INS_SETLE:
    case X86_INS_SETNE:
    case X86_INS_SETNO:
    case X86_INS_SETNP:
    case X86_INS_SETNS:
    case X86_INS_SETO:
    case X86_INS_SETP:
    case X86_INS_SETS:
        return TRUE;
    default:
        return FALSE;
    }
}

static gboolean
is_branch(guint id)
{
    return (id >= X86_INS_JAE && id <= X86_INS_JE) || id == X86_INS_JGE || id == X86_INS_JG ||
           id == X86_INS_JLE || id == X86_INS_JL || id == X86_INS_JNE || id == X86_INS_JNO ||
           id == X86_INS_JNP || id == X86_INS_JNS || id == X86_INS_JO || id == X86_INS_JP ||
           id == X86_INS_JS || id == X86_INS_JRCXZ || id == X86_INS_JECXZ;
}

/* xchg %ax, %ax is padding; that of 32 bits clears the upper half. */
static void
add_exchange(Lift *lift)
{
    const PmOperand a = convert(lift, 0);
    const PmOperand b = convert(lift, 1);
    if (operands_equal(&a, &b) && a.width_bytes != 4)
        add_op(lift, PM_OP_NONE);
    else
        add_effect_on(lift, 0);
}

/* Instructions that write what capstone 4 does not list in full. */
static gboolean
lift_special(Lift *lift)
{
    switch (lift->instruction->id) {
    case X86_INS_XCHG:
        add_exchange(lift);
        return TRUE;
    case X86_INS_XADD:
        add_effect_on(lift, 0);
        return TRUE;
    case X86_INS_CMPXCHG:
        add_effect_on(lift, BIT(RAX));
        return TRUE;
    case X86_INS_CMPXCHG8B:
    case X86_INS_CMPXCHG16B:
    case X86_INS_RDTSC:
    case X86_INS_XGETBV:
    case X86_INS_DIV:
    case X86_INS_IDIV:
        add_effect_on(lift, BIT(RAX) | BIT(RDX));
        return TRUE;
    case X86_INS_CPUID:
    case X86_INS_RDTSCP:
    case X86_INS_RDPMC:
        add_effect_on(lift, BIT(RAX) | BIT(RBX) | BIT(RCX) | BIT(RDX));
        return TRUE;
    case X86_INS_SYSCALL:
    case X86_INS_SYSENTER:
    case X86_INS_INT:
        add_effect_on(lift, CALL_CLOBBERS);
        return TRUE;
    case X86_INS_LOOP:
    case X86_INS_LOOPE:
    case X86_INS_LOOPNE:
        add_effect_on(lift, BIT(RCX));
        add_branch(lift, PM_WHEN_OTHER);
        return TRUE;
    case X86_INS_ENTER:
        add_effect_on(lift, BIT(RSP) | BIT(RBP));
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
    add_effect_on(lift, BIT(RDI) | BIT(RSI) | BIT(RCX));
    PmOp *op = &lift->ops[lift->count - 1];
    op->kind = PM_OP_FILL;
    op->dst = convert(lift, 0);
    op->sets_flags = FALSE;
    return TRUE;
}

static gboolean
lift_arithmetic(Lift *lift)
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
lift_move(Lift *lift)
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
        op->dst = make_register(RAX, 8);
        op->a = make_register(RAX, 4);
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
lift_transfer(Lift *lift)
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

static void
lift_flags_user(Lift *lift)
{
    const guint id = lift->instruction->id;
    if (is_branch(id))
        add_branch(lift, get_condition(id));
    else if (is_select(id))
        add_select(lift, get_condition(id));
    else if (is_truth(id))
        add_truth(lift);
    else
        add_effect(lift);
}

static void
lift_any(Lift *lift)
{
    const cs_x86_op *first = &lift->x86->operands[0];
    if (!lift_move(lift) && !lift_arithmetic(lift) && !lift_transfer(lift) && !lift_special(lift))
        lift_flags_user(lift);
    /* The second byte of a register is no operand that can be assigned to. */
    if (lift->x86->op_count > 0 && first->type == X86_OP_REG && first->reg < X86_REG_ENDING &&
        registers[first->reg].is_high)
        lift->ops[lift->count - 1].clobbers |= get_clobber(first->reg);
}

/*
 * Calls, jumps and branches with a distance of four bytes, each of which is another one: Intel SDM
 * volume 2, appendix A. FALSE for anything else.
 */
static gboolean
decode_transfer(const guint8 *bytes, gsize size, guint64 address, PmOp *ret_op)
{
    static const guint8 conditions[16] = {
        PM_WHEN_OTHER, PM_WHEN_OTHER,         PM_WHEN_BELOW,       PM_WHEN_ABOVE_EQUAL,
        PM_WHEN_EQUAL, PM_WHEN_UNEQUAL,       PM_WHEN_BELOW_EQUAL, PM_WHEN_ABOVE,
        PM_WHEN_OTHER, PM_WHEN_OTHER,         PM_WHEN_OTHER,       PM_WHEN_OTHER,
        PM_WHEN_LESS,  PM_WHEN_GREATER_EQUAL, PM_WHEN_LESS_EQUAL,  PM_WHEN_GREATER,
    };
    if (size < 6)
        return FALSE;
    *ret_op = (PmOp){.address = address, .length = 5};
    if (bytes[0] == 0xe8) {
        ret_op->kind = PM_OP_CALL;
        ret_op->sets_flags = TRUE;
    } else if (bytes[0] == 0xe9) {
        ret_op->kind = PM_OP_JUMP;
    } else if (bytes[0] == 0x0f && (bytes[1] & 0xf0) == 0x80) {
        ret_op->kind = PM_OP_BRANCH;
        ret_op->condition = conditions[bytes[1] & 0x0f];
        ret_op->length = 6;
    } else {
        return FALSE;
    }
    const guint8 *distance = bytes + ret_op->length - 4;
    ret_op->target = address + ret_op->length + (guint64)(gint64)(gint32)pm_load_u32(distance);
    return TRUE;
}

static guint
disassemble(PmDecoder *decoder, const guint8 *bytes, gsize size, guint64 address, PmOp *ret_ops)
{
    const uint8_t *code = bytes;
    size_t left = size;
    uint64_t at = address;
    if (!cs_disasm_iter(decoder->handle, &code, &left, &at, decoder->instruction)) {
        const guint length = pm_x86_measure(bytes, size);
        ret_ops[0] = (PmOp){.address = address,
                            .kind = PM_OP_UNDECODED,
                            .length = (guint8)MAX(length, 1),
                            .unsure = length == 0,
                            .sets_flags = TRUE};
        return 1;
    }
    Lift lift = {decoder->instruction, &decoder->instruction->detail->x86, ret_ops, 0};
    lift_any(&lift);
    ret_ops[lift.count - 1].length = (guint8)decoder->instruction->size;
    pm_memo_add(decoder->memo, bytes, ret_ops, lift.count);
    return lift.count;
}

static guint
decode(PmDecoder *decoder, const guint8 *bytes, gsize size, guint64 address, PmOp *ret_ops)
{
    if (decode_transfer(bytes, size, address, ret_ops))
        return 1;
    const guint known = pm_memo_find(decoder->memo, bytes, size, address, ret_ops);
    return known != 0 ? known : disassemble(decoder, bytes, size, address, ret_ops);
}

const PmMachine pm_machine_x86_64 = {
    .registers = 16,
    .arguments = {RDI, RSI, RDX, RCX, 8, 9},
    .result = RAX,
    .stack = RSP,
    .caller_saved = CALL_CLOBBERS,
    .decoder_new = decoder_new,
    .decoder_free = decoder_free,
    .decode = decode,
    .scan = pm_x86_scan,
    .scan_jumps = pm_x86_scan_jumps,
    .scan_thunks = pm_x86_scan_thunks,
};
