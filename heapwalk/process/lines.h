/*
 * Source files and lines of code, by the line tables of DWARF.
 */
#pragma once

#include "process/process.h"

typedef struct PmLines PmLines;

/* @process: borrowed for its life. Reads nothing yet. */
PmLines *pm_lines_new(const PmProcess *process);
void pm_lines_free(PmLines *lines);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmLines, pm_lines_free)

/*
 * The line of the instruction at @address; inside a function that was inlined, the line there.
 *
 * @ret_file: (out): as the compiler wrote it, often a whole path; borrowed from @lines, bytes of
 *   the DWARF, to be sanitised before they are shown. @ret_line: (out): 1 or more.
 * Returns: FALSE where no module or no line table is there, or where it says nothing of @address.
 *
 * Reads the units of a module when it is first asked for, and each unit's lines when they are.
 * Downloads nothing. One thread at a time.
 */
gboolean pm_lines_find(PmLines *lines, PmAddr address, const char **ret_file, guint *ret_line);
