/*
 * Counts of symbols; see profile.h.
 */
#include "analysis/schema/profile.h"

#include <math.h>

/* A kind of value that fewer than these share has is an accident. */
#define RARE 0.05
/* Of two distributions, what they have in common when they are of one field. */
#define COMMON 0.5

void
pm_profile_init(PmProfile *profile, gsize words)
{
    profile->words = words;
    profile->rows = 0;
    profile->counts = g_new0(guint32, words * PM_SYMBOLS + 1);
}

void
pm_profile_clear(PmProfile *profile)
{
    g_clear_pointer(&profile->counts, g_free);
}

void
pm_profile_add_row(PmProfile *profile, const guint8 *symbols)
{
    profile->rows++;
    for (gsize i = 0; i < profile->words; i++)
        profile->counts[i * PM_SYMBOLS + symbols[i]]++;
}

void
pm_profile_add(PmProfile *profile, const PmProfile *other)
{
    profile->rows += other->rows;
    for (gsize i = 0; i < profile->words * PM_SYMBOLS; i++)
        profile->counts[i] += other->counts[i];
}

/* What two words are to each other. */
typedef struct {
    double agree;
    double differ;
    gboolean clash;
} Relation;

static gsize
sort_of(guint8 symbol)
{
    return symbol == PM_SYMBOL_INTERIOR || symbol == PM_SYMBOL_FREED ? PM_SYMBOL_CHUNK : symbol;
}

/* One word of a profile: shares of sorts among the values that are not zero. */
typedef struct {
    double present; /* share of chunks in which it is not zero, 0 where it is so by accident only */
    double shares[PM_SYMBOLS];
    double numbers; /* share of numbers */
    double upper[PM_HALVES];
    double lower[PM_HALVES];
    gboolean known;
} Word;

static void
read_word(const PmProfile *profile, gsize at, Word *word)
{
    const guint32 *counts = profile->counts + at * PM_SYMBOLS;
    gsize missing = counts[PM_SYMBOL_MISSING];
    gsize zero = counts[PM_SYMBOL_ZERO];
    gsize rest = profile->rows - missing - zero;
    memset(word, 0, sizeof *word);
    word->known = missing < profile->rows;
    if (rest == 0)
        return;
    word->present = (double)rest / (double)(profile->rows - missing);
    if (word->present < RARE)
        word->present = 0;
    for (guint symbol = PM_SYMBOL_TEXT; symbol < PM_SYMBOLS; symbol++) {
        double share = (double)counts[symbol] / (double)rest;
        word->shares[sort_of((guint8)symbol)] += share;
        if (pm_symbol_is_number((guint8)symbol)) {
            word->numbers += share;
            word->upper[pm_symbol_upper((guint8)symbol)] += share;
            word->lower[pm_symbol_lower((guint8)symbol)] += share;
        }
    }
}

static double
common(const double *a, const double *b, gsize count)
{
    double sum = 0;
    for (gsize i = 0; i < count; i++)
        sum += MIN(a[i], b[i]);
    return sum;
}

/* Half a word each: agrees, is null in one, or clashes. */
static void
relate_halves(const double *a, const double *b, double a_numbers, double b_numbers,
              Relation *relation)
{
    double shares_a[PM_HALVES];
    double shares_b[PM_HALVES];
    for (gsize i = 0; i < PM_HALVES; i++) {
        shares_a[i] = a[i] / a_numbers;
        shares_b[i] = b[i] / b_numbers;
    }
    gboolean null_a = shares_a[PM_HALF_ZERO] > 1 - RARE;
    gboolean null_b = shares_b[PM_HALF_ZERO] > 1 - RARE;
    if (null_a && null_b)
        return;
    if (common(shares_a, shares_b, PM_HALVES) >= COMMON)
        relation->agree += 0.5;
    else if (null_a || null_b)
        relation->differ += 0.25;
    else
        relation->clash = TRUE;
}

static gboolean
is_mostly_text(const Word *word)
{
    return word->shares[PM_SYMBOL_TEXT] >= COMMON;
}

/* A pointer to something that can be read or written, as a name that is a literal here and in the
 * heap there. */
static double
data_pointers(const Word *word)
{
    double sum = 0;
    for (gsize i = PM_SYMBOL_CHUNK; i <= PM_SYMBOL_MAPPING; i++)
        sum += i == PM_SYMBOL_CODE ? 0 : word->shares[i];
    return sum;
}

static void
relate_words(const Word *a, const Word *b, Relation *relation)
{
    if (!a->known || !b->known || (a->present == 0 && b->present == 0))
        return;
    if (a->present == 0 || b->present == 0) {
        relation->differ += 0.5;
        return;
    }
    if (common(a->shares, b->shares, PM_SYMBOLS) >= COMMON) {
        relation->agree += 1;
        return;
    }
    if (a->numbers >= 1 - RARE && b->numbers >= 1 - RARE) {
        relate_halves(a->upper, b->upper, a->numbers, b->numbers, relation);
        relate_halves(a->lower, b->lower, a->numbers, b->numbers, relation);
        return;
    }
    /* One or two letters look like a number. */
    const guint8 small = PM_SYMBOL_NUMBERS + PM_HALF_ZERO * PM_HALVES + PM_HALF_NUMBER;
    if ((is_mostly_text(a) && b->shares[small] + b->shares[PM_SYMBOL_TEXT] > 1 - RARE) ||
        (is_mostly_text(b) && a->shares[small] + a->shares[PM_SYMBOL_TEXT] > 1 - RARE))
        relation->differ += 0.5;
    else if (data_pointers(a) > 1 - RARE && data_pointers(b) > 1 - RARE)
        relation->differ += 1;
    else
        relation->clash = TRUE;
}

gboolean
pm_profile_is_same(const PmProfile *a, const PmProfile *b, double *ret_agreement)
{
    Relation relation = {0, 0, FALSE};
    for (gsize i = 0; i < a->words && !relation.clash; i++) {
        Word word_a;
        Word word_b;
        read_word(a, i, &word_a);
        read_word(b, i, &word_b);
        relate_words(&word_a, &word_b, &relation);
    }
    if (relation.clash || relation.agree == 0 || relation.agree < relation.differ)
        return FALSE;
    *ret_agreement = relation.agree - relation.differ;
    return TRUE;
}

double
pm_profile_score(const PmProfile *profile, const guint8 *symbols)
{
    double score = 0;
    for (gsize i = 0; i < profile->words; i++) {
        if (symbols[i] == PM_SYMBOL_MISSING)
            continue;
        const guint32 *counts = profile->counts + i * PM_SYMBOLS;
        double seen = (double)(profile->rows - counts[PM_SYMBOL_MISSING]);
        score += log2(((double)counts[symbols[i]] + 0.5) / (seen + 4));
    }
    return score;
}
