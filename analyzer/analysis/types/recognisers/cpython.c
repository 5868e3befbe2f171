/*
 * Python objects of CPython 3.8 … 3.13: those that malloc serves, which are all with
 * PYTHONMALLOC=malloc and those above 512 bytes without. An object is known by its class
 * (pyclasses.h); its size must agree. What objects keep outside of themselves is in pytables.c.
 */
#include "analysis/types/recognisers/pyblocks.h"

#include <string.h>

/* Words before the object that a class may ask for: the collector's two, and two managed ones. */
#define PRE_WORDS_MAX 4

/*
 * Objects/obmalloc.c, debug allocator: the size, most significant byte first; the domain's letter;
 * forbidden bytes to the end of that word and for one word behind the data, with a serial number
 * behind those in some builds.
 */
#define DEBUG_WORDS     2
#define DEBUG_FORBIDDEN 0xfd

static gpointer
open_cpython(PmPlaces *places, PmTypes *types)
{
    const PmSubject *subject = pm_places_get_subject(places);
    PyClasses *classes = py_classes_new(places, types);
    if (classes == NULL)
        return NULL;
    PyState *state = g_new0(PyState, 1);
    state->classes = classes;
    state->places = places;
    state->space = pm_process_get_space(subject->process);
    state->word_bytes = pm_image_get_target(subject->image)->word_bytes;
    state->version = py_classes_get_version(classes);
    state->shift = py_classes_get_shift(classes);
    state->keys = pm_recogniser_find_type(types, "_dictkeysobject", NULL);
    state->values = pm_recogniser_find_type(types, "_dictvalues", NULL);
    state->ascii = pm_recogniser_find_type(types, "PyASCIIObject", NULL);
    state->compact = pm_recogniser_find_type(types, "PyCompactUnicodeObject", NULL);
    const PmType *object = pm_recogniser_find_type(types, "_object", NULL);
    if (object != NULL)
        state->pointer = pm_types_get_pointer(types, object);
    return state;
}

static void
close_cpython(gpointer data)
{
    PyState *state = data;
    py_classes_free(state->classes);
    g_free(state);
}

/* Where the block begins, and behind the debug allocator's header how long it is. */
static PyBlock
get_block(const PyState *state, const PmRecogniserChunk *chunk)
{
    const gsize word = state->word_bytes;
    PyBlock block = {.chunk = chunk};
    guint64 bytes = 0;
    if (chunk->count < DEBUG_WORDS * word ||
        (chunk->bytes[word] != 'o' && chunk->bytes[word] != 'm' && chunk->bytes[word] != 'r'))
        return block;
    for (gsize i = 1; i < word; i++) {
        if (chunk->bytes[word + i] != DEBUG_FORBIDDEN)
            return block;
    }
    for (gsize i = 0; i < word; i++)
        bytes = bytes << 8 | chunk->bytes[i];
    if (bytes == 0 || bytes > chunk->chunk->usable_bytes - DEBUG_WORDS * word)
        return block;
    block.start = DEBUG_WORDS * word;
    block.bytes = bytes;
    return block;
}

PmFit
py_block_get_fit(const PyState *state, const PyBlock *block, guint64 bytes)
{
    if (block->bytes == 0)
        return pm_recogniser_fit(block->chunk, bytes);
    /* Sizes of objects are rounded up to words. */
    return block->bytes == bytes || block->bytes == pm_align_up(bytes, state->word_bytes)
               ? PM_FIT_EXACT
               : PM_FIT_NONE;
}

/*
 * unicodeobject.h: length and state follow PyObject; the state's bits 2 … 4 are the bytes of a
 * character, bit 5 says compact, bit 6 ASCII. PyUnicodeObject is PyCompactUnicodeObject and a
 * pointer; PyASCIIObject had a pointer more before 3.12, and PyCompactUnicodeObject a length.
 */
static guint64
get_str_bytes(const PyState *state, const PyBlock *block, gsize object, const PyClass *class)
{
    const gsize at = object + 2 + state->shift;
    const guint64 length = py_block_get_word(state, block, at);
    const guint64 bits = py_block_get_word(state, block, at + 2);
    const guint64 unit = bits >> 2 & 7;
    const guint64 compact_bytes = class->basic_bytes - state->word_bytes;
    const guint64 extra_words = state->version >= 0x030c ? 2 : 3;
    if ((bits >> 5 & 1) == 0)
        return class->basic_bytes;
    if (length > py_block_get_room(block) || (unit != 1 && unit != 2 && unit != 4))
        return G_MAXUINT64;
    if ((bits >> 6 & 1) != 0)
        return compact_bytes - extra_words * state->word_bytes + length + 1;
    return compact_bytes + (length + 1) * unit;
}

/* ob_size, negative for negative numbers; from 3.12 on the digits of an int are in a tag. */
static guint64
get_items(const PyState *state, const PyBlock *block, gsize object, const PyClass *class)
{
    const guint64 word = py_block_get_word(state, block, object + 2 + state->shift);
    if (class->sizing == PY_SIZE_LONG)
        return MAX(word >> 3, 1);
    const gint64 count = state->word_bytes == 8 ? (gint64)word : (gint32)word;
    return count < 0 ? 0 - (guint64)count : (guint64)count;
}

/*
 * How the size of the object, @object words into the block, agrees.
 *
 * Returns: FALSE where there is no room for it.
 */
