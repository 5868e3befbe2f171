/*
 * The fixed point over a function's blocks; see flow.h. Blocks are taken in reverse postorder, so
 * that outside of loops each is seen once, with all that leads to it. What nothing is seen to lead
 * to (exception handlers, targets of jump tables that were not found) begins with nothing known.
 */
#include "analysis/sites/flow-private.h"

#include <string.h>

/* A block that is looked at anew so often is in a loop that changes something. */
#define VISITS_MAX 2
/* Each time an address of the stack escapes lower down, all is done again. */
#define ESCAPE_ROUNDS_MAX 6
/* Ways from jumps through tables to their targets, of a function in which they share a hub. */
#define HUB_WAYS_MIN 4096

static PmState *
get_state(const PmFlow *flow, guint block)
{
    return &g_array_index(flow->states, PmState, block);
}

static void
wake(PmFlow *flow, guint block)
{
    g_array_index(flow->waiting, guint8, pm_graph_block(&flow->graph, block)->order) = 1;
}

static void
join_into(PmFlow *flow, guint block, const PmState *state)
{
    const guint visits = g_array_index(flow->visits, guint, block);
    if ((g_array_index(flow->roles, guint8, block) & PM_ROLES_OF_WAYS) == 0)
        return;
    if (pm_state_join(get_state(flow, block), state, &flow->facts, visits >= VISITS_MAX))
        wake(flow, block);
}

static void
join_where(PmFlow *flow, guint block, const PmState *state, const PmOp *branch, gboolean holds)
{
    PmState there;
    pm_state_copy(&there, state, &flow->facts);
    if (pm_state_assume(&there, &flow->facts, (PmCondition)branch->condition, holds))
        join_into(flow, block, &there);
}

/* From a jump through a table to all where that may lead. */
static void
join_ways(PmFlow *flow, const PmFlowHub *hub, const PmState *state)
{
    const PmGraph *graph = &flow->graph;
    for (guint i = 0; hub == &flow->table && i < graph->table_targets->len; i++)
        join_into(flow, g_array_index(graph->table_targets, guint, i), state);
    for (guint i = 0; hub == &flow->anywhere && i < graph->blocks->len; i++)
        if (!pm_graph_block(graph, i)->is_padding)
            join_into(flow, i, state);
}

/*
 * A jump through a register or memory. Where the stack is as it was at entry, and no table was
 * found, it is the call of another function that returns for this one; otherwise it leads anywhere
 * in this one.
 */
static void
join_through_table(PmFlow *flow, const PmState *state)
{
    const PmValue *stack = &state->registers[flow->machine->stack];
    const gboolean has_table = flow->graph.table_targets->len > 0;
    PmFlowHub *hub = has_table ? &flow->table : &flow->anywhere;
    if (!has_table && stack->kind == PM_VALUE_STACK && stack->id == 0 && stack->v[0] == 0)
        return;
    if (!hub->is_used)
        join_ways(flow, hub, state);
    else if (pm_state_join(&hub->state, state, &flow->facts, hub->rounds >= VISITS_MAX))
        hub->has_news = TRUE;
}

/* Passes on what came to a hub. Returns: whether anything did. */
static gboolean
pass_on(PmFlow *flow, PmFlowHub *hub)
{
    if (!hub->has_news)
        return FALSE;
    hub->has_news = FALSE;
    hub->rounds++;
    join_ways(flow, hub, &hub->state);
    return TRUE;
}

static void
prepare_hubs(PmFlow *flow)
{
    const PmGraph *graph = &flow->graph;
    guint64 jumps = 0;
    for (guint i = 0; i < graph->blocks->len; i++)
        jumps += pm_graph_block(graph, i)->through_table ? 1 : 0;
    PmFlowHub *hubs[] = {&flow->table, &flow->anywhere};
    const guint64 ways[] = {graph->table_targets->len, graph->blocks->len};
    for (guint i = 0; i < G_N_ELEMENTS(hubs); i++) {
        hubs[i]->is_used = jumps * ways[i] >= HUB_WAYS_MIN;
        hubs[i]->has_news = hubs[i]->state.reached = FALSE;
        hubs[i]->rounds = 0;
    }
}

