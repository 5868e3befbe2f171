/*
 * arenas: what each holds, as text and JSON.
 */
#include "report/arenas.h"

#include "report/table.h"

#include <stdlib.h>

/* Thread ids in a cell. */
#define TIDS_SHOWN 3

const char *
pm_arena_kind_name(PmArenaKind kind)
{
    return kind == PM_ARENA_MAIN ? "main" : "thread";
}

static int
compare_arenas(const void *left, const void *right)
{
    const PmArena *a = *(const PmArena *const *)left;
    const PmArena *b = *(const PmArena *const *)right;
    if (a->system_bytes != b->system_bytes)
        return a->system_bytes < b->system_bytes ? 1 : -1;
    return (a->address > b->address) - (a->address < b->address);
}

/* The arenas, largest first, or @only. (transfer container) */
static GPtrArray *
rank_arenas(const PmPtmalloc *ptmalloc, guint32 only)
{
    gsize count = 0;
    const PmArena *arenas = pm_ptmalloc_get_arenas(ptmalloc, &count);
    GPtrArray *ranked = g_ptr_array_new();
    for (gsize i = 0; i < count; i++) {
        if (only == PM_ARENA_NONE || only == i)
            g_ptr_array_add(ranked, (gpointer)&arenas[i]);
    }
    g_ptr_array_sort(ranked, compare_arenas);
    return ranked;
}

