/*
 * Text: chunks whose whole request is one string, or strings one after another, or text to the last
 * byte. What tells a string from numbers that happen to print is how well its length agrees with
 * the request, and for short ones what they are made of and what lies behind their NUL.
 */
#include "analysis/contents/text.h"
#include "analysis/types/recognisers/recognisers.h"

#include <string.h>

/*
 * Below this nothing is called text: two or three bytes that print are as often a number. Four are
 * what one random word of 32 bits in 50 shows, so they must look like a word of a language; five to
 * seven need a number of that many bytes, which is rare.
 */
#define SHORTEST_BYTES 4
/* From here on random bytes do not print in a lifetime (0.37^16 is 1 in 10 million), whatever they
 * are. */
#define LONG_BYTES 16
/* Of text that need not end where the request ends, which is less evidence. */
#define LOOSE_BYTES 32
/* Characters of wide text. */
#define WIDE_UNITS 16
/* Behind the NUL of long text no more is looked at. */
#define SLACK_BYTES 4096

typedef struct {
    PmPlaces *places;
    const PmSpace *space;
    gsize word_bytes;
    GArray *malloc_state; /* PmRange: what links of free chunks that were once here point to */
} State;

/* The user data; @bytes: @count of its @total bytes, behind which all are zero. */
typedef struct {
    const guint8 *bytes;
    gsize count;
    guint64 total;
} View;

static gpointer
open_text(PmPlaces *places, G_GNUC_UNUSED PmTypes *types)
{
    const PmSubject *subject = pm_places_get_subject(places);
    State *state = g_new0(State, 1);
    state->places = places;
    state->space = pm_process_get_space(subject->process);
    state->word_bytes = pm_image_get_target(subject->image)->word_bytes;
    state->malloc_state = pm_ptmalloc_get_state_ranges(subject->ptmalloc);
    return state;
}

static void
close_text(gpointer data)
{
    State *state = data;
    g_array_unref(state->malloc_state);
    g_free(state);
}

/* FALSE where what is behind the first run of bytes is neither zero nor there. */
static gboolean
get_view(const State *state, const PmRecogniserChunk *chunk, View *ret_view)
{
    PmSpan span;
    const guint64 total = chunk->chunk->usable_bytes;
    *ret_view = (View){chunk->bytes, chunk->count, total};
    if (chunk->count == total)
        return TRUE;
    pm_space_get_span(state->space, chunk->chunk->address, &span);
    if (span.bytes == NULL)
        return FALSE;
    *ret_view = (View){span.bytes, (gsize)MIN(span.length_bytes, total), total};
    if (span.length_bytes >= total)
        return TRUE;
    const PmAddr behind = chunk->chunk->address + span.length_bytes;
    pm_space_get_span(state->space, behind, &span);
    return span.hole && span.length_bytes >= total - ret_view->count;
}

static gboolean
is_zero(const guint8 *bytes, gsize count)
{
    for (gsize i = 0; i < count; i++) {
        if (bytes[i] != 0)
            return FALSE;
    }
    return TRUE;
}

/* What @bytes are made of. @word: letters, digits and what joins them in names and paths. @other:
 * what else text has. @run: the longest stretch of vowels alone, or of other letters alone. */
typedef struct {
    gsize letters;
    gsize vowels;
    gsize capitals;
    gsize numeric;
    gsize plain;
    gsize word;
    gsize run;
} Makeup;

static gboolean
is_one_of(gchar byte, const char *set)
{
    return byte != 0 && strchr(set, byte) != NULL;
}

