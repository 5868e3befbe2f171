/*
 * Who refers to one chunk, what it refers to, and how a root leads to it.
 */
#pragma once

#include "analysis/reach/reach.h"
#include "analysis/requests.h"

/*
 * The chunk in use that a command asks about.
 *
 * @address: as asked; @offset_bytes: its distance from the chunk's user pointer, negative in the
 * header. @reach_class: PM_REACH_NONE for glibc's own. @runtime: what that is, borrowed from the
 * heap, or NULL. @certain: as pm_leaks_are_certain().
 */
typedef struct {
    PmAddr address;
    PmChunk chunk;
    gint64 offset_bytes;
    PmReachClass reach_class;
    const char *runtime;
    gboolean certain;
} PmHeldChunk;

/*
 * The chunk in use that holds @address.
 *
 * Returns: FALSE with PM_ERROR_NOT_FOUND where there is none; the message says what is there.
 */
gboolean pm_held_chunk_find(const PmSubject *subject, const PmReach *reach, PmAddr address,
                            PmHeldChunk *ret_held, GError **error);

/*
 * One reference, with both its ends looked up.
 *
 * @reference: borrowed. @from, @from_class: where it stands in a chunk (reference->root is NULL).
 * @label, @symbol, @symbol_offset_bytes: where it stands in a root, as pm_roots_describe() says;
 * owned. @to, @to_class: the chunk that it points into.
 */
typedef struct {
    const PmReference *reference;
    PmChunk from;
    PmReachClass from_class;
    char *label;
    char *symbol;
    guint64 symbol_offset_bytes;
    PmChunk to;
    PmReachClass to_class;
} PmReferenceEnds;

/* Looks both ends up. Makes no allocation for a reference from a chunk. One thread at a time. */
void pm_reference_ends_init(PmReferenceEnds *ends, const PmSubject *subject, const PmReach *reach,
                            const PmReference *reference);
void pm_reference_ends_clear(PmReferenceEnds *ends);

/*
 * @incoming: PmReference, at most as many as were asked for; @incoming_omitted: how many more there
 * are. @outgoing: PmReference, all of them; NULL where they were not asked for.
 */
typedef struct {
    PmHeldChunk held;
    GArray *incoming;
    guint64 incoming_omitted;
    GArray *outgoing;
} PmReferences;

/*
 * @limit: of the incoming ones, 0 for all. @outgoing: whether to look for them, too.
 * One pass over all memory.
 */
PmReferences *pm_references_new(const PmReach *reach, const PmHeldChunk *held, guint64 limit,
                                gboolean outgoing);
void pm_references_free(PmReferences *references);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmReferences, pm_references_free)

/* @steps: PmReference, as pm_reach_find_path() gives them; empty where no root leads there. */
typedef struct {
    PmHeldChunk held;
    GArray *steps;
} PmPath;

/* Returns: (transfer full): NULL with PM_ERROR_MEMORY. */
PmPath *pm_path_new(const PmReach *reach, const PmHeldChunk *held, GError **error);
void pm_path_free(PmPath *path);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmPath, pm_path_free)
