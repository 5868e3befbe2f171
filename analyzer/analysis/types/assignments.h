/*
 * Which chunk is what: eight bytes for each chunk of the parts of the heap that have types, nothing
 * for the others. Knows nothing of what the numbers mean.
 */
#pragma once

#include "heap/resolver.h"

/*
 * @binding: what the chunk is; 0: not known. @parent: what led to it; 0: nothing did.
 */
typedef struct {
    guint32 binding;
    guint32 parent;
} PmAssignment;

/* A page holds this many assignments: 2 MiB, for 8 MiB of heap on 64 bit. It is a large page where
 * the kernel has them, for which random look-ups are several times as fast. */
#define PM_ASSIGNMENTS_PAGE_SHIFT 18

/* @pages: made when something in them is set. */
typedef struct {
    PmAssignment **pages;
    guint64 page_count;
    guint64 count; /* chunks that have one */
    gboolean full; /* some could not be set for want of memory */
} PmAssignments;

/* @slots: pm_resolver_get_slots(). Where the table of pages does not fit, nothing can be set. */
void pm_assignments_init(PmAssignments *assignments, guint64 slots);
void pm_assignments_clear(PmAssignments *assignments);

/* The chunk that starts at @slot; a chunk has two slots at least, so that half of them is enough.
 * NULL where it has none. */
static inline PmAssignment *
pm_assignments_get(const PmAssignments *assignments, PmSlot slot)
{
    const guint64 page = slot >> (PM_ASSIGNMENTS_PAGE_SHIFT + 1);
    if (page >= assignments->page_count || assignments->pages[page] == NULL)
        return NULL;
    PmAssignment *found =
        &assignments->pages[page][(slot >> 1) & ((1u << PM_ASSIGNMENTS_PAGE_SHIFT) - 1)];
    return found->binding != 0 ? found : NULL;
}

/* The binding of the chunk that starts at @slot, or 0. */
static inline guint32
pm_assignments_get_binding(const PmAssignments *assignments, PmSlot slot)
{
    const PmAssignment *found = pm_assignments_get(assignments, slot);
    return found != NULL ? found->binding : 0;
}

/* Fetches what pm_assignments_get() will look at. */
static inline void
pm_assignments_prefetch(const PmAssignments *assignments, PmSlot slot)
{
    const guint64 page = slot >> (PM_ASSIGNMENTS_PAGE_SHIFT + 1);
    if (page < assignments->page_count && assignments->pages[page] != NULL)
        __builtin_prefetch(
            &assignments->pages[page][(slot >> 1) & ((1u << PM_ASSIGNMENTS_PAGE_SHIFT) - 1)]);
}

/* Sets or replaces it. @assignment.binding: not 0. Returns: FALSE where there is no memory. */
gboolean pm_assignments_set(PmAssignments *assignments, PmSlot slot, PmAssignment assignment);