static Makeup
get_makeup(const guint8 *bytes, gsize count)
{
    Makeup makeup = {0};
    gsize run = 0;
    gboolean was_vowel = FALSE;
    for (gsize i = 0; i < count; i++) {
        const gchar byte = (gchar)bytes[i];
        const gboolean is_letter = g_ascii_isalpha(byte) || bytes[i] >= 0x80;
        const gboolean is_numeric = g_ascii_isdigit(byte) || is_one_of(byte, ".,:-+");
        const gboolean is_vowel = is_one_of(byte, "aeiouyAEIOUY");
        makeup.letters += is_letter ? 1 : 0;
        makeup.numeric += is_numeric ? 1 : 0;
        makeup.capitals += g_ascii_isupper(byte) ? 1 : 0;
        makeup.vowels += is_vowel ? 1 : 0;
        makeup.plain += g_ascii_isalnum(byte) || is_one_of(byte, "_-./ ") ? 1 : 0;
        makeup.word += is_letter || is_numeric || is_one_of(byte, " _/@=%") ? 1 : 0;
        run = is_vowel == was_vowel ? run + 1 : 1;
        was_vowel = is_vowel;
        makeup.run = MAX(makeup.run, run);
    }
    return makeup;
}

/* A word of a language, as one number of 32 bits in 12,000 looks. */
static gboolean
looks_spoken(const Makeup *makeup, const guint8 *bytes, gsize length)
{
    return makeup->plain == length && makeup->letters == length && makeup->vowels > 0 &&
           makeup->run <= 2 &&
           (makeup->capitals == 0 || (makeup->capitals == 1 && g_ascii_isupper((gchar)bytes[0])));
}

/* Whether a string of fewer than LONG_BYTES is made of what strings are made of. @is_alone: nothing
 * that is no text follows it. */
static gboolean
looks_written(const guint8 *bytes, gsize length, gboolean is_alone)
{
    const Makeup makeup = get_makeup(bytes, length);
    const gboolean has_sense = (makeup.letters + makeup.numeric) * 2 >= length;
    if (length == SHORTEST_BYTES)
        return looks_spoken(&makeup, bytes, length);
    if (length < 8)
        return makeup.word == length && (makeup.letters * 2 >= length || makeup.numeric == length);
    /* One word of 64 bits may be any number; the last byte of a double is often @ or ?. */
    if (length == 8)
        return makeup.plain == length && has_sense;
    return (is_alone ? makeup.word * 4 >= length * 3 : makeup.word == length) && has_sense;
}

/* Of long strings no more is looked at. */
#define CHANCE_BYTES 256

/*
 * Whether a long string looks drawn from all characters that print, as samples of a picture or a
 * sound may: many that stand in no words, and hardly any more often than others. In English two
 * characters agree six times as often as in that, in JSON or XML the marks do.
 */
static gboolean
looks_drawn(const guint8 *bytes, gsize length)
{
    guint8 counts[256] = {0};
    const gsize count = MIN(length, CHANCE_BYTES - 1);
    gsize plain = 0;
    gsize pairs = 0;
    for (gsize i = 0; i < count; i++) {
        plain += g_ascii_isalnum((gchar)bytes[i]) || bytes[i] >= 0x80 || bytes[i] == ' ' ? 1 : 0;
        pairs += counts[bytes[i]]++;
    }
    return plain * 100 < count * 85 && pairs * 95 < count * (count - 1);
}

typedef enum {
    SLACK_QUIET,   /* zeros, text, and what free chunks leave */
    SLACK_NUMBERS, /* something else, but no pointers */
    SLACK_POINTERS,
} Slack;

/* A link of a free chunk that was here before: to a bin, or to the header of another. */
static gboolean
is_residue(const State *state, guint64 value, const PmWord *word)
{
    if (word->kind == PM_WORD_HEAP || word->kind == PM_WORD_FREE_CHUNK)
        return TRUE;
    for (guint i = 0; i < state->malloc_state->len; i++) {
        if (pm_range_contains(g_array_index(state->malloc_state, PmRange, i), value))
            return TRUE;
    }
    return FALSE;
}

static Slack
get_word_slack(const State *state, const guint8 *bytes)
{
    PmWord word;
    const guint64 value = pm_load_word(bytes, state->word_bytes);
    if (value == 0 || pm_text_measure(bytes, state->word_bytes, NULL) == state->word_bytes)
        return SLACK_QUIET;
    pm_places_classify(state->places, value, &word);
    switch (word.kind) {
    case PM_WORD_CHUNK:
    case PM_WORD_VTABLE:
    case PM_WORD_CODE:
    case PM_WORD_RODATA:
        return SLACK_POINTERS;
    default:
        return is_residue(state, value, &word) ? SLACK_QUIET : SLACK_NUMBERS;
    }
}

