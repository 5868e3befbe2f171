/*
 * The one error domain. An error means that the question could not be answered; oddities of the
 * input that leave an answer possible are diagnostics (diagnostics.h).
 */
#pragma once

#include <glib.h>

/*
 * PM_ERROR_OPEN: the file could not be opened, read or mapped.
 * PM_ERROR_NOT_A_CORE: the file is something else: empty, text, an executable, a cut-off header.
 * PM_ERROR_COMPRESSED: a compressed file; the message names the command that unpacks it.
 * PM_ERROR_UNSUPPORTED: a core of an architecture or byte order that is not read yet.
 * PM_ERROR_NO_HEAP: the command needs a glibc heap and the process has none that can be walked.
 * PM_ERROR_NOT_FOUND: the address or object asked for does not exist in this core.
 * PM_ERROR_MEMORY: an index could not be allocated within the limits of this process.
 * PM_ERROR_USAGE: wrong usage; exit status 2.
 * PM_ERROR_OUTPUT: the result could not be written.
 * PM_ERROR_PERMISSION: this user may not look into the running process.
 * PM_ERROR_NO_SPACE: a snapshot would not fit on its filesystem.
 * PM_ERROR_NO_PROGRAM: a program that does part of the work is not installed, or it failed.
 * PM_ERROR_INTERRUPTED: a signal ended it.
 */
typedef enum {
    PM_ERROR_OPEN,
    PM_ERROR_NOT_A_CORE,
    PM_ERROR_COMPRESSED,
    PM_ERROR_UNSUPPORTED,
    PM_ERROR_NO_HEAP,
    PM_ERROR_NOT_FOUND,
    PM_ERROR_MEMORY,
    PM_ERROR_USAGE,
    PM_ERROR_OUTPUT,
    PM_ERROR_PERMISSION,
    PM_ERROR_NO_SPACE,
    PM_ERROR_NO_PROGRAM,
    PM_ERROR_INTERRUPTED,
} PmError;

#define PM_ERROR (pm_error_quark())
GQuark pm_error_quark(void);

/*
 * The stable word for an error in JSON: "open", "not-a-core", "compressed", "unsupported",
 * "no-heap", "not-found", "memory", "usage", "output", "permission", "no-space", "no-program",
 * "interrupted"; "internal" for an error of another domain.
 *
 * Returns: a static string.
 */
const char *pm_error_code(const GError *error);
