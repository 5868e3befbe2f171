/*
 * What a field costs; see field.h.
 */
#include "analysis/schema/field.h"

#include <math.h>
#include <stdlib.h>

/* Values that a dictionary may hold. */
#define DICTIONARY_MAX 256
#define HASH_SLOTS     1024

/* A share of the values must be reasonable floats for floats to be thought of. */
#define FLOAT_SHARE 0.97
/* Bits in favour of each: that all of them are reasonable has to have a reason. */
#define FLOAT_BONUS 24.0
/* The same for doubles whose lower halves are what those of doubles are, and no field of their own:
 * fractions of ten are regular enough to be told in fewer bits as two fields. */
#define DOUBLE_BONUS 64.0
#define DOUBLE_SHARE 0.8
#define WIDE_BITS    26
#define MAGNITUDES   8

/* Doubles that are decimal fractions of so many digits: in a double that large enough digits are
 * left to tell that from chance. */
#define DECIMAL_SHARE   0.97
#define DECIMAL_LEAST   16
#define DECIMAL_LARGEST 17592186044416.0 /* 2^44 */
#define DECIMAL_ERROR   0x1p-50

/* And for what is a time in a range that is narrow for its width. */
#define TIME_BONUS 8.0
/* The least of a field's values is no more than this part of their range where they begin at 0. */
#define NARROW_START 64

/* Bits to tell the class of each of @total values. */
static double
entropy(const guint32 *counts, gsize classes, gsize total)
{
    double bits = (double)total * log2((double)total);
    gsize seen = 0;
    for (gsize i = 0; i < classes; i++) {
        if (counts[i] == 0)
            continue;
        bits -= (double)counts[i] * log2((double)counts[i]);
        seen++;
    }
    return bits + 4.0 * (double)seen;
}

/* The distinct values, as long as they are few. */
typedef struct {
    guint64 values[HASH_SLOTS];
    guint32 counts[HASH_SLOTS];
    gsize count;
} Dictionary;

static gboolean
dictionary_add(Dictionary *dictionary, guint64 value)
{
    gsize slot = (gsize)((value * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15)) >> 54);
    while (dictionary->counts[slot] != 0 && dictionary->values[slot] != value)
        slot = (slot + 1) % HASH_SLOTS;
    if (dictionary->counts[slot] == 0) {
        if (dictionary->count == DICTIONARY_MAX)
            return FALSE;
        dictionary->values[slot] = value;
        dictionary->count++;
    }
    dictionary->counts[slot]++;
    return TRUE;
}

/*
 * Whether a value is two small numbers side by side rather than one: then what connects the two
 * must not make one field of them.
 */
static gboolean
are_two_numbers(const Dictionary *dictionary, gsize width)
{
    static const guint64 small[] = {[1] = 0x20, [2] = 0x1000, [4] = 0x1000000};
    if (width == 1)
        return FALSE;
    gsize half = width / 2;
    guint64 mask = (G_GUINT64_CONSTANT(1) << (8 * half)) - 1;
    guint64 first = 0;
    guint64 differ = 0;
    gboolean any = FALSE;
    for (gsize i = 0; i < HASH_SLOTS; i++) {
        if (dictionary->counts[i] == 0)
            continue;
        guint64 value = dictionary->values[i];
        if (value >> (8 * half) >= small[half] || (value & mask) >= small[half])
            return FALSE;
        first = any ? first : value;
        any = TRUE;
        differ |= value ^ first;
    }
    return (differ & mask) != 0 && differ >> (8 * half) != 0;
}

/* How long a number is, the sign of a negative one included. */
static guint
signed_length(guint64 value, gsize width)
{
    gint64 number = pm_as_signed(value, width);
    return number < 0 ? pm_bit_length((guint64)-number) + 1 : pm_bit_length(value);
}

/* The values that there are, and which of them each one is. */
static double
cost_of_dictionary(const Dictionary *dictionary, gsize count, gsize width)
{
    double bits = dictionary->count > 1 ? entropy(dictionary->counts, HASH_SLOTS, count) : 0;
    for (gsize i = 0; i < HASH_SLOTS; i++) {
        if (dictionary->counts[i] != 0)
            bits += 2 * signed_length(dictionary->values[i], width) + 1;
    }
    return bits;
}

