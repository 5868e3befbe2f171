/*
 * Likelihoods; see expect.h. They are round numbers: what matters is which of two is larger, and by
 * about how much.
 */
#include "analysis/structs/expect.h"

static const double to_anything[PM_SEEN_KINDS] = {
    [PM_SEEN_GOOD] = 0.02,   [PM_SEEN_HOLDS] = 0.60,   [PM_SEEN_UNFIT] = 0.002,
    [PM_SEEN_INSIDE] = 0.01, [PM_SEEN_DATA] = 0.07,    [PM_SEEN_RODATA] = 0.05,
    [PM_SEEN_STACK] = 0.03,  [PM_SEEN_MAPPING] = 0.05, [PM_SEEN_FREED] = 0.02,
    [PM_SEEN_CODE] = 0.03,   [PM_SEEN_VTABLE] = 0.002, [PM_SEEN_NUMBER] = 0.116,
};

/* To a scalar, to something of which only the name is known, or to a pointer. */
static const double to_scalar[PM_SEEN_KINDS] = {
    [PM_SEEN_GOOD] = 0.31,   [PM_SEEN_HOLDS] = 0.35,   [PM_SEEN_UNFIT] = 0.02,
    [PM_SEEN_INSIDE] = 0.09, [PM_SEEN_DATA] = 0.07,    [PM_SEEN_RODATA] = 0.05,
    [PM_SEEN_STACK] = 0.02,  [PM_SEEN_MAPPING] = 0.05, [PM_SEEN_FREED] = 0.02,
    [PM_SEEN_CODE] = 0.002,  [PM_SEEN_VTABLE] = 0.001, [PM_SEEN_NUMBER] = 0.012,
};

/* Not followed, or of a target whose contents say nothing. */
static const double to_struct[PM_SEEN_KINDS] = {
    [PM_SEEN_GOOD] = 0.02,    [PM_SEEN_HOLDS] = 0.70,   [PM_SEEN_LARGER] = 0.12,
    [PM_SEEN_SMALL] = 0.005,  [PM_SEEN_UNFIT] = 0.02,   [PM_SEEN_INSIDE] = 0.05,
    [PM_SEEN_DATA] = 0.04,    [PM_SEEN_RODATA] = .01,   [PM_SEEN_STACK] = 0.015,
    [PM_SEEN_MAPPING] = 0.01, [PM_SEEN_FREED] = 0.01,   [PM_SEEN_CODE] = 0.001,
    [PM_SEEN_VTABLE] = 0.001, [PM_SEEN_NUMBER] = 0.005,
};

static const double to_struct_deep[PM_SEEN_KINDS] = {
    [PM_SEEN_GOOD] = 0.74,    [PM_SEEN_HOLDS] = 0.14,   [PM_SEEN_LARGER] = 0.03,
    [PM_SEEN_SMALL] = 0.005,  [PM_SEEN_UNFIT] = 0.015,  [PM_SEEN_INSIDE] = 0.015,
    [PM_SEEN_DATA] = 0.015,   [PM_SEEN_RODATA] = 0.003, [PM_SEEN_STACK] = 0.01,
    [PM_SEEN_MAPPING] = 0.01, [PM_SEEN_FREED] = 0.01,   [PM_SEEN_CODE] = 0.001,
    [PM_SEEN_VTABLE] = 0.001, [PM_SEEN_NUMBER] = 0.005,
};

/* To what links objects to each other from within them. */
static const double to_link[PM_SEEN_KINDS] = {
    [PM_SEEN_GOOD] = 0.64,    [PM_SEEN_HOLDS] = 0.04,   [PM_SEEN_LARGER] = 0.06,
    [PM_SEEN_SMALL] = 0.005,  [PM_SEEN_UNFIT] = 0.02,   [PM_SEEN_INSIDE] = 0.16,
    [PM_SEEN_DATA] = 0.03,    [PM_SEEN_RODATA] = 0.002, [PM_SEEN_STACK] = 0.01,
    [PM_SEEN_MAPPING] = 0.01, [PM_SEEN_FREED] = 0.01,   [PM_SEEN_CODE] = 0.001,
    [PM_SEEN_VTABLE] = 0.001, [PM_SEEN_NUMBER] = 0.005,
};

