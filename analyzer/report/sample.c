/*
 * sample: chunks, their bytes and what each word is, as text and JSON.
 */
#include "report/sample.h"

#include "report/words.h"

/* What is shown of each chunk. */
#define TEXT_BYTES 256
#define JSON_BYTES 4096

/* The head of one chunk. @readable: how many of @wanted bytes the core has. */
typedef struct {
    guint8 bytes[JSON_BYTES];
    gsize wanted;
    gsize readable;
    PmBytesKind missing; /* why the others are not */
} Head;

static void
read_head(const PmSubject *subject, const PmChunk *chunk, gsize limit, Head *head)
{
    const PmSpace *space = pm_process_get_space(subject->process);
    head->wanted = (gsize)MIN(chunk->usable_bytes, limit);
    head->readable = 0;
    while (head->readable < head->wanted) {
        PmSpan span;
        pm_space_get_span(space, chunk->address + head->readable, &span);
        const gsize count = (gsize)MIN(span.length_bytes, head->wanted - head->readable);
        head->missing = span.kind;
        if ((span.bytes == NULL && !span.hole) ||
            !pm_space_read(space, chunk->address + head->readable, head->bytes + head->readable,
                           count))
            return;
        head->readable += count;
    }
}

static void
write_bytes(PmJson *json, const Head *head)
{
    GString *hex = g_string_sized_new(2 * head->readable);
    GString *text = g_string_sized_new(head->readable);
    for (gsize i = 0; i < head->readable; i++) {
        const gchar byte = (gchar)head->bytes[i];
        g_string_append_printf(hex, "%02x", head->bytes[i]);
        g_string_append_c(text, g_ascii_isprint(byte) ? byte : '.');
    }
    pm_json_string(json, "hex", hex->str);
    pm_json_string(json, "text", text->str);
    g_string_free(hex, TRUE);
    g_string_free(text, TRUE);
}

static void
write_chunk(const PmSink *sink, PmDescriber *describer, const PmChunk *chunk)
{
    PmJson *json = sink->json;
    const PmSubject *subject = pm_describer_get_subject(describer);
    g_autofree Head *head = g_new(Head, 1);
    g_autofree char *type = pm_describer_get_type(describer, chunk);
    const PmVtable *vtable = pm_describer_get_vtable(describer, chunk);
    gsize arena_count = 0;
    const PmArena *arenas = pm_ptmalloc_get_arenas(subject->ptmalloc, &arena_count);

    read_head(subject, chunk, JSON_BYTES, head);
    pm_json_begin_object(json, NULL);
    pm_json_address(json, "address", chunk->address);
    pm_json_uint(json, "chunk_bytes", chunk->chunk_bytes);
    pm_json_uint(json, "usable_bytes", chunk->usable_bytes);
    pm_json_string(json, "state", pm_chunk_state_name(chunk->state));
    pm_json_address(json, "arena",
                    chunk->arena < arena_count ? arenas[chunk->arena].address : PM_ADDR_NONE);
    pm_json_bool(json, "mmapped", chunk->mmapped);
    pm_json_string(json, "reach", pm_reach_class_name(pm_describer_get_class(describer, chunk)));
    pm_json_string(json, "type", type);
    pm_json_string(json, "vtable_class", vtable != NULL ? vtable->class_name : NULL);
    if (vtable != NULL)
        pm_json_string(json, "vtable_use", pm_vtable_use_name(vtable->use));
    write_bytes(json, head);
    if (chunk->usable_bytes > head->readable)
        pm_json_uint(json, "bytes_omitted", chunk->usable_bytes - head->readable);
    if (head->readable < head->wanted)
        pm_json_string(json, "bytes_missing", pm_bytes_kind_name(head->missing));
    pm_words_write(sink, describer, &(PmWords){.bytes = head->bytes, .count = head->readable});
    pm_json_end_object(json);
}

static void
write_json(const PmSink *sink, PmDescriber *describer, const PmSample *sample, guint64 seed)
{
    PmJson *json = sink->json;
    pm_sink_begin(sink, pm_describer_get_subject(describer));
    pm_json_uint(json, "population", sample->population);
    pm_json_uint(json, "seed", seed);
    pm_json_begin_array(json, "chunks");
    for (gsize i = 0; i < sample->count; i++)
        write_chunk(sink, describer, &sample->chunks[i]);
    pm_json_end_array(json);
    pm_sink_end(sink);
}

/* "32 bytes, used, reachable, app::Circle" */
static void
print_heading(const PmSink *sink, PmDescriber *describer, const PmChunk *chunk)
{
    const char *reach = pm_reach_class_name(pm_describer_get_class(describer, chunk));
    const PmSubject *subject = pm_describer_get_subject(describer);
    const char *runtime = chunk->state == PM_CHUNK_RUNTIME
                              ? pm_chunks_find_runtime(subject->ptmalloc, chunk->address)
                              : NULL;
    g_autofree char *type = pm_describer_get_type(describer, chunk);
    g_autofree char *safe =
        pm_sanitise_short(type != NULL ? type : runtime, sink->utf8, PM_SINK_COLUMNS - 60);
    g_autofree char *line = g_strdup_printf(
        "%s  %s bytes, %s%s%s%s%s%s", pm_format_address(chunk->address).text,
        pm_format_count(chunk->chunk_bytes).text, pm_chunk_state_name(chunk->state),
        chunk->mmapped ? ", mmapped" : "", reach != NULL ? ", " : "", reach != NULL ? reach : "",
        safe != NULL ? ", " : "", safe != NULL ? safe : "");
    pm_output_char(sink->output, '\n');
    pm_sink_emphasise(sink, line);
    pm_output_char(sink->output, '\n');
}

static void
print_chunk(const PmSink *sink, PmDescriber *describer, const PmChunk *chunk)
{
    g_autofree Head *head = g_new(Head, 1);
    read_head(pm_describer_get_subject(describer), chunk, TEXT_BYTES, head);
    print_heading(sink, describer, chunk);
    pm_words_print(sink, describer, &(PmWords){.bytes = head->bytes, .count = head->readable});
    if (head->readable < head->wanted)
        pm_sink_line(sink, "  from +0x%" G_GSIZE_MODIFIER "x on it is not in the core (%s)",
                     head->readable, pm_bytes_kind_name(head->missing));
    else if (chunk->usable_bytes > head->wanted)
        pm_sink_line(sink, "  %s not shown: --format json has %s",
                     pm_format_more(chunk->usable_bytes - head->wanted, "byte").text,
                     pm_format_bytes(JSON_BYTES).text);
}

void
pm_report_sample(const PmSink *sink, PmDescriber *describer, const PmChunkFilter *filter,
                 const PmSample *sample, guint64 seed)
{
    if (sink->json != NULL) {
        write_json(sink, describer, sample, seed);
        return;
    }
    if (sample->count == 0) {
        pm_sink_line(sink, "no chunk passes the filter");
        return;
    }
    if (sample->is_whole)
        pm_sink_line(sink, "%s, all there are", pm_format_things(sample->count, "chunk").text);
    else
        pm_sink_line(sink, "%s of %s, chosen evenly; --count N shows more of them, --seed N others",
                     pm_format_count(sample->count).text,
                     pm_format_things(sample->population, "chunk").text);
    if ((filter->states & ~(1u << PM_CHUNK_USED | 1u << PM_CHUNK_RUNTIME)) != 0)
        pm_sink_line(sink, "What free chunks hold is what their last owner and malloc left there.");
    for (gsize i = 0; i < sample->count; i++)
        print_chunk(sink, describer, &sample->chunks[i]);
}
