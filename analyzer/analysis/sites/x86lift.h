/*
 * x86-64 instructions of capstone 4 as operations.
 */
#pragma once

#include "analysis/sites/machine.h"

#if __has_include(<capstone/capstone.h>)
#include <capstone/capstone.h>
#else
#include <capstone.h>
#endif

/* Registers by their numbers in instructions. */
enum {
    PM_X86_RAX = 0,
    PM_X86_RCX = 1,
    PM_X86_RDX = 2,
    PM_X86_RBX = 3,
    PM_X86_RSP = 4,
    PM_X86_RBP = 5,
    PM_X86_RSI = 6,
    PM_X86_RDI = 7,
};

#define PM_X86_BIT(reg) (1U << (reg))
#define PM_X86_CALL_CLOBBERS                                                                       \
    (PM_X86_BIT(PM_X86_RAX) | PM_X86_BIT(PM_X86_RCX) | PM_X86_BIT(PM_X86_RDX) |                    \
     PM_X86_BIT(PM_X86_RSI) | PM_X86_BIT(PM_X86_RDI) | PM_X86_BIT(8) | PM_X86_BIT(9) |             \
     PM_X86_BIT(10) | PM_X86_BIT(11))

/* The instruction that is turned into operations; @count of them so far. */
typedef struct {
    const cs_insn *instruction;
    const cs_x86 *x86;
    PmOp *ops;
    guint count;
} PmX86Lift;

/* To be called once before the others. */
gpointer pm_x86_fill_registers(gpointer data);

/* Appends the operations of the instruction, up to PM_OPS_MAX; without its length. */
void pm_x86_lift(PmX86Lift *lift);

/* Operand number @which of the instruction; none where it has not so many. */
PmOperand pm_x86_convert(const PmX86Lift *lift, guint which);
PmOperand pm_x86_make_register(guint number, guint width_bytes);
PmOperand pm_x86_make_number(guint64 number, guint width_bytes);

/* The bit of the register that @reg is a part of; 0 for what is no general one. */
guint32 pm_x86_get_clobber(x86_reg reg);
gboolean pm_x86_is_high(x86_reg reg);

/* Whether the instruction @id copies a vector register whole, from or to memory or another one;
 * whether it is an exclusive or of two. */
gboolean pm_x86_is_vector_move(guint id);
gboolean pm_x86_is_vector_xor(guint id);

/* Whether the instruction @id is a cmov, a set, a conditional jump; and on what. */
gboolean pm_x86_is_select(guint id);
gboolean pm_x86_is_truth(guint id);
gboolean pm_x86_is_branch(guint id);
PmCondition pm_x86_get_condition(guint id);
