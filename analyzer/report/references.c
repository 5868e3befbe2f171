/*
 * refs: references to and from one chunk as text and JSON. Rows go out as they are looked up.
 */
#include "report/references.h"

#include "report/reach.h"

#define INTO_COLUMNS 12
#define KIND_COLUMNS 10

static const char *
edge_name(PmEdgeKind kind)
{
    return kind == PM_EDGE_START ? "start" : "interior";
}

char *
pm_reference_describe_source(const PmReferenceEnds *ends)
{
    const PmReference *reference = ends->reference;
    if (reference->root != NULL)
        return g_strdup(ends->label);
    g_autofree char *chunk = pm_reach_describe_chunk(&ends->from, ends->from_class);
    return g_strdup_printf(
        "%s  %s", pm_reach_format_place(reference->from_chunk, reference->offset_bytes).text,
        chunk);
}

static void
write_thread(PmJson *json, const PmRoot *root)
{
    if (root == NULL || root->tid == 0)
        pm_json_null(json, "thread");
    else
        pm_json_uint(json, "thread", root->tid);
}

static void
write_incoming(PmJson *json, const PmReferenceEnds *ends)
{
    const PmReference *reference = ends->reference;
    const PmRoot *root = reference->root;
    pm_json_begin_object(json, NULL);
    if (root == NULL)
        pm_json_address(json, "from", reference->from_chunk);
    else
        pm_json_address(json, "from",
                        root->kind == PM_ROOT_REGISTERS ? PM_ADDR_NONE : reference->from);
    pm_json_string(json, "kind", edge_name(reference->kind));
    pm_json_uint(json, "offset",
                 root == NULL ? reference->offset_bytes : ends->symbol_offset_bytes);
    pm_json_string(json, "symbol", ends->symbol);
    write_thread(json, root);
    pm_json_string(json, "root", root == NULL ? NULL : pm_root_kind_name(root->kind));
    pm_json_bool(json, "weak", root != NULL && root->weak);
    pm_json_string(json, "label", ends->label);
    if (root == NULL) {
        pm_json_uint(json, "chunk_bytes", ends->from.chunk_bytes);
        pm_json_string(json, "state", pm_chunk_state_name(ends->from.state));
        pm_json_string(json, "reach", pm_reach_class_name(ends->from_class));
    }
    pm_json_uint(json, "to_offset", reference->to_offset_bytes);
    pm_json_end_object(json);
}

void
pm_references_write_incoming(const PmSink *sink, const char *key, const PmSubject *subject,
                             const PmReach *reach, const PmReferences *references)
{
    pm_json_begin_array(sink->json, key);
    for (guint i = 0; i < references->incoming->len; i++) {
        PmReferenceEnds ends;
        pm_reference_ends_init(&ends, subject, reach,
                               &g_array_index(references->incoming, PmReference, i));
        write_incoming(sink->json, &ends);
        pm_reference_ends_clear(&ends);
    }
    pm_json_end_array(sink->json);
    pm_sink_json_omitted(sink, key, references->incoming_omitted);
}

static void
write_outgoing(PmJson *json, const PmReferenceEnds *ends)
{
    const PmReference *reference = ends->reference;
    pm_json_begin_object(json, NULL);
    pm_json_uint(json, "offset", reference->offset_bytes);
    pm_json_address(json, "to", reference->to);
    pm_json_string(json, "kind", edge_name(reference->kind));
    pm_json_uint(json, "to_offset", reference->to_offset_bytes);
    pm_json_uint(json, "chunk_bytes", ends->to.chunk_bytes);
    pm_json_string(json, "state", pm_chunk_state_name(ends->to.state));
    pm_json_string(json, "reach", pm_reach_class_name(ends->to_class));
    pm_json_end_object(json);
}

static void
write_json(const PmSink *sink, const PmSubject *subject, const PmReach *reach,
           const PmReferences *references)
{
    guint count = references->outgoing->len;
    guint64 shown = pm_sink_rows(sink->limit, count);
    pm_sink_begin(sink, subject);
    pm_reach_write_held(sink->json, &references->held);
    pm_references_write_incoming(sink, "incoming", subject, reach, references);
    pm_json_begin_array(sink->json, "outgoing");
    for (guint i = 0; i < shown; i++) {
        PmReferenceEnds ends;
        pm_reference_ends_init(&ends, subject, reach,
                               &g_array_index(references->outgoing, PmReference, i));
        write_outgoing(sink->json, &ends);
        pm_reference_ends_clear(&ends);
    }
    pm_json_end_array(sink->json);
    pm_sink_json_omitted(sink, "outgoing", count - shown);
    pm_sink_end(sink);
}

