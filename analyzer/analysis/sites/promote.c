/*
 * From a call to the wrapper that makes it; see promote.h.
 */
#include "analysis/sites/promote.h"

#include "analysis/sites/describe.h"

void
pm_promote_note_change(PmSiteWorld *world, PmForwarder *forwarder)
{
    forwarder->round = world->round + 1;
    world->changed++;
}

/* Its name, where a symbol begins there. */
static char *
name_function(const PmSiteWorld *world, guint module, guint64 address)
{
    PmSymbol symbol;
    guint64 offset = 0;
    if (!pm_process_symbolize(world->process,
                              pm_site_world_get_module(world, module)->module->bias + address,
                              &symbol, &offset) ||
        offset != 0)
        return NULL;
    return pm_describe_function(symbol.name);
}

static gboolean
has_size(const PmForwarder *forwarder, const PmExpr *size)
{
    for (guint i = 0; i < forwarder->size_count; i++)
        if (pm_expr_equals(&forwarder->sizes[i], size))
            return TRUE;
    return FALSE;
}

/* The same where either may be open. */
static gboolean
may_have_size(const PmForwarder *forwarder, const PmExpr *size)
{
    PmExpr closed = *size, opened = *size;
    closed.open = 0;
    opened.open = 1;
    return has_size(forwarder, &closed) || has_size(forwarder, &opened);
}

/* Whether the function of @call may return what it asks @callee for. */
static gboolean
is_returned(const PmForwarder *callee, const PmSiteCall *call)
{
    return call->is_returned && callee->returns;
}

/* What callers get from a wrapper that passes on what @call returned. Where it has several ways to
 * allocate, only what they have in common would count: nothing is said then. */
static void
describe_result(const PmSiteModule *module, PmForwarder *forwarder, const PmForwarder *inner,
                const PmSiteCall *call)
{
    gint32 offset = PM_OFFSET_UNKNOWN;
    if (!is_returned(inner, call) || call->returned_offset == PM_OFFSET_UNKNOWN ||
        inner->offset == PM_OFFSET_UNKNOWN ||
        __builtin_add_overflow(call->returned_offset, inner->offset, &offset))
        offset = PM_OFFSET_UNKNOWN;
    if (forwarder->stores == NULL) {
        forwarder->offset = offset;
        forwarder->stores = g_array_new(FALSE, FALSE, sizeof(PmStore));
        if (offset != PM_OFFSET_UNKNOWN)
            pm_site_world_add_stores(module, inner, call, forwarder->stores);
        return;
    }
    g_array_set_size(forwarder->stores, 0);
    if (forwarder->offset != offset)
        forwarder->offset = PM_OFFSET_UNKNOWN;
}

static PmForwarder *
add_forwarder(PmSiteWorld *world, guint module, guint64 address, const PmForwarder *inner)
{
    PmForwarder *forwarder = g_new0(PmForwarder, 1);
    forwarder->module = module;
    forwarder->address = address;
    forwarder->inner = inner;
    forwarder->name = name_function(world, module, address);
    g_ptr_array_add(world->forwarders, forwarder);
    pm_site_world_place(world, forwarder, module, address);
    pm_links_add_imports(world, forwarder);
    pm_links_add_pointers(world, forwarder,
                          pm_site_world_get_module(world, module)->module->bias + address);
    return forwarder;
}

/* Adds what a function asks for. Returns: whether that is new; it is not where there are too many.
 * What turns out to be open takes the place of what was not. */
static gboolean
add_size(PmForwarder *forwarder, const PmExpr *size)
{
    PmExpr closed = *size, opened = *size;
    closed.open = 0;
    opened.open = 1;
    if (has_size(forwarder, &opened) || (size->open == 0 && has_size(forwarder, &closed)))
        return FALSE;
    for (guint i = 0; i < forwarder->size_count; i++) {
        if (pm_expr_equals(&forwarder->sizes[i], &closed)) {
            forwarder->sizes[i] = opened;
            return TRUE;
        }
    }
    if (forwarder->size_count == PM_FORMULAS_MAX)
        return FALSE;
    forwarder->sizes[forwarder->size_count++] = *size;
    return TRUE;
}

