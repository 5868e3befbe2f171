/*
 * Sites in inlined functions; see inlining.h.
 */
#include "analysis/sites/inlining.h"

#include "dwarf/inlined.h"

#include <string.h>

/* Whether @file (nullable) is a header that was installed: of a compiler, or under /usr. */
static gboolean
is_library(const char *file)
{
    return file != NULL &&
           (strstr(file, "/include/c++/") != NULL || g_str_has_prefix(file, "/usr/include/") ||
            g_str_has_prefix(file, "/usr/lib/"));
}

void
pm_inlining_find(PmTypes *types, PmSite *site)
{
    g_autoptr(GArray) calls = pm_types_get_inlined(types, site->address);
    const char *file = site->file;
    gboolean is_chosen = !is_library(file);
    site->inlined = g_array_new(FALSE, FALSE, sizeof(PmInlined));
    for (guint i = 0; i < calls->len; i++) {
        const PmInlined *call = &g_array_index(calls, PmInlined, i);
        if (!is_library(file))
            g_array_append_val(site->inlined, *call);
        file = call->file;
        if (is_chosen || file == NULL)
            continue;
        site->file = file;
        site->line = call->line;
        is_chosen = !is_library(file);
    }
}