static void
print_incoming_row(const PmSink *sink, const PmReferenceEnds *ends)
{
    const PmReference *reference = ends->reference;
    g_autofree char *source = pm_reference_describe_source(ends);
    g_autofree char *safe = pm_sanitise(source, sink->utf8);
    g_autofree char *into =
        g_strdup_printf("+ 0x%" G_GINT64_MODIFIER "x", reference->to_offset_bytes);
    pm_output_append(sink->output, "  ", 2);
    pm_output_cell(sink->output, edge_name(reference->kind), KIND_COLUMNS, FALSE);
    pm_output_cell(sink->output, into, INTO_COLUMNS, FALSE);
    pm_output_string(sink->output, safe);
    pm_output_char(sink->output, '\n');
}

/* The roots first, then the chunks, as they come. */
static void
print_incoming(const PmSink *sink, const PmSubject *subject, const PmReach *reach,
               const PmReferences *references)
{
    guint count = references->incoming->len;
    guint64 total = count + references->incoming_omitted;
    gboolean in_roots = FALSE;
    gboolean in_chunks = FALSE;
    if (total == 0) {
        /* A leak root's verdict says it already. */
        if (references->held.reach_class != PM_REACH_LEAK_ROOT)
            pm_sink_line(sink, "\nnothing refers to it");
        return;
    }
    g_autofree char *heading =
        g_strdup_printf("INCOMING: %s", pm_format_things(total, "reference").text);
    pm_sink_heading(sink, heading);
    for (guint i = 0; i < count; i++) {
        const PmReference *reference = &g_array_index(references->incoming, PmReference, i);
        gboolean *group = reference->root == NULL ? &in_chunks : &in_roots;
        PmReferenceEnds ends;
        if (!*group)
            pm_sink_line(sink, "  KIND      INTO        %s",
                         reference->root == NULL ? "FROM A CHUNK" : "FROM A ROOT");
        *group = TRUE;
        pm_reference_ends_init(&ends, subject, reach, reference);
        print_incoming_row(sink, &ends);
        pm_reference_ends_clear(&ends);
    }
    if (references->incoming_omitted > 0)
        pm_sink_line(sink, "  %s: --limit 0",
                     pm_format_more(references->incoming_omitted, "reference").text);
}

static void
print_outgoing_row(const PmSink *sink, const PmReferenceEnds *ends)
{
    const PmReference *reference = ends->reference;
    g_autofree char *at = g_strdup_printf("+ 0x%" G_GINT64_MODIFIER "x", reference->offset_bytes);
    g_autofree char *chunk = pm_reach_describe_chunk(&ends->to, ends->to_class);
    pm_sink_line(sink, "  %-*s%-*s%s  %s", KIND_COLUMNS, edge_name(reference->kind), INTO_COLUMNS,
                 at, pm_reach_format_place(reference->to, reference->to_offset_bytes).text, chunk);
}

static void
print_outgoing(const PmSink *sink, const PmSubject *subject, const PmReach *reach,
               const PmReferences *references)
{
    guint count = references->outgoing->len;
    guint64 shown = pm_sink_rows(sink->limit, count);
    if (count == 0) {
        pm_sink_line(sink, "\nit refers to no other chunk in use");
        return;
    }
    g_autofree char *heading =
        g_strdup_printf("OUTGOING: %s", pm_format_things(count, "reference").text);
    pm_sink_heading(sink, heading);
    pm_sink_line(sink, "  KIND      FROM        TO");
    for (guint i = 0; i < shown; i++) {
        PmReferenceEnds ends;
        pm_reference_ends_init(&ends, subject, reach,
                               &g_array_index(references->outgoing, PmReference, i));
        print_outgoing_row(sink, &ends);
        pm_reference_ends_clear(&ends);
    }
    if (shown < count)
        pm_sink_line(sink, "  %s: --limit 0", pm_format_more(count - shown, "reference").text);
}

void
pm_report_references(const PmSink *sink, const PmSubject *subject, const PmReach *reach,
                     const PmReferences *references)
{
    if (sink->json != NULL) {
        write_json(sink, subject, reach, references);
        return;
    }
    pm_reach_print_held(sink, &references->held);
    pm_reach_print_verdict(sink, &references->held);
    print_incoming(sink, subject, reach, references);
    print_outgoing(sink, subject, reach, references);
}
