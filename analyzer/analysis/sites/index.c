/*
 * The index of a module's call sites; see index.h. The bytes are searched for references first, so
 * that only functions which hold one are disassembled.
 */
#include "analysis/sites/index.h"

#include "analysis/sites/allocators.h"
#include "analysis/sites/endless.h"
#include "analysis/sites/references.h"
#include "analysis/sites/units.h"
#include "base/jobs.h"

#include <stdlib.h>

/* Of a direct call on x86-64. */
#define CALL_BYTES 5
/* What only fills in a record is smaller. */
#define LOOK_BYTES_MAX 16384

PmSiteIndex *
pm_site_index_new(void)
{
    PmSiteIndex *index = g_new0(PmSiteIndex, 1);
    index->asked = g_array_new(FALSE, FALSE, sizeof(guint64));
    index->calls = g_array_new(FALSE, FALSE, sizeof(PmSiteCall));
    index->stores = g_array_new(FALSE, FALSE, sizeof(PmStore));
    pm_exprs_init(&index->exprs);
    return index;
}

void
pm_site_index_free(PmSiteIndex *index)
{
    if (index == NULL)
        return;
    g_array_unref(index->asked);
    g_array_unref(index->calls);
    g_array_unref(index->stores);
    pm_exprs_clear(&index->exprs);
    g_free(index);
}

static gint
compare_addresses(gconstpointer a, gconstpointer b)
{
    const guint64 left = *(const guint64 *)a;
    const guint64 right = *(const guint64 *)b;
    return left < right ? -1 : left > right;
}

static gint
compare_calls(gconstpointer a, gconstpointer b)
{
    const PmSiteCall *left = a;
    const PmSiteCall *right = b;
    if (left->target != right->target)
        return left->target < right->target ? -1 : 1;
    return left->address < right->address ? -1 : left->address > right->address;
}

static gboolean
is_asked(const PmSiteIndex *index, guint64 target)
{
    return index->asked->len > 0 && bsearch(&target, index->asked->data, index->asked->len,
                                            sizeof target, compare_addresses) != NULL;
}

gboolean
pm_site_index_knows(const PmSiteIndex *index, const guint64 *targets, gsize count)
{
    for (gsize i = 0; i < count; i++)
        if (!is_asked(index, targets[i]))
            return FALSE;
    return TRUE;
}

const PmSiteCall *
pm_site_index_get(const PmSiteIndex *index, guint64 target, gsize *ret_count)
{
    const PmSiteCall *all = (const PmSiteCall *)(gconstpointer)index->calls->data;
    gsize low = 0, high = index->calls->len;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (all[middle].target >= target)
            high = middle;
        else
            low = middle + 1;
    }
    gsize end = low;
    while (end < index->calls->len && all[end].target == target)
        end++;
    *ret_count = end - low;
    return *ret_count == 0 ? NULL : &all[low];
}

/* A thunk's address and the word that it jumps through. */
typedef struct {
    guint64 address;
    guint64 slot;
} Alias;

/*
 * One search. @aliases: Alias, by address: thunks of what is asked for. @results: of each unit,
 * GArray of PmSiteCall whose expressions are in the PmExprs, and whose stores in the GArray beside
 * it.
 */
typedef struct {
    const PmModuleCode *code;
    const PmSiteIndex *index;
    GArray *aliases;
    PmTargets *wanted;
    PmTargets *bases;
    PmTargets *endless;
    PmTargets *passing;
    PmTargets *filling;
    PmEndless *inner_endless;
    GArray *references; /* PmReference, ascending */
    GPtrArray *units;
    GArray **results;
    GArray **stores;
    PmExprs *exprs;
} Search;

/* Thunks through any of the @slots, and, added to @targets, the slots and thunks themselves. */
static void
add_thunks(const PmModuleCode *code, const GArray *slots, GArray *targets, GArray *aliases)
{
    g_array_append_vals(targets, slots->data, slots->len);
    for (guint i = 0; i < code->thunks->len; i++) {
        const PmReference *thunk = &g_array_index(code->thunks, PmReference, i);
        if (slots->len == 0 || bsearch(&thunk->target, slots->data, slots->len, sizeof(guint64),
                                       compare_addresses) == NULL)
            continue;
        const Alias alias = {thunk->address, thunk->target};
        g_array_append_val(targets, alias.address);
        if (aliases != NULL)
            g_array_append_val(aliases, alias);
    }
}

