/*
 * Instructions that were decoded before. The same bytes are the same instruction wherever they
 * stand, and a disassembler takes a third of a microsecond each time it is asked.
 */
#pragma once

#include "analysis/sites/machine.h"

typedef struct PmMemo PmMemo;

PmMemo *pm_memo_new(void);
void pm_memo_free(PmMemo *memo);

/*
 * The operations of the instruction at the start of @bytes, @size of them, which lies at @address.
 *
 * Returns: how many they are; 0 where it is not known.
 */
guint pm_memo_find(PmMemo *memo, const guint8 *bytes, gsize size, guint64 address, PmOp *ret_ops);

/* Keeps @count operations of an instruction; perhaps not for long. */
void pm_memo_add(PmMemo *memo, const guint8 *bytes, const PmOp *ops, guint count);
