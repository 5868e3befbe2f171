#include "process/debuginfo.h"

#include "process/dwfl.h"
#include "process/process-private.h"

#include <string.h>
#include <sys/stat.h>

/* A build-id of SHA-1 has 20; 64 are as many as libdw takes. */
#define BUILD_ID_BYTES_MAX 64

/*
 * @file: where it is read from, NULL where there is none on this machine. @alt_file: (owned).
 * @dwarf: NULL for a module without, and while it was not asked for (@was_opened). @is_own: it and
 * @alt are to be ended. @fetched_path: (owned) of a file that libdwfl found.
 */
typedef struct {
    const PmElfFile *file;
    Dwarf *dwarf;
    guint64 bias;
    gboolean was_opened;
    gboolean is_own;
    char *fetched_path;
    guint64 fetched_bytes;
    Dwarf *alt;
    PmElfFile *alt_file;
} Entry;

/* @entries: Entry * or NULL, by module index. @dwfl: made when first needed. */
struct PmDebugInfo {
    const PmProcess *process;
    PmDwfl *dwfl;
    GPtrArray *entries;
};

static void
entry_free(gpointer data)
{
    Entry *entry = data;
    if (entry == NULL)
        return;
    if (entry->is_own && entry->dwarf != NULL)
        dwarf_end(entry->dwarf);
    if (entry->alt != NULL)
        dwarf_end(entry->alt);
    pm_elf_file_free(entry->alt_file);
    g_free(entry->fetched_path);
    g_free(entry);
}

PmDebugInfo *
pm_debug_info_new(const PmProcess *process)
{
    PmDebugInfo *info = g_new0(PmDebugInfo, 1);
    info->process = process;
    info->entries = g_ptr_array_new_with_free_func(entry_free);
    g_ptr_array_set_size(info->entries, (gint)process->modules->len);
    return info;
}

void
pm_debug_info_free(PmDebugInfo *info)
{
    if (info == NULL)
        return;
    g_ptr_array_unref(info->entries);
    pm_dwfl_free(info->dwfl);
    g_free(info);
}

static PmElfFile *
open_alt(const char *path, const char *build_id)
{
    g_autoptr(PmElfFile) file = pm_elf_file_open_shared(path, NULL);
    if (file == NULL || g_strcmp0(file->build_id, build_id) != 0)
        return NULL;
    return g_steal_pointer(&file);
}

/* By its build-id in the debug trees, and where the link says: under the sysroot first, and beside
 * the file that links to it where the link is relative. */
static PmElfFile *
find_alt(const PmProcess *process, const PmElfFile *file, const char *name, const char *build_id)
{
    g_auto(GStrv) paths = pm_process_list_debug_paths(process, build_id, ".debug");
    PmElfFile *alt = NULL;
    for (gsize i = 0; paths[i] != NULL && alt == NULL; i++)
        alt = open_alt(paths[i], build_id);
    if (alt != NULL || name[0] == '\0')
        return alt;
    if (name[0] == '/') {
        g_autofree char *below =
            process->sysroot != NULL ? g_strconcat(process->sysroot, name, NULL) : NULL;
        alt = below != NULL ? open_alt(below, build_id) : NULL;
        return alt != NULL ? alt : open_alt(name, build_id);
    }
    if (file->path == NULL)
        return NULL;
    g_autofree char *folder = g_path_get_dirname(file->path);
    g_autofree char *beside = g_build_filename(folder, name, NULL);
    return open_alt(beside, build_id);
}

/* The contents of .gnu_debugaltlink: a file's name that ends with 0, and a build-id. */
static const Elf_Data *
find_alt_link(Elf *elf)
{
    Elf_Scn *section = NULL;
    size_t names = 0;
    if (elf_getshdrstrndx(elf, &names) != 0)
        return NULL;
    while ((section = elf_nextscn(elf, section)) != NULL) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) != NULL && header.sh_type != SHT_NOBITS &&
            g_strcmp0(elf_strptr(elf, names, header.sh_name), ".gnu_debugaltlink") == 0)
            return elf_rawdata(section, NULL);
    }
    return NULL;
}

static void
locate_alt(const PmDebugInfo *info, const PmModule *module, Entry *entry)
{
    const Elf_Data *link = find_alt_link(entry->file->elf);
    const char *name = link != NULL ? link->d_buf : NULL;
    const gsize name_bytes = name != NULL ? strnlen(name, link->d_size) + 1 : 0;
    if (name == NULL || name_bytes >= link->d_size ||
        link->d_size - name_bytes > BUILD_ID_BYTES_MAX)
        return;
    g_autofree char *build_id =
        pm_hex_from_bytes((const guint8 *)name + name_bytes, link->d_size - name_bytes);
    entry->alt_file = find_alt(info->process, entry->file, name, build_id);
    if (entry->alt_file == NULL)
        pm_diagnostics_add(info->process->diagnostics, "debug-file-missing", PM_SEVERITY_NOTE,
                           module->start,
                           "%s: its debug information shares a file with build-id %s (%s), which "
                           "is not here; types are missing",
                           module->path, build_id, name);
}

