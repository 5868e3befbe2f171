/*
 * Kinds of instructions; see x86lift.h.
 */
#include "analysis/sites/x86lift.h"

PmCondition
pm_x86_get_condition(guint id)
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

gboolean
pm_x86_is_select(guint id)
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

gboolean
pm_x86_is_truth(guint id)
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

gboolean
pm_x86_is_branch(guint id)
{
    return (id >= X86_INS_JAE && id <= X86_INS_JE) || id == X86_INS_JGE || id == X86_INS_JG ||
           id == X86_INS_JLE || id == X86_INS_JL || id == X86_INS_JNE || id == X86_INS_JNO ||
           id == X86_INS_JNP || id == X86_INS_JNS || id == X86_INS_JO || id == X86_INS_JP ||
           id == X86_INS_JS || id == X86_INS_JRCXZ || id == X86_INS_JECXZ;
}

gboolean
pm_x86_is_vector_move(guint id)
{
    switch (id) {
    case X86_INS_MOVAPS:
    case X86_INS_MOVUPS:
    case X86_INS_MOVAPD:
    case X86_INS_MOVUPD:
    case X86_INS_MOVDQA:
    case X86_INS_MOVDQU:
    case X86_INS_VMOVAPS:
    case X86_INS_VMOVUPS:
    case X86_INS_VMOVAPD:
    case X86_INS_VMOVUPD:
    case X86_INS_VMOVDQA:
    case X86_INS_VMOVDQU:
    case X86_INS_VMOVDQA32:
    case X86_INS_VMOVDQA64:
    case X86_INS_VMOVDQU32:
    case X86_INS_VMOVDQU64:
    case X86_INS_VMOVDQU8:
    case X86_INS_VMOVDQU16:
        return TRUE;
    default:
        return FALSE;
    }
}

gboolean
pm_x86_is_vector_xor(guint id)
{
    switch (id) {
    case X86_INS_PXOR:
    case X86_INS_XORPS:
    case X86_INS_XORPD:
    case X86_INS_VPXOR:
    case X86_INS_VPXORD:
    case X86_INS_VPXORQ:
    case X86_INS_VXORPS:
    case X86_INS_VXORPD:
        return TRUE;
    default:
        return FALSE;
    }
}
