/*
 * Rows of made-up records for the tests of the schema analysis: a matrix that a test fills in word
 * by word, with what each word is as a pointer.
 */
#pragma once

#include "analysis/schema/clusters.h"
#include "analysis/schema/columns.h"
#include "analysis/schema/slack.h"

/* Made rows; @random is the state of the sequence. */
typedef struct {
    PmMatrix *matrix;
    guint64 random;
} Rows;

/* The newest second that time stamps may have, and one a day before it. */
#define ROWS_NEWEST G_GINT64_CONSTANT(1790000000)
#define ROWS_NOW    (ROWS_NEWEST - 86400)

void rows_init(Rows *rows, gsize count, gsize bytes, guint word_bytes);
void rows_clear(Rows *rows);

/* xorshift64*; and a number below @limit. */
guint64 rows_random(Rows *rows);
guint64 rows_below(Rows *rows, guint64 limit);

void rows_put(Rows *rows, gsize row, gsize offset, gsize width, guint64 value);
/* A word that is a pointer of @kind. */
void rows_put_pointer(Rows *rows, gsize row, gsize offset, PmWordKind kind, guint64 value);
/* One to a chunk of the heap, any. */
void rows_put_chunk(Rows *rows, gsize row, gsize offset);
void rows_put_text(Rows *rows, gsize row, gsize offset, const char *text);
void rows_put_double(Rows *rows, gsize row, gsize offset, double value);
void rows_put_float(Rows *rows, gsize row, gsize offset, float value);
void rows_put_garbage(Rows *rows, gsize row, gsize offset, gsize count);

/* Marks words that are zero; to be called when all is put. */
void rows_finish(Rows *rows);

/* The columns of all rows, up to @limit. (transfer full): PmSchemaColumn */
GArray *rows_columns(const Rows *rows, gsize limit);

/* What all rows betray of the request, asked of a class that serves @min … @max. */
void rows_infer(const Rows *rows, guint64 min, guint64 max, PmSchemaRequest *ret_request);

/* The columns as "0+4 counter, 4+4 zero": what assertions compare. (transfer full) */
char *rows_describe(const Rows *rows, gsize limit);

/* The number of rows in each layout, "600 300 100". (transfer full) */
char *rows_describe_layouts(const Rows *rows);
