/*
 * The data-flow over one function: which calls of interest are in it, and what their arguments are
 * in terms of constants and of the function's own arguments.
 */
#pragma once

#include "analysis/sites/graph.h"
#include "analysis/sites/state.h"
#include "analysis/sites/stores.h"

/*
 * What to look for.
 *
 * @wanted: addresses of functions and thunks, and of words that hold a function's address, all
 * module addresses. @endless: the same for functions that never return, @passing: for those that
 * return their first argument, @filling: for those of them that fill what it points to as memset()
 * does; all three nullable.
 * @bases: (nullable): words of those of the wanted that are members of what a word points to.
 * @of_argument: it is also asked what is stored to memory that argument number @argument points to.
 */
typedef struct {
    const PmTargets *wanted;
    const PmTargets *endless;
    const PmTargets *passing;
    const PmTargets *filling;
    const PmTargets *bases;
    gboolean of_argument;
    guint argument;
} PmFlowTargets;

/*
 * A call of a wanted function.
 *
 * @address: of the call or jump instruction; @after: of the one behind it. @target: which of the
 * wanted. @is_tail: a jump: the callee returns for the function. @is_returned: the function may
 * return what the callee returned; @returned_offset: with that added, PM_OFFSET_UNKNOWN where it is
 * not one number. @is_sure: no way leads through the function past it; looked at only for what is
 * not returned and depends on the function's arguments.
 * @arguments: SET, RANGE, EXPR, POINTER or UNKNOWN. @stores: @store_count of them, owned by the
 * flow: what the function writes to what the callee returned, before anybody else sees it.
 */
typedef struct {
    guint64 address;
    guint64 after;
    guint64 target;
    gboolean is_tail;
    gboolean is_returned;
    gboolean is_sure;
    gint32 returned_offset;
    const PmStore *stores;
    guint store_count;
    PmValue arguments[PM_ARGUMENTS];
} PmFlowCall;

#define PM_OFFSET_UNKNOWN G_MININT32

/* Memory for looking at one function after the other; one for each thread. */
typedef struct PmFlow PmFlow;

/* Returns: (transfer full): NULL where the machine has no decoder. */
PmFlow *pm_flow_new(const PmMachine *machine);
void pm_flow_free(PmFlow *flow);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmFlow, pm_flow_free)

/* Its decoder, between runs. Borrowed. */
PmDecoder *pm_flow_get_decoder(const PmFlow *flow);

/* Those that wait to be used again, with all that they remember of instructions. Thread-safe. */
typedef struct PmFlowPool PmFlowPool;

PmFlowPool *pm_flow_pool_new(const PmMachine *machine);
void pm_flow_pool_free(PmFlowPool *pool);

/* One of @pool, or a new one; to be given back. NULL where the machine has no decoder. */
PmFlow *pm_flow_pool_take(PmFlowPool *pool);
void pm_flow_pool_give(PmFlowPool *pool, PmFlow *flow);

/*
 * Looks at @function.
 *
 * Returns: PmFlowCall in ascending order of address. Borrowed until the next call.
 */
const GArray *pm_flow_run(PmFlow *flow, const PmFunctionCode *function,
                          const PmFlowTargets *targets);

/* What the function of the last pm_flow_run() stores to memory that the argument that was asked
 * about points to: PmStore, or NULL for nothing. Borrowed, until the next. */
const GArray *pm_flow_get_argument_stores(const PmFlow *flow);

/* The expressions that the calls' arguments speak of; until the next pm_flow_run(). Borrowed. */
const PmExprs *pm_flow_get_exprs(const PmFlow *flow);

/* Whether the function of the last pm_flow_run() holds bytes that may have been misread, so that
 * calls may be missing. */
gboolean pm_flow_is_unsure(const PmFlow *flow);