/* The function that holds @call passes @size on to @inner. */
static void
add_wrapper(PmSiteWorld *world, guint module, const PmSiteCall *call, const PmExpr *size,
            const PmForwarder *inner)
{
    const PmPlace place = {module, call->function};
    PmForwarder *forwarder = g_hash_table_lookup(world->by_place, &place);
    if (forwarder == inner || (forwarder != NULL && forwarder->known != NULL))
        return;
    if (forwarder == NULL)
        forwarder = add_forwarder(world, module, call->function, inner);
    if (is_returned(inner, call) && !forwarder->returns) {
        forwarder->returns = TRUE;
        forwarder->is_open = g_hash_table_contains(world->open, &place);
        pm_promote_note_change(world, forwarder);
    }
    if (call->address != forwarder->last_call) {
        describe_result(pm_site_world_get_module(world, module), forwarder, inner, call);
        forwarder->last_call = call->address;
    }
    if (add_size(forwarder, size))
        pm_promote_note_change(world, forwarder);
}

/* Whether what a call passes on may be something else than an argument of its function. */
static gboolean
passes_open(const PmSiteModule *module, const PmSiteCall *call)
{
    for (guint i = 0; i < PM_ARGUMENTS; i++)
        if (call->arguments[i].kind == PM_VALUE_EXPR &&
            pm_exprs_get(&module->index->exprs, call->arguments[i].id)->open != 0)
            return TRUE;
    return FALSE;
}

gboolean
pm_site_world_is_forwarding(PmSiteWorld *world, guint module, const PmForwarder *callee,
                            const PmSiteCall *call)
{
    const PmForwarder *holder =
        call->function != PM_ADDR_NONE ? pm_site_world_find(world, module, call->function) : NULL;
    if (holder == NULL)
        return FALSE;
    if (holder->known != NULL)
        return TRUE;
    if (holder->callers == 0)
        return FALSE;
    const PmSiteModule *where = pm_site_world_get_module(world, module);
    const PmValue size = pm_site_world_measure(world, where, callee, call);
    return size.kind == PM_VALUE_EXPR && !passes_open(where, call) &&
           may_have_size(holder, pm_exprs_get(&world->exprs, size.id));
}

/*
 * The function at @address may also return what it asked for on its own account: its callers do not
 * tell the size alone.
 */
static void
note_open(PmSiteWorld *world, guint module, guint64 address)
{
    const PmPlace place = {module, address};
    PmForwarder *forwarder = g_hash_table_lookup(world->by_place, &place);
    if ((forwarder != NULL && forwarder->known != NULL) ||
        !g_hash_table_add(world->open, g_memdup2(&place, sizeof place)) || forwarder == NULL ||
        !forwarder->returns)
        return;
    forwarder->is_open = TRUE;
    pm_promote_note_change(world, forwarder);
}

/* What a function keeps it must ask for in any case: a pool asks for a block of the caller's size
 * only where that is large. */
void
pm_promote_calls(PmSiteWorld *world, guint module, guint64 target, const PmForwarder *callee)
{
    const PmSiteModule *where = pm_site_world_get_module(world, module);
    gsize count = 0;
    const PmSiteCall *calls = pm_site_index_get(where->index, target, &count);
    for (gsize i = 0; i < count; i++) {
        const PmSiteCall *call = &calls[i];
        if (call->function == PM_ADDR_NONE)
            continue;
        const PmValue size = pm_site_world_measure(world, where, callee, call);
        if (pm_value_is_vague(&size) && is_returned(callee, call))
            note_open(world, module, call->function);
        if (size.kind != PM_VALUE_EXPR || !(is_returned(callee, call) || call->is_sure))
            continue;
        const PmExpr expr = *pm_exprs_get(&world->exprs, size.id);
        add_wrapper(world, module, call, &expr, callee);
    }
}
