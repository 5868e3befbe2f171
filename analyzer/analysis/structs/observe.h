/*
 * What is seen where a leaf of a type would be, as one of few categories; how likely each is if the
 * leaf is really there; and which of them the leaf forbids.
 */
#pragma once

#include "analysis/contents/places.h"
#include "analysis/structs/plan.h"

typedef enum {
    PM_SEEN_SILENT, /* zero, or nothing can be told */
    PM_SEEN_GOOD,   /* the right thing, wherever it is: its own contents are right */
    PM_SEEN_HOLDS,  /* the start of a chunk that was requested for one */
    PM_SEEN_UNFIT,  /* such a chunk, but its contents are not right */
    PM_SEEN_LARGER, /* the same, contents unknown */
    PM_SEEN_SMALL,  /* a chunk that cannot hold one */
    PM_SEEN_INSIDE, /* within a chunk */
    PM_SEEN_DATA,
    PM_SEEN_RODATA,
    PM_SEEN_STACK,
    PM_SEEN_MAPPING,
    PM_SEEN_FREED,
    PM_SEEN_CODE,
    PM_SEEN_VTABLE,
    PM_SEEN_NUMBER, /* where a pointer should be */
    PM_SEEN_RIGHT,  /* of what is no pointer */
    PM_SEEN_SHORT,  /* text of one or two characters */
    PM_SEEN_FULL,   /* text without an end */
    PM_SEEN_TEXT,   /* characters, where a number should be */
    PM_SEEN_REAL,   /* a floating-point number, where an integer should be */
    PM_SEEN_PAIR,   /* two small numbers, where one large one should be */
    PM_SEEN_WRONG,
} PmSeen;
#define PM_SEEN_KINDS (PM_SEEN_WRONG + 1)

/* A word of memory and what it points to. @user, @usable_bytes: of the chunk, where it is one. */
typedef struct {
    guint64 value;
    PmWord word;
    PmAddr user;
    guint64 usable_bytes;
} PmLooked;

typedef struct PmObserver PmObserver;

/*
 * Says whether what is at @address, where there is room for @room_bytes, looks like a @type: −1, 0
 * (nothing can be told), 1.
 */
typedef int (*PmDeepCheck)(gpointer data, const PmType *type, PmAddr address, guint64 room_bytes);

/* @places, @types: borrowed for its life. @check: for targets of pointers. */
PmObserver *pm_observer_new(PmPlaces *places, PmTypes *types, PmDeepCheck check, gpointer data);
void pm_observer_free(PmObserver *observer);

/* From now on what lies @header_bytes behind a chunk's start counts as its start: the program puts
 * something of its own before its objects. */
void pm_observer_set_header(PmObserver *observer, guint64 header_bytes);

/* What the word @value is. */
void pm_observer_look(const PmObserver *observer, guint64 value, PmLooked *ret_looked);

/*
 * What stands where @leaf, which is no union and no padding, would be.
 *
 * @bytes: leaf->size_bytes of them. @looked: (nullable): of the word there, where it was looked up
 * before. @deep: follow pointers to what they lead to.
 */
PmSeen pm_observer_see(PmObserver *observer, const PmLeaf *leaf, const guint8 *bytes,
                       const PmLooked *looked, gboolean deep);

/* Whether @leaf holds a target word that is to be looked up. */
gboolean pm_leaf_is_word(const PmLeaf *leaf);