/* @ret_two: (out): no way to tell them as one number is a good one. */
static double
cost_by_dictionary(const guint64 *values, gsize count, gsize width, gboolean *ret_two)
{
    Dictionary dictionary = {.count = 0};
    *ret_two = FALSE;
    for (gsize i = 0; i < count; i++) {
        if (!dictionary_add(&dictionary, values[i]))
            return INFINITY;
    }
    *ret_two = are_two_numbers(&dictionary, width);
    return cost_of_dictionary(&dictionary, count, width);
}

/* Within the range of the values, any is as likely as any other. */
static double
cost_by_range(const guint64 *values, gsize count, gsize width)
{
    guint64 min = values[0];
    guint64 max = values[0];
    for (gsize i = 1; i < count; i++) {
        min = MIN(min, values[i]);
        max = MAX(max, values[i]);
    }
    return (double)count * log2((double)(max - min) + 1) + 16.0 * (double)width;
}

/* The length of each value in bits, then those. */
static double
cost_by_length(const guint64 *values, gsize count, gsize width)
{
    guint32 lengths[66] = {0};
    double bits = 0;
    for (gsize i = 0; i < count; i++) {
        guint length = signed_length(values[i], width);
        lengths[length]++;
        bits += length > 1 ? length - 1 : 0;
    }
    return bits + entropy(lengths, G_N_ELEMENTS(lengths), count);
}

/* The same of what each value is more or less than the one before; or by a dictionary of that. */
static double
cost_by_step(const guint64 *values, gsize count, gsize width)
{
    guint32 lengths[66] = {0};
    Dictionary steps = {.count = 0};
    gboolean few = TRUE;
    double bits = 64;
    guint64 half = (G_GUINT64_CONSTANT(1) << (4 * width)) - 1;
    /* Two counters side by side rise by what looks like this. */
    guint64 small = width == 8 ? 1U << 24 : 1U << 8;
    for (gsize i = 1; i < count; i++) {
        gint64 step = (gint64)(values[i] - values[i - 1]);
        guint64 coded = ((guint64)step << 1) ^ (guint64)(step >> 63);
        guint length = pm_bit_length(coded);
        lengths[length]++;
        bits += length > 1 ? length - 1 : 0;
        guint64 magnitude = step < 0 ? 0 - (guint64)step : (guint64)step;
        guint64 high = magnitude >> (4 * width);
        guint64 low = magnitude & half;
        few = few && !(high != 0 && high < small && low != 0 && low < small) &&
              dictionary_add(&steps, coded);
    }
    bits += count > 1 ? entropy(lengths, G_N_ELEMENTS(lengths), count - 1) : 0;
    if (few && count > 1)
        bits = MIN(bits, 64 + cost_of_dictionary(&steps, count - 1, 8));
    return bits;
}

gboolean
pm_is_reasonable_float(guint64 value, gsize width)
{
    if (width == 4) {
        guint exponent = (guint)(value >> 23) & 0xff;
        return (value & 0x7fffffff) == 0 || (exponent >= 127 - 30 && exponent <= 127 + 40);
    }
    guint exponent = (guint)(value >> 52) & 0x7ff;
    return value << 1 == 0 || (exponent >= 1023 - 30 && exponent <= 1023 + 40);
}

/* Whether the lower halves are fractions: zero, or wide and of any magnitude, and no floats
 * themselves. */
static gboolean
are_fractions(const guint64 *values, gsize count)
{
    gboolean seen[256] = {FALSE};
    gsize magnitudes = 0;
    gsize fractions = 0;
    gsize floats = 0;
    gsize present = 0;
    for (gsize i = 0; i < count; i++) {
        guint64 low = values[i] & G_MAXUINT32;
        if (values[i] == 0)
            continue;
        present++;
        fractions += low == 0 || pm_bit_length(low) >= WIDE_BITS ? 1 : 0;
        floats += low != 0 && pm_is_reasonable_float(low, 4) ? 1 : 0;
        magnitudes += low != 0 && !seen[low >> 24] ? 1 : 0;
        seen[low >> 24] = TRUE;
    }
    return (double)fractions >= DOUBLE_SHARE * (double)present &&
           (double)floats < DOUBLE_SHARE * (double)present &&
           (magnitudes == 0 || magnitudes >= MIN((gsize)MAGNITUDES, present / 2));
}

