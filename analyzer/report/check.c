/*
 * check: the violated invariants as text and JSON.
 */
#include "report/check.h"

/* Where the text beside an address begins. */
#define WHERE_COLUMNS 18

static void
write_json(const PmSink *sink, const PmSubject *subject, const PmCheck *check)
{
    PmJson *json = sink->json;
    guint64 shown = pm_sink_rows(sink->limit, check->row_count);
    pm_sink_begin(sink, subject);
    pm_json_begin_array(json, "violations");
    for (gsize i = 0; i < shown; i++) {
        const PmCheckRow *row = &check->rows[i];
        pm_json_begin_object(json, NULL);
        pm_json_string(json, "code", row->diagnostic->code);
        pm_json_string(json, "severity", pm_severity_name(row->diagnostic->severity));
        pm_json_address(json, "address", row->diagnostic->address);
        pm_json_address(json, "arena", row->diagnostic->arena);
        pm_json_string(json, "text", row->diagnostic->text);
        pm_json_string(json, "glibc", row->violation->glibc);
        pm_json_string(json, "meaning", row->violation->meaning);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
    pm_sink_json_omitted(sink, "violations", check->row_count - shown + check->omitted);
    pm_json_begin_array(json, "in_flight");
    for (guint i = 0; i < check->in_flight->len; i++) {
        const PmDiagnostic *diagnostic = g_ptr_array_index(check->in_flight, i);
        pm_json_begin_object(json, NULL);
        pm_json_address(json, "address", diagnostic->address);
        pm_json_address(json, "arena", diagnostic->arena);
        pm_json_string(json, "text", diagnostic->text);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
    pm_sink_end(sink);
}

/* What `check` looked at, so that "clean" says how much it covers. */
static void
print_scope(const PmSink *sink, const PmSubject *subject)
{
    gsize arena_count = 0;
    (void)pm_ptmalloc_get_arenas(subject->ptmalloc, &arena_count);
    gsize size_count = 0;
    const PmSizeCount *sizes = pm_ptmalloc_get_sizes(subject->ptmalloc, &size_count);
    guint64 chunks = 0;
    for (gsize i = 0; i < size_count; i++) {
        for (guint state = 0; state < PM_CHUNK_STATES; state++)
            chunks += sizes[i].chunks[state];
    }
    const PmMmapped *mmapped = pm_ptmalloc_get_mmapped(subject->ptmalloc);
    pm_sink_line(sink, "%s in %s and %s examined", pm_format_things(chunks, "chunk").text,
                 pm_format_things(arena_count, "arena").text,
                 pm_format_things(mmapped->chunks, "mmapped chunk").text);
    if (pm_image_is_truncated(subject->image))
        pm_sink_line(sink, "the core is cut off: what lies in the lost part could not be checked");
}

static void
print_where(const PmSink *sink, const PmDiagnostic *diagnostic)
{
    g_autofree char *label =
        diagnostic->address == PM_ADDR_NONE
            ? g_strdup("")
            : g_strconcat("  ", pm_format_address(diagnostic->address).text, NULL);
    g_autofree char *text = diagnostic->arena == PM_ADDR_NONE
                                ? g_strdup(diagnostic->text)
                                : g_strdup_printf("%s (arena %s)", diagnostic->text,
                                                  pm_format_address(diagnostic->arena).text);
    pm_sink_paragraph(sink, label, WHERE_COLUMNS, text);
}

static void
print_group_heading(const PmSink *sink, const PmCheckRow *row)
{
    g_autofree char *heading = g_strdup_printf(
        "%s: %s", pm_severity_name(row->diagnostic->severity), row->diagnostic->code);
    pm_sink_heading(sink, heading);
    if (row->violation->glibc != NULL)
        pm_sink_paragraph(sink, "  glibc says", WHERE_COLUMNS, row->violation->glibc);
    pm_sink_paragraph(sink, "  usually means", WHERE_COLUMNS, row->violation->meaning);
}

/*
 * At most @max violations of the kind of row @first, which is the first of its kind.
 *
 * Returns: how many were printed.
 */
static guint64
print_group(const PmSink *sink, const PmCheck *check, gsize first, guint64 max)
{
    guint64 printed = 0;
    print_group_heading(sink, &check->rows[first]);
    for (gsize i = first; i < check->row_count && printed < max; i++) {
        if (check->rows[i].violation != check->rows[first].violation)
            continue;
        print_where(sink, check->rows[i].diagnostic);
        printed++;
    }
    return printed;
}

/* What is no damage: the process was stopped in the middle of it. */
static void
print_in_flight(const PmSink *sink, const PmCheck *check)
{
    const guint64 shown = pm_sink_rows(sink->limit, check->in_flight->len);
    if (check->in_flight->len == 0)
        return;
    pm_sink_heading(sink, "IN FLIGHT");
    pm_sink_line(sink, "The process was stopped inside malloc; that alone explains this:");
    for (guint64 i = 0; i < shown; i++)
        print_where(sink, g_ptr_array_index(check->in_flight, i));
    if (shown < check->in_flight->len)
        pm_sink_line(sink, "  %s: --limit 0",
                     pm_format_more(check->in_flight->len - shown, "note").text);
}

static void
print_text(const PmSink *sink, const PmSubject *subject, const PmCheck *check)
{
    print_scope(sink, subject);
    if (check->row_count == 0) {
        pm_sink_line(sink, "no invariant is violated");
        print_in_flight(sink, check);
        return;
    }
    pm_sink_line(sink, "%s, worst first:",
                 pm_format_things(check->row_count + check->omitted, "violation").text);
    guint64 shown = pm_sink_rows(sink->limit, check->row_count);
    guint64 left = shown;
    g_autoptr(GHashTable) done = g_hash_table_new(NULL, NULL);
    for (gsize i = 0; i < check->row_count && left > 0; i++) {
        if (g_hash_table_add(done, (gpointer)check->rows[i].violation))
            left -= print_group(sink, check, i, left);
    }
    if (shown < check->row_count)
        pm_sink_line(sink, "\n%s: --limit 0",
                     pm_format_more(check->row_count - shown, "violation").text);
    if (check->omitted > 0)
        pm_sink_line(sink, "\n%s counted, but not kept",
                     pm_format_more(check->omitted, "violation").text);
    print_in_flight(sink, check);
}

void
pm_report_check(const PmSink *sink, const PmSubject *subject, const PmCheck *check)
{
    if (sink->json == NULL)
        print_text(sink, subject, check);
    else
        write_json(sink, subject, check);
}
