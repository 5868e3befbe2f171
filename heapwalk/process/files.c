/*
 * The file of each module: where it is looked for, whether it is the build that ran, and what is
 * taken from it.
 */
#include "process/process-private.h"

#include <string.h>

#define VDSO_BYTES_MAX 1048576

typedef enum {
    FIT_YES,
    FIT_UNKNOWN, /* nothing in the core tells; taken, with a diagnostic */
    FIT_NO,
} Fit;

/* The search for one module's file. @other: the first file that was another build, for the
 * diagnostic. */
typedef struct {
    PmProcess *process;
    PmModule *module;
    PmModuleParts *parts;
    PmElfFile *other;
} Search;

/* Where the core does not hold the first page, the link map's l_ld still tells. */
static Fit
judge(const Search *search, const PmElfFile *file)
{
    const PmModule *module = search->module;
    const PmModuleParts *parts = search->parts;

    if (parts->head_in_core) {
        if (!pm_elf_head_equals(&file->head, &parts->head))
            return FIT_NO;
        if (module->build_id == NULL && !parts->build_id_known)
            return FIT_UNKNOWN;
        return g_strcmp0(file->build_id, module->build_id) == 0 ? FIT_YES : FIT_NO;
    }
    const Elf64_Phdr *dynamic = pm_elf_head_find(&file->head, PT_DYNAMIC);
    if (module->link_map != PM_ADDR_NONE && parts->mapped_path != NULL &&
        (dynamic == NULL ||
         pm_elf_head_get_bias(&file->head, module->start) + dynamic->p_vaddr != module->dynamic))
        return FIT_NO;
    return FIT_UNKNOWN;
}

static void
note_unknown(const Search *search, const PmElfFile *file)
{
    const PmModule *module = search->module;
    pm_diagnostics_add(search->process->diagnostics, "build-id-unknown", PM_SEVERITY_NOTE,
                       module->start,
                       "%s: the core does not hold its build-id; %s is taken for it unchecked",
                       module->path, file->path);
}

/* Makes @file the module's own where it fits. Takes @file in every case. */
static gboolean
offer(Search *search, PmElfFile *file)
{
    const Fit fit = judge(search, file);
    if (fit == FIT_NO) {
        if (search->other == NULL)
            search->other = file;
        else
            pm_elf_file_free(file);
        return FALSE;
    }
    if (fit == FIT_UNKNOWN)
        note_unknown(search, file);
    else if (file->build_id == NULL)
        pm_diagnostics_add(search->process->diagnostics, "build-id-none", PM_SEVERITY_NOTE,
                           search->module->start,
                           "%s: was built without a build-id; %s is taken for it because its "
                           "program headers agree",
                           search->module->path, file->path);
    search->parts->file = file;
    return TRUE;
}

static gboolean
try_path(Search *search, const char *prefix, const char *path)
{
    if (path == NULL || path[0] != '/')
        return FALSE;
    g_autofree char *full = g_strconcat(prefix, path, NULL);
    PmElfFile *file = pm_elf_file_open(full, pm_image_get_target(search->process->image),
                                       search->process->page_bytes, NULL);
    return file != NULL && offer(search, file);
}

static const char *
shorten(const char *build_id)
{
    return build_id != NULL ? build_id : "none";
}

static const char *
get_remedy(const Search *search)
{
    if (search->module->is_executable && search->process->exe != NULL)
        return "pass --exe with the program of that build";
    return search->module->is_executable
               ? "pass --exe with the program that crashed, or --sysroot with the files of its "
                 "machine"
               : "pass --sysroot with the files of the machine that crashed";
}

static void
report_other(const Search *search, const PmElfFile *other)
{
    const PmModule *module = search->module;
    const char *slash = strrchr(module->path, '/');
    const char *name = slash != NULL ? slash + 1 : module->path;
    const gboolean same_id =
        module->build_id != NULL && g_strcmp0(module->build_id, other->build_id) == 0;
    if (same_id)
        pm_diagnostics_add(search->process->diagnostics, "module-mismatch", PM_SEVERITY_WARNING,
                           module->start,
                           "%s: build-id %s, but the program headers in the core are not those of "
                           "%s; nothing is taken from it",
                           name, module->build_id, other->path);
    else
        pm_diagnostics_add(search->process->diagnostics, "module-mismatch", PM_SEVERITY_WARNING,
                           module->start, "%s: build-id %s in the core, %s in %s; %s", name,
                           shorten(module->build_id), shorten(other->build_id), other->path,
                           get_remedy(search));
}

