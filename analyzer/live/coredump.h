/*
 * The store of systemd-coredump, asked through coredumpctl(1).
 */
#pragma once

#include "live/dumpfile.h"

/*
 * The newest core in the store, unpacked into a file without a name.
 *
 * @match: what coredumpctl takes to choose: a PID, a program's name, its path or FIELD=VALUE; ""
 *   for the newest of all. @folder: where the file is made.
 * Returns: (transfer full): NULL with PM_ERROR_NO_PROGRAM where there is no coredumpctl,
 *   PM_ERROR_NOT_FOUND where it gave none: the message has its words; or what pm_dump_file_new()
 *   sets.
 */
PmDumpFile *pm_coredump_fetch(const char *match, const char *folder, GError **error);
