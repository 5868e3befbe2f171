/*
 * What is known of a register or a stack slot at a point of a function: the bounded lattice of the
 * data-flow over machine code, and arithmetic on it. Every operation is sound: what it cannot
 * follow becomes unknown. Knows nothing of instructions.
 */
#pragma once

#include "base/address.h"

/* A set of more becomes a range. */
#define PM_VALUE_CONSTANTS 4
/* Operations on an argument that are followed; more of them, or more expressions in one function,
 * make the value unknown. */
#define PM_EXPR_STEPS 6
#define PM_EXPRS_MAX  4096
/* Arguments that are followed: those in registers, by the psABI of x86-64. */
#define PM_ARGUMENTS 6

typedef enum {
    PM_VALUE_NONE,      /* no path leads here yet */
    PM_VALUE_SET,       /* one of @count constants, ascending in @v */
    PM_VALUE_RANGE,     /* v[0] ≤ x ≤ v[1], unsigned */
    PM_VALUE_EXPR,      /* expression number @id over the function's arguments */
    PM_VALUE_STACK,     /* v[0] + the stack pointer at entry, or (@id 1) where it was realigned */
    PM_VALUE_STACK_ANY, /* somewhere on the stack */
    PM_VALUE_POINTER,   /* module address v[0], made from the program counter */
    PM_VALUE_SLOT,      /* what the word at module address v[0] holds */
    PM_VALUE_BEYOND,    /* the same, v[1] added: a member of what the word points to */
    PM_VALUE_FIELD,     /* what that member holds */
    PM_VALUE_RESULT, /* what one of the calls of @may returned, @id among them, or 0; v[0] added */
    PM_VALUE_UNKNOWN,
} PmValueKind;

/*
 * @v: of UNKNOWN and RANGE the last two are its scale (scale.h).
 * @may: bit c: the result of call number c of the function (c < 64) may be in it, perhaps with a
 * constant added; holds for every kind. @open: of a SET that pm_expr_apply() gave: it may also be
 * something else.
 */
typedef struct {
    guint8 kind; /* PmValueKind */
    guint8 count;
    guint8 open;
    guint32 id;
    guint64 v[PM_VALUE_CONSTANTS];
    guint64 may;
} PmValue;

typedef enum {
    PM_STEP_MULTIPLY, /* by a */
    PM_STEP_ADD,      /* a, which may stand for a negative number */
    PM_STEP_AND,      /* a */
    PM_STEP_SHIFT,    /* right by a, unsigned */
    PM_STEP_EXTEND,   /* the low 32 bits, sign-extended */
    PM_STEP_REPLACE,  /* a … b by c; where not @exclusive, perhaps */
} PmStepKind;

typedef struct {
    guint8 kind; /* PmStepKind */
    gboolean exclusive;
    guint64 a;
    guint64 b;
    guint64 c;
} PmStep;

typedef enum {
    PM_WIDEN_NONE,
    PM_WIDEN_ZERO, /* only the low 32 bits of the argument */
    PM_WIDEN_SIGN, /* the same, sign-extended */
} PmWiden;

/* Beside one of them, of the factors of a product: 1 in place of 0. */
#define PM_WIDEN_MASK    3U
#define PM_WIDEN_NONZERO 4U

/*
 * A member of what a word points to, as a target of calls: the word's module address and the
 * member's offset in one number, which is no address of any module.
 */
#define PM_FIELD_OFFSET_MAX 4088
#define PM_FIELD_SLOT_MAX   ((G_GUINT64_CONSTANT(1) << 48) - 1)

static inline guint64
pm_field_make(guint64 slot, guint64 offset)
{
    return G_GUINT64_CONSTANT(1) << 63 | offset << 48 | slot;
}

static inline gboolean
pm_field_is_one(guint64 target)
{
    return target >> 63 != 0 && (target >> 60 & 7) == 0;
}

static inline guint64
pm_field_get_slot(guint64 field)
{
    return field & PM_FIELD_SLOT_MAX;
}

#define PM_NO_ARGUMENT 0xff

/*
 * An argument, or the product of two, and what is done to it in order.
 *
 * @arguments: numbers from 0; the second is PM_NO_ARGUMENT for one alone. @widen: PmWiden of each.
 * @open: it may be that, or something of which nothing is known: the larger of the argument and of
 * what a field says. Unused members are zero.
 */
typedef struct {
    guint8 arguments[2];
    guint8 widen[2];
    guint8 step_count;
    guint8 open;
    PmStep steps[PM_EXPR_STEPS];
} PmExpr;

#define PM_EXPR_BUCKETS 64

