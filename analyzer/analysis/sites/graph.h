/*
 * One function's machine code, decoded, as operations in blocks and the ways between them. Says
 * nothing of values.
 */
#pragma once

#include "analysis/sites/machine.h"

/* Larger functions are looked at block by block, each for itself. */
#define PM_BLOCKS_MAX 4096

/* [@start, @end) of the code, a module address each; @bytes of it. */
typedef struct {
    guint64 start;
    guint64 end;
    const guint8 *bytes;
} PmCodeRange;

/*
 * What a function is made of.
 *
 * @ranges: ascending, without overlaps: one, or several where the compiler put parts of it
 * elsewhere. @entry: where calls enter it, in one of the ranges; PM_ADDR_NONE where that is not
 * known. @is_guess: nor is where its first instruction begins. @read: copies bytes of the module,
 * for jump tables; FALSE where they are not there. @bias: what pointers in its memory exceed module
 * addresses by.
 * @never_returns: (nullable): whether the function at @target does not return; asked only where it
 * looks like it. @data: for both.
 */
typedef struct {
    const PmCodeRange *ranges;
    guint range_count;
    guint64 entry;
    gboolean is_guess;
    gboolean (*read)(gconstpointer data, guint64 address, gpointer buffer, gsize count);
    gboolean (*never_returns)(gconstpointer data, PmDecoder *decoder, guint64 target);
    gconstpointer data;
    guint64 bias;
} PmFunctionCode;

#define PM_NO_BLOCK G_MAXUINT32

/*
 * Operations that run one after the other. Its last one alone may transfer control.
 *
 * @next: the block that it falls through to, @target: the one that it branches to; PM_NO_BLOCK for
 * none. @through_table: it ends in a jump to any of the graph's table_targets. @has_way: some block
 * leads to it. @is_padding: nothing is in it but filling between functions and loops.
 * @order: its place in reverse postorder.
 */
typedef struct {
    guint first;
    guint count;
    guint next;
    guint target;
    gboolean through_table;
    gboolean has_way;
    gboolean is_padding;
    guint order;
} PmBlock;

/*
 * @ranges: the function's, borrowed. @ops: PmOp; @blocks: PmBlock by ascending address;
 * @table_targets: guint, blocks that jump tables of the function lead to. @entry: PM_NO_BLOCK where
 * it is not known.
 * @unsure: some of it may be misread, so that ways into blocks may be missing.
 */
typedef struct {
    const PmCodeRange *ranges;
    guint range_count;
    GArray *ops;
    GArray *blocks;
    GArray *table_targets;
    guint entry;
    gboolean unsure;
} PmGraph;

void pm_graph_init(PmGraph *graph);
void pm_graph_clear(PmGraph *graph);

/*
 * Decodes @function; what was in @graph goes.
 *
 * @endless: (nullable): calls of these do not return.
 */
void pm_graph_build(PmGraph *graph, const PmMachine *machine, PmDecoder *decoder,
                    const PmFunctionCode *function, const PmTargets *endless);

/* The block that holds the instruction at @address, or PM_NO_BLOCK. */
guint pm_graph_find_block(const PmGraph *graph, guint64 address);

static inline const PmOp *
pm_graph_op(const PmGraph *graph, guint index)
{
    return &g_array_index(graph->ops, PmOp, index);
}

static inline PmBlock *
pm_graph_block(const PmGraph *graph, guint index)
{
    return &g_array_index(graph->blocks, PmBlock, index);
}
