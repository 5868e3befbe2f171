/*
 * Recognising text; see text.h.
 */
#include "analysis/contents/text.h"

#include <string.h>

static gboolean
is_plain(guint8 byte)
{
    return (byte >= 0x20 && byte < 0x7f) || byte == '\t' || byte == '\n' || byte == '\r';
}

guint
pm_text_get_character(const guint8 *bytes, gsize count)
{
    if (count == 0)
        return 0;
    if (bytes[0] < 0x80)
        return is_plain(bytes[0]) ? 1 : 0;
    const guint length = bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : 2;
    if (length > count)
        return 0;
    const gunichar character = g_utf8_get_char_validated((const char *)bytes, (gssize)length);
    /* U+FFFE and U+FFFF and the like are not assigned; -1 and -2 are no characters. */
    if (character > 0x10ffff || !g_unichar_isprint(character))
        return 0;
    return length;
}

gsize
pm_text_measure(const guint8 *bytes, gsize count, gsize *ret_characters)
{
    gsize length = 0;
    gsize characters = 0;
    while (length < count) {
        const guint next = pm_text_get_character(bytes + length, count - length);
        if (next == 0)
            break;
        length += next;
        characters++;
    }
    if (ret_characters != NULL)
        *ret_characters = characters;
    return length;
}

gsize
pm_text_read_string(const PmSpace *space, PmAddr address, gsize characters_min, guint8 *bytes,
                    gsize *ret_count)
{
    gsize characters = 0;
    gsize count = 0;
    while (count < PM_TEXT_STRING_BYTES_MAX) {
        PmSpan span;
        pm_space_get_span(space, address + count, &span);
        const gsize length = (gsize)MIN(span.length_bytes, PM_TEXT_STRING_BYTES_MAX - count);
        if (span.bytes == NULL)
            break;
        memcpy(bytes + count, span.bytes, length);
        count += length;
        if (memchr(bytes + count - length, 0, length) != NULL)
            break;
    }
    const gsize length = pm_text_measure(bytes, count, &characters);
    if (ret_count != NULL)
        *ret_count = count;
    return characters >= characters_min && length < count && bytes[length] == 0 ? length : 0;
}

/* Bit i for each of eight bytes that is less than 9: none of a text, NUL among them. */
static inline guint
find_controls(const guint8 *bytes)
{
    guint64 word = 0;
    __builtin_memcpy(&word, bytes, sizeof word);
    word = GUINT64_FROM_LE(word);
    const guint64 low = G_GUINT64_CONSTANT(0x7f7f7f7f7f7f7f7f);
    /* The top bit of each byte: it was 9 or more. */
    const guint64 high = (((word & low) + G_GUINT64_CONSTANT(0x7777777777777777)) | word) & ~low;
    const guint64 controls = ~high & ~low;
    return (guint)((controls >> 7) * G_GUINT64_CONSTANT(0x0102040810204080) >> 56);
}

/* The last run of text in @bytes, all of which end before a NUL. */
static void
visit_last(const guint8 *bytes, gsize start, gsize end, gsize characters_min, PmTextVisitor visit,
           gpointer data)
{
    gsize characters = 0;
    gboolean visible = FALSE;
    for (gsize at = start; at < end;) {
        const guint length = is_plain(bytes[at]) ? 1 : pm_text_get_character(bytes + at, end - at);
        visible = length > 0 && (visible || bytes[at] > ' ');
        characters = length > 0 ? characters + 1 : 0;
        at += MAX(length, 1);
        if (length == 0)
            start = at;
    }
    if (characters >= characters_min && visible)
        visit(data, start, end - start);
}

void
pm_text_scan(const guint8 *bytes, gsize count, gsize characters_min, PmTextVisitor visit,
             gpointer data)
{
    gsize start = 0; /* behind the last control character */
    gsize at = 0;
    for (; at + 8 <= count; at += 8) {
        const guint controls = find_controls(bytes + at);
        if (controls == 0)
            continue;
        /* Those behind bytes that are none: most memory is zeros. */
        guint ends = controls & ~(controls << 1) & (start == at ? 0xfeu : 0xffu);
        for (; ends != 0; ends &= ends - 1) {
            const guint bit = (guint)__builtin_ctz(ends);
            const guint before = controls & ((1u << bit) - 1);
            const gsize end = at + bit;
            const gsize from = before == 0 ? start : at + 32 - (gsize)__builtin_clz(before);
            if (end - from >= characters_min && bytes[end] == 0)
                visit_last(bytes, from, end, characters_min, visit, data);
        }
        start = at + 32 - (gsize)__builtin_clz(controls);
    }
    for (; at < count; at++) {
        if (bytes[at] >= 9)
            continue;
        if (at - start >= characters_min && bytes[at] == 0)
            visit_last(bytes, start, at, characters_min, visit, data);
        start = at + 1;
    }
    if (count - start >= characters_min)
        visit_last(bytes, start, count, characters_min, visit, data);
}
