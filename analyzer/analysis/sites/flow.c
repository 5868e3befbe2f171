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
/* Calls of one function whose results are told apart. */
#define RESULTS_MAX 64

static void
result_clear(gpointer data)
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
    g_array_set_clear_func(flow->results, result_clear);
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
    result_clear(&flow->argument);
    g_free(flow);
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

/* Whether a jump stays in the function: a loop to its own beginning is no call of it. */
static gboolean
is_inside(const PmFlow *flow, const PmOp *op)
{
    const PmGraph *graph = &flow->graph;
    if (op->a.kind != PM_OPERAND_NONE)
        return FALSE;
    for (guint i = 0; i < graph->range_count; i++)
        if (op->target >= graph->ranges[i].start && op->target < graph->ranges[i].end)
            return TRUE;
    return FALSE;
}

/* What @op calls or jumps to: a function's address or that of the word that holds it; FALSE where
 * that is not known. */
static gboolean
find_callee(const PmFlow *flow, const PmState *state, const PmOp *op, guint64 *ret_target)
{
    if (op->kind != PM_OP_CALL && op->kind != PM_OP_JUMP && op->kind != PM_OP_BRANCH)
        return FALSE;
    *ret_target = op->target;
    if (op->a.kind == PM_OPERAND_NONE)
        return TRUE;
    const PmValue callee = pm_state_read(state, &flow->facts, &op->a);
    if (callee.kind == PM_VALUE_SLOT || callee.kind == PM_VALUE_POINTER) {
        *ret_target = callee.v[0];
        return TRUE;
    }
    if (callee.kind == PM_VALUE_FIELD) {
        *ret_target = pm_field_make(callee.v[0], callee.v[1]);
        return TRUE;
    }
    return pm_value_is_constant(&callee, ret_target);
}

static gboolean
is_one_of(const PmTargets *targets, guint64 target)
{
    return targets != NULL && pm_targets_contain(targets, target);
}

/* The number of the call at @address among the first RESULTS_MAX that were seen, or RESULTS_MAX. */
static guint
number_call(PmFlow *flow, guint64 address)
{
    guint number = 0;
    while (number < flow->numbers->len && g_array_index(flow->numbers, guint64, number) != address)
        number++;
    if (number == flow->numbers->len && number < RESULTS_MAX)
        g_array_append_val(flow->numbers, address);
    return number;
}

/* A pass over block number @block. @collects: it is the last one, whose calls count. */
typedef struct {
    PmFlow *flow;
    guint block;
    gboolean collects;
} Pass;

/* The result of the call of @target at @address, which nobody else has seen yet. */
static PmValue
make_result(PmFlow *flow, PmState *state, guint64 address, guint64 target)
{
    const guint number = number_call(flow, address);
    PmValue result = pm_value_of_kind(PM_VALUE_RESULT, number, 0);
    if (number >= RESULTS_MAX)
        return pm_value_unknown();
    if (flow->callees->len <= number)
        g_array_set_size(flow->callees, number + 1);
    g_array_index(flow->callees, guint64, number) = target;
    result.may = G_GUINT64_CONSTANT(1) << number;
    state->escaped &= ~result.may;
    return result;
}

static PmResult *
get_result(PmFlow *flow, guint number)
{
    if (flow->results->len <= number)
        g_array_set_size(flow->results, number + 1);
    return &g_array_index(flow->results, PmResult, number);
}

/* What is told of the memory that @value points into: of what a call returned, or of what the
 * argument that was asked about points to; NULL for other memory. @ret_offset: into it. */
static PmResult *
find_memory(PmFlow *flow, const PmState *state, const PmValue *value, gint64 *ret_offset,
            gboolean *ret_is_late)
{
    *ret_is_late = FALSE;
    *ret_offset = 0;
    if (!state->reached)
        return NULL;
    if (value->kind == PM_VALUE_RESULT && value->id < RESULTS_MAX) {
        *ret_offset = (gint64)value->v[0];
        *ret_is_late = (state->escaped >> value->id & 1) != 0;
        return get_result(flow, value->id);
    }
    if (value->kind != PM_VALUE_EXPR || !flow->targets->of_argument)
        return NULL;
    const PmExpr *expr = pm_exprs_get(&flow->exprs, value->id);
    if (expr->arguments[0] != flow->targets->argument || expr->arguments[1] != PM_NO_ARGUMENT ||
        expr->widen[0] != PM_WIDEN_NONE || expr->step_count > 1)
        return NULL;
    if (expr->step_count == 1 && expr->steps[0].kind != PM_STEP_ADD)
        return NULL;
    if (expr->step_count == 1)
        *ret_offset = (gint64)expr->steps[0].a;
    return &flow->argument;
}

