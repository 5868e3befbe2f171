/*
 * Types in DWARF: their size, and the path to the field at an offset. DWARF may be damaged or made
 * to harm: every walk here ends. Knows nothing of variables and of processes.
 */
#pragma once

#include <elfutils/libdw.h>
#include <glib.h>

/*
 * Moves @die to its next sibling, which always lies behind it.
 *
 * Returns: FALSE where there is none, or the tree is damaged or nested too deeply; @die untouched.
 */
gboolean pm_die_next(Dwarf_Die *die);

/* DW_AT_name, where it ends within its section; "" where there is none. Borrowed from the DWARF. */
const char *pm_die_get_name(Dwarf_Die *die);

/*
 * The type of @die without typedefs and qualifiers; @die may be an array (then of its elements).
 *
 * Returns: FALSE where there is none (void), or it leads nowhere; @ret_type untouched.
 */
gboolean pm_die_get_type(Dwarf_Die *die, Dwarf_Die *ret_type);

/* The size of @type, as pm_die_get_type() gives it; 0 where it is not known. */
guint64 pm_type_get_size(Dwarf_Die *type, guint word_bytes);

/*
 * Appends the path to what is at @offset_bytes of @type: "", ".head", "[3][1].next", " + 0x4".
 *
 * @type: as pm_die_get_type() gives it. @word_bytes: the size of a pointer.
 */
void pm_type_append_path(Dwarf_Die *type, guint64 offset_bytes, guint word_bytes, GString *path);
