/*
 * Words as symbols; see symbols.h.
 */
#include "analysis/schema/symbols.h"

/* A text is worth a symbol from so many bytes on. */
#define SHORTEST_TEXT 4
#define ALIGNED_TEXT  5
#define ODD_TEXT      8
#define UNENDED_TEXT  4 /* without a NUL so many more */

/* Of the numbers in a word, so many look like text by chance. */
#define CHANCE_TEXT 0.04

static const guint8 pointer_symbols[PM_WORD_KINDS] = {
    [PM_WORD_NUMBER] = PM_SYMBOL_NUMBERS,   [PM_WORD_ZERO] = PM_SYMBOL_ZERO,
    [PM_WORD_CHUNK] = PM_SYMBOL_CHUNK,      [PM_WORD_CHUNK_INTERIOR] = PM_SYMBOL_INTERIOR,
    [PM_WORD_FREE_CHUNK] = PM_SYMBOL_FREED, [PM_WORD_HEAP] = PM_SYMBOL_FREED,
    [PM_WORD_VTABLE] = PM_SYMBOL_VTABLES,   [PM_WORD_CODE] = PM_SYMBOL_CODE,
    [PM_WORD_RODATA] = PM_SYMBOL_RODATA,    [PM_WORD_DATA] = PM_SYMBOL_DATA,
    [PM_WORD_STACK] = PM_SYMBOL_STACK,      [PM_WORD_MAPPING] = PM_SYMBOL_MAPPING,
};

static gsize
find_vtable(const PmAlphabet *alphabet, guint64 value)
{
    gsize at = 0;
    while (at < alphabet->vtable_count && alphabet->vtables[at] != value)
        at++;
    return at;
}

/* What four bytes are as a number. */
static PmHalf
half_of(guint32 value)
{
    if (value == 0)
        return PM_HALF_ZERO;
    if (value < 1U << 24 || value > -(1U << 24))
        return PM_HALF_NUMBER;
    return PM_HALF_WIDE;
}

/* The upper half of a small negative number is as good as none. */
static PmHalf
upper_of(const guint8 *bytes)
{
    guint32 upper = (guint32)pm_load_number(bytes + 4, 4);
    return upper == G_MAXUINT32 && (bytes[3] & 0x80) != 0 ? PM_HALF_ZERO : half_of(upper);
}

/* @text: where in the word a text begins; word_bytes where none does. */
static guint8
symbol_of(const PmAlphabet *alphabet, const guint8 *bytes, guint8 kind, guint word_bytes,
          gsize text)
{
    if (kind == PM_WORD_VTABLE)
        return (guint8)(PM_SYMBOL_VTABLES +
                        find_vtable(alphabet, pm_load_number(bytes, word_bytes)));
    if (kind != PM_WORD_NUMBER)
        return pointer_symbols[kind < PM_WORD_KINDS ? kind : PM_WORD_NUMBER];
    PmHalf lower = text < 4 ? PM_HALF_TEXT : half_of((guint32)pm_load_number(bytes, 4));
    PmHalf upper = PM_HALF_ZERO;
    if (word_bytes == 8)
        upper = text < 8 ? PM_HALF_TEXT : upper_of(bytes);
    return (guint8)(PM_SYMBOL_NUMBERS + upper * PM_HALVES + lower);
}

/*
 * Where a text ends that begins at byte @at of a word, its NUL included; 0 where none does. Few
 * letters are a text where zeros fill the word up, or where they begin with a half of a word; else
 * chance has too many of them.
 */
static gsize
text_end(const guint8 *bytes, gsize count, gsize at, guint word_bytes)
{
    gsize length = pm_text_length(bytes, count);
    if (length < SHORTEST_TEXT)
        return 0;
    gboolean ended = length < count && bytes[length] == '\0';
    gsize fill = at % word_bytes + length;
    gsize zeros = 0;
    while (length + zeros < count && (fill + zeros) % word_bytes != 0 && bytes[length + zeros] == 0)
        zeros++;
    gboolean filled = zeros >= 2 && (fill + zeros) % word_bytes == 0;
    gsize enough = at % 4 == 0 ? ALIGNED_TEXT : ODD_TEXT;
    if (!ended)
        enough += UNENDED_TEXT;
    if (!(at % 4 == 0 && filled) && length < enough)
        return 0;
    return length + (ended ? 1 : 0);
}