/* --exe comes first; where it is another build that is said even if the right file is found. */
static gboolean
try_exe(Search *search)
{
    PmProcess *process = search->process;
    if (!search->module->is_executable || process->exe_file == NULL)
        return FALSE;
    if (offer(search, g_steal_pointer(&process->exe_file)))
        return TRUE;
    report_other(search, search->other);
    pm_elf_file_free(search->other);
    search->other = NULL;
    search->module->elf = PM_ELF_MISMATCH;
    return FALSE;
}

static gboolean
try_all(Search *search)
{
    const PmProcess *process = search->process;
    const PmModule *module = search->module;
    const char *paths[] = {module->path, search->parts->mapped_path};
    const char *prefixes[] = {process->sysroot, ""};

    if (try_exe(search))
        return TRUE;
    for (gsize i = 0; i < G_N_ELEMENTS(prefixes); i++)
        for (gsize j = 0; j < G_N_ELEMENTS(paths) && prefixes[i] != NULL; j++)
            if ((j == 0 || g_strcmp0(paths[0], paths[1]) != 0) &&
                try_path(search, prefixes[i], paths[j]))
                return TRUE;
    if (module->build_id == NULL)
        return FALSE;
    PmElfFile *file = pm_process_find_by_build_id(process, module->build_id, "");
    if (file == NULL)
        file = pm_process_download_elf(process, module);
    return file != NULL && offer(search, file);
}

