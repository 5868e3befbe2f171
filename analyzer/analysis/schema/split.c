/*
 * The best split; see split.h.
 *
 * Rows are thought of as a message: without a split every word costs the entropy of its feature;
 * with a split it costs the entropy given the side that the row is on, one more set of frequencies
 * to tell for each word (half a logarithm of the rows for each value, as minimum description length
 * has it), and to say for each row on which side it is costs the entropy of the sides. The feature
 * that the split is made on pays for that itself: once the side is known, so is whether it has the
 * value. So what is won is the mutual information between the sides and the other words. Where one
 * kind of record has a flag, nothing follows from it and nothing is won. In a mixture each word
 * that tells the kinds apart follows from any other, so that at least as much is won as the sides
 * cost; what is won in a record whose fields are loosely connected is far less.
 */
#include "analysis/schema/split.h"

#include <math.h>

/* A share of the cost of the sides. */
#define LEAST_GAIN      0.8
#define LEAST_STRONGEST 0.5
/* What it takes to name one value of a feature, and some more, for one of many is always good by
 * chance. */
#define VALUE_BITS  4.0
#define CHANCE_BITS 6.0

#define LOG_TABLE 4097

static double
x_log_x(guint64 x)
{
    static double table[LOG_TABLE];
    static gsize ready;
    if (g_once_init_enter(&ready)) {
        for (gsize i = 1; i < LOG_TABLE; i++)
            table[i] = (double)i * log2((double)i);
        g_once_init_leave(&ready, 1);
    }
    return x < LOG_TABLE ? table[x] : (double)x * log2((double)x);
}

/* How often values of two features meet. Rows where the first is missing do not count; where a word
 * is within a text, that is a value of the second: the last one. */
typedef struct {
    guint32 cells[PM_FEATURE_VALUES][PM_FEATURE_VALUES + 1];
    guint32 columns[PM_FEATURE_VALUES + 1];
    guint32 rows[PM_FEATURE_VALUES];
    guint32 total;
    gsize seen; /* values of the second that occur */
} Contingency;

static void
count_pairs(const PmFeatureColumn *first, const PmFeatureColumn *second, const guint32 *rows,
            gsize count, Contingency *table)
{
    memset(table, 0, sizeof *table);
    for (gsize i = 0; i < count; i++) {
        guint8 a = first->codes[rows[i]];
        guint8 b = second->codes[rows[i]];
        if (b == PM_VALUE_MISSING && second->feature.type == PM_FEATURE_WORD)
            b = PM_FEATURE_VALUES;
        if (a == PM_VALUE_MISSING || b == PM_VALUE_MISSING)
            continue;
        table->total++;
        table->columns[b]++;
        table->rows[a]++;
        table->cells[a][b]++;
    }
    for (gsize i = 0; i <= PM_FEATURE_VALUES; i++)
        table->seen += table->columns[i] > 0 ? 1 : 0;
}

/* What knowing whether the first feature has value @code saves of the second, in bits over all
 * rows. */
static double
information(const Contingency *table, gsize code)
{
    guint32 inside = table->rows[code];
    double bits = x_log_x(table->total) - x_log_x(inside) - x_log_x(table->total - inside);
    for (gsize i = 0; i <= PM_FEATURE_VALUES; i++) {
        guint32 both = table->cells[code][i];
        bits += x_log_x(both) + x_log_x(table->columns[i] - both) - x_log_x(table->columns[i]);
    }
    return bits;
}

static gboolean
overlap(const PmFeature *a, const PmFeature *b)
{
    return a->offset < b->offset + b->width && b->offset < a->offset + a->width;
}

/* Layouts differ in kinds of values. What connects the values of two fields of one kind, such as a
 * length here and a length there, is no reason to split. */
static gboolean
is_kind(const PmFeature *feature)
{
    return feature->type == PM_FEATURE_WORD || feature->type == PM_FEATURE_HALF;
}

