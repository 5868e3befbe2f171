/*
 * The invariants of a glibc heap (PTMALLOC.md section 7) as diagnostic codes, and what each
 * violation usually means. `check` lists the diagnostics whose code is in this table.
 */
#pragma once

#include <glib.h>

typedef struct {
    const char *code;    /* of the diagnostic: "chunk-size", "prev-size", … */
    const char *glibc;   /* what glibc itself would have said, or NULL */
    const char *meaning; /* what it usually means, one sentence */
} PmViolation;

/* The entry for @code, or NULL where the code is no violation of the heap's. Static. */
const PmViolation *pm_violation_find(const char *code);
