#include "analysis/sites/search.h"

#include "analysis/sites/kinds.h"
#include "analysis/sites/references.h"

/* What code that calls @target refers to. */
static guint64
get_word(guint64 target)
{
    return pm_field_is_one(target) ? pm_field_get_slot(target) : target;
}

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

void
pm_search_begin(PmSearch *search, const PmModuleCode *code, const guint64 *targets, gsize count)
{
    g_autoptr(GArray) slots = g_array_new(FALSE, FALSE, sizeof(guint64));
    g_autoptr(GArray) wanted = g_array_new(FALSE, FALSE, sizeof(guint64));
    g_array_append_vals(slots, targets, (guint)count);
    g_array_sort(slots, pm_addr_compare);
    pm_module_code_add_slots(code, slots, wanted);
    search->code = code;
    search->wanted = pm_targets_new((const guint64 *)(gconstpointer)wanted->data, wanted->len);
    search->bases = make_bases(search->wanted);
}

void
pm_search_end(PmSearch *search)
{
    pm_targets_free(search->wanted);
    pm_targets_free(search->bases);
}

static gint
compare_references(gconstpointer a, gconstpointer b)
{
    const guint64 left = ((const PmReference *)a)->address;
    const guint64 right = ((const PmReference *)b)->address;
    return left < right ? -1 : left > right;
}

GArray *
pm_search_find_references(const PmSearch *search)
{
    GArray *references = g_array_new(FALSE, FALSE, sizeof(PmReference));
    for (gsize i = 0; i < search->wanted->count; i++)
        pm_module_code_find_references(search->code, get_word(search->wanted->addresses[i]),
                                       references);
    g_array_sort(references, compare_references);
    return references;
}

static gboolean
never_returns(gconstpointer data, PmDecoder *decoder, guint64 target)
{
    const PmModuleCode *code = data;
    return pm_endless_check(code->kinds->inner_endless, decoder, target);
}

const GArray *
pm_search_run(const PmSearch *search, PmFlow *flow, const PmUnit *unit, guint argument)
{
    const PmModuleCode *code = search->code;
    const PmFunctionCode function = {
        .ranges = (const PmCodeRange *)(gconstpointer)unit->ranges->data,
        .range_count = unit->ranges->len,
        .entry = unit->function,
        .is_guess = unit->is_guess,
        .read = pm_module_code_read,
        .never_returns = never_returns,
        .data = code,
        .bias = code->module->bias,
    };
    const PmFlowTargets targets = {
        .wanted = search->wanted,
        .bases = search->bases,
        .endless = code->kinds->endless,
        .passing = code->kinds->passing,
        .filling = code->kinds->filling,
        .of_argument = argument != PM_NO_ARGUMENT,
        .argument = argument,
    };
    return pm_flow_run(flow, &function, &targets);
}

guint64
pm_search_resolve(const PmSearch *search, guint64 target)
{
    const PmReference *thunk = pm_module_code_find_thunk(search->code, target);
    const gboolean stands = thunk != NULL && thunk->address == target &&
                            pm_targets_contain(search->wanted, thunk->target);
    return stands ? thunk->target : target;
}

void
pm_search_add_stores(const PmSearch *search, GArray *to, const PmStore *stores, guint count)
{
    for (guint i = 0; i < count; i++) {
        PmStore store = stores[i];
        if (store.kind == PM_STORED_RESULT)
            store.value = pm_search_resolve(search, store.value);
        g_array_append_val(to, store);
    }
}
