/*
 * Wrappers in a shared library of their own; in a static program, in the program.
 */
#include "sites.h"

#include <stdlib.h>
#include <string.h>

SITE void *
lib_alloc(size_t size)
{
    void *block = malloc(size);
    if (!block)
        abort();
    return block;
}

/* Through the linkage table of its own library, and two deep. */
SITE void *
lib_zalloc(size_t size)
{
    return memset(lib_alloc(size), 0, size);
}

SITE void *
lib_array(size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes))
        abort();
    return lib_alloc(bytes);
}

static void *
allocate_int(int size)
{
    return malloc((size_t)size);
}

struct site_hooks site_hooks = {.allocate = allocate_int};

SITE void *
s88_is_1032(void)
{
    return site_hooks.allocate(1032);
}

SITE void *
s90_is_1016(void)
{
    return lib_zalloc(1016);
}
