/*
 * report: one page, the answer first. 100 columns and about 40 lines at most under the default
 * --top.
 */
#include "report/summary.h"

#include "report/arenas.h"
#include "report/facts.h"
#include "report/naming.h"
#include "report/sizes.h"
#include "report/suspects.h"

#define BAR_COLUMNS     19
#define PROGRAM_COLUMNS 40

/* Rows of a ranked table where the user did not say: the page has to fit. */
#define ARENAS_SHOWN          5
#define SIZES_SHOWN           5
#define SIZES_BESIDE_SUSPECTS 3

/* Kinds of chunks of one size, and the share below which one is not worth a line. */
#define NAMES_SHOWN  2
#define NAMES_SHARE  0.02
#define NAMES_INDENT 12

/* Sizes of which the page says what they are. */
#define NAMED_SHOWN 3

/* The order and the words of the text; a kind without bytes is left out, and the vdso's few pages
 * always. */
static const struct {
    PmMemoryKind kind;
    const char *label;
    const char *noun; /* what row->things counts, or NULL */
} memory_labels[] = {
    {PM_MEMORY_USED, "malloc, in use", "chunk"},
    {PM_MEMORY_FREE, "malloc, free", "chunk"},
    {PM_MEMORY_OVERHEAD, "malloc, overhead", NULL},
    {PM_MEMORY_RESERVE, "malloc, not used yet", "reserve"},
    {PM_MEMORY_MODULE_DATA, "module data", "module"},
    {PM_MEMORY_STACKS, "thread stacks", "stack"},
    {PM_MEMORY_ENDED_STACKS, "stacks, thread ended", "stack"},
    {PM_MEMORY_SHARED, "shared memory", "region"},
    {PM_MEMORY_ANONYMOUS, "other anonymous", "region"},
    {PM_MEMORY_FILES, "files and module text", "region"},
    {PM_MEMORY_NO_ACCESS, "without access", "region"},
};

