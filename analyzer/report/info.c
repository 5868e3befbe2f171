/*
 * info: program, threads, glibc, modules and coverage, as text and JSON.
 */
#include "report/info.h"

#include "report/facts.h"
#include "report/table.h"

/* Thread ids in one line of text, where -v was not given. */
#define TIDS_SHOWN 12

static const char *
elf_name(PmElfState state)
{
    static const char *const names[] = {"found", "missing", "mismatch"};
    return names[state];
}

static const char *
symbols_name(PmSymbols symbols)
{
    static const char *const names[] = {"none", "dynsym", "symtab"};
    return names[symbols];
}

static void
write_threads(PmJson *json, const PmProcess *process)
{
    gsize count = 0;
    const PmThread *threads = pm_process_get_threads(process, &count);
    pm_json_begin_array(json, "threads");
    for (gsize i = 0; i < count; i++) {
        pm_json_begin_object(json, NULL);
        if (threads[i].tid == 0)
            pm_json_null(json, "tid");
        else
            pm_json_uint(json, "tid", threads[i].tid);
        pm_json_address(json, "pc", threads[i].pc);
        pm_json_address(json, "sp", threads[i].sp);
        pm_json_bool(json, "recovered", threads[i].recovered);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
}

static void
write_modules(const PmSink *sink, const PmProcess *process)
{
    PmJson *json = sink->json;
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(process, &count);
    guint64 shown = pm_sink_rows(sink->top, count);
    pm_json_begin_array(json, "modules");
    for (gsize i = 0; i < shown; i++) {
        const PmModule *module = &modules[i];
        pm_json_begin_object(json, NULL);
        pm_json_string(json, "path", module->path);
        pm_json_address(json, "start", module->start);
        pm_json_address(json, "end", module->end);
        pm_json_string(json, "build_id", module->build_id);
        pm_json_string(json, "elf", elf_name(module->elf));
        pm_json_string(json, "symbols", symbols_name(module->symbols));
        pm_json_bool(json, "dwarf", module->dwarf);
        pm_json_string(json, "file", module->file);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
    pm_sink_json_omitted(sink, "modules", count - shown);
}

static char *
list_threads(const PmSink *sink, const PmProcess *process)
{
    gsize count = 0;
    const PmThread *threads = pm_process_get_threads(process, &count);
    guint32 crashed = pm_process_get_info(process)->crashed_tid;
    gsize shown = sink->verbose ? count : MIN(count, TIDS_SHOWN);
    GString *text = g_string_new(count == 0 ? "unknown" : pm_format_count(count).text);
    for (gsize i = 0; i < shown; i++) {
        g_string_append(text, i == 0 ? ": " : ", ");
        if (threads[i].tid == 0)
            g_string_append(text, "?");
        else
            g_string_append_printf(text, "%u", threads[i].tid);
        if (threads[i].recovered)
            g_string_append(text, " (recovered)");
        else if (threads[i].tid == crashed && crashed != 0)
            g_string_append(text, " (crashed)");
    }
    if (shown < count)
        g_string_append_printf(text, " and %s more (-v)", pm_format_count(count - shown).text);
    return g_string_free(text, FALSE);
}

static void
print_malloc(const PmSink *sink, const PmSubject *subject)
{
    if (subject->ptmalloc == NULL) {
        pm_sink_field(sink, "malloc", subject->allocator);
        if (subject->heap_message != NULL)
            pm_sink_paragraph(sink, "", 15, subject->heap_message);
        return;
    }
    const PmGlibc *glibc = pm_ptmalloc_get_glibc(subject->ptmalloc);
    g_autofree char *malloc_text = pm_facts_describe_malloc(subject);
    pm_sink_field(sink, "malloc", malloc_text);
    pm_sink_field(sink, "layout", glibc->family);
    g_autofree char *arena =
        glibc->main_arena == PM_ADDR_NONE || glibc->module == NULL
            ? NULL
            : g_strdup_printf("%s in %s", pm_format_address(glibc->main_arena).text,
                              glibc->module->path);
    if (arena != NULL || glibc->main_arena == PM_ADDR_NONE)
        pm_sink_field(sink, "main_arena", arena);
    else
        pm_sink_field(sink, "main_arena", pm_format_address(glibc->main_arena).text);
    pm_sink_field(sink, "mp_",
                  glibc->mp == PM_ADDR_NONE ? NULL : pm_format_address(glibc->mp).text);
}

static void
print_program(const PmSink *sink, const PmSubject *subject)
{
    const PmProcessInfo *info = pm_process_get_info(subject->process);
    const PmCoverage *coverage = pm_image_get_coverage(subject->image);
    g_autofree char *signal_text = pm_facts_describe_signal(info);
    g_autofree char *core = pm_facts_describe_core(subject->image);
    g_autofree char *threads = list_threads(sink, subject->process);
    g_autofree char *covered = g_strdup_printf(
        "%s mapped, %s dumped, %s lost", pm_format_bytes(coverage->mapped_bytes).text,
        pm_format_bytes(coverage->dumped_bytes).text, pm_format_bytes(coverage->lost_bytes).text);
    char pid[16];
    g_snprintf(pid, sizeof pid, "%u", info->pid);
    pm_sink_field(sink, "program", info->executable);
    pm_sink_field(sink, "arguments", info->arguments);
    pm_sink_field(sink, "pid", info->pid == 0 ? NULL : pid);
    pm_sink_field(sink, "ended by", signal_text);
    pm_sink_field(sink, "threads", threads);
    pm_sink_field(sink, "machine", pm_image_get_target(subject->image)->name);
    pm_sink_field(sink, "core", core);
    pm_sink_field(sink, "memory", covered);
    print_malloc(sink, subject);
}

static void
print_modules(const PmSink *sink, const PmProcess *process)
{
    static const PmColumn columns[] = {{"START", FALSE},   {"END", FALSE},   {"FILE", FALSE},
                                       {"SYMBOLS", FALSE}, {"DWARF", FALSE}, {"BUILD-ID", FALSE},
                                       {"PATH", FALSE}};
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(process, &count);
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    for (gsize i = 0; i < count; i++) {
        const PmModule *module = &modules[i];
        pm_table_add_row(table);
        pm_table_add_cell(table, pm_format_address(module->start).text);
        pm_table_add_cell(table, pm_format_address(module->end).text);
        pm_table_add_cell(table, elf_name(module->elf));
        pm_table_add_cell(table, symbols_name(module->symbols));
        pm_table_add_cell(table, module->dwarf ? "yes" : "no");
        /* Eight bytes tell builds apart; -v gives all of it. */
        g_autofree char *id = module->build_id == NULL || sink->verbose
                                  ? g_strdup(module->build_id)
                                  : g_strndup(module->build_id, 16);
        pm_table_add_cell(table, id);
        pm_table_add_cell(table, module->path);
    }
    g_autofree char *files = pm_facts_describe_modules(process);
    g_autofree char *symbols = pm_facts_describe_symbols(process);
    pm_sink_heading(sink, "MODULES");
    pm_sink_line(sink, "  %s %s %s", files, pm_sink_dot(sink), symbols);
    pm_table_print(table, 2);
}

void
pm_report_info(const PmSink *sink, const PmSubject *subject)
{
    if (sink->json == NULL) {
        print_program(sink, subject);
        print_modules(sink, subject->process);
        return;
    }
    pm_sink_begin(sink, subject);
    pm_facts_write_json(sink->json, subject);
    write_threads(sink->json, subject->process);
    write_modules(sink, subject->process);
    pm_sink_end(sink);
}