static void
write_details(PmJson *json, const PmArena *arena)
{
    pm_json_begin_array(json, "bins");
    for (gsize i = 0; i < arena->bin_count; i++) {
        const PmSizeCount *bin = &arena->bins[i];
        guint64 chunks = bin->chunks[PM_CHUNK_BIN];
        pm_json_begin_object(json, NULL);
        pm_json_uint(json, "chunk_bytes", bin->chunk_bytes);
        pm_json_uint(json, "chunks", chunks);
        pm_json_uint(json, "bytes", chunks * bin->chunk_bytes);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
    pm_json_begin_array(json, "heaps_detail");
    for (gsize i = 0; i < arena->heap_count; i++) {
        const PmArenaHeap *heap = &arena->heaps[i];
        pm_json_begin_object(json, NULL);
        pm_json_address(json, "start", heap->start);
        pm_json_address(json, "end", heap->end);
        pm_json_uint(json, "used_bytes", heap->used_bytes);
        pm_json_uint(json, "free_bytes", heap->free_bytes);
        pm_json_uint(json, "overhead_bytes", heap->overhead_bytes);
        pm_json_address(json, "pin", heap->pin);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
}

static void
write_arena(PmJson *json, const PmArena *arena, gboolean details)
{
    pm_json_begin_object(json, NULL);
    pm_json_address(json, "address", arena->address);
    pm_json_string(json, "kind", pm_arena_kind_name(arena->kind));
    pm_json_uint(json, "heaps", arena->heap_count);
    pm_json_bool(json, "contiguous", arena->contiguous);
    pm_json_bool(json, "locked", arena->locked);
    pm_json_uint(json, "system_bytes", arena->system_bytes);
    pm_json_uint(json, "used_bytes", arena->used_bytes);
    pm_json_uint(json, "free_bytes", arena->free_bytes);
    pm_json_uint(json, "top_bytes", arena->top_bytes);
    pm_json_uint(json, "tcache_bytes", arena->tcache_bytes);
    pm_json_uint(json, "fastbin_bytes", arena->fastbin_bytes);
    pm_json_uint(json, "bin_bytes", arena->bin_bytes);
    pm_json_uint(json, "overhead_bytes", arena->overhead_bytes);
    pm_json_begin_object(json, "overhead");
    for (guint i = 0; i < PM_OVERHEADS; i++)
        pm_json_uint(json, pm_overhead_name((PmOverhead)i), arena->overhead[i]);
    pm_json_end_object(json);
    pm_json_uint(json, "largest_free_bytes", arena->largest_free_bytes);
    pm_json_uint(json, "trimmable_bytes", arena->trimmable_bytes);
    pm_json_begin_array(json, "threads");
    for (gsize i = 0; i < arena->thread_count; i++)
        pm_json_uint(json, NULL, arena->threads[i]);
    pm_json_end_array(json);
    if (details)
        write_details(json, arena);
    pm_json_end_object(json);
}

static void
write_mmapped(PmJson *json, const PmMmapped *mmapped)
{
    pm_json_begin_object(json, "mmapped");
    pm_json_uint(json, "chunks", mmapped->chunks);
    pm_json_uint(json, "bytes", mmapped->bytes);
    if (mmapped->expected_known) {
        pm_json_uint(json, "expected_chunks", mmapped->expected_chunks);
        pm_json_uint(json, "expected_bytes", mmapped->expected_bytes);
    } else {
        pm_json_null(json, "expected_chunks");
        pm_json_null(json, "expected_bytes");
    }
    pm_json_end_object(json);
}

void
pm_arenas_write_json(const PmSink *sink, const PmPtmalloc *ptmalloc, guint32 only, gboolean details)
{
    g_autoptr(GPtrArray) ranked = rank_arenas(ptmalloc, only);
    guint64 shown = pm_sink_rows(sink->top, ranked->len);
    pm_json_begin_array(sink->json, "arenas");
    for (guint i = 0; i < shown; i++)
        write_arena(sink->json, g_ptr_array_index(ranked, i), details);
    pm_json_end_array(sink->json);
    pm_sink_json_omitted(sink, "arenas", ranked->len - shown);
    write_mmapped(sink->json, pm_ptmalloc_get_mmapped(ptmalloc));
}

static char *
list_threads(const PmArena *arena)
{
    if (arena->thread_count == 0)
        return g_strdup("none");
    GString *text = g_string_new(NULL);
    for (gsize i = 0; i < MIN(arena->thread_count, TIDS_SHOWN); i++)
        g_string_append_printf(text, "%s%u", i == 0 ? "" : ",", arena->threads[i]);
    if (arena->thread_count > TIDS_SHOWN)
        g_string_append_printf(text, " +%s",
                               pm_format_count(arena->thread_count - TIDS_SHOWN).text);
    return g_string_free(text, FALSE);
}

void
pm_arenas_print_table(const PmSink *sink, const PmPtmalloc *ptmalloc, guint32 only, gsize row_count)
{
    static const PmColumn columns[] = {{"ARENA", FALSE}, {"KIND", FALSE},     {"HEAPS", TRUE},
                                       {"SYSTEM", TRUE}, {"IN USE", TRUE},    {"", TRUE},
                                       {"FREE", TRUE},   {"TRIMMABLE", TRUE}, {"THREADS", FALSE}};
    g_autoptr(GPtrArray) ranked = rank_arenas(ptmalloc, only);
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    for (guint i = 0; i < MIN(row_count, ranked->len); i++) {
        const PmArena *arena = g_ptr_array_index(ranked, i);
        g_autofree char *threads = list_threads(arena);
        pm_table_add_row(table);
        pm_table_add_cell(table, pm_format_address(arena->address).text);
        pm_table_add_cell(table, pm_arena_kind_name(arena->kind));
        pm_table_add_cell(table, pm_format_count(arena->heap_count).text);
        pm_table_add_cell(table, pm_format_bytes(arena->system_bytes).text);
        pm_table_add_cell(table, pm_format_bytes(arena->used_bytes).text);
        pm_table_add_cell(table,
                          pm_format_share(pm_share(arena->used_bytes, arena->system_bytes)).text);
        pm_table_add_cell(table, pm_format_bytes(arena->free_bytes).text);
        pm_table_add_cell(table, pm_format_bytes(arena->trimmable_bytes).text);
        pm_table_add_cell(table, threads);
    }
    pm_table_print(table, 2);
}

static void
print_free(const PmSink *sink, const PmPtmalloc *ptmalloc, guint32 only, guint64 row_count)
{
    static const PmColumn columns[] = {{"ARENA", FALSE},  {"TOP", TRUE},  {"TCACHE", TRUE},
                                       {"FASTBIN", TRUE}, {"BINS", TRUE}, {"LARGEST FREE", TRUE},
                                       {"OVERHEAD", TRUE}};
    g_autoptr(GPtrArray) ranked = rank_arenas(ptmalloc, only);
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    for (guint i = 0; i < row_count; i++) {
        const PmArena *arena = g_ptr_array_index(ranked, i);
        pm_table_add_row(table);
        pm_table_add_cell(table, pm_format_address(arena->address).text);
        pm_table_add_cell(table, pm_format_bytes(arena->top_bytes).text);
        pm_table_add_cell(table, pm_format_bytes(arena->tcache_bytes).text);
        pm_table_add_cell(table, pm_format_bytes(arena->fastbin_bytes).text);
        pm_table_add_cell(table, pm_format_bytes(arena->bin_bytes).text);
        pm_table_add_cell(table, pm_format_bytes(arena->largest_free_bytes).text);
        pm_table_add_cell(table, pm_format_bytes(arena->overhead_bytes).text);
    }
    pm_sink_heading(sink, "WHAT IS FREE, AND WHAT IS OVERHEAD");
    pm_table_print(table, 2);
}

/* The items of the overhead of all arenas shown, the empty ones left out. */
static void
print_overhead(const PmSink *sink, const GPtrArray *ranked)
{
    guint64 sums[PM_OVERHEADS] = {0};
    for (guint i = 0; i < ranked->len; i++) {
        const PmArena *arena = g_ptr_array_index(ranked, i);
        for (guint item = 0; item < PM_OVERHEADS; item++)
            sums[item] += arena->overhead[item];
    }
    GString *text = g_string_new(NULL);
    for (guint item = 0; item < PM_OVERHEADS; item++) {
        if (sums[item] > 0)
            g_string_append_printf(text, "%s%s %s", text->len == 0 ? "" : ", ",
                                   pm_overhead_name((PmOverhead)item),
                                   pm_format_bytes(sums[item]).text);
    }
    if (text->len > 0)
        pm_sink_line(sink, "  overhead of all: %s", text->str);
    g_string_free(text, TRUE);
}

static void
print_heaps(const PmSink *sink, const PmArena *arena)
{
    static const PmColumn columns[] = {{"HEAP", FALSE}, {"END", FALSE},     {"IN USE", TRUE},
                                       {"FREE", TRUE},  {"OVERHEAD", TRUE}, {"PINNED BY", FALSE}};
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    guint64 shown = pm_sink_rows(sink->top, arena->heap_count);
    for (gsize i = 0; i < shown; i++) {
        const PmArenaHeap *heap = &arena->heaps[i];
        pm_table_add_row(table);
        pm_table_add_cell(table, pm_format_address(heap->start).text);
        pm_table_add_cell(table, pm_format_address(heap->end).text);
        pm_table_add_cell(table, pm_format_bytes(heap->used_bytes).text);
        pm_table_add_cell(table, pm_format_bytes(heap->free_bytes).text);
        pm_table_add_cell(table, pm_format_bytes(heap->overhead_bytes).text);
        pm_table_add_cell(table,
                          heap->pin == PM_ADDR_NONE ? NULL : pm_format_address(heap->pin).text);
    }
    g_autofree char *heading =
        g_strdup_printf("HEAPS OF %s", pm_format_address(arena->address).text);
    pm_sink_heading(sink, heading);
    pm_table_print(table, 2);
    if (shown < arena->heap_count)
        pm_sink_line(sink, "  %s: --top 0", pm_format_more(arena->heap_count - shown, "heap").text);
}

static void
print_bins(const PmSink *sink, const PmArena *arena)
{
    static const PmColumn columns[] = {{"BIN", TRUE}, {"CHUNKS", TRUE}, {"BYTES", TRUE}};
    if (arena->bin_count == 0)
        return;
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    guint64 shown = pm_sink_rows(sink->top, arena->bin_count);
    for (gsize i = 0; i < shown; i++) {
        /* Ascending in the arena; what is large matters first. */
        const PmSizeCount *bin = &arena->bins[arena->bin_count - 1 - i];
        guint64 chunks = bin->chunks[PM_CHUNK_BIN];
        pm_table_add_row(table);
        pm_table_add_cell(table, pm_format_address(bin->chunk_bytes).text);
        pm_table_add_cell(table, pm_format_count(chunks).text);
        pm_table_add_cell(table, pm_format_bytes(chunks * bin->chunk_bytes).text);
    }
    g_autofree char *heading = g_strdup_printf("FREE CHUNKS IN THE BINS OF %s, LARGEST FIRST",
                                               pm_format_address(arena->address).text);
    pm_sink_heading(sink, heading);
    pm_table_print(table, 2);
    if (shown < arena->bin_count)
        pm_sink_line(sink, "  %s: --top 0", pm_format_more(arena->bin_count - shown, "size").text);
}

static void
print_mmapped(const PmSink *sink, const PmMmapped *mmapped)
{
    g_autofree char *expected = NULL;
    if (!mmapped->expected_known)
        expected = g_strdup("malloc's own count is not known");
    else if (mmapped->expected_chunks == mmapped->chunks &&
             mmapped->expected_bytes == mmapped->bytes)
        expected = g_strdup("as malloc itself counts");
    else
        expected = g_strdup_printf("malloc itself counts %s, %s",
                                   pm_format_things(mmapped->expected_chunks, "chunk").text,
                                   pm_format_bytes(mmapped->expected_bytes).text);
    pm_sink_line(sink, "\nmmapped: %s, %s (%s)", pm_format_things(mmapped->chunks, "chunk").text,
                 pm_format_bytes(mmapped->bytes).text, expected);
}

static void
print_text(const PmSink *sink, const PmPtmalloc *ptmalloc, guint32 only)
{
    g_autoptr(GPtrArray) ranked = rank_arenas(ptmalloc, only);
    guint64 shown = pm_sink_rows(sink->top, ranked->len);
    pm_arenas_print_table(sink, ptmalloc, only, shown);
    print_free(sink, ptmalloc, only, shown);
    print_overhead(sink, ranked);
    if (shown < ranked->len)
        pm_sink_line(sink, "  %s: postmalloc arenas %s --top 0",
                     pm_format_more(ranked->len - shown, "arena").text, sink->again);
    gboolean details = sink->verbose || only != PM_ARENA_NONE;
    for (guint i = 0; details && i < shown; i++) {
        const PmArena *arena = g_ptr_array_index(ranked, i);
        if (arena->locked)
            pm_sink_line(sink, "\n%s is locked: it may be in the middle of an operation",
                         pm_format_address(arena->address).text);
        print_heaps(sink, arena);
        print_bins(sink, arena);
    }
    if (only == PM_ARENA_NONE)
        print_mmapped(sink, pm_ptmalloc_get_mmapped(ptmalloc));
    if (!details)
        pm_sink_line(sink, "heaps and bins: postmalloc arenas %s --arena ADDR, or -v", sink->again);
}

void
pm_report_arenas(const PmSink *sink, const PmSubject *subject, guint32 only)
{
    if (sink->json == NULL) {
        print_text(sink, subject->ptmalloc, only);
        return;
    }
    pm_sink_begin(sink, subject);
    pm_arenas_write_json(sink, subject->ptmalloc, only, TRUE);
    pm_sink_end(sink);
}
