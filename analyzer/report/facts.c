/*
 * Facts about a core; see facts.h.
 */
#include "report/facts.h"

#include <string.h>

PmModuleCounts
pm_facts_count_modules(const PmProcess *process)
{
    PmModuleCounts counts = {0};
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(process, &count);
    for (gsize i = 0; i < count; i++) {
        if (modules[i].is_vdso)
            continue;
        counts.modules++;
        counts.found += modules[i].elf == PM_ELF_FOUND;
        counts.missing += modules[i].elf == PM_ELF_MISSING;
        counts.mismatched += modules[i].elf == PM_ELF_MISMATCH;
        counts.with_symbols += modules[i].symbols == PM_SYMBOLS_SYMTAB;
        counts.with_dwarf += modules[i].dwarf ? 1 : 0;
    }
    return counts;
}

/* 0 stands for "unknown" in what a note gives; JSON says null. */
static void
write_nonzero(PmJson *json, const char *key, guint64 value)
{
    if (value == 0)
        pm_json_null(json, key);
    else
        pm_json_uint(json, key, value);
}

static void
write_process(PmJson *json, const PmProcessInfo *info)
{
    pm_json_begin_object(json, "process");
    write_nonzero(json, "pid", info->pid);
    pm_json_string(json, "executable", info->executable);
    pm_json_string(json, "arguments", info->arguments);
    write_nonzero(json, "signal", info->signal > 0 ? (guint64)info->signal : 0);
    pm_json_string(json, "signal_name", info->signal_name);
    write_nonzero(json, "crashed_thread", info->crashed_tid);
    pm_json_address(json, "fault_address", info->fault_address);
    pm_json_end_object(json);
}

static void
write_glibc(PmJson *json, const PmPtmalloc *ptmalloc)
{
    if (ptmalloc == NULL) {
        pm_json_null(json, "glibc");
        return;
    }
    const PmGlibc *glibc = pm_ptmalloc_get_glibc(ptmalloc);
    pm_json_begin_object(json, "glibc");
    pm_json_string(json, "version", glibc->version);
    pm_json_string(json, "family", glibc->family);
    pm_json_address(json, "main_arena", glibc->main_arena);
    pm_json_string(json, "found_by", pm_found_by_name(glibc->found_by));
    pm_json_address(json, "mp", glibc->mp);
    pm_json_end_object(json);
}

static void
write_coverage(PmJson *json, const PmImage *image)
{
    const PmCoverage *coverage = pm_image_get_coverage(image);
    pm_json_begin_object(json, "coverage");
    pm_json_uint(json, "mapped_bytes", coverage->mapped_bytes);
    pm_json_uint(json, "dumped_bytes", coverage->dumped_bytes);
    pm_json_uint(json, "lost_bytes", coverage->lost_bytes);
    pm_json_uint(json, "file_bytes", coverage->file_bytes);
    pm_json_uint(json, "expected_bytes", coverage->expected_bytes);
    pm_json_uint(json, "disk_bytes", coverage->disk_bytes);
    pm_json_string(json, "origin",
                   pm_image_get_origin(image) == PM_ORIGIN_KERNEL ? "kernel" : "gcore");
    pm_json_end_object(json);
}

void
pm_facts_write_json(PmJson *json, const PmSubject *subject)
{
    write_process(json, pm_process_get_info(subject->process));
    write_glibc(json, subject->ptmalloc);
    pm_json_string(json, "allocator", subject->allocator);
    pm_json_string(json, "heap_message", subject->heap_message);
    write_coverage(json, subject->image);
}

char *
pm_facts_describe_signal(const PmProcessInfo *info)
{
    GString *text = g_string_new(NULL);
    if (info->signal == 0) {
        g_string_append(text, "no signal");
        return g_string_free(text, FALSE);
    }
    if (info->signal_name != NULL)
        g_string_append(text, info->signal_name);
    else
        g_string_append_printf(text, "signal %d", info->signal);
    if (info->crashed_tid != 0)
        g_string_append_printf(text, " in thread %u", info->crashed_tid);
    if (info->fault_address != PM_ADDR_NONE)
        g_string_append_printf(text, " at %s", pm_format_address(info->fault_address).text);
    return g_string_free(text, FALSE);
}

char *
pm_facts_describe_core(const PmImage *image)
{
    const PmCoverage *coverage = pm_image_get_coverage(image);
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "%s, %s",
                           pm_image_get_origin(image) == PM_ORIGIN_KERNEL ? "kernel core"
                                                                          : "gcore snapshot",
                           pm_format_bytes(coverage->file_bytes).text);
    /* A few blocks more or less are the file system's; a fifth less is a sparse file. */
    if (coverage->disk_bytes < coverage->file_bytes / 5 * 4)
        g_string_append_printf(text, " (%s on disk)", pm_format_bytes(coverage->disk_bytes).text);
    if (!pm_image_is_truncated(image))
        g_string_append(text, ", complete");
    else if (coverage->expected_bytes > coverage->file_bytes)
        g_string_append_printf(
            text, ", cut off: %s lost",
            pm_format_bytes(coverage->expected_bytes - coverage->file_bytes).text);
    else
        g_string_append(text, ", cut off");
    return g_string_free(text, FALSE);
}

char *
pm_facts_describe_malloc(const PmSubject *subject)
{
    if (subject->ptmalloc == NULL)
        return g_strdup(subject->allocator == NULL ? "no heap found" : subject->allocator);
    const PmGlibc *glibc = pm_ptmalloc_get_glibc(subject->ptmalloc);
    GString *text = g_string_new("glibc ");
    if (glibc->version != NULL)
        g_string_append(text, glibc->version);
    else
        g_string_append_printf(text, "of the %s layout", glibc->family);
    static const char *const how[] = {"symbol", "debug file", "signature"};
    g_string_append_printf(text, ", arenas found by %s", how[glibc->found_by]);
    return g_string_free(text, FALSE);
}

char *
pm_facts_describe_modules(const PmProcess *process)
{
    PmModuleCounts counts = pm_facts_count_modules(process);
    if (counts.modules == 0)
        return g_strdup("no modules known");
    GString *text = g_string_new(pm_format_things(counts.modules, "module").text);
    if (counts.found == counts.modules) {
        g_string_append(text, counts.modules == 1 ? ", file found" : ", all files found");
        return g_string_free(text, FALSE);
    }
    g_string_append_printf(text, ", %s found", pm_format_things(counts.found, "file").text);
    if (counts.missing > 0)
        g_string_append_printf(text, ", %" G_GSIZE_FORMAT " missing", counts.missing);
    if (counts.mismatched > 0)
        g_string_append_printf(text, ", %" G_GSIZE_FORMAT " of another build", counts.mismatched);
    return g_string_free(text, FALSE);
}

char *
pm_facts_describe_symbols(const PmProcess *process)
{
    PmModuleCounts counts = pm_facts_count_modules(process);
    return g_strdup_printf("symbols for %" G_GSIZE_FORMAT ", DWARF for %" G_GSIZE_FORMAT,
                           counts.with_symbols, counts.with_dwarf);
}

const char *
pm_facts_program(const PmProcessInfo *info)
{
    if (info->executable == NULL)
        return NULL;
    const char *slash = strrchr(info->executable, '/');
    return slash == NULL || slash[1] == '\0' ? info->executable : slash + 1;
}
