/*
 * strings: two ranked tables as text and JSON. Texts are read from the core row by row.
 */
#include "report/strings.h"

#include "report/table.h"

/* Of a string in a table, before it is cut. */
#define TEXT_COLUMNS 56
/* Of a string in JSON; its length tells of more. */
#define JSON_BYTES 65536

/* The text for a terminal, cut to TEXT_COLUMNS. (transfer full) */
static char *
format_text(const PmSink *sink, const PmSubject *subject, const PmString *string)
{
    gsize count = 0;
    /* Four bytes a character and one more, so that a cut is seen. */
    g_autofree char *text = pm_strings_read(subject, string, (gsize)4 * (TEXT_COLUMNS + 1), &count);
    const char *end = text + count;
    if (count < string->length_bytes && !g_utf8_validate(text, (gssize)count, &end))
        text[end - text] = '\0';
    g_autofree char *safe = pm_sanitise(text, sink->utf8);
    if ((gsize)g_utf8_strlen(safe, -1) <= TEXT_COLUMNS)
        return g_steal_pointer(&safe);
    g_autofree char *head = g_utf8_substring(safe, 0, TEXT_COLUMNS - 3);
    return g_strconcat(head, "...", NULL);
}

static void
print_inside(const PmSink *sink, const PmSubject *subject, const PmStrings *strings)
{
    static const PmColumn columns[] = {
        {"COUNT", TRUE}, {"BYTES", TRUE}, {"TEXT", FALSE}, {"FIRST AT", FALSE}};
    const guint64 shown = pm_sink_rows(sink->top, strings->inside_count);
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    for (guint64 i = 0; i < shown; i++) {
        const PmString *string = &strings->inside[i];
        g_autofree char *text = format_text(sink, subject, string);
        pm_table_add_row(table);
        pm_table_add_cell(table, pm_format_count(string->count).text);
        pm_table_add_cell(table, pm_format_bytes(string->bytes).text);
        pm_table_add_cell(table, text);
        pm_table_add_cell(table, pm_format_address(string->example).text);
    }
    pm_table_print(table, 2);
    if (shown < strings->inside_count)
        pm_sink_line(sink, "  %s: --top 0",
                     pm_format_more(strings->inside_count - shown, "different string").text);
}

static void
print_pointed(const PmSink *sink, const PmSubject *subject, const PmStrings *strings)
{
    static const PmColumn columns[] = {
        {"POINTERS", TRUE}, {"LENGTH", TRUE}, {"TEXT", FALSE}, {"AT", FALSE}};
    const guint64 shown = pm_sink_rows(sink->top, strings->pointed_count);
    if (shown == 0)
        return;
    pm_sink_heading(sink, "Pointed to");
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    for (guint64 i = 0; i < shown; i++) {
        const PmString *string = &strings->pointed[i];
        g_autofree char *text = format_text(sink, subject, string);
        pm_table_add_row(table);
        pm_table_add_cell(table, pm_format_count(string->count).text);
        pm_table_add_cell(table, pm_format_bytes(string->length_bytes).text);
        pm_table_add_cell(table, text);
        pm_table_add_cell(table, pm_format_address(string->example).text);
    }
    pm_table_print(table, 2);
    if (shown < strings->pointed_count)
        pm_sink_line(sink, "  %s: --top 0",
                     pm_format_more(strings->pointed_count - shown, "different string").text);
}

static void
print_notes(const PmSink *sink, const PmChunkFilter *filter, const PmStrings *strings)
{
    if (strings->missing_bytes > 0)
        pm_sink_line(sink, "%s of it are not in the core.",
                     pm_format_bytes(strings->missing_bytes).text);
    if (strings->forgotten > 0)
        pm_sink_line(
            sink,
            "Too many different strings: %s rare ones were not kept, and no count is short "
            "by more than %s.",
            pm_format_count(strings->forgotten).text, pm_format_count(strings->shortfall).text);
    if ((filter->states & ~(1u << PM_CHUNK_USED | 1u << PM_CHUNK_RUNTIME)) != 0)
        pm_sink_line(sink, "What free chunks hold is what their last owner and malloc left there.");
}

static void
print_text(const PmSink *sink, const PmSubject *subject, const PmChunkFilter *filter,
           const PmStrings *strings)
{
    if (strings->chunks == 0) {
        pm_sink_line(sink, "no chunk passes the filter");
        return;
    }
    pm_sink_line(
        sink, "%s, %s of text, in %s (%s read)", pm_format_things(strings->found, "string").text,
        pm_format_bytes(strings->found_bytes).text, pm_format_things(strings->chunks, "chunk").text,
        pm_format_bytes(strings->scanned_bytes).text);
    print_notes(sink, filter, strings);
    if (strings->inside_count > 0) {
        pm_output_char(sink->output, '\n');
        print_inside(sink, subject, strings);
    }
    print_pointed(sink, subject, strings);
}

static void
write_list(const PmSink *sink, const PmSubject *subject, const char *key, const PmString *strings,
           gsize count)
{
    PmJson *json = sink->json;
    const guint64 shown = pm_sink_rows(sink->top, count);
    pm_json_begin_array(json, key);
    for (guint64 i = 0; i < shown; i++) {
        const PmString *string = &strings[i];
        gsize text_bytes = 0;
        g_autofree char *text = pm_strings_read(subject, string, JSON_BYTES, &text_bytes);
        pm_json_begin_object(json, NULL);
        pm_json_bytes(json, "text", text, text_bytes);
        pm_json_uint(json, "length_bytes", string->length_bytes);
        pm_json_uint(json, "count", string->count);
        pm_json_uint(json, "bytes", string->bytes);
        pm_json_address(json, "example", string->example);
        if (string->kind != PM_WORD_NUMBER)
            pm_json_string(json, "where", pm_word_kind_name(string->kind));
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
    pm_sink_json_omitted(sink, key, count - shown);
}

void
pm_report_strings(const PmSink *sink, const PmSubject *subject, const PmChunkFilter *filter,
                  const PmStrings *strings)
{
    PmJson *json = sink->json;
    if (json == NULL) {
        print_text(sink, subject, filter, strings);
        return;
    }
    pm_sink_begin(sink, subject);
    pm_json_uint(json, "chunks", strings->chunks);
    pm_json_uint(json, "scanned_bytes", strings->scanned_bytes);
    pm_json_uint(json, "missing_bytes", strings->missing_bytes);
    pm_json_uint(json, "found", strings->found);
    pm_json_uint(json, "found_bytes", strings->found_bytes);
    pm_json_uint(json, "forgotten", strings->forgotten);
    pm_json_uint(json, "shortfall", strings->shortfall);
    write_list(sink, subject, "strings", strings->inside, strings->inside_count);
    write_list(sink, subject, "pointed", strings->pointed, strings->pointed_count);
    pm_sink_end(sink);
}
