/*
 * The list of modules: the link map gives order and names, what is mapped gives the rest. Files are
 * files.c's business.
 */
#include "process/linkmap.h"

#include <string.h>

#define NAME_BYTES_MAX 4096

void
pm_module_parts_free(PmModuleParts *parts)
{
    if (parts == NULL)
        return;
    pm_elf_head_clear(&parts->head);
    pm_elf_file_free(parts->file);
    g_free(parts->mapped_path);
    pm_elf_file_free(parts->debug_file);
    g_free(parts);
}

/* DT_SONAME, which ld.so's relocation of DT_STRTAB makes readable in place. */
static char *
read_soname(const PmProcess *process, const PmLoaded *loaded)
{
    const Elf64_Phdr *phdr = pm_elf_head_find(&loaded->head, PT_DYNAMIC);
    guint64 strings = 0, offset = 0;
    if (phdr == NULL)
        return NULL;
    const guint64 bias = pm_loaded_get_bias(loaded);
    const PmAddr dynamic = bias + phdr->p_vaddr;
    if (!pm_dynamic_find(process->space, dynamic, DT_STRTAB, &strings) ||
        !pm_dynamic_find(process->space, dynamic, DT_SONAME, &offset))
        return NULL;
    if (strings < loaded->base) /* not relocated: the vdso, or no ld.so has run */
        strings += bias;
    g_autofree char *name = pm_space_read_string(process->space, strings + offset, NAME_BYTES_MAX);
    return name != NULL && name[0] != '\0' ? g_steal_pointer(&name) : NULL;
}

/* AT_EXECFN as an absolute path, or NULL. */
static char *
read_execfn(const PmProcess *process)
{
    guint64 address = 0;
    if (!pm_process_get_auxv(process, AT_EXECFN, &address))
        return NULL;
    g_autofree char *name = pm_space_read_string(process->space, address, NAME_BYTES_MAX);
    return name != NULL && name[0] == '/' ? g_steal_pointer(&name) : NULL;
}

static gboolean
holds_auxv(const PmProcess *process, const PmLoaded *loaded, guint64 type)
{
    guint64 address = 0;
    return loaded != NULL && pm_process_get_auxv(process, type, &address) &&
           address >= loaded->base && address < loaded->end;
}

/* The best name there is. @name: l_name, or NULL; @loaded: NULL where nothing is known of its
 * mappings. */
static char *
choose_path(const PmProcess *process, const PmLoaded *loaded, const char *name, PmAddr address)
{
    if (name != NULL && name[0] == '/')
        return g_strdup(name);
    if (loaded != NULL && loaded->path != NULL)
        return g_strdup(loaded->path);
    if (name != NULL && name[0] != '\0')
        return g_strdup(name);
    char *path = NULL;
    if (holds_auxv(process, loaded, AT_PHDR))
        path = read_execfn(process);
    if (path == NULL && loaded != NULL)
        path = read_soname(process, loaded);
    return path != NULL ? path
                        : g_strdup_printf("[unknown module at 0x%" G_GINT64_MODIFIER "x]", address);
}

static PmModule *
add_module(PmProcess *process, char *path)
{
    const PmModule module = {
        .path = path,
        .elf = PM_ELF_MISSING,
        .link_map = PM_ADDR_NONE,
        .dynamic = PM_ADDR_NONE,
    };
    g_array_append_val(process->modules, module);
    g_ptr_array_add(process->parts, g_new0(PmModuleParts, 1));
    return pm_process_module_at(process, process->modules->len - 1);
}

/* Moves what @loaded knows into a new module. */
static PmModule *
add_loaded(PmProcess *process, PmLoaded *loaded, const char *name)
{
    PmModule *module = add_module(process, choose_path(process, loaded, name, loaded->base));
    PmModuleParts *parts = pm_process_parts_of(process, module);
    module->start = loaded->base;
    module->end = loaded->end;
    module->bias = pm_loaded_get_bias(loaded);
    parts->head = loaded->head;
    parts->head_in_core = loaded->head_in_core;
    loaded->head = (PmElfHead){0};
    parts->mapped_path = g_steal_pointer(&loaded->path);
    loaded->taken = TRUE;
    return module;
}

/* A library of the link map of which nothing is mapped as a file: its extent is that of the segment
 * of its dynamic section, until its file says more. */
