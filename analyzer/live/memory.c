/*
 * Summing up /proc/PID/smaps; see memory.h.
 */
#include "live/memory.h"

#include "live/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bits of /proc/PID/coredump_filter. (core(5)) */
#define FILTER_ANON_PRIVATE    (1U << 0)
#define FILTER_ANON_SHARED     (1U << 1)
#define FILTER_MAPPED_PRIVATE  (1U << 2)
#define FILTER_MAPPED_SHARED   (1U << 3)
#define FILTER_ELF_HEADERS     (1U << 4)
#define FILTER_HUGETLB_PRIVATE (1U << 5)
#define FILTER_HUGETLB_SHARED  (1U << 6)
#define FILTER_DEFAULT         0x33U

/*
 * One mapping. @is_file: its name is that of a file that is still there. @holds_anonymous: pages of
 * it are no file's. @is_told: smaps had its counters; old kernels have not.
 */
typedef struct {
    guint64 start;
    guint64 bytes;
    guint64 offset;
    guint64 resident_bytes;
    gboolean is_private;
    gboolean is_always;
    gboolean is_file;
    gboolean holds_anonymous;
    gboolean is_told;
    gboolean is_device;
    gboolean is_excluded;
    gboolean is_huge;
} Mapping;

typedef struct {
    int memory; /* /proc/PID/mem, or -1 */
    guint filter;
    Mapping mapping;
    PmLiveMemory sum;
} Measure;

/* gdb takes a mapping whose name is one of these for anonymous memory. */
static gboolean
names_memory(const char *name)
{
    return *name == '\0' || g_str_has_suffix(name, " (deleted)") ||
           g_str_has_prefix(name, "/SYSV") || strcmp(name, "/dev/zero") == 0;
}

/* "start-end perms offset device inode   name". FALSE where @line is none. */
static gboolean
parse_head(const char *line, Mapping *ret_mapping)
{
    unsigned long start = 0, end = 0, offset = 0;
    char permissions[5] = "";
    int name = 0;
    if (sscanf(line, "%lx-%lx %4s %lx %*s %*s %n", &start, &end, permissions, &offset, &name) < 4 ||
        end < start || name == 0)
        return FALSE;
    const char *path = line + name;
    *ret_mapping = (Mapping){
        .start = start,
        .bytes = end - start,
        .offset = offset,
        .is_private = permissions[3] == 'p',
        .is_always = strcmp(path, "[vdso]") == 0 || strcmp(path, "[vsyscall]") == 0,
        .is_file = !names_memory(path),
        .holds_anonymous = names_memory(path),
    };
    return TRUE;
}

static void
parse_flags(Mapping *mapping, const char *flags)
{
    g_auto(GStrv) words = g_strsplit(flags, " ", -1);
    mapping->is_private = TRUE;
    for (guint i = 0; words[i] != NULL; i++) {
        mapping->is_device = mapping->is_device || strcmp(words[i], "io") == 0;
        mapping->is_excluded = mapping->is_excluded || strcmp(words[i], "dd") == 0;
        mapping->is_huge = mapping->is_huge || strcmp(words[i], "ht") == 0;
        mapping->is_private = mapping->is_private && strcmp(words[i], "sh") != 0;
    }
}

static void
parse_counter(Mapping *mapping, const char *line)
{
    const char *value = strchr(line, ':');
    if (value == NULL)
        return;
    const guint64 number = g_ascii_strtoull(value + 1, NULL, 10);
    if (g_str_has_prefix(line, "Anonymous:")) {
        mapping->is_told = TRUE;
        mapping->holds_anonymous = mapping->holds_anonymous || number != 0;
    } else if (g_str_has_prefix(line, "AnonHugePages:")) {
        mapping->holds_anonymous = mapping->holds_anonymous || number != 0;
    } else if (g_str_has_prefix(line, "Rss:")) {
        mapping->resident_bytes = number * 1024;
    } else if (g_str_has_prefix(line, "VmFlags:")) {
        parse_flags(mapping, value + 1);
    }
}

