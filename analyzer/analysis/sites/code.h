/*
 * A module's machine code as far as it can be read, from the core or from the module's file: where
 * it is, where its functions are, what it imports and exports. All addresses are module addresses:
 * those of the process less the module's bias.
 */
#pragma once

#include "analysis/sites/dynamic.h"
#include "analysis/sites/flow.h"
#include "analysis/sites/frames.h"

/* A PmReference within a module of up to 4 GiB, from whose start both are counted. */
typedef struct {
    guint32 target;
    guint32 address;
    guint32 kind;
} PmShortReference;

/*
 * @pool: borrowed. @texts: PmCodeRange, the executable bytes that are there, ascending.
 * @text_bytes: how many they are, @missing_bytes: how many are not.
 * @functions: PmFunctionRange. @thunks: PmReference, ascending: jumps through a word that is
 * imported, by which the module calls functions of others.
 * @strays: PmReference, roughly ascending: what looks like a jump from one function into the middle
 * of another, or to a part that no call enters.
 * @references: PmShortReference by target: whatever may refer to something in the module, but for
 * jumps within a function.
 * @kinds: functions that the data-flow has to know.
 * And before: @named: PmExport by address: functions of the module that pm_allocator_find() or
 * pm_function_get_kind() know by name, exported or not.
 */
typedef struct PmKinds PmKinds;

typedef struct {
    const PmProcess *process;
    const PmModule *module;
    const PmMachine *machine;
    PmFlowPool *pool;
    guint jobs;
    GArray *texts;
    guint64 text_bytes;
    guint64 missing_bytes;
    GArray *functions;
    PmDynamic dynamic;
    GArray *thunks;
    GArray *strays;
    GArray *references;
    PmKinds *kinds;
    gboolean is_prepared;
    GArray *named;
    GPtrArray *copies;
} PmModuleCode;

/* Reads @module's code. @process, @pool, which is of @machine: borrowed for its life. @jobs:
 * threads that may work on it; 0: as many as there are processors. */
PmModuleCode *pm_module_code_new(const PmProcess *process, const PmModule *module,
                                 const PmMachine *machine, PmFlowPool *pool, guint jobs);
/* Finds functions, thunks, strays and references, where that was not done before. One thread at a
 * time. */
void pm_module_code_prepare(PmModuleCode *code);

void pm_module_code_free(PmModuleCode *code);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmModuleCode, pm_module_code_free)

/* Copies @count bytes at module address @address of the PmModuleCode @data; FALSE where they are
 * not there. Thread-safe. */
gboolean pm_module_code_read(gconstpointer data, guint64 address, gpointer buffer, gsize count);

/*
 * The code [@start, @end) as a range.
 *
 * Returns: FALSE where it is not in one piece of readable text.
 */
gboolean pm_module_code_get_range(const PmModuleCode *code, guint64 start, guint64 end,
                                  PmCodeRange *ret_range);

/* The text that holds @address, or NULL. Borrowed. */
const PmCodeRange *pm_module_code_find_text(const PmModuleCode *code, guint64 address);

/* Appends the words @slots (guint64, ascending) to @targets, and the thunks through any of them.
 * @code: prepared. */
void pm_module_code_add_slots(const PmModuleCode *code, const GArray *slots, GArray *targets);

/* The thunk that begins at @address or whose jump is there, or NULL. Borrowed. */
const PmReference *pm_module_code_find_thunk(const PmModuleCode *code, guint64 address);
