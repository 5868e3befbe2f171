/*
 * What a call asks for, and what is in the memory that it gets; see wrappers.h.
 */
#include "analysis/sites/wrappers.h"

#include <string.h>

#define STRING_BYTES_MAX 65536

/* Where the string is that @argument leads to, if it is one that cannot change; or PM_ADDR_NONE. */
static PmAddr
find_string(const PmSiteModule *module, const PmValue *argument)
{
    guint64 address = 0;
    if (argument->kind == PM_VALUE_POINTER)
        address = argument->v[0];
    else if (!pm_value_is_constant(argument, &address))
        return PM_ADDR_NONE;
    const PmAddr place = module->module->bias + address;
    if (place < module->module->start || place >= module->module->end)
        return PM_ADDR_NONE;
    for (gsize i = 0; i < module->module->data_count; i++)
        if (pm_range_contains(module->module->data[i], place))
            return PM_ADDR_NONE;
    return place;
}

/* A string that cannot change: its length and one. */
static PmValue
measure_string(const PmSiteWorld *world, const PmSiteModule *module, const PmValue *argument)
{
    const PmAddr place = find_string(module, argument);
    g_autofree char *string =
        place == PM_ADDR_NONE
            ? NULL
            : pm_space_read_string(pm_process_get_space(world->process), place, STRING_BYTES_MAX);
    return string != NULL ? pm_value_constant(strlen(string) + 1) : pm_value_unknown();
}

/* What a function may ask for that asks in two ways. */
static PmValue
join_sizes(PmExprs *exprs, const PmValue *a, const PmValue *b)
{
    if (a->kind == PM_VALUE_SET && pm_value_is_vague(b))
        return pm_value_open(exprs, a);
    if (b->kind == PM_VALUE_SET && pm_value_is_vague(a))
        return pm_value_open(exprs, b);
    return pm_value_join(exprs, a, b, NULL, NULL);
}

PmAddr
pm_site_world_find_string(PmSiteWorld *world, const PmSiteModule *module, const PmForwarder *callee,
                          const PmSiteCall *call)
{
    if (callee->known == NULL || callee->known->rule != PM_SIZE_STRING)
        return PM_ADDR_NONE;
    pm_exprs_reset(&world->exprs);
    const PmValue argument =
        pm_exprs_move(&module->index->exprs, &world->exprs, &call->arguments[callee->known->size]);
    return find_string(module, &argument);
}

PmValue
pm_site_world_measure(PmSiteWorld *world, const PmSiteModule *module, const PmForwarder *callee,
                      const PmSiteCall *call)
{
    PmValue arguments[PM_ARGUMENTS];
    pm_exprs_reset(&world->exprs);
    for (guint i = 0; i < PM_ARGUMENTS; i++)
        arguments[i] = pm_exprs_move(&module->index->exprs, &world->exprs, &call->arguments[i]);
    if (callee->known != NULL && callee->known->rule == PM_SIZE_STRING)
        return measure_string(world, module, &arguments[callee->known->size]);
    if (callee->known != NULL)
        return pm_allocator_apply(callee->known, &world->exprs, arguments);
    PmValue size = {.kind = PM_VALUE_NONE};
    for (guint i = 0; i < callee->size_count; i++) {
        const PmValue one = pm_expr_apply(&world->exprs, &callee->sizes[i], arguments);
        size = join_sizes(&world->exprs, &size, &one);
    }
    switch ((PmValueKind)size.kind) {
    case PM_VALUE_SET:
    case PM_VALUE_RANGE:
    case PM_VALUE_EXPR:
        return callee->is_open ? pm_value_open(&world->exprs, &size) : size;
    default:
        return size.kind == PM_VALUE_UNKNOWN ? size : pm_value_unknown();
    }
}

void
pm_site_world_relocate(const PmSiteModule *module, PmStore *store)
{
    const PmForwarder *callee = NULL;
    switch ((PmStoredKind)store->kind) {
    case PM_STORED_ADDRESS:
    case PM_STORED_COPY:
    case PM_STORED_PASSED:
        store->value += module->module->bias;
        return;
    case PM_STORED_RESULT:
        callee = g_hash_table_lookup(module->callees, &store->value);
        if (callee == NULL || callee->offset != 0)
            store->kind = PM_STORED_OTHER;
        store->value = 0;
        return;
    default:
        return;
    }
}

void
pm_site_world_add_stores(const PmSiteModule *module, const PmForwarder *callee,
                         const PmSiteCall *call, GArray *stores)
{
    if (callee->offset == PM_OFFSET_UNKNOWN)
        return;
    for (guint i = 0; i < callee->stores->len; i++)
        pm_stores_add(stores, &g_array_index(callee->stores, PmStore, i));
    for (guint i = 0; i < call->store_count; i++) {
        PmStore store = g_array_index(module->index->stores, PmStore, call->first_store + i);
        gint32 offset = 0;
        if (__builtin_add_overflow(store.offset, callee->offset, &offset))
            continue;
        store.offset = offset;
        pm_site_world_relocate(module, &store);
        pm_stores_add(stores, &store);
    }
}