static void
write_memory(PmJson *json, const PmMemory *memory)
{
    pm_json_begin_array(json, "memory");
    for (guint kind = 0; kind < PM_MEMORY_KINDS; kind++) {
        const PmMemoryRow *row = &memory->rows[kind];
        pm_json_begin_object(json, NULL);
        pm_json_string(json, "kind", pm_memory_kind_name((PmMemoryKind)kind));
        pm_json_uint(json, "mapped_bytes", row->mapped_bytes);
        pm_json_uint(json, "dumped_bytes", row->dumped_bytes);
        if (memory->touched_known)
            pm_json_uint(json, "touched_bytes", row->touched_bytes);
        else
            pm_json_null(json, "touched_bytes");
        pm_json_null(json, "nonzero_bytes");
        pm_json_double(json, "share", row->share);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
}

/* What one size holds, as `schema` and `types` see it in a sample. */
static void
write_naming(PmJson *json, const PmNaming *naming, guint64 chunk_bytes)
{
    const PmSchema *schema = naming->schema;
    pm_json_begin_object(json, NULL);
    pm_json_uint(json, "chunk_bytes", chunk_bytes);
    if (schema->request.known)
        pm_json_uint(json, "inferred_request", schema->request.request);
    else
        pm_json_null(json, "inferred_request");
    pm_json_string(json, "evidence", schema->request.evidence);
    pm_json_uint(json, "chunks_sampled", schema->sample->count);
    pm_json_begin_array(json, "kinds");
    for (gsize i = 0; i < naming->row_count; i++) {
        pm_json_begin_object(json, NULL);
        pm_named_write_json(json, naming, i);
        pm_json_uint(json, "chunks", naming->rows[i].estimate);
        pm_json_bool(json, "estimated", !schema->sample->is_whole);
        pm_json_double(json, "share", pm_share(naming->rows[i].sampled, schema->sample->count));
        pm_json_address(json, "example", naming->rows[i].example);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
    pm_json_end_object(json);
}

static void
write_namings(PmJson *json, const PmSummary *summary)
{
    pm_json_begin_array(json, "contents");
    for (gsize i = 0; i < summary->naming_count; i++)
        write_naming(json, summary->namings[i], summary->sizes->rows[i].chunk_bytes);
    pm_json_end_array(json);
}

static void
write_json(const PmSink *sink, const PmSummary *summary)
{
    const PmSubject *subject = summary->subject;
    PmJson *json = sink->json;
    pm_sink_begin(sink, subject);
    pm_facts_write_json(json, subject);
    write_memory(json, &summary->memory);
    if (subject->ptmalloc == NULL) {
        pm_json_null(json, "arenas");
        pm_json_null(json, "mmapped");
        pm_json_null(json, "lost");
        pm_json_null(json, "sizes");
    } else {
        const PmArenasView view = {.arenas = summary->arenas};
        pm_arenas_write_json(sink, subject, &view, FALSE);
        pm_sizes_write_lost(json, summary->sizes);
        pm_sizes_write_json(sink, subject, summary->sizes);
    }
    write_namings(json, summary);
    pm_json_uint(json, "violations", summary->check->row_count + summary->check->omitted);
    pm_suspects_write_json(sink, summary->findings);
    pm_sink_end(sink);
}

static void
print_headline(const PmSink *sink, const PmSubject *subject)
{
    const PmProcessInfo *info = pm_process_get_info(subject->process);
    const char *name = pm_facts_program(info);
    g_autofree char *program =
        pm_sanitise_short(name == NULL ? "unknown program" : name, sink->utf8, PROGRAM_COLUMNS);
    g_autofree char *pid =
        info->pid == 0 ? g_strdup("pid unknown") : g_strdup_printf("pid %u", info->pid);
    g_autofree char *signal_text = pm_facts_describe_signal(info);
    g_autofree char *core = pm_facts_describe_core(subject->image);
    g_autofree char *malloc_text = pm_facts_describe_malloc(subject);
    g_autofree char *modules = pm_facts_describe_modules(subject->process);
    g_autofree char *symbols = pm_facts_describe_symbols(subject->process);
    pm_sink_items(sink,
                  (const char *const[]){program, pid, signal_text,
                                        pm_image_get_target(subject->image)->name, core, NULL});
    gsize module_count = 0;
    (void)pm_process_get_modules(subject->process, &module_count);
    pm_sink_items(sink, (const char *const[]){malloc_text, modules,
                                              module_count == 0 ? NULL : symbols, NULL});
    if (subject->heap_message != NULL)
        pm_sink_paragraph(sink, "", 0, subject->heap_message);
}

static void
print_memory_row(const PmSink *sink, const PmMemory *memory, guint index)
{
    const PmMemoryRow *row = &memory->rows[memory_labels[index].kind];
    const char *noun = memory_labels[index].noun;
    if (row->mapped_bytes == 0)
        return;
    PmShort things = {""};
    if (noun != NULL)
        things = pm_format_things(row->things, noun);
    guint64 real = memory->touched_known ? row->touched_bytes : row->dumped_bytes;
    g_autofree char *bar = pm_sink_bar(sink, row->share, BAR_COLUMNS);
    pm_sink_line(sink, "  %-22s %20s %11s %11s %8s  %s", memory_labels[index].label, things.text,
                 pm_format_bytes(row->mapped_bytes).text, pm_format_bytes(real).text,
                 pm_format_share(row->share).text, bar);
}

static void
print_memory(const PmSink *sink, const PmSubject *subject, const PmMemory *memory)
{
    g_autofree char *heading = g_strdup_printf("%-45s %11s %11s", "WHERE THE MEMORY IS", "mapped",
                                               memory->touched_known ? "touched" : "dumped");
    pm_sink_heading(sink, heading);
    for (guint i = 0; i < G_N_ELEMENTS(memory_labels); i++)
        print_memory_row(sink, memory, i);
    guint64 lost = pm_image_get_coverage(subject->image)->lost_bytes;
    if (lost > 0)
        pm_sink_line(sink, "  %s of this were dumped and are lost: the core is cut off",
                     pm_format_bytes(lost).text);
}

static guint64
rows_on_page(const PmSink *sink, guint64 count, guint64 usual)
{
    return pm_sink_rows(sink->top_given ? sink->top : usual, count);
}

static void
print_arenas(const PmSink *sink, const PmPtmalloc *ptmalloc, const PmArenas *arenas)
{
    const PmArenasView view = {.arenas = arenas};
    const gsize count = arenas->count;
    guint64 shown = rows_on_page(sink, count, ARENAS_SHOWN);
    const PmMmapped *mmapped = pm_ptmalloc_get_mmapped(ptmalloc);
    pm_sink_heading(sink, "ARENAS");
    pm_arenas_print_table(sink, &view, shown);
    if (shown < count)
        pm_sink_line(sink, "  %s: postmalloc arenas %s --top 0",
                     pm_format_more(count - shown, "arena").text, sink->again);
    if (mmapped->chunks > 0)
        pm_sink_line(sink, "  mmapped on their own: %s, %s",
                     pm_format_things(mmapped->chunks, "chunk").text,
                     pm_format_bytes(mmapped->bytes).text);
}

/* Sizes of which something is in use. */
static gsize
count_used_sizes(const PmSizes *sizes)
{
    gsize count = 0;
    while (count < sizes->row_count && sizes->rows[count].used_chunks > 0)
        count++;
    return count;
}

static void
print_sizes(const PmSink *sink, const PmSummary *summary)
{
    const PmSizes *sizes = summary->sizes;
    const gsize count = count_used_sizes(sizes);
    const gboolean has_suspects = summary->findings->suspects->len > 0;
    guint64 shown = rows_on_page(sink, count, has_suspects ? SIZES_BESIDE_SUSPECTS : SIZES_SHOWN);
    guint64 rest = 0;
    for (gsize i = shown; i < count; i++)
        rest += pm_size_row_used_bytes(&sizes->rows[i]);
    if (count == 0)
        return;
    pm_sink_heading(sink, "TOP SIZES");
    pm_sizes_print_table(sink, summary->subject, sizes, shown);
    pm_sizes_print_lost(sink, sizes);
    if (shown < count)
        pm_sink_line(sink, "  %s %s the other %s: postmalloc sizes %s --top 0",
                     pm_format_more(count - shown, "size").text, pm_format_hold(count - shown),
                     pm_format_share(pm_share(rest, sizes->states[PM_CHUNK_USED].chunk_bytes)).text,
                     sink->again);
}

static void
print_naming(const PmSink *sink, const PmNaming *naming, guint64 chunk_bytes)
{
    const PmSchema *schema = naming->schema;
    g_autofree char *label = g_strdup_printf("  %s", pm_format_address(chunk_bytes).text);
    const char *beside = label;
    for (gsize i = 0; i < MIN(naming->row_count, NAMES_SHOWN); i++) {
        const double share = pm_share(naming->rows[i].sampled, schema->sample->count);
        if (i > 0 && share < NAMES_SHARE)
            break;
        g_autofree char *name = pm_named_describe(naming, i);
        g_autofree char *text = naming->row_count == 1
                                    ? g_strdup(name)
                                    : g_strdup_printf("%s %s", pm_format_share(share).text, name);
        pm_sink_paragraph(sink, beside, NAMES_INDENT, text);
        beside = "";
    }
    if (!schema->request.known)
        return;
    g_autofree char *request = g_strdup_printf("requests of %" G_GUINT64_FORMAT " bytes: %s",
                                               schema->request.request, schema->request.evidence);
    pm_sink_paragraph(sink, "", NAMES_INDENT, request);
}

/* The sizes that hold most of the heap; the others' lines would not fit the page. */
static void
print_namings(const PmSink *sink, const PmSummary *summary)
{
    const PmTotal *used = &summary->sizes->states[PM_CHUNK_USED];
    guint shown = 0;
    for (gsize i = 0; i < summary->naming_count && shown < NAMED_SHOWN; i++) {
        const PmSizeRow *row = &summary->sizes->rows[i];
        if (summary->namings[i]->row_count == 0 ||
            pm_share(pm_size_row_used_bytes(row), used->chunk_bytes) < NAMES_SHARE)
            continue;
        if (shown++ == 0)
            pm_sink_heading(sink, "WHAT THEY ARE");
        print_naming(sink, summary->namings[i], row->chunk_bytes);
    }
}

static void
print_damage(const PmSink *sink, const PmCheck *check)
{
    if (check->row_count == 0)
        return;
    const PmDiagnostic *worst = check->rows[0].diagnostic;
    g_autofree char *label =
        worst->address == PM_ADDR_NONE
            ? g_strdup("  the worst:")
            : g_strdup_printf("  at %s:", pm_format_address(worst->address).text);
    pm_sink_heading(sink, worst->severity == PM_SEVERITY_ERROR ? "THE HEAP IS DAMAGED"
                                                               : "THE HEAP IS NOT IN ORDER");
    pm_sink_line(sink, "  %s, of which this is the worst:",
                 pm_format_things(check->row_count + check->omitted, "violation").text);
    pm_sink_paragraph(sink, label, 22, worst->text);
}

static void
print_next(const PmSink *sink, const PmSummary *summary)
{
    const gboolean has_suspects = pm_findings_have_suspects(summary->findings);
    pm_sink_heading(sink, "NEXT");
    if (summary->sizes != NULL) {
        if (summary->check->row_count > 0)
            pm_sink_line(sink, "  postmalloc check %s", sink->again);
        if (summary->sizes->lost.chunks > 0)
            pm_sink_line(sink, "  postmalloc leaks %s", sink->again);
        if (!has_suspects)
            pm_sink_line(sink, "  postmalloc types %s", sink->again);
        pm_sink_line(sink, "  postmalloc arenas %s", sink->again);
        if (summary->check->row_count == 0 && !has_suspects)
            pm_sink_line(sink, "  postmalloc check %s", sink->again);
    }
    pm_sink_line(sink, "  postmalloc info %s", sink->again);
}

void
pm_report_summary(const PmSink *sink, const PmSummary *summary)
{
    const PmSubject *subject = summary->subject;
    if (sink->json != NULL) {
        write_json(sink, summary);
        return;
    }
    print_headline(sink, subject);
    print_damage(sink, summary->check);
    print_memory(sink, subject, &summary->memory);
    if (subject->ptmalloc != NULL || summary->findings->suspects->len > 0)
        pm_suspects_print(sink, summary->findings);
    if (subject->ptmalloc != NULL) {
        const gboolean has_suspects = pm_findings_have_suspects(summary->findings);
        if (!has_suspects)
            print_arenas(sink, subject->ptmalloc, summary->arenas);
        print_sizes(sink, summary);
        print_namings(sink, summary);
    }
    print_next(sink, summary);
}
