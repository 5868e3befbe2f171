#include "process/loaded.h"

#include <string.h>

/* A process with more is not real; each costs a file to open. */
#define LOADED_MAX 16384

static void
loaded_free(gpointer data)
{
    PmLoaded *loaded = data;
    pm_elf_head_clear(&loaded->head);
    g_free(loaded->path);
    g_free(loaded);
}

/* The kernel marks the path of an unlinked file (d_path). */
static char *
strip_deleted(const char *path)
{
    static const char mark[] = " (deleted)";
    if (!g_str_has_suffix(path, mark))
        return g_strdup(path);
    return g_strndup(path, strlen(path) - (sizeof mark - 1));
}

/* Whether a segment in [@start, @end) may be run. Where gcore left the segments out, nothing says
 * no. */
static gboolean
is_executable(const PmProcess *process, PmAddr start, PmAddr end)
{
    gsize count = 0;
    const PmSegment *segments = pm_image_get_segments(process->image, &count);
    gsize low = 0, high = count;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (segments[middle].start + segments[middle].mapped_bytes > start)
            high = middle;
        else
            low = middle + 1;
    }
    PmAddr next = start;
    for (; low < count && segments[low].start < end; low++) {
        if (segments[low].start > next || (segments[low].flags & PF_X) != 0)
            return TRUE;
        next = segments[low].start + segments[low].mapped_bytes;
    }
    return next < end;
}

/* A candidate at @base whose head is in the core, or NULL where there is no ELF header there. */
static PmLoaded *
read_candidate(const PmProcess *process, PmAddr base)
{
    PmElfHead head = {0};
    PmRange extent;
    if (!pm_elf_head_read(process->space, base, process->page_bytes, &head))
        return NULL;
    const guint64 bias = pm_elf_head_get_bias(&head, base);
    if (!pm_elf_head_get_extent(&head, bias, &extent) || !pm_range_contains(extent, base)) {
        pm_elf_head_clear(&head);
        return NULL;
    }
    PmLoaded *loaded = g_new0(PmLoaded, 1);
    loaded->base = base;
    loaded->end = extent.end;
    loaded->head = head;
    loaded->head_in_core = TRUE;
    return loaded;
}

/* The head of an object whose first page the core left out (coredump_filter without bit 4), from
 * the file that was mapped there. */
static void
take_head_from_file(const PmProcess *process, PmLoaded *loaded)
{
    const char *prefixes[] = {process->sysroot, ""};
    for (gsize i = 0; i < G_N_ELEMENTS(prefixes) && loaded->head.count == 0; i++) {
        if (prefixes[i] == NULL || loaded->path[0] != '/')
            continue;
        g_autofree char *path = g_strconcat(prefixes[i], loaded->path, NULL);
        g_autoptr(PmElfFile) file =
            pm_elf_file_open(path, pm_image_get_target(process->image), process->page_bytes, NULL);
        if (file == NULL)
            continue;
        loaded->head = file->head;
        file->head = (PmElfHead){0};
    }
}

static gboolean
looks_like_library(const char *path)
{
    const char *name = strrchr(path, '/');
    return strstr(name != NULL ? name : path, ".so") != NULL;
}

/* Mappings [@first, @ret_next) are of one file, at ascending offsets. */
static gsize
find_group_end(const PmFileMapping *mappings, gsize count, gsize first)
{
    gsize next = first + 1;
    while (next < count && strcmp(mappings[next].path, mappings[first].path) == 0 &&
           mappings[next].file_offset_bytes > mappings[next - 1].file_offset_bytes)
        next++;
    return next;
}

/*
 * The candidate that begins with the mapping at @first.
 *
 * Returns: NULL where it is no object that a loader mapped: a file that a program reads through a
 * mapping has no executable part.
 */
static PmLoaded *
read_group(const PmProcess *process, const PmFileMapping *mappings, gsize count, gsize first)
{
    const PmFileMapping *mapping = &mappings[first];
    PmSpan span;
    pm_space_get_span(process->space, mapping->start, &span);
    const gboolean readable = span.kind == PM_BYTES_DUMPED;

    PmLoaded *loaded = readable ? read_candidate(process, mapping->start) : NULL;
    if (loaded == NULL && readable)
        return NULL;

    const PmAddr group_end = mappings[find_group_end(mappings, count, first) - 1].end;
    if (loaded == NULL) {
        loaded = g_new0(PmLoaded, 1);
        loaded->base = mapping->start;
        loaded->end = group_end;
    }
    loaded->path = strip_deleted(mapping->path);
    loaded->is_executable_mapping = is_executable(process, loaded->base, loaded->end);
    if (!loaded->is_executable_mapping) {
        loaded_free(loaded);
        return NULL;
    }
    if (loaded->head_in_core)
        return loaded;

    take_head_from_file(process, loaded);
    PmRange extent;
    if (pm_elf_head_get_extent(&loaded->head, pm_loaded_get_bias(loaded), &extent))
        loaded->end = MAX(loaded->end, extent.end);
    guint64 entry = 0;
    const gboolean is_program = pm_process_get_auxv(process, AT_ENTRY, &entry) &&
                                entry >= loaded->base && entry < loaded->end;
    if (loaded->head.count == 0 && !is_program && !looks_like_library(loaded->path)) {
        loaded_free(loaded);
        return NULL;
    }
    return loaded;
}

