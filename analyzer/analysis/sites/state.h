/*
 * The registers and stack slots of a function at one point, as far as they are known, and what an
 * operation does to them.
 */
#pragma once

#include "analysis/sites/machine.h"

#define PM_SLOTS_MAX 32
/* The stack pointer at entry, and after it was realigned. */
#define PM_STACK_BASES 2

/* Bytes [@offset, @offset + @width_bytes) from the stack pointer @base. */
typedef struct {
    gint64 offset;
    guint8 base;
    guint8 width_bytes;
    PmValue value;
} PmStackSlot;

/*
 * What the flags say: @a compared with @b, of which @width_bytes count.
 *
 * @place: where @a still is: PM_OPERAND_REGISTER, PM_OPERAND_MEMORY for the slot at @offset from
 * @base, or PM_OPERAND_NONE.
 */
typedef struct {
    gboolean known;
    guint8 width_bytes;
    guint8 place;
    guint8 reg;
    guint8 base;
    gint64 offset;
    PmValue a;
    guint64 b;
} PmComparison;

/* The low @width_bytes of a register whose other bytes are unknown. */
typedef struct {
    guint8 width_bytes; /* 0: there is none */
    guint8 reg;
    PmValue value;
} PmPartial;

/* What a vector register holds: one of these, or the module address of what was loaded. */
#define PM_VECTOR_UNKNOWN 0
#define PM_VECTOR_ZERO    1

/*
 * @escaped: bit c: the result of call number c may have left for where it is not followed.
 * @vectors: by register. @registers and @slots come last: most of them are unused and not copied.
 */
typedef struct {
    gboolean reached;
    guint slot_count;
    guint64 escaped;
    guint64 vectors[PM_VECTORS];
    PmPartial partial;
    PmFact fact;
    PmComparison comparison;
    PmStackSlot slots[PM_SLOTS_MAX];
    PmValue registers[PM_REGISTERS_MAX];
} PmState;

/*
 * What holds in a whole function.
 *
 * @escapes: for each base the lowest offset whose address left for where it is not followed:
 * callees and unknown pointers may change what lies there and above; G_MAXINT64 for none. It only
 * falls.
 */
typedef struct {
    const PmMachine *machine;
    PmExprs *exprs;
    gint64 escapes[PM_STACK_BASES];
} PmFrameFacts;

/* Makes @to what @from is; of registers and slots only those that there are. */
void pm_state_copy(PmState *to, const PmState *from, const PmFrameFacts *facts);

/* A function's beginning: its arguments are in their registers. */
void pm_state_enter(PmState *state, PmFrameFacts *facts);

/* Reached, and nothing is known. */
void pm_state_forget(PmState *state, const PmFrameFacts *facts);

/* What @op finds in @operand. */
PmValue pm_state_read(const PmState *state, const PmFrameFacts *facts, const PmOperand *operand);

/* The address of @operand, which is memory. */
PmValue pm_state_address(const PmState *state, const PmFrameFacts *facts, const PmOperand *operand);

/*
 * Does what @op does, transfers of control apart; of a call, what its callee does, and @result goes
 * to the register of results.
 */
void pm_state_apply(PmState *state, PmFrameFacts *facts, const PmOp *op, const PmValue *result);

/* Stores @value, @width_bytes of it, at @address. */
void pm_state_store(PmState *state, PmFrameFacts *facts, const PmValue *address, guint width_bytes,
                    const PmValue *value);

/*
 * Adds what is known where @condition of the last comparison holds, or (not @holds) does not.
 *
 * Returns: FALSE where that cannot be.
 */
gboolean pm_state_assume(PmState *state, PmFrameFacts *facts, PmCondition condition,
                         gboolean holds);

/*
 * Makes @into what holds of both.
 *
 * @widen: it was done often: what still changes is unknown.
 * Returns: whether @into changed.
 */
gboolean pm_state_join(PmState *into, const PmState *from, PmFrameFacts *facts, gboolean widen);
