/*
 * What counts as text in raw memory: printable ASCII with tabs and line ends, and printable
 * characters in valid UTF-8.
 */
#pragma once

#include "image/space.h"

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

/* Longer strings are none to pm_text_read_string(). */
#define PM_TEXT_STRING_BYTES_MAX 4096

/*
 * Reads the string that begins at @address, where one does: text with a NUL behind it.
 *
 * @bytes: PM_TEXT_STRING_BYTES_MAX of them, of which @ret_count (out) (optional) were read: the NUL
 * and what follows it in the core may be among them. Returns: how long the string is, without the
 * NUL; 0 where there is none, or one of fewer than @characters_min (≥ 1) characters.
 */
gsize pm_text_read_string(const PmSpace *space, PmAddr address, gsize characters_min, guint8 *bytes,
                          gsize *ret_count);

/* A string in memory that was scanned: @length bytes from @offset on. */
typedef void (*PmTextVisitor)(gpointer data, gsize offset, gsize length);

/*
 * Shows every string in @bytes to @visit: the longest run of text that ends with a NUL or with the
 * last byte, has at least @characters_min (≥ 1) characters, and one that is no white space. What is
 * text behind bytes that are none counts from there on: "\1\2abcd" NUL holds "abcd".
 */
void pm_text_scan(const guint8 *bytes, gsize count, gsize characters_min, PmTextVisitor visit,
                  gpointer data);