/* Remembers of a branch which of its ways is that of an allocation that failed. */
static void
note_null_way(PmFlow *flow, guint index, const PmState *state, const PmOp *last)
{
    guint8 *roles = &g_array_index(flow->roles, guint8, index);
    const PmComparison *comparison = &state->comparison;
    *roles &= (guint8) ~(PM_ROLE_NULL_TARGET | PM_ROLE_NULL_NEXT);
    if (last->kind != PM_OP_BRANCH || !comparison->known || comparison->b != 0 ||
        comparison->a.kind != PM_VALUE_RESULT || comparison->a.v[0] != 0)
        return;
    if (last->condition == PM_WHEN_EQUAL)
        *roles |= PM_ROLE_NULL_TARGET;
    else if (last->condition == PM_WHEN_UNEQUAL)
        *roles |= PM_ROLE_NULL_NEXT;
}

static void
visit(PmFlow *flow, guint index)
{
    const PmFlowPass pass = {flow, index, FALSE};
    const PmBlock *block = pm_graph_block(&flow->graph, index);
    PmState state;
    g_array_index(flow->visits, guint, index)++;
    pm_state_copy(&state, get_state(flow, index), &flow->facts);
    const PmOp *last = pm_flow_run_block(&pass, block, &state);
    const gboolean branches = last->kind == PM_OP_BRANCH;
    note_null_way(flow, index, &state, last);
    if (block->target != PM_NO_BLOCK && branches)
        join_where(flow, block->target, &state, last, TRUE);
    else if (block->target != PM_NO_BLOCK)
        join_into(flow, block->target, &state);
    if (block->next != PM_NO_BLOCK && branches)
        join_where(flow, block->next, &state, last, FALSE);
    else if (block->next != PM_NO_BLOCK)
        join_into(flow, block->next, &state);
    if (block->through_table)
        join_through_table(flow, &state);
}

static void
seed(PmFlow *flow)
{
    const PmGraph *graph = &flow->graph;
    for (guint i = 0; i < graph->blocks->len; i++) {
        const PmBlock *block = pm_graph_block(graph, i);
        PmState *state = get_state(flow, i);
        state->reached = FALSE;
        g_array_index(flow->visits, guint, i) = 0;
        if ((g_array_index(flow->roles, guint8, i) & PM_ROLES_OF_WAYS) == 0) {
            g_array_index(flow->waiting, guint8, block->order) = 0;
            continue;
        }
        if (i == graph->entry)
            pm_state_enter(state, &flow->facts);
        else if (!block->has_way && !block->is_padding)
            pm_state_forget(state, &flow->facts);
        g_array_index(flow->waiting, guint8, block->order) = state->reached ? 1 : 0;
    }
}

static void
find_fixed_point(PmFlow *flow)
{
    const guint count = flow->graph.blocks->len;
    seed(flow);
    prepare_hubs(flow);
    for (;;) {
        const guint8 *all = (const guint8 *)flow->waiting->data;
        const guint8 *next = memchr(all, 1, count);
        if (next == NULL && (pass_on(flow, &flow->table) || pass_on(flow, &flow->anywhere)))
            continue;
        if (next == NULL)
            return;
        const guint order = (guint)(next - all);
        flow->waiting->data[order] = 0;
        visit(flow, g_array_index(flow->at, guint, order));
    }
}

static void
prepare(PmFlow *flow)
{
    const PmGraph *graph = &flow->graph;
    const guint count = graph->blocks->len;
    g_array_set_size(flow->states, count);
    g_array_set_size(flow->visits, count);
    g_array_set_size(flow->waiting, count);
    g_array_set_size(flow->at, count);
    for (guint i = 0; i < count; i++)
        g_array_index(flow->at, guint, pm_graph_block(graph, i)->order) = i;
}

/* The fixed point for what escapes, from none on: what is found to escape is taken into account
 * from the start. */
