/*
 * Looking at bytes as a leaf; see observe.h.
 */
#include "analysis/structs/observe.h"

#include <math.h>
#include <string.h>

/* What is read of a text that a pointer leads to. */
#define TEXT_BYTES 64

/* Numbers that people compute with lie within 2^±FLOAT_EXPONENT. */
#define FLOAT_EXPONENT 60

/* Halves of a word below this are two small numbers. */
#define SMALL_HALF ((guint64)1 << 24)

struct PmObserver {
    PmPlaces *places;
    PmTypes *types;
    const PmSpace *space;
    const PmResolver *resolver;
    guint64 word_bytes;
    guint64 header_bytes; /* what the program puts before its objects, 0 for nothing */
    PmDeepCheck check;
    gpointer data;
};

PmObserver *
pm_observer_new(PmPlaces *places, PmTypes *types, PmDeepCheck check, gpointer data)
{
    PmObserver *observer = g_new0(PmObserver, 1);
    observer->places = places;
    observer->types = types;
    observer->space = pm_process_get_space(pm_places_get_subject(places)->process);
    observer->resolver = pm_places_get_resolver(places);
    observer->word_bytes = pm_space_get_target(observer->space)->word_bytes;
    observer->check = check;
    observer->data = data;
    return observer;
}

void
pm_observer_free(PmObserver *observer)
{
    g_free(observer);
}

void
pm_observer_look(const PmObserver *observer, guint64 value, PmLooked *ret_looked)
{
    PmLooked looked = {.value = value};
    pm_places_classify(observer->places, value, &looked.word);
    if (looked.word.kind == PM_WORD_CHUNK || looked.word.kind == PM_WORD_CHUNK_INTERIOR) {
        PmSlotChunk chunk;
        pm_resolver_get_chunk(observer->resolver, looked.word.hit.slot, looked.word.hit.region,
                              &chunk);
        looked.user = chunk.user;
        looked.usable_bytes = chunk.usable_bytes;
    }
    *ret_looked = looked;
}

void
pm_observer_set_header(PmObserver *observer, guint64 header_bytes)
{
    observer->header_bytes = header_bytes;
}

gboolean
pm_leaf_is_word(const PmLeaf *leaf)
{
    return leaf->kind == PM_LEAF_POINTER || leaf->kind == PM_LEAF_STRING ||
           leaf->kind == PM_LEAF_FUNCTION || leaf->kind == PM_LEAF_VTABLE ||
           leaf->kind == PM_LEAF_WORD;
}

static guint64
load(const guint8 *bytes, guint64 count)
{
    guint64 value = 0;
    for (guint64 i = 0; i < count && i < 8; i++)
        value |= (guint64)bytes[i] << (8 * i);
    return value;
}

/* The characters at the start of @bytes, up to a NUL or the end; -1 where others come first. */
static gssize
measure_text(const guint8 *bytes, gsize count)
{
    gsize length = 0;
    while (length < count && bytes[length] != 0) {
        guint8 byte = bytes[length];
        if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f)
            return -1;
        length++;
    }
    const char *end = NULL;
    /* A character may be cut off at the end. */
    if (!g_utf8_validate((const char *)bytes, (gssize)length, &end) &&
        (length < count || (const char *)bytes + length - end > 3))
        return -1;
    return (gssize)length;
}

static PmSeen
see_text(const guint8 *bytes, gsize count)
{
    gssize length = measure_text(bytes, count);
    if (length == 0)
        return PM_SEEN_SILENT;
    if (length < 0)
        return PM_SEEN_WRONG;
    if (length < 3)
        return PM_SEEN_SHORT;
    return (gsize)length == count ? PM_SEEN_FULL : PM_SEEN_RIGHT;
}

/* The text at @address: as much of it as can be read. */
static PmSeen
see_string(const PmObserver *observer, const PmLooked *looked)
{
    guint8 bytes[TEXT_BYTES];
    gsize count = sizeof bytes;
    PmWordKind kind = looked->word.kind;
    if (kind == PM_WORD_ZERO)
        return PM_SEEN_SILENT;
    if (kind == PM_WORD_NUMBER)
        return PM_SEEN_NUMBER;
    if (kind == PM_WORD_FREE_CHUNK || kind == PM_WORD_HEAP)
        return PM_SEEN_FREED;
    while (count > 0 && !pm_space_read(observer->space, looked->value, bytes, count))
        count /= 4;
    gssize length = measure_text(bytes, count);
    if (count == 0 || length == 0 || length == 1)
        return PM_SEEN_HOLDS;
    return length < 0 ? PM_SEEN_UNFIT : PM_SEEN_GOOD;
}

