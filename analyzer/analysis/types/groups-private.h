/* What the files of learning share: groups of pointers whose declaration does not say enough. */
#pragma once

#include "analysis/types/typing-private.h"

/* A pointer: to @spot, in a structure that begins at @owner. */
typedef struct {
    PmSpot spot;
    PmAddr owner;
} PmGroupSample;

/* A number in a structure: what may be a tag. @in_owner: of what points, not of what is pointed to.
 * @holder: of what holds what points, a structure of this type. @is_pointer: into the program's own
 * data. @with_size: the chunk's size counts too. @none: nothing but that does. */
typedef struct {
    gboolean none;
    gboolean in_owner;
    gboolean with_size;
    gboolean is_pointer;
    const PmPointee *holder;
    guint64 offset_bytes;
    guint64 size_bytes;
    guint bit_offset;
    guint bit_count;
    const char *name;
} PmGroupTag;

/*
 * @target, @offset_bytes: of a group of pointers to (or into) what holds @target at that offset;
 * NULL for one of an edge's. @samples: PmGroupSample, some of them, evenly. @rule: what each value
 * of @tag stands for: guint64 → PmGroupVerdict; NULL where nothing was learnt.
 */
typedef struct {
    const PmTypedEdge *edge;
    PmPointee *target;
    guint64 offset_bytes;
    guint64 seen;
    GArray *samples;
    guint open; /* of them were kept because the rule did not tell what they are */
    PmGroupTag tag;
    GHashTable *rule;
} PmGroup;

/* @by_fit: nothing but contents speaks for @target. @is_doubtful: some may be of another type. */
typedef struct {
    PmPointee *target;
    gboolean by_fit;
    gboolean is_doubtful;
} PmGroupVerdict;

/* The structure at @address that leads to others, which are all of one other type. */
typedef struct {
    PmAddr address;
    const PmPointee *target;
} PmGroupHolder;

/* @containers, @flexible: types that begin with another, by size (containers.c). */
struct PmGroups {
    GHashTable *groups; /* PmGroup → itself */
    GHashTable *containers;
    GHashTable *flexible;
    guint64 random;
};

/* The value of @tag for @sample. FALSE where it cannot be read. */
gboolean pm_group_read_tag(PmTyping *typing, const PmGroupTag *tag, const PmGroupSample *sample,
                           guint64 *ret_value);

/* What the structure at @owner hangs on: the first of another type on the chain of pointers that
 * led there. FALSE where there is none. */
gboolean pm_group_find_holder(const PmTyping *typing, PmAddr owner, PmGroupHolder *ret_holder);

/* The tables of containers. */
void pm_containers_init(PmGroups *groups);

/*
 * The types that hold one of @target @offset_bytes within and whose size is right for a chunk with
 * @usable_bytes: PmPointee; borrowed.
 */
const GPtrArray *pm_containers_find(PmTyping *typing, const PmPointee *target, guint64 offset_bytes,
                                    guint64 usable_bytes);

/* ---- candidates, and what speaks for them (judge.c) ---- */

/* Types that are weighed for a group. */
#define PM_CANDIDATES_MAX 64

/* The weight of a candidate that does not explain a chunk. */
#define PM_NOT_EXPLAINED ((gint8)G_MININT8)

/* What is known of one example: which candidates explain it, and how well. @is_sure: something else
 * says what it is. */
typedef struct {
    gboolean is_sure;
    gint8 weight[PM_CANDIDATES_MAX];
} PmVerdict;

/* @candidates: PmPointee. @shapes: those of them for which only contents speak. @verdicts:
 * PmVerdict, one for each example of @group. */
typedef struct {
    PmTyping *typing;
    PmGroup *group;
    GPtrArray *candidates;
    GHashTable *shapes;
    GArray *verdicts;
} PmTrial;

/* Finds and weighs what the chunks of @group may be. Returns: (transfer full). */
PmTrial *pm_trial_new(PmTyping *typing, PmGroup *group);
void pm_trial_free(PmTrial *trial);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmTrial, pm_trial_free)
