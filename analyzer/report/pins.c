#include "report/pins.h"

#include "report/naming.h"
#include "report/table.h"

#include <stdlib.h>
#include <string.h>

/* A type's column; what is longer is cut in its middle. */
#define TYPE_COLUMNS 30
/* A heap that holds back less is of no interest. */
#define HELD_BYTES_MIN ((guint64)64 << 10)

void
pm_trim_write_json(PmJson *json, const PmTrim *trim)
{
    pm_json_uint(json, "trimmable_bytes", pm_trim_bytes(trim));
    pm_json_uint(json, "trimmable_top_bytes", trim->top_bytes);
    pm_json_uint(json, "untouched_bytes", trim->untouched_bytes);
}

/* What glibc's own chunk at @address is, or NULL. */
static const char *
find_runtime(const PmPtmalloc *ptmalloc, PmAddr address)
{
    gsize count = 0;
    const PmRuntimeChunk *chunks = pm_ptmalloc_get_runtime_chunks(ptmalloc, &count);
    gsize low = 0, high = count;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (chunks[middle].address < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && chunks[low].address == address ? chunks[low].what : NULL;
}

/* What the pinning chunk is; PM_TYPED_NOT where it is free, or nothing knows it. */
static PmTyped
type_pin(const PmSubject *subject, const PmArenasView *view, const PmChunk *chunk)
{
    PmTyped typed = {.by = PM_TYPED_NOT};
    const char *what = NULL;
    if (chunk->state == PM_CHUNK_RUNTIME)
        what = find_runtime(subject->ptmalloc, chunk->address);
    if (what != NULL)
        typed = (PmTyped){.by = PM_TYPED_BY_RUNTIME, .name = what, .elements = 1, .confidence = 1};
    else if (chunk->state == PM_CHUNK_USED && view->typing != NULL)
        pm_typing_get(view->typing, chunk, &typed);
    return typed;
}

/* The reachability class of the chunk, or NULL. Static. */
static const char *
classify_pin(const PmArenasView *view, const PmChunk *chunk)
{
    if (chunk->state != PM_CHUNK_USED || view->reach == NULL)
        return NULL;
    return pm_reach_class_name(pm_reach_get_class(view->reach, chunk));
}

static void
write_pin(PmJson *json, const PmSubject *subject, const PmArenasView *view, const PmPin *pin)
{
    if (!pin->found) {
        pm_json_null(json, "pin");
        return;
    }
    const PmTyped typed = type_pin(subject, view, &pin->chunk);
    pm_json_begin_object(json, "pin");
    pm_json_address(json, "address", pin->chunk.address);
    pm_json_uint(json, "chunk_bytes", pin->chunk.chunk_bytes);
    pm_json_string(json, "state", pm_chunk_state_name(pin->chunk.state));
    pm_json_string(json, "reach", classify_pin(view, &pin->chunk));
    pm_typed_write_json(json, &typed);
    pm_json_uint(json, "above_bytes", pin->above_bytes);
    pm_json_uint(json, "below_bytes", pin->below_bytes);
    pm_json_end_object(json);
}

void
pm_heaps_write_json(PmJson *json, const PmSubject *subject, const PmArenasView *view,
                    const PmArenaFacts *facts)
{
    pm_json_begin_array(json, "heaps_detail");
    for (gsize i = 0; i < facts->arena->heap_count; i++) {
        const PmHeapFacts *heap = &facts->heaps[i];
        pm_json_begin_object(json, NULL);
        pm_json_address(json, "start", heap->heap->start);
        pm_json_address(json, "end", heap->heap->end);
        pm_json_uint(json, "used_bytes", heap->heap->used_bytes);
        pm_json_uint(json, "free_bytes", heap->heap->free_bytes);
        pm_json_uint(json, "overhead_bytes", heap->heap->overhead_bytes);
        pm_trim_write_json(json, &heap->trim);
        write_pin(json, subject, view, &heap->pin);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
}

void
pm_heaps_print(const PmSink *sink, const PmArenaFacts *facts)
{
    static const PmColumn columns[] = {{"HEAP", FALSE},     {"END", FALSE},      {"IN USE", TRUE},
                                       {"FREE", TRUE},      {"TRIMMABLE", TRUE}, {"OVERHEAD", TRUE},
                                       {"PINNED BY", FALSE}};
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    const guint64 shown = pm_sink_rows(sink->top, facts->arena->heap_count);
    for (gsize i = 0; i < shown; i++) {
        const PmHeapFacts *one = &facts->heaps[i];
        const PmArenaHeap *heap = one->heap;
        pm_table_add_row(table);
        pm_table_add_cell(table, pm_format_address(heap->start).text);
        pm_table_add_cell(table, pm_format_address(heap->end).text);
        pm_table_add_cell(table, pm_format_bytes(heap->used_bytes).text);
        pm_table_add_cell(table, pm_format_bytes(heap->free_bytes).text);
        pm_table_add_cell(table, pm_format_bytes(pm_trim_bytes(&one->trim)).text);
        pm_table_add_cell(table, pm_format_bytes(heap->overhead_bytes).text);
        pm_table_add_cell(table,
                          one->pin.found ? pm_format_address(one->pin.chunk.address).text : NULL);
    }
    g_autofree char *heading =
        g_strdup_printf("HEAPS OF %s", pm_format_address(facts->arena->address).text);
    pm_sink_heading(sink, heading);
    pm_table_print(table, 2);
    if (shown < facts->arena->heap_count)
        pm_sink_line(sink, "  %s: --top 0",
                     pm_format_more(facts->arena->heap_count - shown, "heap").text);
}

static int
compare_held(const void *left, const void *right)
{
    const PmHeapFacts *a = *(const PmHeapFacts *const *)left;
    const PmHeapFacts *b = *(const PmHeapFacts *const *)right;
    if (a->pin.below_bytes != b->pin.below_bytes)
        return a->pin.below_bytes < b->pin.below_bytes ? 1 : -1;
    return (a->heap->start > b->heap->start) - (a->heap->start < b->heap->start);
}

static void
add_pinned_heaps(GPtrArray *heaps, const PmArenaFacts *facts)
{
    for (gsize i = 0; i < facts->arena->heap_count; i++)
        if (facts->heaps[i].pin.found && facts->heaps[i].pin.below_bytes >= HELD_BYTES_MIN)
            g_ptr_array_add(heaps, &facts->heaps[i]);
}

static void
add_pin_row(PmTable *table, const PmSubject *subject, const PmArenasView *view,
            const PmHeapFacts *facts)
{
    const PmChunk *chunk = &facts->pin.chunk;
    const PmTyped typed = type_pin(subject, view, chunk);
    const char *reach_class = classify_pin(view, chunk);
    g_autofree char *type =
        pm_sanitise_short(typed.by == PM_TYPED_NOT ? "-" : typed.name, TRUE, TYPE_COLUMNS);
    pm_table_add_row(table);
    pm_table_add_cell(table, pm_format_address(facts->heap->start).text);
    pm_table_add_cell(table, pm_format_bytes(facts->pin.below_bytes).text);
    pm_table_add_cell(table, pm_format_address(chunk->address).text);
    pm_table_add_cell(table, pm_format_bytes(chunk->chunk_bytes).text);
    pm_table_add_cell(table, reach_class != NULL ? reach_class : pm_chunk_state_name(chunk->state));
    pm_table_add_cell(table, type);
}

void
pm_pins_print(const PmSink *sink, const PmSubject *subject, const PmArenasView *view)
{
    static const PmColumn columns[] = {{"HEAP", FALSE}, {"FREE BELOW", TRUE}, {"THE CHUNK", FALSE},
                                       {"BYTES", TRUE}, {"CLASS", FALSE},     {"TYPE", FALSE}};
    g_autoptr(GPtrArray) heaps = g_ptr_array_new();
    if (view->only != NULL)
        add_pinned_heaps(heaps, view->only);
    for (gsize i = 0; view->only == NULL && i < view->arenas->count; i++)
        add_pinned_heaps(heaps, &view->arenas->arenas[i]);
    if (heaps->len == 0)
        return;
    g_ptr_array_sort(heaps, compare_held);
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    const guint64 shown = pm_sink_rows(sink->top, heaps->len);
    for (guint i = 0; i < shown; i++)
        add_pin_row(table, subject, view, g_ptr_array_index(heaps, i));
    pm_sink_heading(sink,
                    "WHAT PINS HEAPS: THE LAST CHUNK IN USE, AND WHAT IS FREE RIGHT BELOW IT");
    pm_table_print(table, 2);
    if (shown < heaps->len)
        pm_sink_line(sink, "  %s: --top 0", pm_format_more(heaps->len - shown, "heap").text);
}
