/*
 * A library of which callable.c uses a part; every function asks for CALLABLE_BYTES.
 */
#include "callable.h"

#include <stdlib.h>

/* What only callable_unused() calls. */
static __attribute__((noinline)) void *
under_unused(void)
{
    char *block = malloc(CALLABLE_BYTES);
    if (block)
        block[1] = 1;
    return block;
}

/* What only a table leads to. */
static __attribute__((noinline)) void *
in_table(void)
{
    char *block = malloc(CALLABLE_BYTES);
    if (block)
        block[2] = 1;
    return block;
}

/* What only a pointer that callable_used() makes leads to. */
static __attribute__((noinline)) void *
by_pointer(void)
{
    char *block = malloc(CALLABLE_BYTES);
    if (block)
        block[3] = 1;
    return block;
}

static void *(*const volatile table[])(void) = {in_table};

void *
callable_used(int way)
{
    void *(*volatile pointer)(void) = by_pointer;
    if (way == 1)
        return pointer();
    return way == 2 ? table[0]() : malloc(CALLABLE_BYTES);
}

void *
callable_unused(void)
{
    char *block = under_unused();
    free(block);
    return malloc(CALLABLE_BYTES);
}
