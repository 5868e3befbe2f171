/*
 * The data-flow's memory, and what it keeps between functions; see flow.h.
 */
#include "analysis/sites/flow-private.h"

static void
clear_result(gpointer data)
{
    PmResult *result = data;
    if (result->stores != NULL)
        g_array_unref(result->stores);
    *result = (PmResult){0};
}

PmFlow *
pm_flow_new(const PmMachine *machine)
{
    PmDecoder *decoder = machine->decoder_new();
    if (decoder == NULL)
        return NULL;
    PmFlow *flow = g_new0(PmFlow, 1);
    flow->machine = machine;
    flow->decoder = decoder;
    pm_graph_init(&flow->graph);
    pm_exprs_init(&flow->exprs);
    flow->states = g_array_new(FALSE, FALSE, sizeof(PmState));
    flow->visits = g_array_new(FALSE, TRUE, sizeof(guint));
    flow->waiting = g_array_new(FALSE, TRUE, sizeof(guint8));
    flow->at = g_array_new(FALSE, FALSE, sizeof(guint));
    flow->calls = g_array_new(FALSE, FALSE, sizeof(PmFlowCall));
    flow->roles = g_array_new(FALSE, TRUE, sizeof(guint8));
    flow->queue = g_array_new(FALSE, FALSE, sizeof(guint));
    flow->frames = g_array_new(FALSE, TRUE, sizeof(PmFrameGuess));
    flow->numbers = g_array_new(FALSE, FALSE, sizeof(guint64));
    flow->callees = g_array_new(FALSE, TRUE, sizeof(guint64));
    flow->results = g_array_new(FALSE, TRUE, sizeof(PmResult));
    g_array_set_clear_func(flow->results, clear_result);
    return flow;
}

void
pm_flow_free(PmFlow *flow)
{
    if (flow == NULL)
        return;
    flow->machine->decoder_free(flow->decoder);
    pm_graph_clear(&flow->graph);
    pm_exprs_clear(&flow->exprs);
    g_array_unref(flow->states);
    g_array_unref(flow->visits);
    g_array_unref(flow->waiting);
    g_array_unref(flow->at);
    g_array_unref(flow->calls);
    g_array_unref(flow->roles);
    g_array_unref(flow->queue);
    g_array_unref(flow->frames);
    g_array_unref(flow->numbers);
    g_array_unref(flow->callees);
    g_array_unref(flow->results);
    clear_result(&flow->argument);
    g_free(flow);
}

void
pm_flow_reset(PmFlow *flow)
{
    flow->returned = 0;
    g_array_set_size(flow->results, 0);
    clear_result(&flow->argument);
    pm_exprs_reset(&flow->exprs);
    g_array_set_size(flow->calls, 0);
    g_array_set_size(flow->numbers, 0);
    g_array_set_size(flow->callees, 0);
}

PmDecoder *
pm_flow_get_decoder(const PmFlow *flow)
{
    return flow->decoder;
}

struct PmFlowPool {
    const PmMachine *machine;
    GMutex mutex;
    GPtrArray *waiting;
};

PmFlowPool *
pm_flow_pool_new(const PmMachine *machine)
{
    PmFlowPool *pool = g_new0(PmFlowPool, 1);
    pool->machine = machine;
    pool->waiting = g_ptr_array_new_with_free_func((GDestroyNotify)pm_flow_free);
    g_mutex_init(&pool->mutex);
    return pool;
}

void
pm_flow_pool_free(PmFlowPool *pool)
{
    if (pool == NULL)
        return;
    g_ptr_array_unref(pool->waiting);
    g_mutex_clear(&pool->mutex);
    g_free(pool);
}

PmFlow *
pm_flow_pool_take(PmFlowPool *pool)
{
    g_mutex_lock(&pool->mutex);
    PmFlow *flow = pool->waiting->len > 0
                       ? g_ptr_array_steal_index_fast(pool->waiting, pool->waiting->len - 1)
                       : NULL;
    g_mutex_unlock(&pool->mutex);
    return flow != NULL ? flow : pm_flow_new(pool->machine);
}

void
pm_flow_pool_give(PmFlowPool *pool, PmFlow *flow)
{
    if (flow == NULL)
        return;
    g_mutex_lock(&pool->mutex);
    g_ptr_array_add(pool->waiting, flow);
    g_mutex_unlock(&pool->mutex);
}

gboolean
pm_flow_is_unsure(const PmFlow *flow)
{
    return flow->graph.unsure;
}

const GArray *
pm_flow_get_argument_stores(const PmFlow *flow)
{
    return flow->argument.stores;
}

const PmExprs *
pm_flow_get_exprs(const PmFlow *flow)
{
    return &flow->exprs;
}
