#include "analysis/sites/kinds.h"

#include "analysis/sites/allocators.h"

/* Appends the functions of @kind to @targets. */
static void
add_kind(const PmModuleCode *code, PmFunctionKind kind, GArray *targets)
{
    g_autoptr(GArray) slots = g_array_new(FALSE, FALSE, sizeof(guint64));
    for (guint i = 0; i < code->dynamic.imports->len; i++) {
        const PmImport *import = &g_array_index(code->dynamic.imports, PmImport, i);
        if (pm_function_get_kind(import->name) == kind)
            g_array_append_val(slots, import->slot);
    }
    g_array_sort(slots, pm_addr_compare);
    pm_module_code_add_slots(code, slots, targets);
    for (guint i = 0; i < code->named->len; i++) {
        const PmExport *named = &g_array_index(code->named, PmExport, i);
        if (pm_function_get_kind(named->name) == kind)
            g_array_append_val(targets, named->address);
    }
}

PmKinds *
pm_kinds_new(const PmModuleCode *code)
{
    PmKinds *kinds = g_new0(PmKinds, 1);
    g_autoptr(GArray) endless = g_array_new(FALSE, FALSE, sizeof(guint64));
    g_autoptr(GArray) filling = g_array_new(FALSE, FALSE, sizeof(guint64));
    add_kind(code, PM_FUNCTION_ENDLESS, endless);
    add_kind(code, PM_FUNCTION_FILLING, filling);
    kinds->endless = pm_targets_new((const guint64 *)(gconstpointer)endless->data, endless->len);
    kinds->filling = pm_targets_new((const guint64 *)(gconstpointer)filling->data, filling->len);
    /* What fills passes, too. */
    add_kind(code, PM_FUNCTION_PASSING, filling);
    kinds->passing = pm_targets_new((const guint64 *)(gconstpointer)filling->data, filling->len);
    kinds->inner_endless = pm_endless_new(code, kinds->endless);
    return kinds;
}

void
pm_kinds_free(PmKinds *kinds)
{
    if (kinds == NULL)
        return;
    pm_targets_free(kinds->endless);
    pm_targets_free(kinds->filling);
    pm_targets_free(kinds->passing);
    pm_endless_free(kinds->inner_endless);
    g_free(kinds);
}
