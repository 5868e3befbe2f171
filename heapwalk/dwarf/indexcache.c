#include "dwarf/indexcache.h"

#include "dwarf/types.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* To be raised whenever the walk finds something else, or an entry's meaning changes. */
#define VERSION 1
#define MAGIC   "pmtypes\n"
/* Read as a number it says the byte order as well. */
#define ORDER 0x01020304u

#define BUILD_ID_CHARS_MAX 128
#define FILE_BYTES_MAX     ((gint64)1 << 31)

/* @checksum: of all that follows it. Behind the header: types, variables, splits, by_name, strings,
 * each as long as its count says. */
typedef struct {
    char magic[8];
    guint64 checksum;
    guint32 order;
    guint32 version;
    guint32 type_count;
    guint32 variable_count;
    guint32 split_count;
    guint32 string_bytes;
    guint64 main_bytes;
    guint64 alt_bytes;
    char main_id[BUILD_ID_CHARS_MAX];
    char alt_id[BUILD_ID_CHARS_MAX];
} Header;

G_STATIC_ASSERT(sizeof(Header) % sizeof(guint64) == 0);
G_STATIC_ASSERT(sizeof(PmIndexType) == 48);
G_STATIC_ASSERT(sizeof(PmIndexVariable) == 32);
G_STATIC_ASSERT(sizeof(PmIndexSplit) == 32);

/* An index's file in memory. */
typedef struct {
    guint8 *bytes;
    gsize count;
} Mapping;

static void
mapping_free(gpointer data)
{
    Mapping *mapping = data;
    munmap(mapping->bytes, mapping->count);
    g_free(mapping);
}

/* Against damage, not against forgery: what passes is checked all the same. */
static guint64
add_to_checksum(guint64 sum, gconstpointer bytes, gsize count)
{
    const guint8 *at = bytes;
    for (; count >= 8; at += 8, count -= 8) {
        guint64 word = 0;
        memcpy(&word, at, 8);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15;
        sum ^= sum >> 32;
    }
    for (; count > 0; at++, count--)
        sum = ((sum ^ *at) * 0x9e3779b97f4a7c15) ^ 1;
    return sum;
}

/* It becomes part of a path. */
static gboolean
is_build_id(const char *build_id)
{
    const gsize length = build_id != NULL ? strlen(build_id) : 0;
    if (length < 2 || length > BUILD_ID_CHARS_MAX)
        return FALSE;
    for (gsize i = 0; i < length; i++)
        if (!g_ascii_isxdigit(build_id[i]))
            return FALSE;
    return TRUE;
}

static void
fill_identity(Header *header, const PmIndexOrigin *origin)
{
    header->main_bytes = origin->main_file.size_bytes;
    header->alt_bytes = origin->alt_file.size_bytes;
    if (origin->main_file.build_id != NULL)
        strncpy(header->main_id, origin->main_file.build_id, BUILD_ID_CHARS_MAX - 1);
    if (origin->alt_file.build_id != NULL)
        strncpy(header->alt_id, origin->alt_file.build_id, BUILD_ID_CHARS_MAX - 1);
}

static gboolean
has_identity(const Header *header, const PmIndexOrigin *origin)
{
    Header expected = {.order = 0};
    fill_identity(&expected, origin);
    return header->main_bytes == expected.main_bytes && header->alt_bytes == expected.alt_bytes &&
           memcmp(header->main_id, expected.main_id, BUILD_ID_CHARS_MAX) == 0 &&
           memcmp(header->alt_id, expected.alt_id, BUILD_ID_CHARS_MAX) == 0;
}

static Mapping *
map_file(const char *path, gboolean *ret_exists)
{
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;
    Mapping *mapping = NULL;
    *ret_exists = fd >= 0;
    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
        status.st_size >= (off_t)sizeof(Header) && status.st_size <= FILE_BYTES_MAX) {
        void *bytes = mmap(NULL, (gsize)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes != MAP_FAILED) {
            mapping = g_new0(Mapping, 1);
            *mapping = (Mapping){bytes, (gsize)status.st_size};
        }
    }
    close(fd);
    return mapping;
}