/* @ret_number: the double @value is @ret_number / @scale, but for rounding. */
static gboolean
read_decimal(guint64 value, double scale, guint64 *ret_number)
{
    double number = 0;
    memcpy(&number, &value, sizeof number);
    number *= scale;
    *ret_number = 0;
    if (!(fabs(number) < DECIMAL_LARGEST))
        return FALSE;
    *ret_number = (guint64)(gint64)rint(number);
    return fabs(number - rint(number)) <= fabs(number) * DECIMAL_ERROR;
}

/*
 * Doubles such as prices, which have few digits behind the point: then they are integers of another
 * unit. Two fields side by side are not, other than by chance.
 *
 * Returns: INFINITY where they are something else, or have no digits behind the point.
 */
static double
cost_by_decimal(const guint64 *values, gsize count)
{
    static const double scales[] = {10, 100, 1000, 10000, 1000000};
    g_autofree guint64 *numbers = g_new(guint64, count + 1);
    gsize fractions = 0;
    for (gsize i = 0; i < count; i++)
        fractions += (values[i] & G_MAXUINT32) != 0 ? 1 : 0;
    if (fractions < DECIMAL_LEAST || fractions < count / 4)
        return INFINITY;
    for (gsize at = 0; at < G_N_ELEMENTS(scales); at++) {
        gsize decimals = 0;
        for (gsize i = 0; i < count; i++)
            decimals += read_decimal(values[i], scales[at], &numbers[i]) ? 1 : 0;
        if ((double)decimals < DECIMAL_SHARE * (double)count)
            continue;
        double bits = MIN(cost_by_range(numbers, count, 8), cost_by_length(numbers, count, 8));
        bits = MIN(bits, cost_by_step(numbers, count, 8));
        return bits + 52.0 * (double)(count - decimals);
    }
    return INFINITY;
}

/* Sign and exponent of each value, how many bits of its fraction are used, and those. */
static double
cost_by_float(const guint64 *values, gsize count, gsize width)
{
    guint fraction_bits = width == 8 ? 52 : 23;
    g_autofree guint32 *exponents = g_new0(guint32, 4096);
    guint32 used[54] = {0};
    gsize reasonable = 0;
    gsize present = 0;
    double bits = 0;
    for (gsize i = 0; i < count; i++) {
        guint64 fraction = values[i] & ((G_GUINT64_CONSTANT(1) << fraction_bits) - 1);
        guint length = fraction == 0 ? 0 : fraction_bits - (guint)__builtin_ctzll(fraction);
        present += values[i] != 0 ? 1 : 0;
        reasonable += values[i] != 0 && pm_is_reasonable_float(values[i], width) ? 1 : 0;
        exponents[values[i] >> fraction_bits]++;
        used[length]++;
        bits += length;
    }
    if ((double)reasonable < FLOAT_SHARE * (double)count)
        return INFINITY;
    bits =
        MIN(bits + entropy(used, G_N_ELEMENTS(used), count), (double)fraction_bits * (double)count);
    double bonus = width == 8 && are_fractions(values, count) ? DOUBLE_BONUS : FLOAT_BONUS;
    bits += entropy(exponents, 4096, count) - bonus * (double)present;
    return width == 8 ? MIN(bits, cost_by_decimal(values, count)) : bits;
}

/* Whether the values are those of a field of 16 or 32 bits with others above it that do not change:
 * they begin where such a field does, which times do by chance alone. */
static gboolean
is_above_constant(const guint64 *values, gsize count)
{
    guint64 min = G_MAXUINT64, max = 0;
    for (gsize i = 0; i < count; i++) {
        min = values[i] != 0 ? MIN(min, values[i]) : min;
        max = MAX(max, values[i]);
    }
    for (guint bits = 16; bits <= 32 && min < max; bits += 16) {
        const guint64 rest = min & ((G_GUINT64_CONSTANT(1) << bits) - 1);
        if (min >> bits == max >> bits && rest <= (max - min) / NARROW_START)
            return TRUE;
    }
    return FALSE;
}

