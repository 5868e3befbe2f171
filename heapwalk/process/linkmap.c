#include "process/linkmap.h"

#include <string.h>

/* Bounds for a list that may be damaged or hostile. */
#define ENTRIES_MAX    16384
#define NAMESPACES_MAX 16 /* glibc: DL_NNS */
#define DYNAMIC_MAX    512
#define NAME_BYTES_MAX 4096

/* Offsets in target words; the int fields are padded to a word on 64 bit. <link.h>. */
enum {
    R_VERSION = 0,
    R_MAP = 1,
    R_LDBASE = 4,
    R_NEXT = 5, /* r_version ≥ 2 */
    L_ADDR = 0,
    L_NAME = 1,
    L_LD = 2,
    L_NEXT = 3,
    L_PREV = 4,
};

static gboolean
read_field(const PmSpace *space, PmAddr structure, guint index, guint64 *ret_value)
{
    PmAddr address = 0;
    return pm_addr_add(structure, (guint64)index * pm_space_get_target(space)->word_bytes,
                       &address) &&
           pm_space_read_word(space, address, ret_value);
}

gboolean
pm_dynamic_find(const PmSpace *space, PmAddr dynamic, guint64 tag, guint64 *ret_value)
{
    for (guint i = 0; i < DYNAMIC_MAX; i++) {
        guint64 found = DT_NULL;
        if (!read_field(space, dynamic, 2 * i, &found) || found == DT_NULL)
            return FALSE;
        if (found == tag)
            return read_field(space, dynamic, 2 * i + 1, ret_value);
    }
    return FALSE;
}

/* Whether a list begins at r_debug: its first link_map has a dynamic section and none before it. */
static gboolean
is_r_debug(const PmSpace *space, PmAddr r_debug)
{
    guint32 version = 0;
    guint64 map = 0, dynamic = 0, previous = 0;
    return r_debug != 0 && pm_space_read_u32(space, r_debug, &version) && version >= 1 &&
           version < 10 && read_field(space, r_debug, R_MAP, &map) && map != 0 &&
           read_field(space, map, L_LD, &dynamic) && dynamic != 0 &&
           read_field(space, map, L_PREV, &previous) && previous == 0;
}

static gboolean
find_in_dynamic(const PmProcess *process, const PmLoaded *loaded, PmAddr *ret_r_debug)
{
    const Elf64_Phdr *dynamic = pm_elf_head_find(&loaded->head, PT_DYNAMIC);
    guint64 value = 0;
    if (dynamic == NULL ||
        !pm_dynamic_find(process->space, pm_loaded_get_bias(loaded) + dynamic->p_vaddr, DT_DEBUG,
                         &value) ||
        !is_r_debug(process->space, value))
        return FALSE;
    *ret_r_debug = value;
    return TRUE;
}

/* The value of a dynamic symbol of @file. */
static gboolean
find_dynamic_symbol(const PmElfFile *file, const char *name, guint64 *ret_value)
{
    Elf_Scn *section = NULL;
    while ((section = elf_nextscn(file->elf, section)) != NULL) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) == NULL || header.sh_type != SHT_DYNSYM)
            continue;
        Elf_Data *data = elf_getdata(section, NULL);
        GElf_Sym symbol;
        for (int i = 0; data != NULL && gelf_getsym(data, i, &symbol) != NULL; i++) {
            const char *found = elf_strptr(file->elf, header.sh_link, symbol.st_name);
            if (symbol.st_shndx != SHN_UNDEF && g_strcmp0(found, name) == 0) {
                *ret_value = symbol.st_value;
                return TRUE;
            }
        }
    }
    return FALSE;
}

static gboolean
looks_like_interpreter(const PmProcess *process, const PmLoaded *loaded)
{
    guint64 base = 0;
    if (pm_process_get_auxv(process, AT_BASE, &base) && base == loaded->base)
        return TRUE;
    const char *slash = loaded->path != NULL ? strrchr(loaded->path, '/') : NULL;
    return slash != NULL && (g_str_has_prefix(slash, "/ld-") || g_str_has_prefix(slash, "/ld.so"));
}