/* Points @index into @mapping. FALSE where the counts and the size do not agree. */
static gboolean
lay_out(const Mapping *mapping, PmTypeIndex *index)
{
    const Header *header = (const Header *)(gconstpointer)mapping->bytes;
    const guint8 *at = mapping->bytes + sizeof *header;
    /* Counts of 32 bits and entries of at most 48 bytes: nothing wraps. */
    const guint64 expected = sizeof *header + header->type_count * (guint64)sizeof(PmIndexType) +
                             header->variable_count * (guint64)sizeof(PmIndexVariable) +
                             header->split_count * (guint64)sizeof(PmIndexSplit) +
                             header->type_count * (guint64)sizeof(guint32) + header->string_bytes;
    if (expected != mapping->count)
        return FALSE;
    index->type_count = header->type_count;
    index->variable_count = header->variable_count;
    index->split_count = header->split_count;
    index->string_bytes = header->string_bytes;
    index->types = (const PmIndexType *)(gconstpointer)at;
    at += index->type_count * sizeof(PmIndexType);
    index->variables = (const PmIndexVariable *)(gconstpointer)at;
    at += index->variable_count * sizeof(PmIndexVariable);
    index->splits = (const PmIndexSplit *)(gconstpointer)at;
    at += index->split_count * sizeof(PmIndexSplit);
    index->by_name = (const guint32 *)(gconstpointer)at;
    at += index->type_count * sizeof(guint32);
    index->strings = (const char *)at;
    return TRUE;
}

static gboolean
is_place(const PmTypeIndex *index, guint32 place)
{
    return place <= PM_PLACE_ALT ||
           (place >= PM_PLACE_SPLIT && (place - PM_PLACE_SPLIT) / 2 < index->split_count);
}

static gboolean
are_types_valid(const PmTypeIndex *index)
{
    for (guint32 i = 0; i < index->type_count; i++) {
        const PmIndexType *type = &index->types[i];
        if (type->name >= index->string_bytes || type->file >= index->string_bytes ||
            !is_place(index, type->place) || index->by_name[i] >= index->type_count ||
            (type->kind != PM_TYPE_STRUCT && type->kind != PM_TYPE_UNION &&
             type->kind != PM_TYPE_ENUM) ||
            (i > 0 && type[-1].size_bytes > type->size_bytes))
            return FALSE;
    }
    for (guint32 i = 1; i < index->type_count; i++)
        if (index->types[index->by_name[i - 1]].name_hash >
            index->types[index->by_name[i]].name_hash)
            return FALSE;
    return TRUE;
}

static gboolean
are_variables_valid(const PmTypeIndex *index)
{
    for (guint32 i = 0; i < index->variable_count; i++) {
        const PmIndexVariable *variable = &index->variables[i];
        if (variable->name >= index->string_bytes || variable->is_tls > 1 ||
            !is_place(index, variable->place))
            return FALSE;
    }
    return TRUE;
}

/* Whether the split files are as they were. */
static gboolean
are_splits_valid(const PmTypeIndex *index)
{
    for (guint32 i = 0; i < index->split_count; i++) {
        const PmIndexSplit *split = &index->splits[i];
        struct stat status;
        if (split->path >= index->string_bytes ||
            stat(pm_type_index_get_string(index, split->path), &status) != 0 ||
            !S_ISREG(status.st_mode) || (guint64)status.st_size != split->size_bytes ||
            pm_split_get_modified(&status) != split->modified_ns)
            return FALSE;
    }
    return TRUE;
}

/* One run of bytes of the file. */
typedef struct {
    gconstpointer bytes;
    gsize count;
} Part;
#define PARTS 6

