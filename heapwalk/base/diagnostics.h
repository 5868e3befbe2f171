/*
 * Findings about the input itself: a cut-off file, a missing module, a damaged chunk. Libraries do
 * not print; they add to a PmDiagnostics and go on.
 */
#pragma once

#include "base/address.h"

typedef enum {
    PM_SEVERITY_NOTE,
    PM_SEVERITY_WARNING,
    PM_SEVERITY_ERROR,
} PmSeverity;

/* "note", "warning" or "error"; static. */
const char *pm_severity_name(PmSeverity severity);

/*
 * @code: a static word in kebab-case that scripts may rely on, such as "module-missing".
 * @address: what it speaks of, or PM_ADDR_NONE.
 * @arena: the arena it concerns, or PM_ADDR_NONE.
 * @text: one sentence for a person, without a full stop and without the address.
 */
typedef struct {
    const char *code;
    PmSeverity severity;
    PmAddr address;
    PmAddr arena;
    char *text;
} PmDiagnostic;

/* A growing list; every function may be called from any thread. */
typedef struct PmDiagnostics PmDiagnostics;

/* How many of one code are kept; a hostile heap could give millions. The rest are counted. */
#define PM_DIAGNOSTICS_PER_CODE 1000

PmDiagnostics *pm_diagnostics_new(void);
void pm_diagnostics_free(PmDiagnostics *diagnostics);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmDiagnostics, pm_diagnostics_free)

/*
 * Adds one diagnostic that speaks of no arena.
 *
 * @code: a static string. @address: may be PM_ADDR_NONE. @format: printf-like.
 */
void pm_diagnostics_add(PmDiagnostics *diagnostics, const char *code, PmSeverity severity,
                        PmAddr address, const char *format, ...) G_GNUC_PRINTF(5, 6);

/* The same, about a chunk or a field of the arena whose malloc_state is at @arena. */
void pm_diagnostics_add_arena(PmDiagnostics *diagnostics, const char *code, PmSeverity severity,
                              PmAddr arena, PmAddr address, const char *format, ...)
    G_GNUC_PRINTF(6, 7);

/*
 * How many there are; those of a code past PM_DIAGNOSTICS_PER_CODE are not among them.
 */
guint pm_diagnostics_get_count(PmDiagnostics *diagnostics);

/* The one at @index, 0 ≤ @index < count; borrowed, lives as long as @diagnostics. */
const PmDiagnostic *pm_diagnostics_get(PmDiagnostics *diagnostics, guint index);

/* How many with @code were added, kept or not. */
guint64 pm_diagnostics_count_code(PmDiagnostics *diagnostics, const char *code);

/* How many were added but not kept, over all codes. */
guint64 pm_diagnostics_get_omitted(PmDiagnostics *diagnostics);