static void
solve(PmFlow *flow)
{
    PmFrameFacts *facts = &flow->facts;
    prepare(flow);
    pm_flow_mark_behind(flow);
    pm_flow_mark_before(flow);
    pm_flow_guess_escapes(flow);
    for (guint round = 0; round <= ESCAPE_ROUNDS_MAX; round++) {
        const gint64 before[PM_STACK_BASES] = {facts->escapes[0], facts->escapes[1]};
        find_fixed_point(flow);
        if (memcmp(before, facts->escapes, sizeof before) == 0)
            return;
        if (round + 1 == ESCAPE_ROUNDS_MAX)
            facts->escapes[0] = facts->escapes[1] = G_MININT64;
    }
}

static gint
compare_calls(gconstpointer a, gconstpointer b)
{
    const guint64 left = ((const PmFlowCall *)a)->address;
    const guint64 right = ((const PmFlowCall *)b)->address;
    return left < right ? -1 : left > right;
}

/* What a block that was not reached is taken to begin with; its calls are there all the same. */
static void
begin_unreached(const PmFlow *flow, PmState *state, gboolean solved)
{
    pm_state_forget(state, &flow->facts);
    state->reached = !solved;
}

static gboolean
depends_on_caller(const PmFlowCall *call)
{
    for (guint i = 0; i < PM_ARGUMENTS; i++)
        if (call->arguments[i].kind == PM_VALUE_EXPR)
            return TRUE;
    return FALSE;
}

/* Adds to a call what became of its result. */
static void
complete_call(PmFlow *flow, PmFlowCall *call)
{
    const guint number = pm_flow_number_call(flow, call->address);
    call->is_returned =
        call->is_tail || (number < PM_FLOW_RESULTS_MAX && (flow->returned >> number & 1) != 0);
    call->returned_offset = call->is_tail ? 0 : PM_OFFSET_UNKNOWN;
    call->is_sure =
        !call->is_returned && depends_on_caller(call) && pm_flow_is_sure(flow, call->address);
    if (call->is_tail || number >= flow->results->len)
        return;
    const PmResult *result = &g_array_index(flow->results, PmResult, number);
    if (result->has_offset)
        call->returned_offset = result->offset;
    if (result->stores != NULL) {
        call->stores = (const PmStore *)(gconstpointer)result->stores->data;
        call->store_count = result->stores->len;
    }
}

/* Collects the calls of each block, from what was found, or from nothing. */
static void
collect_all(PmFlow *flow, gboolean solved)
{
    const PmGraph *graph = &flow->graph;
    PmState state;
    for (guint i = 0; i < graph->blocks->len; i++) {
        const PmFlowPass pass = {flow, i, TRUE};
        const gboolean reached = solved && get_state(flow, i)->reached;
        const guint needed = reached ? PM_ROLE_COLLECTS : PM_ROLE_CALLS;
        if ((g_array_index(flow->roles, guint8, i) & needed) == 0)
            continue;
        if (reached)
            pm_state_copy(&state, get_state(flow, i), &flow->facts);
        else
            begin_unreached(flow, &state, solved);
        pm_flow_run_block(&pass, pm_graph_block(graph, i), &state);
    }
    for (guint i = 0; i < flow->calls->len; i++)
        complete_call(flow, &g_array_index(flow->calls, PmFlowCall, i));
    g_array_sort(flow->calls, compare_calls);
}

const GArray *
pm_flow_run(PmFlow *flow, const PmFunctionCode *function, const PmFlowTargets *targets)
{
    flow->targets = targets;
    flow->function = function;
    flow->facts = (PmFrameFacts){
        .machine = flow->machine,
        .exprs = &flow->exprs,
        .escapes = {G_MAXINT64, G_MAXINT64},
    };
    pm_flow_reset(flow);
    pm_graph_build(&flow->graph, flow->machine, flow->decoder, function, targets->endless);
    const guint blocks = flow->graph.blocks->len;
    const gboolean solvable = blocks > 0 && blocks <= PM_BLOCKS_MAX && !flow->graph.unsure;
    pm_flow_assign_roles(flow);
    if (solvable)
        solve(flow);
    else
        flow->facts.escapes[0] = flow->facts.escapes[1] = G_MININT64;
    collect_all(flow, solvable);
    return flow->calls;
}
