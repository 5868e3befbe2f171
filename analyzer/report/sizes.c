/*
 * sizes: the histogram as text and JSON.
 */
#include "report/sizes.h"

#include "report/table.h"

/* Of the bar, and what the columns of lost shares and of rates take from it. */
#define BAR_COLUMNS       12U
#define BAR_COLUMNS_LOST  6U
#define BAR_COLUMNS_RATES 2U

/* The table of sizes; LOST and PER HOUR are there where they are known. */
enum {
    COLUMN_CHUNK,
    COLUMN_REQUESTS,
    COLUMN_USED_CHUNKS,
    COLUMN_USED,
    COLUMN_SHARE,
    COLUMN_BAR,
    COLUMN_LOST,
    COLUMN_FREE_CHUNKS,
    COLUMN_FREE,
    COLUMN_PER_HOUR,
    COLUMNS,
};

static void
write_total(PmJson *json, const char *key, const PmTotal *total)
{
    pm_json_begin_object(json, key);
    pm_json_uint(json, "chunks", total->chunks);
    pm_json_uint(json, "chunk_bytes", total->chunk_bytes);
    pm_json_uint(json, "usable_bytes", total->usable_bytes);
    pm_json_end_object(json);
}

static void
write_part(PmJson *json, const char *key, guint64 chunks, guint64 chunk_bytes)
{
    pm_json_begin_object(json, key);
    pm_json_uint(json, "chunks", chunks);
    pm_json_uint(json, "chunk_bytes", chunk_bytes);
    pm_json_end_object(json);
}

void
pm_sizes_write_lost(PmJson *json, const PmSizes *sizes)
{
    if (sizes->lost_known)
        write_part(json, "lost", sizes->lost.chunks, sizes->lost.chunk_bytes);
    else
        pm_json_null(json, "lost");
}

static void
write_row(PmJson *json, const PmSubject *subject, const PmSizes *sizes, const PmSizeRow *row)
{
    guint word_bytes = pm_image_get_target(subject->image)->word_bytes;
    PmRequests requests = pm_size_row_requests(row, subject->ptmalloc, word_bytes);
    guint64 used_bytes = pm_size_row_used_bytes(row);
    pm_json_begin_object(json, NULL);
    pm_json_uint(json, "chunk_bytes", row->chunk_bytes);
    pm_json_uint(json, "request_min", requests.min);
    pm_json_uint(json, "request_max", requests.max);
    write_part(json, "used", row->used_chunks, used_bytes);
    write_part(json, "free", row->free_chunks, pm_size_row_free_bytes(row));
    if (sizes->lost_known)
        write_part(json, "lost", row->lost_chunks, pm_size_row_lost_bytes(row));
    else
        pm_json_null(json, "lost");
    pm_json_double(json, "share_of_used",
                   pm_share(used_bytes, sizes->states[PM_CHUNK_USED].chunk_bytes));
    pm_json_uint(json, "mmapped_chunks", row->mmapped_chunks);
    if (subject->uptime_seconds == 0)
        pm_json_null(json, "per_hour");
    else
        pm_json_double(json, "per_hour", pm_per_hour(row->used_chunks, subject->uptime_seconds));
    pm_json_end_object(json);
}

void
pm_sizes_write_json(const PmSink *sink, const PmSubject *subject, const PmSizes *sizes)
{
    guint64 shown = pm_sink_rows(sink->top, sizes->row_count);
    pm_json_begin_array(sink->json, "sizes");
    for (gsize i = 0; i < shown; i++)
        write_row(sink->json, subject, sizes, &sizes->rows[i]);
    pm_json_end_array(sink->json);
    pm_sink_json_omitted(sink, "sizes", sizes->row_count - shown);
}

static void
write_json(const PmSink *sink, const PmSubject *subject, const PmSizes *sizes)
{
    pm_sink_begin(sink, subject);
    pm_json_begin_object(sink->json, "totals");
    for (guint state = 0; state < PM_CHUNK_STATES; state++)
        write_total(sink->json, pm_chunk_state_name((PmChunkState)state), &sizes->states[state]);
    pm_json_end_object(sink->json);
    pm_sizes_write_lost(sink->json, sizes);
    pm_sizes_write_json(sink, subject, sizes);
    pm_sink_end(sink);
}

/* The texts of one row; owned. */
typedef struct {
    char *text[COLUMNS];
} Cells;

static Cells
make_cells(const PmSink *sink, const PmSubject *subject, const PmSizes *sizes, const PmSizeRow *row)
{
    guint word_bytes = pm_image_get_target(subject->image)->word_bytes;
    PmRequests requests = pm_size_row_requests(row, subject->ptmalloc, word_bytes);
    guint64 used_bytes = pm_size_row_used_bytes(row);
    double share = pm_share(used_bytes, sizes->states[PM_CHUNK_USED].chunk_bytes);
    double lost = pm_share(row->lost_chunks, row->used_chunks);
    double rate = pm_per_hour(row->used_chunks, subject->uptime_seconds);
    guint bar_columns = BAR_COLUMNS - (sizes->lost_known ? BAR_COLUMNS_LOST : 0) -
                        (subject->uptime_seconds > 0 ? BAR_COLUMNS_RATES : 0);
    Cells cells;
    cells.text[COLUMN_CHUNK] = g_strdup(pm_format_address(row->chunk_bytes).text);
    cells.text[COLUMN_REQUESTS] = g_strdup_printf("%" G_GUINT64_FORMAT "%s%" G_GUINT64_FORMAT,
                                                  requests.min, pm_sink_dash(sink), requests.max);
    cells.text[COLUMN_USED_CHUNKS] = g_strdup(pm_format_count(row->used_chunks).text);
    cells.text[COLUMN_USED] = g_strdup(pm_format_bytes(used_bytes).text);
    cells.text[COLUMN_SHARE] = g_strdup(pm_format_share(share).text);
    cells.text[COLUMN_BAR] = pm_sink_bar(sink, share, bar_columns);
    cells.text[COLUMN_LOST] = g_strdup(pm_format_share(lost).text);
    cells.text[COLUMN_FREE_CHUNKS] = g_strdup(pm_format_count(row->free_chunks).text);
    cells.text[COLUMN_FREE] = g_strdup(pm_format_bytes(pm_size_row_free_bytes(row)).text);
    cells.text[COLUMN_PER_HOUR] = g_strdup(pm_format_rate(rate).text);
    return cells;
}

