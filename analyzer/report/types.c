/*
 * types: the histogram by type as text and JSON.
 */
#include "report/types.h"

#include "report/table.h"

/* A type's name takes what the other columns leave. */
#define NAME_COLUMNS 46
/* Untyped edges and conflicts that -v shows. */
#define EDGES_SHOWN     10
#define CONFLICTS_SHOWN 5

static void
write_row(const PmSink *sink, const PmTypeHistogram *histogram, const PmTypeRow *row)
{
    PmJson *json = sink->json;
    pm_json_begin_object(json, NULL);
    pm_json_string(json, "name", row->name);
    pm_json_string(json, "source", pm_typed_by_name(row->by));
    pm_json_uint(json, "chunks", row->chunks);
    pm_json_uint(json, "chunk_bytes", row->chunk_bytes);
    pm_json_double(json, "share_of_used", pm_share(row->chunk_bytes, histogram->used.chunk_bytes));
    if (row->by == PM_TYPED_BY_LAYOUT)
        pm_json_null(json, "confidence");
    else
        pm_json_double(json, "confidence", row->confidence);
    pm_json_bool(json, "estimated", row->is_estimated);
    pm_json_string(json, "reason", row->reason);
    pm_json_address(json, "example", row->example);
    pm_json_end_object(json);
}

static void
write_coverage(PmJson *json, const PmTypeCoverage *coverage)
{
    if (coverage == NULL) {
        pm_json_null(json, "coverage");
        return;
    }
    pm_json_begin_object(json, "coverage");
    pm_json_uint(json, "reached_chunks", coverage->reached_chunks);
    pm_json_uint(json, "reached_bytes", coverage->reached_bytes);
    pm_json_uint(json, "typed_chunks", coverage->typed_chunks);
    pm_json_uint(json, "typed_bytes", coverage->typed_bytes);
    pm_json_uint(json, "fit_bytes", coverage->fit_bytes);
    if (coverage->reached_bytes == 0)
        pm_json_null(json, "share");
    else
        pm_json_double(json, "share", pm_share(coverage->typed_bytes, coverage->reached_bytes));
    pm_json_bool(json, "complete", coverage->complete);
    pm_json_end_object(json);
}

