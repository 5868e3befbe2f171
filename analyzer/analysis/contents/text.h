/*
 * What counts as text in raw memory: printable ASCII with tabs and line ends, and printable
 * characters in valid UTF-8.
 */
#pragma once

#include <glib.h>

/*
 * The bytes of the character that @bytes begin with, 1 … 4.
 *
 * @count: how many there are. Returns: 0 where it is none of a text: a control character, NUL, an
 * unassigned code point, not the shortest form, or cut off.
 */
guint pm_text_get_character(const guint8 *bytes, gsize count);

/*
 * How many of @bytes are text, from the first one on.
 *
 * @ret_characters: (out) (optional).
 */
gsize pm_text_measure(const guint8 *bytes, gsize count, gsize *ret_characters);
