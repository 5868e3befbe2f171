/*
 * Walks over lost chunks: all of them, the edges between them, the cycles among them.
 */
#pragma once

#include "analysis/reach/reach-private.h"

/* All lost chunks in ascending order. Copy it freely. */
typedef struct {
    const PmReach *reach;
    guint32 region;
    guint64 index;
    guint64 words;
    PmSlot first;
    guint64 bits;
} PmLostIter;

void pm_lost_iter_init(PmLostIter *iter, const PmReach *reach);

/* The next lost chunk's slot; FALSE at the end. */
gboolean pm_lost_iter_next(PmLostIter *iter, PmSlot *ret_slot);

/* Called for every edge from a lost chunk to another. Returns: TRUE where @to is to be scanned
 * (again). */
typedef gboolean (*PmLostStep)(gpointer data, PmSlot from, PmSlot to);

/*
 * A depth-first walk along the edges between lost chunks, on a stack of bounded size: what finds no
 * place there is noted in the second bits of the visited plane, which lost chunks do not use.
 */
typedef struct PmLostWalk PmLostWalk;
PmLostWalk *pm_lost_walk_new(PmReach *reach, PmLostStep step, gpointer data);
void pm_lost_walk_free(PmLostWalk *walk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmLostWalk, pm_lost_walk_free)

/* Scans the chunk at @slot and what @step asks for behind it. */
void pm_lost_walk_from(PmLostWalk *walk, PmSlot slot);

/* Scans what was put off for want of room. */
void pm_lost_walk_finish(PmLostWalk *walk);

/*
 * The edges of one lost chunk, one at a time.
 *
 * @cursor: of the next word; PM_ADDR_NONE before the first call.
 * Returns: FALSE where there is no further edge to another lost chunk.
 */
gboolean pm_lost_next_edge(const PmReach *reach, PmReader *reader, PmSlot from, PmAddr *cursor,
                           PmSlot *ret_to);

/* A set of slots with a number for each, ascending. */
typedef struct PmSlotSet PmSlotSet;
#define PM_SLOT_SET_NONE G_MAXUINT32

/* The lost chunks that some lost chunk refers to; with @hanging_too only those, without only those
 * that do not hang on a leak root. NULL where there is no memory for it or there are too many. */
PmSlotSet *pm_slot_set_new(const PmReach *reach, gboolean hanging_too);
void pm_slot_set_free(PmSlotSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmSlotSet, pm_slot_set_free)
guint32 pm_slot_set_get_count(const PmSlotSet *set);

/* The number of @slot, or PM_SLOT_SET_NONE. O(1). */
guint32 pm_slot_set_find(const PmSlotSet *set, PmSlot slot);

/*
 * The cycles that no lost chunk outside them refers to.
 *
 * @count: of members. @slots: of all members, ascending; @cycles: which cycle each is in, 0 …
 * cycle_count − 1.
 */
struct PmCycles {
    guint32 count;
    guint32 cycle_count;
    PmSlot *slots;
    guint32 *cycles;
};

/*
 * Finds them, and marks what hangs on them as hanging. (components.c)
 *
 * Returns: (transfer full): without members where there are none, or where the search did not fit
 * in memory, with a diagnostic.
 */
PmCycles *pm_cycles_new(PmReach *reach);
void pm_cycles_free(PmCycles *cycles);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmCycles, pm_cycles_free)

/* Groups the lost chunks by the size of the roots that they hang on, and splits the lost classes.
 * (groups.c) */
void pm_reach_group(PmReach *reach, const PmCycles *cycles);