/* Finds the files, and reads nothing of their DWARF. */
static void
locate(const PmDebugInfo *info, const PmModule *module, Entry *entry)
{
    const PmModuleParts *parts = pm_process_parts_of(info->process, module);
    const PmElfFile *files[] = {parts->file, parts->debug_file};
    for (gsize i = 0; i < G_N_ELEMENTS(files) && entry->file == NULL; i++)
        if (files[i] != NULL && files[i]->has_dwarf)
            entry->file = files[i];
    entry->bias = module->bias;
    if (entry->file != NULL)
        locate_alt(info, module, entry);
}

/*
 * libdw would look for the supplementary file itself, among fewer places, and open whatever the
 * link names, be it a pipe that nobody writes to. Where it was not found, libdw is told not to try:
 * the value is the one by which dwarf_getalt() remembers that it found none (libdw 0.171 and
 * later).
 */
static void
open_own(Entry *entry)
{
    entry->dwarf = dwarf_begin_elf(entry->file->elf, DWARF_C_READ, NULL);
    if (entry->dwarf == NULL)
        return;
    entry->is_own = TRUE;
    if (entry->alt_file != NULL)
        entry->alt = dwarf_begin_elf(entry->alt_file->elf, DWARF_C_READ, NULL);
    dwarf_setalt(entry->dwarf, entry->alt != NULL ? entry->alt : (Dwarf *)-1L);
}

static void
fetch(PmDebugInfo *info, const PmModule *module, Entry *entry)
{
    Dwarf_Addr bias = 0;
    const char *debug_path = NULL;
    struct stat status;
    if (info->dwfl == NULL)
        info->dwfl = pm_dwfl_new(info->process);
    Dwfl_Module *dwfl = pm_dwfl_get_module(info->dwfl, module);
    if (dwfl == NULL)
        return;
    entry->dwarf = dwfl_module_getdwarf(dwfl, &bias);
    entry->bias = bias;
    if (entry->dwarf == NULL)
        return;
    dwfl_module_info(dwfl, NULL, NULL, NULL, NULL, NULL, NULL, &debug_path);
    if (debug_path != NULL && stat(debug_path, &status) == 0) {
        entry->fetched_path = g_strdup(debug_path);
        entry->fetched_bytes = (guint64)status.st_size;
    }
}

static Entry *
get_entry(const PmProcess *process, const PmModule *module)
{
    PmDebugInfo *info = process->debuginfo;
    const guint number = (guint)(module - pm_process_module_at(process, 0));
    Entry *entry = g_ptr_array_index(info->entries, number);
    if (entry != NULL)
        return entry;
    entry = g_new0(Entry, 1);
    info->entries->pdata[number] = entry;
    if (!module->is_vdso)
        locate(info, module, entry);
    return entry;
}

static const Entry *
get_opened(const PmProcess *process, const PmModule *module)
{
    Entry *entry = get_entry(process, module);
    if (entry->was_opened)
        return entry;
    entry->was_opened = TRUE;
    if (entry->file != NULL)
        open_own(entry);
    if (entry->dwarf == NULL && !module->is_vdso && pm_dwfl_may_help(process, module))
        fetch(process->debuginfo, module, entry);
    return entry;
}

Dwarf *
pm_process_get_dwarf(const PmProcess *process, const PmModule *module, guint64 *ret_bias)
{
    const Entry *entry = get_opened(process, module);
    if (entry->dwarf != NULL && ret_bias != NULL)
        *ret_bias = entry->bias;
    return entry->dwarf;
}

static PmDebugFile
describe_file(const PmElfFile *file)
{
    return (PmDebugFile){file->path, file->build_id, file->size_bytes};
}

gboolean
pm_process_get_debug_files(const PmProcess *process, const PmModule *module, PmDebugFile *ret_main,
                           PmDebugFile *ret_alt)
{
    const Entry *entry = get_entry(process, module);
    if (entry->file == NULL) {
        entry = get_opened(process, module);
        if (entry->dwarf == NULL)
            return FALSE;
        *ret_main = (PmDebugFile){entry->fetched_path, module->build_id, entry->fetched_bytes};
        *ret_alt = (PmDebugFile){NULL, NULL, 0};
        return TRUE;
    }
    *ret_main = describe_file(entry->file);
    *ret_alt =
        entry->alt_file != NULL ? describe_file(entry->alt_file) : (PmDebugFile){NULL, NULL, 0};
    return TRUE;
}