static PmModule *
add_unmapped(PmProcess *process, const PmLinkEntry *entry)
{
    const PmSegment *segment = pm_image_find_segment(process->image, entry->dynamic);
    if (segment == NULL)
        return NULL;
    PmModule *module = add_module(process, choose_path(process, NULL, entry->name, segment->start));
    module->start = segment->start;
    module->end = segment->start + segment->mapped_bytes;
    module->bias = entry->bias;
    return module;
}

static gboolean
is_vdso(const PmProcess *process, const PmLoaded *loaded)
{
    guint64 base = 0;
    if (pm_process_get_auxv(process, AT_SYSINFO_EHDR, &base))
        return loaded->base == base;
    if (loaded->path != NULL)
        return FALSE;
    g_autofree char *name = read_soname(process, loaded);
    return name != NULL &&
           (g_str_has_prefix(name, "linux-vdso") || g_str_has_prefix(name, "linux-gate"));
}

/* Returns: the vdso's link_map, or PM_ADDR_NONE. */
static PmAddr
add_link_map(PmProcess *process, const GPtrArray *loaded, const PmLinkMap *link_map)
{
    PmAddr vdso = PM_ADDR_NONE;
    for (guint i = 0; i < link_map->entries->len; i++) {
        const PmLinkEntry *entry = &g_array_index(link_map->entries, PmLinkEntry, i);
        PmLoaded *found = pm_loaded_find(loaded, entry->dynamic);
        if (found != NULL && found->taken)
            continue; /* ld.so, once for each namespace */
        if (g_str_has_prefix(entry->name, "linux-vdso.so") ||
            g_str_has_prefix(entry->name, "linux-gate.so") ||
            (found != NULL && is_vdso(process, found))) {
            vdso = entry->address;
            continue;
        }
        PmModule *module =
            found != NULL ? add_loaded(process, found, entry->name) : add_unmapped(process, entry);
        if (module == NULL)
            continue;
        module->link_map = entry->address;
        module->dynamic = entry->dynamic;
        module->is_executable = process->modules->len == 1 && entry->is_first;
    }
    return vdso;
}

/* Without a link map: the kernel's word for the program, else what only a program has. */
static PmLoaded *
find_executable(const PmProcess *process, const GPtrArray *loaded)
{
    static const guint64 types[] = {AT_PHDR, AT_ENTRY};
    for (gsize i = 0; i < G_N_ELEMENTS(types); i++) {
        guint64 address = 0;
        PmLoaded *found = pm_process_get_auxv(process, types[i], &address)
                              ? pm_loaded_find(loaded, address)
                              : NULL;
        if (found != NULL)
            return found;
    }
    for (guint i = 0; i < loaded->len; i++) {
        PmLoaded *candidate = g_ptr_array_index(loaded, i);
        if (candidate->head.type == ET_EXEC ||
            pm_elf_head_find(&candidate->head, PT_INTERP) != NULL)
            return candidate;
    }
    return NULL;
}

/* The writable PT_LOADs, or, where no program header is known, the writable segments that NT_FILE
 * calls its own. */
static void
set_data(const PmProcess *process, PmModule *module, const PmElfHead *head)
{
    g_autoptr(GArray) data = g_array_new(FALSE, FALSE, sizeof(PmRange));
    for (guint i = 0; i < head->count; i++) {
        const Elf64_Phdr *phdr = &head->phdrs[i];
        PmRange pages;
        if (phdr->p_type == PT_LOAD && (phdr->p_flags & PF_W) != 0 &&
            pm_elf_head_get_pages(head, phdr, module->bias, &pages))
            g_array_append_val(data, pages);
    }
    gsize count = 0;
    const PmSegment *segments = pm_image_get_segments(process->image, &count);
    for (gsize i = 0; head->count == 0 && i < count; i++) {
        const PmRange pages = {MAX(segments[i].start, module->start),
                               MIN(segments[i].start + segments[i].mapped_bytes, module->end)};
        if ((segments[i].flags & PF_W) != 0 && pages.start < pages.end)
            g_array_append_val(data, pages);
    }
    g_free(module->data);
    module->data = (PmRange *)(gpointer)g_array_steal(data, &module->data_count);
}