/* An exponent that a number in use has; zero was handled before. */
static PmSeen
see_float(const guint8 *bytes, guint64 size)
{
    double number = 0;
    if (size == 4) {
        guint32 bits = (guint32)load(bytes, 4);
        float single = 0;
        memcpy(&single, &bits, sizeof single);
        number = (double)single;
    } else {
        guint64 bits = load(bytes, 8);
        memcpy(&number, &bits, sizeof number);
    }
    /* Four characters are a small number more often than not. */
    if (size == 4 && measure_text(bytes, 4) == 4)
        return PM_SEEN_TEXT;
    /* Infinities are set on purpose. */
    if (isinf(number))
        return PM_SEEN_RIGHT;
    if (isnan(number))
        return PM_SEEN_WRONG;
    int exponent = 0;
    (void)frexp(number, &exponent);
    int limit = size == 4 ? FLOAT_EXPONENT / 2 : FLOAT_EXPONENT;
    return exponent >= -limit && exponent <= limit ? PM_SEEN_RIGHT : PM_SEEN_WRONG;
}

/* Enumerations whose values are combined: bits, with gaps where the combinations are. */
static gboolean
is_flags(const gint64 *values, gsize count, guint64 *ret_mask)
{
    guint64 mask = 0;
    gsize bits = 0;
    gint64 largest = 0;
    for (gsize i = 0; i < count; i++) {
        if (values[i] < 0)
            return FALSE;
        mask |= (guint64)values[i];
        bits += values[i] != 0 && (values[i] & (values[i] - 1)) == 0 ? 1 : 0;
        largest = MAX(largest, values[i]);
    }
    *ret_mask = mask;
    return bits >= 2 && bits * 2 >= count && (guint64)largest >= count;
}

