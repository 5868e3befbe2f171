/*
 * What a function writes into memory that it has just been given: the fingerprint of a call site.
 */
#pragma once

#include "analysis/sites/value.h"

typedef enum {
    PM_STORED_OTHER,    /* something that is not known */
    PM_STORED_CONSTANT, /* @value; of more than 8 bytes every one is @value */
    PM_STORED_ADDRESS,  /* a module address: of code, of constants, of data */
    PM_STORED_COPY,     /* what the module has at module address @value */
    PM_STORED_ARGUMENT, /* argument number @value of the function, or made from arguments */
    PM_STORED_RESULT, /* what a call returned: of the function at, or by way of the word at, module
                         address @value, which is one of those that were looked for */
    PM_STORED_PASSED, /* no store: the address of @offset is passed as argument number @width_bytes
                         to the function at, or by way of the word at, module address @value, which
                         may store what it likes */
} PmStoredKind;

/* "other", "constant", "address", "copy", "argument", "allocation", "passed"; static. */
const char *pm_stored_kind_name(PmStoredKind kind);

/*
 * One store.
 *
 * @offset: from what the allocator returned. @width_bytes: 0 for one without a known end.
 * @is_late: others may have seen the memory before: what they stored there may be gone, and the
 * store may belong to something that happens later in the life of a record.
 */
typedef struct {
    gint32 offset;
    guint32 width_bytes;
    guint64 value;
    guint8 kind; /* PmStoredKind */
    guint8 is_late;
} PmStore;

/* Of one call; more are left out. */
#define PM_STORES_MAX 32

/* What may be stored at one place on different ways, or one after the other; more is unknown. */
#define PM_STORES_AT_ONE_PLACE 4

/*
 * Adds @store to @stores (PmStore, by ascending offset, those of one offset as they came), where it
 * is not there yet. More than PM_STORES_AT_ONE_PLACE different ones of one offset and width become
 * one PM_STORED_OTHER.
 */
void pm_stores_add(GArray *stores, const PmStore *store);

/* What stores @value, @width_bytes of it, at @offset. */
PmStore pm_store_make(const PmExprs *exprs, gint64 offset, guint width_bytes, const PmValue *value);