/* glibc's dl-reloc.c, _dl_protect_relro: only whole pages. */
static void
set_relro(PmModule *module, const PmElfHead *head)
{
    const Elf64_Phdr *relro = pm_elf_head_find(head, PT_GNU_RELRO);
    PmAddr end = 0;
    module->relro = (PmRange){0, 0};
    if (relro == NULL || !pm_addr_add(module->bias + relro->p_vaddr, relro->p_memsz, &end))
        return;
    const PmRange pages = {pm_align_down(module->bias + relro->p_vaddr, head->page_bytes),
                           pm_align_down(end, head->page_bytes)};
    if (pages.start < pages.end)
        module->relro = pages;
}

static void
set_loads(PmModule *module, const PmElfHead *head)
{
    set_relro(module, head);
    g_free(module->loads);
    module->loads = g_new0(PmModuleLoad, head->count);
    module->load_count = 0;
    for (guint i = 0; i < head->count; i++) {
        PmModuleLoad *load = &module->loads[module->load_count];
        load->flags = head->phdrs[i].p_flags;
        if (head->phdrs[i].p_type != PT_LOAD ||
            !pm_elf_head_get_pages(head, &head->phdrs[i], module->bias, &load->range))
            continue;
        const PmAddr file_end = module->bias + head->phdrs[i].p_vaddr + head->phdrs[i].p_filesz;
        load->file_end =
            CLAMP(pm_align_up(file_end, head->page_bytes), load->range.start, load->range.end);
        module->load_count++;
    }
}

void
pm_process_describe_module(const PmProcess *process, PmModule *module)
{
    const PmModuleParts *parts = pm_process_parts_of(process, module);
    const PmElfHead *head = &parts->head;
    const Elf64_Phdr *dynamic = pm_elf_head_find(head, PT_DYNAMIC);
    const Elf64_Phdr *tls = pm_elf_head_find(head, PT_TLS);

    PmRange extent;
    if (pm_elf_head_get_extent(head, module->bias, &extent)) {
        module->start = MIN(module->start, extent.start);
        module->end = MAX(module->end, extent.end);
    }
    if (dynamic != NULL && module->dynamic == PM_ADDR_NONE)
        module->dynamic = module->bias + dynamic->p_vaddr;
    module->tls_bytes = tls != NULL ? tls->p_memsz : 0;
    set_data(process, module, head);
    set_loads(module, head);
}

/* Whether this is the program's dynamic linker. */
static gboolean
is_interpreter(const PmProcess *process, const PmModule *module, const PmLinkMap *link_map)
{
    guint64 base = 0;
    if (pm_process_get_auxv(process, AT_BASE, &base) && base != 0)
        return module->start == base;
    return module->start == link_map->interpreter;
}

static void
add_leftover(PmProcess *process, const GPtrArray *loaded, PmAddr vdso_link_map)
{
    PmLoaded *vdso = NULL;
    for (guint i = 0; i < loaded->len; i++) {
        PmLoaded *candidate = g_ptr_array_index(loaded, i);
        if (candidate->taken)
            continue;
        if (is_vdso(process, candidate))
            vdso = candidate;
        else
            add_loaded(process, candidate, NULL);
    }
    if (vdso == NULL)
        return;
    PmModule *module = add_loaded(process, vdso, NULL);
    g_free(module->path);
    module->path = g_strdup("[vdso]");
    module->is_vdso = TRUE;
    module->link_map = vdso_link_map;
}

void
pm_process_read_modules(PmProcess *process)
{
    g_autoptr(GPtrArray) loaded = pm_loaded_find_all(process);
    PmLinkMap link_map;
    pm_link_map_read(process, loaded, &link_map);

    const PmAddr vdso_link_map = add_link_map(process, loaded, &link_map);
    if (process->modules->len == 0) {
        PmLoaded *executable = find_executable(process, loaded);
        if (executable != NULL && !is_vdso(process, executable))
            add_loaded(process, executable, NULL)->is_executable = TRUE;
    }
    add_leftover(process, loaded, vdso_link_map);

    for (guint i = 0; i < process->modules->len; i++) {
        PmModule *module = pm_process_module_at(process, i);
        PmModuleParts *parts = pm_process_parts_at(process, i);
        pm_process_describe_module(process, module);
        module->is_interpreter = is_interpreter(process, module, &link_map);
        if (parts->head_in_core)
            module->build_id = pm_elf_head_read_build_id(&parts->head, process->space, module->bias,
                                                         &parts->build_id_known);
    }
    pm_link_map_clear(&link_map);
}