/* What the whole words from @from on hold. A structure that begins with a string in an array of its
 * own goes on behind it. The last word had the size of the chunk when that was free. */
static Slack
get_slack(const State *state, const PmRecogniserChunk *chunk, const View *view, gsize from)
{
    Slack slack = SLACK_QUIET;
    gsize end = MIN(view->count, from + SLACK_BYTES);
    if (end == view->total && end >= state->word_bytes &&
        pm_load_word(view->bytes + end - state->word_bytes, state->word_bytes) ==
            chunk->chunk->chunk_bytes)
        end -= state->word_bytes;
    for (gsize at = (gsize)pm_align_up(from, state->word_bytes); at + state->word_bytes <= end;
         at += state->word_bytes) {
        slack = MAX(slack, get_word_slack(state, view->bytes + at));
        if (slack == SLACK_POINTERS)
            break;
    }
    return slack;
}

/* A string whose length agrees with the request. */
static gboolean
judge_string(const State *state, const PmRecogniserChunk *chunk, const View *view, gsize length,
             PmRecognition *recognition)
{
    PmWord first;
    const Slack slack = get_slack(state, chunk, view, length + 1);
    if (length < SHORTEST_BYTES ||
        (length < LONG_BYTES && !looks_written(view->bytes, length, slack == SLACK_QUIET)))
        return FALSE;
    /* Such a structure is likelier than a string where pointers follow a short one; behind a long
     * one that fills its request to the word they are what was there before. */
    if ((slack == SLACK_POINTERS && length < 64) ||
        (length >= LOOSE_BYTES && looks_drawn(view->bytes, length)))
        return FALSE;
    if (length < 8) {
        if (slack != SLACK_QUIET)
            return FALSE;
        pm_places_classify(state->places, pm_load_word(view->bytes, state->word_bytes), &first);
        if (pm_word_kind_is_pointer(first.kind))
            return FALSE;
    }
    recognition->name = "text";
    recognition->reason = "a string that fills its request up to the NUL";
    if (length < 8)
        recognition->confidence = length == SHORTEST_BYTES ? 0.5 : 0.6;
    else if (length < LONG_BYTES)
        recognition->confidence = slack == SLACK_QUIET ? 0.85 : 0.6;
    else
        recognition->confidence = slack == SLACK_QUIET ? 0.95 : 0.85;
    return TRUE;
}

/* @length: of the first of several. They must fill the request, or all the rest be zeros. */
static gboolean
judge_strings(const PmRecogniserChunk *chunk, const View *view, gsize length,
              PmRecognition *recognition)
{
    gsize at = length + 1;
    gsize strings = 1;
    while (at < view->count) {
        const gsize next = pm_text_measure(view->bytes + at, view->count - at, NULL);
        if (next == 0 || at + next >= view->count || view->bytes[at + next] != 0)
            break;
        at += next + 1;
        strings++;
    }
    if (strings < 2 || at < LOOSE_BYTES || at / strings < 1 + SHORTEST_BYTES)
        return FALSE;
    const gboolean is_filled =
        pm_recogniser_fit(chunk, at) == PM_FIT_EXACT ||
        (at * 2 > view->total && is_zero(view->bytes + at, view->count - at));
    if (!is_filled)
        return FALSE;
    recognition->name = "strings";
    recognition->reason = "strings one after another";
    recognition->confidence = 0.85;
    return TRUE;
}

/*
 * A string that is shorter than its request: buffers grow by doubling, so that it is more than half
 * of them; what is behind it must not be fields.
 */
static gboolean
judge_buffer(const State *state, const PmRecogniserChunk *chunk, const View *view, gsize length,
             PmRecognition *recognition)
{
    if (length < LOOSE_BYTES || length < view->total / 2 || looks_drawn(view->bytes, length))
        return FALSE;
    const Slack slack = get_slack(state, chunk, view, length + 1);
    if (slack == SLACK_POINTERS)
        return FALSE;
    recognition->name = "text buffer";
    recognition->reason = "a string that fills more than half of its request";
    recognition->confidence = slack == SLACK_QUIET ? 0.7 : 0.5;
    return TRUE;
}