/* Adds to what is told of the memory at @address, where that is asked. */
static void
add_to_memory(const Pass *pass, const PmState *state, const PmValue *address, PmStore store)
{
    gint64 offset = 0;
    gboolean is_late = FALSE;
    PmResult *memory = find_memory(pass->flow, state, address, &offset, &is_late);
    if (memory == NULL || offset < G_MININT32 / 2 || offset > G_MAXINT32 / 2)
        return;
    pm_flow_mark(pass->flow, pass->block, PM_ROLE_COLLECTS);
    if (!pass->collects)
        return;
    store.offset = (gint32)offset;
    store.is_late = is_late ? 1 : 0;
    if (memory->stores == NULL)
        memory->stores = g_array_new(FALSE, FALSE, sizeof(PmStore));
    pm_stores_add(memory->stores, &store);
}

static void
add_store(const Pass *pass, const PmState *state, const PmValue *address, guint width_bytes,
          const PmValue *value)
{
    const GArray *callees = pass->flow->callees;
    PmStore store = pm_store_make(&pass->flow->exprs, 0, width_bytes, value);
    if (store.kind == PM_STORED_RESULT && value->v[0] == 0 && value->id < callees->len)
        store.value = g_array_index(callees, guint64, value->id);
    else if (store.kind == PM_STORED_RESULT)
        store.kind = PM_STORED_OTHER;
    add_to_memory(pass, state, address, store);
}

/* What is passed to the function or by way of the word @target. */
static void
add_passed(const Pass *pass, const PmState *state, guint64 target)
{
    for (guint i = 0; i < PM_ARGUMENTS; i++) {
        const PmValue *value = &state->registers[pass->flow->machine->arguments[i]];
        const PmStore passed = {.width_bytes = i, .value = target, .kind = PM_STORED_PASSED};
        if (value->kind == PM_VALUE_RESULT || value->kind == PM_VALUE_EXPR)
            add_to_memory(pass, state, value, passed);
    }
}

/* @count times @value of @width_bytes: one store where that is zeros, or of bytes. */
static void
add_fill(const Pass *pass, const PmState *state, const PmValue *address, guint width_bytes,
         const PmValue *value, const PmValue *count)
{
    guint64 number = 0, times = 0;
    PmValue stored = *value;
    guint64 bytes = 0;
    if (!pm_value_is_constant(value, &number) || (width_bytes != 1 && number != 0))
        stored = pm_value_unknown();
    if (!pm_value_is_constant(count, &times) ||
        __builtin_mul_overflow(times, (guint64)width_bytes, &bytes) || bytes > G_MAXINT32)
        bytes = 0;
    /* A few bytes are a number of that width; of more the one byte is told. */
    if (width_bytes == 1 && number != 0 && bytes > 1 && bytes <= 8)
        stored = pm_value_constant((number & 0xff) *
                                   (G_GUINT64_CONSTANT(0x0101010101010101) >> (64 - 8 * bytes)));
    add_store(pass, state, address, (guint)bytes, &stored);
}

/* What @op itself stores. */
static void
note_stores(const Pass *pass, const PmState *state, const PmOp *op)
{
    PmFlow *flow = pass->flow;
    if (op->dst.kind != PM_OPERAND_MEMORY)
        return;
    const PmValue address = pm_state_address(state, &flow->facts, &op->dst);
    if (address.kind != PM_VALUE_RESULT &&
        (address.kind != PM_VALUE_EXPR || !flow->targets->of_argument))
        return;
    const PmValue a = pm_state_read(state, &flow->facts, &op->a);
    const PmValue unknown = pm_value_unknown();
    if (op->kind == PM_OP_FILL) {
        const PmValue count = pm_state_read(state, &flow->facts, &op->b);
        add_fill(pass, state, &address, op->dst.width_bytes, &a, &count);
        return;
    }
    const PmValue full = op->a.kind == PM_OPERAND_REGISTER && op->a.width_bytes == 8
                             ? state->registers[op->a.reg]
                             : a;
    add_store(pass, state, &address, op->dst.width_bytes,
              op->kind == PM_OP_MOVE ? &full : &unknown);
}

/* What a call lets out of this function: what it is passed, but for what fills or copies it. */
static void
note_call(const Pass *pass, PmState *state, guint64 target, gboolean passes)
{
    PmFlow *flow = pass->flow;
    const guint8 *arguments = flow->machine->arguments;
    for (guint i = passes ? 1 : 0; i < PM_ARGUMENTS; i++)
        state->escaped |= state->registers[arguments[i]].may;
    if (passes && is_one_of(flow->targets->filling, target)) {
        PmValue byte = pm_value_truncate(&flow->exprs, &state->registers[arguments[1]], 1);
        add_fill(pass, state, &state->registers[arguments[0]], 1, &byte,
                 &state->registers[arguments[2]]);
    }
}

/* What may stand in the index: nothing that speaks of this function's stack. */
static PmValue
make_argument(const PmValue *value)
{
    PmValue argument = *value;
    argument.may = 0;
    switch ((PmValueKind)value->kind) {
    case PM_VALUE_SET:
    case PM_VALUE_RANGE:
    case PM_VALUE_EXPR:
    case PM_VALUE_POINTER:
        return argument;
    default:
        return pm_value_unknown();
    }
}

