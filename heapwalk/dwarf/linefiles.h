/*
 * The source files of a unit: DW_AT_decl_file counts in its line table's header. libdw would decode
 * the whole line table to say that.
 */
#pragma once

#include "dwarf/sections.h"

/*
 * Reads the header of the line table at @offset of .debug_line.
 *
 * @offset_bytes: how wide offsets are in strings' forms, unless the table says so itself.
 * Returns: (transfer full): const char *, base names borrowed from the sections, "" for what could
 *   not be read; the index is what DW_AT_decl_file holds. Empty where the header is damaged.
 */
GPtrArray *pm_line_files_read(const PmSections *sections, guint64 offset);
