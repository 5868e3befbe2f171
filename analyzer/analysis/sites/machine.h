/*
 * Machine code as the data-flow sees it, and what an architecture has to give for that: finding
 * references in bytes, and turning instructions into operations. One pair of files an architecture;
 * nothing else of the sites knows an instruction set.
 */
#pragma once

#include "analysis/sites/value.h"
#include "image/image.h"

/* General registers that any architecture has; a bit mask of them is a guint32. */
#define PM_REGISTERS_MAX 32
#define PM_NO_REGISTER   0xff
/* Vector registers whose contents are followed as far as they are zero or a constant of the
 * module's. */
#define PM_VECTORS 16

typedef enum {
    PM_OPERAND_NONE,
    PM_OPERAND_REGISTER, /* its low @width_bytes */
    PM_OPERAND_NUMBER,
    PM_OPERAND_MEMORY, /* at @base + @index × @scale + @number */
    PM_OPERAND_VECTOR, /* vector register number @reg, its low @width_bytes */
    PM_OPERAND_OTHER,  /* the second byte of a register, memory of a segment */
} PmOperandKind;

/*
 * @number: an immediate, sign-extended to 64 bits, or the displacement of memory; of memory that is
 * addressed by the program counter the module address itself, with @is_absolute.
 */
typedef struct {
    guint64 number;
    guint8 kind; /* PmOperandKind */
    guint8 width_bytes;
    guint8 reg; /* or the base; PM_NO_REGISTER for none */
    guint8 index;
    guint8 scale;
    guint8 is_absolute; /* gboolean */
} PmOperand;

typedef enum {
    PM_OP_NONE,     /* padding */
    PM_OP_MOVE,     /* dst = src, zero-extended */
    PM_OP_EXTEND,   /* dst = src, sign-extended */
    PM_OP_ADDRESS,  /* dst = the address of src */
    PM_OP_ADD,      /* dst = a + b; the others alike */
    PM_OP_SUBTRACT, /* a − b */
    PM_OP_MULTIPLY,
    PM_OP_AND,
    PM_OP_OR,
    PM_OP_XOR,
    PM_OP_SHIFT_LEFT,
    PM_OP_SHIFT_RIGHT, /* unsigned */
    PM_OP_BORROW,      /* dst = 0 or all ones */
    PM_OP_TRUTH,       /* dst = 0 or 1 */
    PM_OP_SELECT,      /* dst = a where @condition holds, else b */
    PM_OP_COMPARE,     /* a with b: what a condition speaks of until other flags are set */
    PM_OP_BRANCH,      /* to @target where @condition holds */
    PM_OP_JUMP,        /* to @target, or through src where that is no PM_OPERAND_NONE */
    PM_OP_CALL,        /* the same */
    PM_OP_RETURN,
    PM_OP_TRAP,      /* nothing behind it is reached */
    PM_OP_EFFECT,    /* changes @clobbers, and dst, in ways that are not followed */
    PM_OP_FILL,      /* stores a, b times, to memory at dst and behind it */
    PM_OP_UNDECODED, /* anything may have happened */
} PmOpKind;

typedef enum {
    PM_WHEN_EQUAL,
    PM_WHEN_UNEQUAL,
    PM_WHEN_BELOW, /* unsigned */
    PM_WHEN_BELOW_EQUAL,
    PM_WHEN_ABOVE,
    PM_WHEN_ABOVE_EQUAL,
    PM_WHEN_LESS, /* signed */
    PM_WHEN_LESS_EQUAL,
    PM_WHEN_GREATER,
    PM_WHEN_GREATER_EQUAL,
    PM_WHEN_OTHER,
} PmCondition;

/*
 * One operation; an instruction is one or a few, all with its address.
 *
 * @clobbers: registers that hold something unknown afterwards, besides dst. @sets_flags: the last
 * comparison is forgotten. @length: of the instruction, at its last operation; 0 at those before.
 * @endless: of a call, set by the graph: it does not return.
 * @unsure: UNDECODED alone: its length is not known either, so that what follows may be misread.
 */
typedef struct {
    guint64 address;
    guint64 target;
    guint32 clobbers;
    guint8 kind;      /* PmOpKind */
    guint8 condition; /* PmCondition */
    guint8 length;
    guint8 sets_flags : 1;
    guint8 unsure : 1;
    guint8 endless : 1;
    PmOperand dst;
    PmOperand a;
    PmOperand b;
} PmOp;

