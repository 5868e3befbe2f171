/*
 * Claims against bytes; see fingerprint.h.
 */
#include "analysis/sites/fingerprint.h"

#include "analysis/evidence.h"
#include "analysis/format.h"

#include <math.h>
#include <string.h>

/* A field is known to change where this share of a layout's chunks still have what was stored. */
#define STILL_SHARE 0.05
/* A constant is that of several fields where one of its parts is in at least STILL_SHARE of the
 * chunks, in so many times as many as the whole, and in so many times as many as chance gives. */
#define PART_RATIO 20
#define PART_ODDS  3
/* What is there is of another nature than what was stored: fields seldom change that. */
#define NATURE_FACTOR 0.3
/* No single chunk says more than this for or against a site. */
#define LOG_MAX 12.0F
#define LOG_MIN (-8.0F)
/* Nor do all zeros together. */
#define LOG_ZEROS_MAX 1.0F
#define LOG_ZEROS_MIN (-1.5F)

/* Of each word of what was cleared: it is still zero, it is not. Together they say little. */
#define LOG_CLEAR_KEPT    0.06
#define LOG_CLEAR_CHANGED (-0.06)
#define LOG_CLEAR_MAX     0.5
/* The same in memory that was used before: zeros were written by somebody. */
#define LOG_USED_KEPT 0.2
#define LOG_USED_MAX  1.5
#define ZERO_USED     0.35
/* A word in it that is left over from a free chunk: a stale pointer, or one of malloc's own. */
#define LOG_CLEAR_STALE     (-0.7)
#define LOG_CLEAR_STALE_MIN (-2.1)
/* Bytes behind the request, which the allocator cleared and nobody writes. */
#define LOG_SLACK_DIRTY (-3.5)
#define LOG_SLACK_CLEAN 0.1
#define LOG_SLACK_USED  1.5

/* Of one site. */
#define FOR_MAX     3
#define AGAINST_MAX 2

/* How a claim fares in a chunk. */
typedef enum {
    OUTCOME_KEPT,
    OUTCOME_OTHER,
    OUTCOME_NATURE,
} Outcome;

/*
 * A claim in all rows. @outcomes, @logs: of each row. @kept: rows where it holds. @mean: of its
 * part of the logarithms, over the rows' shares.
 */
typedef struct {
    const PmClaim *claim;
    guint8 *outcomes;
    float *logs;
    gsize kept;
    double mean;
} Trial;

static void
trial_clear(gpointer data)
{
    Trial *trial = data;
    g_free(trial->outcomes);
    g_free(trial->logs);
}

static gboolean
is_module_kind(PmWordKind kind)
{
    return kind == PM_WORD_VTABLE || kind == PM_WORD_CODE || kind == PM_WORD_RODATA ||
           kind == PM_WORD_DATA;
}

/* Whether a field that was set to what @claim says would hardly be in a word of @kind later. */
static gboolean
is_of_other_nature(const PmClaim *claim, PmWordKind kind, gsize word_bytes)
{
    if (claim->kind == PM_CLAIM_NUMBER && claim->width_bytes <= word_bytes)
        return pm_word_kind_is_pointer(kind);
    if (claim->offset % word_bytes != 0 || claim->width_bytes != word_bytes)
        return FALSE;
    if (claim->kind == PM_CLAIM_CHUNK)
        return kind == PM_WORD_NUMBER || is_module_kind(kind);
    if (claim->kind == PM_CLAIM_ADDRESS)
        return kind == PM_WORD_NUMBER;
    return FALSE;
}

static Outcome
try_row(const PmMatrix *matrix, gsize row, const PmClaim *claim)
{
    const gsize word = claim->offset / matrix->word_bytes;
    const PmWordKind kind = word < matrix->words
                                ? (PmWordKind)matrix->kinds[row * matrix->words + word]
                                : PM_WORD_NUMBER;
    const guint8 *bytes = pm_matrix_get_row(matrix, row) + claim->offset;
    if (claim->kind == PM_CLAIM_CHUNK && (kind == PM_WORD_CHUNK || kind == PM_WORD_FREE_CHUNK))
        return OUTCOME_KEPT;
    const gboolean is_other = is_of_other_nature(claim, kind, matrix->word_bytes);
    /* A part of a pointer is no number, whatever it is by chance. */
    if (is_other && claim->width_bytes < matrix->word_bytes)
        return OUTCOME_NATURE;
    for (guint i = 0; claim->kind != PM_CLAIM_CHUNK && i < claim->count; i++)
        if (memcmp(bytes, claim->bytes[i], claim->width_bytes) == 0)
            return OUTCOME_KEPT;
    return is_other ? OUTCOME_NATURE : OUTCOME_OTHER;
}

