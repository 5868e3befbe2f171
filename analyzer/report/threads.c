/*
 * threads: where each one stopped, and what it has. Equal backtraces are told once.
 */
#include "report/threads.h"

#include "base/demangle.h"
#include "process/lines.h"
#include "report/facts.h"
#include "report/table.h"

#include <string.h>

/* Of a backtrace: the innermost frames, and the outermost ones of a long one. */
#define FRAMES_SHOWN 24
#define FRAMES_LAST  4

/* So many equal frames in a row are told each. */
#define SAME_TOLD 2

/* Ids in the heading of a group. */
#define TIDS_SHOWN 8

#define WHERE_COLUMNS 32
#define FRAME_INDENT  6

/*
 * Where a frame is. @function: demangled, or NULL where no symbol covers it. @module: a file's name
 * without its folder, or NULL; @path: with it. @file: of the source; NULL without line numbers.
 */
typedef struct {
    char *function;
    guint64 offset_bytes;
    char *module;
    const char *path;
    guint64 module_offset_bytes;
    const char *file;
    guint line;
} Place;

static void
find_place(const PmSubject *subject, PmLines *lines, const PmFrame *frame, Place *ret_place)
{
    const PmAddr code = pm_frame_get_code(frame);
    const PmModule *module = pm_process_find_module(subject->process, code);
    PmSymbol symbol;
    const PmFileMapping *mapping = pm_image_find_file_mapping(subject->image, code);
    Place place = {NULL, 0, NULL, NULL, 0, NULL, 0};
    if (pm_process_symbolize(subject->process, code, &symbol, &place.offset_bytes) &&
        (symbol.size_bytes == 0 || place.offset_bytes < symbol.size_bytes)) {
        place.function = pm_demangle_symbol(symbol.name);
        if (place.function == NULL)
            place.function = g_strdup(symbol.name);
        place.offset_bytes += frame->pc - code;
    }
    if (module != NULL) {
        place.module = g_path_get_basename(module->path);
        place.path = module->path;
        place.module_offset_bytes = frame->pc - module->bias;
    } else if (mapping != NULL) {
        place.module = g_path_get_basename(mapping->path);
        place.path = mapping->path;
        place.module_offset_bytes = frame->pc - mapping->start + mapping->file_offset_bytes;
    }
    if (!pm_lines_find(lines, code, &place.file, &place.line))
        place.file = NULL;
    *ret_place = place;
}

static void
clear_place(Place *place)
{
    g_free(place->function);
    g_free(place->module);
}

static const char *
get_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* "parse_event+0x1f", "libfoo.so.3+0x4c10", "?". (transfer full) */
static char *
describe_code(const Place *place)
{
    if (place->function != NULL)
        return g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", place->function,
                               place->offset_bytes);
    if (place->module != NULL)
        return g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", place->module,
                               place->module_offset_bytes);
    return g_strdup("?");
}

static void
write_known(PmJson *json, const char *key, guint64 bytes)
{
    if (bytes == PM_BYTES_UNKNOWN)
        pm_json_null(json, key);
    else
        pm_json_uint(json, key, bytes);
}

static void
write_frame(PmJson *json, const PmSubject *subject, PmLines *lines, const PmFrame *frame)
{
    Place place;
    find_place(subject, lines, frame, &place);
    pm_json_begin_object(json, NULL);
    pm_json_address(json, "pc", frame->pc);
    pm_json_address(json, "sp", frame->sp);
    pm_json_string(json, "function", place.function);
    if (place.function == NULL)
        pm_json_null(json, "offset");
    else
        pm_json_uint(json, "offset", place.offset_bytes);
    pm_json_string(json, "module", place.path);
    pm_json_string(json, "file", place.file);
    if (place.file == NULL)
        pm_json_null(json, "line");
    else
        pm_json_uint(json, "line", place.line);
    pm_json_end_object(json);
    clear_place(&place);
}

static void
write_stack(PmJson *json, const PmThreadFacts *facts)
{
    const gboolean known = pm_range_bytes(facts->stack) > 0;
    pm_json_address(json, "stack_start", known ? facts->stack.start : PM_ADDR_NONE);
    pm_json_address(json, "stack_end", known ? facts->stack.end : PM_ADDR_NONE);
    write_known(json, "stack_used_bytes", facts->used_bytes);
    write_known(json, "stack_touched_bytes", facts->stack_touched_bytes);
    pm_json_string(json, "runs_on",
                   facts->runs_on == PM_REGION_KINDS ? NULL : pm_region_kind_name(facts->runs_on));
}

static void
write_cache(PmJson *json, const PmThreadCache *cache)
{
    if (cache == NULL) {
        pm_json_null(json, "tcache");
        return;
    }
    pm_json_begin_object(json, "tcache");
    pm_json_address(json, "address", cache->address);
    pm_json_uint(json, "chunks", cache->chunks);
    pm_json_uint(json, "chunk_bytes", cache->chunk_bytes);
    pm_json_end_object(json);
}

