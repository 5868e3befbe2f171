#include "analysis/sites/look.h"

#include "analysis/sites/search.h"

/* What only fills in a record is smaller. */
#define FUNCTION_BYTES_MAX 16384

struct PmSiteLook {
    PmSearch search;
};

PmSiteLook *
pm_site_look_new(PmModuleCode *code, const guint64 *targets, gsize count)
{
    PmSiteLook *look = g_new0(PmSiteLook, 1);
    pm_module_code_prepare(code);
    pm_search_begin(&look->search, code, targets, count);
    return look;
}

void
pm_site_look_free(PmSiteLook *look)
{
    if (look == NULL)
        return;
    pm_search_end(&look->search);
    g_free(look);
}

GArray *
pm_site_look_into(const PmSiteLook *look, guint64 function, guint argument)
{
    const PmSearch *search = &look->search;
    GArray *stores = g_array_new(FALSE, FALSE, sizeof(PmStore));
    const PmReference entry = {.target = function, .address = function};
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(PmReference));
    g_array_append_val(entries, entry);
    g_autoptr(GPtrArray) units = pm_units_find(search->code, entries);
    PmFlow *flow = pm_flow_pool_take(search->code->pool);
    const PmUnit *unit = units->len == 1 ? g_ptr_array_index(units, 0) : NULL;
    if (flow != NULL && unit != NULL && unit->function == function &&
        pm_unit_measure(unit) <= FUNCTION_BYTES_MAX) {
        pm_search_run(search, flow, unit, argument);
        const GArray *found = pm_flow_get_argument_stores(flow);
        if (found != NULL)
            pm_search_add_stores(search, stores, (const PmStore *)(gconstpointer)found->data,
                                 found->len);
    }
    pm_flow_pool_give(search->code->pool, flow);
    return stores;
}
