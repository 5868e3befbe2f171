/*
 * Classes and chunks in words; see reach.h.
 */
#include "report/reach.h"

#include <string.h>

const char *
pm_reach_describe(PmReachClass reach_class)
{
    static const char *const texts[] = {
        "references lead to it from a root",
        "only by a pointer into the middle of a chunk",
        "only memory of unknown use leads to it",
        "nothing refers to it",
        "only the lost ring that it is part of refers to it",
        "only lost chunks refer to it",
        "glibc's own: a root itself",
    };
    return texts[reach_class];
}

const char *
pm_reach_key(PmReachClass reach_class)
{
    static const char *const keys[] = {"reachable", "reachable_interior", "reachable_weak",
                                       "leak_root", "leak_cycle",         "leak_indirect"};
    return keys[reach_class];
}

char *
pm_reach_describe_chunk(const PmChunk *chunk, PmReachClass reach_class)
{
    const char *name = pm_reach_class_name(reach_class);
    return g_strdup_printf("%s, %s", pm_format_things(chunk->chunk_bytes, "byte").text,
                           name == NULL ? pm_chunk_state_name(chunk->state) : name);
}

PmShort
pm_reach_format_place(PmAddr address, guint64 offset_bytes)
{
    PmShort place = pm_format_address(address);
    if (offset_bytes != 0) {
        gsize length = strlen(place.text);
        g_snprintf(place.text + length, (gulong)(sizeof place.text - length),
                   " + 0x%" G_GINT64_MODIFIER "x", offset_bytes);
    }
    return place;
}

void
pm_reach_print_held(const PmSink *sink, const PmHeldChunk *held)
{
    g_autofree char *where = NULL;
    if (held->offset_bytes == 0)
        where = g_strdup("the start of a chunk in use");
    else if (held->offset_bytes < 0)
        where = g_strdup_printf("in the header of the chunk %s",
                                pm_format_address(held->chunk.address).text);
    else
        where = g_strdup_printf("%s into the chunk %s",
                                pm_format_things((guint64)held->offset_bytes, "byte").text,
                                pm_format_address(held->chunk.address).text);
    g_autofree char *line =
        g_strdup_printf("%s is %s, %s", pm_format_address(held->address).text, where,
                        pm_format_things(held->chunk.chunk_bytes, "byte").text);
    pm_sink_emphasise(sink, line);
    pm_output_char(sink->output, '\n');
}

void
pm_reach_write_held(PmJson *json, const PmHeldChunk *held)
{
    pm_json_address(json, "address", held->address);
    pm_json_begin_object(json, "chunk");
    pm_json_address(json, "address", held->chunk.address);
    pm_json_int(json, "offset", held->offset_bytes);
    pm_json_uint(json, "chunk_bytes", held->chunk.chunk_bytes);
    pm_json_string(json, "state", pm_chunk_state_name(held->chunk.state));
    pm_json_string(json, "runtime", held->runtime);
    pm_json_string(json, "reach", pm_reach_class_name(held->reach_class));
    pm_json_end_object(json);
}

void
pm_reach_print_verdict(const PmSink *sink, const PmHeldChunk *held)
{
    gboolean lost = pm_reach_class_is_lost(held->reach_class);
    const char *name = pm_reach_class_name(held->reach_class);
    if (name == NULL && held->runtime != NULL)
        pm_sink_field(sink, "glibc's", held->runtime);
    g_autofree char *text = g_strdup_printf(
        "%s%s%s%s", name == NULL ? "" : name, name == NULL ? "" : ": ",
        pm_reach_describe(held->reach_class),
        lost && !held->certain ? ", as far as the core goes: it is not complete" : "");
    pm_sink_field(sink, "reach", text);
}
