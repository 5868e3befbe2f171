/*
 * Location expressions, as far as a frame of a dead program can answer them.
 */
#pragma once

#include "process/unwind.h"

#include <elfutils/libdw.h>

/*
 * What an expression is evaluated in.
 *
 * @bias: of the module's DWARF. @frame_base: the expression of the function's DW_AT_frame_base, or
 * NULL; @frame_base_count operations of it.
 */
typedef struct {
    const PmSpace *space;
    const PmFrameRegisters *registers;
    guint64 bias;
    guint word_bytes;
    const Dwarf_Op *frame_base;
    gsize frame_base_count;
} PmEvaluation;

/* @is_value: @value is what the variable holds; else it is its address. */
typedef struct {
    gboolean is_value;
    guint64 value;
} PmLocation;

/*
 * Evaluates @count operations of @ops.
 *
 * @attribute: that they are of. Returns: FALSE where they need what is not known (a register that
 *   was not restored, memory that is not in the core) or is not understood: pieces, entry values,
 *   implicit pointers, thread-local storage.
 */
gboolean pm_evaluate(const PmEvaluation *evaluation, Dwarf_Attribute *attribute,
                     const Dwarf_Op *ops, gsize count, PmLocation *ret_location);
