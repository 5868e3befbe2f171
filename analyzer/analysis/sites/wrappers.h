/*
 * All modules of a process together: which functions allocate, by name or because they forward an
 * argument to one that does, to a fixed point; and the calls of them.
 */
#pragma once

#include "analysis/sites/allocators.h"
#include "analysis/sites/index.h"

/* A function that forwards in more different ways is an allocator in these alone. */
#define PM_FORMULAS_MAX 4

/*
 * A function that allocates.
 *
 * @known: its row where its name is known; @sizes then does not count. @module: index of the
 * module it is in, or G_MAXUINT; @address: its module address. @sizes: what it asks for, in terms
 * of its arguments; @size_count of them. @inner: (nullable): what it calls for that.
 * @returns: it returns, perhaps, what it asks for; else it keeps that, or returns it within
 * something else. @is_open: it may also return memory whose size its callers do not choose.
 * @offset: what it returns less what malloc returned, PM_OFFSET_UNKNOWN where that is not one
 * number. @stores: PmStore by offset from what malloc returned, with addresses of the process: what
 * is in the memory already when it is returned.
 * @name: as it is written, without its parameters; owned. NULL for a function without a symbol.
 * @last_call: the one that was last found to make it a wrapper. @callers: calls of it that were
 * found. @round: of the search in which it last changed.
 */
typedef struct PmForwarder {
    const PmAllocator *known;
    guint module;
    guint64 address;
    PmExpr sizes[PM_FORMULAS_MAX];
    guint size_count;
    const struct PmForwarder *inner;
    gboolean returns;
    gboolean is_open;
    gint32 offset;
    GArray *stores;
    char *name;
    guint64 last_call;
    gsize callers;
    guint round;
} PmForwarder;

/*
 * A word of a module's data that holds a function's address.
 */
typedef struct {
    PmAddr value;
    guint module;
    guint64 slot;
} PmPointer;

/*
 * A module that was looked at.
 *
 * @code, @index: NULL where its code is not there. @hints: guint64, what to ask for at once, since
 * a first look found it. @pointers: which of the @callees are words that the program itself filled,
 * and may have filled differently before. @callees: guint64 * → PmForwarder *, what its
 * words and functions lead to.
 */
typedef struct {
    const PmModule *module;
    PmModuleCode *code;
    PmSiteIndex *index;
    GHashTable *callees;
    GArray *hints;
    GHashTable *pointers;
} PmSiteModule;

/*
 * @modules: PmSiteModule by the process's order. @forwarders: PmForwarder *, which @by_place finds
 * by module and address. @importers: name → the modules that import it.
 * @pointers: PmPointer by value. @globals: PmPointer by value: words that the dynamic linker fills
 * with what is no code. @open: places of functions that return what they ask for on their
 * own account, perhaps among others.
 * @changed: how many forwarders did in this @round. @is_first_look: of the search itself.
 */
typedef struct {
    const PmProcess *process;
    GArray *modules;
    GPtrArray *forwarders;
    GHashTable *by_place;
    GHashTable *known;
    guint changed;
    guint round;
    GHashTable *importers;
    GArray *pointers;
    GArray *globals;
    GHashTable *open;
    gboolean is_first_look;
    PmExprs exprs;
    PmFlowPool *pool;
    guint jobs;
} PmSiteWorld;

/*
 * @diagnostics: for cache files that were damaged. @cache_folder: NULL for the user's own, "" for
 * none. @only: (nullable): the one module to look at. @jobs: threads, 0 for as many as there are
 * processors.
 */
typedef struct {
    PmDiagnostics *diagnostics;
    const char *cache_folder;
    const PmModule *only;
    guint jobs;
} PmSiteWorldOptions;

/*
 * Looks at every module of @process whose code is there. One thread at a time may use @process
 * meanwhile.
 *
 * Returns: (transfer full): NULL where the architecture of the core is none that is read.
 */
PmSiteWorld *pm_site_world_new(const PmProcess *process, const PmSiteWorldOptions *options);
void pm_site_world_free(PmSiteWorld *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmSiteWorld, pm_site_world_free)

/* Where the string is that a call of strdup and the like copies, if it is one that cannot change;
 * else PM_ADDR_NONE. */
PmAddr pm_site_world_find_string(PmSiteWorld *world, const PmSiteModule *module,
                                 const PmForwarder *callee, const PmSiteCall *call);

/*
 * What @call asks for: SET, RANGE, EXPR (one of world->exprs, until the next call) or UNKNOWN. An
 * open SET or EXPR: that or something else.
 *
 * @module: where the call is.
 */
PmValue pm_site_world_measure(PmSiteWorld *world, const PmSiteModule *module,
                              const PmForwarder *callee, const PmSiteCall *call);

/*
 * Makes @store of a function of @module, with module addresses, one with addresses of the process.
 * What a call returned is PM_STORED_RESULT only where it is the start of what malloc returned, with
 * @value 0; else it is not known.
 */
void pm_site_world_relocate(const PmSiteModule *module, PmStore *store);

/*
 * Adds to @stores what is written to the memory that @call in @module asks @callee for: by the
 * allocator, and by the function after the call; by offset from what malloc returned, with
 * addresses of the process. Nothing where the offset is not known.
 */
void pm_site_world_add_stores(const PmSiteModule *module, const PmForwarder *callee,
                              const PmSiteCall *call, GArray *stores);

/* The function in which @call is, where that is itself a forwarder, or NULL. */
const PmForwarder *pm_site_world_find(const PmSiteWorld *world, guint module, guint64 address);

/* Whether @call does no more than forward an argument of its function, which callers that are known
 * choose. */
gboolean pm_site_world_is_forwarding(PmSiteWorld *world, guint module, const PmForwarder *callee,
                                     const PmSiteCall *call);
