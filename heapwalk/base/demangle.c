#include "base/demangle.h"

#include <string.h>

#ifdef PM_HAVE_LIBIBERTY

#include <libiberty/demangle.h>
#include <setjmp.h>

typedef struct {
    GString *text;
    jmp_buf too_long;
} Collector;

/* A few substitutions make a short name mean gigabytes: leaving is the only way to end it. The
 * demangler holds nothing but its stack. (libiberty, cp-demangle.c: "without using malloc") */
static void
collect(const char *bytes, size_t count, void *data)
{
    Collector *collector = data;
    if (collector->text->len + count > PM_DEMANGLED_BYTES_MAX)
        longjmp(collector->too_long, 1);
    g_string_append_len(collector->text, bytes, (gssize)count);
}

static char *
demangle(const char *name, int options)
{
    Collector collector;
    if (strnlen(name, PM_DEMANGLE_BYTES_MAX + 1) > PM_DEMANGLE_BYTES_MAX)
        return NULL;
    collector.text = g_string_new(NULL);
    gboolean done = FALSE;
    if (setjmp(collector.too_long) == 0)
        done = cplus_demangle_v3_callback(name, options, collect, &collector) != 0;
    /* Its output is a string: the name may hold no NUL, but nothing is certain. */
    char *text = g_string_free(collector.text, FALSE);
    if (done && text[0] != '\0')
        return text;
    g_free(text);
    return NULL;
}

#else

#define DMGL_PARAMS 0
#define DMGL_ANSI   0
#define DMGL_TYPES  0

static char *
demangle(G_GNUC_UNUSED const char *name, G_GNUC_UNUSED int options)
{
    return NULL;
}

#endif

char *
pm_demangle_symbol(const char *symbol)
{
    return g_str_has_prefix(symbol, "_Z") ? demangle(symbol, DMGL_PARAMS | DMGL_ANSI) : NULL;
}

char *
pm_demangle_type(const char *name)
{
    /* A name of a type never begins so; the demangler would take it for a symbol. */
    if (name[0] == '_' || name[0] == '\0')
        return NULL;
    return demangle(name, DMGL_PARAMS | DMGL_ANSI | DMGL_TYPES);
}
