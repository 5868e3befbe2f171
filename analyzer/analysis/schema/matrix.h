/*
 * The bytes of a sample of chunks as a table: one row a chunk, in address order, and what each word
 * of it is. All that looks for columns and layouts works on this alone, without a core.
 */
#pragma once

#include "base/address.h"

/*
 * @bytes: @rows × @stride. @kinds: @rows × @words, what each word is as a pointer (PmWordKind).
 * @word_bytes: 8 or 4; @stride is a multiple of it, @words is stride ÷ word_bytes.
 * @groups: of each row the arena that it lies in: addresses rise with time only within one.
 * @slack_from: bytes from here on may lie behind what the program asked for.
 * @tail: @rows × @tail_bytes: the end of the user data, where it lies behind the @stride bytes
 *   that are looked at; @tail_bytes 0 where it does not. @usable_bytes: of each chunk.
 */
typedef struct {
    guint8 *bytes;
    guint8 *kinds;
    gsize rows;
    gsize stride;
    gsize words;
    guint word_bytes;
    guint32 *groups;
    guint64 slack_from;
    guint8 *tail;
    gsize tail_bytes;
    guint64 usable_bytes;
} PmMatrix;

/*
 * A matrix of zeros, for the caller to fill in.
 *
 * @rows: at most 65536. @stride, @tail_bytes: multiples of @word_bytes, at most 4096.
 */
PmMatrix *pm_matrix_new(gsize rows, gsize stride, gsize tail_bytes, guint word_bytes);
void pm_matrix_free(PmMatrix *matrix);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmMatrix, pm_matrix_free)

static inline const guint8 *
pm_matrix_get_row(const PmMatrix *matrix, gsize row)
{
    return matrix->bytes + row * matrix->stride;
}

/* @width bytes (8, 4, 2, 1) at @bytes as an unsigned little-endian number. */
static inline guint64
pm_load_number(const guint8 *bytes, gsize width)
{
    guint64 value = 0;
    for (gsize i = 0; i < width; i++)
        value |= (guint64)bytes[i] << (8 * i);
    return value;
}

/* @value, @width bytes (8, 4, 2) wide, as a signed number where it is a negative one that is far
 * from the least; else as it is. What is larger than G_MAXINT64 is cut to that. */
static inline gint64
pm_as_signed(guint64 value, gsize width)
{
    if (width < 2 || width > 8)
        return (gint64)MIN(value, (guint64)G_MAXINT64);
    guint64 sign = G_GUINT64_CONSTANT(1) << (8 * width - 1);
    guint64 magnitude = (sign << 1) - value;
    if ((value & sign) != 0 && magnitude < sign / 2)
        return -(gint64)magnitude;
    return (gint64)MIN(value, (guint64)G_MAXINT64);
}

/* How many bits @value takes, 0 for 0. */
static inline guint
pm_bit_length(guint64 value)
{
    return value == 0 ? 0 : 64 - (guint)__builtin_clzll(value);
}

/*
 * How many of the @count bytes at @bytes are text: printable ASCII, tabs, line ends, and whole
 * UTF-8 sequences; up to the first byte that is none.
 */
gsize pm_text_length(const guint8 *bytes, gsize count);

/* Some of the rows of a matrix, ascending. */
typedef struct {
    const PmMatrix *matrix;
    const guint32 *rows;
    gsize count;
} PmRows;

static inline const guint8 *
pm_rows_get(const PmRows *rows, gsize index)
{
    return pm_matrix_get_row(rows->matrix, rows->rows[index]);
}
