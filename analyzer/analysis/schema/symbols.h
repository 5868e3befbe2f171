/*
 * What a word of a chunk is at first sight, as one of a few symbols: what chunks are compared by.
 * Numbers are told apart only by what two kinds of field would hold, never by how large a counter
 * has become.
 */
#pragma once

#include "analysis/schema/matrix.h"

#include "analysis/contents/places.h"

typedef enum {
    PM_SYMBOL_MISSING, /* within a text that began in a word before */
    PM_SYMBOL_ZERO,
    PM_SYMBOL_TEXT, /* a text begins here */
    PM_SYMBOL_CHUNK,
    PM_SYMBOL_INTERIOR,
    PM_SYMBOL_FREED,
    PM_SYMBOL_CODE,
    PM_SYMBOL_RODATA,
    PM_SYMBOL_DATA,
    PM_SYMBOL_STACK,
    PM_SYMBOL_MAPPING,
    PM_SYMBOL_NUMBERS, /* the first of PM_HALVES × PM_HALVES: by its upper half, then its lower */
} PmWordSymbol;

typedef enum {
    PM_HALF_ZERO,
    PM_HALF_NUMBER, /* of a magnitude of less than 2^24 */
    PM_HALF_WIDE,
    PM_HALF_TEXT, /* a text begins in these bytes */
} PmHalf;
#define PM_HALVES 4

/* From here on vtables, each a symbol of its own; the last one stands for all that are too many. */
#define PM_SYMBOL_VTABLES (PM_SYMBOL_NUMBERS + PM_HALVES * PM_HALVES)
#define PM_SYMBOLS        128

/* The most words of a row. */
#define PM_WORDS_MAX 512

/*
 * @vtables: those that have symbols: @vtables[i] has PM_SYMBOL_VTABLES + i.
 * @no_text: words in which no text begins, however much a number may look like one by chance.
 */
typedef struct {
    guint64 vtables[PM_SYMBOLS - PM_SYMBOL_VTABLES - 1];
    gsize vtable_count;
    gboolean no_text[PM_WORDS_MAX];
} PmAlphabet;

/*
 * Finds the vtables of @matrix, and what its words are.
 *
 * @matrix: of at most PM_WORDS_MAX words. @symbols: (out): rows × words.
 */
void pm_alphabet_init(PmAlphabet *alphabet, const PmMatrix *matrix, guint8 *symbols);

static inline gboolean
pm_symbol_is_number(guint8 symbol)
{
    return symbol >= PM_SYMBOL_NUMBERS && symbol < PM_SYMBOL_VTABLES;
}

static inline gboolean
pm_symbol_is_vtable(guint8 symbol)
{
    return symbol >= PM_SYMBOL_VTABLES;
}

/* The halves of a symbol of a number. On 32 bit the upper one is zero. */
static inline PmHalf
pm_symbol_upper(guint8 symbol)
{
    return (PmHalf)((symbol - PM_SYMBOL_NUMBERS) / PM_HALVES);
}

static inline PmHalf
pm_symbol_lower(guint8 symbol)
{
    return (PmHalf)((symbol - PM_SYMBOL_NUMBERS) % PM_HALVES);
}

/*
 * The symbols of a row.
 *
 * @bytes: @words × @word_bytes bytes. @kinds: what each word is (PmWordKind). @symbols: (out): as
 * many.
 */
void pm_alphabet_read(const PmAlphabet *alphabet, const guint8 *bytes, const guint8 *kinds,
                      gsize words, guint word_bytes, guint8 *symbols);