static PmTargets *
make_wanted(Search *search, const guint64 *targets, gsize count)
{
    g_autoptr(GArray) slots = g_array_new(FALSE, FALSE, sizeof(guint64));
    g_autoptr(GArray) wanted = g_array_new(FALSE, FALSE, sizeof(guint64));
    for (gsize i = 0; i < count; i++)
        if (!is_asked(search->index, targets[i]))
            g_array_append_val(slots, targets[i]);
    g_array_sort(slots, compare_addresses);
    add_thunks(search->code, slots, wanted, search->aliases);
    return pm_targets_new((const guint64 *)(gconstpointer)wanted->data, wanted->len);
}

/* Functions of a kind, by the names of what the module imports and has. */
static PmTargets *
make_kind(const PmModuleCode *code, PmFunctionKind kind)
{
    g_autoptr(GArray) slots = g_array_new(FALSE, FALSE, sizeof(guint64));
    g_autoptr(GArray) targets = g_array_new(FALSE, FALSE, sizeof(guint64));
    for (guint i = 0; i < code->dynamic.imports->len; i++) {
        const PmImport *import = &g_array_index(code->dynamic.imports, PmImport, i);
        if (pm_function_get_kind(import->name) == kind)
            g_array_append_val(slots, import->slot);
    }
    add_thunks(code, slots, targets, NULL);
    for (guint i = 0; i < code->named->len; i++) {
        const PmExport *named = &g_array_index(code->named, PmExport, i);
        if (pm_function_get_kind(named->name) == kind)
            g_array_append_val(targets, named->address);
    }
    return pm_targets_new((const guint64 *)(gconstpointer)targets->data, targets->len);
}

/* What fills passes, too. */
static PmTargets *
make_passing(const PmModuleCode *code)
{
    g_autoptr(PmTargets) passing = make_kind(code, PM_FUNCTION_PASSING);
    g_autoptr(PmTargets) filling = make_kind(code, PM_FUNCTION_FILLING);
    g_autoptr(GArray) both = g_array_new(FALSE, FALSE, sizeof(guint64));
    g_array_append_vals(both, passing->addresses, (guint)passing->count);
    g_array_append_vals(both, filling->addresses, (guint)filling->count);
    return pm_targets_new((const guint64 *)(gconstpointer)both->data, both->len);
}

static gint
compare_references(gconstpointer a, gconstpointer b)
{
    const guint64 left = ((const PmReference *)a)->address;
    const guint64 right = ((const PmReference *)b)->address;
    return left < right ? -1 : left > right;
}

/* What code that calls @target refers to. */
static guint64
get_word(guint64 target)
{
    return pm_field_is_one(target) ? pm_field_get_slot(target) : target;
}

/* The words through which those of the wanted are reached that are members of something. */
static PmTargets *
make_bases(const PmTargets *wanted)
{
    g_autoptr(GArray) bases = g_array_new(FALSE, FALSE, sizeof(guint64));
    for (gsize i = 0; i < wanted->count; i++) {
        const guint64 word = get_word(wanted->addresses[i]);
        if (word != wanted->addresses[i])
            g_array_append_val(bases, word);
    }
    return pm_targets_new((const guint64 *)(gconstpointer)bases->data, bases->len);
}

/* What refers to anything that is wanted, by address. */
static GArray *
find_references(const Search *search)
{
    GArray *references = g_array_new(FALSE, FALSE, sizeof(PmReference));
    for (gsize i = 0; i < search->wanted->count; i++)
        pm_module_code_find_references(search->code, get_word(search->wanted->addresses[i]),
                                       references);
    g_array_sort(references, compare_references);
    return references;
}

