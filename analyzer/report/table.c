/*
 * Tables on libsmartcols; see table.h.
 */
#include "report/table.h"

#include <libsmartcols.h>
#include <stdlib.h>

struct PmTable {
    const PmSink *sink;
    struct libscols_table *scols;
    struct libscols_line *line;
    gsize next_cell;
    GPtrArray *notes; /* by row; NULL where there is none */
    gboolean headings;
};

/* libsmartcols fails only where memory does, and then as GLib does. */
static void
abort_unless(const void *object)
{
    if (object == NULL)
        g_error("no memory for a table");
}

PmTable *
pm_table_new(const PmSink *sink, const PmColumn *columns, guint column_count)
{
    PmTable *table = g_new0(PmTable, 1);
    table->sink = sink;
    table->notes = g_ptr_array_new_with_free_func(g_free);
    table->scols = scols_new_table();
    abort_unless(table->scols);
    scols_table_set_column_separator(table->scols, "  ");
    /* Cells are safe already; encoded again, what was spelt out would be spelt out twice. */
    scols_table_enable_noencoding(table->scols, 1);
    /* Never cut a cell to the terminal's width: half an address is no address. */
    scols_table_set_termforce(table->scols, SCOLS_TERMFORCE_NEVER);
    for (guint i = 0; i < column_count; i++) {
        const char *heading = columns[i].heading;
        table->headings = table->headings || heading != NULL;
        struct libscols_column *column = scols_table_new_column(
            table->scols, heading == NULL ? "" : heading, 0, columns[i].right ? SCOLS_FL_RIGHT : 0);
        abort_unless(column);
    }
    scols_table_enable_noheadings(table->scols, !table->headings);
    return table;
}

void
pm_table_free(PmTable *table)
{
    scols_unref_table(table->scols);
    g_ptr_array_unref(table->notes);
    g_free(table);
}

void
pm_table_add_row(PmTable *table)
{
    table->line = scols_table_new_line(table->scols, NULL);
    abort_unless(table->line);
    table->next_cell = 0;
    g_ptr_array_add(table->notes, NULL);
}

void
pm_table_add_cell(PmTable *table, const char *text)
{
    g_return_if_fail(table->line != NULL);
    g_autofree char *safe = pm_sanitise(text == NULL ? "-" : text, table->sink->utf8);
    scols_line_set_data(table->line, table->next_cell++, safe);
}

void
pm_table_add_note(PmTable *table, guint indent, const char *text)
{
    g_return_if_fail(table->notes->len > 0);
    gpointer *place = &g_ptr_array_index(table->notes, table->notes->len - 1);
    g_autofree char *safe = pm_sanitise(text, table->sink->utf8);
    char *before = *place;
    *place = g_strdup_printf("%s%s%*s%s", before != NULL ? before : "", before != NULL ? "\n" : "",
                             (int)indent, "", safe);
    g_free(before);
}

static void
print_note(const PmTable *table, guint indent, const char *note)
{
    g_auto(GStrv) lines = g_strsplit(note, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++)
        pm_output_printf(table->sink->output, "%*s%s\n", (int)indent, "", lines[i]);
}

void
pm_table_print(PmTable *table, guint indent)
{
    char *text = NULL;
    if (scols_table_get_nlines(table->scols) == 0 ||
        scols_print_table_to_string(table->scols, &text) != 0)
        return;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    free(text);
    guint row = 0;
    for (guint i = 0; lines[i] != NULL; i++) {
        g_strchomp(lines[i]);
        if (lines[i][0] == '\0')
            continue;
        pm_output_printf(table->sink->output, "%*s", (int)indent, "");
        gboolean heading = i == 0 && table->headings;
        if (heading)
            pm_sink_emphasise(table->sink, lines[i]);
        else
            pm_output_string(table->sink->output, lines[i]);
        pm_output_char(table->sink->output, '\n');
        const char *note =
            heading || row >= table->notes->len ? NULL : g_ptr_array_index(table->notes, row);
        if (note != NULL)
            print_note(table, indent, note);
        row += heading ? 0 : 1;
    }
}
