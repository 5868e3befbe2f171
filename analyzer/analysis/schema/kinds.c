/*
 * Kinds of fields; see kinds.h.
 */
#include "analysis/schema/kinds.h"

#include "analysis/schema/field.h"

#include <math.h>
#include <stdlib.h>

/* 2011-09-12: before, seconds are also floats of less than 10^9. */
#define EPOCH_AMBIGUOUS G_GINT64_CONSTANT(1315800000)

/* Shares of the rows: what a kind takes to be told, and what may fall out of it. */
#define MOST               0.9
#define NEARLY_ALL         0.97
#define COUNTER_RANKS      0.9
#define COUNTER_LEAST      16
#define ENUM_VALUES        16
#define ENUM_LARGEST       65536
#define ENUM_ROWS          3
#define RANDOM_LEAST       16
#define RANDOM_LEAST_BYTES 256
#define TIMES_LEAST        3
#define FLOATS_LEAST       4
#define DISTINCT_FLOATS    3

static int
compare_numbers(const void *a, const void *b)
{
    guint64 first = *(const guint64 *)a;
    guint64 second = *(const guint64 *)b;
    return (first > second) - (first < second);
}

typedef struct {
    guint64 value;
    gsize order;
} Ranked;

static int
compare_ranked(const void *a, const void *b)
{
    const Ranked *first = a;
    const Ranked *second = b;
    if (first->value != second->value)
        return first->value < second->value ? -1 : 1;
    return (first->order > second->order) - (first->order < second->order);
}

/* Of one group; ranks of equal values are their mean. */
static double
correlate(Ranked *ranked, gsize count)
{
    qsort(ranked, count, sizeof *ranked, compare_ranked);
    double mean = ((double)count - 1) / 2;
    double product = 0;
    double squares = 0;
    double order_squares = 0;
    for (gsize i = 0; i < count;) {
        gsize end = i;
        while (end < count && ranked[end].value == ranked[i].value)
            end++;
        double rank = ((double)i + (double)end - 1) / 2 - mean;
        for (; i < end; i++) {
            double order = (double)ranked[i].order - mean;
            product += rank * order;
            squares += rank * rank;
            order_squares += order * order;
        }
    }
    return squares == 0 || order_squares == 0 ? 0 : product / sqrt(squares * order_squares);
}

/* Spearman's rank correlation of the values with their order, weighed over the groups. */
static double
correlate_groups(const guint64 *values, const guint32 *groups, gsize count)
{
    g_autofree Ranked *ranked = g_new(Ranked, count + 1);
    double sum = 0;
    gsize weight = 0;
    /* Rows ascend by address, so that a group is a few runs; its rows keep their order. */
    g_autoptr(GHashTable) done = g_hash_table_new(NULL, NULL);
    for (gsize i = 0; i < count; i++) {
        if (!g_hash_table_add(done, GUINT_TO_POINTER(groups[i])))
            continue;
        gsize members = 0;
        for (gsize j = i; j < count; j++) {
            if (groups[j] == groups[i]) {
                ranked[members] = (Ranked){values[j], members};
                members++;
            }
        }
        if (members < COUNTER_LEAST)
            continue;
        sum += correlate(ranked, members) * (double)members;
        weight += members;
    }
    return weight == 0 ? 0 : sum / (double)weight;
}

/*
 * Whether the bytes are as uniformly random as so few can show: each bit is set in about half of
 * the rows, and (of many rows) each byte takes about as many values as chance has it.
 */
static gboolean
is_random(const guint64 *values, gsize count, gsize width)
{
    if (count < RANDOM_LEAST || count * width < RANDOM_LEAST_BYTES)
        return FALSE;
    /* Five standard deviations of a fair coin. */
    double allowed = 2.5 * sqrt((double)count) + 1;
    for (gsize bit = 0; bit < 8 * width; bit++) {
        gsize set = 0;
        for (gsize i = 0; i < count; i++)
            set += values[i] >> bit & 1;
        if (fabs((double)set - (double)count / 2) > allowed)
            return FALSE;
    }
    for (gsize byte = 0; byte < width; byte++) {
        gboolean seen[256] = {FALSE};
        gsize distinct = 0;
        for (gsize i = 0; i < count; i++) {
            guint8 value = (guint8)(values[i] >> (8 * byte));
            distinct += !seen[value];
            seen[value] = TRUE;
        }
        /* How many of 256 cells so many balls leave empty, and its variance. */
        double load = (double)count / 256;
        double unseen = 256 * exp(-load);
        double variance = unseen * (1 - (1 + load) * exp(-load));
        if (256 - (double)distinct > unseen + 4 * sqrt(variance) + 1)
            return FALSE;
    }
    return TRUE;
}

