/*
 * Redis' packed collections: listpack (listpack.c) and intset (intset.c). A listpack is read from
 * its first entry to its last: every length in it must agree.
 */
#include "analysis/types/recognisers/recognisers.h"

/* Total bytes, number of elements (65,535 where there are more than that), entries, 0xff. */
#define LISTPACK_HEADER    6
#define LISTPACK_UNCOUNTED 65535
#define LISTPACK_END       0xff
/* Redis' own limit. */
#define LISTPACK_MOST (1U << 30)

/* Encoding, that is bytes of an element; length; elements, ascending. */
#define INTSET_HEADER 8
/* Fewer are no evidence. */
#define INTSET_LEAST 3

typedef struct {
    const PmSpace *space;
    gboolean has_intsets;
    const PmType *intset;
} State;

static gpointer
open_packed(PmPlaces *places, PmTypes *types)
{
    const PmSubject *subject = pm_places_get_subject(places);
    PmSymbol symbol;
    State *state = g_new0(State, 1);
    state->space = pm_process_get_space(subject->process);
    state->intset = pm_recogniser_find_type(types, "intset", NULL);
    state->has_intsets = state->intset != NULL ||
                         pm_process_lookup_symbol(subject->process, NULL, "intsetNew", &symbol);
    return state;
}

/* The bytes of the entry that begins at @bytes, without the length behind it; 0 where it is none or
 * passes @count. (listpack.c, lpCurrentEncodedSizeUnsafe) */
static guint64
get_entry_bytes(const guint8 *bytes, gsize count)
{
    /* Whole numbers of 16, 24, 32 and 64 bits: 0xf1 … 0xf4. */
    static const guint8 numbers[] = {3, 4, 5, 9};
    const guint8 first = count > 5 ? bytes[0] : LISTPACK_END;
    guint64 length = 0;
    if (first < 0x80)
        length = 1;
    else if (first < 0xc0)
        length = 1 + (first & 0x3fU);
    else if (first < 0xe0)
        length = 2;
    else if (first < 0xf0)
        length = 2 + ((first & 0x0fU) << 8 | bytes[1]);
    else if (first == 0xf0)
        length = 5 + (guint64)pm_load_u32(bytes + 1);
    else if (first <= 0xf4)
        length = numbers[first - 0xf1];
    return length < count ? length : 0;
}

/* How many bytes tell the length of an entry of @length from behind: seven bits in each. */
static guint
get_back_bytes(guint64 length)
{
    guint bytes = 1;
    while (length > 127) {
        length >>= 7;
        bytes++;
    }
    return bytes;
}

/* Whether the last byte of what is behind an entry agrees with its length: the low seven bits, and
 * a mark where there are more. (lpEncodeBacklen) */
static gboolean
check_back(const guint8 *last, guint64 length)
{
    return (last[0] & 0x7f) == (length & 0x7f) && (last[0] >> 7 != 0) == (length > 127);
}

/* Whether @bytes, @total of them, are a listpack from end to end with as many elements as it says.
 * Few bytes more than entries are read: entries begin with five that are there. */
static gboolean
walk_listpack(const guint8 *bytes, gsize total, guint elements)
{
    gsize at = LISTPACK_HEADER;
    guint64 count = 0;
    while (at + 1 < total && bytes[at] != LISTPACK_END) {
        guint8 start[6] = {0};
        /* The last entries may be shorter than the longest encoding. */
        const gsize rest = total - at;
        for (gsize i = 0; i < MIN(rest, sizeof start); i++)
            start[i] = bytes[at + i];
        const guint64 length = get_entry_bytes(start, MAX(rest, sizeof start));
        const guint back = get_back_bytes(length);
        if (length == 0 || length + back >= rest ||
            !check_back(bytes + at + length + back - 1, length))
            return FALSE;
        at += length + back;
        count++;
    }
    return at + 1 == total && bytes[at] == LISTPACK_END && count > 0 &&
           (elements == LISTPACK_UNCOUNTED ? count >= elements : count == elements);
}

static gboolean
recognise_listpack(const State *state, const PmRecogniserChunk *chunk, PmRecognition *recognition)
{
    const gsize total = pm_load_u32(chunk->bytes);
    const guint elements = chunk->bytes[4] | (guint)chunk->bytes[5] << 8;
    if (total <= LISTPACK_HEADER + 2 || total > chunk->chunk->usable_bytes ||
        total > LISTPACK_MOST || elements == 0)
        return FALSE;
    const guint8 *bytes = total <= chunk->count
                              ? chunk->bytes
                              : pm_space_peek(state->space, chunk->chunk->address, total);
    if (bytes == NULL || bytes[total - 1] != LISTPACK_END || !walk_listpack(bytes, total, elements))
        return FALSE;
    recognition->name = "listpack (Redis)";
    /* One element is two lengths and an end that agree, several are more. */
    recognition->confidence = elements > 1 ? 0.97 : 0.9;
    recognition->reason = "a listpack: the lengths of all its entries agree with its own";
    return TRUE;
}

static gint64
load_element(const guint8 *bytes, gsize width)
{
    if (width == 2)
        return (gint16)(bytes[0] | bytes[1] << 8);
    return width == 4 ? (gint32)pm_load_u32(bytes) : (gint64)pm_load_u64(bytes);
}

static gboolean
recognise_intset(const State *state, const PmRecogniserChunk *chunk, PmRecognition *recognition)
{
    const guint32 width = pm_load_u32(chunk->bytes);
    const guint64 length = pm_load_u32(chunk->bytes + 4);
    if (!state->has_intsets || (width != 2 && width != 4 && width != 8) || length < INTSET_LEAST ||
        pm_recogniser_fit(chunk, INTSET_HEADER + length * width) == PM_FIT_NONE)
        return FALSE;
    const gsize shown = MIN(length, (chunk->count - INTSET_HEADER) / width);
    for (gsize i = 1; i < shown; i++) {
        const guint8 *element = chunk->bytes + INTSET_HEADER + i * width;
        if (load_element(element, width) <= load_element(element - width, width))
            return FALSE;
    }
    recognition->name = "intset (Redis)";
    recognition->type = state->intset;
    recognition->confidence = 0.95;
    recognition->reason = "numbers that ascend, and their width and count agree with the request";
    return TRUE;
}

static gboolean
recognise_packed(gpointer data, const PmRecogniserChunk *chunk, PmRecognition *ret_recognition)
{
    const State *state = data;
    return recognise_listpack(state, chunk, ret_recognition) ||
           recognise_intset(state, chunk, ret_recognition);
}

const PmRecogniser pm_recogniser_packed = {
    .id = "packed",
    .min_bytes = 12,
    .max_bytes = LISTPACK_MOST,
    .first_words = PM_RECOGNISER_ANY_WORD,
    .open = open_packed,
    .recognise = recognise_packed,
    .close = g_free,
};
