/*
 * Recognising text; see text.h.
 */
#include "analysis/contents/text.h"

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