void
pm_sizes_print_table(const PmSink *sink, const PmSubject *subject, const PmSizes *sizes,
                     gsize row_count)
{
    static const PmColumn all[COLUMNS] = {
        {"CHUNK", TRUE}, {"REQUESTS", TRUE}, {"USED CHUNKS", TRUE}, {"USED", TRUE},
        {"SHARE", TRUE}, {"", FALSE},        {"LOST", TRUE},        {"FREE CHUNKS", TRUE},
        {"FREE", TRUE},  {"PER HOUR", TRUE}};
    gboolean shown[COLUMNS];
    PmColumn columns[COLUMNS];
    guint column_count = 0;
    for (guint i = 0; i < COLUMNS; i++) {
        shown[i] = (i != COLUMN_LOST || sizes->lost_known) &&
                   (i != COLUMN_PER_HOUR || subject->uptime_seconds > 0);
        if (shown[i])
            columns[column_count++] = all[i];
    }
    g_autoptr(PmTable) table = pm_table_new(sink, columns, column_count);
    for (gsize i = 0; i < row_count; i++) {
        Cells cells = make_cells(sink, subject, sizes, &sizes->rows[i]);
        pm_table_add_row(table);
        for (guint j = 0; j < COLUMNS; j++) {
            if (shown[j])
                pm_table_add_cell(table, cells.text[j]);
            g_free(cells.text[j]);
        }
    }
    pm_table_print(table, 2);
}

void
pm_sizes_print_lost(const PmSink *sink, const PmSizes *sizes)
{
    if (!sizes->lost_known)
        return;
    if (sizes->lost.chunks == 0) {
        pm_sink_line(sink, "  lost: nothing");
        return;
    }
    double share = pm_share(sizes->lost.chunk_bytes, sizes->states[PM_CHUNK_USED].chunk_bytes);
    pm_sink_line(sink, "  %s: %s, %s, %s of what is in use: postmalloc leaks %s",
                 sizes->lost_certain ? "lost" : "lost, but not for certain",
                 pm_format_things(sizes->lost.chunks, "chunk").text,
                 pm_format_bytes(sizes->lost.chunk_bytes).text, pm_format_share(share).text,
                 sink->again);
}

static void
print_totals(const PmSink *sink, const PmSizes *sizes)
{
    static const PmColumn columns[] = {
        {"STATE", FALSE}, {"CHUNKS", TRUE}, {"BYTES", TRUE}, {"USABLE", TRUE}};
    static const PmChunkState order[] = {PM_CHUNK_USED,    PM_CHUNK_RUNTIME, PM_CHUNK_TCACHE,
                                         PM_CHUNK_FASTBIN, PM_CHUNK_BIN,     PM_CHUNK_TOP};
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    for (guint i = 0; i < G_N_ELEMENTS(order); i++) {
        const PmTotal *total = &sizes->states[order[i]];
        pm_table_add_row(table);
        pm_table_add_cell(table, order[i] == PM_CHUNK_RUNTIME ? "  of these glibc's own"
                                                              : pm_chunk_state_name(order[i]));
        pm_table_add_cell(table, pm_format_count(total->chunks).text);
        pm_table_add_cell(table, pm_format_bytes(total->chunk_bytes).text);
        pm_table_add_cell(table, pm_format_bytes(total->usable_bytes).text);
    }
    pm_table_print(table, 2);
}

static void
print_text(const PmSink *sink, const PmSubject *subject, const PmSizes *sizes)
{
    guint64 shown = pm_sink_rows(sink->top, sizes->row_count);
    print_totals(sink, sizes);
    pm_output_char(sink->output, '\n');
    pm_sizes_print_table(sink, subject, sizes, shown);
    pm_sizes_print_lost(sink, sizes);
    if (sizes->lost_skipped)
        pm_sink_line(sink, "  how much of each is lost: postmalloc sizes %s --lost", sink->again);
    if (shown == sizes->row_count)
        return;
    guint64 rest = 0;
    for (gsize i = shown; i < sizes->row_count; i++)
        rest += pm_size_row_used_bytes(&sizes->rows[i]);
    pm_sink_line(sink, "\n%s %s %s of what is in use: postmalloc sizes %s --top 0",
                 pm_format_more(sizes->row_count - shown, "size").text,
                 pm_format_hold(sizes->row_count - shown),
                 pm_format_share(pm_share(rest, sizes->states[PM_CHUNK_USED].chunk_bytes)).text,
                 sink->again);
}

void
pm_report_sizes(const PmSink *sink, const PmSubject *subject, const PmSizes *sizes)
{
    if (sink->json == NULL)
        print_text(sink, subject, sizes);
    else
        write_json(sink, subject, sizes);
}
