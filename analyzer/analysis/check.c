/*
 * Picking the heap's violations out of the diagnostics; see check.h.
 */
#include "analysis/check.h"

#include <stdlib.h>
#include <string.h>

static int
compare_rows(const void *left, const void *right)
{
    const PmDiagnostic *a = ((const PmCheckRow *)left)->diagnostic;
    const PmDiagnostic *b = ((const PmCheckRow *)right)->diagnostic;
    if (a->severity != b->severity)
        return a->severity < b->severity ? 1 : -1;
    if (a->address != b->address)
        return a->address < b->address ? -1 : 1;
    return strcmp(a->code, b->code);
}

PmCheck *
pm_check_new(const PmSubject *subject)
{
    PmCheck *check = g_new0(PmCheck, 1);
    guint count = pm_diagnostics_get_count(subject->diagnostics);
    g_autoptr(GHashTable) kept = g_hash_table_new(g_str_hash, g_str_equal);
    check->rows = g_new0(PmCheckRow, count);
    check->in_flight = g_ptr_array_new();
    for (guint i = 0; i < count; i++) {
        const PmDiagnostic *diagnostic = pm_diagnostics_get(subject->diagnostics, i);
        const PmViolation *violation = pm_violation_find(diagnostic->code);
        if (strcmp(diagnostic->code, "in-flight") == 0)
            g_ptr_array_add(check->in_flight, (gpointer)diagnostic);
        if (violation == NULL)
            continue;
        check->rows[check->row_count++] = (PmCheckRow){diagnostic, violation};
        if (g_hash_table_add(kept, (gpointer)diagnostic->code))
            check->omitted += pm_diagnostics_count_code(subject->diagnostics, diagnostic->code);
    }
    /* Every code's count went in once; what was kept goes out again. */
    check->omitted -= MIN(check->omitted, check->row_count);
    if (check->row_count > 0)
        qsort(check->rows, check->row_count, sizeof *check->rows, compare_rows);
    return check;
}

void
pm_check_free(PmCheck *check)
{
    g_ptr_array_unref(check->in_flight);
    g_free(check->rows);
    g_free(check);
}
