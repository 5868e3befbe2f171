/*
 * The index of a module's call sites; see index.h. The bytes are searched for references first, so
 * that only functions which hold one are disassembled.
 */
#include "analysis/sites/index.h"

#include "analysis/sites/search.h"
#include "base/jobs.h"

#include <stdlib.h>

/* Of a direct call on x86-64. */
#define CALL_BYTES 5

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
                                            sizeof target, pm_addr_compare) != NULL;
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

/*
 * What is asked of an index. @references: PmReference, ascending, to what is wanted. @units: those
 * that hold them. @results: of each unit, GArray of PmSiteCall whose expressions are in the
 * PmExprs, and whose stores in the GArray beside it; NULL where it has none. @order: the units, the
 * largest first, so that no thread is left alone with a long one.
 */
typedef struct {
    PmSearch search;
    GArray *references;
    GPtrArray *units;
    guint *order;
    GArray **results;
    GArray **stores;
    PmExprs *exprs;
} Question;

static void
add_call(const Question *question, guint which, const PmFlowCall *call, const PmExprs *exprs)
{
    const PmUnit *unit = g_ptr_array_index(question->units, which);
    PmSiteCall site = {
        .address = call->address,
        .after = call->after,
        .function = unit->function,
        .target = pm_search_resolve(&question->search, call->target),
        .is_tail = call->is_tail,
        .is_returned = call->is_returned,
        .is_sure = call->is_sure,
        .returned_offset = call->returned_offset,
        .store_count = call->store_count,
    };
    if (question->results[which] == NULL) {
        question->results[which] = g_array_new(FALSE, FALSE, sizeof(PmSiteCall));
        question->stores[which] = g_array_new(FALSE, FALSE, sizeof(PmStore));
        pm_exprs_init(&question->exprs[which]);
    }
    for (guint i = 0; i < PM_ARGUMENTS; i++)
        site.arguments[i] = pm_exprs_move(exprs, &question->exprs[which], &call->arguments[i]);
    site.first_store = question->stores[which]->len;
    pm_search_add_stores(&question->search, question->stores[which], call->stores,
                         call->store_count);
    g_array_append_val(question->results[which], site);
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
find_reference(const Question *question, guint64 address)
{
    guint low = 0, high = question->references->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(question->references, PmReference, middle).address >= address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Calls that the search for references saw, and that disassembly ran past: sites all the same. */
static void
add_missed(const Question *question, guint which, const PmCodeRange *range, const GArray *calls)
{
    for (guint i = find_reference(question, range->start); i < question->references->len; i++) {
        const PmReference *reference = &g_array_index(question->references, PmReference, i);
        if (reference->address >= range->end)
            break;
        if (reference->kind != PM_REFERENCE_CALL || has_call(calls, reference->address) ||
            !pm_targets_contain(question->search.wanted, reference->target))
            continue;
        PmFlowCall call = {.address = reference->address,
                           .after = reference->address + CALL_BYTES,
                           .target = reference->target};
        for (guint j = 0; j < PM_ARGUMENTS; j++)
            call.arguments[j] = pm_value_unknown();
        add_call(question, which, &call, NULL);
    }
}

static void
look_at_unit(const Question *question, PmFlow *flow, guint which)
{
    const PmUnit *unit = g_ptr_array_index(question->units, which);
    const GArray *calls = pm_search_run(&question->search, flow, unit, PM_NO_ARGUMENT);
    const PmExprs *exprs = pm_flow_get_exprs(flow);
    for (guint i = 0; i < calls->len; i++)
        add_call(question, which, &g_array_index(calls, PmFlowCall, i), exprs);
    for (guint i = 0; pm_flow_is_unsure(flow) && i < unit->ranges->len; i++)
        add_missed(question, which, &g_array_index(unit->ranges, PmCodeRange, i), calls);
}

static void
work(PmJobs *jobs, gpointer data)
{
    const Question *question = data;
    guint64 which = 0;
    PmFlow *flow = pm_flow_pool_take(question->search.code->pool);
    while (flow != NULL && pm_jobs_next(jobs, &which))
        look_at_unit(question, flow, question->order[which]);
    pm_flow_pool_give(question->search.code->pool, flow);
}

static void
merge(PmSiteIndex *index, const Question *question)
{
    for (guint i = 0; i < question->units->len; i++) {
        GArray *result = question->results[i];
        if (result == NULL)
            continue;
        for (guint j = 0; j < result->len; j++) {
            PmSiteCall *call = &g_array_index(result, PmSiteCall, j);
            call->first_store += index->stores->len;
            for (guint k = 0; k < PM_ARGUMENTS; k++)
                call->arguments[k] =
                    pm_exprs_move(&question->exprs[i], &index->exprs, &call->arguments[k]);
        }
        g_array_append_vals(index->calls, result->data, result->len);
        g_array_append_vals(index->stores, question->stores[i]->data, question->stores[i]->len);
        g_array_unref(result);
        g_array_unref(question->stores[i]);
        pm_exprs_clear(&question->exprs[i]);
    }
    g_array_sort(index->calls, compare_calls);
}

static void
drop_large_units(Question *question, guint64 function_bytes_max)
{
    for (guint i = question->units->len; i > 0; i--)
        if (pm_unit_measure(g_ptr_array_index(question->units, i - 1)) > function_bytes_max)
            g_ptr_array_remove_index_fast(question->units, i - 1);
}

static gint
compare_units(gconstpointer a, gconstpointer b, gpointer data)
{
    const GPtrArray *units = data;
    const guint64 left = pm_unit_measure(g_ptr_array_index(units, *(const guint *)a));
    const guint64 right = pm_unit_measure(g_ptr_array_index(units, *(const guint *)b));
    return left > right ? -1 : left < right;
}

static void
order_units(Question *question)
{
    const guint count = question->units->len;
    question->order = g_new(guint, count + 1);
    for (guint i = 0; i < count; i++)
        question->order[i] = i;
    if (count > 0)
        g_qsort_with_data(question->order, (gint)count, sizeof question->order[0], compare_units,
                          question->units);
}

/* @targets may name one twice. */
static void
add_asked(PmSiteIndex *index, const guint64 *targets, gsize count)
{
    guint kept = 0;
    g_array_append_vals(index->asked, targets, (guint)count);
    g_array_sort(index->asked, pm_addr_compare);
    for (guint i = 0; i < index->asked->len; i++) {
        const guint64 asked = g_array_index(index->asked, guint64, i);
        if (kept == 0 || g_array_index(index->asked, guint64, kept - 1) != asked)
            g_array_index(index->asked, guint64, kept++) = asked;
    }
    g_array_set_size(index->asked, kept);
}

static void
begin_question(Question *question, const PmSiteIndex *index, const PmModuleCode *code,
               const guint64 *targets, gsize count)
{
    g_autoptr(GArray) unknown = g_array_new(FALSE, FALSE, sizeof(guint64));
    for (gsize i = 0; i < count; i++)
        if (!is_asked(index, targets[i]))
            g_array_append_val(unknown, targets[i]);
    pm_search_begin(&question->search, code, (const guint64 *)(gconstpointer)unknown->data,
                    unknown->len);
    question->references = pm_search_find_references(&question->search);
    question->units = pm_units_find(code, question->references);
    question->results = g_new0(GArray *, question->units->len + 1);
    question->stores = g_new0(GArray *, question->units->len + 1);
    question->exprs = g_new0(PmExprs, question->units->len + 1);
}

static void
end_question(Question *question)
{
    pm_search_end(&question->search);
    g_array_unref(question->references);
    g_ptr_array_unref(question->units);
    g_free(question->order);
    g_free(question->results);
    g_free(question->stores);
    g_free(question->exprs);
}

void
pm_site_index_ask_small(PmSiteIndex *index, PmModuleCode *code, const guint64 *targets, gsize count,
                        guint64 function_bytes_max, guint jobs)
{
    if (pm_site_index_knows(index, targets, count))
        return;
    pm_module_code_prepare(code);
    Question question = {0};
    begin_question(&question, index, code, targets, count);
    drop_large_units(&question, function_bytes_max);
    order_units(&question);
    pm_jobs_run(jobs, question.units->len, work, &question);
    merge(index, &question);
    add_asked(index, targets, count);
    index->changed = TRUE;
    index->is_partial = index->is_partial || function_bytes_max != G_MAXUINT64;
    end_question(&question);
}

void
pm_site_index_ask(PmSiteIndex *index, PmModuleCode *code, const guint64 *targets, gsize count,
                  guint jobs)
{
    pm_site_index_ask_small(index, code, targets, count, G_MAXUINT64, jobs);
}