static void
get_parts(const PmTypeIndex *index, const Header *header, Part parts[PARTS])
{
    parts[0] = (Part){header, sizeof *header};
    parts[1] = (Part){index->types, index->type_count * sizeof *index->types};
    parts[2] = (Part){index->variables, index->variable_count * sizeof *index->variables};
    parts[3] = (Part){index->splits, index->split_count * sizeof *index->splits};
    parts[4] = (Part){index->by_name, index->type_count * sizeof *index->by_name};
    parts[5] = (Part){index->strings, index->string_bytes};
}

/* The checksum of the header and of what follows it. */
static guint64
sum_all(const Header *header, const PmTypeIndex *index)
{
    const gsize summed = offsetof(Header, order);
    Part parts[PARTS];
    get_parts(index, header, parts);
    guint64 sum = add_to_checksum(0, (const guint8 *)header + summed, sizeof *header - summed);
    for (guint i = 1; i < PARTS; i++)
        sum = add_to_checksum(sum, parts[i].bytes, parts[i].count);
    return sum;
}

static gboolean
is_valid(const Mapping *mapping, const PmIndexOrigin *origin, PmTypeIndex *index)
{
    const Header *header = (const Header *)(gconstpointer)mapping->bytes;
    return memcmp(header->magic, MAGIC, sizeof header->magic) == 0 && header->order == ORDER &&
           header->version == VERSION && has_identity(header, origin) && lay_out(mapping, index) &&
           sum_all(header, index) == header->checksum && index->string_bytes > 0 &&
           index->strings[0] == '\0' && index->strings[index->string_bytes - 1] == '\0' &&
           are_types_valid(index) && are_variables_valid(index) && are_splits_valid(index);
}

PmTypeIndex *
pm_index_cache_load(const char *folder, const char *build_id, const PmIndexOrigin *origin,
                    gboolean *ret_was_damaged)
{
    gboolean exists = FALSE;
    PmTypeIndex index = {.owner = NULL};
    *ret_was_damaged = FALSE;
    if (!is_build_id(build_id))
        return NULL;
    g_autofree char *path = g_build_filename(folder, "types", build_id, NULL);
    Mapping *mapping = map_file(path, &exists);
    if (mapping != NULL && is_valid(mapping, origin, &index)) {
        index.owner = mapping;
        index.free_owner = mapping_free;
        return g_memdup2(&index, sizeof index);
    }
    if (mapping != NULL)
        mapping_free(mapping);
    *ret_was_damaged = exists;
    return NULL;
}

static gboolean
write_parts(int fd, const Part parts[PARTS])
{
    for (guint i = 0; i < PARTS; i++) {
        const guint8 *at = parts[i].bytes;
        gsize left = parts[i].count;
        while (left > 0) {
            const ssize_t written = write(fd, at, left);
            if (written < 0 && errno == EINTR)
                continue;
            if (written <= 0)
                return FALSE;
            at += written;
            left -= (gsize)written;
        }
    }
    return TRUE;
}

void
pm_index_cache_save(const char *folder, const char *build_id, const PmIndexOrigin *origin,
                    const PmTypeIndex *index)
{
    Header header = {
        .magic = MAGIC,
        .order = ORDER,
        .version = VERSION,
        .type_count = index->type_count,
        .variable_count = index->variable_count,
        .split_count = index->split_count,
        .string_bytes = index->string_bytes,
    };
    Part parts[PARTS];
    if (!is_build_id(build_id))
        return;
    fill_identity(&header, origin);
    get_parts(index, &header, parts);
    header.checksum = sum_all(&header, index);

    g_autofree char *types = g_build_filename(folder, "types", NULL);
    g_autofree char *path = g_build_filename(types, build_id, NULL);
    g_autofree char *temporary = g_strdup_printf("%s.XXXXXX", path);
    if (g_mkdir_with_parents(types, 0700) != 0)
        return;
    const int fd = g_mkstemp_full(temporary, O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    const gboolean is_written = write_parts(fd, parts);
    if (close(fd) != 0 || !is_written || rename(temporary, path) != 0)
        unlink(temporary);
}
