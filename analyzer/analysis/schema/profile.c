/*
 * Counts of symbols; see profile.h.
 */
#include "analysis/schema/profile.h"

#include <math.h>

/* A kind of value that fewer than these share has is an accident. */
#define RARE 0.05
/* Of two distributions, what they have in common when they are of one field. */
#define COMMON 0.5
/* Numbers of one field may leave out so many lengths. */
#define GAP_BITS 3
/* The share that the most frequent kind of a field has at least. */
#define ONE_KIND 0.8

void
pm_profile_init(PmProfile *profile, gsize words)
{
    profile->words = words;
    profile->rows = 0;
    profile->counts = g_new0(guint32, words * PM_SYMBOLS + 1);
    profile->lengths = g_new0(PmLengths, 2 * words + 1);
}

void
pm_profile_clear(PmProfile *profile)
{
    g_free(profile->counts);
    g_free(profile->lengths);
    *profile = (PmProfile){.counts = NULL};
}

/* Whether the four bytes are letters, with nothing but zeros behind them. */
static gboolean
are_letters(const guint8 *bytes)
{
    gsize length = pm_text_length(bytes, 4);
    for (gsize i = length; i < 4; i++) {
        if (bytes[i] != 0)
            return FALSE;
    }
    return length > 0;
}

static void
add_half(PmLengths *lengths, const guint8 *bytes, PmHalf half)
{
    if (half == PM_HALF_TEXT) {
        lengths->texts++;
        return;
    }
    gint64 number = pm_as_signed(pm_load_number(bytes, 4), 4);
    guint length = half == PM_HALF_ZERO ? 0 : pm_bit_length((guint64)ABS(number));
    lengths->numbers[length]++;
    if (are_letters(bytes))
        lengths->letters[length]++;
}

void
pm_profile_add_row(PmProfile *profile, const guint8 *bytes, const guint8 *symbols, guint word_bytes)
{
    profile->rows++;
    for (gsize i = 0; i < profile->words; i++) {
        profile->counts[i * PM_SYMBOLS + symbols[i]]++;
        if (!pm_symbol_is_number(symbols[i]))
            continue;
        const guint8 *word = bytes + i * word_bytes;
        add_half(&profile->lengths[2 * i], word, pm_symbol_lower(symbols[i]));
        if (word_bytes == 8)
            add_half(&profile->lengths[2 * i + 1], word + 4, pm_symbol_upper(symbols[i]));
    }
}

void
pm_profile_add(PmProfile *profile, const PmProfile *other)
{
    profile->rows += other->rows;
    for (gsize i = 0; i < profile->words * PM_SYMBOLS; i++)
        profile->counts[i] += other->counts[i];
    for (gsize i = 0; i < 2 * profile->words; i++) {
        for (gsize j = 0; j < G_N_ELEMENTS(profile->lengths->numbers); j++) {
            profile->lengths[i].numbers[j] += other->lengths[i].numbers[j];
            profile->lengths[i].letters[j] += other->lengths[i].letters[j];
        }
        profile->lengths[i].texts += other->lengths[i].texts;
    }
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
    const PmLengths *lengths;
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
    word->lengths = &profile->lengths[2 * at];
    if (rest == 0)
        return;
    word->present = (double)rest / (double)(profile->rows - missing);
    if (word->present < RARE)
        word->present = 0;
    for (guint symbol = PM_SYMBOL_TEXT; symbol < PM_SYMBOLS; symbol++) {
        double share = (double)counts[symbol] / (double)rest;
        word->shares[sort_of((guint8)symbol)] += share;
        if (pm_symbol_is_number((guint8)symbol))
            word->numbers += share;
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

/* Lengths of numbers without those that are zero: where the middle nine tenths are. */
typedef struct {
    double shares[33];
    double present;
    gsize low;
    gsize high;
} Half;

static void
read_half(const PmLengths *lengths, gboolean texts, Half *half)
{
    guint32 counts[33];
    gsize total = 0;
    gsize sum = 0;
    for (gsize i = 0; i < 33; i++) {
        counts[i] = lengths->numbers[i] - (texts ? lengths->letters[i] : 0);
        total += counts[i];
    }
    gsize present = total - counts[0];
    memset(half, 0, sizeof *half);
    if (total == 0 || present == 0)
        return;
    half->present = (double)present / (double)total;
    if (half->present < RARE)
        half->present = 0;
    for (gsize i = 1; i < 33; i++) {
        half->shares[i] = (double)counts[i] / (double)present;
        sum += counts[i];
        if (half->low == 0 && (double)sum >= RARE * (double)present)
            half->low = i;
        if (half->high == 0 && (double)sum >= (1 - RARE) * (double)present)
            half->high = i;
    }
}

/*
 * Half a word each: agrees, is null in one, or clashes. Numbers of which one set goes on where the
 * other ends are one field that was cut in two.
 */
static void
relate_halves(const PmLengths *a, const PmLengths *b, Relation *relation)
{
    Half half_a;
    Half half_b;
    /* A few letters look like a number. */
    gboolean texts = a->texts > 0 || b->texts > 0;
    read_half(a, texts, &half_a);
    read_half(b, texts, &half_b);
    if (half_a.present == 0 && half_b.present == 0)
        return;
    if (half_a.present == 0 || half_b.present == 0)
        relation->differ += 0.25;
    else if (common(half_a.shares, half_b.shares, 33) >= COMMON ||
             (half_a.low <= half_b.high + GAP_BITS && half_b.low <= half_a.high + GAP_BITS))
        relation->agree += 0.5;
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
        relate_halves(&a->lengths[0], &b->lengths[0], relation);
        relate_halves(&a->lengths[1], &b->lengths[1], relation);
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

/* Whether the values are of no one kind. */
static gboolean
is_mixed(const Word *word)
{
    double most = word->numbers;
    for (gsize i = 0; i < PM_SYMBOLS; i++)
        most = pm_symbol_is_number((guint8)i) ? most : MAX(most, word->shares[i]);
    return most < ONE_KIND;
}

gboolean
pm_profile_is_same(const PmProfile *a, const PmProfile *b, gsize slack_word, double *ret_agreement)
{
    Relation relation = {0, 0, FALSE};
    for (gsize i = 0; i < a->words && !relation.clash; i++) {
        Word word_a;
        Word word_b;
        read_word(a, i, &word_a);
        read_word(b, i, &word_b);
        relate_words(&word_a, &word_b, &relation);
        if (relation.clash && i >= slack_word && (is_mixed(&word_a) || is_mixed(&word_b))) {
            relation.clash = FALSE;
            relation.differ += 0.5;
        }
    }
    if (relation.clash || relation.agree == 0 || relation.agree < relation.differ)
        return FALSE;
    *ret_agreement = relation.agree - relation.differ;
    return TRUE;
}

double *
pm_profile_get_scores(const PmProfile *profile)
{
    double *scores = g_new(double, profile->words *PM_SYMBOLS + 1);
    for (gsize i = 0; i < profile->words * PM_SYMBOLS; i++)
        scores[i] = log2(((double)profile->counts[i] + 0.5) / ((double)profile->rows + 4));
    return scores;
}

double
pm_score_row(const double *scores, const guint8 *symbols, gsize words)
{
    double score = 0;
    for (gsize i = 0; i < words; i++)
        score += scores[i * PM_SYMBOLS + symbols[i]];
    return score;
}
