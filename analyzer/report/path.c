/*
 * path: the chain from a root to a chunk as text and JSON. A list of millions of nodes is a chain
 * of millions of steps, so they go out one by one.
 *
 * N references make N + 1 steps: the root, and the chunk that each of them leads to. A step's
 * offset is that of the word that leads on.
 */
#include "report/path.h"

#include "report/reach.h"

static const PmReference *
get_step(const PmPath *path, guint index)
{
    return &g_array_index(path->steps, PmReference, index);
}

static void
write_root(PmJson *json, const PmReferenceEnds *ends)
{
    const PmReference *reference = ends->reference;
    const PmRoot *root = reference->root;
    pm_json_begin_object(json, NULL);
    pm_json_string(json, "kind", pm_root_kind_name(root->kind));
    pm_json_address(json, "address",
                    root->kind == PM_ROOT_REGISTERS ? PM_ADDR_NONE : reference->from);
    pm_json_uint(json, "offset", ends->symbol_offset_bytes);
    pm_json_string(json, "symbol", ends->symbol);
    pm_json_string(json, "label", ends->label);
    if (root->tid == 0)
        pm_json_null(json, "thread");
    else
        pm_json_uint(json, "thread", root->tid);
    pm_json_bool(json, "weak", root->weak);
    pm_json_end_object(json);
}

/* The chunk that the reference at @index leads to. */
static void
write_chunk(PmJson *json, const PmPath *path, guint index, const PmReferenceEnds *ends)
{
    const PmReference *reference = ends->reference;
    pm_json_begin_object(json, NULL);
    pm_json_string(json, "kind", "chunk");
    pm_json_address(json, "address", reference->to);
    if (index + 1 < path->steps->len)
        pm_json_uint(json, "offset", get_step(path, index + 1)->offset_bytes);
    else
        pm_json_null(json, "offset");
    pm_json_null(json, "symbol");
    pm_json_string(json, "edge", reference->kind == PM_EDGE_START ? "start" : "interior");
    pm_json_uint(json, "to_offset", reference->to_offset_bytes);
    pm_json_uint(json, "chunk_bytes", ends->to.chunk_bytes);
    pm_json_string(json, "state", pm_chunk_state_name(ends->to.state));
    pm_json_string(json, "reach", pm_reach_class_name(ends->to_class));
    pm_json_end_object(json);
}

static void
write_json(const PmSink *sink, const PmSubject *subject, const PmReach *reach, const PmPath *path)
{
    guint64 count = path->steps->len == 0 ? 0 : (guint64)path->steps->len + 1;
    guint64 shown = pm_sink_rows(sink->limit, count);
    pm_sink_begin(sink, subject);
    pm_reach_write_held(sink->json, &path->held);
    pm_json_begin_array(sink->json, "steps");
    for (guint i = 0; i < path->steps->len && i < shown; i++) {
        PmReferenceEnds ends;
        pm_reference_ends_init(&ends, subject, reach, get_step(path, i));
        if (i == 0)
            write_root(sink->json, &ends);
        if (i + 1 < shown)
            write_chunk(sink->json, path, i, &ends);
        pm_reference_ends_clear(&ends);
    }
    pm_json_end_array(sink->json);
    pm_sink_json_omitted(sink, "steps", count - shown);
    pm_sink_end(sink);
}

/* Without a root there is no path; what there is instead is the answer. */
static void
print_nothing(const PmSink *sink, const PmHeldChunk *held)
{
    pm_reach_print_verdict(sink, held);
    pm_sink_line(sink, "\nno root leads to it");
    if (held->reach_class != PM_REACH_LEAK_ROOT)
        pm_sink_line(sink, "what refers to it: postmalloc refs %s %s", sink->again,
                     pm_format_address(held->chunk.address).text);
}

static void
print_root(const PmSink *sink, const PmReferenceEnds *ends)
{
    const PmRoot *root = ends->reference->root;
    g_autofree char *safe = pm_sanitise(ends->label, sink->utf8);
    pm_output_printf(sink->output, "  %s%s", safe, root->weak ? "  (a weak root)" : "");
    if (root->kind != PM_ROOT_REGISTERS)
        pm_output_printf(sink->output, "  at %s", pm_format_address(ends->reference->from).text);
    pm_output_char(sink->output, '\n');
}

static void
print_chunk(const PmSink *sink, const PmPath *path, guint index, const PmReferenceEnds *ends)
{
    const PmReference *reference = ends->reference;
    g_autofree char *chunk = pm_reach_describe_chunk(&ends->to, ends->to_class);
    g_autofree char *onward = index + 1 == path->steps->len
                                  ? g_strdup("")
                                  : g_strdup_printf(", onward at + 0x%" G_GINT64_MODIFIER "x",
                                                    get_step(path, index + 1)->offset_bytes);
    pm_sink_line(sink, "  %s %s  %s%s", sink->utf8 ? "→" : "->",
                 pm_reach_format_place(reference->to, reference->to_offset_bytes).text, chunk,
                 onward);
}

/* Both ends of a chain that is longer than --limit: the root and the chunk asked for are there. */
static void
print_steps(const PmSink *sink, const PmSubject *subject, const PmReach *reach, const PmPath *path)
{
    guint count = path->steps->len;
    guint64 shown = pm_sink_rows(sink->limit, count);
    guint64 head = shown < count ? (shown + 1) / 2 : count;
    for (guint i = 0; i < count; i++) {
        PmReferenceEnds ends;
        if (i == head) {
            i = (guint)(count - (shown - head));
            pm_sink_line(sink, "  ... %s: --limit 0", pm_format_more(count - shown, "chunk").text);
            if (i == count)
                break;
        }
        pm_reference_ends_init(&ends, subject, reach, get_step(path, i));
        if (i == 0)
            print_root(sink, &ends);
        print_chunk(sink, path, i, &ends);
        pm_reference_ends_clear(&ends);
    }
}

void
pm_report_path(const PmSink *sink, const PmSubject *subject, const PmReach *reach,
               const PmPath *path)
{
    if (sink->json != NULL) {
        write_json(sink, subject, reach, path);
        return;
    }
    pm_reach_print_held(sink, &path->held);
    if (path->steps->len == 0) {
        print_nothing(sink, &path->held);
        return;
    }
    pm_reach_print_verdict(sink, &path->held);
    pm_output_char(sink->output, '\n');
    print_steps(sink, subject, reach, path);
}
