/*
 * Sites of GLib's allocators.
 */
#include "sites.h"

#include <glib.h>

typedef struct {
    guint64 words[91];
} Wide;

SITE void
s70_is_720(void)
{
    site_sink = g_malloc(720);
}

SITE void
s71_is_728(void)
{
    site_sink = g_new0(Wide, 1);
}

SITE void
s72_is_736(void)
{
    site_sink = g_malloc_n(92, 8);
}

SITE void
s73_is_744(void)
{
    site_sink = g_realloc(site_sink, 744);
}

SITE void
s74_is_752(void)
{
    site_sink = g_try_malloc0(752);
}

SITE void
s75_is_760(void)
{
    site_sink = g_memdup2(site_sink, 760);
}

SITE void
s76_is_768(void)
{
    site_sink = g_slice_alloc(768);
}

SITE void
s77_is_12(void)
{
    site_sink = g_strdup("eleven char");
}

SITE void
s78_is_31(void)
{
    site_sink = g_strndup(site_sink, 30);
}

void
sites_glib(void)
{
}
