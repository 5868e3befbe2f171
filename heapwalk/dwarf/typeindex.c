#include "dwarf/typeindex.h"

#include <dwarf.h>

void
pm_type_index_free(PmTypeIndex *index)
{
    if (index == NULL)
        return;
    if (index->free_owner != NULL)
        index->free_owner(index->owner);
    g_free(index);
}

guint32
pm_type_index_find_size(const PmTypeIndex *index, guint64 size_bytes)
{
    guint32 low = 0, high = index->type_count;
    while (low < high) {
        const guint32 middle = low + (high - low) / 2;
        if (index->types[middle].size_bytes >= size_bytes)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

guint32
pm_type_index_find_hash(const PmTypeIndex *index, guint64 name_hash)
{
    guint32 low = 0, high = index->type_count;
    while (low < high) {
        const guint32 middle = low + (high - low) / 2;
        if (index->types[index->by_name[middle]].name_hash >= name_hash)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The split unit's own DWARF, or NULL. */
static Dwarf *
get_split(const PmTypeIndex *index, PmNames *names, Dwarf *dwarf, guint32 number)
{
    Dwarf_Die skeleton, split;
    return number < index->split_count &&
                   dwarf_offdie(dwarf, index->splits[number].skeleton, &skeleton) != NULL &&
                   pm_names_get_split(names, &skeleton, NULL, &split)
               ? dwarf_cu_getdwarf(split.cu)
               : NULL;
}

gboolean
pm_type_index_get_die(const PmTypeIndex *index, PmNames *names, Dwarf *dwarf, guint32 place,
                      guint64 offset, Dwarf_Die *ret_die)
{
    gboolean in_types = place == PM_PLACE_TYPES;
    if (place == PM_PLACE_ALT) {
        dwarf = dwarf_getalt(dwarf);
    } else if (place >= PM_PLACE_SPLIT) {
        dwarf = get_split(index, names, dwarf, (place - PM_PLACE_SPLIT) / 2);
        in_types = (place - PM_PLACE_SPLIT) % 2 == 1;
    }
    return dwarf != NULL && (in_types ? dwarf_offdie_types(dwarf, offset, ret_die)
                                      : dwarf_offdie(dwarf, offset, ret_die)) != NULL;
}
