/*
 * How large a snapshot of a running process will be, before anybody stops it.
 */
#pragma once

#include "base/error.h"

/*
 * @snapshot_bytes: what gcore writes of the process's mappings, holes and reserves included.
 * @shared_bytes: those of them that are shared memory. @resident_bytes: what is in memory of them.
 * @private_filter: the process's coredump_filter without the bits for shared memory.
 */
typedef struct {
    guint64 snapshot_bytes;
    guint64 shared_bytes;
    guint64 resident_bytes;
    guint private_filter;
} PmLiveMemory;

/*
 * Sums up the mappings of process @pid as gcore chooses among them: by /proc/PID/coredump_filter,
 * by MADV_DONTDUMP, and without regard to permissions (gdb, linux-tdep.c, dump_mapping_p).
 *
 * Returns: FALSE with PM_ERROR_NOT_FOUND or PM_ERROR_PERMISSION.
 */
gboolean pm_live_measure(guint32 pid, PmLiveMemory *ret_memory, GError **error);