static const double to_text[PM_SEEN_KINDS] = {
    [PM_SEEN_GOOD] = 0.86,  [PM_SEEN_HOLDS] = 0.06,  [PM_SEEN_UNFIT] = 0.04,
    [PM_SEEN_FREED] = 0.03, [PM_SEEN_NUMBER] = 0.01,
};

static const double to_code[PM_SEEN_KINDS] = {
    [PM_SEEN_GOOD] = 0.95, [PM_SEEN_CODE] = 0.03, [PM_SEEN_WRONG] = 0.02};

static const double to_vtable[PM_SEEN_KINDS] = {
    [PM_SEEN_GOOD] = 0.97, [PM_SEEN_DATA] = 0.02, [PM_SEEN_WRONG] = 0.01};

static const double in_range[PM_SEEN_KINDS] = {[PM_SEEN_RIGHT] = 0.97, [PM_SEEN_WRONG] = 0.03};

static const double as_bool[PM_SEEN_KINDS] = {[PM_SEEN_RIGHT] = 0.985, [PM_SEEN_WRONG] = 0.015};

static const double as_float[PM_SEEN_KINDS] = {
    [PM_SEEN_RIGHT] = 0.93, [PM_SEEN_TEXT] = 0.02, [PM_SEEN_WRONG] = 0.05};

static const double as_text[PM_SEEN_KINDS] = {
    [PM_SEEN_RIGHT] = 0.83, [PM_SEEN_SHORT] = 0.07, [PM_SEEN_FULL] = 0.05, [PM_SEEN_WRONG] = 0.05};

/* Two integers are a floating-point number by chance more often than one. */
static const double as_words[PM_SEEN_KINDS] = {
    [PM_SEEN_RIGHT] = 0.85, [PM_SEEN_TEXT] = 0.02,  [PM_SEEN_REAL] = 0.08,
    [PM_SEEN_PAIR] = 0.03,  [PM_SEEN_WRONG] = 0.02,
};

static const double as_word[PM_SEEN_KINDS] = {
    [PM_SEEN_RIGHT] = 0.88, [PM_SEEN_TEXT] = 0.02,  [PM_SEEN_REAL] = 0.03,
    [PM_SEEN_PAIR] = 0.05,  [PM_SEEN_WRONG] = 0.02,
};

gboolean
pm_leaf_is_link(const PmLeaf *leaf, const PmFitPlan *target)
{
    return leaf->kind == PM_LEAF_POINTER && target != NULL && target->is_link;
}

const double *
pm_leaf_expect(const PmLeaf *leaf, gboolean deep, const PmFitPlan *target)
{
    const PmType *type = leaf->type;
    switch (leaf->kind) {
    case PM_LEAF_POINTER:
        if (type == NULL || type->kind == PM_TYPE_UNKNOWN)
            return to_anything;
        if ((type->kind != PM_TYPE_STRUCT && type->kind != PM_TYPE_UNION) || type->size_bytes == 0)
            return to_scalar;
        if (pm_leaf_is_link(leaf, target))
            return to_link;
        return deep && target != NULL && target->checked > 0 ? to_struct_deep : to_struct;
    case PM_LEAF_STRING:
        return to_text;
    case PM_LEAF_FUNCTION:
        return to_code;
    case PM_LEAF_VTABLE:
        return to_vtable;
    case PM_LEAF_ENUM:
        return in_range;
    case PM_LEAF_BOOL:
        return as_bool;
    case PM_LEAF_TEXT:
        return as_text;
    case PM_LEAF_FLOAT:
        return as_float;
    default:
        return leaf->inner_bytes == 8 ? as_word : as_words;
    }
}

/* Heaps are a third pointers, a third numbers and a third text, roughly. */
static const double pointer_chance[PM_SEEN_KINDS] = {
    [PM_SEEN_GOOD] = 0.09,    [PM_SEEN_HOLDS] = 0.07,  [PM_SEEN_LARGER] = 0.07,
    [PM_SEEN_SMALL] = 0.06,   [PM_SEEN_UNFIT] = 0.04,  [PM_SEEN_INSIDE] = 0.04,
    [PM_SEEN_DATA] = 0.03,    [PM_SEEN_RODATA] = 0.03, [PM_SEEN_STACK] = 0.005,
    [PM_SEEN_MAPPING] = 0.01, [PM_SEEN_FREED] = 0.03,  [PM_SEEN_CODE] = 0.03,
    [PM_SEEN_VTABLE] = 0.01,  [PM_SEEN_NUMBER] = 0.5,
};

