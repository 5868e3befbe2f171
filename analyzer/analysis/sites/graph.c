/*
 * From bytes to blocks; see graph.h. The code is decoded from its start to its end, not along its
 * jumps: compilers put no data between instructions, and what only exceptions or jump tables lead
 * to is seen as well.
 */
#include "analysis/sites/graph.h"

#include "image/space.h"

/* The most entries of one jump table; interpreters have some hundreds. */
#define TABLE_ENTRIES_MAX 4096
#define TABLES_MAX        256
/* Of all tables of one function. */
#define ENTRIES_MAX 65536

/* Why a block begins with an operation. */
#define LEADER_OF_BLOCK 1
#define LEADER_OF_TABLE 2

typedef struct {
    PmGraph *graph;
    const PmMachine *machine;
    PmDecoder *decoder;
    const PmFunctionCode *function;
    const PmTargets *endless;
    GArray *leaders; /* guint8: LEADER_OF…, one an operation */
    GArray *tables;  /* guint64: addresses that may be those of jump tables */
    gboolean jumps_indirectly;
    guint entries; /* of tables, that were read */
} Build;

void
pm_graph_init(PmGraph *graph)
{
    graph->ranges = NULL;
    graph->range_count = 0;
    graph->ops = g_array_new(FALSE, FALSE, sizeof(PmOp));
    graph->blocks = g_array_new(FALSE, FALSE, sizeof(PmBlock));
    graph->table_targets = g_array_new(FALSE, FALSE, sizeof(guint));
    graph->entry = PM_NO_BLOCK;
    graph->unsure = FALSE;
}

void
pm_graph_clear(PmGraph *graph)
{
    g_array_unref(graph->ops);
    g_array_unref(graph->blocks);
    g_array_unref(graph->table_targets);
}

static void
decode_range(Build *build, const PmCodeRange *range)
{
    PmOp ops[PM_OPS_MAX];
    guint64 at = range->start;
    while (at < range->end) {
        const guint count = build->machine->decode(
            build->decoder, range->bytes + (at - range->start), (gsize)(range->end - at), at, ops);
        g_array_append_vals(build->graph->ops, ops, count);
        if (ops[count - 1].unsure)
            build->graph->unsure = TRUE;
        at += MAX(ops[count - 1].length, 1);
    }
}

/* The first operation of the instruction that holds @address; FALSE where the function does not. */
static gboolean
find_op(const PmGraph *graph, guint64 address, guint *ret_index)
{
    guint low = 0, high = graph->ops->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (pm_graph_op(graph, middle)->address > address)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == 0)
        return FALSE;
    const PmOp *last = pm_graph_op(graph, low - 1);
    if (address - last->address >= last->length)
        return FALSE;
    while (low > 1 && pm_graph_op(graph, low - 2)->address == last->address)
        low--;
    *ret_index = low - 1;
    return TRUE;
}

static void
mark_leader(Build *build, guint64 address)
{
    guint index = 0;
    if (find_op(build->graph, address, &index))
        g_array_index(build->leaders, guint8, index) |= LEADER_OF_BLOCK;
}

/* Whether a call is one that is known not to return. */
static gboolean
is_endless(const Build *build, const PmOp *op)
{
    if (op->kind != PM_OP_CALL || build->endless == NULL)
        return FALSE;
    if (op->a.kind == PM_OPERAND_NONE)
        return pm_targets_contain(build->endless, op->target);
    return op->a.kind == PM_OPERAND_MEMORY && op->a.is_absolute &&
           pm_targets_contain(build->endless, op->a.number);
}

/* Whether control never goes on to the operation behind. */
static gboolean
ends_flow(const PmOp *op)
{
    return op->kind == PM_OP_JUMP || op->kind == PM_OP_RETURN || op->kind == PM_OP_TRAP ||
           op->endless;
}

static void
note_table(Build *build, guint64 address)
{
    if (build->tables->len < TABLES_MAX)
        g_array_append_val(build->tables, address);
}

static void
note_operand(Build *build, const PmOperand *operand)
{
    if (operand->kind == PM_OPERAND_MEMORY && !operand->is_absolute &&
        operand->reg == PM_NO_REGISTER && operand->index != PM_NO_REGISTER && operand->scale == 8)
        note_table(build, operand->number);
}

static void
note_references(Build *build, const PmOp *op)
{
    if (op->kind == PM_OP_BRANCH || (op->kind == PM_OP_JUMP && op->a.kind == PM_OPERAND_NONE))
        mark_leader(build, op->target);
    if (op->kind == PM_OP_JUMP && op->a.kind != PM_OPERAND_NONE)
        build->jumps_indirectly = TRUE;
    if (op->kind == PM_OP_ADDRESS && op->a.kind == PM_OPERAND_MEMORY && op->a.is_absolute)
        note_table(build, op->a.number);
    note_operand(build, &op->a);
}

static gboolean
is_padding(const PmGraph *graph, guint index)
{
    const guint8 kind = pm_graph_op(graph, index)->kind;
    return kind == PM_OP_NONE || kind == PM_OP_TRAP;
}