/* Adds @distance to where memory is that @op addresses by the program counter. */
static inline void
pm_op_move_memory(PmOp *op, guint64 distance)
{
    PmOperand *operands[] = {&op->dst, &op->a, &op->b};
    for (gsize i = 0; i < G_N_ELEMENTS(operands); i++)
        if (operands[i]->kind == PM_OPERAND_MEMORY && operands[i]->is_absolute)
            operands[i]->number += distance;
}

/* Operations that one instruction is at most. */
#define PM_OPS_MAX 4

/* Addresses to look for: a filter of hashed bits and the sorted addresses themselves. */
typedef struct PmTargets PmTargets;

/* @addresses: @count of them in any order; copied. */
PmTargets *pm_targets_new(const guint64 *addresses, gsize count);
void pm_targets_free(PmTargets *targets);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmTargets, pm_targets_free)

/* Whether @address is one of them. */
gboolean pm_targets_contain(const PmTargets *targets, guint64 address);

#define PM_TARGET_BITS 17

struct PmTargets {
    guint64 *addresses;
    gsize count;
    guint64 bits[(1 << PM_TARGET_BITS) / 64];
};

static inline guint
pm_targets_hash(guint64 address)
{
    return (guint)((address ^ address >> PM_TARGET_BITS) & ((1U << PM_TARGET_BITS) - 1));
}

/* FALSE: @address is none of them. TRUE: it may be. */
static inline gboolean
pm_targets_may_contain(const PmTargets *targets, guint64 address)
{
    const guint bit = pm_targets_hash(address);
    return (targets->bits[bit / 64] >> (bit % 64) & 1) != 0;
}

typedef enum {
    PM_REFERENCE_CALL,
    PM_REFERENCE_JUMP,       /* unconditional */
    PM_REFERENCE_SHORT_JUMP, /* the same, no further than to a neighbour */
    PM_REFERENCE_BRANCH,     /* conditional */
    PM_REFERENCE_THUNK,
    PM_REFERENCE_OTHER, /* of its address, or of what a word holds */
} PmReferenceKind;

/* Where an instruction seems to refer to @target; @address is that of the instruction, prefixes
 * left out. Bytes in the middle of another instruction may look like it. */
typedef struct {
    guint64 address;
    guint64 target;
    PmReferenceKind kind;
} PmReference;

/* A decoder's own memory; one for each thread. */
typedef struct PmDecoder PmDecoder;

/*
 * An architecture.
 *
 * @arguments: registers of the first arguments, PM_ARGUMENTS of them. @caller_saved: what a call
 * destroys. @result: register of a function's result.
 * @stack: the stack pointer.
 */
typedef struct {
    guint registers;
    guint8 arguments[PM_ARGUMENTS];
    guint8 result;
    guint8 stack;
    guint32 caller_saved;

    /* NULL where the disassembler cannot be had. */
    PmDecoder *(*decoder_new)(void);
    void (*decoder_free)(PmDecoder *decoder);

    /*
     * The instruction at the start of @bytes, @size ≥ 1 of them, which lies at @address.
     *
     * @ret_ops: (out): PM_OPS_MAX.
     * Returns: how many operations there are, at least 1; the last one's @length is at least 1 and
     * at most @size.
     */
    guint (*decode)(PmDecoder *decoder, const guint8 *bytes, gsize size, guint64 address,
                    PmOp *ret_ops);

    /* Appends every place in @bytes that may refer to something in [@low, @high), in any order, to
     * @references (PmReference). */
    void (*scan)(const guint8 *bytes, gsize size, guint64 address, guint64 low, guint64 high,
                 GArray *references);

    /*
     * The same as scan() for thunks: unconditional jumps through a word of memory, which is the
     * reference's target; its address is where the thunk begins, for a mark for calls may stand
     * before the jump.
     */
    void (*scan_thunks)(const guint8 *bytes, gsize size, guint64 address, GArray *references);

    /* Whether the code at the start of @bytes calls the dynamic linker to bind a function: what a
     * word of a PLT leads to until its first call. */
    gboolean (*is_binder)(const guint8 *bytes, gsize size);
} PmMachine;

/* The machine of @arch, or NULL where sites cannot be found in its code yet. Static. */
const PmMachine *pm_machine_get(PmArch arch);

extern const PmMachine pm_machine_x86_64;
