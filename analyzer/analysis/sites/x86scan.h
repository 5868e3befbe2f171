/*
 * x86-64 bytes searched for references without disassembling them; and how long an instruction is
 * that the disassembler does not know.
 */
#pragma once

#include "analysis/sites/machine.h"

/* PmMachine.scan and scan_thunks. */
void pm_x86_scan(const guint8 *bytes, gsize size, guint64 address, guint64 low, guint64 high,
                 GArray *references);
void pm_x86_scan_thunks(const guint8 *bytes, gsize size, guint64 address, GArray *references);

/*
 * The length of the instruction at @bytes by the encoding's own rules (Intel SDM volume 2, chapter
 * 2 and appendix A), for opcodes that are newer than the disassembler.
 *
 * Returns: 0 where its opcode is none that these rules cover, or it does not end within @size.
 */
guint pm_x86_measure(const guint8 *bytes, gsize size);
