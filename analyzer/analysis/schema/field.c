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
    gboolean upper = FALSE;
    for (gsize i = 0; i < HASH_SLOTS; i++) {
        if (dictionary->counts[i] == 0)
            continue;
        guint64 high = dictionary->values[i] >> (8 * half);
        guint64 low = dictionary->values[i] & mask;
        if (high >= small[half] || low >= small[half])
            return FALSE;
        upper = upper || high != 0;
    }
    return upper;
}

static double
cost_by_dictionary(const guint64 *values, gsize count, gsize width)
{
    Dictionary dictionary = {.count = 0};
    for (gsize i = 0; i < count; i++) {
        if (!dictionary_add(&dictionary, values[i]))
            return INFINITY;
    }
    if (dictionary.count > 1 && are_two_numbers(&dictionary, width))
        return INFINITY;
    double bits = dictionary.count > 1 ? entropy(dictionary.counts, HASH_SLOTS, count) : 0;
    for (gsize i = 0; i < HASH_SLOTS; i++) {
        if (dictionary.counts[i] != 0)
            bits += 2 * pm_bit_length(dictionary.values[i]) + 1;
    }
    return bits;
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
cost_by_length(const guint64 *values, gsize count)
{
    guint32 lengths[66] = {0};
    double bits = 0;
    for (gsize i = 0; i < count; i++) {
        guint length = pm_bit_length(values[i]);
        lengths[length]++;
        bits += length > 1 ? length - 1 : 0;
    }
    return bits + entropy(lengths, G_N_ELEMENTS(lengths), count);
}

/* The same of what each value is more or less than the one before. */
static double
cost_by_step(const guint64 *values, gsize count)
{
    guint32 lengths[66] = {0};
    double bits = 64;
    for (gsize i = 1; i < count; i++) {
        gint64 step = (gint64)(values[i] - values[i - 1]);
        guint64 coded = ((guint64)step << 1) ^ (guint64)(step >> 63);
        guint length = pm_bit_length(coded);
        lengths[length]++;
        bits += length > 1 ? length - 1 : 0;
    }
    return bits + (count > 1 ? entropy(lengths, G_N_ELEMENTS(lengths), count - 1) : 0);
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

/* Sign and exponent of each value, how many bits of its fraction are used, and those. */
static double
cost_by_float(const guint64 *values, gsize count, gsize width)
{
    guint fraction_bits = width == 8 ? 52 : 23;
    g_autofree guint32 *exponents = g_new0(guint32, 4096);
    guint32 used[54] = {0};
    gsize reasonable = 0;
    double bits = 0;
    for (gsize i = 0; i < count; i++) {
        guint64 fraction = values[i] & ((G_GUINT64_CONSTANT(1) << fraction_bits) - 1);
        guint length = fraction == 0 ? 0 : fraction_bits - (guint)__builtin_ctzll(fraction);
        reasonable += pm_is_reasonable_float(values[i], width) ? 1 : 0;
        exponents[values[i] >> fraction_bits]++;
        used[length]++;
        bits += length;
    }
    if ((double)reasonable < FLOAT_SHARE * (double)count)
        return INFINITY;
    return bits + entropy(exponents, 4096, count) + entropy(used, G_N_ELEMENTS(used), count);
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

gboolean
pm_field_is_constant(const PmRows *rows, gsize offset, gsize width)
{
    for (gsize i = 1; i < rows->count; i++) {
        if (memcmp(pm_rows_get(rows, i) + offset, pm_rows_get(rows, 0) + offset, width) != 0)
            return FALSE;
    }
    return TRUE;
}

double
pm_field_cost(const PmRows *rows, gsize offset, gsize width)
{
    g_autofree guint64 *values = g_new(guint64, rows->count);
    gboolean same = TRUE;
    for (gsize i = 0; i < rows->count; i++) {
        values[i] = pm_load_number(pm_rows_get(rows, i) + offset, width);
        same = same && values[i] == values[0];
    }
    if (same)
        return 2 * pm_bit_length(values[0]) + 1;
    double bits = (double)rows->count * 8.0 * (double)width;
    bits = MIN(bits, cost_by_dictionary(values, rows->count, width));
    bits = MIN(bits, cost_by_range(values, rows->count, width));
    bits = MIN(bits, cost_by_length(values, rows->count));
    bits = MIN(bits, cost_by_step(values, rows->count));
    if (width >= 4)
        bits = MIN(bits, cost_by_float(values, rows->count, width));
    if (width == 8 && is_padded(values, rows->count))
        bits += PM_FIELD_BITS + 1;
    return bits;
}
