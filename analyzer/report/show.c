/*
 * show: one address as text and JSON.
 */
#include "report/show.h"

#include "report/arenas.h"
#include "report/naming.h"
#include "report/reach.h"
#include "report/references.h"
#include "report/words.h"

#include <elf.h>
#include <string.h>

static void
format_permissions(guint32 flags, char ret_text[4])
{
    ret_text[0] = flags & PF_R ? 'r' : '-';
    ret_text[1] = flags & PF_W ? 'w' : '-';
    ret_text[2] = flags & PF_X ? 'x' : '-';
    ret_text[3] = '\0';
}

static const char *
symbol_source_name(PmSymbolSource source)
{
    static const char *const names[] = {"dynsym", "symtab", "debug-file"};
    return names[source];
}

static void
write_neighbour(PmJson *json, const char *key, gboolean exists, const PmChunk *chunk)
{
    if (!exists) {
        pm_json_null(json, key);
        return;
    }
    pm_json_begin_object(json, key);
    pm_json_address(json, "address", chunk->address);
    pm_json_uint(json, "chunk_bytes", chunk->chunk_bytes);
    pm_json_string(json, "state", pm_chunk_state_name(chunk->state));
    pm_json_end_object(json);
}

/* The class, and the first references that hold the chunk. */
static void
write_reach(const PmSink *sink, const PmSubject *subject, const PmReach *reach,
            const PmReferences *holders)
{
    if (holders == NULL) {
        pm_json_null(sink->json, "reach");
        pm_json_null(sink->json, "held_by");
        return;
    }
    pm_json_string(sink->json, "reach", pm_reach_class_name(holders->held.reach_class));
    pm_references_write_incoming(sink, "held_by", subject, reach, holders);
}

static gboolean
is_chunk(const PmLookup *lookup)
{
    return lookup->place <= PM_PLACE_FREE_CHUNK;
}

static void
write_type(PmJson *json, PmDescriber *describer, PmTyping *typing, const PmChunk *chunk)
{
    const PmVtable *vtable = pm_describer_get_vtable(describer, chunk);
    PmTyped typed = {.by = PM_TYPED_NOT};
    g_autofree char *path = NULL;
    if (typing != NULL && !pm_chunk_state_is_free(chunk->state)) {
        pm_typing_get(typing, chunk, &typed);
        path = pm_typing_describe_path(typing, chunk);
    }
    pm_typed_write_json(json, &typed);
    pm_json_string(json, "type_reason", typed.reason);
    pm_json_string(json, "path", path);
    pm_json_string(json, "vtable_class", vtable == NULL ? NULL : vtable->class_name);
    if (vtable != NULL)
        pm_json_string(json, "vtable_use", pm_vtable_use_name(vtable->use));
}

static void
write_chunk(const PmSink *sink, const PmShow *show)
{
    PmJson *json = sink->json;
    const PmLookup *lookup = show->lookup;
    const PmChunk *chunk = &lookup->chunk;
    const PmSubject *subject = pm_describer_get_subject(show->describer);
    if (!is_chunk(lookup)) {
        pm_json_null(json, "chunk");
        return;
    }
    pm_json_begin_object(json, "chunk");
    pm_json_address(json, "address", chunk->address);
    pm_json_int(json, "offset", lookup->chunk_offset);
    pm_json_uint(json, "chunk_bytes", chunk->chunk_bytes);
    pm_json_uint(json, "usable_bytes", chunk->usable_bytes);
    pm_json_string(json, "state", pm_chunk_state_name(chunk->state));
    pm_json_uint(json, "request_min", lookup->requests.min);
    pm_json_uint(json, "request_max", lookup->requests.max);
    pm_json_bool(json, "mmapped", chunk->mmapped);
    pm_json_address(json, "arena", lookup->arena == NULL ? PM_ADDR_NONE : lookup->arena->address);
    pm_json_string(json, "runtime", lookup->runtime);
    write_reach(sink, subject, show->reach, show->holders);
    write_type(json, show->describer, show->typing, chunk);
    write_neighbour(json, "before", lookup->has_before, &lookup->before);
    write_neighbour(json, "after", lookup->has_after, &lookup->after);
    pm_json_end_object(json);
}

static void
write_symbol(PmJson *json, const PmLookup *lookup)
{
    if (!lookup->has_symbol) {
        pm_json_null(json, "symbol");
        return;
    }
    const PmSymbol *symbol = &lookup->symbol;
    pm_json_begin_object(json, "symbol");
    pm_json_string(json, "name", symbol->name);
    pm_json_address(json, "address", symbol->address);
    pm_json_uint(json, "offset", lookup->symbol_offset);
    if (symbol->size_bytes == 0)
        pm_json_null(json, "size_bytes");
    else
        pm_json_uint(json, "size_bytes", symbol->size_bytes);
    pm_json_string(json, "source", symbol_source_name(symbol->source));
    pm_json_end_object(json);
}

