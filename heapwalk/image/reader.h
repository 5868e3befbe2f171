/*
 * Target memory for hot loops: remembers the run of bytes that was read last.
 */
#pragma once

#include "image/space.h"

/* One for each thread. @space: borrowed; @span: empty at first. */
typedef struct {
    const PmSpace *space;
    PmSpan span;
} PmReader;

/*
 * The bytes at @address, in the run that holds it.
 *
 * @ret_length_bytes: (out): how many follow, at least 1; also where NULL is returned.
 * Returns: NULL where they are zeros, or not known.
 */
static inline const guint8 *
pm_reader_get(PmReader *reader, PmAddr address, guint64 *ret_length_bytes)
{
    if (address - reader->span.start >= reader->span.length_bytes)
        pm_space_get_span(reader->space, address, &reader->span);
    const guint64 offset = address - reader->span.start;
    *ret_length_bytes = reader->span.length_bytes - offset;
    return reader->span.bytes != NULL ? reader->span.bytes + offset : NULL;
}

/* The word at @address; 0 where it is not known. */
static inline guint64
pm_reader_get_word(PmReader *reader, PmAddr address, guint64 word_bytes)
{
    guint64 length = 0;
    guint64 word = 0;
    const guint8 *bytes = pm_reader_get(reader, address, &length);
    if (G_LIKELY(bytes != NULL && length >= word_bytes))
        return pm_load_word(bytes, word_bytes);
    return length < word_bytes && pm_space_read_word(reader->space, address, &word) ? word : 0;
}
