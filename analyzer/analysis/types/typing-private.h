/* What the files of the typing share. */
#pragma once

#include "analysis/types/assignments.h"
#include "analysis/types/plan.h"
#include "analysis/types/queue.h"
#include "analysis/types/recogniser.h"
#include "analysis/types/typing.h"
#include "image/reader.h"

/* How a type fills its chunk. */
typedef enum {
    PM_SHAPE_ONE,   /* one, and nothing behind it, or a flexible array that is part of it */
    PM_SHAPE_ARRAY, /* as many as fit */
    PM_SHAPE_HEAD,  /* one; what is behind it is not known */
    PM_SHAPE_POOL,  /* some, at places that only pointers tell */
    PM_SHAPE_NAME,  /* a name alone */
} PmShape;

/*
 * How strong an assignment is: a stronger one replaces a weaker one, never one that is as strong.
 */
typedef enum {
    PM_RANK_NONE,
    PM_RANK_POOL,
    PM_RANK_FIT,   /* no declaration's: by what the contents of a group of chunks agree with */
    PM_RANK_BYTES, /* char[]: whatever else is said of the bytes is more */
    PM_RANK_HEAD,
    PM_RANK_GUESS,      /* by what the data of a group of chunks agrees with */
    PM_RANK_RECOGNISED, /* by a recogniser */
    PM_RANK_ARRAY,
    PM_RANK_WHOLE, /* the size agrees */
    PM_RANK_VTABLE,
} PmRank;

/*
 * What a chunk can be, interned.
 *
 * @target: NULL where only the name is known. @offset_bytes: in the user data. @level: how sure,
 * 0 … PM_LEVELS − 1, best first. @reason: static or interned.
 */
typedef struct {
    PmTypedBy by;
    PmShape shape;
    PmRank rank;
    guint level;
    guint64 offset_bytes;
    PmPointee *target;
    const char *name;
    const char *reason;
} PmBinding;

#define PM_BINDINGS_MAX (1u << 24)

/*
 * An object that is no chunk: a variable, a local, something within a chunk of another type or in
 * memory that is not malloc's.
 *
 * @type: as declared; @target: of it, or of its elements.
 * @name: of a variable; NULL where a pointer led to it. @parent: as of assignments.
 */
typedef struct {
    PmAddr address;
    guint64 bytes;
    const PmType *type;
    PmPointee *target;
    const char *name;
    const PmModule *module;
    guint32 parent;
    guint level;
    gboolean is_array; /* @bytes hold several */
    gboolean is_value; /* a local in a register: @address is what it holds */
    gboolean is_local;
    gboolean is_tls;
} PmObject;

/* Objects that are no variables. */
#define PM_OBJECTS_MAX (4u << 20)

/* The parent is an object: its index is in the other bits; else half of a slot, and one. */
#define PM_PARENT_OBJECT (1u << 31)

/* Two declared types that contradict each other, and how often. */
typedef struct {
    const char *name;
    const char *other;
    guint64 count;
} PmConflict;

#define PM_CONFLICTS_MAX 4096

typedef struct PmGroups PmGroups;

/*
 * A pointer that was read. @owner: the structure whose field it is. @parent, @level: of what it
 * stands in. @is_slack: behind the smallest request that gives the chunk, so that the program may
 * have no such element; @is_likely: it has, unless malloc() did not split the chunk.
 */
typedef struct {
    const PmPlanSlot *slot;
    PmAddr owner;
    guint64 value;
    guint32 parent;
    guint level;
    gboolean is_slack;
    gboolean is_likely;
} PmWordAhead;

/* Pointers that are put off until what they lead to has come nearer; a power of two. */
#define PM_WORDS_AHEAD 16