static void
write_module(PmJson *json, const PmLookup *lookup)
{
    if (lookup->module == NULL) {
        pm_json_null(json, "module");
        return;
    }
    pm_json_begin_object(json, "module");
    pm_json_string(json, "path", lookup->module->path);
    pm_json_uint(json, "offset", lookup->address - lookup->module->bias);
    pm_json_end_object(json);
}

static void
write_stack(PmJson *json, const PmLookup *lookup)
{
    if (lookup->thread == NULL) {
        pm_json_null(json, "stack");
        return;
    }
    const PmThread *thread = lookup->thread;
    pm_json_begin_object(json, "stack");
    pm_json_uint(json, "tid", thread->tid);
    pm_json_address(json, "sp", thread->sp);
    pm_json_address(json, "start", thread->stack.start);
    pm_json_address(json, "end", thread->stack.end);
    pm_json_bool(json, "live", lookup->address >= thread->sp);
    pm_json_bool(json, "red_zone", lookup->red_zone);
    pm_json_end_object(json);
}

static void
write_region(PmJson *json, const PmLookup *lookup)
{
    if (!lookup->has_region) {
        pm_json_null(json, "region");
        return;
    }
    char permissions[4];
    format_permissions(lookup->flags, permissions);
    pm_json_begin_object(json, "region");
    pm_json_address(json, "start", lookup->region.start);
    pm_json_address(json, "end", lookup->region.end);
    pm_json_string(json, "permissions", permissions);
    pm_json_string(json, "file", lookup->file);
    pm_json_string(
        json, "kind",
        lookup->region_kind == PM_REGION_KINDS ? NULL : pm_region_kind_name(lookup->region_kind));
    pm_json_end_object(json);
}

/* The preview of a chunk, by the offsets from its user pointer. */
static PmWords
get_words(const PmLookup *lookup)
{
    return (PmWords){.bytes = lookup->preview,
                     .count = lookup->preview_count,
                     .offset_bytes = lookup->preview_start - lookup->chunk.address};
}

static void
write_preview(const PmSink *sink, PmDescriber *describer, const PmLookup *lookup)
{
    PmJson *json = sink->json;
    if (lookup->preview_count == 0) {
        pm_json_null(json, "contents");
        return;
    }
    char hex[2 * PM_PREVIEW_BYTES + 1] = "";
    for (gsize i = 0; i < lookup->preview_count; i++)
        g_snprintf(hex + 2 * i, 3, "%02x", lookup->preview[i]);
    pm_json_begin_object(json, "contents");
    pm_json_address(json, "start", lookup->preview_start);
    pm_json_string(json, "hex", hex);
    if (is_chunk(lookup)) {
        const PmWords words = get_words(lookup);
        pm_words_write(sink, describer, &words);
    }
    pm_json_end_object(json);
}

static void
write_json(const PmSink *sink, const PmShow *show)
{
    PmJson *json = sink->json;
    const PmLookup *lookup = show->lookup;
    const PmSubject *subject = pm_describer_get_subject(show->describer);
    pm_sink_begin(sink, subject);
    pm_json_address(json, "address", lookup->address);
    pm_json_string(json, "what", pm_place_name(lookup->place));
    write_chunk(sink, show);
    pm_json_address(json, "arena", lookup->arena == NULL ? PM_ADDR_NONE : lookup->arena->address);
    write_symbol(json, lookup);
    write_module(json, lookup);
    write_stack(json, lookup);
    write_region(json, lookup);
    pm_json_string(json, "bytes", pm_bytes_kind_name(lookup->bytes));
    write_preview(sink, show->describer, lookup);
    pm_json_string(json, "heap_message", subject->heap_message);
    pm_sink_end(sink);
}

static void
print_neighbour(const PmSink *sink, const char *name, gboolean exists, const PmChunk *chunk)
{
    if (!exists)
        return;
    g_autofree char *text = g_strdup_printf(
        "%s  %s bytes  %s", pm_format_address(chunk->address).text,
        pm_format_count(chunk->chunk_bytes).text, pm_chunk_state_name(chunk->state));
    pm_sink_field(sink, name, text);
}

static void
print_arena(const PmSink *sink, const PmArena *arena)
{
    g_autofree char *text = g_strdup_printf("%s, %s", pm_format_address(arena->address).text,
                                            pm_arena_kind_name(arena->kind));
    pm_sink_field(sink, "arena", text);
}

