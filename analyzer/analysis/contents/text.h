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

/* A string in memory that was scanned: @length bytes from @offset on. */
typedef void (*PmTextVisitor)(gpointer data, gsize offset, gsize length);

/*
 * Shows every string in @bytes to @visit: the longest run of text that ends with a NUL or with the
 * last byte, has at least @characters_min (≥ 1) characters, and one that is no white space. What is
 * text behind bytes that are none counts from there on: "\1\2abcd" NUL holds "abcd".
 */
void pm_text_scan(const guint8 *bytes, gsize count, gsize characters_min, PmTextVisitor visit,
                  gpointer data);