/* Whether the mapping begins with an ELF header; yes where that cannot be seen. */
static gboolean
begins_elf(const Measure *measure)
{
    char magic[4];
    return measure->memory < 0 ||
           pread(measure->memory, magic, sizeof magic, (off_t)measure->mapping.start) !=
               sizeof magic ||
           memcmp(magic, "\177ELF", sizeof magic) == 0;
}

/* gdb's dump_mapping_p(). */
static gboolean
is_written(const Measure *measure)
{
    const Mapping *mapping = &measure->mapping;
    const guint filter = measure->filter;
    if (mapping->is_always)
        return TRUE;
    if (mapping->is_device || mapping->is_excluded)
        return FALSE;
    if (!mapping->is_told)
        return TRUE;
    if (mapping->is_huge)
        return (filter & (mapping->is_private ? FILTER_HUGETLB_PRIVATE : FILTER_HUGETLB_SHARED)) !=
               0;
    const guint anonymous = mapping->is_private ? FILTER_ANON_PRIVATE : FILTER_ANON_SHARED;
    const guint file = mapping->is_private ? FILTER_MAPPED_PRIVATE : FILTER_MAPPED_SHARED;
    const guint wanted = (mapping->holds_anonymous ? anonymous : 0) |
                         (mapping->is_file || !mapping->holds_anonymous ? file : 0);
    return (filter & wanted) != 0 || (mapping->is_private && mapping->offset == 0 &&
                                      (filter & FILTER_ELF_HEADERS) != 0 && begins_elf(measure));
}

static void
add_mapping(Measure *measure)
{
    const Mapping *mapping = &measure->mapping;
    if (mapping->bytes == 0 || !is_written(measure))
        return;
    measure->sum.snapshot_bytes += mapping->bytes;
    measure->sum.resident_bytes += MIN(mapping->resident_bytes, mapping->bytes);
    if (!mapping->is_private)
        measure->sum.shared_bytes += mapping->bytes;
}

/* Returns: FALSE where @maps could not be read to its end. */
static gboolean
read_mappings(Measure *measure, FILE *maps)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length = 0;
    errno = 0;
    while ((length = getline(&line, &room, maps)) >= 0) {
        if (length > 0 && line[length - 1] == '\n')
            line[length - 1] = '\0';
        Mapping next;
        if (parse_head(line, &next)) {
            add_mapping(measure);
            measure->mapping = next;
        } else {
            parse_counter(&measure->mapping, line);
        }
    }
    add_mapping(measure);
    free(line);
    return ferror(maps) == 0;
}

gboolean
pm_live_measure(guint32 pid, PmLiveMemory *ret_memory, GError **error)
{
    g_autofree char *filter = pm_live_read(pid, "coredump_filter");
    g_autofree char *memory_path = g_strdup_printf("/proc/%u/mem", pid);
    g_autofree char *smaps_path = g_strdup_printf("/proc/%u/smaps", pid);
    g_autofree char *maps_path = g_strdup_printf("/proc/%u/maps", pid);
    Measure measure = {.memory = open(memory_path, O_RDONLY | O_CLOEXEC), .filter = FILTER_DEFAULT};
    if (filter != NULL && *filter != '\0')
        measure.filter = (guint)g_ascii_strtoull(filter, NULL, 16);
    FILE *maps = fopen(smaps_path, "re");
    if (maps == NULL)
        maps = fopen(maps_path, "re");
    const gboolean read = maps != NULL && read_mappings(&measure, maps);
    const int code = errno;
    if (maps != NULL)
        (void)fclose(maps);
    if (measure.memory >= 0)
        close(measure.memory);
    if (read && measure.sum.snapshot_bytes > 0) {
        measure.sum.private_filter =
            measure.filter & ~(FILTER_ANON_SHARED | FILTER_MAPPED_SHARED | FILTER_HUGETLB_SHARED);
        *ret_memory = measure.sum;
        return TRUE;
    }
    if (code == EACCES || code == EPERM)
        pm_live_set_denied(pid, error);
    else
        g_set_error(error, PM_ERROR, PM_ERROR_NOT_FOUND,
                    "process %u ended before its memory could be looked at", pid);
    return FALSE;
}