/* What was asked for: a thunk stands for its word. */
static guint64
resolve_alias(const Search *search, guint64 target)
{
    guint low = 0, high = search->aliases->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        const Alias *alias = &g_array_index(search->aliases, Alias, middle);
        if (alias->address == target)
            return alias->slot;
        if (alias->address < target)
            low = middle + 1;
        else
            high = middle;
    }
    return target;
}

static gboolean
read_code(gconstpointer data, guint64 address, gpointer buffer, gsize count)
{
    const Search *search = data;
    return pm_module_code_read(search->code, address, buffer, count);
}

static gboolean
never_returns(gconstpointer data, PmDecoder *decoder, guint64 target)
{
    const Search *search = data;
    return pm_endless_check(search->inner_endless, decoder, target);
}

/* Appends @count of @stores to @to. */
static void
add_stores(const Search *search, GArray *to, const PmStore *stores, guint count)
{
    for (guint i = 0; i < count; i++) {
        PmStore store = stores[i];
        if (store.kind == PM_STORED_RESULT)
            store.value = resolve_alias(search, store.value);
        g_array_append_val(to, store);
    }
}

static void
add_call(const Search *search, guint which, const PmFlowCall *call, const PmExprs *exprs)
{
    const PmUnit *unit = g_ptr_array_index(search->units, which);
    PmSiteCall site = {
        .address = call->address,
        .after = call->after,
        .function = unit->function,
        .target = resolve_alias(search, call->target),
        .is_tail = call->is_tail,
        .is_returned = call->is_returned,
        .is_sure = call->is_sure,
        .returned_offset = call->returned_offset,
        .store_count = call->store_count,
    };
    if (search->results[which] == NULL) {
        search->results[which] = g_array_new(FALSE, FALSE, sizeof(PmSiteCall));
        search->stores[which] = g_array_new(FALSE, FALSE, sizeof(PmStore));
        pm_exprs_init(&search->exprs[which]);
    }
    for (guint i = 0; i < PM_ARGUMENTS; i++)
        site.arguments[i] = pm_exprs_move(exprs, &search->exprs[which], &call->arguments[i]);
    site.first_store = search->stores[which]->len;
    add_stores(search, search->stores[which], call->stores, call->store_count);
    g_array_append_val(search->results[which], site);
}

/* Whether one of @calls, which ascend, covers @address. */
static gboolean
has_call(const GArray *calls, guint64 address)
{
    guint low = 0, high = calls->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(calls, PmFlowCall, middle).address > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low > 0 && address < g_array_index(calls, PmFlowCall, low - 1).after;
}

