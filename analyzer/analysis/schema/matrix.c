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
    matrix->slack_from = stride;
    matrix->bytes = g_malloc0(rows * stride + 1);
    matrix->kinds = g_malloc0(rows * matrix->words + 1);
    matrix->groups = g_malloc0_n(rows + 1, sizeof *matrix->groups);
    matrix->tail = g_malloc0(rows * tail_bytes + 1);
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

/* The bytes of the UTF-8 sequence at @bytes, of two or more; 0 where it is none, or where it is no
 * letter and no punctuation: numbers are full of marks and signs that no text has. */
static gsize
utf8_sequence(const guint8 *bytes, gsize count)
{
    gunichar code = g_utf8_get_char_validated((const char *)bytes, (gssize)MIN(count, 4));
    if (code >= 0x110000 || !(g_unichar_isalpha(code) || g_unichar_ispunct(code)))
        return 0;
    return code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
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
