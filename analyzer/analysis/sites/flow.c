/*
 * The fixed point over a function's blocks; see flow.h. Blocks are taken in reverse postorder, so
 * that outside of loops each is seen once, with all that leads to it. What nothing is seen to lead
 * to (exception handlers, targets of jump tables that were not found) begins with nothing known.
 */
#include "analysis/sites/flow.h"

#include <string.h>

/* A block that is looked at anew so often is in a loop that changes something. */
#define VISITS_MAX 2
/* Each time an address of the stack escapes lower down, all is done again. */
#define ESCAPE_ROUNDS_MAX 6
/* Calls of one function whose results are told apart. */
#define RESULTS_MAX 64

/* Where the stack pointer and one copy of it stand, at the beginning of a block. */
typedef struct {
    gboolean known;
    gboolean copied;
    guint8 copy;
    gint64 stack;
    gint64 frame;
} Frame;

/* A block's part in what is asked: a wanted call may be in it, may be reached from it, may have
 * been before it; and it has something to collect. Blocks without the first three are left out. */
#define ROLE_CALLS    1U
#define ROLE_BEFORE   2U
#define ROLE_BEHIND   4U
#define ROLE_COLLECTS 8U
#define ROLES_OF_WAYS (ROLE_CALLS | ROLE_BEFORE | ROLE_BEHIND)

struct PmFlow {
    const PmMachine *machine;
    PmDecoder *decoder;
    PmGraph graph;
    PmExprs exprs;
    PmFrameFacts facts;
    GArray *states;  /* PmState at the beginning of each block */
    GArray *visits;  /* guint of each block */
    GArray *waiting; /* guint8 by order */
    GArray *at;      /* guint: the block of each order */
    GArray *calls;   /* PmFlowCall */
    GArray *roles;   /* guint8 of each block: ROLE_… */
    GArray *queue;   /* guint: blocks, for walks over the graph */
    GArray *frames;  /* Frame of each block */
    GArray *numbers; /* guint64: addresses of calls in the order in which they were seen */
    guint64 returned;
    const PmFlowTargets *targets;
};

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
    flow->frames = g_array_new(FALSE, TRUE, sizeof(Frame));
    flow->numbers = g_array_new(FALSE, FALSE, sizeof(guint64));
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
    g_free(flow);
}

