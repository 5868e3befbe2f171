/*
 * Words as symbols; see symbols.h.
 */
#include "analysis/schema/symbols.h"

/* A text is worth a symbol from so many bytes on, where a NUL ends it. */
#define SHORTEST_TEXT 3

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

void
pm_alphabet_init(PmAlphabet *alphabet, const PmMatrix *matrix)
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

PmHalf
pm_half_of(guint32 value)
{
    if (value == 0)
        return PM_HALF_ZERO;
    if (value < 1U << 24)
        return PM_HALF_NUMBER;
    if (value >= 0xffffff00U)
        return PM_HALF_NEGATIVE;
    /* 2^-11 … 2^23 as floats, and the upper halves of the doubles from 2^-93 on. */
    guint32 magnitude = value & 0x7fffffffU;
    return magnitude >= 0x3a000000U && magnitude < 0x4b000000U ? PM_HALF_FLOAT : PM_HALF_WIDE;
}

static guint8
symbol_of(const PmAlphabet *alphabet, const guint8 *bytes, guint8 kind, guint word_bytes)
{
    if (kind == PM_WORD_VTABLE)
        return (guint8)(PM_SYMBOL_VTABLES +
                        find_vtable(alphabet, pm_load_number(bytes, word_bytes)));
    if (kind != PM_WORD_NUMBER)
        return pointer_symbols[kind < PM_WORD_KINDS ? kind : PM_WORD_NUMBER];
    PmHalf lower = pm_half_of((guint32)pm_load_number(bytes, 4));
    PmHalf upper = word_bytes == 8 ? pm_half_of((guint32)pm_load_number(bytes + 4, 4)) : 0;
    return (guint8)(PM_SYMBOL_NUMBERS + upper * PM_HALVES + lower);
}

/* How many words a text that begins at @bytes takes, its NUL included; 0 where none does. */
static gsize
text_words(const guint8 *bytes, gsize count, guint word_bytes)
{
    gsize length = pm_text_length(bytes, count);
    gboolean ended = length < count && bytes[length] == '\0';
    if (length < (ended ? SHORTEST_TEXT : MAX((gsize)word_bytes, 6)))
        return 0;
    return MIN(length + (ended ? 1 : 0) + word_bytes - 1, count) / word_bytes;
}

void
pm_alphabet_read(const PmAlphabet *alphabet, const guint8 *bytes, const guint8 *kinds, gsize words,
                 guint word_bytes, guint8 *symbols)
{
    gsize at = 0;
    while (at < words) {
        const guint8 *word = bytes + at * word_bytes;
        gsize text = kinds[at] == PM_WORD_NUMBER
                         ? text_words(word, (words - at) * word_bytes, word_bytes)
                         : 0;
        if (text == 0) {
            symbols[at] = symbol_of(alphabet, word, kinds[at], word_bytes);
            at++;
            continue;
        }
        symbols[at++] = PM_SYMBOL_TEXT;
        for (gsize i = 1; i < text; i++)
            symbols[at++] = PM_SYMBOL_MISSING;
    }
}