/* The first reference at or behind @address. */
static guint
find_reference(const Search *search, guint64 address)
{
    guint low = 0, high = search->references->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(search->references, PmReference, middle).address >= address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Calls that the search for references saw, and that disassembly ran past: sites all the same. */
static void
add_missed(const Search *search, guint which, const PmCodeRange *range, const GArray *calls)
{
    for (guint i = find_reference(search, range->start); i < search->references->len; i++) {
        const PmReference *reference = &g_array_index(search->references, PmReference, i);
        if (reference->address >= range->end)
            break;
        if (reference->kind != PM_REFERENCE_CALL || has_call(calls, reference->address) ||
            !pm_targets_contain(search->wanted, reference->target))
            continue;
        PmFlowCall call = {.address = reference->address,
                           .after = reference->address + CALL_BYTES,
                           .target = reference->target};
        for (guint j = 0; j < PM_ARGUMENTS; j++)
            call.arguments[j] = pm_value_unknown();
        add_call(search, which, &call, NULL);
    }
}

static PmFunctionCode
make_function(const Search *search, const PmUnit *unit)
{
    return (PmFunctionCode){
        .ranges = (const PmCodeRange *)(gconstpointer)unit->ranges->data,
        .range_count = unit->ranges->len,
        .entry = unit->function,
        .is_guess = unit->is_guess,
        .read = read_code,
        .never_returns = never_returns,
        .data = search,
        .bias = search->code->module->bias,
    };
}

static void
look_at_unit(const Search *search, PmFlow *flow, guint which)
{
    const PmUnit *unit = g_ptr_array_index(search->units, which);
    const PmFunctionCode function = make_function(search, unit);
    const PmFlowTargets targets = {.wanted = search->wanted,
                                   .bases = search->bases,
                                   .endless = search->endless,
                                   .passing = search->passing,
                                   .filling = search->filling};
    const GArray *calls = pm_flow_run(flow, &function, &targets);
    const PmExprs *exprs = pm_flow_get_exprs(flow);
    for (guint i = 0; i < calls->len; i++)
        add_call(search, which, &g_array_index(calls, PmFlowCall, i), exprs);
    for (guint i = 0; pm_flow_is_unsure(flow) && i < unit->ranges->len; i++)
        add_missed(search, which, &g_array_index(unit->ranges, PmCodeRange, i), calls);
}

static void
work(PmJobs *jobs, gpointer data)
{
    const Search *search = data;
    guint64 which = 0;
    PmFlow *flow = pm_flow_pool_take(search->code->pool);
    while (flow != NULL && pm_jobs_next(jobs, &which))
        look_at_unit(search, flow, (guint)which);
    pm_flow_pool_give(search->code->pool, flow);
}

static void
merge(PmSiteIndex *index, const Search *search)
{
    for (guint i = 0; i < search->units->len; i++) {
        GArray *result = search->results[i];
        if (result == NULL)
            continue;
        for (guint j = 0; j < result->len; j++) {
            PmSiteCall *call = &g_array_index(result, PmSiteCall, j);
            call->first_store += index->stores->len;
            for (guint k = 0; k < PM_ARGUMENTS; k++)
                call->arguments[k] =
                    pm_exprs_move(&search->exprs[i], &index->exprs, &call->arguments[k]);
        }
        g_array_append_vals(index->calls, result->data, result->len);
        g_array_append_vals(index->stores, search->stores[i]->data, search->stores[i]->len);
        g_array_unref(result);
        g_array_unref(search->stores[i]);
        pm_exprs_clear(&search->exprs[i]);
    }
    g_array_sort(index->calls, compare_calls);
}

static guint64
measure_unit(const PmUnit *unit)
{
    guint64 bytes = 0;
    for (guint i = 0; i < unit->ranges->len; i++) {
        const PmCodeRange *range = &g_array_index(unit->ranges, PmCodeRange, i);
        bytes += range->end - range->start;
    }
    return bytes;
}

static void
drop_large_units(Search *search, guint64 function_bytes_max)
{
    for (guint i = search->units->len; i > 0; i--)
        if (measure_unit(g_ptr_array_index(search->units, i - 1)) > function_bytes_max)
            g_ptr_array_remove_index_fast(search->units, i - 1);
}

/* @targets may name one twice. */
static void
add_asked(PmSiteIndex *index, const guint64 *targets, gsize count)
{
    guint kept = 0;
    g_array_append_vals(index->asked, targets, (guint)count);
    g_array_sort(index->asked, compare_addresses);
    for (guint i = 0; i < index->asked->len; i++) {
        const guint64 asked = g_array_index(index->asked, guint64, i);
        if (kept == 0 || g_array_index(index->asked, guint64, kept - 1) != asked)
            g_array_index(index->asked, guint64, kept++) = asked;
    }
    g_array_set_size(index->asked, kept);
}

/* What a search of @search->code for calls of @targets knows. */
static void
begin_search(Search *search, const guint64 *targets, gsize count)
{
    search->wanted = make_wanted(search, targets, count);
    search->bases = make_bases(search->wanted);
    search->endless = make_kind(search->code, PM_FUNCTION_ENDLESS);
    search->passing = make_passing(search->code);
    search->filling = make_kind(search->code, PM_FUNCTION_FILLING);
    search->inner_endless = pm_endless_new(search->code, search->endless);
}

static void
end_search(Search *search)
{
    g_ptr_array_unref(search->units);
    pm_targets_free(search->wanted);
    pm_targets_free(search->bases);
    pm_targets_free(search->endless);
    pm_targets_free(search->passing);
    pm_targets_free(search->filling);
    pm_endless_free(search->inner_endless);
    g_array_unref(search->references);
    g_array_unref(search->aliases);
}

void
pm_site_index_ask_small(PmSiteIndex *index, PmModuleCode *code, const guint64 *targets, gsize count,
                        guint64 function_bytes_max, guint jobs)
{
    if (pm_site_index_knows(index, targets, count))
        return;
    pm_module_code_prepare(code);
    Search search = {
        .code = code, .index = index, .aliases = g_array_new(FALSE, FALSE, sizeof(Alias))};
    begin_search(&search, targets, count);
    search.references = find_references(&search);
    search.units = pm_units_find(code, search.references);
    drop_large_units(&search, function_bytes_max);
    search.results = g_new0(GArray *, search.units->len + 1);
    search.stores = g_new0(GArray *, search.units->len + 1);
    search.exprs = g_new0(PmExprs, search.units->len + 1);
    pm_jobs_run(jobs, search.units->len, work, &search);
    merge(index, &search);
    add_asked(index, targets, count);
    index->changed = TRUE;
    index->is_partial = index->is_partial || function_bytes_max != G_MAXUINT64;
    g_free(search.results);
    g_free(search.stores);
    g_free(search.exprs);
    end_search(&search);
}

struct PmSiteLook {
    Search search;
    PmSiteIndex *empty;
};

PmSiteLook *
pm_site_look_new(PmModuleCode *code, const guint64 *targets, gsize count)
{
    PmSiteLook *look = g_new0(PmSiteLook, 1);
    pm_module_code_prepare(code);
    look->empty = pm_site_index_new();
    look->search = (Search){.code = code,
                            .index = look->empty,
                            .aliases = g_array_new(FALSE, FALSE, sizeof(Alias)),
                            .references = g_array_new(FALSE, FALSE, sizeof(PmReference))};
    begin_search(&look->search, targets, count);
    look->search.units = g_ptr_array_new();
    return look;
}

void
pm_site_look_free(PmSiteLook *look)
{
    if (look == NULL)
        return;
    end_search(&look->search);
    pm_site_index_free(look->empty);
    g_free(look);
}

/* Has @flow look at @unit for what it stores through the argument. */
static void
look_at_argument(const Search *search, PmFlow *flow, const PmUnit *unit, guint argument,
                 GArray *stores)
{
    const PmFunctionCode body = make_function(search, unit);
    const PmFlowTargets asked = {.wanted = search->wanted,
                                 .bases = search->bases,
                                 .endless = search->endless,
                                 .passing = search->passing,
                                 .filling = search->filling,
                                 .of_argument = TRUE,
                                 .argument = argument};
    pm_flow_run(flow, &body, &asked);
    const GArray *found = pm_flow_get_argument_stores(flow);
    if (found != NULL)
        add_stores(search, stores, (const PmStore *)(gconstpointer)found->data, found->len);
}

GArray *
pm_site_look_into(const PmSiteLook *look, guint64 function, guint argument)
{
    const Search *search = &look->search;
    GArray *stores = g_array_new(FALSE, FALSE, sizeof(PmStore));
    const PmReference entry = {.target = function, .address = function};
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(PmReference));
    g_array_append_val(entries, entry);
    g_autoptr(GPtrArray) units = pm_units_find(search->code, entries);
    PmFlow *flow = pm_flow_pool_take(search->code->pool);
    const PmUnit *unit = units->len == 1 ? g_ptr_array_index(units, 0) : NULL;
    if (flow != NULL && unit != NULL && unit->function == function &&
        measure_unit(unit) <= LOOK_BYTES_MAX)
        look_at_argument(search, flow, unit, argument, stores);
    pm_flow_pool_give(search->code->pool, flow);
    return stores;
}

void
pm_site_index_ask(PmSiteIndex *index, PmModuleCode *code, const guint64 *targets, gsize count,
                  guint jobs)
{
    pm_site_index_ask_small(index, code, targets, count, G_MAXUINT64, jobs);
}