struct PmTyping {
    PmPlaces *places;
    PmTypes *types;
    const PmSubject *subject;
    const PmProcess *process;
    const PmResolver *resolver;
    PmResolverFilter filter;
    guint word_bytes;
    PmReader reader;        /* what objects are read with */
    PmReader target_reader; /* what pointers lead to */
    PmPlans *plans;
    PmAssignments assignments;
    GArray *bindings;        /* PmBinding; 0 is none */
    GHashTable *binding_ids; /* PmBinding → id */
    GStringChunk *names;
    GArray *objects;         /* PmObject; 0 is none */
    guint variable_count;    /* of them */
    GHashTable *object_keys; /* of those that are no variables */
    PmSlotQueue queue;
    PmWordAhead ahead[PM_WORDS_AHEAD];
    guint ahead_first;
    guint ahead_count;
    guint good_words;       /* pointers of the chunk that is looked at: that lead somewhere … */
    guint bad_words;        /* … and that lead to no memory */
    GHashTable *classes;    /* a vtable's address → PmClass */
    GHashTable *agreements; /* two types and an offset → whether they agree */
    PmGroups *groups;
    PmRecognisers *recognisers; /* their names are borrowed */
    GHashTable *conflicts;      /* PmConflict → itself */
    gboolean settles;           /* what is left gets what little its pointers say */
    gboolean asked;             /* some pointer did not say enough */
    guint64 retyped;            /* chunks whose type was replaced by one that may lead elsewhere */
    GHashTable *contested;      /* slots about which declarations quarrelled */
    guint64 *proven;            /* by half slots: while every type is traced back to its ground */
    GArray *proven_objects;     /* gboolean each */
    gboolean audits;            /* conflicts are counted, nothing is assigned */
};

/* ---- bindings.c ---- */

/* The id of a binding like @binding; 0 where there are too many. */
guint32 pm_typing_intern(PmTyping *typing, const PmBinding *binding);

static inline const PmBinding *
pm_typing_get_binding(const PmTyping *typing, guint32 id)
{
    return &g_array_index(typing->bindings, PmBinding, id);
}

/* Makes of @binding, where its level says so, one by fit. */
void pm_typing_mark_fit(PmBinding *binding);

/* @name as one string for all who say it; lives as long as the typing. */
const char *pm_typing_intern_name(PmTyping *typing, const char *name);

/* ---- fit of a declared type and a chunk (match.c) ---- */

/* A chunk, and where in it a pointer leads. */
typedef struct {
    PmSlot slot;
    guint32 region;
    PmAddr user;
    guint64 usable_bytes;
    guint64 offset_bytes;
} PmSpot;

/* The smallest request that gives a chunk with @usable_bytes. */
guint64 pm_typing_get_request_min(const PmTyping *typing, guint64 usable_bytes);

/* Whether one of @target fills @bytes, the rest of a chunk from where it begins. */
gboolean pm_match_is_whole(const PmTyping *typing, const PmPointee *target, guint64 bytes);

/* The same, or one fills it but for what malloc() leaves to a chunk because it is too small to be a
 * chunk itself (malloc.c, MINSIZE). */
gboolean pm_match_is_whole_or_slack(const PmTyping *typing, const PmPointee *target, guint64 bytes);

/*
 * The binding that a pointer to @target gives a chunk; 0 where it does not say enough, and the
 * chunks that it leads to are to be compared (groups.c).
 */
guint32 pm_match_decide(PmTyping *typing, PmPointee *target, const PmSpot *spot, guint level);

/* Whether what @binding says of a chunk and a pointer to @target, @offset_bytes into it, can both
 * be true. */
gboolean pm_match_agrees(PmTyping *typing, const PmBinding *binding, guint64 offset_bytes,
                         const PmPointee *target);

/* Whether @binding says that one of @target is @offset_bytes into a chunk. */
gboolean pm_match_holds(PmTyping *typing, const PmBinding *binding, guint64 offset_bytes,
                        const PmPointee *target);

/* Whether @binding says what is @offset_bytes into a chunk, other than bytes. */
gboolean pm_match_covers(PmTyping *typing, const PmBinding *binding, guint64 offset_bytes);

/*
 * How well @target agrees with what is at @address: more than 0 where its pointers lead to what
 * they should, 0 where nothing can be said, less where something is wrong.
 */
gint pm_match_weigh(PmTyping *typing, PmPointee *target, PmAddr address, guint64 bytes);

/* ---- classes by vtable (classes.c) ---- */

/*
 * The binding of a chunk by the vtable pointer at @spot; 0 where there is none.
 */
guint32 pm_classes_decide(PmTyping *typing, const PmSpot *spot);

/* ---- following pointers (propagate.c) ---- */

/* Assigns @binding, where it is stronger than what the chunk has, and queues the chunk. */
gboolean pm_propagate_assign(PmTyping *typing, const PmSpot *spot, guint32 binding, guint32 parent);

/* Adds an object that is no chunk. Returns: its index; 0 where it is known or there are too many.
 */
guint32 pm_propagate_add_object(PmTyping *typing, const PmObject *object);

/* The object at @address of @target that a pointer led to, or 0. */
guint32 pm_propagate_find_object(PmTyping *typing, PmAddr address, const PmPointee *target);

/* Notes that a chunk's type is replaced. */
void pm_propagate_note_change(PmTyping *typing, const PmBinding *old, const PmBinding *new);

