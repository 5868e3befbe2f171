/*
 * What DWARF says of one module in short: which structures, unions and enumerations it defines, and
 * which variables have a fixed place. One walk over all DIEs makes it; it can be written to a file
 * as it is, and mapped again.
 */
#pragma once

#include "dwarf/names.h"

/*
 * Which section of which file a DIE is in: of the module's own DWARF, of its supplementary file, or
 * of the split file of the index's split n: PM_PLACE_SPLIT + 2 n, and one more for .debug_types.
 */
#define PM_PLACE_INFO  0u
#define PM_PLACE_TYPES 1u
#define PM_PLACE_ALT   2u
#define PM_PLACE_SPLIT 16u

/*
 * A definition. Those that many units repeat are one.
 *
 * @die: its offset in @place's section. @name_hash: pm_spelling_hash(). @name, @file: offsets of
 * strings; @name as PmType.name has it, @file "" where unknown. @line: 0 where unknown.
 * @copies: how many there are. @kind: PmTypeKind.
 */
typedef struct {
    guint64 size_bytes;
    guint64 die;
    guint64 name_hash;
    guint32 name;
    guint32 file;
    guint32 line;
    guint32 place;
    guint32 copies;
    guint32 kind;
} PmIndexType;

/*
 * A variable.
 *
 * @value: its address as the file has it, or its offset in the module's TLS block. @die, @place:
 * the DIE that says where it is. @name: with its scopes.
 */
typedef struct {
    guint64 value;
    guint64 die;
    guint32 name;
    guint32 place;
    guint32 is_tls;
    guint32 unused;
} PmIndexVariable;

/*
 * A skeleton unit whose split unit was found.
 *
 * @skeleton: the offset of its topmost DIE. @path: of the split file. @size_bytes, @modified_ns: of
 * that file, to know it again.
 */
typedef struct {
    guint64 skeleton;
    guint64 size_bytes;
    gint64 modified_ns;
    guint32 path;
    guint32 unused;
} PmIndexSplit;

/*
 * @types: by size, then name. @by_name: indexes of @types, by name_hash. @variables: by is_tls,
 * value, name. @strings: the first is "", and the last byte is 0.
 * @splits_missing: skeletons whose split file is not here.
 */
typedef struct {
    const PmIndexType *types;
    const guint32 *by_name;
    const PmIndexVariable *variables;
    const PmIndexSplit *splits;
    const char *strings;
    guint32 type_count;
    guint32 variable_count;
    guint32 split_count;
    guint32 splits_missing;
    guint32 string_bytes;
    gpointer owner; /* what the arrays are in */
    GDestroyNotify free_owner;
} PmTypeIndex;

/* Bytes of .debug_info that were walked, of all there are. */
typedef void (*PmIndexProgress)(gpointer data, guint64 done, guint64 total);

/*
 * Walks over all of @dwarf.
 *
 * @names: that is to name its DIEs. @progress: may be NULL.
 * Returns: (transfer full): never NULL; what is damaged is left out.
 */
PmTypeIndex *pm_type_index_build(PmNames *names, Dwarf *dwarf, PmIndexProgress progress,
                                 gpointer data);
void pm_type_index_free(PmTypeIndex *index);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmTypeIndex, pm_type_index_free)

/* A string of the index. */
static inline const char *
pm_type_index_get_string(const PmTypeIndex *index, guint32 offset)
{
    return index->strings + offset;
}

/* The first of types with at least @size_bytes; type_count where there is none. O(log n). */
guint32 pm_type_index_find_size(const PmTypeIndex *index, guint64 size_bytes);

/* The first of by_name with @name_hash or a greater one; type_count where there is none. */
guint32 pm_type_index_find_hash(const PmTypeIndex *index, guint64 name_hash);

/* The DIE at @offset of @place. FALSE where there is none. */
gboolean pm_type_index_get_die(const PmTypeIndex *index, PmNames *names, Dwarf *dwarf,
                               guint32 place, guint64 offset, Dwarf_Die *ret_die);
