/*
 * The variables and parameters of the functions that were running, where DWARF says at this very
 * instruction where they are.
 */
#pragma once

#include "dwarf/types.h"
#include "process/unwind.h"

/*
 * @name: borrowed from the table. @frame: counted from the innermost of @thread.
 * @is_value: it is in a register: @value is what it holds, and @type_offset 0. Otherwise it is in
 * memory at @address.
 */
typedef struct {
    const char *name;
    const char *function;
    const PmThread *thread;
    guint frame;
    gboolean is_value;
    guint64 value;
    PmAddr address;
    const PmType *type;
} PmTypedLocal;

/* Frames of one thread that are looked at, innermost first. */
#define PM_LOCALS_FRAMES_MAX 64

/*
 * The locals of all frames of @thread whose location can be evaluated; those whose location list
 * says nothing for this instruction are left out, and so are those whose place was computed from a
 * register that the unwinder did not restore.
 *
 * Returns: (transfer full): PmTypedLocal; may be empty.
 */
GArray *pm_types_get_locals(PmTypes *types, const PmThread *thread);

/*
 * The same for one place of the code, where no thread need be.
 *
 * @code: an address in the process. @registers: what is known of them there; stands for whatever
 *   the caller wants to tell places by.
 * Returns: (transfer full): PmTypedLocal, without a thread.
 */
GArray *pm_types_get_locals_at(PmTypes *types, PmAddr code, const PmFrameRegisters *registers);