/* How often a field of @claim changes in a layout of which @kept of @count chunks still have what
 * was stored. */
static double
get_change(const PmClaim *claim, gsize kept, gsize count)
{
    const double share = pm_share(kept, count);
    const double known = MIN(1, share / STILL_SHARE);
    return claim->change + (claim->change_often - claim->change) * known;
}

/* What @trial says of each row. */
static void
judge_trial(const PmSiteRows *rows, Trial *trial, const float *shares)
{
    const PmClaim *claim = trial->claim;
    const gsize count = rows->matrix->rows;
    g_autofree gsize *kept = g_new0(gsize, rows->layout_count + 1);
    for (gsize row = 0; row < count; row++)
        kept[rows->layouts[row]] += trial->outcomes[row] == OUTCOME_KEPT ? 1 : 0;
    for (gsize row = 0; row < count; row++) {
        const gsize layout = rows->layouts[row];
        const double change = get_change(claim, kept[layout], rows->layout_rows[layout]);
        const double chance =
            claim->kind == PM_CLAIM_ZERO && rows->is_used ? ZERO_USED : claim->chance;
        double log_row = 0;
        if (trial->outcomes[row] == OUTCOME_KEPT)
            log_row = log((1 - claim->change) / chance);
        else if (trial->outcomes[row] == OUTCOME_NATURE)
            log_row = log(change * NATURE_FACTOR / (1 - chance));
        else
            log_row = log(change / (1 - chance));
        trial->logs[row] = (float)log_row;
        trial->mean += log_row * (double)shares[row];
    }
}

static Trial
make_trial(const PmMatrix *matrix, const PmClaim *claim)
{
    Trial trial = {.claim = claim,
                   .outcomes = g_new(guint8, matrix->rows + 1),
                   .logs = g_new(float, matrix->rows + 1)};
    for (gsize row = 0; row < matrix->rows; row++) {
        trial.outcomes[row] = (guint8)try_row(matrix, row, claim);
        trial.kept += trial.outcomes[row] == OUTCOME_KEPT ? 1 : 0;
    }
    return trial;
}

static GArray *
trials_new(void)
{
    GArray *trials = g_array_new(FALSE, TRUE, sizeof(Trial));
    g_array_set_clear_func(trials, trial_clear);
    return trials;
}

/* Whether @parts, of a constant that @whole rows of @count hold, are fields of their own. */
static gboolean
are_fields(const GArray *parts, gsize whole, gsize count)
{
    for (guint i = 0; i < parts->len; i++) {
        const Trial *part = &g_array_index(parts, Trial, i);
        const double least = MAX(STILL_SHARE, PART_ODDS * part->claim->chance) * (double)count;
        if (part->claim->kind != PM_CLAIM_ZERO && part->kept >= whole * PART_RATIO &&
            (double)part->kept > least)
            return TRUE;
    }
    return FALSE;
}

/* Tries @claim, or its parts in its place. */
static void
try_claim(const PmMatrix *matrix, const PmClaims *claims, const PmClaim *claim, GArray *trials)
{
    Trial trial = make_trial(matrix, claim);
    if (claim->parts > 0) {
        g_autoptr(GArray) parts = trials_new();
        for (guint i = 0; i < 2; i++)
            try_claim(matrix, claims, &g_array_index(claims->parts, PmClaim, claim->parts - 1 + i),
                      parts);
        if (are_fields(parts, trial.kept, matrix->rows)) {
            trial_clear(&trial);
            g_array_append_vals(trials, parts->data, parts->len);
            g_array_set_clear_func(parts, NULL);
            return;
        }
    }
    g_array_append_val(trials, trial);
}

static GArray *
try_claims(const PmSiteRows *rows, const PmClaims *claims, const float *shares)
{
    GArray *trials = trials_new();
    for (guint i = 0; i < claims->claims->len; i++) {
        const PmClaim *claim = &g_array_index(claims->claims, PmClaim, i);
        if (claim->offset + claim->width_bytes <= rows->matrix->stride)
            try_claim(rows->matrix, claims, claim, trials);
    }
    for (guint i = 0; i < trials->len; i++)
        judge_trial(rows, &g_array_index(trials, Trial, i), shares);
    return trials;
}

