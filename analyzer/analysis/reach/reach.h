/*
 * The conservative reachability scan: which used chunks something still refers to, and which are
 * lost. The definitions are REACHABILITY.md's.
 */
#pragma once

#include "analysis/reach/roots.h"

typedef enum {
    PM_REACH_REACHABLE,
    PM_REACH_INTERIOR,
    PM_REACH_WEAK,
    PM_REACH_LEAK_ROOT,
    PM_REACH_LEAK_CYCLE,
    PM_REACH_LEAK_INDIRECT,
    PM_REACH_NONE, /* no class: free, or glibc's own */
} PmReachClass;
#define PM_REACH_CLASSES 6

/* Sets of classes, a bit each: what is lost, of that what nothing else that is lost leads to, and
 * what something leads to. */
#define PM_REACH_ROOTS (1U << PM_REACH_LEAK_ROOT | 1U << PM_REACH_LEAK_CYCLE)
#define PM_REACH_LOST  (PM_REACH_ROOTS | 1U << PM_REACH_LEAK_INDIRECT)
#define PM_REACH_LIVE  (1U << PM_REACH_REACHABLE | 1U << PM_REACH_INTERIOR | 1U << PM_REACH_WEAK)

/* "reachable", "reachable-interior", "reachable-weak", "leak-root", "leak-cycle", "leak-indirect";
 * NULL for PM_REACH_NONE. Static. */
const char *pm_reach_class_name(PmReachClass reach_class);

/* TRUE for the last three classes. */
gboolean pm_reach_class_is_lost(PmReachClass reach_class);

typedef struct {
    guint64 chunks;
    guint64 chunk_bytes;
} PmReachSum;

/* How much of one chunk size is lost. */
typedef struct {
    guint64 chunk_bytes;
    guint64 lost_chunks;
} PmLostSize;

/*
 * Lost chunks that hang on leak roots (or leak cycles) of one chunk size and kind. Every lost chunk
 * counts in one group.
 *
 * @chunk_bytes: of the roots; 0 for the group "shared", of chunks that roots of several groups
 * reach. @kind: what pm_reach_group_by() was told of the roots; 0 before.
 * @roots: leak roots, each cycle as one. @root_bytes: of the roots alone, all members of a cycle
 *   among them. @lost_chunks, @lost_bytes: the roots and what only they reach.
 * @cycles: how many of @roots are cycles; @cycle_chunks: the members of these, of any size.
 * @example: user pointer of one root (of any chunk for "shared").
 */
typedef struct {
    guint64 chunk_bytes;
    guint kind;
    guint64 roots;
    guint64 cycles;
    guint64 cycle_chunks;
    guint64 root_bytes;
    guint64 lost_chunks;
    guint64 lost_bytes;
    PmAddr example;
} PmLostGroup;

/* @stack_only: reachable chunks that would be lost but for words on stacks, which may be stale. */
typedef struct {
    PmReachSum classes[PM_REACH_CLASSES];
    PmReachSum lost;
    PmReachSum stack_only;
    PmRootCoverage coverage;
    const PmLostGroup *groups; /* by lost_bytes, most first */
    gsize group_count;
    const PmLostSize *sizes; /* by chunk_bytes ascending */
    gsize size_count;
} PmReachResult;

typedef struct PmReach PmReach;

/*
 * Scans the whole process.
 *
 * @subject: with a heap; borrowed for the life of the scan. @jobs: worker threads, 0 for as many as
 * there are processors; the answer does not depend on it. Returns: (transfer full): NULL with
 * PM_ERROR_MEMORY where the bit planes do not fit.
 */
PmReach *pm_reach_new(const PmSubject *subject, guint jobs, GError **error);
void pm_reach_free(PmReach *reach);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmReach, pm_reach_free)

/* Everything counted; borrowed. */
const PmReachResult *pm_reach_get_result(const PmReach *reach);

/* The class of @chunk. O(1). Thread-safe. */
PmReachClass pm_reach_get_class(const PmReach *reach, const PmChunk *chunk);

/*
 * Of @starts, used chunks (glibc's own are not among them) that start in word @word of region
 * @region as pm_heap_match() gives them, those of @classes (bit c for PmReachClass c). A few
 * operations. Thread-safe.
 */
guint64 pm_reach_match(const PmReach *reach, guint32 region, guint64 word, guint64 starts,
                       guint classes);

const PmRoots *pm_reach_get_roots(const PmReach *reach);

/*
 * What tells lost chunks of one size apart.
 *
 * @sizes: the chunk sizes (guint64 *) of which @tell is asked; the others are of kind 0.
 * @tell: the kind of the chunk at a user pointer: always the same for the same chunk.
 */
typedef struct {
    GHashTable *sizes;
    guint (*tell)(gpointer data, PmAddr address);
    gpointer data;
} PmLostKinds;

/*
 * Groups the lost chunks anew, by the size and kind of their roots. One pass over the lost chunks.
 *
 * Returns: FALSE where there is no memory for it: the groups are then as before. What
 * pm_reach_get_result() gave before changes.
 */
gboolean pm_reach_group_by(PmReach *reach, const PmLostKinds *kinds);

/* How an edge points. */
typedef enum {
    PM_EDGE_START,
    PM_EDGE_INTERIOR,
} PmEdgeKind;

/*
 * One reference. From a chunk: @from_chunk and @offset_bytes from its user pointer. From a root:
 * @root, and @from is the address of the word (for registers: its offset in the note). @to: user
 * pointer of the chunk that it points into; @to_offset_bytes into it.
 */
typedef struct {
    PmEdgeKind kind;
    PmAddr from;
    const PmRoot *root; /* NULL: from a chunk */
    PmAddr from_chunk;
    guint64 offset_bytes;
    PmAddr to;
    guint64 to_offset_bytes;
} PmReference;

/* How many references to one chunk are kept; a hub may have millions. */
#define PM_INCOMING_MAX (1u << 20)

/*
 * Every word in roots and used chunks that points into the used chunk @chunk, at most @limit of
 * them (0, and at most: PM_INCOMING_MAX), in the order of roots, then of addresses.
 *
 * @ret_omitted: (out): how many more there are.
 * Returns: (transfer full): an array of PmReference. One pass over all memory.
 */
GArray *pm_reach_find_incoming(const PmReach *reach, const PmChunk *chunk, guint64 limit,
                               guint64 *ret_omitted);

/* Every word of @chunk that points into a used chunk other than itself; as above. */
GArray *pm_reach_find_outgoing(const PmReach *reach, const PmChunk *chunk);

/*
 * A shortest chain of references from a root to @chunk: the first step is from a root, each further
 * one from the chunk that the one before points to. Strong roots are preferred to weak ones, start
 * edges are not preferred to interior ones.
 *
 * Returns: (transfer full): an array of PmReference; empty where nothing leads there. NULL with
 *   PM_ERROR_MEMORY where the search does not fit.
 */
GArray *pm_reach_find_path(const PmReach *reach, const PmChunk *chunk, GError **error);