void
pm_alphabet_read(const PmAlphabet *alphabet, const guint8 *bytes, const guint8 *kinds, gsize words,
                 guint word_bytes, guint8 *symbols)
{
    gsize end = 0; /* of the text that goes on */
    for (gsize at = 0; at < words; at++) {
        gsize start = at * word_bytes;
        if (end > start && kinds[at] == PM_WORD_NUMBER) {
            symbols[at] = PM_SYMBOL_MISSING;
            continue;
        }
        gsize text = word_bytes;
        gboolean may = kinds[at] == PM_WORD_NUMBER && !alphabet->no_text[at];
        for (gsize i = 0; i < word_bytes && may; i++) {
            gsize length =
                text_end(bytes + start + i, words * word_bytes - start - i, i, word_bytes);
            if (length > 0) {
                text = i;
                end = start + i + length;
                break;
            }
        }
        symbols[at] = text == 0 ? PM_SYMBOL_TEXT
                                : symbol_of(alphabet, bytes + start, kinds[at], word_bytes, text);
    }
}

static void
find_vtables(PmAlphabet *alphabet, const PmMatrix *matrix)
{
    alphabet->vtable_count = 0;
    for (gsize i = 0; i < matrix->rows * matrix->words; i++) {
        if (matrix->kinds[i] != PM_WORD_VTABLE)
            continue;
        guint64 value = pm_load_number(matrix->bytes + i * matrix->word_bytes, matrix->word_bytes);
        if (find_vtable(alphabet, value) == alphabet->vtable_count &&
            alphabet->vtable_count < G_N_ELEMENTS(alphabet->vtables))
            alphabet->vtables[alphabet->vtable_count++] = value;
    }
}

static void
read_all(const PmAlphabet *alphabet, const PmMatrix *matrix, guint8 *symbols)
{
    for (gsize i = 0; i < matrix->rows; i++)
        pm_alphabet_read(alphabet, pm_matrix_get_row(matrix, i), matrix->kinds + i * matrix->words,
                         matrix->words, matrix->word_bytes, symbols + i * matrix->words);
}

/* Where fewer words look like text than numbers do by chance, none is. Returns: whether there are
 * such. */
static gboolean
find_chance_texts(PmAlphabet *alphabet, const PmMatrix *matrix, const guint8 *symbols)
{
    gboolean any = FALSE;
    for (gsize word = 0; word < matrix->words; word++) {
        gsize texts = 0;
        gsize numbers = 0;
        for (gsize i = 0; i < matrix->rows; i++) {
            guint8 symbol = symbols[i * matrix->words + word];
            gboolean number = pm_symbol_is_number(symbol);
            gboolean text =
                symbol == PM_SYMBOL_TEXT || (number && (pm_symbol_upper(symbol) == PM_HALF_TEXT ||
                                                        pm_symbol_lower(symbol) == PM_HALF_TEXT));
            texts += text ? 1 : 0;
            numbers += number && !text ? 1 : 0;
        }
        alphabet->no_text[word] =
            texts > 0 && (double)texts < CHANCE_TEXT * (double)(texts + numbers);
        any = any || alphabet->no_text[word];
    }
    return any;
}

void
pm_alphabet_init(PmAlphabet *alphabet, const PmMatrix *matrix, guint8 *symbols)
{
    *alphabet = (PmAlphabet){.vtable_count = 0};
    find_vtables(alphabet, matrix);
    read_all(alphabet, matrix, symbols);
    if (find_chance_texts(alphabet, matrix, symbols))
        read_all(alphabet, matrix, symbols);
}
