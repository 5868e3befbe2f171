#include "dwarf/indexcache.h"

#include "base/cachefile.h"
#include "dwarf/types.h"

#include <sys/stat.h>

/* To be raised whenever the walk finds something else, or an entry's meaning changes. */
#define VERSION 1
#define MAGIC   "pmtypes\n"
/* Read as a number it says the byte order as well. */
#define ORDER 0x01020304u

#define KIND               "types"
#define BUILD_ID_CHARS_MAX 128

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

/* Points @index into @file. FALSE where the counts and the size do not agree. */
static gboolean
lay_out(const PmCacheFile *file, PmTypeIndex *index)
{
    const Header *header = (const Header *)(gconstpointer)file->bytes;
    const guint8 *at = file->bytes + sizeof *header;
    /* Counts of 32 bits and entries of at most 48 bytes: nothing wraps. */
    const guint64 expected = sizeof *header + header->type_count * (guint64)sizeof(PmIndexType) +
                             header->variable_count * (guint64)sizeof(PmIndexVariable) +
                             header->split_count * (guint64)sizeof(PmIndexSplit) +
                             header->type_count * (guint64)sizeof(guint32) + header->string_bytes;
    if (expected != file->count)
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

/* Runs of bytes of the file. */
#define PARTS 6

static void
get_parts(const PmTypeIndex *index, const Header *header, PmCachePart parts[PARTS])
{
    parts[0] = (PmCachePart){header, sizeof *header};
    parts[1] = (PmCachePart){index->types, index->type_count * sizeof *index->types};
    parts[2] = (PmCachePart){index->variables, index->variable_count * sizeof *index->variables};
    parts[3] = (PmCachePart){index->splits, index->split_count * sizeof *index->splits};
    parts[4] = (PmCachePart){index->by_name, index->type_count * sizeof *index->by_name};
    parts[5] = (PmCachePart){index->strings, index->string_bytes};
}

/* The checksum of the header and of what follows it. */
static guint64
sum_all(const Header *header, const PmTypeIndex *index)
{
    const gsize summed = offsetof(Header, order);
    PmCachePart parts[PARTS];
    get_parts(index, header, parts);
    guint64 sum =
        pm_cache_checksum_add(0, (const guint8 *)header + summed, sizeof *header - summed);
    for (guint i = 1; i < PARTS; i++)
        sum = pm_cache_checksum_add(sum, parts[i].bytes, parts[i].count);
    return sum;
}

static gboolean
is_valid(const PmCacheFile *file, const PmIndexOrigin *origin, PmTypeIndex *index)
{
    const Header *header = (const Header *)(gconstpointer)file->bytes;
    return memcmp(header->magic, MAGIC, sizeof header->magic) == 0 && header->order == ORDER &&
           header->version == VERSION && has_identity(header, origin) && lay_out(file, index) &&
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
    g_autoptr(PmCacheFile) file =
        pm_cache_file_map(folder, KIND, build_id, sizeof(Header), &exists);
    if (file != NULL && is_valid(file, origin, &index)) {
        index.owner = g_steal_pointer(&file);
        index.free_owner = pm_cache_file_free;
        return g_memdup2(&index, sizeof index);
    }
    *ret_was_damaged = exists;
    return NULL;
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
    PmCachePart parts[PARTS];
    fill_identity(&header, origin);
    get_parts(index, &header, parts);
    header.checksum = sum_all(&header, index);
    pm_cache_file_write(folder, KIND, build_id, parts, PARTS);
}
