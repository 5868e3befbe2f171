/* What the files of the data-flow share. */
#pragma once

#include "analysis/sites/flow.h"

/* A block's part in what is asked: a wanted call may be in it, may be reached from it, may have
 * been before it; and it has something to collect. Blocks without the first three are left out. */
#define PM_ROLE_CALLS    1U
#define PM_ROLE_BEFORE   2U
#define PM_ROLE_BEHIND   4U
#define PM_ROLE_COLLECTS 8U
/* Of a walk that wants to know whether something can be left out. */
#define PM_ROLE_WALKED 16U
/* Its branch is taken, or not taken, only where a wanted call returned null. */
#define PM_ROLE_NULL_TARGET 32U
#define PM_ROLE_NULL_NEXT   64U
#define PM_ROLES_OF_WAYS    (PM_ROLE_CALLS | PM_ROLE_BEFORE | PM_ROLE_BEHIND)

/* Where the stack pointer and one copy of it stand, at the beginning of a block. */
typedef struct {
    gboolean known;
    gboolean copied;
    guint8 copy;
    gint64 stack;
    gint64 frame;
} PmFrameGuess;

/*
 * Where many jumps lead to many blocks: an interpreter's own. What holds at any of the jumps is
 * joined here, and from here to all blocks at once when nothing else is left to do: the ways are as
 * many as both together, not as their product.
 *
 * @is_used: else each jump is joined to each block. @has_news: since it was last passed on, which
 * was done @rounds times.
 */
typedef struct {
    gboolean is_used;
    gboolean has_news;
    guint rounds;
    PmState state;
} PmFlowHub;

/* What becomes of the result of a call. @stores: PmStore; NULL for none. @has_offset: @offset was
 * added to what was returned. */
typedef struct {
    GArray *stores;
    gboolean has_offset;
    gint32 offset;
} PmResult;

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
    GArray *frames;  /* PmFrameGuess of each block */
    GArray *numbers; /* guint64: addresses of calls in the order in which they were seen */
    GArray *callees; /* guint64: what these call */
    guint64 returned;
    PmFlowHub table;    /* to the targets of jump tables */
    PmFlowHub anywhere; /* to all blocks */
    GArray *results;    /* PmResult, by the numbers of calls */
    PmResult argument;  /* of the memory that the argument points to */
    const PmFlowTargets *targets;
    const PmFunctionCode *function;
};

/* Calls of one function whose results are told apart. */
#define PM_FLOW_RESULTS_MAX 64

/* A pass over block number @block. @collects: it is the last one, whose calls count. */
typedef struct {
    PmFlow *flow;
    guint block;
    gboolean collects;
} PmFlowPass;

/* Forgets what was found out about a function. */
void pm_flow_reset(PmFlow *flow);

/* The number of the call at @address among the first PM_FLOW_RESULTS_MAX that were seen, or
 * PM_FLOW_RESULTS_MAX. */
guint pm_flow_number_call(PmFlow *flow, guint64 address);

/* Runs the pass's block, which is @block, on @state. Returns: its last operation. Borrowed. */
const PmOp *pm_flow_run_block(const PmFlowPass *pass, const PmBlock *block, PmState *state);

static inline void
pm_flow_mark(PmFlow *flow, guint block, guint role)
{
    g_array_index(flow->roles, guint8, block) |= (guint8)role;
}

/* Marks the blocks that may hold wanted calls; the graph was built. */
void pm_flow_assign_roles(PmFlow *flow);

/* Whether each way from the function's entry to where it returns leads through the block that holds
 * @address, but for those on which an allocation failed. */
gboolean pm_flow_is_sure(PmFlow *flow, guint64 address);

/* Marks what is reached from them, and what leads to them. */
void pm_flow_mark_behind(PmFlow *flow);
void pm_flow_mark_before(PmFlow *flow);

/*
 * A first guess of what escapes, so that the fixed point need not be sought twice: the addresses
 * that are plainly taken of the frame, on the first way to each block.
 */
void pm_flow_guess_escapes(PmFlow *flow);
