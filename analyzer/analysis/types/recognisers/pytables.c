/*
 * What Python objects keep their items in; see pyblocks.h. Each is known by numbers that agree with
 * the request, and by words that lead to objects.
 */
#include "analysis/types/recognisers/pyblocks.h"

/* Arrays of fewer pointers to objects are too little evidence. */
#define POINTERS_LEAST 4

/* Objects/dictobject.c, USABLE_FRACTION. */
static guint64
get_usable_fraction(guint64 entries)
{
    return (entries << 1) / 3;
}

static gboolean
name_keys(const PyState *state, const PyBlock *block, PmRecognition *recognition)
{
    recognition->name = "dict keys (Python)";
    recognition->type = state->keys;
    recognition->offset_bytes = block->start;
    recognition->confidence = 0.95;
    recognition->reason = "a dictionary's table: its counts agree with the request";
    return TRUE;
}

/* Internal/pycore_dict.h of 3.11 and later, struct _dictkeysobject: dk_refcnt, dk_log2_size,
 * dk_log2_index_bytes, dk_kind, dk_version, dk_usable, dk_nentries, indices, entries. */
static gboolean
recognise_keys(const PyState *state, const PyBlock *block, PmRecognition *recognition)
{
    const gsize word = state->word_bytes;
    const gsize at = block->start + word;
    const gsize header = word + 8 + 2 * word;
    if (at + 8 > block->chunk->count)
        return FALSE;
    const guint64 refcnt = py_block_get_word(state, block, 0);
    const guint size = block->chunk->bytes[at];
    const guint index = block->chunk->bytes[at + 1];
    const guint kind = block->chunk->bytes[at + 2];
    /* Indices have 1, 2, 4 or 8 bytes by the number of entries. */
    const guint width = size < 8 ? 0 : size < 16 ? 1 : size < 32 ? 2 : 3;
    if (refcnt == 0 || refcnt > G_MAXUINT32 || size < 3 || size > 40 || index != size + width ||
        kind > 2)
        return FALSE;
    const gsize counts = 1 + 8 / word;
    const guint64 entries = get_usable_fraction(G_GUINT64_CONSTANT(1) << size);
    const guint64 usable = py_block_get_word(state, block, counts);
    const guint64 used = py_block_get_word(state, block, counts + 1);
    /* dk_kind: of general keys an entry has its hash too. */
    const guint64 entry_words = kind == 0 ? 3 : 2;
    if (usable > entries || used > entries || usable + used > entries ||
        py_block_get_fit(state, block,
                         header + (G_GUINT64_CONSTANT(1) << index) +
                             entries * entry_words * word) == PM_FIT_NONE)
        return FALSE;
    return name_keys(state, block, recognition);
}

/* Objects/dict-common.h to 3.10: dk_refcnt, dk_size, dk_lookup, dk_usable, dk_nentries, indices,
 * entries. */
static gboolean
recognise_old_keys(const PyState *state, const PyBlock *block, PmRecognition *recognition)
{
    PmWord lookup;
    const gsize word = state->word_bytes;
    const guint64 refcnt = py_block_get_word(state, block, 0);
    const guint64 size = py_block_get_word(state, block, 1);
    if (refcnt == 0 || refcnt > G_MAXUINT32 || size < 8 || (size & (size - 1)) != 0 ||
        size > G_MAXUINT32)
        return FALSE;
    const guint64 width = size <= 0xff ? 1 : size <= 0xffff ? 2 : 4;
    const guint64 entries = get_usable_fraction(size);
    if (py_block_get_word(state, block, 3) > entries ||
        py_block_get_word(state, block, 4) > entries ||
        py_block_get_fit(state, block, 5 * word + size * width + entries * 3 * word) == PM_FIT_NONE)
        return FALSE;
    pm_places_classify(state->places, py_block_get_word(state, block, 2), &lookup);
    return lookup.kind == PM_WORD_CODE && name_keys(state, block, recognition);
}

/*
 * PyDictValues of 3.11 and 3.12 (pycore_dict.h): before the values a prefix of whole words, at
 * whose end are its own size, how many values there are, and their order, last first. There are as
 * many values as bytes of the prefix, less two at least.
 */
static gboolean
recognise_values(const PyState *state, const PyBlock *block, PmRecognition *recognition)
{
    const guint8 *bytes = block->chunk->bytes + block->start;
    const gsize word = state->word_bytes;
    gsize prefix = word;
    while (prefix <= 4 * word && block->start + prefix < block->chunk->count &&
           bytes[prefix - 1] != prefix)
        prefix += word;
    if (prefix > 4 * word || block->start + prefix >= block->chunk->count)
        return FALSE;
    const gsize used = bytes[prefix - 2];
    guint64 seen = 0;
    gsize objects = 0;
    if (used == 0 || used + 2 > prefix)
        return FALSE;
    for (gsize i = 0; i < used; i++) {
        const guint at = bytes[prefix - 3 - i];
        const guint64 value = py_block_get_word(state, block, prefix / word + at);
        if (at + 2 >= prefix || (seen >> at & 1) != 0 ||
            (value != 0 && !py_is_object(state, value)))
            return FALSE;
        seen |= G_GUINT64_CONSTANT(1) << at;
        objects += value != 0 ? 1 : 0;
    }
    PmFit fit = PM_FIT_NONE;
    for (gsize values = used; values + 2 <= prefix; values++)
        fit = MAX(fit, py_block_get_fit(state, block, prefix + values * word));
    if (fit == PM_FIT_NONE || objects == 0)
        return FALSE;
    recognition->name = "attribute values (Python)";
    recognition->type = state->values;
    recognition->offset_bytes = block->start + prefix;
    recognition->confidence = 0.9;
    recognition->reason = "the order of the values stands before them, and they are Python objects";
    return TRUE;
}