/* Looks at the object or the chunk as a whole. (for prove.c) */
void pm_propagate_visit_object(PmTyping *typing, guint32 index);
void pm_propagate_visit_chunk(PmTyping *typing, const PmSpot *spot);

/* What @word says of what it leads to. (follow.c) */
void pm_follow(PmTyping *typing, const PmWordAhead *word);

/* Takes back the types of chunks that no pointer of what their parents are now leads to. (prove.c)
 */
void pm_prove(PmTyping *typing);

/* What @word proves, of the chunk at @spot. (prove.c) */
void pm_prove_follow(PmTyping *typing, const PmWordAhead *word, const PmSpot *spot);
void pm_prove_follow_object(PmTyping *typing, PmAddr address, const PmPointee *target);

/* Follows all that waits, and what that leads to. */
void pm_propagate_run(PmTyping *typing);

/* Looks at everything that has a type once more. */
void pm_propagate_revisit(PmTyping *typing);

/* Fetches what is going to be looked at of the chunk that @value points into; @contents too. */
void pm_propagate_prefetch(PmTyping *typing, guint64 value, gboolean contents);

/* The chunk in use that @value points into; FALSE where it points into none. */
gboolean pm_propagate_find(const PmTyping *typing, guint64 value, PmSpot *ret_spot);

/* The parent of what a chunk leads to. */
static inline guint32
pm_parent_of_slot(PmSlot slot)
{
    return slot >> 1 < PM_PARENT_OBJECT - 2 ? (guint32)(slot >> 1) + 1 : 0;
}

/* ---- where it begins (starts.c) ---- */

void pm_starts_add_variables(PmTyping *typing);
void pm_starts_add_locals(PmTyping *typing);

/* Looks at every chunk in use for a vtable pointer; at what has no type yet with every recogniser
 * that is made for the like. */
void pm_starts_sweep_vtables(PmTyping *typing);
void pm_starts_sweep_recognisers(PmTyping *typing);

/* ---- what one pointer alone does not tell (groups.c) ---- */

PmGroups *pm_groups_new(void);
void pm_groups_free(PmGroups *groups);

/*
 * A pointer that does not say enough: of @edge, whose structure begins at @owner, to @spot.
 *
 * @target: where there is one; else the edge's are meant.
 * Returns: the binding that was learnt for its like, or 0; then it is noted as an example.
 */
guint32 pm_groups_ask(PmTyping *typing, const PmTypedEdge *edge, PmPointee *target, PmAddr owner,
                      const PmSpot *spot, guint level);

/* The same, but nothing is noted. */
guint32 pm_groups_peek(PmTyping *typing, const PmTypedEdge *edge, PmPointee *target, PmAddr owner,
                       const PmSpot *spot);

/* Whether there are types that begin with one of @target, and whose size is right for the chunk at
 * @spot. */
gboolean pm_groups_has_containers(PmTyping *typing, PmPointee *target, const PmSpot *spot);

/* The binding of a chunk that holds some of @target. */
guint32 pm_groups_make_pool(PmTyping *typing, PmPointee *target, PmRank rank, guint level);

/* Notes that a pointer of @edge, whose structure begins at @owner, leads to what has a type. */
void pm_groups_note(PmTyping *typing, const PmTypedEdge *edge, PmAddr owner, const PmSpot *spot);

/*
 * What @parent, not 0, of an assignment stands for.
 *
 * @ret_target: (out): NULL where only its name is known. @ret_parent: (out): of it in turn.
 * Returns: FALSE where it has no type any more.
 */
gboolean pm_typing_get_parent(const PmTyping *typing, guint32 parent, PmAddr *ret_address,
                              PmPointee **ret_target, guint32 *ret_parent);

/* Learns from the examples. Returns: whether there is anything new. */
gboolean pm_groups_learn(PmTyping *typing);

/* Notes that @first, which a chunk has, and a pointer to @second contradict each other. */
void pm_typing_note_conflict(PmTyping *typing, const char *first, const char *second);

/* Calls @visit for every chunk in use, ascending. */
typedef void (*PmSlotVisitor)(PmTyping *typing, const PmSpot *spot, gpointer data);
void pm_typing_sweep(PmTyping *typing, gboolean typed, PmSlotVisitor visit, gpointer data);

/* The confidence that a level stands for. */
double pm_typing_get_confidence(PmTypedBy by, guint level);

/* What the binding @id, not 0, says of a chunk with @usable_bytes. */
void pm_typing_fill(PmTyping *typing, guint32 id, guint64 usable_bytes, PmTyped *ret_typed);
