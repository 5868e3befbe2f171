/*
 * arenas: what each holds, as text and JSON. Heaps and what pins them are in pins.c.
 */
#include "report/arenas.h"

#include "report/pins.h"
#include "report/table.h"

/* Thread ids in a cell. */
#define TIDS_SHOWN 2
/* The longest setting and its margins. */
#define ADVICE_INDENT 20

const char *
pm_arena_kind_name(PmArenaKind kind)
{
    return kind == PM_ARENA_MAIN ? "main" : "thread";
}

static gsize
count_arenas(const PmArenasView *view)
{
    return view->only != NULL ? 1 : view->arenas->count;
}

static const PmArenaFacts *
get_arena(const PmArenasView *view, gsize index)
{
    return view->only != NULL ? view->only : &view->arenas->arenas[index];
}

static void
write_bins(PmJson *json, const PmArena *arena)
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
}

static void
write_arena(PmJson *json, const PmSubject *subject, const PmArenasView *view,
            const PmArenaFacts *facts, gboolean details)
{
    const PmArena *arena = facts->arena;
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
    pm_trim_write_json(json, &facts->trim);
    pm_json_begin_array(json, "threads");
    for (gsize i = 0; i < arena->thread_count; i++)
        pm_json_uint(json, NULL, arena->threads[i]);
    pm_json_end_array(json);
    if (details) {
        write_bins(json, arena);
        pm_heaps_write_json(json, subject, view, facts);
    }
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

static void
write_settings(PmJson *json, const PmArenas *arenas)
{
    const PmMallocSettings *settings = &arenas->settings;
    if (!arenas->settings_known) {
        pm_json_null(json, "settings");
        return;
    }
    pm_json_begin_object(json, "settings");
    pm_json_uint(json, "trim_threshold_bytes", settings->trim_threshold_bytes);
    pm_json_uint(json, "mmap_threshold_bytes", settings->mmap_threshold_bytes);
    pm_json_uint(json, "top_pad_bytes", settings->top_pad_bytes);
    pm_json_uint(json, "arena_max", settings->arena_max);
    pm_json_bool(json, "fixed", settings->fixed);
    pm_json_end_object(json);
}

static void
write_totals(PmJson *json, const PmArenaTotals *totals)
{
    pm_json_begin_object(json, "totals");
    pm_json_uint(json, "arenas", totals->arenas);
    pm_json_uint(json, "thread_arenas", totals->thread_arenas);
    pm_json_uint(json, "arenas_without_threads", totals->threadless);
    pm_json_uint(json, "system_bytes", totals->system_bytes);
    pm_json_uint(json, "used_bytes", totals->used_bytes);
    pm_json_uint(json, "free_bytes", totals->free_bytes);
    pm_json_uint(json, "reserved_bytes", totals->reserved_bytes);
    pm_trim_write_json(json, &totals->trim);
    pm_json_end_object(json);
}

static void
write_advice(PmJson *json, const PmArenas *arenas)
{
    pm_json_begin_array(json, "advice");
    for (guint i = 0; i < arenas->advice->len; i++) {
        const PmAdvice *advice = &g_array_index(arenas->advice, PmAdvice, i);
        pm_json_begin_object(json, NULL);
        pm_json_string(json, "setting", advice->setting);
        pm_json_uint(json, "bytes", advice->bytes);
        pm_json_string(json, "text", advice->text);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
}

void
pm_arenas_write_json(const PmSink *sink, const PmSubject *subject, const PmArenasView *view,
                     gboolean details)
{
    const gsize count = count_arenas(view);
    const guint64 shown = pm_sink_rows(sink->top, count);
    pm_json_begin_array(sink->json, "arenas");
    for (gsize i = 0; i < shown; i++)
        write_arena(sink->json, subject, view, get_arena(view, i), details);
    pm_json_end_array(sink->json);
    pm_sink_json_omitted(sink, "arenas", count - shown);
    write_mmapped(sink->json, pm_ptmalloc_get_mmapped(subject->ptmalloc));
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

/* A row of the first table. @name, @threads: of the arena, or of all. */
static void
add_arena_row(PmTable *table, const char *name, const char *kind, gsize heaps,
              const PmArenaTotals *sums, const char *threads)
{
    pm_table_add_row(table);
    pm_table_add_cell(table, name);
    pm_table_add_cell(table, kind);
    pm_table_add_cell(table, pm_format_count(heaps).text);
    pm_table_add_cell(table, pm_format_bytes(sums->system_bytes).text);
    pm_table_add_cell(table, pm_format_bytes(sums->used_bytes).text);
    pm_table_add_cell(table, pm_format_share(pm_share(sums->used_bytes, sums->system_bytes)).text);
    pm_table_add_cell(table, pm_format_bytes(sums->free_bytes).text);
    pm_table_add_cell(table, pm_format_bytes(pm_trim_bytes(&sums->trim)).text);
    pm_table_add_cell(table, threads);
}

void
pm_arenas_print_table(const PmSink *sink, const PmArenasView *view, gsize row_count)
{
    static const PmColumn columns[] = {{"ARENA", FALSE}, {"KIND", FALSE},     {"HEAPS", TRUE},
                                       {"SYSTEM", TRUE}, {"IN USE", TRUE},    {"", TRUE},
                                       {"FREE", TRUE},   {"TRIMMABLE", TRUE}, {"THREADS", FALSE}};
    const gsize count = count_arenas(view);
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    gsize heaps = 0;
    for (gsize i = 0; i < count; i++) {
        const PmArenaFacts *facts = get_arena(view, i);
        const PmArena *arena = facts->arena;
        heaps += arena->heap_count;
        if (i >= row_count)
            continue;
        const PmArenaTotals sums = {.system_bytes = arena->system_bytes,
                                    .used_bytes = arena->used_bytes,
                                    .free_bytes = arena->free_bytes,
                                    .trim = facts->trim};
        g_autofree char *threads = list_threads(arena);
        add_arena_row(table, pm_format_address(arena->address).text,
                      pm_arena_kind_name(arena->kind), arena->heap_count, &sums, threads);
    }
    if (count > 1)
        add_arena_row(table, pm_format_things(count, "arena").text, "", heaps,
                      &view->arenas->totals, "");
    pm_table_print(table, 2);
}

/* What waits for a thread to come: glibc gives such an arena to the next one that starts. */
static void
print_threadless(const PmSink *sink, const PmArenasView *view)
{
    const PmArenaTotals *totals = &view->arenas->totals;
    if (view->only == NULL && totals->threadless > 0)
        pm_sink_line(sink, "  no thread is at %s, of %s",
                     pm_format_things(totals->threadless, "arena").text,
                     pm_format_bytes(totals->threadless_bytes).text);
}

static void
print_free(const PmSink *sink, const PmArenasView *view, gsize row_count)
{
    static const PmColumn columns[] = {
        {"ARENA", FALSE}, {"TOP", TRUE},          {"TCACHE", TRUE},    {"FASTBIN", TRUE},
        {"BINS", TRUE},   {"LARGEST FREE", TRUE}, {"UNTOUCHED", TRUE}, {"OVERHEAD", TRUE}};
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    for (gsize i = 0; i < row_count; i++) {
        const PmArenaFacts *facts = get_arena(view, i);
        const PmArena *arena = facts->arena;
        pm_table_add_row(table);
        pm_table_add_cell(table, pm_format_address(arena->address).text);
        pm_table_add_cell(table, pm_format_bytes(arena->top_bytes).text);
        pm_table_add_cell(table, pm_format_bytes(arena->tcache_bytes).text);
        pm_table_add_cell(table, pm_format_bytes(arena->fastbin_bytes).text);
        pm_table_add_cell(table, pm_format_bytes(arena->bin_bytes).text);
        pm_table_add_cell(table, pm_format_bytes(arena->largest_free_bytes).text);
        pm_table_add_cell(table, pm_format_bytes(facts->trim.untouched_bytes).text);
        pm_table_add_cell(table, pm_format_bytes(arena->overhead_bytes).text);
    }
    pm_sink_heading(sink, "WHAT IS FREE, AND WHAT IS OVERHEAD");
    pm_table_print(table, 2);
}

/* The items of the overhead of all arenas shown, the empty ones left out. */
static void
print_overhead(const PmSink *sink, const PmArenasView *view)
{
    guint64 sums[PM_OVERHEADS] = {0};
    for (gsize i = 0; i < count_arenas(view); i++) {
        const PmArena *arena = get_arena(view, i)->arena;
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
print_advice(const PmSink *sink, const PmArenas *arenas)
{
    if (arenas->advice->len == 0)
        return;
    pm_sink_heading(sink, "WHAT THESE FIGURES SPEAK FOR");
    for (guint i = 0; i < arenas->advice->len; i++) {
        const PmAdvice *advice = &g_array_index(arenas->advice, PmAdvice, i);
        g_autofree char *label = g_strdup_printf("  %s", advice->setting);
        pm_sink_paragraph(sink, label, ADVICE_INDENT, advice->text);
    }
}

static void
print_text(const PmSink *sink, const PmSubject *subject, const PmArenasView *view)
{
    const gsize count = count_arenas(view);
    const guint64 shown = pm_sink_rows(sink->top, count);
    const gboolean details = sink->verbose || view->only != NULL;
    pm_arenas_print_table(sink, view, shown);
    print_threadless(sink, view);
    print_free(sink, view, shown);
    print_overhead(sink, view);
    if (shown < count)
        pm_sink_line(sink, "  %s: postmalloc arenas %s --top 0",
                     pm_format_more(count - shown, "arena").text, sink->again);
    for (guint i = 0; details && i < shown; i++) {
        const PmArenaFacts *facts = get_arena(view, i);
        if (facts->arena->locked)
            pm_sink_line(sink, "\n%s is locked: it may be in the middle of an operation",
                         pm_format_address(facts->arena->address).text);
        pm_heaps_print(sink, facts);
        print_bins(sink, facts->arena);
    }
    if (details || view->arenas->advice->len > 0)
        pm_pins_print(sink, subject, view);
    if (view->only == NULL) {
        print_advice(sink, view->arenas);
        print_mmapped(sink, pm_ptmalloc_get_mmapped(subject->ptmalloc));
    }
    if (!details)
        pm_sink_line(sink, "heaps and bins: postmalloc arenas %s --arena ADDR, or -v", sink->again);
}

void
pm_report_arenas(const PmSink *sink, const PmSubject *subject, const PmArenasView *view)
{
    if (sink->json == NULL) {
        print_text(sink, subject, view);
        return;
    }
    pm_sink_begin(sink, subject);
    pm_arenas_write_json(sink, subject, view, TRUE);
    write_totals(sink->json, &view->arenas->totals);
    write_settings(sink->json, view->arenas);
    write_advice(sink->json, view->arenas);
    pm_sink_end(sink);
}