/* The values that are not zero, in the rows' order. */
typedef struct {
    guint64 *values;
    guint32 *groups;
    gsize count;
    guint64 min;
    guint64 max;
    gsize distinct;
} Present;

static void
collect(const PmFieldValues *field, Present *present)
{
    present->values = g_new(guint64, field->count + 1);
    present->groups = g_new(guint32, field->count + 1);
    present->count = 0;
    for (gsize i = 0; i < field->count; i++) {
        if (field->values[i] == 0)
            continue;
        present->values[present->count] = field->values[i];
        present->groups[present->count++] = field->groups[i];
    }
    g_autofree guint64 *sorted = g_memdup2(present->values, (present->count + 1) * sizeof(guint64));
    qsort(sorted, present->count, sizeof *sorted, compare_numbers);
    present->distinct = 0;
    for (gsize i = 0; i < present->count; i++)
        present->distinct += i == 0 || sorted[i] != sorted[i - 1];
    present->min = present->count == 0 ? 0 : sorted[0];
    present->max = present->count == 0 ? 0 : sorted[present->count - 1];
}

static PmColumnKind
kind_of_pointer(guint8 kind)
{
    static const PmColumnKind kinds[PM_WORD_KINDS] = {
        [PM_WORD_NUMBER] = PM_COLUMN_NUMBER,    [PM_WORD_ZERO] = PM_COLUMN_ZERO,
        [PM_WORD_CHUNK] = PM_COLUMN_POINTER,    [PM_WORD_CHUNK_INTERIOR] = PM_COLUMN_INTERIOR,
        [PM_WORD_FREE_CHUNK] = PM_COLUMN_FREED, [PM_WORD_HEAP] = PM_COLUMN_FREED,
        [PM_WORD_VTABLE] = PM_COLUMN_VTABLE,    [PM_WORD_CODE] = PM_COLUMN_CODE,
        [PM_WORD_RODATA] = PM_COLUMN_RODATA,    [PM_WORD_DATA] = PM_COLUMN_DATA,
        [PM_WORD_STACK] = PM_COLUMN_STACK,      [PM_WORD_MAPPING] = PM_COLUMN_MAPPING,
    };
    return kind < PM_WORD_KINDS ? kinds[kind] : PM_COLUMN_NUMBER;
}

/*
 * Pointers: what most of them lead to; PM_COLUMN_MIXED where no kind has most of them, or where
 * other values are among them.
 *
 * Returns: FALSE where the field is not one of pointers.
 */
static gboolean
find_pointer_kind(const PmFieldValues *field, const Present *present, PmFieldKind *kind)
{
    if (field->kinds == NULL || present->count == 0)
        return FALSE;
    guint64 sentinel = field->word_bytes == 8 ? G_MAXUINT64 : G_MAXUINT32;
    gsize counts[PM_COLUMN_MIXED + 1] = {0};
    gsize pointers = 0;
    gsize sentinels = 0;
    for (gsize i = 0; i < field->count; i++) {
        sentinels += field->values[i] == sentinel;
        if (!pm_word_kind_is_pointer((PmWordKind)field->kinds[i]))
            continue;
        pointers++;
        counts[kind_of_pointer(field->kinds[i])]++;
    }
    /* On 32 bit any other number may point somewhere. */
    double enough = field->word_bytes == 8 ? 0.2 : 0.5;
    if (pointers == 0 || (double)pointers < enough * (double)present->count)
        return FALSE;
    PmColumnKind most = PM_COLUMN_POINTER;
    for (guint i = 0; i < G_N_ELEMENTS(counts); i++) {
        if (counts[i] > counts[most])
            most = (PmColumnKind)i;
    }
    gboolean clear = (double)counts[most] >= 0.6 * (double)pointers &&
                     (double)(pointers + sentinels) >= MOST * (double)present->count;
    kind->kind = clear ? most : PM_COLUMN_MIXED;
    return TRUE;
}

