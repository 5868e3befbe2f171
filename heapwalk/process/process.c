/*
 * Opening a process, and what it answers from what it has; the reading itself is in the other files
 * of this room.
 */
#include "process/process.h"

#include "process/symbols.h"

#include <string.h>

#define DEFAULT_PAGE_BYTES 4096

static void
clear_module(gpointer data)
{
    PmModule *module = data;
    g_free(module->path);
    g_free(module->file);
    g_free(module->build_id);
    g_free(module->data);
    g_free(module->loads);
}

static gint
compare_starts(gconstpointer a, gconstpointer b, gpointer data)
{
    const PmProcess *process = data;
    const PmModule *left = pm_process_module_at(process, *(const guint32 *)a);
    const PmModule *right = pm_process_module_at(process, *(const guint32 *)b);
    return left->start < right->start ? -1 : left->start > right->start;
}

/* Sorts by address; where a damaged header claims its neighbour's memory it is cut short. */
static void
index_modules(PmProcess *process)
{
    for (guint32 i = 0; i < process->modules->len; i++)
        g_array_append_val(process->by_address, i);
    g_array_sort_with_data(process->by_address, compare_starts, process);
    for (guint i = 0; i + 1 < process->by_address->len; i++) {
        PmModule *module =
            pm_process_module_at(process, g_array_index(process->by_address, guint32, i));
        const PmModule *next =
            pm_process_module_at(process, g_array_index(process->by_address, guint32, i + 1));
        module->end = MIN(module->end, next->start);
    }
}

PmProcess *
pm_process_open(const PmImage *image, const PmProcessOptions *options, PmDiagnostics *diagnostics,
                GError **error)
{
    g_autoptr(PmProcess) process = g_new0(PmProcess, 1);
    process->image = image;
    process->diagnostics = diagnostics;
    process->space = pm_space_new(image);
    process->page_bytes = DEFAULT_PAGE_BYTES;
    process->auxv = g_array_new(FALSE, FALSE, sizeof(PmAuxv));
    process->modules = g_array_new(FALSE, FALSE, sizeof(PmModule));
    g_array_set_clear_func(process->modules, clear_module);
    process->parts = g_ptr_array_new_with_free_func((GDestroyNotify)pm_module_parts_free);
    process->by_address = g_array_new(FALSE, FALSE, sizeof(guint32));
    process->threads = g_array_new(FALSE, FALSE, sizeof(PmThread));
    if (options != NULL) {
        process->exe = g_strdup(options->exe);
        process->sysroot = g_strdup(options->sysroot);
        process->debug_dir = g_strdup(options->debug_dir);
    }

    pm_process_read_auxv(process);
    if (process->exe != NULL) {
        process->exe_file =
            pm_elf_file_open(process->exe, pm_image_get_target(image), process->page_bytes, error);
        if (process->exe_file == NULL)
            return NULL;
    }
    pm_process_read_modules(process);
    pm_process_attach_files(process);
    index_modules(process);
    process->symbols = pm_symbol_tables_new(process);
    process->unwinder = pm_unwinder_new(process);
    process->debuginfo = pm_debug_info_new(process);
    pm_process_read_threads(process);
    if (process->threads->len == 0)
        pm_process_recover_threads(process);
    pm_process_read_tls(process);
    pm_process_read_info(process);
    return g_steal_pointer(&process);
}

void
pm_process_free(PmProcess *process)
{
    if (process == NULL)
        return;
    pm_symbol_tables_free(process->symbols);
    pm_unwinder_free(process->unwinder);
    pm_debug_info_free(process->debuginfo);
    pm_space_free(process->space);
    g_array_unref(process->threads);
    g_array_unref(process->by_address);
    g_ptr_array_unref(process->parts);
    g_array_unref(process->modules);
    g_array_unref(process->auxv);
    pm_elf_file_free(process->exe_file);
    g_free(process->info.executable);
    g_free(process->info.arguments);
    g_free(process->info.name);
    g_free(process->exe);
    g_free(process->sysroot);
    g_free(process->debug_dir);
    g_free(process);
}

const PmSpace *
pm_process_get_space(const PmProcess *process)
{
    return process->space;
}

const PmProcessInfo *
pm_process_get_info(const PmProcess *process)
{
    return &process->info;
}

const PmModule *
pm_process_get_modules(const PmProcess *process, gsize *ret_count)
{
    *ret_count = process->modules->len;
    return (const PmModule *)(gpointer)process->modules->data;
}

const PmModule *
pm_process_find_module(const PmProcess *process, PmAddr address)
{
    guint low = 0, high = process->by_address->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        const guint32 index = g_array_index(process->by_address, guint32, middle);
        if (pm_process_module_at(process, index)->start > address)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == 0)
        return NULL;
    const PmModule *module =
        pm_process_module_at(process, g_array_index(process->by_address, guint32, low - 1));
    return address < module->end ? module : NULL;
}

/* Debian's name since 2.34 is libc.so.6 itself; before, that was a link to libc-2.NN.so, which is
 * what NT_FILE then says. */
static gboolean
is_glibc_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    return strcmp(name, "libc.so.6") == 0 ||
           (g_str_has_prefix(name, "libc-2.") && g_str_has_suffix(name, ".so"));
}

const PmModule *
pm_process_get_libc(const PmProcess *process)
{
    const PmModule *found = NULL;
    const PmModule *executable = NULL;
    gboolean is_dynamic = FALSE;
    for (guint i = 0; i < process->modules->len; i++) {
        const PmModule *module = pm_process_module_at(process, i);
        const gboolean linked = module->link_map != PM_ADDR_NONE;
        if (is_glibc_name(module->path) &&
            (found == NULL || (linked && found->link_map == PM_ADDR_NONE)))
            found = module;
        if (module->is_executable && executable == NULL)
            executable = module;
        is_dynamic = is_dynamic || module->is_interpreter ||
                     (linked && !module->is_executable && !module->is_vdso);
    }
    if (found != NULL || executable == NULL)
        return found;
    const PmElfHead *head = &pm_process_parts_of(process, executable)->head;
    return is_dynamic || pm_elf_head_find(head, PT_INTERP) != NULL ? NULL : executable;
}

const PmThread *
pm_process_get_threads(const PmProcess *process, gsize *ret_count)
{
    *ret_count = process->threads->len;
    return (const PmThread *)(gpointer)process->threads->data;
}
