/*
 * The call sites of one module: for each function that was asked about, all calls of it in the
 * module, with what is known of their arguments. Depends on the module's bytes alone, not on the
 * process, so that it can be kept by build-id.
 */
#pragma once

#include "analysis/sites/code.h"
#include "analysis/sites/flow.h"

/*
 * One call.
 *
 * @address: of the instruction, @after: of the one behind it, which is the return address.
 * @function: where the function begins that holds it, or PM_ADDR_NONE where that is not known.
 * @target: what was asked for.
 * @is_tail, @is_returned, @is_sure, @returned_offset: as in PmFlowCall. @arguments: SET, RANGE,
 * EXPR, POINTER or UNKNOWN. @first_store, @store_count: of the index's stores.
 */
typedef struct {
    guint64 address;
    guint64 after;
    guint64 function;
    guint64 target;
    gboolean is_tail;
    gboolean is_returned;
    gboolean is_sure;
    gint32 returned_offset;
    guint first_store;
    guint store_count;
    PmValue arguments[PM_ARGUMENTS];
} PmSiteCall;

/*
 * @asked: guint64, ascending: the targets whose calls are all in. @calls: PmSiteCall by target and
 * address. @stores: PmStore. @exprs: what the arguments speak of. @changed: more is in than was
 * read from a file.
 * @is_partial: calls in large functions are not in.
 */
typedef struct {
    GArray *asked;
    GArray *calls;
    GArray *stores;
    PmExprs exprs;
    gboolean changed;
    gboolean is_partial;
} PmSiteIndex;

PmSiteIndex *pm_site_index_new(void);
void pm_site_index_free(PmSiteIndex *index);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmSiteIndex, pm_site_index_free)

/*
 * Finds the calls of @targets that were not asked for yet.
 *
 * @code: of the module. @targets: @count module addresses of functions, or of words that hold a
 * function's address. @jobs: threads, 0 for as many as there are processors.
 */
void pm_site_index_ask(PmSiteIndex *index, PmModuleCode *code, const guint64 *targets, gsize count,
                       guint jobs);

/*
 * The same, but only in functions of at most @function_bytes_max: for a quick look at which
 * functions allocate. Such an index must not be kept.
 */
void pm_site_index_ask_small(PmSiteIndex *index, PmModuleCode *code, const guint64 *targets,
                             gsize count, guint64 function_bytes_max, guint jobs);

/* Whether the calls of all @targets are in. */
gboolean pm_site_index_knows(const PmSiteIndex *index, const guint64 *targets, gsize count);

/* The calls of @target: @ret_count of them, borrowed until more is asked for. */
const PmSiteCall *pm_site_index_get(const PmSiteIndex *index, guint64 target, gsize *ret_count);
