/*
 * leaks: what is lost, how certain that is, and where to look next, as text and JSON.
 */
#include "report/leaks.h"

#include "analysis/sizes.h"
#include "report/naming.h"
#include "report/reach.h"
#include "report/table.h"

#define MODULE_COLUMNS 40
#define NAME_COLUMNS   92

static void
write_sum(PmJson *json, const char *key, const PmReachSum *sum)
{
    pm_json_begin_object(json, key);
    pm_json_uint(json, "chunks", sum->chunks);
    pm_json_uint(json, "chunk_bytes", sum->chunk_bytes);
    pm_json_end_object(json);
}

static void
write_rates(PmJson *json, const PmSubject *subject, guint64 chunks, guint64 bytes)
{
    if (subject->uptime_seconds == 0) {
        pm_json_null(json, "per_hour");
        pm_json_null(json, "bytes_per_hour");
        return;
    }
    pm_json_double(json, "per_hour", pm_per_hour(chunks, subject->uptime_seconds));
    pm_json_double(json, "bytes_per_hour", pm_per_hour(bytes, subject->uptime_seconds));
}

static void
write_roots(PmJson *json, const PmLeaks *leaks)
{
    const PmRootCoverage *coverage = &leaks->result->coverage;
    if (coverage->wanted_bytes == 0)
        pm_json_null(json, "root_coverage");
    else
        pm_json_double(json, "root_coverage", pm_coverage_share(coverage));
    pm_json_bool(json, "certain", leaks->certain);
    pm_json_begin_object(json, "roots");
    pm_json_uint(json, "present_bytes", coverage->present_bytes);
    pm_json_uint(json, "wanted_bytes", coverage->wanted_bytes);
    pm_json_uint(json, "never_written_bytes", coverage->never_written_bytes);
    pm_json_uint(json, "threads_without_registers", leaks->blind_threads);
    pm_json_end_object(json);
    pm_json_uint(json, "missing_heap_bytes", leaks->missing_heap_bytes);
    pm_json_begin_array(json, "missing_roots");
    for (gsize i = 0; i < leaks->missing_count; i++) {
        const PmRoot *root = leaks->missing[i].root;
        pm_json_begin_object(json, NULL);
        pm_json_string(json, "kind", pm_root_kind_name(root->kind));
        pm_json_address(json, "start", root->range.start);
        pm_json_address(json, "end", root->range.end);
        pm_json_uint(json, "missing_bytes", leaks->missing[i].missing_bytes);
        pm_json_string(json, "module", root->module == NULL ? NULL : root->module->path);
        if (root->tid == 0)
            pm_json_null(json, "thread");
        else
            pm_json_uint(json, "thread", root->tid);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
}

static void
write_group(PmJson *json, const PmSubject *subject, const PmLeaks *leaks, gsize index)
{
    const PmLeakGroup *row = &leaks->groups[index];
    const PmLostGroup *group = row->group;
    char hex[2 * PM_EXAMPLE_BYTES + 1] = "";
    for (gsize i = 0; i < row->content_bytes; i++)
        g_snprintf(hex + 2 * i, 3, "%02x", row->contents[i]);
    pm_json_begin_object(json, NULL);
    pm_json_uint(json, "rank", index + 1);
    if (group->chunk_bytes == 0) {
        pm_json_null(json, "chunk_bytes");
        pm_json_null(json, "request_min");
        pm_json_null(json, "request_max");
    } else {
        pm_json_uint(json, "chunk_bytes", group->chunk_bytes);
        pm_json_uint(json, "request_min", row->requests.min);
        pm_json_uint(json, "request_max", row->requests.max);
    }
    pm_named_write_json(json, row->naming, row->row);
    pm_json_uint(json, "roots", group->roots);
    pm_json_uint(json, "cycles", group->cycles);
    pm_json_uint(json, "root_bytes", group->root_bytes);
    pm_json_uint(json, "lost_chunks", group->lost_chunks);
    pm_json_uint(json, "lost_bytes", group->lost_bytes);
    pm_json_double(json, "share_of_lost",
                   pm_share(group->lost_bytes, leaks->result->lost.chunk_bytes));
    write_rates(json, subject, group->lost_chunks, group->lost_bytes);
    pm_json_address(json, "example", group->example);
    pm_json_string(json, "example_hex", row->content_bytes == 0 ? NULL : hex);
    pm_json_end_object(json);
}

static void
write_json(const PmSink *sink, const PmSubject *subject, const PmLeaks *leaks,
           const guint64 *limit_bytes)
{
    PmJson *json = sink->json;
    const PmReachResult *result = leaks->result;
    guint64 shown = pm_sink_rows(sink->top, leaks->group_count);
    pm_sink_begin(sink, subject);
    pm_json_begin_object(json, "classes");
    for (guint i = 0; i < PM_REACH_CLASSES; i++)
        write_sum(json, pm_reach_key((PmReachClass)i), &result->classes[i]);
    pm_json_end_object(json);
    write_sum(json, "lost", &result->lost);
    pm_json_double(json, "lost_share_of_used",
                   pm_share(result->lost.chunk_bytes, leaks->used.chunk_bytes));
    write_rates(json, subject, result->lost.chunks, result->lost.chunk_bytes);
    write_roots(json, leaks);
    write_sum(json, "stack_only", &result->stack_only);
    pm_json_begin_array(json, "groups");
    for (gsize i = 0; i < shown; i++)
        write_group(json, subject, leaks, i);
    pm_json_end_array(json);
    pm_sink_json_omitted(sink, "groups", leaks->group_count - shown);
    pm_json_address(json, "twin", leaks->twin);
    if (limit_bytes == NULL) {
        pm_json_null(json, "fail_over");
    } else {
        pm_json_begin_object(json, "fail_over");
        pm_json_uint(json, "limit_bytes", *limit_bytes);
        pm_json_bool(json, "exceeded", result->lost.chunk_bytes > *limit_bytes);
        pm_json_end_object(json);
    }
    pm_sink_end(sink);
}

/* The answer in one line, and how fast it grows. */
static void
print_answer(const PmSink *sink, const PmSubject *subject, const PmLeaks *leaks)
{
    const PmReachSum *lost = &leaks->result->lost;
    g_autofree char *answer = NULL;
    if (lost->chunks == 0)
        answer = g_strdup_printf("Nothing is lost: something refers to every one of the %s in use.",
                                 pm_format_things(leaks->used.chunks, "chunk").text);
    else
        answer = g_strdup_printf(
            "%s, %s, %s lost: %s of what is in use.", pm_format_things(lost->chunks, "chunk").text,
            pm_format_bytes(lost->chunk_bytes).text,
            leaks->certain ? (lost->chunks == 1 ? "is" : "are") : "may be",
            pm_format_share(pm_share(lost->chunk_bytes, leaks->used.chunk_bytes)).text);
    pm_sink_emphasise(sink, answer);
    pm_output_char(sink->output, '\n');
    if (subject->uptime_seconds == 0 || lost->chunks == 0)
        return;
    double bytes = pm_per_hour(lost->chunk_bytes, subject->uptime_seconds);
    pm_sink_line(sink, "That is %s chunks and %s an hour.",
                 pm_format_rate(pm_per_hour(lost->chunks, subject->uptime_seconds)).text,
                 pm_format_bytes((guint64)(bytes + 0.5)).text);
}

static void
print_missing(const PmSink *sink, const PmLeaks *leaks)
{
    static const PmColumn columns[] = {
        {"MISSING ROOT", FALSE}, {"START", FALSE}, {"MISSING", TRUE}, {"OF", FALSE}};
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    guint64 shown = pm_sink_rows(sink->top, leaks->missing_count);
    for (gsize i = 0; i < shown; i++) {
        const PmRoot *root = leaks->missing[i].root;
        g_autofree char *of = NULL;
        if (root->module != NULL)
            of = pm_sanitise_short(root->module->path, sink->utf8, MODULE_COLUMNS);
        else if (root->tid != 0)
            of = g_strdup_printf("thread %u", root->tid);
        pm_table_add_row(table);
        pm_table_add_cell(table, pm_root_kind_name(root->kind));
        pm_table_add_cell(table, pm_format_address(root->range.start).text);
        pm_table_add_cell(table, pm_format_bytes(leaks->missing[i].missing_bytes).text);
        pm_table_add_cell(table, of);
    }
    pm_table_print(table, 2);
    if (shown < leaks->missing_count)
        pm_sink_line(sink, "  %s: --top 0",
                     pm_format_more(leaks->missing_count - shown, "root").text);
}

/* How much of what could hold a reference was seen; without it "lost" means little. */
static void
print_coverage(const PmSink *sink, const PmLeaks *leaks)
{
    const PmRootCoverage *coverage = &leaks->result->coverage;
    GString *text = g_string_new(NULL);
    if (coverage->wanted_bytes == 0)
        g_string_append(text, "The core has no memory outside the heap that can hold references.");
    else if (coverage->present_bytes == coverage->wanted_bytes)
        g_string_append_printf(text,
                               "The core has all %s outside the heap that can hold references.",
                               pm_format_bytes(coverage->wanted_bytes).text);
    else
        g_string_append_printf(
            text,
            "The core has %s of the memory outside the heap that can hold references, %s of %s.",
            pm_format_share(pm_coverage_share(coverage)).text,
            pm_format_bytes(coverage->present_bytes).text,
            pm_format_bytes(coverage->wanted_bytes).text);
    if (coverage->never_written_bytes > 0)
        g_string_append_printf(text, " %s more were never written.",
                               pm_format_bytes(coverage->never_written_bytes).text);
    if (leaks->missing_heap_bytes > 0)
        g_string_append_printf(text, " Of the heap itself %s are missing.",
                               pm_format_bytes(leaks->missing_heap_bytes).text);
    if (leaks->blind_threads > 0)
        g_string_append_printf(text, " It lacks the registers of %s.",
                               pm_format_things(leaks->blind_threads, "thread").text);
    if (!leaks->certain)
        g_string_append(text, " A reference to a lost chunk may stand in what is missing: no lost "
                              "chunk is certain.");
    pm_sink_paragraph(sink, "", 0, text->str);
    g_string_free(text, TRUE);
    if (leaks->missing_count > 0 && (!leaks->certain || sink->verbose))
        print_missing(sink, leaks);
}

static void
print_classes(const PmSink *sink, const PmLeaks *leaks)
{
    static const PmColumn columns[] = {
        {"CLASS", FALSE}, {"CHUNKS", TRUE}, {"BYTES", TRUE}, {"SHARE", TRUE}, {"", FALSE}};
    const PmReachResult *result = leaks->result;
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    for (guint i = 0; i <= PM_REACH_CLASSES; i++) {
        const PmReachSum *sum = i == PM_REACH_NONE ? &leaks->runtime : &result->classes[i];
        double share = pm_share(sum->chunk_bytes, leaks->used.chunk_bytes);
        pm_table_add_row(table);
        pm_table_add_cell(table, i == PM_REACH_NONE ? pm_chunk_state_name(PM_CHUNK_RUNTIME)
                                                    : pm_reach_class_name((PmReachClass)i));
        pm_table_add_cell(table, pm_format_count(sum->chunks).text);
        pm_table_add_cell(table, pm_format_bytes(sum->chunk_bytes).text);
        pm_table_add_cell(table, pm_format_share(share).text);
        pm_table_add_cell(table, pm_reach_describe((PmReachClass)i));
    }
    pm_output_char(sink->output, '\n');
    pm_table_print(table, 2);
    if (result->stack_only.chunks > 0)
        pm_sink_line(sink, "  %s (%s) of these %s held only by a stack slot, which may be stale",
                     pm_format_things(result->stack_only.chunks, "reachable chunk").text,
                     pm_format_bytes(result->stack_only.chunk_bytes).text,
                     result->stack_only.chunks == 1 ? "is" : "are");
}

static void
add_group_cells(PmTable *table, const PmSink *sink, const PmLeaks *leaks, gsize index)
{
    const PmLeakGroup *row = &leaks->groups[index];
    const PmLostGroup *group = row->group;
    gboolean shared = group->chunk_bytes == 0;
    g_autofree char *range =
        shared ? NULL
               : g_strdup_printf("%" G_GUINT64_FORMAT "%s%" G_GUINT64_FORMAT, row->requests.min,
                                 pm_sink_dash(sink), row->requests.max);
    pm_table_add_row(table);
    pm_table_add_cell(table, pm_format_count(index + 1).text);
    pm_table_add_cell(table, shared ? "shared" : pm_format_address(group->chunk_bytes).text);
    pm_table_add_cell(table, range);
    pm_table_add_cell(table, shared ? NULL : pm_format_count(group->roots).text);
    pm_table_add_cell(table, shared ? NULL : pm_format_count(group->cycles).text);
    pm_table_add_cell(table, pm_format_count(group->lost_chunks).text);
    pm_table_add_cell(table, pm_format_bytes(group->lost_bytes).text);
    pm_table_add_cell(
        table, pm_format_share(pm_share(group->lost_bytes, leaks->result->lost.chunk_bytes)).text);
}

/* The example's address and a line of its contents: the first one that is not all zeros. */
static char *
describe_example(const PmLeakGroup *row)
{
    gsize at = 0;
    while (at < row->content_bytes && row->contents[at] == 0)
        at++;
    at = at < row->content_bytes ? at - at % PM_HEX_LINE_BYTES : 0;
    g_autofree char *hex = pm_format_hex_line(row->contents + at, row->content_bytes - at);
    return g_strdup_printf("%s  %s", pm_reach_format_place(row->group->example, at).text,
                           row->content_bytes == 0 ? "its contents are not in the core" : hex);
}

static void
print_groups(const PmSink *sink, const PmSubject *subject, const PmLeaks *leaks)
{
    static const PmColumn columns[] = {{"", TRUE},      {"CHUNK", TRUE}, {"REQUESTS", TRUE},
                                       {"ROOTS", TRUE}, {"RINGS", TRUE}, {"LOST CHUNKS", TRUE},
                                       {"BYTES", TRUE}, {"SHARE", TRUE}, {"PER HOUR", TRUE}};
    gboolean rates = subject->uptime_seconds > 0;
    guint column_count = (guint)G_N_ELEMENTS(columns) - (rates ? 0 : 1);
    guint64 shown = pm_sink_rows(sink->top, leaks->group_count);
    g_autoptr(PmTable) table = pm_table_new(sink, columns, column_count);
    for (gsize i = 0; i < shown; i++) {
        const PmLeakGroup *row = &leaks->groups[i];
        add_group_cells(table, sink, leaks, i);
        if (rates) {
            double rate = pm_per_hour(row->group->lost_chunks, subject->uptime_seconds);
            pm_table_add_cell(table, pm_format_rate(rate).text);
        }
        g_autofree char *name = pm_named_describe(row->naming, row->row);
        g_autofree char *note = describe_example(row);
        if (name != NULL) {
            g_autofree char *line = pm_sanitise_short(name, sink->utf8, NAME_COLUMNS);
            pm_table_add_note(table, 4, line);
        }
        pm_table_add_note(table, 4, note);
    }
    pm_sink_heading(sink, "WHAT IS LOST, BY THE CHUNK SIZE AND TYPE OF ITS ROOTS");
    pm_table_print(table, 2);
    for (gsize i = 0; i < shown; i++) {
        if (leaks->groups[i].group->chunk_bytes == 0)
            pm_sink_line(sink, "  shared: roots of more than one group lead to these");
    }
    guint64 rest = 0;
    for (gsize i = shown; i < leaks->group_count; i++)
        rest += leaks->groups[i].group->lost_bytes;
    if (shown < leaks->group_count)
        pm_sink_line(sink, "  %s %s the other %s: postmalloc leaks %s --top 0",
                     pm_format_more(leaks->group_count - shown, "group").text,
                     pm_format_hold(leaks->group_count - shown), pm_format_bytes(rest).text,
                     sink->again);
}

static void
print_next(const PmSink *sink, const PmLeaks *leaks)
{
    pm_sink_heading(sink, "NEXT");
    if (leaks->group_count == 0) {
        pm_sink_line(sink, "  postmalloc sizes %s", sink->again);
        return;
    }
    const PmLostGroup *first = leaks->groups[0].group;
    if (first->chunk_bytes == 0)
        pm_sink_line(sink, "  postmalloc chunks %s --reach lost", sink->again);
    else
        pm_sink_line(sink, "  postmalloc chunks %s --reach lost --chunk-size %s", sink->again,
                     pm_format_address(first->chunk_bytes).text);
    if (first->chunk_bytes != 0)
        pm_sink_line(sink, "  postmalloc schema %s --chunk-size %s --reach lost", sink->again,
                     pm_format_address(first->chunk_bytes).text);
    pm_sink_line(sink, "  postmalloc show %s %s", sink->again,
                 pm_format_address(first->example).text);
    pm_sink_line(sink, "  postmalloc refs %s %s", sink->again,
                 pm_format_address(first->example).text);
    if (leaks->twin != PM_ADDR_NONE)
        pm_sink_line(sink, "  postmalloc path %s %s   # a chunk of this size that is still held",
                     sink->again, pm_format_address(leaks->twin).text);
}

void
pm_report_leaks(const PmSink *sink, const PmSubject *subject, const PmLeaks *leaks,
                const guint64 *limit_bytes)
{
    if (sink->json != NULL) {
        write_json(sink, subject, leaks, limit_bytes);
        return;
    }
    print_answer(sink, subject, leaks);
    print_coverage(sink, leaks);
    if (limit_bytes != NULL && leaks->result->lost.chunk_bytes > *limit_bytes)
        pm_sink_line(sink, "More than the limit of %s is lost.",
                     pm_format_bytes(*limit_bytes).text);
    print_classes(sink, leaks);
    if (leaks->group_count > 0)
        print_groups(sink, subject, leaks);
    print_next(sink, leaks);
}
