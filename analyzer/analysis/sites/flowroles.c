/*
 * What can be told of a function before its values are followed: which blocks matter, and which
 * addresses of its frame are taken; see flow-private.h.
 */
#include "analysis/sites/flow-private.h"

/* Whether @operand names one of the wanted words or functions. */
static gboolean
names_wanted(const PmFlow *flow, const PmOperand *operand)
{
    return operand->kind == PM_OPERAND_MEMORY && operand->is_absolute &&
           pm_targets_contain(flow->targets->wanted, operand->number);
}

/* Whether @operand names a word that points to what has a wanted member. */
static gboolean
names_base(const PmFlow *flow, const PmOperand *operand)
{
    return flow->targets->bases != NULL && operand->kind == PM_OPERAND_MEMORY &&
           operand->is_absolute && pm_targets_contain(flow->targets->bases, operand->number);
}

/* Whether a wanted function's address is taken into a register, so that any call through one may be
 * its. */
static gboolean
takes_wanted(const PmFlow *flow)
{
    const PmGraph *graph = &flow->graph;
    for (guint i = 0; i < graph->ops->len; i++) {
        const PmOp *op = pm_graph_op(graph, i);
        if (op->kind != PM_OP_CALL && op->kind != PM_OP_JUMP &&
            (names_wanted(flow, &op->a) || names_base(flow, &op->a)))
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
    pm_flow_mark(flow, block, role);
    g_array_append_val(flow->queue, block);
}

/* Where @block jumps through a table, queues all that this leads to: what every such jump does, so
 * that once is enough. */
static void
queue_table(PmFlow *flow, const PmBlock *block, guint role, gboolean *is_queued)
{
    const GArray *targets = flow->graph.table_targets;
    if (!block->through_table || *is_queued)
        return;
    *is_queued = TRUE;
    for (guint i = 0; i < targets->len; i++)
        queue_block(flow, g_array_index(targets, guint, i), role);
}

/* Marks what is reached from blocks with calls, themselves included. */
void
pm_flow_mark_behind(PmFlow *flow)
{
    const PmGraph *graph = &flow->graph;
    gboolean is_queued = FALSE;
    for (guint i = 0; i < graph->blocks->len; i++)
        if ((g_array_index(flow->roles, guint8, i) & PM_ROLE_CALLS) != 0)
            queue_block(flow, i, PM_ROLE_BEHIND);
    while (flow->queue->len > 0) {
        const guint at = g_array_index(flow->queue, guint, flow->queue->len - 1);
        g_array_set_size(flow->queue, flow->queue->len - 1);
        const PmBlock *block = pm_graph_block(graph, at);
        queue_block(flow, block->next, PM_ROLE_BEHIND);
        queue_block(flow, block->target, PM_ROLE_BEHIND);
        queue_table(flow, block, PM_ROLE_BEHIND, &is_queued);
    }
}

static gboolean
has_role(const PmFlow *flow, guint block, guint role)
{
    return block != PM_NO_BLOCK && (g_array_index(flow->roles, guint8, block) & role) != 0;
}

/* Whether the function ends with @block: it returns, or another function does for it. A part of it
 * that lies elsewhere and ends the program is none. */
static gboolean
leaves(const PmFlow *flow, guint index)
{
    const PmFunctionCode *function = flow->function;
    const PmBlock *block = pm_graph_block(&flow->graph, index);
    const PmOp *last = pm_graph_op(&flow->graph, block->first + block->count - 1);
    if (last->kind == PM_OP_RETURN)
        return TRUE;
    if ((last->kind != PM_OP_BRANCH && last->kind != PM_OP_JUMP) || block->target != PM_NO_BLOCK)
        return FALSE;
    if (block->through_table)
        return flow->graph.table_targets->len == 0;
    return (last->kind != PM_OP_BRANCH || !has_role(flow, index, PM_ROLE_NULL_TARGET)) &&
           (function->never_returns == NULL ||
            !function->never_returns(function->data, flow->decoder, last->target));
}

gboolean
pm_flow_is_sure(PmFlow *flow, guint64 address)
{
    const PmGraph *graph = &flow->graph;
    const guint without = pm_graph_find_block(graph, address);
    gboolean left = graph->entry == PM_NO_BLOCK || without == PM_NO_BLOCK;
    gboolean is_queued = FALSE;
    for (guint i = 0; i < graph->blocks->len; i++)
        g_array_index(flow->roles, guint8, i) &= (guint8)~PM_ROLE_WALKED;
    if (left || graph->entry == without)
        return !left;
    pm_flow_mark(flow, without, PM_ROLE_WALKED);
    queue_block(flow, graph->entry, PM_ROLE_WALKED);
    while (flow->queue->len > 0 && !left) {
        const guint at = g_array_index(flow->queue, guint, flow->queue->len - 1);
        const PmBlock *block = pm_graph_block(graph, at);
        g_array_set_size(flow->queue, flow->queue->len - 1);
        left = leaves(flow, at);
        if (!has_role(flow, at, PM_ROLE_NULL_NEXT))
            queue_block(flow, block->next, PM_ROLE_WALKED);
        if (!has_role(flow, at, PM_ROLE_NULL_TARGET))
            queue_block(flow, block->target, PM_ROLE_WALKED);
        queue_table(flow, block, PM_ROLE_WALKED, &is_queued);
    }
    g_array_set_size(flow->queue, 0);
    return !left;
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
void
pm_flow_mark_before(PmFlow *flow)
{
    gboolean changed = TRUE;
    while (changed) {
        changed = FALSE;
        for (guint order = flow->at->len; order > 0; order--) {
            const guint at = g_array_index(flow->at, guint, order - 1);
            if (has_role(flow, at, PM_ROLE_CALLS | PM_ROLE_BEFORE) ||
                !leads_to(flow, pm_graph_block(&flow->graph, at), PM_ROLE_CALLS | PM_ROLE_BEFORE))
                continue;
            pm_flow_mark(flow, at, PM_ROLE_BEFORE);
            changed = TRUE;
        }
    }
}

void
pm_flow_assign_roles(PmFlow *flow)
{
    const PmGraph *graph = &flow->graph;
    const gboolean takes = takes_wanted(flow);
    g_array_set_size(flow->roles, 0);
    g_array_set_size(flow->roles, graph->blocks->len);
    for (guint i = 0; i < graph->blocks->len; i++) {
        const PmBlock *block = pm_graph_block(graph, i);
        if (flow->targets->of_argument)
            pm_flow_mark(flow, i, PM_ROLE_CALLS);
        for (guint j = block->first; j < block->first + block->count; j++)
            if (may_call_wanted(flow, pm_graph_op(graph, j), takes))
                pm_flow_mark(flow, i, PM_ROLE_CALLS);
    }
}

/* What @op does to them; the lowest address that it takes of the stack goes to *lowest. */
static void
follow_frame(const PmFlow *flow, const PmOp *op, PmFrameGuess *frame, gint64 *lowest)
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
void
pm_flow_guess_escapes(PmFlow *flow)
{
    const PmGraph *graph = &flow->graph;
    gint64 lowest = G_MAXINT64;
    g_array_set_size(flow->frames, 0);
    g_array_set_size(flow->frames, graph->blocks->len);
    if (graph->entry == PM_NO_BLOCK)
        return;
    g_array_index(flow->frames, PmFrameGuess, graph->entry).known = TRUE;
    for (guint order = 0; order < flow->at->len; order++) {
        const guint at = g_array_index(flow->at, guint, order);
        const PmBlock *block = pm_graph_block(graph, at);
        PmFrameGuess frame = g_array_index(flow->frames, PmFrameGuess, at);
        if (!frame.known)
            continue;
        for (guint i = block->first; i < block->first + block->count; i++)
            follow_frame(flow, pm_graph_op(graph, i), &frame, &lowest);
        const guint ways[] = {block->next, block->target};
        for (gsize i = 0; i < G_N_ELEMENTS(ways); i++)
            if (ways[i] != PM_NO_BLOCK && !g_array_index(flow->frames, PmFrameGuess, ways[i]).known)
                g_array_index(flow->frames, PmFrameGuess, ways[i]) = frame;
    }
    flow->facts.escapes[0] = lowest;
}