/* How many of the values are floats or doubles that a program would have. */
static gboolean
are_floats(const PmFieldValues *field, const Present *present)
{
    if (field->width < 4 || present->count < FLOATS_LEAST || present->distinct < DISTINCT_FLOATS)
        return FALSE;
    gsize floats = 0;
    for (gsize i = 0; i < present->count; i++)
        floats += pm_is_reasonable_float(present->values[i], field->width) ? 1 : 0;
    return (double)floats >= NEARLY_ALL * (double)present->count;
}

static gboolean
find_time_kind(const PmFieldValues *field, const Present *present, PmFieldKind *kind)
{
    if (field->width < 4 || present->count == 0 || (present->count < 4 && field->width < 8))
        return FALSE;
    /* One or two values that many share are no times. */
    if (present->distinct < TIMES_LEAST && present->distinct < present->count)
        return FALSE;
    guint64 unit =
        pm_find_time_unit(present->values, present->count, field->width, field->newest_seconds);
    /* Floats of everyday size look like seconds before 2011, but do not rise with time. */
    if (unit == 1 && field->width == 4 && present->max < EPOCH_AMBIGUOUS &&
        are_floats(field, present) && kind->rank_correlation < COUNTER_RANKS)
        return FALSE;
    switch (unit) {
    case 1:
        kind->kind = PM_COLUMN_SECONDS;
        return TRUE;
    case 1000:
        kind->kind = PM_COLUMN_MILLISECONDS;
        return TRUE;
    case 1000000:
        kind->kind = PM_COLUMN_MICROSECONDS;
        return TRUE;
    case 1000000000:
        kind->kind = PM_COLUMN_NANOSECONDS;
        return TRUE;
    default:
        return FALSE;
    }
}

/* A bound for the values of an enumeration, or anything where a byte can hold it. */
static gboolean
is_enum(const PmFieldValues *field, const Present *present)
{
    gsize distinct = present->distinct + (present->count < field->count ? 1 : 0);
    if (distinct > ENUM_VALUES || field->count < ENUM_ROWS * distinct)
        return FALSE;
    for (gsize i = 0; i < present->count; i++) {
        if (ABS(pm_as_signed(present->values[i], field->width)) >= ENUM_LARGEST)
            return FALSE;
    }
    return TRUE;
}

static PmColumnKind
find_number_kind(const PmFieldValues *field, const Present *present, const PmFieldKind *kind)
{
    if (present->distinct == 1)
        return PM_COLUMN_FLAG;
    if (are_floats(field, present) &&
        !(kind->rank_correlation >= COUNTER_RANKS && present->max - present->min < 1U << 22))
        return field->width == 8 ? PM_COLUMN_DOUBLE : PM_COLUMN_FLOAT;
    if (is_enum(field, present))
        return PM_COLUMN_ENUM;
    if (kind->rank_correlation >= COUNTER_RANKS && present->distinct >= COUNTER_LEAST &&
        present->distinct * 8 >= present->count)
        return PM_COLUMN_COUNTER;
    if (is_random(field->values, field->count, field->width))
        return PM_COLUMN_RANDOM;
    return PM_COLUMN_NUMBER;
}

void
pm_field_find_kind(const PmFieldValues *field, PmFieldKind *ret_kind)
{
    Present present;
    collect(field, &present);
    PmFieldKind kind = {.nulls = field->count - present.count};
    kind.distinct = present.distinct + (kind.nulls > 0);
    kind.min = kind.nulls > 0 ? 0 : present.min;
    kind.max = present.max;
    kind.rank_correlation = correlate_groups(present.values, present.groups, present.count);
    if (present.count == 0)
        kind.kind = PM_COLUMN_ZERO;
    else if (!find_pointer_kind(field, &present, &kind)) {
        if (kind.nulls == 0 && present.distinct == 1)
            kind.kind = PM_COLUMN_CONSTANT;
        else if (!find_time_kind(field, &present, &kind))
            kind.kind = find_number_kind(field, &present, &kind);
    }
    g_free(present.values);
    g_free(present.groups);
    *ret_kind = kind;
}
