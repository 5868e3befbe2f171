/*
 * What of a type leads on: its pointers, flattened to a list of offsets, made once for each type;
 * and what a pointer to a type says of the memory it leads to.
 */
#pragma once

#include "dwarf/types.h"

typedef enum {
    PM_POINTEE_VOID,     /* nothing is said of what is there */
    PM_POINTEE_FUNCTION, /* code */
    PM_POINTEE_TEXT,     /* char, of any sign */
    PM_POINTEE_SCALAR,   /* a number */
    PM_POINTEE_POINTER,
    PM_POINTEE_RECORD, /* a structure or union of known size */
    PM_POINTEE_OPAQUE, /* a structure of which only the name is known */
} PmPointeeKind;

/* How sure a chunk's type is, best first; the last one for what hangs on a type that was found by
 * fit: it is no declaration's. */
#define PM_LEVELS     5
#define PM_LEVEL_WEAK 3
#define PM_LEVEL_FIT  4

static inline guint
pm_level_weaker(guint level)
{
    return level < PM_LEVEL_WEAK ? level + 1 : level;
}

typedef struct PmPlan PmPlan;

/*
 * What a pointer's declaration says of what it leads to. One for each type.
 *
 * @type: NULL for void. @size_bytes: of one. @least_bytes: what must be there: less than the size
 * where it ends in an array of one, which stands for any number of elements.
 * @is_flexible: it ends in an array without a length of its own.
 * @is_polymorphic: the object itself says what it is.
 * @is_union: of a union, @plan leads on by what its members have in common.
 * @plan: of pointers and records; made when it is first asked for (pm_plans_get()).
 * @exact, @array: bindings by level; 0: not made yet. (typing-private.h)
 */
typedef struct {
    const PmType *type;
    PmPointeeKind kind;
    guint64 size_bytes;
    guint64 least_bytes;
    gboolean is_flexible;
    gboolean is_polymorphic;
    PmPlan *plan;
    guint32 exact[PM_LEVELS];
    guint32 array[PM_LEVELS];
} PmPointee;

/*
 * A field that leads on, as declared: the same for every type that holds its structure.
 *
 * @owner: the structure (or union) whose field it is; NULL for a bare pointer. @offset_bytes: in
 * it. @targets: what it may lead to: more than one in a union. @in_union: other members of a union
 * share its place.
 */
typedef struct {
    guint32 id;
    const PmType *owner;
    guint64 offset_bytes;
    PmPointee **targets;
    guint target_count;
    gboolean in_union;
} PmTypedEdge;

/*
 * A place of a pointer in a type: @count of them, @stride_bytes apart.
 *
 * @target: where there is one answer, that; else NULL, and the edge's targets are to be weighed.
 * @owner_offset_bytes: where the structure begins whose field it is (of the first of them).
 */
typedef struct {
    guint64 offset_bytes;
    guint64 owner_offset_bytes;
    guint64 stride_bytes;
    guint64 count;
    PmPointee *target;
    PmTypedEdge *edge;
} PmPlanSlot;

/* What a value must be to be plausible. */
typedef struct {
    guint64 offset_bytes;
    guint64 size_bytes;
    gboolean is_bool;
    gint64 min;
    gint64 max;
} PmPlanCheck;

/*
 * @slots: ascending by offset. @tail: what a flexible array at the end is made of, from
 * @tail_offset_bytes on; NULL where there is none.
 * @is_cut: not everything is in it: more fields than PM_PLAN_SLOTS_MAX.
 */
struct PmPlan {
    const PmType *type;
    PmPlanSlot *slots;
    guint slot_count;
    PmPlanCheck *checks;
    guint check_count;
    PmPointee *tail;
    guint64 tail_offset_bytes;
    gboolean is_cut;
};

#define PM_PLAN_SLOTS_MAX  8192
#define PM_PLAN_CHECKS_MAX 64

typedef struct PmPlans PmPlans;

/* @types: borrowed. */
PmPlans *pm_plans_new(PmTypes *types);
void pm_plans_free(PmPlans *plans);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmPlans, pm_plans_free)

/* What a pointer to @type (NULL: void) says; of an array its element. Lives as long as the plans.
 * O(1) but for the first time. */
PmPointee *pm_plans_get_target(PmPlans *plans, const PmType *type);

/* The plan of @target; NULL where it has none: it leads nowhere. */
const PmPlan *pm_plans_get(PmPlans *plans, PmPointee *target);

/*
 * Whether an object of @type begins with one of @head: the same type, its first member or first
 * base, and so on inwards; or a structure whose first members are all of @head's, by name, place
 * and type (what a common-header macro makes).
 */
gboolean pm_type_begins_with(PmTypes *types, const PmType *type, const PmType *head);

/* The same for what is at @offset_bytes within @type. */
gboolean pm_type_holds_at(PmTypes *types, const PmType *type, guint64 offset_bytes,
                          const PmType *head);
