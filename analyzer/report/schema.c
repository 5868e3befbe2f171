/*
 * schema: layouts, columns and the inferred request, as text and JSON.
 */
#include "report/schema.h"

#include "report/naming.h"
#include "report/table.h"

#include <math.h>

/* What is left of a line beside the other cells of a column. */
#define TEXT_COLUMNS 54
/* The same of a heading. */
#define SIGNATURE_COLUMNS 56

/* Of an example. */
#define EXAMPLE_LINES 2

#define NEAREST_MAX 4

/* Types of the chunks of one layout. */
#define TYPES_SHOWN 3

static void
write_request(PmJson *json, const PmSchemaRequest *request)
{
    if (request->known)
        pm_json_uint(json, "inferred_request", request->request);
    else
        pm_json_null(json, "inferred_request");
    if (request->known)
        pm_json_double(json, "inferred_confidence", request->confidence);
    else
        pm_json_null(json, "inferred_confidence");
    if (request->known)
        pm_json_uint(json, "inferred_padded", request->padded);
    else
        pm_json_null(json, "inferred_padded");
    pm_json_string(json, "evidence", request->evidence);
}

static void
write_column(PmJson *json, const PmSchemaColumn *column)
{
    gboolean number = column->width_bytes <= 8 && column->kind != PM_COLUMN_SLACK;
    pm_json_begin_object(json, NULL);
    pm_json_uint(json, "offset", column->offset_bytes);
    pm_json_uint(json, "width", column->width_bytes);
    pm_json_string(json, "kind", pm_column_kind_name(column->kind));
    if (column->kind == PM_COLUMN_CONSTANT || column->kind == PM_COLUMN_ZERO)
        pm_json_string(json, "value", pm_format_address(column->min).text);
    else
        pm_json_null(json, "value");
    pm_json_uint(json, "distinct", column->distinct);
    if (number || column->kind == PM_COLUMN_TEXT) {
        pm_json_uint(json, "min", column->min);
        pm_json_uint(json, "max", column->max);
    } else {
        pm_json_null(json, "min");
        pm_json_null(json, "max");
    }
    pm_json_uint(json, "nulls", column->nulls);
    pm_json_double(json, "rank_correlation", column->rank_correlation);
    pm_json_string(json, "text", column->text);
    pm_json_end_object(json);
}

static int
compare_types(const void *left, const void *right, void *data)
{
    const PmNamedRow *const *a = left;
    const PmNamedRow *const *b = right;
    const gsize layout = *(const gsize *)data;
    if ((*a)->by_layout[layout] != (*b)->by_layout[layout])
        return (*a)->by_layout[layout] < (*b)->by_layout[layout] ? 1 : -1;
    return strcmp((*a)->typed.name, (*b)->typed.name);
}

/*
 * What names chunks of a layout, most first; those that look like it because nothing does are not
 * told. A type may be that of several layouts. (transfer full): const PmNamedRow *.
 */
static GPtrArray *
collect_types(const PmNaming *naming, gsize layout)
{
    GPtrArray *rows = g_ptr_array_new();
    for (gsize i = 0; i < naming->row_count; i++) {
        const PmNamedRow *row = &naming->rows[i];
        if (row->by_layout[layout] > 0 && row->typed.by != PM_TYPED_BY_LAYOUT)
            g_ptr_array_add(rows, (gpointer)row);
    }
    g_ptr_array_sort_with_data(rows, compare_types, &layout);
    return rows;
}

