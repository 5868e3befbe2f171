/*
 * The functions that were inlined at a place of the code, by DWARF.
 */
#pragma once

#include "dwarf/types.h"

/* Inlined within each other; what is further in is left out. */
#define PM_INLINED_MAX 64

/*
 * @function: with its scopes; borrowed from the table. @file, @line: of the call that it stands in
 * place of, in the next function outwards; the file as the compiler wrote it, bytes of the DWARF,
 * borrowed as well; NULL and 0 where it does not say.
 */
typedef struct {
    const char *function;
    const char *file;
    guint line;
} PmInlined;

/*
 * @code: an address in the process.
 * Returns: (transfer full): PmInlined, innermost first; empty where none was inlined there, and
 * where no DWARF says so.
 */
GArray *pm_types_get_inlined(PmTypes *types, PmAddr code);