gboolean
pm_flow_is_unsure(const PmFlow *flow)
{
    return flow->graph.unsure;
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

static PmValue
make_result(PmFlow *flow, guint64 address)
{
    const guint number = number_call(flow, address);
    PmValue result = pm_value_of_kind(PM_VALUE_RESULT, number, 0);
    if (number >= RESULTS_MAX)
        return pm_value_unknown();
    result.may = G_GUINT64_CONSTANT(1) << number;
    return result;
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

/* A pass over block number @block. @collects: it is the last one, whose calls count. */
typedef struct {
    PmFlow *flow;
    guint block;
    gboolean collects;
} Pass;

static void
mark(PmFlow *flow, guint block, guint role)
{
    g_array_index(flow->roles, guint8, block) |= (guint8)role;
}

static void
step(const Pass *pass, PmState *state, const PmOp *op)
{
    PmFlow *flow = pass->flow;
    const PmValue *registers = state->registers;
    const PmValue *first = &registers[flow->machine->arguments[0]];
    PmValue result = pm_value_unknown();
    guint64 target = 0;
    const gboolean known = find_callee(flow, state, op, &target);
    const gboolean passes = known && is_one_of(flow->targets->passing, target);
    if (passes)
        result = *first;
    if (passes || op->kind == PM_OP_RETURN)
        mark(flow, pass->block, ROLE_COLLECTS);
    if (known && is_one_of(flow->targets->wanted, target)) {
        mark(flow, pass->block, ROLE_COLLECTS);
        if (pass->collects && (op->kind == PM_OP_CALL || !is_inside(flow, op)))
            collect(flow, state, op, target);
        if (op->kind == PM_OP_CALL)
            result = make_result(flow, op->address);
    }
    if (pass->collects && state->reached) {
        if (op->kind == PM_OP_RETURN)
            flow->returned |= registers[flow->machine->result].may;
        else if (passes && op->kind != PM_OP_CALL)
            flow->returned |= first->may;
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
    if ((g_array_index(flow->roles, guint8, block) & ROLES_OF_WAYS) == 0)
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

/*
 * A jump through a register or memory. Where the stack is as it was at entry, and no table was
 * found, it is the call of another function that returns for this one; otherwise it leads anywhere
 * in this one.
 */
static void
join_through_table(PmFlow *flow, const PmState *state)
{
    const PmGraph *graph = &flow->graph;
    const PmValue *stack = &state->registers[flow->machine->stack];
    for (guint i = 0; i < graph->table_targets->len; i++)
        join_into(flow, g_array_index(graph->table_targets, guint, i), state);
    if (graph->table_targets->len > 0 ||
        (stack->kind == PM_VALUE_STACK && stack->id == 0 && stack->v[0] == 0))
        return;
    for (guint i = 0; i < graph->blocks->len; i++)
        if (!pm_graph_block(graph, i)->is_padding)
            join_into(flow, i, state);
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
        if ((g_array_index(flow->roles, guint8, i) & ROLES_OF_WAYS) == 0) {
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
    for (;;) {
        const guint8 *all = (const guint8 *)flow->waiting->data;
        const guint8 *next = memchr(all, 1, count);
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

/* Whether @operand names one of the wanted words or functions. */
static gboolean
names_wanted(const PmFlow *flow, const PmOperand *operand)
{
    return operand->kind == PM_OPERAND_MEMORY && operand->is_absolute &&
           pm_targets_contain(flow->targets->wanted, operand->number);
}

/* Whether a wanted function's address is taken into a register, so that any call through one may be
 * its. */
static gboolean
takes_wanted(const PmFlow *flow)
{
    const PmGraph *graph = &flow->graph;
    for (guint i = 0; i < graph->ops->len; i++) {
        const PmOp *op = pm_graph_op(graph, i);
        if (op->kind != PM_OP_CALL && op->kind != PM_OP_JUMP && names_wanted(flow, &op->a))
            return TRUE;
        if (op->kind == PM_OP_MOVE && op->a.kind == PM_OPERAND_NUMBER &&
            pm_targets_contain(flow->targets->wanted, op->a.number))
            return TRUE;
    }
    return FALSE;
}

static gboolean
may_call_wanted(const PmFlow *flow, const PmOp *op, gboolean takes)
{
    if (op->kind != PM_OP_CALL && op->kind != PM_OP_JUMP && op->kind != PM_OP_BRANCH)
        return FALSE;
    if (op->a.kind == PM_OPERAND_NONE)
        return pm_targets_contain(flow->targets->wanted, op->target);
    return takes || names_wanted(flow, &op->a);
}

static void
queue_block(PmFlow *flow, guint block, guint role)
{
    if (block == PM_NO_BLOCK || (g_array_index(flow->roles, guint8, block) & role) != 0)
        return;
    mark(flow, block, role);
    g_array_append_val(flow->queue, block);
}

/* Marks what is reached from blocks with calls, themselves included. */
static void
mark_behind(PmFlow *flow)
{
    const PmGraph *graph = &flow->graph;
    for (guint i = 0; i < graph->blocks->len; i++)
        if ((g_array_index(flow->roles, guint8, i) & ROLE_CALLS) != 0)
            queue_block(flow, i, ROLE_BEHIND);
    while (flow->queue->len > 0) {
        const guint at = g_array_index(flow->queue, guint, flow->queue->len - 1);
        g_array_set_size(flow->queue, flow->queue->len - 1);
        const PmBlock *block = pm_graph_block(graph, at);
        queue_block(flow, block->next, ROLE_BEHIND);
        queue_block(flow, block->target, ROLE_BEHIND);
        for (guint i = 0; block->through_table && i < graph->table_targets->len; i++)
            queue_block(flow, g_array_index(graph->table_targets, guint, i), ROLE_BEHIND);
    }
}

static gboolean
has_role(const PmFlow *flow, guint block, guint role)
{
    return block != PM_NO_BLOCK && (g_array_index(flow->roles, guint8, block) & role) != 0;
}

/* Whether a way leads from @block to one with @role. */
static gboolean
leads_to(const PmFlow *flow, const PmBlock *block, guint role)
{
    const GArray *tables = flow->graph.table_targets;
    if (has_role(flow, block->next, role) || has_role(flow, block->target, role))
        return TRUE;
    for (guint i = 0; block->through_table && i < tables->len; i++)
        if (has_role(flow, g_array_index(tables, guint, i), role))
            return TRUE;
    /* Where no table was found it may lead anywhere. */
    return block->through_table && tables->len == 0;
}

/* Marks what leads to blocks with calls, against the order in which blocks are taken. */
static void
mark_before(PmFlow *flow)
{
    gboolean changed = TRUE;
    while (changed) {
        changed = FALSE;
        for (guint order = flow->at->len; order > 0; order--) {
            const guint at = g_array_index(flow->at, guint, order - 1);
            if (has_role(flow, at, ROLE_CALLS | ROLE_BEFORE) ||
                !leads_to(flow, pm_graph_block(&flow->graph, at), ROLE_CALLS | ROLE_BEFORE))
                continue;
            mark(flow, at, ROLE_BEFORE);
            changed = TRUE;
        }
    }
}

static void
assign_roles(PmFlow *flow)
{
    const PmGraph *graph = &flow->graph;
    const gboolean takes = takes_wanted(flow);
    g_array_set_size(flow->roles, graph->blocks->len);
    memset(flow->roles->data, 0, flow->roles->len);
    for (guint i = 0; i < graph->blocks->len; i++) {
        const PmBlock *block = pm_graph_block(graph, i);
        for (guint j = block->first; j < block->first + block->count; j++)
            if (may_call_wanted(flow, pm_graph_op(graph, j), takes))
                mark(flow, i, ROLE_CALLS);
    }
}

/* What @op does to them; the lowest address that it takes of the stack goes to *lowest. */
static void
follow_frame(const PmFlow *flow, const PmOp *op, Frame *frame, gint64 *lowest)
{
    const guint8 stack = flow->machine->stack;
    const gint64 number = (gint64)op->b.number;
    const gboolean writes_stack = op->dst.kind == PM_OPERAND_REGISTER && op->dst.reg == stack;
    if (op->kind == PM_OP_MOVE && op->dst.kind == PM_OPERAND_REGISTER &&
        op->a.kind == PM_OPERAND_REGISTER && op->a.reg == stack && !frame->copied) {
        frame->copied = TRUE;
        frame->copy = op->dst.reg;
        frame->frame = frame->stack;
    } else if (writes_stack && op->kind == PM_OP_MOVE && frame->copied &&
               op->a.kind == PM_OPERAND_REGISTER && op->a.reg == frame->copy) {
        frame->stack = frame->frame;
    } else if (writes_stack && op->b.kind == PM_OPERAND_NUMBER &&
               (op->kind == PM_OP_ADD || op->kind == PM_OP_SUBTRACT)) {
        frame->stack += op->kind == PM_OP_ADD ? number : -number;
    } else if (op->kind == PM_OP_ADDRESS && !writes_stack && !op->a.is_absolute &&
               (op->a.reg == stack || (frame->copied && op->a.reg == frame->copy))) {
        const gint64 base = op->a.reg == stack ? frame->stack : frame->frame;
        *lowest = MIN(*lowest, base + (gint64)op->a.number);
    }
}

/*
 * A first guess of what escapes, so that the fixed point need not be sought twice: the addresses
 * that are plainly taken of the frame, on the first way to each block.
 */
static void
guess_escapes(PmFlow *flow)
{
    const PmGraph *graph = &flow->graph;
    gint64 lowest = G_MAXINT64;
    g_array_set_size(flow->frames, graph->blocks->len);
    memset(flow->frames->data, 0, graph->blocks->len * sizeof(Frame));
    if (graph->entry == PM_NO_BLOCK)
        return;
    g_array_index(flow->frames, Frame, graph->entry).known = TRUE;
    for (guint order = 0; order < flow->at->len; order++) {
        const guint at = g_array_index(flow->at, guint, order);
        const PmBlock *block = pm_graph_block(graph, at);
        Frame frame = g_array_index(flow->frames, Frame, at);
        if (!frame.known)
            continue;
        for (guint i = block->first; i < block->first + block->count; i++)
            follow_frame(flow, pm_graph_op(graph, i), &frame, &lowest);
        const guint ways[] = {block->next, block->target};
        for (gsize i = 0; i < G_N_ELEMENTS(ways); i++)
            if (ways[i] != PM_NO_BLOCK && !g_array_index(flow->frames, Frame, ways[i]).known)
                g_array_index(flow->frames, Frame, ways[i]) = frame;
    }
    flow->facts.escapes[0] = lowest;
}

/* The fixed point for what escapes, from none on: what is found to escape is taken into account
 * from the start. */
static void
solve(PmFlow *flow)
{
    PmFrameFacts *facts = &flow->facts;
    prepare(flow);
    mark_behind(flow);
    mark_before(flow);
    guess_escapes(flow);
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

/* Collects the calls of each block, from what was found, or from nothing. */
static void
collect_all(PmFlow *flow, gboolean solved)
{
    const PmGraph *graph = &flow->graph;
    PmState state;
    for (guint i = 0; i < graph->blocks->len; i++) {
        const Pass pass = {flow, i, TRUE};
        const gboolean reached = solved && get_state(flow, i)->reached;
        const guint needed = reached ? ROLE_COLLECTS : ROLE_CALLS;
        if ((g_array_index(flow->roles, guint8, i) & needed) == 0)
            continue;
        if (reached)
            pm_state_copy(&state, get_state(flow, i), &flow->facts);
        else
            begin_unreached(flow, &state, solved);
        run_block(&pass, pm_graph_block(graph, i), &state);
    }
    for (guint i = 0; i < flow->calls->len; i++) {
        PmFlowCall *call = &g_array_index(flow->calls, PmFlowCall, i);
        const guint number = number_call(flow, call->address);
        call->is_returned =
            call->is_tail || (number < RESULTS_MAX && (flow->returned >> number & 1) != 0);
    }
    g_array_sort(flow->calls, compare_calls);
}

const GArray *
pm_flow_run(PmFlow *flow, const PmFunctionCode *function, const PmFlowTargets *targets)
{
    flow->targets = targets;
    flow->facts = (PmFrameFacts){
        .machine = flow->machine,
        .exprs = &flow->exprs,
        .escapes = {G_MAXINT64, G_MAXINT64},
    };
    flow->returned = 0;
    pm_exprs_reset(&flow->exprs);
    g_array_set_size(flow->calls, 0);
    g_array_set_size(flow->numbers, 0);
    pm_graph_build(&flow->graph, flow->machine, flow->decoder, function, targets->endless);
    const gboolean solvable = flow->graph.blocks->len <= PM_BLOCKS_MAX && !flow->graph.unsure;
    assign_roles(flow);
    if (solvable)
        solve(flow);
    else
        flow->facts.escapes[0] = flow->facts.escapes[1] = G_MININT64;
    collect_all(flow, solvable);
    return flow->calls;
}