/* A small object's data may map its first page a second time: that is no second object. */
static gboolean
is_part_of(const PmLoaded *loaded, const PmFileMapping *mapping)
{
    g_autofree char *path = strip_deleted(mapping->path);
    return mapping->start < loaded->end && g_strcmp0(path, loaded->path) == 0;
}

static void
find_by_mappings(const PmProcess *process, GPtrArray *all)
{
    gsize count = 0;
    const PmFileMapping *mappings = pm_image_get_file_mappings(process->image, &count);
    PmLoaded *last = NULL;
    for (gsize i = 0; i < count && all->len < LOADED_MAX; i++) {
        if (mappings[i].file_offset_bytes != 0 || (last != NULL && is_part_of(last, &mappings[i])))
            continue;
        PmLoaded *loaded = read_group(process, mappings, count, i);
        if (loaded == NULL)
            continue;
        g_ptr_array_add(all, loaded);
        last = loaded;
    }
}

/* Without NT_FILE: no names, but every object begins a segment of its own. */
static void
find_by_segments(const PmProcess *process, GPtrArray *all)
{
    gsize count = 0;
    const PmSegment *segments = pm_image_get_segments(process->image, &count);
    const PmLoaded *last = NULL;
    for (gsize i = 0; i < count && all->len < LOADED_MAX; i++) {
        PmLoaded *loaded = read_candidate(process, segments[i].start);
        if (loaded == NULL)
            continue;
        loaded->is_executable_mapping = is_executable(process, loaded->base, loaded->end);
        const gboolean is_part = last != NULL && loaded->base < last->end &&
                                 pm_elf_head_equals(&loaded->head, &last->head);
        if (is_part || !loaded->is_executable_mapping) {
            loaded_free(loaded);
            continue;
        }
        g_ptr_array_add(all, loaded);
        last = loaded;
    }
}

/* The vdso is in no file, and so not in NT_FILE. */
static void
add_vdso(const PmProcess *process, GPtrArray *all)
{
    guint64 base = 0;
    if (!pm_process_get_auxv(process, AT_SYSINFO_EHDR, &base) || pm_loaded_find(all, base) != NULL)
        return;
    PmLoaded *loaded = read_candidate(process, base);
    if (loaded == NULL)
        return;
    loaded->is_executable_mapping = TRUE;
    g_ptr_array_add(all, loaded);
}

static gint
compare_bases(gconstpointer a, gconstpointer b)
{
    const PmLoaded *left = *(PmLoaded *const *)a;
    const PmLoaded *right = *(PmLoaded *const *)b;
    return left->base < right->base ? -1 : left->base > right->base;
}

GPtrArray *
pm_loaded_find_all(const PmProcess *process)
{
    GPtrArray *all = g_ptr_array_new_with_free_func(loaded_free);
    gsize mapping_count = 0;
    pm_image_get_file_mappings(process->image, &mapping_count);
    if (mapping_count > 0)
        find_by_mappings(process, all);
    else
        find_by_segments(process, all);
    add_vdso(process, all);
    g_ptr_array_sort(all, compare_bases);
    for (guint i = 0; i + 1 < all->len; i++) {
        PmLoaded *loaded = g_ptr_array_index(all, i);
        const PmLoaded *next = g_ptr_array_index(all, i + 1);
        loaded->end = MIN(loaded->end, next->base);
    }
    return all;
}

PmLoaded *
pm_loaded_find(const GPtrArray *all, PmAddr address)
{
    guint low = 0, high = all->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        const PmLoaded *loaded = g_ptr_array_index(all, middle);
        if (loaded->base > address)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == 0)
        return NULL;
    PmLoaded *loaded = g_ptr_array_index(all, low - 1);
    return address < loaded->end ? loaded : NULL;
}

guint64
pm_loaded_get_bias(const PmLoaded *loaded)
{
    return pm_elf_head_get_bias(&loaded->head, loaded->base);
}