/* Text in units of @unit bytes, the upper ones zero; so many units, without the NUL. */
static gsize
measure_wide(const View *view, gsize unit, gsize *ret_letters)
{
    gsize length = 0;
    gsize letters = 0;
    for (gsize at = 0; at + unit <= view->count; at += unit, length++) {
        const guint8 byte = view->bytes[at];
        if (pm_text_get_character(&byte, 1) == 0 || !is_zero(view->bytes + at + 1, unit - 1))
            break;
        letters += g_ascii_isalpha((gchar)byte) || byte == ' ';
    }
    *ret_letters = letters;
    return length;
}

/*
 * UTF-16 and UTF-32 of ASCII. Arrays of small numbers look like it; but hardly ever so many, with
 * three letters in four, and a zero where the request ends.
 */
static gboolean
judge_wide(const PmRecogniserChunk *chunk, const View *view, gsize unit, PmRecognition *recognition)
{
    gsize letters = 0;
    const gsize length = measure_wide(view, unit, &letters);
    if (length < WIDE_UNITS || letters * 4 < length * 3 || (length + 1) * unit > view->count ||
        !is_zero(view->bytes + length * unit, unit) ||
        pm_recogniser_fit(chunk, (length + 1) * unit) != PM_FIT_EXACT)
        return FALSE;
    recognition->name = unit == 2 ? "text (UTF-16)" : "text (UTF-32)";
    recognition->reason = "wide characters that fill the request up to their NUL";
    recognition->confidence = 0.8;
    return TRUE;
}

/* @length: where the text ends, without NUL. */
static gboolean
judge_unterminated(const PmRecogniserChunk *chunk, const View *view, gsize length,
                   PmRecognition *recognition)
{
    if (length < LOOSE_BYTES / 2 || (length >= LOOSE_BYTES && looks_drawn(view->bytes, length)))
        return FALSE;
    recognition->name = "text";
    if (length == view->total) {
        recognition->reason = "text to the last byte";
        recognition->confidence = length < LOOSE_BYTES ? 0.8 : 0.95;
        return TRUE;
    }
    if (length < LOOSE_BYTES || pm_recogniser_fit(chunk, length) != PM_FIT_EXACT)
        return FALSE;
    recognition->reason = "text that fills its request, without NUL";
    recognition->confidence = 0.7;
    return TRUE;
}

static gboolean
recognise_text(gpointer data, const PmRecogniserChunk *chunk, PmRecognition *ret_recognition)
{
    const State *state = data;
    View view;
    const guint first = pm_text_get_character(chunk->bytes, chunk->count);
    if (first == 0)
        return FALSE;
    /* Most that begin with a byte that prints are numbers. */
    if (first == 1 && chunk->bytes[1] == 0)
        return get_view(state, chunk, &view) &&
               judge_wide(chunk, &view, chunk->bytes[2] == 0 ? 4 : 2, ret_recognition);
    const gsize shown = pm_text_measure(chunk->bytes, chunk->count, NULL);
    if (shown < SHORTEST_BYTES || !get_view(state, chunk, &view))
        return FALSE;
    const gsize length =
        shown < chunk->count - 3 ? shown : pm_text_measure(view.bytes, view.count, NULL);
    const gboolean is_terminated =
        length < view.count ? view.bytes[length] == 0 : view.count < view.total;
    if (!is_terminated)
        return judge_unterminated(chunk, &view, length, ret_recognition);
    if (pm_recogniser_fit(chunk, length + 1) != PM_FIT_NONE)
        return judge_string(state, chunk, &view, length, ret_recognition);
    return judge_strings(chunk, &view, length, ret_recognition) ||
           judge_buffer(state, chunk, &view, length, ret_recognition);
}

const PmRecogniser pm_recogniser_text = {
    .id = "text",
    .min_bytes = 2 * sizeof(guint32),
    .max_bytes = G_MAXUINT64,
    .first_words = PM_RECOGNISER_ANY_WORD,
    .open = open_text,
    .recognise = recognise_text,
    .close = close_text,
};