static PmSeen
see_enum(const PmObserver *observer, const PmLeaf *leaf, const guint8 *bytes)
{
    guint64 raw = load(bytes, leaf->size_bytes);
    guint bits = (guint)leaf->size_bytes * 8;
    if (leaf->bit_count != 0 && leaf->bit_offset < bits) {
        raw >>= leaf->bit_offset;
        bits = MIN(leaf->bit_count, 63);
        raw &= ((guint64)1 << bits) - 1;
    }
    if (raw == 0)
        return PM_SEEN_SILENT;
    gsize count = 0;
    const gint64 *values = pm_type_get_enumerators(observer->types, leaf->type, &count);
    if (count == 0)
        return PM_SEEN_SILENT;
    guint64 mask = 0;
    if (is_flags(values, count, &mask))
        return (raw & ~mask) == 0 ? PM_SEEN_RIGHT : PM_SEEN_WRONG;
    gint64 number = (gint64)raw;
    if (values[0] < 0 && bits < 64)
        number = (gint64)(raw << (64 - bits)) >> (64 - bits);
    gsize low = 0;
    gsize high = count;
    while (low < high) {
        gsize middle = low + (high - low) / 2;
        if (values[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && values[low] == number ? PM_SEEN_RIGHT : PM_SEEN_WRONG;
}

/* The next character of a class name that counts: spaces and the suffixes of numbers ("4ul") are
 * written by some and not by others. @before: the character that was returned last. */
static char
next_of_name(const char **name, char before)
{
    const char *at = *name;
    while (*at == ' ' || (g_ascii_isdigit(before) && *at != '\0' && strchr("ulUL", *at) != NULL))
        at++;
    *name = *at == '\0' ? at : at + 1;
    return *at;
}

static gboolean
same_class(const char *a, const char *b)
{
    char left = '\0';
    char right = '\0';
    do {
        left = next_of_name(&a, left);
        right = next_of_name(&b, right);
    } while (left == right && left != '\0');
    return left == right;
}

static PmSeen
see_vtable(const PmLeaf *leaf, const PmLooked *looked)
{
    const PmVtable *vtable = looked->word.vtable;
    if (looked->word.kind == PM_WORD_DATA && vtable == NULL)
        return PM_SEEN_DATA; /* perhaps one of a program without RTTI and symbols */
    if (looked->word.kind != PM_WORD_VTABLE || vtable == NULL)
        return PM_SEEN_WRONG;
    gboolean same = same_class(vtable->class_name, leaf->type->name) &&
                    vtable->offset_to_top == -(gint64)leaf->inner_bytes;
    return same ? PM_SEEN_GOOD : PM_SEEN_WRONG;
}

/* Integers hold pointers in rare cases only; and characters or floating-point numbers seldom. */
static PmSeen
see_word(const PmObserver *observer, const PmLeaf *leaf, const guint8 *bytes,
         const PmLooked *looked)
{
    PmWordKind kind = looked->word.kind;
    guint64 value = looked->value;
    if (kind == PM_WORD_ZERO)
        return PM_SEEN_SILENT;
    /* Two halves may look like an address in a mapping; in the heap and in modules that is rare. */
    if (pm_word_kind_is_pointer(kind) && kind != PM_WORD_MAPPING)
        return PM_SEEN_WRONG;
    if (observer->word_bytes != 8 || !leaf->plain)
        return PM_SEEN_RIGHT;
    if (measure_text(bytes, 8) >= 6)
        return PM_SEEN_TEXT;
    gboolean large = (value >> 32) != 0 && (value >> 32) != 0xffffffff;
    if (large && (value & 0xffffffff) != 0 && see_float(bytes, 8) == PM_SEEN_RIGHT)
        return PM_SEEN_REAL;
    if (leaf->inner_bytes == 8 && large && value >> 32 < SMALL_HALF &&
        (value & 0xffffffff) < SMALL_HALF)
        return PM_SEEN_PAIR;
    return PM_SEEN_RIGHT;
}

static PmSeen
see_function(const PmObserver *observer, const PmLooked *looked)
{
    const PmSubject *subject = pm_places_get_subject(observer->places);
    PmSymbol symbol;
    guint64 offset = 0;
    switch (looked->word.kind) {
    case PM_WORD_ZERO:
        return PM_SEEN_SILENT;
    case PM_WORD_CODE:
        if (pm_process_symbolize(subject->process, looked->value, &symbol, &offset) &&
            offset != 0 && offset < symbol.size_bytes)
            return PM_SEEN_CODE; /* in the middle of a function */
        return PM_SEEN_GOOD;
    default:
        return PM_SEEN_WRONG;
    }
}

/* Where the chunk's request can have been for exactly one. */
static gboolean
is_request_for(const PmLooked *looked, guint64 size_bytes)
{
    return size_bytes <= looked->usable_bytes &&
           (looked->usable_bytes - size_bytes < 16 || looked->usable_bytes <= 24);
}

static PmSeen
see_chunk(PmObserver *observer, const PmLeaf *leaf, const PmLooked *looked, gboolean deep)
{
    const PmType *type = leaf->type;
    gboolean sized = type != NULL &&
                     (type->kind == PM_TYPE_STRUCT || type->kind == PM_TYPE_UNION) &&
                     type->size_bytes > 0;
    gboolean start =
        looked->value == looked->user || looked->value == looked->user + observer->header_bytes;
    guint64 room = looked->usable_bytes - (looked->value - looked->user);
    if (sized && type->size_bytes > room)
        return start ? PM_SEEN_SMALL : PM_SEEN_INSIDE;
    int fits = deep && type != NULL && type->size_bytes > 0 && type->size_bytes <= room
                   ? observer->check(observer->data, type, looked->value, room)
                   : 0;
    if (fits > 0)
        return PM_SEEN_GOOD;
    if (!start)
        return type == NULL ? PM_SEEN_HOLDS : PM_SEEN_INSIDE;
    if (fits < 0)
        return PM_SEEN_UNFIT;
    return !sized || is_request_for(looked, type->size_bytes) ? PM_SEEN_HOLDS : PM_SEEN_LARGER;
}

static PmSeen
see_pointer(PmObserver *observer, const PmLeaf *leaf, const PmLooked *looked, gboolean deep)
{
    const PmType *type = leaf->type;
    switch (looked->word.kind) {
    case PM_WORD_ZERO:
        return PM_SEEN_SILENT;
    case PM_WORD_CHUNK:
    case PM_WORD_CHUNK_INTERIOR:
        return see_chunk(observer, leaf, looked, deep);
    case PM_WORD_FREE_CHUNK:
    case PM_WORD_HEAP:
        return PM_SEEN_FREED;
    case PM_WORD_CODE:
        return PM_SEEN_CODE;
    case PM_WORD_VTABLE:
        return PM_SEEN_VTABLE;
    case PM_WORD_RODATA:
    case PM_WORD_DATA:
        if (deep && type != NULL && type->size_bytes > 0 &&
            observer->check(observer->data, type, looked->value, type->size_bytes) > 0)
            return PM_SEEN_GOOD;
        return looked->word.kind == PM_WORD_DATA ? PM_SEEN_DATA : PM_SEEN_RODATA;
    case PM_WORD_STACK:
        return PM_SEEN_STACK;
    case PM_WORD_MAPPING:
        return PM_SEEN_MAPPING;
    default:
        return PM_SEEN_NUMBER;
    }
}

PmSeen
pm_observer_see(PmObserver *observer, const PmLeaf *leaf, const guint8 *bytes,
                const PmLooked *looked, gboolean deep)
{
    PmLooked own;
    if (looked == NULL && pm_leaf_is_word(leaf)) {
        pm_observer_look(observer, load(bytes, observer->word_bytes), &own);
        looked = &own;
    }
    switch (leaf->kind) {
    case PM_LEAF_POINTER:
        return see_pointer(observer, leaf, looked, deep);
    case PM_LEAF_STRING:
        return see_string(observer, looked);
    case PM_LEAF_FUNCTION:
        return see_function(observer, looked);
    case PM_LEAF_VTABLE:
        return see_vtable(leaf, looked);
    case PM_LEAF_WORD:
        return see_word(observer, leaf, bytes, looked);
    case PM_LEAF_ENUM:
        return see_enum(observer, leaf, bytes);
    case PM_LEAF_BOOL:
        return bytes[0] == 0 ? PM_SEEN_SILENT : bytes[0] == 1 ? PM_SEEN_RIGHT : PM_SEEN_WRONG;
    case PM_LEAF_TEXT:
        return see_text(bytes, leaf->size_bytes);
    case PM_LEAF_FLOAT:
        return load(bytes, leaf->size_bytes) == 0 ? PM_SEEN_SILENT
                                                  : see_float(bytes, leaf->size_bytes);
    default:
        return PM_SEEN_SILENT;
    }
}