static void
write_types(PmJson *json, const PmNaming *naming, gsize layout)
{
    g_autoptr(GPtrArray) rows = collect_types(naming, layout);
    pm_json_begin_array(json, "types");
    for (guint i = 0; i < rows->len; i++) {
        const PmNamedRow *row = g_ptr_array_index(rows, i);
        pm_json_begin_object(json, NULL);
        pm_typed_write_json(json, &row->typed);
        pm_json_string(json, "type_reason", row->typed.reason);
        pm_json_uint(json, "chunks_sampled", row->by_layout[layout]);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
}

static void
write_layout(PmJson *json, const PmNaming *naming, gsize index)
{
    const PmSchemaLayout *layout = &naming->schema->layouts[index];
    pm_json_begin_object(json, NULL);
    pm_json_string(json, "signature", layout->signature);
    pm_json_string(json, "name", layout->name);
    write_types(json, naming, index);
    pm_json_bool(json, "rest", layout->is_rest);
    pm_json_uint(json, "chunks_sampled", layout->chunks_sampled);
    pm_json_double(json, "share", layout->share);
    pm_json_uint(json, "estimate", layout->estimate);
    write_request(json, &layout->request);
    if (layout->has_rate) {
        pm_json_int(json, "onset_seconds", layout->onset_seconds);
        pm_json_int(json, "last_seconds", layout->last_seconds);
        pm_json_double(json, "per_hour", layout->rate_per_hour);
        pm_json_uint(json, "time_offset", layout->time_offset_bytes);
    } else {
        pm_json_null(json, "onset_seconds");
        pm_json_null(json, "last_seconds");
        pm_json_null(json, "per_hour");
        pm_json_null(json, "time_offset");
    }
    pm_json_begin_array(json, "columns");
    for (gsize i = 0; i < layout->column_count; i++)
        write_column(json, &layout->columns[i]);
    pm_json_end_array(json);
    pm_json_begin_array(json, "examples");
    for (guint i = 0; i < layout->example_count; i++)
        pm_json_address(json, NULL, layout->examples[i]);
    pm_json_end_array(json);
    pm_json_end_object(json);
}

static void
write_arenas(PmJson *json, const PmSubject *subject, const PmSchema *schema)
{
    gsize count = 0;
    const PmArena *arenas = pm_ptmalloc_get_arenas(subject->ptmalloc, &count);
    pm_json_begin_array(json, "arenas");
    for (gsize i = 0; i < MIN(count, schema->arena_count); i++) {
        if (schema->arenas[i] == 0)
            continue;
        pm_json_begin_object(json, NULL);
        pm_json_address(json, "arena", arenas[i].address);
        pm_json_uint(json, "chunks_sampled", schema->arenas[i]);
        pm_json_begin_array(json, "threads");
        for (gsize j = 0; j < arenas[i].thread_count; j++)
            pm_json_uint(json, NULL, arenas[i].threads[j]);
        pm_json_end_array(json);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
}

static void
write_json(const PmSink *sink, const PmSubject *subject, const PmNaming *naming)
{
    PmJson *json = sink->json;
    const PmSchema *schema = naming->schema;
    guint64 shown = pm_sink_rows(sink->top, schema->layout_count);
    pm_sink_begin(sink, subject);
    pm_json_uint(json, "chunk_bytes", schema->chunk_bytes);
    pm_json_uint(json, "request_min", schema->requests.min);
    pm_json_uint(json, "request_max", schema->requests.max);
    pm_json_uint(json, "population", schema->sample->population);
    pm_json_bool(json, "population_known", schema->sample->population_known);
    pm_json_uint(json, "chunks_sampled", schema->sample->count);
    pm_json_uint(json, "unread", schema->unread);
    pm_json_uint(json, "bytes_looked_at", schema->bytes_per_chunk);
    write_request(json, &schema->request);
    if (subject->uptime_seconds == 0)
        pm_json_null(json, "per_hour");
    else
        pm_json_double(json, "per_hour",
                       (double)schema->sample->population * 3600 / (double)subject->uptime_seconds);
    write_arenas(json, subject, schema);
    pm_json_begin_array(json, "layouts");
    for (gsize i = 0; i < shown; i++)
        write_layout(json, naming, i);
    pm_json_end_array(json);
    pm_sink_json_omitted(sink, "layouts", schema->layout_count - shown);
    pm_sink_end(sink);
}

/* Whose chunks these are: the arenas, and the threads that use them. */
static void
print_arenas(const PmSink *sink, const PmSubject *subject, const PmSchema *schema)
{
    gsize count = 0;
    const PmArena *arenas = pm_ptmalloc_get_arenas(subject->ptmalloc, &count);
    g_autoptr(GPtrArray) items = g_ptr_array_new_with_free_func(g_free);
    for (gsize i = 0; i < MIN(count, schema->arena_count); i++) {
        if (schema->arenas[i] == 0)
            continue;
        GString *item = g_string_new(arenas[i].kind == PM_ARENA_MAIN
                                         ? "main arena"
                                         : pm_format_address(arenas[i].address).text);
        g_string_append_printf(
            item, " %s", pm_format_share(pm_share(schema->arenas[i], schema->sample->count)).text);
        for (gsize j = 0; j < MIN(arenas[i].thread_count, 4); j++)
            g_string_append_printf(item, "%s%u", j == 0 ? " (thread " : ", ", arenas[i].threads[j]);
        if (arenas[i].thread_count > 4)
            g_string_append_printf(item, ", %" G_GSIZE_FORMAT " more", arenas[i].thread_count - 4);
        g_string_append(item, arenas[i].thread_count == 0 ? " (no thread)" : ")");
        g_ptr_array_add(items, g_string_free(item, FALSE));
    }
    if (schema->mmapped > 0)
        g_ptr_array_add(
            items, g_strdup_printf(
                       "mmapped %s",
                       pm_format_share(pm_share(schema->mmapped, schema->sample->count)).text));
    g_ptr_array_add(items, NULL);
    g_autofree char *separator = g_strdup_printf(" %s ", pm_sink_dot(sink));
    g_autofree char *text = g_strjoinv(separator, (char **)items->pdata);
    pm_sink_paragraph(sink, "where", 10, text);
}

static void
print_request(const PmSink *sink, const PmSchemaRequest *request)
{
    g_autofree char *text =
        request->known
            ? g_strdup_printf("%" G_GUINT64_FORMAT " bytes, %.0f %% sure: %s", request->request,
                              request->confidence * 100, request->evidence)
            : g_strdup(request->evidence);
    pm_sink_paragraph(sink, "request", 10, text);
}

static void
print_head(const PmSink *sink, const PmSubject *subject, const PmSchema *schema)
{
    const PmSample *sample = schema->sample;
    g_autofree char *looked =
        sample->is_whole ? g_strdup("all looked at")
                         : g_strdup_printf("%s looked at", pm_format_count(sample->count).text);
    g_autofree char *answer = g_strdup_printf(
        "%s%s of %s bytes, requests of %" G_GUINT64_FORMAT "%s%" G_GUINT64_FORMAT "; %s.",
        sample->population_known ? "" : "About ",
        pm_format_things(sample->population, "chunk").text,
        pm_format_address(schema->chunk_bytes).text, schema->requests.min, pm_sink_dash(sink),
        schema->requests.max, looked);
    pm_sink_emphasise(sink, answer);
    pm_output_char(sink->output, '\n');
    if (subject->uptime_seconds != 0)
        pm_sink_line(
            sink, "That is %s an hour.",
            pm_format_rate((double)sample->population * 3600 / (double)subject->uptime_seconds)
                .text);
    if (schema->unread > 0)
        pm_sink_line(sink, "The contents of %s are not in the core.",
                     pm_format_things(schema->unread, "chunk").text);
    print_request(sink, &schema->request);
    print_arenas(sink, subject, schema);
}

static char *
format_time(gint64 seconds)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(seconds);
    return time == NULL ? g_strdup("?") : g_date_time_format(time, "%Y-%m-%d %H:%M:%S");
}

static void
print_rate(const PmSink *sink, const PmSchemaLayout *layout)
{
    if (!layout->has_rate)
        return;
    g_autofree char *onset = format_time(layout->onset_seconds);
    g_autofree char *last = format_time(layout->last_seconds);
    pm_sink_line(sink, "  by the time at %" G_GUINT64_FORMAT ": %s to %s UTC, about %s an hour",
                 layout->time_offset_bytes, onset, last,
                 pm_format_rate(layout->rate_per_hour).text);
}

/* The beginning of @text, as much as @columns have room for; made safe. (transfer full) */
static char *
cut_text(const PmSink *sink, const char *text, glong columns)
{
    g_autofree char *safe = pm_sanitise(text == NULL ? "" : text, sink->utf8);
    if (g_utf8_strlen(safe, -1) <= columns)
        return g_steal_pointer(&safe);
    g_autofree char *begin = g_utf8_substring(safe, 0, columns - 3);
    return g_strconcat(begin, "...", NULL);
}

static void
print_columns(const PmSink *sink, const PmSchemaLayout *layout)
{
    static const PmColumn columns[] = {
        {"OFFSET", TRUE}, {"WIDTH", TRUE}, {"KIND", FALSE}, {"DISTINCT", TRUE}, {"", FALSE}};
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    for (gsize i = 0; i < layout->column_count; i++) {
        const PmSchemaColumn *column = &layout->columns[i];
        gboolean counted = column->kind != PM_COLUMN_SLACK && column->kind != PM_COLUMN_ZERO;
        g_autofree char *text = cut_text(sink, column->text, TEXT_COLUMNS);
        pm_table_add_row(table);
        pm_table_add_cell(table, pm_format_count(column->offset_bytes).text);
        pm_table_add_cell(table, pm_format_count(column->width_bytes).text);
        pm_table_add_cell(table, pm_column_kind_name(column->kind));
        pm_table_add_cell(table, counted ? pm_format_count(column->distinct).text : "");
        pm_table_add_cell(table, text);
    }
    pm_table_print(table, 2);
}

static void
print_example(const PmSink *sink, const PmSubject *subject, const PmSchema *schema,
              const PmSchemaLayout *layout)
{
    guint8 bytes[EXAMPLE_LINES * PM_HEX_LINE_BYTES];
    gsize count = MIN(schema->bytes_per_chunk, sizeof bytes);
    if (layout->example_count == 0 ||
        !pm_space_read(pm_process_get_space(subject->process), layout->examples[0], bytes, count))
        return;
    for (gsize at = 0; at < count; at += PM_HEX_LINE_BYTES) {
        g_autofree char *hex = pm_format_hex_line(bytes + at, count - at);
        pm_output_printf(sink->output, "  %s  %s\n",
                         pm_format_address(layout->examples[0] + at).text, hex);
    }
}

static void
print_types(const PmSink *sink, const PmNaming *naming, gsize index)
{
    const PmSchemaLayout *layout = &naming->schema->layouts[index];
    g_autoptr(GPtrArray) rows = collect_types(naming, index);
    for (guint i = 0; i < MIN(rows->len, TYPES_SHOWN); i++) {
        const PmNamedRow *row = g_ptr_array_index(rows, i);
        const guint64 chunks = row->by_layout[index];
        g_autofree char *type = pm_typed_describe(&row->typed);
        g_autofree char *text =
            chunks == layout->chunks_sampled
                ? g_strdup(type)
                : g_strdup_printf("%s %s",
                                  pm_format_share(pm_share(chunks, layout->chunks_sampled)).text,
                                  type);
        pm_sink_paragraph(sink, i == 0 ? "type" : "", 10, text);
    }
}

static void
print_layout(const PmSink *sink, const PmSubject *subject, const PmNaming *naming, gsize index)
{
    const PmSchema *schema = naming->schema;
    const PmSchemaLayout *layout = &schema->layouts[index];
    g_autofree char *signature = cut_text(sink, layout->signature, SIGNATURE_COLUMNS);
    g_autofree char *heading = g_strdup_printf(
        "LAYOUT %" G_GSIZE_FORMAT ": %s, %s%s (%s)", index + 1, signature,
        schema->sample->is_whole ? "" : "about ", pm_format_things(layout->estimate, "chunk").text,
        pm_format_share(layout->share).text);
    pm_sink_heading(sink, heading);
    print_types(sink, naming, index);
    if (schema->layout_count > 1)
        print_request(sink, &layout->request);
    print_rate(sink, layout);
    print_columns(sink, layout);
    print_example(sink, subject, schema, layout);
}

static void
print_text(const PmSink *sink, const PmSubject *subject, const PmNaming *naming)
{
    const PmSchema *schema = naming->schema;
    guint64 shown = pm_sink_rows(sink->top, schema->layout_count);
    print_head(sink, subject, schema);
    for (gsize i = 0; i < shown; i++)
        print_layout(sink, subject, naming, i);
    if (shown < schema->layout_count)
        pm_sink_line(sink, "\n%s: --top 0",
                     pm_format_more(schema->layout_count - shown, "layout").text);
    if (schema->bytes_per_chunk > 0 && schema->bytes_per_chunk < schema->requests.max)
        pm_sink_line(sink, "\nOnly the first %s of each chunk were looked at.",
                     pm_format_things(schema->bytes_per_chunk, "byte").text);
    pm_sink_heading(sink, "NEXT");
    pm_sink_line(sink, "  postmalloc chunks %s --chunk-size %s", sink->again,
                 pm_format_address(schema->chunk_bytes).text);
    if (schema->layout_count > 0 && schema->layouts[0].example_count > 0)
        pm_sink_line(sink, "  postmalloc show %s %s", sink->again,
                     pm_format_address(schema->layouts[0].examples[0]).text);
}

void
pm_report_schema(const PmSink *sink, const PmSubject *subject, const PmNaming *naming)
{
    if (sink->json != NULL)
        write_json(sink, subject, naming);
    else
        print_text(sink, subject, naming);
}

/* Up to NEAREST_MAX sizes that are in use, those next to @chunk_bytes, ascending. */
static GArray *
find_nearest(const PmSubject *subject, guint64 chunk_bytes)
{
    gsize count = 0;
    const PmSizeCount *sizes = pm_ptmalloc_get_sizes(subject->ptmalloc, &count);
    GArray *used = g_array_new(FALSE, FALSE, sizeof(PmSizeCount));
    gsize below = 0;
    for (gsize i = 0; i < count; i++) {
        if (sizes[i].chunks[PM_CHUNK_USED] == 0)
            continue;
        below += sizes[i].chunk_bytes < chunk_bytes;
        g_array_append_val(used, sizes[i]);
    }
    gsize first = below > NEAREST_MAX / 2 ? below - NEAREST_MAX / 2 : 0;
    if (first > 0)
        g_array_remove_range(used, 0, (guint)MIN(first, used->len));
    if (used->len > NEAREST_MAX)
        g_array_set_size(used, NEAREST_MAX);
    return used;
}

static void
write_empty(PmJson *json, const PmRequests *requests, const GArray *nearest, guint64 chunk_bytes)
{
    pm_json_uint(json, "chunk_bytes", chunk_bytes);
    pm_json_uint(json, "request_min", requests->min);
    pm_json_uint(json, "request_max", requests->max);
    pm_json_uint(json, "population", 0);
    pm_json_null(json, "inferred_request");
    pm_json_string(json, "evidence", "no chunk passes the filter");
    pm_json_begin_array(json, "layouts");
    pm_json_end_array(json);
    pm_json_begin_array(json, "nearest");
    for (guint i = 0; i < nearest->len; i++) {
        const PmSizeCount *size = &g_array_index(nearest, PmSizeCount, i);
        pm_json_begin_object(json, NULL);
        pm_json_uint(json, "chunk_bytes", size->chunk_bytes);
        pm_json_uint(json, "used_chunks", size->chunks[PM_CHUNK_USED]);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
}

void
pm_report_schema_empty(const PmSink *sink, const PmSubject *subject, guint64 chunk_bytes)
{
    g_autoptr(GArray) nearest = find_nearest(subject, chunk_bytes);
    guint word_bytes = pm_image_get_target(subject->image)->word_bytes;
    PmRequests requests = pm_requests_of(subject->ptmalloc, word_bytes, chunk_bytes, FALSE);
    if (sink->json != NULL) {
        pm_sink_begin(sink, subject);
        write_empty(sink->json, &requests, nearest, chunk_bytes);
        pm_sink_end(sink);
        return;
    }
    pm_sink_line(sink,
                 "No chunk of %s bytes (requests of %" G_GUINT64_FORMAT "%s%" G_GUINT64_FORMAT
                 ") passes the filter.",
                 pm_format_address(chunk_bytes).text, requests.min, pm_sink_dash(sink),
                 requests.max);
    if (nearest->len > 0)
        pm_sink_line(sink, "Sizes next to it that are in use:");
    for (guint i = 0; i < nearest->len; i++) {
        const PmSizeCount *size = &g_array_index(nearest, PmSizeCount, i);
        pm_sink_line(sink, "  postmalloc schema %s --chunk-size %s   # %s", sink->again,
                     pm_format_address(size->chunk_bytes).text,
                     pm_format_things(size->chunks[PM_CHUNK_USED], "chunk").text);
    }
}
