/*
 * What all documents share; see sink.h.
 */
#include "report/sink.h"

#include <stdarg.h>

static void
write_core(PmJson *json, const PmSink *sink, const PmSubject *subject)
{
    if (subject->image == NULL) {
        pm_json_null(json, "core");
        return;
    }
    guint32 pid = subject->process == NULL ? 0 : pm_process_get_info(subject->process)->pid;
    pm_json_begin_object(json, "core");
    pm_json_string(json, "path", sink->core_path);
    pm_json_string(json, "arch", pm_image_get_target(subject->image)->name);
    if (pid == 0)
        pm_json_null(json, "pid");
    else
        pm_json_uint(json, "pid", pid);
    pm_json_bool(json, "truncated", pm_image_is_truncated(subject->image));
    pm_json_end_object(json);
}

static void
write_diagnostics(PmJson *json, PmDiagnostics *diagnostics)
{
    guint count = pm_diagnostics_get_count(diagnostics);
    pm_json_begin_array(json, "diagnostics");
    for (guint i = 0; i < count; i++) {
        const PmDiagnostic *diagnostic = pm_diagnostics_get(diagnostics, i);
        pm_json_begin_object(json, NULL);
        pm_json_string(json, "code", diagnostic->code);
        pm_json_string(json, "severity", pm_severity_name(diagnostic->severity));
        pm_json_address(json, "address", diagnostic->address);
        pm_json_string(json, "text", diagnostic->text);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
    guint64 omitted = pm_diagnostics_get_omitted(diagnostics);
    if (omitted > 0)
        pm_json_uint(json, "diagnostics_omitted", omitted);
}

static void
write_envelope(const PmSink *sink, const PmSubject *subject)
{
    PmJson *json = sink->json;
    pm_json_begin_object(json, NULL);
    pm_json_string(json, "schema", "postmalloc/1");
    pm_json_string(json, "command", sink->command);
    write_core(json, sink, subject);
    write_diagnostics(json, subject->diagnostics);
}

void
pm_sink_begin(const PmSink *sink, const PmSubject *subject)
{
    if (sink->json == NULL)
        return;
    write_envelope(sink, subject);
    pm_json_begin_object(sink->json, "data");
}

void
pm_sink_end(const PmSink *sink)
{
    if (sink->json == NULL)
        return;
    pm_json_end_object(sink->json);
    pm_json_end_object(sink->json);
}

void
pm_sink_fail(const PmSink *sink, const PmSubject *subject, const GError *error)
{
    PmJson *json = sink->json;
    if (json == NULL)
        return;
    write_envelope(sink, subject);
    pm_json_begin_object(json, "error");
    pm_json_string(json, "code", pm_error_code(error));
    pm_json_string(json, "text", error->message);
    pm_json_end_object(json);
    pm_json_end_object(json);
}

guint64
pm_sink_rows(guint64 limit, guint64 count)
{
    return limit == 0 ? count : MIN(limit, count);
}

void
pm_sink_json_omitted(const PmSink *sink, const char *list, guint64 omitted)
{
    if (omitted == 0)
        return;
    g_autofree char *key = g_strconcat(list, "_omitted", NULL);
    pm_json_uint(sink->json, key, omitted);
}

void
pm_sink_emphasise(const PmSink *sink, const char *text)
{
    if (sink->color)
        pm_output_printf(sink->output, "\033[1m%s\033[0m", text);
    else
        pm_output_string(sink->output, text);
}

void
pm_sink_heading(const PmSink *sink, const char *text)
{
    pm_output_char(sink->output, '\n');
    pm_sink_emphasise(sink, text);
    pm_output_char(sink->output, '\n');
}

void
pm_sink_line(const PmSink *sink, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    pm_output_string(sink->output, g_strchomp(text));
    pm_output_char(sink->output, '\n');
}

void
pm_sink_field(const PmSink *sink, const char *name, const char *value)
{
    g_autofree char *safe = pm_sanitise(value == NULL ? "unknown" : value, sink->utf8);
    pm_output_printf(sink->output, "  %-12s %s\n", name, safe);
}

char *
pm_sink_bar(const PmSink *sink, double share, guint columns)
{
    guint halves = (guint)(CLAMP(share, 0.0, 1.0) * 2 * columns + 0.5);
    guint full = halves / 2;
    gboolean half = halves % 2 == 1;
    GString *bar = g_string_new(NULL);
    for (guint i = 0; i < full; i++)
        g_string_append(bar, sink->utf8 ? "█" : "#");
    if (half && sink->utf8)
        g_string_append(bar, "▌");
    return g_string_free(bar, FALSE);
}

void
pm_sink_items(const PmSink *sink, const char *const *items)
{
    g_autofree char *separator = g_strdup_printf(" %s ", pm_sink_dot(sink));
    glong columns = 0;
    for (guint i = 0; items[i] != NULL; i++) {
        g_autofree char *safe = pm_sanitise(items[i], sink->utf8);
        glong length = g_utf8_strlen(safe, -1);
        if (columns > 0 && columns + 3 + length > PM_SINK_COLUMNS) {
            pm_output_char(sink->output, '\n');
            columns = 0;
        } else if (columns > 0) {
            pm_output_string(sink->output, separator);
            columns += 3;
        }
        pm_output_string(sink->output, safe);
        columns += length;
    }
    pm_output_char(sink->output, '\n');
}

void
pm_sink_paragraph(const PmSink *sink, const char *label, guint indent, const char *text)
{
    g_autofree char *safe_label = pm_sanitise(label, sink->utf8);
    g_autofree char *safe = pm_sanitise(text, sink->utf8);
    g_auto(GStrv) words = g_strsplit(safe, " ", -1);
    pm_output_printf(sink->output, "%-*s", (int)indent, safe_label);
    glong columns = MAX((glong)indent, g_utf8_strlen(safe_label, -1));
    for (guint i = 0; words[i] != NULL; i++) {
        glong length = g_utf8_strlen(words[i], -1);
        if (i > 0 && columns + 1 + length > PM_SINK_COLUMNS) {
            pm_output_printf(sink->output, "\n%*s", (int)indent, "");
            columns = (glong)indent;
        } else if (i > 0) {
            pm_output_char(sink->output, ' ');
            columns++;
        }
        pm_output_string(sink->output, words[i]);
        columns += length;
    }
    pm_output_char(sink->output, '\n');
}

const char *
pm_sink_dot(const PmSink *sink)
{
    return sink->utf8 ? "·" : "-";
}

const char *
pm_sink_dash(const PmSink *sink)
{
    return sink->utf8 ? "–" : "-";
}
