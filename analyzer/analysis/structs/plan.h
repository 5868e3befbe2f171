/*
 * What of a type can be compared with bytes: its fields, flattened, each as a leaf that holds where
 * it is and what would be right there. Reads DWARF's types, never the core.
 */
#pragma once

#include "dwarf/types.h"

typedef enum {
    PM_LEAF_POINTER,  /* to @type; NULL: to anything */
    PM_LEAF_STRING,   /* char * */
    PM_LEAF_FUNCTION, /* pointer to code */
    PM_LEAF_VTABLE,   /* the vtable pointer of @type, or of a base within it */
    PM_LEAF_ENUM,
    PM_LEAF_BOOL,
    PM_LEAF_TEXT, /* char[size] */
    PM_LEAF_FLOAT,
    PM_LEAF_WORD,    /* a whole word of integers: it says that no pointer is there */
    PM_LEAF_PADDING, /* no field's bytes */
    PM_LEAF_UNION,   /* one of the alternatives */
} PmLeafKind;

typedef struct PmFitPlan PmFitPlan;

/*
 * @field: leaves with the same number are one field (the elements of an array). @weight: of what
 * the leaf says: less than 1 for elements of an array, which are not independent.
 * @type: what a pointer leads to, the enumeration, the complete class of a vtable pointer, the
 *   integer of a word that is one; else NULL.
 * @bit_count: of an enumeration in a bit-field, else 0. @inner_bytes: of a vtable pointer: where in
 * its complete class it is.
 * @plain: of a word: integers alone, no float among them.
 * @alternatives: of a union, @alternative_count of them, at the same offset.
 */
typedef struct {
    PmLeafKind kind;
    guint field;
    double weight;
    guint64 offset_bytes;
    guint64 size_bytes;
    guint bit_offset;
    guint bit_count;
    guint64 inner_bytes;
    gboolean plain;
    const PmType *type;
    const PmFitPlan **alternatives;
    guint alternative_count;
} PmLeaf;

/* @checked: fields that can be right or wrong: all but words and padding. @is_link: pointers to its
 * own kind alone, as objects hold them that are in lists and trees. */
struct PmFitPlan {
    const PmType *type;
    guint64 size_bytes;
    PmLeaf *leaves;
    gsize leaf_count;
    guint field_count;
    guint checked;
    gboolean is_link;
};

/* Bounds: what lies behind them is not looked at. */
#define PM_PLAN_LEAVES_MAX 512
#define PM_PLAN_BYTES_MAX  4096

/* Elements of an array that are looked at. */
#define PM_PLAN_ELEMENTS 8

typedef struct PmFitPlans PmFitPlans;

/* @types: borrowed for its life. @word_bytes: of a target word. */
PmFitPlans *pm_fit_plans_new(PmTypes *types, guint64 word_bytes);
void pm_fit_plans_free(PmFitPlans *plans);

/* The plan of @type (an array too), made on first use. Borrowed. Never NULL. */
const PmFitPlan *pm_fit_plans_get(PmFitPlans *plans, const PmType *type);