/* Where the size of the target does not matter. */
static const double any_chance[PM_SEEN_KINDS] = {
    [PM_SEEN_GOOD] = 0.12,   [PM_SEEN_HOLDS] = 0.20,   [PM_SEEN_UNFIT] = 0.02,
    [PM_SEEN_INSIDE] = 0.05, [PM_SEEN_DATA] = 0.03,    [PM_SEEN_RODATA] = 0.03,
    [PM_SEEN_STACK] = 0.005, [PM_SEEN_MAPPING] = 0.01, [PM_SEEN_FREED] = 0.03,
    [PM_SEEN_CODE] = 0.03,   [PM_SEEN_VTABLE] = 0.01,  [PM_SEEN_NUMBER] = 0.5,
};

static const double text_pointer_chance[PM_SEEN_KINDS] = {
    [PM_SEEN_GOOD] = 0.12,  [PM_SEEN_HOLDS] = 0.08, [PM_SEEN_UNFIT] = 0.27,
    [PM_SEEN_FREED] = 0.03, [PM_SEEN_NUMBER] = 0.5,
};

static const double code_chance[PM_SEEN_KINDS] = {
    [PM_SEEN_GOOD] = 0.04, [PM_SEEN_CODE] = 0.01, [PM_SEEN_WRONG] = 0.95};

static const double vtable_chance[PM_SEEN_KINDS] = {
    [PM_SEEN_GOOD] = 0.005, [PM_SEEN_DATA] = 0.04, [PM_SEEN_WRONG] = 0.95};

static const double enum_chance[PM_SEEN_KINDS] = {[PM_SEEN_RIGHT] = 0.25, [PM_SEEN_WRONG] = 0.75};

static const double bool_chance[PM_SEEN_KINDS] = {[PM_SEEN_RIGHT] = 0.12, [PM_SEEN_WRONG] = 0.88};

static const double float_chance[PM_SEEN_KINDS] = {
    [PM_SEEN_RIGHT] = 0.2, [PM_SEEN_TEXT] = 0.15, [PM_SEEN_WRONG] = 0.65};

static const double text_chance[PM_SEEN_KINDS] = {
    [PM_SEEN_RIGHT] = 0.12, [PM_SEEN_SHORT] = 0.2, [PM_SEEN_FULL] = 0.12, [PM_SEEN_WRONG] = 0.56};

static const double word_chance[PM_SEEN_KINDS] = {
    [PM_SEEN_RIGHT] = 0.44, [PM_SEEN_TEXT] = 0.12,  [PM_SEEN_REAL] = 0.07,
    [PM_SEEN_PAIR] = 0.05,  [PM_SEEN_WRONG] = 0.32,
};

const double *
pm_leaf_chance(const PmLeaf *leaf)
{
    switch (leaf->kind) {
    case PM_LEAF_POINTER:
        return leaf->type == NULL || leaf->type->kind == PM_TYPE_UNKNOWN ||
                       (leaf->type->kind != PM_TYPE_STRUCT && leaf->type->kind != PM_TYPE_UNION)
                   ? any_chance
                   : pointer_chance;
    case PM_LEAF_STRING:
        return text_pointer_chance;
    case PM_LEAF_FUNCTION:
        return code_chance;
    case PM_LEAF_VTABLE:
        return vtable_chance;
    case PM_LEAF_ENUM:
        return enum_chance;
    case PM_LEAF_BOOL:
        return bool_chance;
    case PM_LEAF_FLOAT:
        return float_chance;
    case PM_LEAF_TEXT:
        return text_chance;
    default:
        return word_chance;
    }
}

gboolean
pm_leaf_forbids(const PmLeaf *leaf, PmSeen seen)
{
    switch (seen) {
    case PM_SEEN_WRONG:
    case PM_SEEN_SMALL:
    case PM_SEEN_VTABLE:
        return TRUE;
    case PM_SEEN_NUMBER:
        return leaf->kind != PM_LEAF_POINTER || leaf->type != NULL;
    case PM_SEEN_CODE:
        return leaf->kind == PM_LEAF_POINTER && leaf->type != NULL;
    default:
        return FALSE;
    }
}