guint64
pm_find_time_unit(const guint64 *values, gsize count, gsize width, gint64 newest_seconds)
{
    static const guint64 units[] = {1, 1000, 1000000, 1000000000};
    for (gsize i = 0; i < G_N_ELEMENTS(units) && width >= 4; i++) {
        guint64 oldest = (guint64)PM_EPOCH_OLDEST * units[i];
        guint64 newest = (guint64)newest_seconds * units[i];
        gsize within = 0;
        if (i > 0 && width < 8)
            break;
        for (gsize j = 0; j < count; j++)
            within += values[j] >= oldest && values[j] <= newest ? 1 : 0;
        if (count > 0 && (double)within >= FLOAT_SHARE * (double)count)
            return is_above_constant(values, count) ? 0 : units[i];
    }
    return 0;
}

/* Small signed numbers of 64 bits: their upper halves follow from the lower ones. */
static gboolean
are_sign_extended(const guint64 *values, gsize count)
{
    guint64 upper = 0;
    for (gsize i = 0; i < count; i++) {
        guint64 extended = (guint64)(gint64)(gint32)(guint32)values[i];
        if (values[i] != extended)
            return FALSE;
        upper |= values[i] >> 32;
    }
    return upper != 0;
}

/* A number of 32 bits and all of them beside padding is not one of 64. */
static gboolean
is_padded(const guint64 *values, gsize count)
{
    guint64 any = 0;
    for (gsize i = 0; i < count; i++)
        any |= values[i];
    return any >> 32 == 0 && any >> 31 == 1;
}

/* The shortest of the ways but for the list of values. */
static double
cost_by_value(const guint64 *values, gsize count, gsize width)
{
    if (count == 0)
        return 0;
    double bits = cost_by_range(values, count, width);
    bits = MIN(bits, cost_by_length(values, count, width));
    bits = MIN(bits, cost_by_step(values, count, width));
    return width < 4 ? bits : MIN(bits, cost_by_float(values, count, width));
}

gboolean
pm_field_is_constant(const PmRows *rows, gsize offset, gsize width)
{
    for (gsize i = 1; i < rows->count; i++) {
        if (memcmp(pm_rows_get(rows, i) + offset, pm_rows_get(rows, 0) + offset, width) != 0)
            return FALSE;
    }
    return TRUE;
}

/* The shortest of the ways but for the list, with what is zero told apart or not. */
static double
cost_with_nulls(const guint64 *values, gsize count, gsize width, gint64 newest_seconds)
{
    g_autofree guint64 *present = g_new(guint64, count);
    gsize present_count = 0;
    for (gsize i = 0; i < count; i++) {
        if (values[i] != 0)
            present[present_count++] = values[i];
    }
    guint32 nulls[] = {(guint32)present_count, (guint32)(count - present_count)};
    double bits = cost_by_value(present, present_count, width);
    if (present_count < count)
        bits = MIN(bits + entropy(nulls, 2, count), cost_by_value(values, count, width));
    if (width == 8 && pm_find_time_unit(present, present_count, width, newest_seconds) > 1)
        bits -= TIME_BONUS * (double)present_count;
    return MIN(bits, (double)count * 8.0 * (double)width);
}

double
pm_field_cost(const PmRows *rows, gsize offset, gsize width, gint64 newest_seconds,
              gboolean *ret_is_set)
{
    *ret_is_set = TRUE;
    if (rows->count == 0)
        return 0;
    if (pm_field_is_constant(rows, offset, width))
        return 2 * pm_bit_length(pm_load_number(pm_rows_get(rows, 0) + offset, width)) + 1;
    g_autofree guint64 *values = g_new(guint64, rows->count);
    for (gsize i = 0; i < rows->count; i++)
        values[i] = pm_load_number(pm_rows_get(rows, i) + offset, width);
    gboolean two = FALSE;
    double listed = cost_by_dictionary(values, rows->count, width, &two);
    if (two)
        return INFINITY;
    double bits = cost_with_nulls(values, rows->count, width, newest_seconds);
    *ret_is_set = listed < bits;
    bits = MIN(bits, listed);
    if (width == 8 && are_sign_extended(values, rows->count)) {
        gboolean lower_is_set = FALSE;
        bits = MIN(bits, pm_field_cost(rows, offset, width / 2, newest_seconds, &lower_is_set));
    }
    if (width == 8 && is_padded(values, rows->count))
        bits += PM_FIELD_BITS + 3 * PM_FIELD_TIE * bits;
    return bits;
}