/* ld.so exports _r_debug: the way for a program without DT_DEBUG. */
static gboolean
find_in_interpreter(const PmProcess *process, const PmLoaded *loaded, PmAddr *ret_r_debug)
{
    if (loaded->path == NULL || loaded->path[0] != '/' || !looks_like_interpreter(process, loaded))
        return FALSE;
    const PmTarget *target = pm_image_get_target(process->image);
    g_autofree char *path =
        g_strconcat(process->sysroot != NULL ? process->sysroot : "", loaded->path, NULL);
    g_autoptr(PmElfFile) file = pm_elf_file_open(path, target, process->page_bytes, NULL);
    if (file == NULL)
        file = pm_elf_file_open(loaded->path, target, process->page_bytes, NULL);
    guint64 value = 0;
    if (file == NULL || !pm_elf_head_equals(&file->head, &loaded->head) ||
        !find_dynamic_symbol(file, "_r_debug", &value) ||
        !is_r_debug(process->space, pm_loaded_get_bias(loaded) + value))
        return FALSE;
    *ret_r_debug = pm_loaded_get_bias(loaded) + value;
    return TRUE;
}

/*
 * The program's DT_DEBUG leads there. Where ld.so was run explicitly AT_PHDR is ld.so's own, so
 * that any object may be the program; its DT_DEBUG is set in either case (glibc's elf/rtld.c).
 */
static gboolean
find_r_debug(const PmProcess *process, const GPtrArray *loaded, PmAddr *ret_r_debug)
{
    guint64 phdrs = 0;
    if (pm_process_get_auxv(process, AT_PHDR, &phdrs)) {
        const PmLoaded *program = pm_loaded_find(loaded, phdrs);
        if (program != NULL && find_in_dynamic(process, program, ret_r_debug))
            return TRUE;
    }
    for (guint i = 0; i < loaded->len; i++)
        if (find_in_dynamic(process, g_ptr_array_index(loaded, i), ret_r_debug))
            return TRUE;
    for (guint i = 0; i < loaded->len; i++)
        if (find_in_interpreter(process, g_ptr_array_index(loaded, i), ret_r_debug))
            return TRUE;
    return FALSE;
}

static void
clear_entry(gpointer data)
{
    PmLinkEntry *entry = data;
    g_free(entry->name);
}

/* Walks one list. @seen: every link_map so far, so that a cycle ends. */
static void
walk_list(const PmProcess *process, PmAddr first, GHashTable *seen, GArray *entries)
{
    const PmSpace *space = process->space;
    PmAddr map = first;
    while (map != 0 && entries->len < ENTRIES_MAX) {
        if (!g_hash_table_add(seen, g_memdup2(&map, sizeof map))) {
            pm_diagnostics_add(process->diagnostics, "link-map-damaged", PM_SEVERITY_WARNING, map,
                               "the list of loaded libraries runs in a circle");
            return;
        }
        PmLinkEntry entry = {.address = map, .is_first = map == first};
        guint64 name = 0, next = 0;
        if (!read_field(space, map, L_ADDR, &entry.bias) ||
            !read_field(space, map, L_NAME, &name) ||
            !read_field(space, map, L_LD, &entry.dynamic) ||
            !read_field(space, map, L_NEXT, &next)) {
            pm_diagnostics_add(process->diagnostics, "link-map-damaged", PM_SEVERITY_WARNING, map,
                               "the list of loaded libraries leads to memory that is not in the "
                               "core; libraries behind it are known from NT_FILE alone");
            return;
        }
        entry.name = pm_space_read_string(space, name, NAME_BYTES_MAX);
        if (entry.name == NULL)
            entry.name = g_strdup("");
        g_array_append_val(entries, entry);
        map = next;
    }
}

void
pm_link_map_read(const PmProcess *process, const GPtrArray *loaded, PmLinkMap *ret_link_map)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    ret_link_map->entries = g_array_new(FALSE, FALSE, sizeof(PmLinkEntry));
    g_array_set_clear_func(ret_link_map->entries, clear_entry);
    ret_link_map->interpreter = PM_ADDR_NONE;

    PmAddr r_debug = 0;
    if (!find_r_debug(process, loaded, &r_debug))
        return;
    guint64 interpreter = 0;
    if (read_field(process->space, r_debug, R_LDBASE, &interpreter) && interpreter != 0)
        ret_link_map->interpreter = interpreter;

    for (guint i = 0; i < NAMESPACES_MAX && r_debug != 0; i++) {
        guint64 map = 0, next = 0;
        guint32 version = 0;
        if (!read_field(process->space, r_debug, R_MAP, &map) ||
            !pm_space_read_u32(process->space, r_debug, &version))
            return;
        walk_list(process, map, seen, ret_link_map->entries);
        if (version < 2 || !read_field(process->space, r_debug, R_NEXT, &next))
            return;
        r_debug = next;
    }
}

void
pm_link_map_clear(PmLinkMap *link_map)
{
    g_array_unref(link_map->entries);
    link_map->entries = NULL;
}