static void
print_type(const PmSink *sink, PmDescriber *describer, PmTyping *typing, const PmChunk *chunk)
{
    const PmVtable *vtable = pm_describer_get_vtable(describer, chunk);
    PmTyped typed = {.by = PM_TYPED_NOT};
    g_autofree char *path = NULL;
    g_autofree char *text = NULL;
    if (typing != NULL && !pm_chunk_state_is_free(chunk->state)) {
        pm_typing_get(typing, chunk, &typed);
        path = pm_typing_describe_path(typing, chunk);
    }
    if (vtable != NULL && vtable->use == PM_VTABLE_OF_CONSTRUCTION)
        text = g_strdup_printf("%s so far: a class derived from it is being constructed or "
                               "destroyed",
                               vtable->class_name);
    else if (vtable != NULL && vtable->use == PM_VTABLE_UNSURE)
        text = g_strdup_printf("%s, unless one derived from it was being constructed",
                               vtable->class_name);
    else
        text = pm_typed_describe(&typed);
    if (text != NULL && typed.by != PM_TYPED_BY_RUNTIME)
        pm_sink_field(sink, "type", text);
    if (path != NULL)
        pm_sink_field(sink, "as", path);
}

static void
print_chunk(const PmSink *sink, const PmShow *show)
{
    const PmLookup *lookup = show->lookup;
    const PmChunk *chunk = &lookup->chunk;
    g_autofree char *size = g_strdup_printf(
        "%s bytes (%s), usable %s", pm_format_count(chunk->chunk_bytes).text,
        pm_format_address(chunk->chunk_bytes).text, pm_format_count(chunk->usable_bytes).text);
    g_autofree char *requests =
        g_strdup_printf("malloc(%" G_GUINT64_FORMAT "%s%" G_GUINT64_FORMAT ")",
                        lookup->requests.min, pm_sink_dash(sink), lookup->requests.max);
    pm_sink_field(sink, "chunk", pm_format_address(chunk->address).text);
    pm_sink_field(sink, "size", size);
    if (chunk->state != PM_CHUNK_TOP)
        pm_sink_field(sink, "request", requests);
    pm_sink_field(sink, "state", pm_chunk_state_name(chunk->state));
    print_type(sink, show->describer, show->typing, chunk);
    if (lookup->runtime != NULL)
        pm_sink_field(sink, "glibc's", lookup->runtime);
    if (lookup->arena != NULL)
        print_arena(sink, lookup->arena);
    else if (chunk->mmapped)
        pm_sink_field(sink, "arena", "none: it has a mapping of its own");
    print_neighbour(sink, "before", lookup->has_before, &lookup->before);
    print_neighbour(sink, "after", lookup->has_after, &lookup->after);
}

static void
print_holders(const PmSink *sink, const PmSubject *subject, const PmReach *reach,
              const PmReferences *holders)
{
    pm_reach_print_verdict(sink, &holders->held);
    for (guint i = 0; i < holders->incoming->len; i++) {
        PmReferenceEnds ends;
        pm_reference_ends_init(&ends, subject, reach,
                               &g_array_index(holders->incoming, PmReference, i));
        g_autofree char *source = pm_reference_describe_source(&ends);
        pm_sink_field(sink, i == 0 ? "held by" : "", source);
        pm_reference_ends_clear(&ends);
    }
    if (holders->incoming_omitted > 0) {
        g_autofree char *more =
            g_strdup_printf("%s: postmalloc refs %s %s",
                            pm_format_more(holders->incoming_omitted, "reference").text,
                            sink->again, pm_format_address(holders->held.chunk.address).text);
        pm_sink_field(sink, "", more);
    }
}

/* "symbol+0x1f", and how it is known. */
static void
print_symbol(const PmSink *sink, const PmLookup *lookup)
{
    const PmSymbol *symbol = &lookup->symbol;
    g_autofree char *text = g_strdup_printf(
        "%s+0x%" G_GINT64_MODIFIER "x (%s; %s)", symbol->name, lookup->symbol_offset,
        symbol->size_bytes == 0 ? "size unknown"
                                : pm_format_things(symbol->size_bytes, "byte").text,
        symbol_source_name(symbol->source));
    pm_sink_field(sink, lookup->place == PM_PLACE_SYMBOL ? "symbol" : "nearest", text);
}

static void
print_stack(const PmSink *sink, const PmLookup *lookup)
{
    const PmThread *thread = lookup->thread;
    PmAddr address = lookup->address;
    g_autofree char *where = NULL;
    if (thread->sp == PM_ADDR_NONE)
        where = g_strdup_printf("of thread %u", thread->tid);
    else if (address >= thread->sp)
        where = g_strdup_printf("of thread %u, %s above its stack pointer %s", thread->tid,
                                pm_format_things(address - thread->sp, "byte").text,
                                pm_format_address(thread->sp).text);
    else
        where = g_strdup_printf("of thread %u, %s below its stack pointer %s: %s", thread->tid,
                                pm_format_things(thread->sp - address, "byte").text,
                                pm_format_address(thread->sp).text,
                                lookup->red_zone ? "in the red zone" : "dead");
    pm_sink_field(sink, "stack", where);
}