/* Objects/setobject.c: a power of two of entries, each a key and its hash; an entry that was never
 * used is zero, of a deleted one the hash is -1. */
static gboolean
recognise_set_table(const PyState *state, const PyBlock *block, PmRecognition *recognition)
{
    const gsize word = state->word_bytes;
    const gsize shown = (block->chunk->count - block->start) / (2 * word);
    guint64 size = 8;
    gsize objects = 0;
    while (size * 2 * word < py_block_get_room(block) &&
           py_block_get_fit(state, block, size * 2 * word) == PM_FIT_NONE)
        size *= 2;
    if (py_block_get_fit(state, block, size * 2 * word) != PM_FIT_EXACT)
        return FALSE;
    for (gsize i = 0; i < MIN(shown, size); i++) {
        const guint64 key = py_block_get_word(state, block, 2 * i);
        const guint64 hash = py_block_get_word(state, block, 2 * i + 1);
        if (key == 0 && hash == 0)
            continue;
        /* No hash is -1, which a deleted entry has; hashes of pointers to objects are turned. */
        if (!py_is_object(state, key) || (hash != G_MAXUINT64 && py_is_object(state, hash)))
            return FALSE;
        objects++;
    }
    if (objects < 2)
        return FALSE;
    recognition->name = "set table (Python)";
    recognition->offset_bytes = block->start;
    recognition->confidence = objects < POINTERS_LEAST ? 0.75 : 0.9;
    recognition->reason = "a power of two of entries, empty or a Python object with its hash";
    return TRUE;
}

/* How many words from @from to @to are addresses of objects without one that is not. */
static gsize
count_objects(const PyState *state, const PyBlock *block, gsize from, gsize to)
{
    gsize count = 0;
    while (from + count < to && py_is_object(state, py_block_get_word(state, block, from + count)))
        count++;
    return count;
}

/* Modules/_collectionsmodule.c: a block of a deque is a link, 64 items, and a link. */
#define DEQUE_ITEMS 64

static gboolean
recognise_deque_block(const PyState *state, const PyBlock *block, PmRecognition *recognition)
{
    const gsize shown = (block->chunk->count - block->start) / state->word_bytes;
    gsize objects = 0;
    if (py_block_get_fit(state, block, (DEQUE_ITEMS + 2) * state->word_bytes) != PM_FIT_EXACT ||
        py_is_object(state, py_block_get_word(state, block, 0)))
        return FALSE;
    /* Items begin in the middle where there is but one block. */
    for (gsize at = 1; at < shown; at++)
        objects = MAX(objects, count_objects(state, block, at, shown));
    if (objects < POINTERS_LEAST)
        return FALSE;
    recognition->name = "deque block (Python)";
    recognition->offset_bytes = block->start;
    recognition->confidence = objects < shown / 2 ? 0.7 : 0.85;
    recognition->reason = "a link, then Python objects, in a request of a deque's block";
    return TRUE;
}

/* What a list keeps its items in, and others their arrays: pointers to objects from the start on.
 * Lists have room for some more, in which anything may be. */
static gboolean
recognise_pointers(const PyState *state, const PyBlock *block, PmRecognition *recognition)
{
    const gsize shown = (block->chunk->count - block->start) / state->word_bytes;
    const gsize all = (gsize)MIN(shown, py_block_get_room(block) / state->word_bytes);
    const gsize count = count_objects(state, block, 0, all);
    if (count < POINTERS_LEAST || count * 2 < all)
        return FALSE;
    recognition->name = "object pointers (Python)";
    recognition->type = state->pointer;
    recognition->elements = py_block_get_room(block) / state->word_bytes;
    recognition->offset_bytes = block->start;
    recognition->confidence = count == all ? 0.85 : 0.7;
    recognition->reason = "the words from the start on are addresses of Python objects";
    return TRUE;
}

/* Python/pyarena.c, struct _block: ab_size, ab_offset, ab_next, ab_mem, which leads behind it. */
#define ARENA_WORDS 4

static gboolean
recognise_parser_block(const PyState *state, const PyBlock *block, PmRecognition *recognition)
{
    const guint64 size = py_block_get_word(state, block, 0);
    const guint64 used = py_block_get_word(state, block, 1);
    const gsize header = ARENA_WORDS * state->word_bytes;
    if (size < 256 || used > size || size > py_block_get_room(block) ||
        py_block_get_word(state, block, 3) !=
            block->chunk->chunk->address + block->start + header ||
        py_block_get_fit(state, block, header + size) == PM_FIT_NONE)
        return FALSE;
    recognition->name = "parser block (Python)";
    recognition->offset_bytes = block->start;
    recognition->confidence = 0.98;
    recognition->reason = "its size agrees with the request, and it points behind its own header";
    return TRUE;
}

gboolean
py_tables_recognise(const PyState *state, const PyBlock *block, PmRecognition *recognition)
{
    const gboolean is_keys = state->version != 0 ? recognise_keys(state, block, recognition)
                                                 : recognise_old_keys(state, block, recognition);
    const gboolean has_values = state->version == 0x030b || state->version == 0x030c;
    return is_keys || recognise_parser_block(state, block, recognition) ||
           (has_values && recognise_values(state, block, recognition)) ||
           recognise_set_table(state, block, recognition) ||
           recognise_pointers(state, block, recognition) ||
           recognise_deque_block(state, block, recognition);
}
