/*
 * The violated invariants of the heap, in the order in which `check` shows them.
 */
#pragma once

#include "analysis/subject.h"
#include "ptmalloc/violations.h"

/* One violated invariant; both borrowed. */
typedef struct {
    const PmDiagnostic *diagnostic;
    const PmViolation *violation;
} PmCheckRow;

/* @rows: errors first, then by address. @in_flight: what looked violated only because the process
 * was stopped inside malloc; PmDiagnostic, borrowed. @omitted: violations that were counted but not
 * kept. */
typedef struct {
    PmCheckRow *rows;
    gsize row_count;
    GPtrArray *in_flight;
    guint64 omitted;
} PmCheck;

/* @subject: with its heap walked. Never fails. */
PmCheck *pm_check_new(const PmSubject *subject);
void pm_check_free(PmCheck *check);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmCheck, pm_check_free)