/* Adds up what the claims say of each row. Zeros go together: all of them no more than a little. */
static void
add_up(const PmSiteRows *rows, const GArray *trials, float *logs)
{
    for (gsize row = 0; row < rows->matrix->rows; row++) {
        float zeros = 0;
        for (guint i = 0; i < trials->len; i++) {
            const Trial *trial = &g_array_index(trials, Trial, i);
            if (trial->claim->kind == PM_CLAIM_ZERO)
                zeros += trial->logs[row];
            else
                logs[row] += trial->logs[row];
        }
        logs[row] += CLAMP(zeros, LOG_ZEROS_MIN, LOG_ZEROS_MAX);
    }
}

/*
 * What was cleared. @clear: rows in which bytes behind the request are not zero. @stale: rows that
 * hold something left over. @kept: words that are still zero, of @words. @mean: of the logarithms.
 */
typedef struct {
    gsize dirty;
    gsize stale;
    gsize kept;
    gsize words;
    double mean;
} Clearing;

/* What of the words of @row that were cleared is still so. */
static double
judge_cleared_words(const PmSiteRows *rows, gsize row, const PmClaims *claims, Clearing *clearing)
{
    const PmMatrix *matrix = rows->matrix;
    const gboolean is_used = rows->is_used;
    const guint8 *bytes = pm_matrix_get_row(matrix, row);
    double words = 0, stale = 0;
    for (gsize word = 0; word < matrix->words; word++) {
        const gsize offset = word * matrix->word_bytes;
        gboolean cleared = TRUE, zero = TRUE;
        for (gsize i = offset; i < offset + matrix->word_bytes; i++) {
            cleared = cleared && claims->zeroed[i];
            zero = zero && bytes[i] == 0;
        }
        if (!cleared)
            continue;
        clearing->words++;
        clearing->kept += zero ? 1 : 0;
        words += !zero ? LOG_CLEAR_CHANGED : is_used ? LOG_USED_KEPT : LOG_CLEAR_KEPT;
        if (matrix->kinds[row * matrix->words + word] == PM_WORD_FREE_CHUNK)
            stale += LOG_CLEAR_STALE;
    }
    clearing->stale += stale < 0 ? 1 : 0;
    return CLAMP(words, -LOG_CLEAR_MAX, is_used ? LOG_USED_MAX : LOG_CLEAR_MAX) +
           MAX(stale, LOG_CLEAR_STALE_MIN);
}

/* What is behind the request of a site whose allocator clears the whole chunk. */
static double
judge_slack(const PmSiteRows *rows, gsize row, guint64 request_bytes, Clearing *clearing)
{
    const PmMatrix *matrix = rows->matrix;
    const guint8 *bytes = pm_matrix_get_row(matrix, row);
    if (request_bytes >= matrix->stride)
        return 0;
    for (gsize i = (gsize)request_bytes; i < matrix->stride; i++) {
        if (bytes[i] == 0)
            continue;
        clearing->dirty++;
        return LOG_SLACK_DIRTY;
    }
    return rows->is_used ? LOG_SLACK_USED : LOG_SLACK_CLEAN;
}

static void
judge_clearing(const PmSiteRows *rows, const PmClaims *claims, const float *shares, float *logs,
               Clearing *clearing)
{
    const PmMatrix *matrix = rows->matrix;
    for (gsize row = 0; claims->zeroed_bytes > 0 && row < matrix->rows; row++) {
        double log_row = judge_cleared_words(rows, row, claims, clearing);
        if (claims->clears_all)
            log_row += judge_slack(rows, row, claims->request_bytes, clearing);
        logs[row] += (float)log_row;
        clearing->mean += log_row * (double)shares[row];
    }
}

/* "vtable of app::Session", "the string "GET"", "parse_event+0x1f (app)"; NULL for what has no
 * name. (transfer full) */
static char *
describe_address(guint64 value, PmDescriber *describer)
{
    PmWordText text;
    pm_describer_describe(describer, value, &text);
    char *described = text.text == NULL ? NULL
                      : text.is_string  ? g_strdup_printf("the string \"%.24s\"", text.text)
                                        : g_strdup(text.text);
    pm_word_text_clear(&text);
    return described;
}

/* "0x1107", "0 or 0x1", "a chunk's address". (transfer full) */
static char *
describe_claim(const PmClaim *claim, PmDescriber *describer)
{
    if (claim->kind == PM_CLAIM_CHUNK)
        return g_strdup("a chunk's address");
    if (claim->kind == PM_CLAIM_ADDRESS && claim->count == 1 && describer != NULL) {
        char *described = describe_address(claim->values[0], describer);
        if (described != NULL)
            return described;
    }
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < claim->count; i++) {
        g_string_append(text, i > 0 ? " or " : "");
        if (claim->values[i] == 0)
            g_string_append_c(text, '0');
        else
            g_string_append_printf(text, "0x%" G_GINT64_MODIFIER "x%s", claim->values[i],
                                   claim->width_bytes > sizeof claim->values[i] ? "…" : "");
    }
    return g_string_free(text, FALSE);
}

