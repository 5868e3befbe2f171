/*
 * The variable that a call's result goes to, and its type, by DWARF.
 */
#pragma once

#include "analysis/sites/code.h"
#include "dwarf/types.h"

/*
 * @type: what the variable points to: NULL for void, or where nothing is known. @variable: its
 * name, borrowed from the table of types.
 */
typedef struct {
    const PmType *type;
    const char *variable;
} PmReceiver;

/*
 * Follows the result of the call before module address @after, through the next few instructions,
 * from the register of results to other registers, to slots of a frame with a frame pointer, and to
 * variables of the module; and asks DWARF at each which variable is at such a place.
 *
 * @size_bytes: of several, such as the objects of inlined constructors, one of this size is taken.
 * Returns: FALSE where there is none whose type is known. Never guesses: the place must be exactly
 *   the one that the result is in. One thread at a time, as the process and @types.
 */
gboolean pm_receiver_find(PmModuleCode *code, PmTypes *types, guint64 after, guint64 size_bytes,
                          PmReceiver *ret_receiver);