static gboolean
check_size(const PyState *state, const PyBlock *block, gsize object, const PyClass *class,
           PmFit *ret_fit)
{
    const guint64 room = py_block_get_room(block);
    guint64 bytes = class->basic_bytes;
    guint64 items = 0;
    if (class->sizing == PY_SIZE_STR)
        bytes = get_str_bytes(state, block, object, class);
    else if (class->sizing == PY_SIZE_ITEMS || class->sizing == PY_SIZE_LONG)
        items = get_items(state, block, object, class);
    else if (class->sizing == PY_SIZE_ZONE && class->pre_bytes + bytes > room)
        bytes -= state->word_bytes;
    if (bytes > room || items > room || class->pre_bytes + bytes + items * class->item_bytes > room)
        return FALSE;
    bytes += class->pre_bytes + items * class->item_bytes;
    *ret_fit = py_block_get_fit(state, block, bytes);
    /* PyType_GenericAlloc has one item more, for a sentinel. */
    if (*ret_fit != PM_FIT_EXACT && class->item_bytes != 0)
        *ret_fit = MAX(*ret_fit, py_block_get_fit(state, block, bytes + class->item_bytes));
    if (class->sizing == PY_SIZE_OPEN)
        *ret_fit = PM_FIT_CLASS_BELOW;
    return TRUE;
}

/* The collector's header before the object: two links, whose low bits are flags; both are 0 where
 * the object is not tracked. */
static gboolean
check_links(const PyState *state, const PyBlock *block, gsize object)
{
    PmWord word;
    const guint64 next = py_block_get_word(state, block, object - 2) & ~G_GUINT64_CONSTANT(3);
    const guint64 previous = py_block_get_word(state, block, object - 1) & ~G_GUINT64_CONSTANT(3);
    if (next == 0 || previous == 0)
        return next == previous || next != 0;
    pm_places_classify(state->places, next, &word);
    return pm_word_kind_is_pointer(word.kind);
}

/* Whether an object that the collector knows has been taken from its lists. */
static gboolean
is_untracked(const PyState *state, const PyBlock *block, gsize object)
{
    return object >= 2 && py_block_get_word(state, block, object - 2) == 0;
}

static const PmType *
get_type(const PyState *state, const PyBlock *block, gsize object, const PyClass *class)
{
    if (class->sizing != PY_SIZE_STR)
        return class->type;
    const guint64 bits = py_block_get_word(state, block, object + 4 + state->shift);
    if ((bits >> 5 & 1) == 0)
        return class->type;
    return (bits >> 6 & 1) != 0 ? state->ascii : state->compact;
}

gboolean
py_is_object(const PyState *state, PmAddr address)
{
    guint8 bytes[4 * sizeof(guint64)];
    guint64 words[2];
    const gsize skip = state->shift * state->word_bytes;
    if (address < 4096 || address % state->word_bytes != 0 ||
        !pm_space_read(state->space, address, bytes, skip + 2 * state->word_bytes))
        return FALSE;
    words[0] = pm_load_word(bytes + skip, state->word_bytes);
    words[1] = pm_load_word(bytes + skip + state->word_bytes, state->word_bytes);
    return py_classes_find_of(state->classes, words) != NULL;
}

static gboolean
recognise_object(PyState *state, const PyBlock *block, PmRecognition *recognition)
{
    for (gsize object = 0; object <= PRE_WORDS_MAX; object += 2) {
        PmFit fit = PM_FIT_NONE;
        const guint64 refcnt = py_block_get_word(state, block, object + state->shift);
        const guint64 type = py_block_get_word(state, block, object + state->shift + 1);
        const PyClass *class = refcnt <= G_MAXUINT32 ? py_classes_find(state->classes, type) : NULL;
        if (class == NULL || class->pre_bytes != object * state->word_bytes ||
            !check_size(state, block, object, class, &fit) ||
            (object > 0 && !check_links(state, block, object)) ||
            /* Without references it must be as those are that Python keeps for the next one. */
            (refcnt == 0 && (fit != PM_FIT_EXACT || !is_untracked(state, block, object))))
            continue;
        const gboolean is_sure = fit != PM_FIT_NONE && refcnt > 0;
        recognition->name = refcnt > 0 ? class->label : class->freed_label;
        recognition->type = get_type(state, block, object, class);
        recognition->offset_bytes = block->start + object * state->word_bytes;
        recognition->confidence = is_sure ? 0.99 : 0.75;
        if (is_sure)
            recognition->reason = "its ob_type is a PyTypeObject, and its size agrees";
        else if (refcnt > 0)
            recognition->reason = "its ob_type is a PyTypeObject; the chunk is larger";
        else
            recognition->reason = "its ob_type is a PyTypeObject; nothing refers to it";
        return TRUE;
    }
    return FALSE;
}

static gboolean
recognise_cpython(gpointer data, const PmRecogniserChunk *chunk, PmRecognition *ret_recognition)
{
    PyState *state = data;
    const PyBlock block = get_block(state, chunk);
    if (recognise_object(state, &block, ret_recognition))
        return TRUE;
    return py_tables_recognise(state, &block, ret_recognition);
}

const PmRecogniser pm_recogniser_cpython = {
    .id = "cpython",
    .min_bytes = 2 * sizeof(guint32),
    .max_bytes = G_MAXUINT64,
    .first_words = PM_RECOGNISER_ANY_WORD,
    .open = open_cpython,
    .recognise = recognise_cpython,
    .close = close_cpython,
};
