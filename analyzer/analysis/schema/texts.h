/*
 * Columns of text: strings of different lengths, behind which is whatever was there before.
 */
#pragma once

#include "analysis/schema/matrix.h"

/* @longest_bytes: of the strings. @end: behind the longest string and its NUL. @empty: rows in
 * which there is none. */
typedef struct {
    gsize start;
    gsize end;
    gsize shortest_bytes;
    gsize longest_bytes;
    gsize empty;
    gsize distinct;
} PmTextColumn;

/*
 * The first text column that begins in [@from, @end) and ends there, too.
 *
 * Returns: FALSE where there is none.
 */
gboolean pm_text_find(const PmRows *rows, gsize from, gsize end, PmTextColumn *ret_column);

/* The bytes of the string in one row, 0 … @end − @start. */
gsize pm_text_read(const PmRows *rows, gsize row, const PmTextColumn *column);