static void
write_edges(PmJson *json, const PmTypeCoverage *coverage)
{
    pm_json_begin_array(json, "untyped_edges");
    for (gsize i = 0; coverage != NULL && i < coverage->edge_count; i++) {
        const PmUntypedEdge *edge = &coverage->edges[i];
        pm_json_begin_object(json, NULL);
        pm_json_string(json, "field", edge->field);
        pm_json_string(json, "target", edge->target);
        pm_json_uint(json, "chunks", edge->chunks);
        pm_json_uint(json, "bytes", edge->chunk_bytes);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
}

static void
write_conflicts(PmJson *json, const GArray *conflicts)
{
    pm_json_begin_array(json, "conflicts");
    for (guint i = 0; i < conflicts->len; i++) {
        const PmTypeConflict *conflict = &g_array_index(conflicts, PmTypeConflict, i);
        pm_json_begin_object(json, NULL);
        pm_json_string(json, "type", conflict->name);
        pm_json_string(json, "other", conflict->other);
        pm_json_uint(json, "pointers", conflict->count);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
}

static void
write_json(const PmSink *sink, const PmSubject *subject, const GArray *conflicts,
           const PmTypeHistogram *histogram, const PmTypeCoverage *coverage)
{
    const guint64 shown = pm_sink_rows(sink->top, histogram->row_count);
    pm_sink_begin(sink, subject);
    pm_json_begin_array(sink->json, "types");
    for (gsize i = 0; i < shown; i++)
        write_row(sink, histogram, &histogram->rows[i]);
    pm_json_end_array(sink->json);
    pm_sink_json_omitted(sink, "types", histogram->row_count - shown);
    pm_json_begin_object(sink->json, "used");
    pm_json_uint(sink->json, "chunks", histogram->used.chunks);
    pm_json_uint(sink->json, "chunk_bytes", histogram->used.chunk_bytes);
    pm_json_end_object(sink->json);
    write_coverage(sink->json, coverage);
    write_edges(sink->json, coverage);
    write_conflicts(sink->json, conflicts);
    pm_sink_end(sink);
}

static void
print_rows(const PmSink *sink, const PmTypeHistogram *histogram, guint64 shown)
{
    static const PmColumn columns[] = {{"TYPE", FALSE},  {"BY", FALSE},   {"SURE", TRUE},
                                       {"CHUNKS", TRUE}, {"BYTES", TRUE}, {"SHARE", TRUE}};
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    for (gsize i = 0; i < shown; i++) {
        const PmTypeRow *row = &histogram->rows[i];
        g_autofree char *name = pm_sanitise_short(row->name, sink->utf8, NAME_COLUMNS);
        g_autofree char *chunks =
            g_strconcat(row->is_estimated ? "~" : "", pm_format_count(row->chunks).text, NULL);
        const double share = pm_share(row->chunk_bytes, histogram->used.chunk_bytes);
        pm_table_add_row(table);
        pm_table_add_cell(table, name);
        pm_table_add_cell(table, pm_typed_by_name(row->by));
        pm_table_add_cell(
            table, row->by == PM_TYPED_BY_LAYOUT ? "-" : pm_format_share(row->confidence).text);
        pm_table_add_cell(table, chunks);
        pm_table_add_cell(table, pm_format_bytes(row->chunk_bytes).text);
        pm_table_add_cell(table, pm_format_share(share).text);
    }
    pm_table_print(table, 2);
}

static void
print_coverage(const PmSink *sink, const PmTypeCoverage *coverage)
{
    if (coverage == NULL)
        return;
    if (coverage->reached_bytes == 0) {
        pm_sink_line(sink, "\nno variable of a module with debug information leads to the heap");
        return;
    }
    pm_sink_line(
        sink, "\n%s of the %s that variables of modules with debug information lead to have a type",
        pm_format_share(pm_share(coverage->typed_bytes, coverage->reached_bytes)).text,
        pm_format_bytes(coverage->reached_bytes).text);
}

static void
print_edges(const PmSink *sink, const PmTypeCoverage *coverage)
{
    static const PmColumn columns[] = {
        {"FIELD", FALSE}, {"DECLARED", FALSE}, {"CHUNKS", TRUE}, {"BYTES", TRUE}};
    if (coverage == NULL || coverage->edge_count == 0)
        return;
    pm_sink_heading(sink, "Behind these fields nothing has a type");
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    for (gsize i = 0; i < MIN(coverage->edge_count, EDGES_SHOWN); i++) {
        const PmUntypedEdge *edge = &coverage->edges[i];
        g_autofree char *field = pm_sanitise_short(edge->field, sink->utf8, NAME_COLUMNS);
        g_autofree char *target = pm_sanitise_short(edge->target, sink->utf8, NAME_COLUMNS / 2);
        pm_table_add_row(table);
        pm_table_add_cell(table, field);
        pm_table_add_cell(table, target);
        pm_table_add_cell(table, pm_format_count(edge->chunks).text);
        pm_table_add_cell(table, pm_format_bytes(edge->chunk_bytes).text);
    }
    pm_table_print(table, 2);
    if (coverage->edge_count > EDGES_SHOWN)
        pm_sink_line(sink, "  %s: --format json",
                     pm_format_more(coverage->edge_count - EDGES_SHOWN, "field").text);
}

static void
print_conflicts(const PmSink *sink, const GArray *conflicts)
{
    static const PmColumn columns[] = {
        {"TYPE", FALSE}, {"ANOTHER POINTER SAYS", FALSE}, {"POINTERS", TRUE}};
    if (conflicts->len == 0)
        return;
    pm_sink_heading(sink, "Declarations that contradict each other");
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    for (guint i = 0; i < MIN(conflicts->len, CONFLICTS_SHOWN); i++) {
        const PmTypeConflict *conflict = &g_array_index(conflicts, PmTypeConflict, i);
        g_autofree char *name = pm_sanitise_short(conflict->name, sink->utf8, NAME_COLUMNS - 6);
        g_autofree char *other = pm_sanitise_short(conflict->other, sink->utf8, NAME_COLUMNS - 6);
        pm_table_add_row(table);
        pm_table_add_cell(table, name);
        pm_table_add_cell(table, other);
        pm_table_add_cell(table, pm_format_count(conflict->count).text);
    }
    pm_table_print(table, 2);
    if (conflicts->len > CONFLICTS_SHOWN)
        pm_sink_line(sink, "  %s: --format json",
                     pm_format_more(conflicts->len - CONFLICTS_SHOWN, "pair").text);
}

static void
print_omitted(const PmSink *sink, const PmTypeHistogram *histogram, guint64 shown)
{
    guint64 rest = 0;
    for (gsize i = shown; i < histogram->row_count; i++)
        rest += histogram->rows[i].chunk_bytes;
    if (shown < histogram->row_count)
        pm_sink_line(sink, "\n%s %s %s of what is in use: postmalloc types %s --top 0",
                     pm_format_more(histogram->row_count - shown, "type").text,
                     pm_format_hold(histogram->row_count - shown),
                     pm_format_share(pm_share(rest, histogram->used.chunk_bytes)).text,
                     sink->again);
}

void
pm_report_types(const PmSink *sink, const PmSubject *subject, PmTyping *typing,
                const PmTypeHistogram *histogram, const PmTypeCoverage *coverage)
{
    g_autoptr(GArray) conflicts = pm_typing_get_conflicts(typing);
    if (sink->json != NULL) {
        write_json(sink, subject, conflicts, histogram, coverage);
        return;
    }
    const guint64 shown = pm_sink_rows(sink->top, histogram->row_count);
    print_rows(sink, histogram, shown);
    print_omitted(sink, histogram, shown);
    print_coverage(sink, coverage);
    if (!sink->verbose)
        return;
    print_edges(sink, coverage);
    print_conflicts(sink, conflicts);
}