/* What one feature can be split on, and what each word wins by it. */
typedef struct {
    guint32 counts[PM_FEATURE_VALUES];
    gsize present;
    double *gains; /* values × words */
    gsize words;
} Candidates;

static void
weigh(const GArray *columns, gsize at, const guint32 *rows, gsize count, guint word_bytes,
      Candidates *candidates)
{
    const PmFeatureColumn *first = &g_array_index(columns, PmFeatureColumn, at);
    Contingency table;
    memset(candidates->gains, 0, first->count * candidates->words * sizeof(double));
    for (gsize j = 0; j < columns->len; j++) {
        const PmFeatureColumn *second = &g_array_index(columns, PmFeatureColumn, j);
        if (overlap(&first->feature, &second->feature) || !is_kind(&second->feature))
            continue;
        count_pairs(first, second, rows, count, &table);
        if (table.seen < 2)
            continue;
        double cost = 0.5 * (double)(table.seen - 1) * log2((double)table.total);
        gsize word = second->feature.offset / word_bytes;
        for (gsize code = 0; code < first->count; code++) {
            double *gain = &candidates->gains[code * candidates->words + word];
            *gain = MAX(*gain, information(&table, code) - cost);
        }
    }
}

static gboolean
is_better(const Candidates *candidates, gsize code, gsize least_rows, double name_bits,
          PmSplit *split)
{
    gsize count = candidates->present;
    gsize inside = candidates->counts[code];
    if (inside < least_rows || count - inside < least_rows)
        return FALSE;
    double needed = x_log_x(count) - x_log_x(inside) - x_log_x(count - inside);
    double gain = 0;
    double strongest = 0;
    for (gsize word = 0; word < candidates->words; word++) {
        double one = candidates->gains[code * candidates->words + word];
        gain += one;
        strongest = MAX(strongest, one);
    }
    if (gain < name_bits || gain < LEAST_GAIN * needed || strongest < LEAST_STRONGEST * needed ||
        gain <= split->gain_bits)
        return FALSE;
    split->code = (guint8)code;
    split->rows = inside;
    split->gain_bits = gain;
    split->needed_bits = needed;
    split->strongest_bits = strongest;
    return TRUE;
}

/* Counts the values of a feature. Returns: whether one of them leaves enough rows on both sides. */
static gboolean
can_split(const PmFeatureColumn *column, const guint32 *rows, gsize count, gsize least_rows,
          Candidates *candidates)
{
    for (gsize i = 0; i < count; i++) {
        if (column->codes[rows[i]] == PM_VALUE_MISSING)
            continue;
        candidates->counts[column->codes[rows[i]]]++;
        candidates->present++;
    }
    for (gsize code = 0; code < column->count; code++) {
        if (candidates->counts[code] >= least_rows &&
            candidates->present - candidates->counts[code] >= least_rows)
            return TRUE;
    }
    return FALSE;
}

gboolean
pm_split_find(const GArray *columns, const PmSplitRows *rows, gsize words, guint word_bytes,
              PmSplit *ret_split)
{
    g_autofree double *gains = g_new(double, PM_FEATURE_VALUES *words);
    PmSplit best = {.gain_bits = 0};
    gboolean found = FALSE;
    double name_bits = log2((double)columns->len + 1) + VALUE_BITS + CHANCE_BITS;
    for (gsize i = 0; i < columns->len; i++) {
        const PmFeatureColumn *column = &g_array_index(columns, PmFeatureColumn, i);
        Candidates candidates = {.gains = gains, .words = words};
        if (!can_split(column, rows->rows, rows->count, rows->least, &candidates))
            continue;
        weigh(columns, i, rows->rows, rows->count, word_bytes, &candidates);
        for (gsize code = 0; code < column->count; code++) {
            if (is_better(&candidates, code, rows->least, name_bits, &best)) {
                best.column = i;
                found = TRUE;
            }
        }
    }
    if (found)
        *ret_split = best;
    return found;
}