/*
 * The expressions of a function or of an index; equal ones have one number.
 *
 * @all: PmExpr. @next: guint32 of each, @first: by hash: one more than the number of the next one
 * in the same bucket, 0 for none.
 */
typedef struct {
    GArray *all;
    GArray *next;
    guint32 first[PM_EXPR_BUCKETS];
} PmExprs;

/* None yet; pm_exprs_clear() frees what it takes. */
void pm_exprs_init(PmExprs *exprs);
void pm_exprs_clear(PmExprs *exprs);
/* Forgets all, and keeps the memory. */
void pm_exprs_reset(PmExprs *exprs);

/* Number @id, which pm_exprs_add() gave. Borrowed until another is added. */
static inline const PmExpr *
pm_exprs_get(const PmExprs *exprs, guint32 id)
{
    return &g_array_index(exprs->all, PmExpr, id);
}

/* The number of @expr; FALSE where there are PM_EXPRS_MAX already. */
gboolean pm_exprs_add(PmExprs *exprs, const PmExpr *expr, guint32 *ret_id);

/* Whether both are the same operations on the same arguments. */
gboolean pm_expr_equals(const PmExpr *a, const PmExpr *b);

/* Anything. */
PmValue pm_value_unknown(void);
/* A SET of one. */
PmValue pm_value_constant(guint64 constant);
/* @low ≤ @high; everything is unknown. */
PmValue pm_value_range(guint64 low, guint64 high);
/* @v: v[0]; the rest is zero. For kinds of which @id and @v say all. */
PmValue pm_value_of_kind(PmValueKind kind, guint32 id, guint64 v);
/* Argument @number of the function as it stands in its register. */
PmValue pm_value_argument(PmExprs *exprs, guint number);

/* @value of one set of expressions as a value of another; UNKNOWN where that is full. */
PmValue pm_exprs_move(const PmExprs *from, PmExprs *to, const PmValue *value);

/* @value, or something else: an EXPR is open then, a SET too, a RANGE is unknown. */
PmValue pm_value_open(PmExprs *exprs, const PmValue *value);

/* One constant and no other. */
gboolean pm_value_is_constant(const PmValue *value, guint64 *ret_constant);
/* Anything, or anything within bounds. */
static inline gboolean
pm_value_is_vague(const PmValue *value)
{
    return value->kind == PM_VALUE_UNKNOWN || value->kind == PM_VALUE_RANGE;
}

/* The same but for @may. */
gboolean pm_value_equals(const PmValue *a, const PmValue *b);

/*
 * What is true on a path: an expression lies in [@low, @high].
 */
typedef struct {
    gboolean known;
    guint32 expr;
    guint64 low;
    guint64 high;
} PmFact;

/*
 * What holds of a value that is @a on one path and @b on the other. An expression on one side alone
 * stays, open.
 *
 * @fact_a, @fact_b: (nullable): what else is true there. Where an expression stands on one side and
 * a constant on the other, which is there only for some values of that very expression, the result
 * is the expression with these values replaced: `n < 16 ? 16 : n`.
 */
PmValue pm_value_join(PmExprs *exprs, const PmValue *a, const PmValue *b, const PmFact *fact_a,
                      const PmFact *fact_b);

/* 64-bit arithmetic, modulo 2^64. */
PmValue pm_value_add(PmExprs *exprs, const PmValue *a, const PmValue *b);
PmValue pm_value_subtract(PmExprs *exprs, const PmValue *a, const PmValue *b);
PmValue pm_value_multiply(PmExprs *exprs, const PmValue *a, const PmValue *b);
PmValue pm_value_and(PmExprs *exprs, const PmValue *a, const PmValue *b);
/* Of sets of constants; unknown for the rest, but that all ones stay all ones. */
PmValue pm_value_or(const PmValue *a, const PmValue *b);
/* Of sets of constants; unknown for the rest. */
PmValue pm_value_xor(const PmValue *a, const PmValue *b);
/* By @bits < 64. */
PmValue pm_value_shift_right(PmExprs *exprs, const PmValue *a, guint bits);
/* The low @width_bytes (1, 2, 4; 8 changes nothing), zero-extended. */
PmValue pm_value_truncate(PmExprs *exprs, const PmValue *a, guint width_bytes);
/* The same, sign-extended to 64 bits. */
PmValue pm_value_sign_extend(PmExprs *exprs, const PmValue *a, guint width_bytes);

/*
 * What @expr of one function gives where it is called with @arguments (PM_ARGUMENTS of them).
 *
 * @exprs: of the caller, for the result. @expr need not be one of them.
 */
PmValue pm_expr_apply(PmExprs *exprs, const PmExpr *expr, const PmValue *arguments);