/*
 * Where something else leads to what stands behind a call, or nothing but filling does, the call
 * may be one that does not return.
 */
static gboolean
may_be_last(const Build *build, guint index)
{
    const PmGraph *graph = build->graph;
    return index + 1 >= graph->ops->len || g_array_index(build->leaders, guint8, index + 1) != 0 ||
           is_padding(graph, index + 1);
}

static void
mark_leaders(Build *build)
{
    const PmGraph *graph = build->graph;
    const PmFunctionCode *function = build->function;
    g_array_set_size(build->leaders, graph->ops->len);
    for (guint i = 0; i < function->range_count; i++)
        mark_leader(build, function->ranges[i].start);
    for (guint i = 0; i < graph->ops->len; i++)
        note_references(build, pm_graph_op(graph, i));
    for (guint i = 0; i < graph->ops->len; i++) {
        PmOp *op = &g_array_index(graph->ops, PmOp, i);
        gboolean endless = is_endless(build, op);
        if (op->kind == PM_OP_CALL && op->a.kind == PM_OPERAND_NONE && !endless &&
            function->never_returns != NULL && may_be_last(build, i))
            endless = function->never_returns(function->data, build->decoder, op->target);
        op->endless = endless ? 1 : 0;
    }
    for (guint i = 0; i + 1 < graph->ops->len; i++) {
        const PmOp *op = pm_graph_op(graph, i);
        if (ends_flow(op) || op->kind == PM_OP_BRANCH)
            g_array_index(build->leaders, guint8, i + 1) |= LEADER_OF_BLOCK;
    }
    if (function->entry != PM_ADDR_NONE)
        mark_leader(build, function->entry);
}

/* That a table leads to the operation @index; each once, for tables may be many and alike. */
static void
add_table_target(Build *build, guint index)
{
    guint8 *leader = &g_array_index(build->leaders, guint8, index);
    if ((*leader & LEADER_OF_TABLE) == 0)
        g_array_append_val(build->graph->table_targets, index);
    *leader |= LEADER_OF_TABLE;
}

/*
 * A table of @width_bytes each: distances from its own start, or addresses. It ends where an entry
 * leads out of the function; where another table stands behind it, that one's are taken too, which
 * adds ways that there are not, and takes none away.
 */
static void
read_table(Build *build, guint64 table, guint width_bytes)
{
    const PmFunctionCode *function = build->function;
    for (guint i = 0; i < TABLE_ENTRIES_MAX && build->entries < ENTRIES_MAX; i++) {
        guint8 entry[8];
        guint64 address = 0;
        guint index = 0;
        if (!pm_addr_add(table, (guint64)i * width_bytes, &address) ||
            !function->read(function->data, address, entry, width_bytes))
            return;
        const guint64 target = width_bytes == 8
                                   ? pm_load_u64(entry) - function->bias
                                   : table + (guint64)(gint64)(gint32)pm_load_u32(entry);
        if (!find_op(build->graph, target, &index) ||
            pm_graph_op(build->graph, index)->address != target)
            return;
        add_table_target(build, index);
        build->entries++;
    }
}

static void
read_tables(Build *build)
{
    if (!build->jumps_indirectly || build->function->read == NULL)
        return;
    for (guint i = 0; i < build->tables->len; i++) {
        const guint64 table = g_array_index(build->tables, guint64, i);
        read_table(build, table, 4);
        read_table(build, table, 8);
    }
}

/* Blocks from leaders; a table's targets are operations until now. */
static void
cut_blocks(Build *build)
{
    PmGraph *graph = build->graph;
    g_autoptr(GArray) block_of = g_array_sized_new(FALSE, FALSE, sizeof(guint), graph->ops->len);
    for (guint i = 0; i < graph->ops->len; i++) {
        if (g_array_index(build->leaders, guint8, i) != 0 || graph->blocks->len == 0) {
            const PmBlock block = {
                .first = i, .next = PM_NO_BLOCK, .target = PM_NO_BLOCK, .is_padding = TRUE};
            g_array_append_val(graph->blocks, block);
        }
        const guint last = graph->blocks->len - 1;
        PmBlock *block = pm_graph_block(graph, last);
        const PmOp *op = pm_graph_op(graph, i);
        block->count++;
        block->is_padding = block->is_padding && (op->kind == PM_OP_NONE || op->kind == PM_OP_TRAP);
        g_array_append_val(block_of, last);
    }
    for (guint i = 0; i < graph->table_targets->len; i++) {
        guint *target = &g_array_index(graph->table_targets, guint, i);
        *target = g_array_index(block_of, guint, *target);
        pm_graph_block(graph, *target)->has_way = TRUE;
    }
}

guint
pm_graph_find_block(const PmGraph *graph, guint64 address)
{
    guint index = 0;
    if (!find_op(graph, address, &index))
        return PM_NO_BLOCK;
    guint low = 0, high = graph->blocks->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (pm_graph_block(graph, middle)->first > index)
            high = middle;
        else
            low = middle + 1;
    }
    return low - 1;
}

