/*
 * What one operation does to a state, and what it tells of calls and of the memory that they
 * return; see flow-private.h.
 */
#include "analysis/sites/flow-private.h"

#include "analysis/sites/scale.h"

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

guint
pm_flow_number_call(PmFlow *flow, guint64 address)
{
    guint number = 0;
    while (number < flow->numbers->len && g_array_index(flow->numbers, guint64, number) != address)
        number++;
    if (number == flow->numbers->len && number < PM_FLOW_RESULTS_MAX)
        g_array_append_val(flow->numbers, address);
    return number;
}

/* The result of the call of @target at @address, which nobody else has seen yet. */
static PmValue
make_result(PmFlow *flow, PmState *state, guint64 address, guint64 target)
{
    const guint number = pm_flow_number_call(flow, address);
    PmValue result = pm_value_of_kind(PM_VALUE_RESULT, number, 0);
    if (number >= PM_FLOW_RESULTS_MAX)
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

/* Whether @value points into what the argument that was asked about points to. */
static gboolean
find_in_argument(const PmFlow *flow, const PmValue *value, gint64 *ret_offset)
{
    if (value->kind != PM_VALUE_EXPR || !flow->targets->of_argument)
        return FALSE;
    const PmExpr *expr = pm_exprs_get(&flow->exprs, value->id);
    if (expr->arguments[0] != flow->targets->argument || expr->arguments[1] != PM_NO_ARGUMENT ||
        expr->widen[0] != PM_WIDEN_NONE || expr->step_count > 1)
        return FALSE;
    if (expr->step_count == 1 && expr->steps[0].kind != PM_STEP_ADD)
        return FALSE;
    *ret_offset = expr->step_count == 1 ? (gint64)expr->steps[0].a : 0;
    return TRUE;
}

static void
add_to_result(PmResult *result, const PmStore *store)
{
    if (result->stores == NULL)
        result->stores = g_array_new(FALSE, FALSE, sizeof(PmStore));
    pm_stores_add(result->stores, store);
}

/* Adds to what is told of the memory at @address: what each of the calls returned that it may be
 * from, or what the argument that was asked about points to. */
static void
add_to_memory(const PmFlowPass *pass, const PmState *state, const PmValue *address, PmStore store)
{
    PmFlow *flow = pass->flow;
    const gboolean is_result = address->kind == PM_VALUE_RESULT;
    gint64 offset = (gint64)address->v[0];
    if (!state->reached || (!is_result && !find_in_argument(flow, address, &offset)) ||
        offset < G_MININT32 / 2 || offset > G_MAXINT32 / 2)
        return;
    pm_flow_mark(flow, pass->block, PM_ROLE_COLLECTS);
    if (!pass->collects)
        return;
    store.offset = (gint32)offset;
    if (!is_result)
        add_to_result(&flow->argument, &store);
    for (guint64 left = is_result ? address->may : 0; left != 0; left &= left - 1) {
        const guint number = (guint)__builtin_ctzll(left);
        store.is_late = (state->escaped >> number & 1) != 0;
        add_to_result(get_result(flow, number), &store);
    }
}

static void
add_store(const PmFlowPass *pass, const PmState *state, const PmValue *address, guint width_bytes,
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
add_passed(const PmFlowPass *pass, const PmState *state, guint64 target)
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
add_fill(const PmFlowPass *pass, const PmState *state, const PmValue *address, guint width_bytes,
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
note_stores(const PmFlowPass *pass, const PmState *state, const PmOp *op)
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
note_call(const PmFlowPass *pass, PmState *state, guint64 target, gboolean passes)
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
make_argument(const PmFlow *flow, const PmValue *value)
{
    const PmValue unknown = pm_value_unknown();
    PmValue argument = *value;
    argument.may = 0;
    switch ((PmValueKind)value->kind) {
    case PM_VALUE_SET:
    case PM_VALUE_RANGE:
    case PM_VALUE_EXPR:
    case PM_VALUE_POINTER:
        return argument;
    default:
        return pm_scale_set(&unknown, pm_scale_get(&flow->exprs, value));
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
        call.arguments[i] =
            state->reached ? make_argument(flow, &state->registers[flow->machine->arguments[i]])
                           : pm_value_unknown();
    }
    g_array_append_val(flow->calls, call);
}

/* What the function returns, where that is the result of a call, or of one of several. */
static void
note_return(PmFlow *flow, const PmValue *value)
{
    flow->returned |= value->may;
    if (value->kind != PM_VALUE_RESULT)
        return;
    const gint64 offset = (gint64)value->v[0];
    const gboolean fits = offset > G_MININT32 && offset <= G_MAXINT32;
    const gint32 found = fits ? (gint32)offset : PM_OFFSET_UNKNOWN;
    for (guint64 left = value->may; left != 0; left &= left - 1) {
        PmResult *result = get_result(flow, (guint)__builtin_ctzll(left));
        result->offset = !result->has_offset || result->offset == found ? found : PM_OFFSET_UNKNOWN;
        result->has_offset = TRUE;
    }
}

static void
step(const PmFlowPass *pass, PmState *state, const PmOp *op)
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

const PmOp *
pm_flow_run_block(const PmFlowPass *pass, const PmBlock *block, PmState *state)
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
