/*
 * The variables and parameters of the functions that were running, where DWARF says at this very
 * instruction where they are.
 */
#pragma once

#include "dwarf/types.h"

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