/* Whether @block and the one behind it are neighbours in memory. */
static gboolean
is_continued(const PmGraph *graph, guint block)
{
    if (block + 1 >= graph->blocks->len)
        return FALSE;
    const PmOp *next = pm_graph_op(graph, pm_graph_block(graph, block + 1)->first);
    const PmOp *last = next - 1;
    return last->address + last->length == next->address;
}

static void
link_blocks(Build *build)
{
    PmGraph *graph = build->graph;
    for (guint i = 0; i < graph->blocks->len; i++) {
        PmBlock *block = pm_graph_block(graph, i);
        const PmOp *last = pm_graph_op(graph, block->first + block->count - 1);
        if (last->kind == PM_OP_BRANCH ||
            (last->kind == PM_OP_JUMP && last->a.kind == PM_OPERAND_NONE))
            block->target = pm_graph_find_block(graph, last->target);
        if (last->kind == PM_OP_JUMP && last->a.kind != PM_OPERAND_NONE)
            block->through_table = TRUE;
        if (!ends_flow(last) && is_continued(graph, i))
            block->next = i + 1;
        if (block->target != PM_NO_BLOCK)
            pm_graph_block(graph, block->target)->has_way = TRUE;
        if (block->next != PM_NO_BLOCK && !block->is_padding)
            pm_graph_block(graph, block->next)->has_way = TRUE;
    }
    if (build->function->entry != PM_ADDR_NONE)
        graph->entry = pm_graph_find_block(graph, build->function->entry);
}

/* What of a block's ways was walked. */
typedef struct {
    guint block;
    guint step;
} Walk;

/* The way number @step out of a block; PM_NO_BLOCK where it does not exist. FALSE at the end. */
static gboolean
get_way(const PmGraph *graph, guint index, guint step, guint *ret_block)
{
    const PmBlock *block = pm_graph_block(graph, index);
    *ret_block = PM_NO_BLOCK;
    if (step == 0)
        *ret_block = block->target;
    else if (step == 1)
        *ret_block = block->next;
    else if (block->through_table && step - 2 < graph->table_targets->len)
        *ret_block = g_array_index(graph->table_targets, guint, step - 2);
    else
        return FALSE;
    return TRUE;
}

static void
number_from(PmGraph *graph, guint start, guint8 *seen, guint *order)
{
    g_autoptr(GArray) stack = g_array_new(FALSE, FALSE, sizeof(Walk));
    Walk walk = {start, 0};
    seen[start] = 1;
    g_array_append_val(stack, walk);
    while (stack->len > 0) {
        Walk *top = &g_array_index(stack, Walk, stack->len - 1);
        guint way = PM_NO_BLOCK;
        if (!get_way(graph, top->block, top->step++, &way)) {
            pm_graph_block(graph, top->block)->order = --*order;
            g_array_set_size(stack, stack->len - 1);
        } else if (way != PM_NO_BLOCK && seen[way] == 0) {
            seen[way] = 1;
            walk = (Walk){way, 0};
            g_array_append_val(stack, walk);
        }
    }
}

/* Reverse postorder: from the entry, then from what nothing leads to, then from what is left. */
static void
number_blocks(PmGraph *graph)
{
    const guint count = graph->blocks->len;
    guint order = count;
    g_autofree guint8 *seen = g_new0(guint8, count);
    for (guint i = count; i > 0; i--)
        if (seen[i - 1] == 0 && !pm_graph_block(graph, i - 1)->has_way && i - 1 != graph->entry)
            number_from(graph, i - 1, seen, &order);
    if (graph->entry != PM_NO_BLOCK && seen[graph->entry] == 0)
        number_from(graph, graph->entry, seen, &order);
    for (guint i = 0; i < count; i++)
        if (seen[i] == 0)
            number_from(graph, i, seen, &order);
}

void
pm_graph_build(PmGraph *graph, const PmMachine *machine, PmDecoder *decoder,
               const PmFunctionCode *function, const PmTargets *endless)
{
    g_autoptr(GArray) leaders = g_array_new(FALSE, TRUE, sizeof(guint8));
    g_autoptr(GArray) tables = g_array_new(FALSE, FALSE, sizeof(guint64));
    Build build = {
        .graph = graph,
        .machine = machine,
        .decoder = decoder,
        .function = function,
        .endless = endless,
        .leaders = leaders,
        .tables = tables,
    };
    g_array_set_size(graph->ops, 0);
    g_array_set_size(graph->blocks, 0);
    g_array_set_size(graph->table_targets, 0);
    graph->entry = PM_NO_BLOCK;
    graph->unsure = function->is_guess;
    graph->ranges = function->ranges;
    graph->range_count = function->range_count;
    for (guint i = 0; i < function->range_count; i++)
        decode_range(&build, &function->ranges[i]);
    mark_leaders(&build);
    read_tables(&build);
    cut_blocks(&build);
    link_blocks(&build);
    number_blocks(graph);
}
