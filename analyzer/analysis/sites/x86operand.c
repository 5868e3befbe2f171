/*
 * Operands of capstone's instructions as operands of operations; see x86lift.h.
 */
#include "analysis/sites/x86lift.h"

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

gpointer
pm_x86_fill_registers(G_GNUC_UNUSED gpointer data)
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

PmOperand
pm_x86_make_register(guint number, guint width_bytes)
{
    return (PmOperand){
        .kind = PM_OPERAND_REGISTER, .reg = (guint8)number, .width_bytes = (guint8)width_bytes};
}

PmOperand
pm_x86_make_number(guint64 number, guint width_bytes)
{
    return (PmOperand){
        .kind = PM_OPERAND_NUMBER, .number = number, .width_bytes = (guint8)width_bytes};
}

/* Memory. A 32-bit address (67 prefix) and a thread's own memory (fs, gs) are not followed. */
static PmOperand
convert_memory(const PmX86Lift *lift, const cs_x86_op *from)
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
convert_vector(const cs_x86_op *from)
{
    PmOperand to = {.kind = PM_OPERAND_VECTOR, .width_bytes = from->size};
    if (from->reg >= X86_REG_XMM0 && from->reg <= X86_REG_XMM31)
        to.reg = (guint8)(from->reg - X86_REG_XMM0);
    else if (from->reg >= X86_REG_YMM0 && from->reg <= X86_REG_YMM31)
        to.reg = (guint8)(from->reg - X86_REG_YMM0);
    else if (from->reg >= X86_REG_ZMM0 && from->reg <= X86_REG_ZMM31)
        to.reg = (guint8)(from->reg - X86_REG_ZMM0);
    else
        to.kind = PM_OPERAND_OTHER;
    return to;
}

PmOperand
pm_x86_convert(const PmX86Lift *lift, guint which)
{
    const cs_x86_op *from = &lift->x86->operands[which];
    if (which >= lift->x86->op_count)
        return (PmOperand){0};
    if (from->type == X86_OP_IMM)
        return pm_x86_make_number((guint64)from->imm, from->size);
    if (from->type == X86_OP_MEM)
        return convert_memory(lift, from);
    if (from->type == X86_OP_REG && from->reg < X86_REG_ENDING &&
        registers[from->reg].width_bytes != 0 && !registers[from->reg].is_high)
        return pm_x86_make_register(registers[from->reg].number, registers[from->reg].width_bytes);
    if (from->type == X86_OP_REG)
        return convert_vector(from);
    return (PmOperand){.kind = PM_OPERAND_OTHER, .width_bytes = from->size};
}

guint32
pm_x86_get_clobber(x86_reg reg)
{
    return reg < X86_REG_ENDING && registers[reg].width_bytes != 0
               ? PM_X86_BIT(registers[reg].number)
               : 0;
}

/* Whether @reg is the second byte of a register, which is no operand that can be assigned to. */
gboolean
pm_x86_is_high(x86_reg reg)
{
    return reg < X86_REG_ENDING && registers[reg].is_high;
}