/* "it writes 0x10 to +1, as 4,096 of 4,096 chunks have it" */
static void
add_trial(const Trial *trial, gsize count, PmDescriber *describer, GArray *evidence)
{
    g_autofree char *what = describe_claim(trial->claim, describer);
    const double weight = tanh(trial->mean / 5);
    if (trial->kept == count)
        pm_evidence_add(evidence, "stores", weight,
                        "it writes %s to +%" G_GSIZE_FORMAT ": all %s sampled chunks have that",
                        what, trial->claim->offset, pm_format_count(count).text);
    else
        pm_evidence_add(evidence, "stores", weight,
                        "it writes %s to +%" G_GSIZE_FORMAT ": %s of %s sampled chunks have that",
                        what, trial->claim->offset,
                        trial->kept == 0 ? "none" : pm_format_count(trial->kept).text,
                        pm_format_count(count).text);
}

static gint
compare_trials(gconstpointer a, gconstpointer b)
{
    const double left = ((const Trial *)a)->mean;
    const double right = ((const Trial *)b)->mean;
    return left > right ? -1 : left < right;
}

/* The claims that say most for and against the site. */
static void
add_trials(GArray *trials, gsize count, PmDescriber *describer, GArray *evidence)
{
    g_array_sort(trials, compare_trials);
    for (guint i = 0; i < MIN(trials->len, FOR_MAX); i++) {
        const Trial *trial = &g_array_index(trials, Trial, i);
        if (trial->mean > 0)
            add_trial(trial, count, describer, evidence);
    }
    for (guint i = trials->len - MIN(trials->len, AGAINST_MAX); i < trials->len; i++) {
        const Trial *trial = &g_array_index(trials, Trial, i);
        if (trial->mean < 0)
            add_trial(trial, count, describer, evidence);
    }
}

static void
add_clearing(const Clearing *clearing, gsize count, GArray *evidence)
{
    const double weight = tanh(clearing->mean / 5);
    if (clearing->words == 0)
        return;
    if (clearing->dirty > 0 || clearing->stale > 0)
        pm_evidence_add(evidence, "zeroed", weight,
                        "it clears its chunks: %s of %s sampled chunks hold what was there before",
                        pm_format_count(MAX(clearing->dirty, clearing->stale)).text,
                        pm_format_count(count).text);
    else
        pm_evidence_add(evidence, "zeroed", weight,
                        "it clears its chunks: %s of what was cleared is still zero",
                        pm_format_share(pm_share(clearing->kept, clearing->words)).text);
}

static gboolean
says_nothing(const PmSiteRows *rows, const PmClaims *claims)
{
    return rows->matrix->rows == 0 || (claims->claims->len == 0 && claims->zeroed_bytes == 0);
}

/* All of @claims in all rows. */
static GArray *
judge(const PmSiteRows *rows, const PmClaims *claims, const float *shares, float *logs,
      Clearing *clearing)
{
    const gsize count = rows->matrix->rows;
    for (gsize row = 0; row < count; row++)
        logs[row] = 0;
    GArray *trials = try_claims(rows, claims, shares);
    add_up(rows, trials, logs);
    judge_clearing(rows, claims, shares, logs, clearing);
    for (gsize row = 0; row < count; row++)
        logs[row] = CLAMP(logs[row], LOG_MIN, LOG_MAX);
    return trials;
}

gboolean
pm_fingerprint_weigh(const PmSiteRows *rows, const PmClaims *claims, float *logs)
{
    if (says_nothing(rows, claims))
        return FALSE;
    Clearing clearing = {0};
    g_autofree float *shares = g_new0(float, rows->matrix->rows);
    g_array_unref(judge(rows, claims, shares, logs, &clearing));
    return TRUE;
}

double
pm_fingerprint_explain(const PmSiteRows *rows, const PmClaims *claims, const float *shares,
                       PmDescriber *describer, GArray *evidence)
{
    const gsize count = rows->matrix->rows;
    if (says_nothing(rows, claims))
        return 0;
    Clearing clearing = {0};
    g_autofree float *logs = g_new(float, count);
    g_autoptr(GArray) trials = judge(rows, claims, shares, logs, &clearing);
    add_trials(trials, count, describer, evidence);
    add_clearing(&clearing, count, evidence);
    double mean = 0;
    for (gsize row = 0; row < count; row++)
        mean += (double)logs[row] * (double)shares[row];
    return mean;
}