static void
write_thread(PmJson *json, const PmSubject *subject, PmLines *lines, const PmThreadFacts *facts)
{
    pm_json_begin_object(json, NULL);
    pm_json_uint(json, "tid", facts->thread->tid);
    pm_json_string(json, "name", facts->name);
    pm_json_bool(json, "recovered", facts->thread->recovered);
    pm_json_address(json, "pc", facts->thread->pc);
    pm_json_address(json, "sp", facts->thread->sp);
    write_stack(json, facts);
    pm_json_address(json, "arena", facts->arena);
    write_cache(json, facts->cache);
    pm_json_uint(json, "group", facts->group);
    pm_json_string(json, "ends", pm_unwind_end_name(facts->end));
    pm_json_begin_array(json, "frames");
    for (gsize i = 0; i < facts->frame_count; i++)
        write_frame(json, subject, lines, &facts->frames[i]);
    pm_json_end_array(json);
    pm_json_end_object(json);
}

static void
write_json(const PmSink *sink, const PmSubject *subject, const PmThreads *threads)
{
    g_autoptr(PmLines) lines = pm_lines_new(subject->process);
    const guint64 shown = pm_sink_rows(sink->top_given ? sink->top : 0, threads->thread_count);
    pm_sink_begin(sink, subject);
    pm_json_begin_array(sink->json, "threads");
    for (gsize i = 0; i < shown; i++)
        write_thread(sink->json, subject, lines, &threads->threads[i]);
    pm_json_end_array(sink->json);
    pm_sink_json_omitted(sink, "threads", threads->thread_count - shown);
    pm_sink_end(sink);
}

/* ---- text ---- */

static const char *
format_known(guint64 bytes, PmShort *text)
{
    if (bytes == PM_BYTES_UNKNOWN)
        return NULL;
    *text = pm_format_bytes(bytes);
    return text->text;
}

static void
add_row(const PmSink *sink, PmTable *table, const PmSubject *subject, PmLines *lines,
        const PmThreadFacts *facts)
{
    g_autofree char *where = NULL;
    PmShort text;
    if (facts->frame_count > 0) {
        Place place;
        find_place(subject, lines, &facts->frames[0], &place);
        g_autofree char *code = describe_code(&place);
        where = pm_sanitise_short(code, sink->utf8, WHERE_COLUMNS);
        clear_place(&place);
    }
    g_autofree char *tid =
        facts->thread->tid == 0 ? g_strdup("?") : g_strdup_printf("%u", facts->thread->tid);
    pm_table_add_row(table);
    pm_table_add_cell(table, tid);
    pm_table_add_cell(table, facts->name);
    pm_table_add_cell(table, where);
    pm_table_add_cell(table, format_known(facts->used_bytes, &text));
    pm_table_add_cell(table, format_known(facts->stack_touched_bytes, &text));
    pm_table_add_cell(table, pm_range_bytes(facts->stack) == 0
                                 ? NULL
                                 : pm_format_bytes(pm_range_bytes(facts->stack)).text);
    pm_table_add_cell(table,
                      facts->arena == PM_ADDR_NONE ? NULL : pm_format_address(facts->arena).text);
    pm_table_add_cell(table,
                      facts->cache == NULL ? NULL : pm_format_count(facts->cache->chunks).text);
}

static void
print_table(const PmSink *sink, const PmSubject *subject, PmLines *lines, const PmThreads *threads)
{
    static const PmColumn columns[] = {{"THREAD", TRUE}, {"NAME", FALSE},   {"STOPPED IN", FALSE},
                                       {"USED", TRUE},   {"TOUCHED", TRUE}, {"OF STACK", TRUE},
                                       {"ARENA", FALSE}, {"TCACHE", TRUE}};
    const guint64 shown = pm_sink_rows(sink->top, threads->thread_count);
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    for (gsize i = 0; i < shown; i++)
        add_row(sink, table, subject, lines, &threads->threads[i]);
    pm_sink_heading(sink, "THREADS");
    pm_table_print(table, 2);
    if (shown < threads->thread_count)
        pm_sink_line(sink, "  %s: postmalloc threads %s --top 0",
                     pm_format_more(threads->thread_count - shown, "thread").text, sink->again);
}

/* "8 threads: 7, 8, 9 and 5 more" (transfer full) */
static char *
describe_group(const PmThreads *threads, gsize index)
{
    const PmThreadGroup *group = &threads->groups[index];
    gsize shown = 0;
    GString *text = g_string_new(pm_format_things(group->threads, "thread").text);
    for (gsize i = group->first; i < threads->thread_count && shown < TIDS_SHOWN; i++) {
        if (threads->threads[i].group != index)
            continue;
        g_string_append(text, shown++ == 0 ? ": " : ", ");
        if (threads->threads[i].thread->tid == 0)
            g_string_append(text, "?");
        else
            g_string_append_printf(text, "%u", threads->threads[i].thread->tid);
    }
    if (shown < group->threads)
        g_string_append_printf(text, " and %s more", pm_format_count(group->threads - shown).text);
    return g_string_free(text, FALSE);
}

