/*
 * The allocation functions that are known by name, and where their size stands among their
 * arguments; and what is known by name of other functions.
 */
#pragma once

#include "analysis/sites/value.h"

typedef enum {
    PM_SIZE_PLAIN,   /* the argument, or the product of two */
    PM_SIZE_PLUS_1,  /* the argument and one more */
    PM_SIZE_STRING,  /* the length of the string that the argument points to, and one more */
    PM_SIZE_AT_MOST, /* up to the argument and one more */
} PmSizeRule;

/*
 * @name: its symbol. @title: how it is written. @size: number of the argument that holds the size;
 * @factor: of another one that it is multiplied by, or PM_NO_ARGUMENT. @zeroes: what it returns is
 * all zeros.
 */
typedef struct {
    const char *name;
    const char *title;
    PmSizeRule rule;
    guint8 size;
    guint8 factor;
    gboolean zeroes;
} PmAllocator;

/* The allocator whose symbol is @name, a version (@…) apart, or NULL. Static. */
const PmAllocator *pm_allocator_find(const char *name);

/* What it asks for with @arguments; UNKNOWN for PM_SIZE_STRING. */
PmValue pm_allocator_apply(const PmAllocator *allocator, PmExprs *exprs, const PmValue *arguments);

/* What is known of other functions. */
typedef enum {
    PM_FUNCTION_PLAIN,
    PM_FUNCTION_ENDLESS, /* ends the program, throws, or jumps elsewhere */
    PM_FUNCTION_PASSING, /* returns its first argument: memcpy() and its like */
    PM_FUNCTION_FILLING, /* the same, and fills what it points to: memset() */
} PmFunctionKind;

PmFunctionKind pm_function_get_kind(const char *name);
