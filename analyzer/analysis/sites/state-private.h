/* What the files of the machine's state share. */
#pragma once

#include "analysis/sites/state.h"

/* Sets all of a register. */
void pm_state_set_register(PmState *state, guint reg, const PmValue *value);

/* Sets what @operand names; other places than registers and memory are nowhere. */
void pm_state_write(PmState *state, PmFrameFacts *facts, const PmOperand *operand,
                    const PmValue *value);

/* Removes the slots of @base that reach into [@low, @high). */
void pm_state_remove_slots(PmState *state, guint base, gint64 low, gint64 high);

/* Removes what callees and unknown pointers may have written to. */
void pm_state_remove_escaped(PmState *state, const PmFrameFacts *facts);

void pm_state_remove_all(PmState *state);

/* @value is somewhere from which it may be used in ways that are not followed. */
void pm_state_note_escape(PmFrameFacts *facts, const PmValue *value);

/* Remembers what the comparison @op compares. */
void pm_state_compare(PmState *state, const PmFrameFacts *facts, const PmOp *op);

/* Numbers of one width that a comparison is about; the largest signed and the largest one. */
typedef struct {
    guint64 largest_signed;
    guint64 largest;
} PmWidth;

PmWidth pm_width_of(guint width_bytes);
