/*
 * C++ names as a compiler writes them into object files, turned into those of the source. Any bytes
 * may be given: what comes from a core is no harm.
 */
#pragma once

#include <glib.h>

/* The longest name that is tried, and the longest result. */
#define PM_DEMANGLE_BYTES_MAX  8192
#define PM_DEMANGLED_BYTES_MAX 16384

/*
 * A symbol: "_ZN3app5Cache3putEi" gives "app::Cache::put(int)".
 *
 * Returns: (transfer full): NULL where it is no mangled name (C symbols are none), where it is too
 * long or nested too deeply, or where postmalloc was built without a demangler.
 */
char *pm_demangle_symbol(const char *symbol);

/* The name of a type, as in a type_info: "N3app5CacheIiEE" gives "app::Cache<int>". As above. */
char *pm_demangle_type(const char *name);
