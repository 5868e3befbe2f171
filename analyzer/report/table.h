/*
 * Tables for the text sink, on libsmartcols: column widths, alignment, cut rows. Cells are made
 * safe for a terminal here.
 */
#pragma once

#include "report/sink.h"

typedef struct PmTable PmTable;

/* @heading: NULL in every column for a table without headings. @right: align right, for numbers. */
typedef struct {
    const char *heading;
    gboolean right;
} PmColumn;

/* @columns: borrowed for the life of the table. */
PmTable *pm_table_new(const PmSink *sink, const PmColumn *columns, guint column_count);
void pm_table_free(PmTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmTable, pm_table_free)

/* Starts the next row; its cells are empty. */
void pm_table_add_row(PmTable *table);

/* Fills the next cell of the current row, left to right. NULL gives "-". */
void pm_table_add_cell(PmTable *table, const char *text);

/* A line of its own below the current row and its earlier notes, @indent spaces further in than the
 * table. */
void pm_table_add_note(PmTable *table, guint indent, const char *text);

/* Writes the table, each line after @indent spaces. */
void pm_table_print(PmTable *table, guint indent);