static void
print_frame(const PmSink *sink, const PmSubject *subject, PmLines *lines,
            const PmThreadFacts *facts, gsize index)
{
    Place place;
    find_place(subject, lines, &facts->frames[index], &place);
    g_autofree char *code = describe_code(&place);
    g_autofree char *label = g_strdup_printf("  #%" G_GSIZE_FORMAT, index);
    g_autofree char *text =
        place.file != NULL
            ? g_strdup_printf("%s  %s:%u  %s", code, get_file_name(place.file), place.line,
                              place.function != NULL && place.module != NULL ? place.module : "")
            : g_strdup_printf("%s  %s", code,
                              place.function != NULL && place.module != NULL ? place.module
                              : place.module != NULL
                                  ? "(no symbol)"
                                  : pm_format_address(facts->frames[index].pc).text);
    pm_sink_paragraph(sink, label, FRAME_INDENT, g_strchomp(text));
    clear_place(&place);
}

/* How many frames from @index on are the same: a recursion. */
static gsize
count_same(const PmThreadFacts *facts, gsize index)
{
    gsize same = 1;
    while (index + same < facts->frame_count &&
           facts->frames[index + same].pc == facts->frames[index].pc)
        same++;
    return same;
}

/* Prints the frame at @index. Returns: of how many it tells. */
static gsize
print_frames(const PmSink *sink, const PmSubject *subject, PmLines *lines,
             const PmThreadFacts *facts, gsize index)
{
    const gsize same = sink->verbose ? 1 : count_same(facts, index);
    print_frame(sink, subject, lines, facts, index);
    if (same <= SAME_TOLD)
        return 1;
    pm_sink_line(sink, "      %s like it", pm_format_more(same - 1, "frame").text);
    return same;
}

static void
print_backtrace(const PmSink *sink, const PmSubject *subject, PmLines *lines,
                const PmThreadFacts *facts)
{
    guint told = 0;
    for (gsize i = 0; i < facts->frame_count; told++) {
        const gsize left = facts->frame_count - i;
        if (!sink->verbose && told == FRAMES_SHOWN && left > FRAMES_LAST) {
            pm_sink_line(sink, "      %s (-v)", pm_format_more(left - FRAMES_LAST, "frame").text);
            i = facts->frame_count - FRAMES_LAST;
            continue;
        }
        i += print_frames(sink, subject, lines, facts, i);
    }
    g_autofree char *end = pm_threads_describe_end(subject, facts);
    if (end != NULL)
        pm_sink_paragraph(sink, "  ...", FRAME_INDENT, end);
    if (pm_range_bytes(facts->stack) > 0 && facts->used_bytes == PM_BYTES_UNKNOWN &&
        facts->runs_on != PM_REGION_KINDS)
        pm_sink_line(sink, "  on another stack than its own, in memory of kind %s",
                     pm_region_kind_name(facts->runs_on));
}

static void
print_groups(const PmSink *sink, const PmSubject *subject, PmLines *lines, const PmThreads *threads)
{
    const PmProcessInfo *info = pm_process_get_info(subject->process);
    const guint64 shown = pm_sink_rows(sink->top, threads->group_count);
    for (gsize i = 0; i < shown; i++) {
        const PmThreadFacts *first = &threads->threads[threads->groups[i].first];
        g_autofree char *group = describe_group(threads, i);
        const gboolean crashed = i == 0 && info->crashed_tid != 0 && info->signal_name != NULL;
        g_autofree char *heading =
            crashed ? g_strdup_printf("%s (%s in %u)", group, info->signal_name, info->crashed_tid)
                    : g_strdup(group);
        pm_sink_heading(sink, heading);
        print_backtrace(sink, subject, lines, first);
    }
    if (shown < threads->group_count)
        pm_sink_line(sink, "\n%s: postmalloc threads %s --top 0",
                     pm_format_more(threads->group_count - shown, "backtrace").text, sink->again);
}

void
pm_report_threads(const PmSink *sink, const PmSubject *subject, const PmThreads *threads)
{
    if (sink->json != NULL) {
        write_json(sink, subject, threads);
        return;
    }
    g_autoptr(PmLines) lines = pm_lines_new(subject->process);
    g_autofree char *signal_text = pm_facts_describe_signal(pm_process_get_info(subject->process));
    const PmShort count = pm_format_things(threads->thread_count, "thread");
    const PmShort groups = pm_format_things(threads->group_count, "backtrace");
    const char *const items[] = {count.text, groups.text, signal_text, NULL};
    pm_sink_items(sink, items);
    print_table(sink, subject, lines, threads);
    print_groups(sink, subject, lines, threads);
}
