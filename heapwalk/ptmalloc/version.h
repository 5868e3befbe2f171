/* Which glibc: from the banner that libc carries in its read-only data. */
#pragma once

#include "process/process.h"

/*
 * Looks for "GNU C Library … release version 2.N" in the libc of @process (its file, or what of it
 * is in the core).
 *
 * @ret_minor: (out): N; 0 where it is unknown.
 * Returns: (transfer full): "2.N", or NULL.
 */
char *pm_glibc_find_version(const PmProcess *process, guint *ret_minor);