static void
print_region(const PmSink *sink, const PmLookup *lookup)
{
    if (lookup->module != NULL) {
        g_autofree char *module =
            g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", lookup->module->path,
                            lookup->address - lookup->module->bias);
        pm_sink_field(sink, "module", module);
    }
    if (!lookup->has_region)
        return;
    char permissions[4];
    format_permissions(lookup->flags, permissions);
    g_autofree char *region =
        g_strdup_printf("%s-%s %s %s, %s", pm_format_address(lookup->region.start).text,
                        pm_format_address(lookup->region.end).text, permissions,
                        pm_format_bytes(pm_range_bytes(lookup->region)).text,
                        lookup->file == NULL ? "anonymous" : lookup->file);
    pm_sink_field(sink, "region", region);
    pm_sink_field(sink, "bytes", pm_bytes_kind_name(lookup->bytes));
}

static void
print_preview(const PmSink *sink, PmDescriber *describer, const PmLookup *lookup)
{
    if (is_chunk(lookup)) {
        const PmWords words = get_words(lookup);
        pm_words_print(sink, describer, &words);
        return;
    }
    for (gsize at = 0; at < lookup->preview_count; at += PM_HEX_LINE_BYTES) {
        g_autofree char *line =
            pm_format_hex_line(lookup->preview + at, lookup->preview_count - at);
        pm_sink_line(sink, "  0x%012" G_GINT64_MODIFIER "x  %s", lookup->preview_start + at, line);
    }
}

/* Of an address in no chunk, on no stack of a live thread. */
static const char *
describe_region(const PmLookup *lookup)
{
    switch (lookup->region_kind) {
    case PM_REGION_STACK_ORPHAN:
        return "in an orphan stack: no thread runs on it, and glibc does not know it";
    case PM_REGION_STACK_CACHED:
        return "in a stack that glibc keeps for the next thread";
    case PM_REGION_STACK_UNJOINED:
        return "in the stack of a thread that ended and that nobody joined";
    case PM_REGION_STACK_SIGNAL:
        return "in an alternate signal stack";
    case PM_REGION_GUARD:
        return "in memory without access";
    case PM_REGION_SHARED_MEMORY:
        return "in shared memory";
    case PM_REGION_FILE:
        return "in a mapped file";
    default:
        return lookup->arena == NULL ? "in a region that is neither heap nor stack"
                                     : "in a heap, but in no chunk";
    }
}

/* The first line: what it is, in words. */
static void
print_answer(const PmSink *sink, const PmLookup *lookup)
{
    g_autofree char *what = NULL;
    switch (lookup->place) {
    case PM_PLACE_CHUNK:
    case PM_PLACE_FREE_CHUNK: {
        const char *kind = lookup->place == PM_PLACE_CHUNK ? "a chunk in use" : "a free chunk";
        if (lookup->chunk_offset == 0)
            what = g_strdup_printf("the start of %s", kind);
        else if (lookup->chunk_offset < 0)
            what = g_strdup_printf("in the header of %s", kind);
        else
            what =
                g_strdup_printf("%" G_GINT64_FORMAT " bytes into %s", lookup->chunk_offset, kind);
        break;
    }
    case PM_PLACE_SYMBOL:
        what = g_strdup("in a symbol of a module");
        break;
    case PM_PLACE_STACK:
        what = g_strdup("on the stack of a thread");
        break;
    case PM_PLACE_REGION:
        what = g_strdup(describe_region(lookup));
        break;
    case PM_PLACE_UNMAPPED:
        what = g_strdup("not mapped");
        break;
    }
    g_autofree char *line =
        g_strdup_printf("%s is %s", pm_format_address(lookup->address).text, what);
    pm_sink_emphasise(sink, line);
    pm_output_char(sink->output, '\n');
}

void
pm_report_show(const PmSink *sink, const PmShow *show)
{
    const PmLookup *lookup = show->lookup;
    const PmSubject *subject = pm_describer_get_subject(show->describer);
    if (sink->json != NULL) {
        write_json(sink, show);
        return;
    }
    print_answer(sink, lookup);
    if (is_chunk(lookup))
        print_chunk(sink, show);
    else if (lookup->arena != NULL)
        print_arena(sink, lookup->arena);
    if (show->holders != NULL)
        print_holders(sink, subject, show->reach, show->holders);
    if (lookup->has_symbol)
        print_symbol(sink, lookup);
    if (lookup->thread != NULL)
        print_stack(sink, lookup);
    print_region(sink, lookup);
    if (subject->heap_message != NULL)
        pm_sink_field(sink, "heap", subject->heap_message);
    print_preview(sink, show->describer, lookup);
}
