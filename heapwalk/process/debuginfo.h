/*
 * The DWARF of each module, opened once for the life of the process: through our own handles, which
 * map files read-only, where it is on this machine; through libdwfl where it has to be fetched.
 * With it the supplementary file (.gnu_debugaltlink, as dwz makes it) that it shares with others.
 */
#pragma once

#include "process/process.h"

#include <elfutils/libdw.h>

/*
 * The DWARF of @module: of its own file, its separate debug file, or one that libdwfl fetched.
 *
 * @ret_bias: (out) (optional): what to add to its addresses; untouched on NULL.
 * Returns: NULL where there is none. Borrowed from the process; not to be ended. One thread at a
 *   time, and so is whatever is asked of it.
 */
Dwarf *pm_process_get_dwarf(const PmProcess *process, const PmModule *module, guint64 *ret_bias);

/*
 * A file that DWARF was read from. All borrowed from the process.
 *
 * @path: NULL where it is unknown. @build_id: lower-case hex, or NULL. @size_bytes: 0 where
 * unknown.
 */
typedef struct {
    const char *path;
    const char *build_id;
    guint64 size_bytes;
} PmDebugFile;

/*
 * The files behind pm_process_get_dwarf(): where it is read from, and its supplementary file.
 *
 * @ret_alt: (out): all NULL and 0 where there is none, or it is not here.
 * Returns: FALSE where the module has no DWARF; both are then untouched. Opens the files, but reads
 *   no DWARF unless it has to be fetched.
 */
gboolean pm_process_get_debug_files(const PmProcess *process, const PmModule *module,
                                    PmDebugFile *ret_main, PmDebugFile *ret_alt);
