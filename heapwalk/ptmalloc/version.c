#include "ptmalloc/version.h"

#include <string.h>

#define BANNER "GNU C Library ("
/* "GNU C Library (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36.\n" */
#define RELEASE    "release version 2."
#define BANNER_MAX 256

/* Parses the banner at @text; FALSE where it is another text. */
static gboolean
parse_banner(const char *text, gsize text_bytes, guint *ret_minor)
{
    g_autofree char *banner = g_strndup(text, MIN(text_bytes, BANNER_MAX));
    const char *release = strstr(banner, RELEASE);
    if (release == NULL)
        return FALSE;
    const char *digits = release + strlen(RELEASE);
    const guint64 minor = g_ascii_strtoull(digits, NULL, 10);
    if (!g_ascii_isdigit(*digits) || minor == 0 || minor > 500)
        return FALSE;
    *ret_minor = (guint)minor;
    return TRUE;
}

static gboolean
search_span(const PmSpan *span, guint *ret_minor)
{
    const guint8 *at = span->bytes;
    const guint8 *end = span->bytes + span->length_bytes;
    while (at < end) {
        const guint8 *found = memmem(at, (gsize)(end - at), BANNER, strlen(BANNER));
        if (found == NULL)
            return FALSE;
        if (parse_banner((const char *)found, (gsize)(end - found), ret_minor))
            return TRUE;
        at = found + 1;
    }
    return FALSE;
}

char *
pm_glibc_find_version(const PmProcess *process, guint *ret_minor)
{
    const PmModule *libc = pm_process_get_libc(process);
    *ret_minor = 0;
    if (libc == NULL)
        return NULL;
    PmAddr address = libc->start;
    while (address < libc->end) {
        PmSpan span;
        pm_space_get_span(pm_process_get_space(process), address, &span);
        span.length_bytes = MIN(span.length_bytes, libc->end - address);
        if (span.bytes != NULL && search_span(&span, ret_minor))
            return g_strdup_printf("2.%u", *ret_minor);
        address += span.length_bytes;
    }
    return NULL;
}