/* Index of the first file mapping that ends after @address. */
static gsize
find_mapping(const PmFileMapping *mappings, gsize count, PmAddr address)
{
    gsize low = 0, high = count;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (mappings[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Offers [@range) of a segment whose bytes begin at @file_offset, where NT_FILE says that these
 * very bytes are mapped there; without NT_FILE the link map's word is enough. */
static void
offer_bytes(const Search *search, PmRange range, guint64 file_offset, gboolean writable)
{
    const PmElfFile *file = search->parts->file;
    gsize count = 0;
    const PmFileMapping *mappings = pm_image_get_file_mappings(search->process->image, &count);
    if (count == 0) {
        pm_space_add_file_bytes(search->process->space, range.start, file->bytes + file_offset,
                                pm_range_bytes(range), writable);
        return;
    }
    for (gsize i = find_mapping(mappings, count, range.start);
         i < count && mappings[i].start < range.end; i++) {
        const PmRange part = {MAX(range.start, mappings[i].start), MIN(range.end, mappings[i].end)};
        const guint64 offset = file_offset + (part.start - range.start);
        if (mappings[i].file_offset_bytes + (part.start - mappings[i].start) == offset)
            pm_space_add_file_bytes(search->process->space, part.start, file->bytes + offset,
                                    pm_range_bytes(part), writable);
    }
}

/*
 * The kernel maps whole pages of the file, so that a read-only segment shows the file to the end of
 * its last page; of a writable one ld.so clears what is behind p_filesz.
 */
static void
offer_segments(const Search *search)
{
    const PmElfFile *file = search->parts->file;
    const guint64 page = search->process->page_bytes;
    for (guint i = 0; i < file->head.count; i++) {
        const Elf64_Phdr *phdr = &file->head.phdrs[i];
        const guint64 before = phdr->p_vaddr & (page - 1);
        if (phdr->p_type != PT_LOAD || phdr->p_filesz == 0 || phdr->p_offset < before ||
            phdr->p_offset >= file->size_bytes)
            continue;
        const guint64 offset = phdr->p_offset - before;
        const gboolean writable = (phdr->p_flags & PF_W) != 0;
        guint64 length = MIN(phdr->p_filesz, file->size_bytes) + before;
        if (!writable)
            length = pm_align_up(length, page);
        length = MIN(length, file->size_bytes - offset);
        PmRange range = {search->module->bias + phdr->p_vaddr - before, 0};
        if (offset % page == 0 && pm_addr_add(range.start, length, &range.end))
            offer_bytes(search, range, offset, writable);
    }
}

/*
 * The dynamic section lies in writable memory, but ld.so alone writes to it, and only adds the bias
 * to addresses, which its readers have to expect anyway: lost, it is as good from the file.
 */
static void
offer_dynamic(const Search *search)
{
    const PmElfFile *file = search->parts->file;
    const Elf64_Phdr *phdr = pm_elf_head_find(&file->head, PT_DYNAMIC);
    if (phdr == NULL || phdr->p_offset >= file->size_bytes)
        return;
    const guint64 length = MIN(phdr->p_filesz, file->size_bytes - phdr->p_offset);
    PmRange range = {search->module->bias + phdr->p_vaddr, 0};
    if (pm_addr_add(range.start, length, &range.end))
        offer_bytes(search, range, phdr->p_offset, FALSE);
}

/* What is known of a module through its file, now that there is one. */
static void
take_file(const Search *search)
{
    PmModule *module = search->module;
    PmModuleParts *parts = search->parts;
    const PmElfFile *file = parts->file;

    module->elf = PM_ELF_FOUND;
    module->file = g_strdup(file->path);
    if (module->build_id == NULL)
        module->build_id = g_strdup(file->build_id);
    if (!parts->head_in_core) {
        pm_elf_head_clear(&parts->head);
        parts->head = file->head;
        parts->head.phdrs = g_memdup2(file->head.phdrs, sizeof(Elf64_Phdr) * file->head.count);
        if (parts->mapped_path != NULL)
            module->bias = pm_elf_head_get_bias(&file->head, module->start);
        pm_process_describe_module(search->process, module);
    }
    /* First, because the first offer wins. */
    offer_dynamic(search);
    offer_segments(search);
}

static void
attach_file(PmProcess *process, guint index)
{
    Search search = {process, pm_process_module_at(process, index),
                     pm_process_parts_at(process, index), NULL};
    PmModule *module = search.module;

    if (try_all(&search)) {
        take_file(&search);
    } else if (search.other != NULL) {
        module->elf = PM_ELF_MISMATCH;
        report_other(&search, search.other);
    } else if (module->elf != PM_ELF_MISMATCH) {
        pm_diagnostics_add(process->diagnostics, "module-missing", PM_SEVERITY_WARNING,
                           module->start, "%s: no such file here%s%s; %s", module->path,
                           module->build_id != NULL ? ", build-id " : "",
                           module->build_id != NULL ? module->build_id : "", get_remedy(&search));
    }
    pm_elf_file_free(search.other);
}

/* The vdso's file is its own image. */
static void
attach_vdso(PmProcess *process, guint index)
{
    PmModule *module = pm_process_module_at(process, index);
    const guint64 size_bytes = module->end - module->start;
    if (size_bytes > VDSO_BYTES_MAX)
        return;
    g_autofree guint8 *bytes = g_malloc((gsize)size_bytes);
    if (!pm_space_read(process->space, module->start, bytes, (gsize)size_bytes))
        return;
    PmModuleParts *parts = pm_process_parts_at(process, index);
    parts->file =
        pm_elf_file_new_from_memory(g_steal_pointer(&bytes), (gsize)size_bytes,
                                    pm_image_get_target(process->image), process->page_bytes);
    if (parts->file != NULL)
        module->elf = PM_ELF_FOUND;
}

static void
describe_symbols(PmProcess *process, guint index)
{
    PmModule *module = pm_process_module_at(process, index);
    PmModuleParts *parts = pm_process_parts_at(process, index);
    const PmElfFile *file = parts->file;

    if (!module->is_vdso && (file == NULL || !file->has_symtab || !file->has_dwarf))
        parts->debug_file = pm_process_find_debug_file(process, module);
    const PmElfFile *debug = parts->debug_file;

    if ((file != NULL && (file->has_symtab || file->has_mini_debug)) ||
        (debug != NULL && debug->has_symtab))
        module->symbols = PM_SYMBOLS_SYMTAB;
    else if (file != NULL && file->has_dynsym)
        module->symbols = PM_SYMBOLS_DYNSYM;
    module->dwarf = (file != NULL && file->has_dwarf) || (debug != NULL && debug->has_dwarf);
}

void
pm_process_attach_files(PmProcess *process)
{
    for (guint i = 0; i < process->modules->len; i++) {
        if (pm_process_module_at(process, i)->is_vdso)
            attach_vdso(process, i);
        else
            attach_file(process, i);
        describe_symbols(process, i);
    }
}