static void
collect(PmFlow *flow, const PmState *state, const PmOp *op, guint64 target)
{
    PmFlowCall call = {
        .address = op->address,
        .after = op->address + op->length,
        .target = target,
        .is_tail = op->kind != PM_OP_CALL,
    };
    for (guint i = 0; i < PM_ARGUMENTS; i++) {
        call.arguments[i] = state->reached
                                ? make_argument(&state->registers[flow->machine->arguments[i]])
                                : pm_value_unknown();
    }
    g_array_append_val(flow->calls, call);
}

/* What the function returns, where that is the result of a call. */
static void
note_return(PmFlow *flow, const PmValue *value)
{
    flow->returned |= value->may;
    if (value->kind != PM_VALUE_RESULT || value->id >= RESULTS_MAX)
        return;
    PmResult *result = get_result(flow, value->id);
    const gint64 offset = (gint64)value->v[0];
    const gboolean fits = offset > G_MININT32 && offset <= G_MAXINT32;
    const gint32 found = fits ? (gint32)offset : PM_OFFSET_UNKNOWN;
    result->offset = !result->has_offset || result->offset == found ? found : PM_OFFSET_UNKNOWN;
    result->has_offset = TRUE;
}

static void
step(const Pass *pass, PmState *state, const PmOp *op)
{
    PmFlow *flow = pass->flow;
    const PmValue first = state->registers[flow->machine->arguments[0]];
    PmValue result = pm_value_unknown();
    guint64 target = 0;
    const gboolean known = find_callee(flow, state, op, &target);
    const gboolean passes = known && is_one_of(flow->targets->passing, target);
    const gboolean wanted = known && is_one_of(flow->targets->wanted, target);
    note_stores(pass, state, op);
    if (known && !passes && !wanted && op->kind != PM_OP_BRANCH &&
        (op->kind == PM_OP_CALL || !is_inside(flow, op)))
        add_passed(pass, state, target);
    if (op->kind == PM_OP_CALL || passes)
        note_call(pass, state, target, passes);
    if (passes)
        result = first;
    if (passes || wanted || op->kind == PM_OP_RETURN)
        pm_flow_mark(flow, pass->block, PM_ROLE_COLLECTS);
    if (wanted && pass->collects && (op->kind == PM_OP_CALL || !is_inside(flow, op)))
        collect(flow, state, op, target);
    if (wanted && op->kind == PM_OP_CALL)
        result = make_result(flow, state, op->address, target);
    if (pass->collects && state->reached) {
        if (op->kind == PM_OP_RETURN)
            note_return(flow, &state->registers[flow->machine->result]);
        else if (passes && op->kind != PM_OP_CALL)
            note_return(flow, &first);
    }
    pm_state_apply(state, &flow->facts, op, &result);
}

/* Runs a block on @state. Returns: its last operation. */
static const PmOp *
run_block(const Pass *pass, const PmBlock *block, PmState *state)
{
    const PmGraph *graph = &pass->flow->graph;
    const gboolean reached = state->reached;
    gboolean misread = FALSE;
    for (guint i = block->first; i < block->first + block->count; i++) {
        const PmOp *op = pm_graph_op(graph, i);
        step(pass, state, op);
        misread = misread || op->unsure;
        if (misread)
            pm_state_forget(state, &pass->flow->facts);
        state->reached = reached;
    }
    return pm_graph_op(graph, block->first + block->count - 1);
}

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
    const Pass pass = {flow, index, FALSE};
    const PmBlock *block = pm_graph_block(&flow->graph, index);
    PmState state;
    g_array_index(flow->visits, guint, index)++;
    pm_state_copy(&state, get_state(flow, index), &flow->facts);
    const PmOp *last = run_block(&pass, block, &state);
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
    const guint number = number_call(flow, call->address);
    call->is_returned =
        call->is_tail || (number < RESULTS_MAX && (flow->returned >> number & 1) != 0);
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
        const Pass pass = {flow, i, TRUE};
        const gboolean reached = solved && get_state(flow, i)->reached;
        const guint needed = reached ? PM_ROLE_COLLECTS : PM_ROLE_CALLS;
        if ((g_array_index(flow->roles, guint8, i) & needed) == 0)
            continue;
        if (reached)
            pm_state_copy(&state, get_state(flow, i), &flow->facts);
        else
            begin_unreached(flow, &state, solved);
        run_block(&pass, pm_graph_block(graph, i), &state);
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
    flow->returned = 0;
    g_array_set_size(flow->results, 0);
    result_clear(&flow->argument);
    pm_exprs_reset(&flow->exprs);
    g_array_set_size(flow->calls, 0);
    g_array_set_size(flow->numbers, 0);
    g_array_set_size(flow->callees, 0);
    pm_graph_build(&flow->graph, flow->machine, flow->decoder, function, targets->endless);
    const gboolean solvable = flow->graph.blocks->len <= PM_BLOCKS_MAX && !flow->graph.unsure;
    pm_flow_assign_roles(flow);
    if (solvable)
        solve(flow);
    else
        flow->facts.escapes[0] = flow->facts.escapes[1] = G_MININT64;
    collect_all(flow, solvable);
    return flow->calls;
}
