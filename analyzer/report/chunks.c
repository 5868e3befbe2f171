/*
 * chunks: rows as they come, without memory for any of them.
 */
#include "report/chunks.h"

#include "report/naming.h"

/* Columns of the class, the longest name and a gap. */
#define REACH_COLUMNS 20
/* What is left of a line for the type. */
#define TYPE_COLUMNS 26

static void
write_type(PmJson *json, const PmChunkTypes *types, const PmChunk *chunk, const PmTyped *typed)
{
    pm_typed_write_json(json, typed);
    if (types->paths && types->typing != NULL) {
        g_autofree char *path = pm_typing_describe_path(types->typing, chunk);
        pm_json_string(json, "path", path);
    }
}

static void
write_row(PmJson *json, const PmChunkTypes *types, const PmChunk *chunk, const char *reach_name,
          const PmArena *arena, const PmTyped *typed)
{
    pm_json_begin_object(json, NULL);
    pm_json_address(json, "address", chunk->address);
    pm_json_uint(json, "chunk_bytes", chunk->chunk_bytes);
    pm_json_string(json, "state", pm_chunk_state_name(chunk->state));
    pm_json_address(json, "arena", arena == NULL ? PM_ADDR_NONE : arena->address);
    pm_json_bool(json, "mmapped", chunk->mmapped);
    pm_json_string(json, "reach", reach_name);
    write_type(json, types, chunk, typed);
    pm_json_end_object(json);
}

/* @reach: NULL where there is no column for the class. */
static void
print_row(const PmSink *sink, const PmSubject *subject, const PmReach *reach, const PmChunk *chunk,
          const PmArena *arena, const PmTyped *typed)
{
    PmOutput *output = sink->output;
    pm_output_cell(output, pm_format_address(chunk->address).text, 20, FALSE);
    pm_output_cell(output, pm_format_count(chunk->chunk_bytes).text, 14, TRUE);
    pm_output_append(output, "  ", 2);
    pm_output_cell(output, pm_chunk_state_name(chunk->state), 9, FALSE);
    if (reach != NULL) {
        const char *name = pm_reach_class_name(pm_reach_get_class(reach, chunk));
        pm_output_cell(output, name == NULL ? "-" : name, REACH_COLUMNS, FALSE);
    }
    if (arena == NULL)
        pm_output_string(output, chunk->mmapped ? "mmapped" : "-");
    else if (arena->kind == PM_ARENA_MAIN)
        pm_output_string(output, "main");
    else
        pm_output_hex(output, arena->address);
    const char *runtime = chunk->state == PM_CHUNK_RUNTIME
                              ? pm_chunks_find_runtime(subject->ptmalloc, chunk->address)
                              : NULL;
    const char *name = runtime != NULL ? runtime : typed->name;
    if (name != NULL) {
        g_autofree char *safe = pm_sanitise_short(name, sink->utf8, TYPE_COLUMNS);
        pm_output_append(output, "  ", 2);
        pm_output_string(output, safe);
    }
    pm_output_char(output, '\n');
}

/*
 * Streams the rows.
 *
 * Returns: how many chunks passed the filter; all are counted even where only some are shown.
 */
static guint64
stream_rows(const PmSink *sink, const PmSubject *subject, const PmReach *reach,
            const PmChunkTypes *types, const PmChunkFilter *filter)
{
    gsize arena_count = 0;
    const PmArena *arenas = pm_ptmalloc_get_arenas(subject->ptmalloc, &arena_count);
    const guint64 limit = sink->limit == 0 ? G_MAXUINT64 : sink->limit;
    guint64 count = 0;
    PmChunkWalk walk;
    PmChunk chunk;
    pm_chunk_walk_init(&walk, subject, reach, filter);
    while (pm_chunk_walk_next(&walk, &chunk)) {
        PmTyped typed = {.by = PM_TYPED_NOT};
        if (types->typing != NULL && (types->only != NULL || count < limit))
            pm_typing_get(types->typing, &chunk, &typed);
        if (types->only != NULL && !pm_typed_is(&typed, types->only))
            continue;
        count++;
        if (count > limit)
            continue;
        /* Nobody reads on a full disk: stop instead of walking on. */
        if (G_UNLIKELY(sink->output->error != 0))
            break;
        const PmArena *arena = chunk.arena < arena_count ? &arenas[chunk.arena] : NULL;
        if (sink->json == NULL)
            print_row(sink, subject, reach, &chunk, arena, &typed);
        else
            write_row(sink->json, types, &chunk,
                      reach == NULL ? NULL : pm_reach_class_name(pm_reach_get_class(reach, &chunk)),
                      arena, &typed);
    }
    return count;
}

static void
print_text(const PmSink *sink, const PmSubject *subject, const PmReach *reach,
           const PmChunkTypes *types, const PmChunkFilter *filter)
{
    pm_sink_emphasise(
        sink, reach == NULL
                  ? "ADDRESS                CHUNK BYTES  STATE    ARENA  TYPE"
                  : "ADDRESS                CHUNK BYTES  STATE    REACH               ARENA  TYPE");
    pm_output_char(sink->output, '\n');
    guint64 count = stream_rows(sink, subject, reach, types, filter);
    guint64 shown = pm_sink_rows(sink->limit, count);
    if (count == 0)
        pm_sink_line(sink, "no chunk passes the filter");
    else if (shown < count)
        pm_sink_line(sink, "\n%s of %s shown; --limit 0 shows all", pm_format_count(shown).text,
                     pm_format_things(count, "chunk").text);
    else
        pm_sink_line(sink, "\n%s", pm_format_things(count, "chunk").text);
}

void
pm_report_chunks(const PmSink *sink, const PmSubject *subject, const PmReach *reach,
                 const PmChunkTypes *types, const PmChunkFilter *filter)
{
    if (sink->json == NULL) {
        print_text(sink, subject, reach, types, filter);
        return;
    }
    pm_sink_begin(sink, subject);
    pm_json_begin_array(sink->json, "chunks");
    guint64 count = stream_rows(sink, subject, reach, types, filter);
    pm_json_end_array(sink->json);
    pm_sink_json_omitted(sink, "chunks", count - pm_sink_rows(sink->limit, count));
    pm_sink_end(sink);
}
