#include "base/error.h"

/* The macro makes a string of its first argument as it stands. */
/* clang-format off */
G_DEFINE_QUARK(pm-error-quark, pm_error)
/* clang-format on */

const char *
pm_error_code(const GError *error)
{
    static const char *const codes[] = {
        [PM_ERROR_OPEN] = "open",
        [PM_ERROR_NOT_A_CORE] = "not-a-core",
        [PM_ERROR_COMPRESSED] = "compressed",
        [PM_ERROR_UNSUPPORTED] = "unsupported",
        [PM_ERROR_NO_HEAP] = "no-heap",
        [PM_ERROR_NOT_FOUND] = "not-found",
        [PM_ERROR_MEMORY] = "memory",
        [PM_ERROR_USAGE] = "usage",
        [PM_ERROR_OUTPUT] = "output",
        [PM_ERROR_PERMISSION] = "permission",
        [PM_ERROR_NO_SPACE] = "no-space",
        [PM_ERROR_NO_PROGRAM] = "no-program",
        [PM_ERROR_INTERRUPTED] = "interrupted",
    };

    if (error->domain != PM_ERROR || error->code < 0 || (gsize)error->code >= G_N_ELEMENTS(codes))
        return "internal";
    return codes[error->code];
}
