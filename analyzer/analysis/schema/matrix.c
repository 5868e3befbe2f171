/*
 * The table of a sample's bytes; see matrix.h.
 */
#include "analysis/schema/matrix.h"

PmMatrix *
pm_matrix_new(gsize rows, gsize stride, gsize tail_bytes, guint word_bytes)
{
    PmMatrix *matrix = g_new0(PmMatrix, 1);
    matrix->rows = rows;
    matrix->stride = stride;
    matrix->word_bytes = word_bytes;
    matrix->words = stride / word_bytes;
    matrix->tail_bytes = tail_bytes;
    matrix->usable_bytes = stride;
    matrix->bytes = g_new0(guint8, rows * stride + 1);
    matrix->kinds = g_new0(guint8, rows * matrix->words + 1);
    matrix->groups = g_new0(guint32, rows + 1);
    matrix->tail = g_new0(guint8, rows * tail_bytes + 1);
    return matrix;
}

void
pm_matrix_free(PmMatrix *matrix)
{
    if (matrix == NULL)
        return;
    g_free(matrix->bytes);
    g_free(matrix->kinds);
    g_free(matrix->groups);
    g_free(matrix->tail);
    g_free(matrix);
}

/* The bytes of the UTF-8 sequence at @bytes, or 0 where it is none (RFC 3629, without its rarest
 * exclusions). */
static gsize
utf8_sequence(const guint8 *bytes, gsize count)
{
    gsize length = 0;
    if (bytes[0] >= 0xc2 && bytes[0] <= 0xdf)
        length = 2;
    else if ((bytes[0] & 0xf0) == 0xe0)
        length = 3;
    else if (bytes[0] >= 0xf0 && bytes[0] <= 0xf4)
        length = 4;
    if (length == 0 || length > count)
        return 0;
    for (gsize i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    }
    return length;
}

gsize
pm_text_length(const guint8 *bytes, gsize count)
{
    gsize at = 0;
    while (at < count) {
        guint8 byte = bytes[at];
        if ((byte >= 0x20 && byte < 0x7f) || byte == '\t' || byte == '\n' || byte == '\r') {
            at++;
            continue;
        }
        gsize sequence = byte < 0x80 ? 0 : utf8_sequence(bytes + at, count - at);
        if (sequence == 0)
            break;
        at += sequence;
    }
    return at;
}
