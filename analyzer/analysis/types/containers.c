/*
 * Which types begin with another, or hold it further in: what a pointer to that one may lead to.
 */
#include "analysis/types/groups-private.h"

#include <string.h>

/* Sizes of which the containers are remembered. */
#define CACHED_MAX 20000
/* Structures that are searched for flexible ones. */
#define TYPES_SEARCHED_MAX 20000
/* Chunks larger than that are arrays and buffers, not structures. */
#define CONTAINER_BYTES_MAX 65536

/* The containers of a type for one size of chunk; 0 for those of any size. */
typedef struct {
    const PmPointee *target;
    guint64 offset_bytes;
    guint64 usable_bytes;
} ContainerKey;

static guint
hash_container(gconstpointer key)
{
    const ContainerKey *container = key;
    return (g_direct_hash(container->target) * 31 + (guint)container->offset_bytes) * 31 +
           (guint)(container->usable_bytes >> 3);
}

static gboolean
equal_containers(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, sizeof(ContainerKey)) == 0;
}

void
pm_containers_init(PmGroups *groups)
{
    groups->containers = g_hash_table_new_full(hash_container, equal_containers, g_free,
                                               (GDestroyNotify)g_ptr_array_unref);
    groups->flexible = g_hash_table_new_full(hash_container, equal_containers, g_free,
                                             (GDestroyNotify)g_ptr_array_unref);
}

static gboolean
holds(PmTyping *typing, const PmType *type, const PmPointee *target, guint64 offset)
{
    return type != target->type && type->kind == PM_TYPE_STRUCT && !type->is_declaration &&
           (offset == 0 ? pm_type_begins_with(typing->types, type, target->type)
                        : pm_type_holds_at(typing->types, type, offset, target->type));
}

/* Those that end in an array of any length, and so fill chunks of many sizes. */
static GPtrArray *
find_flexible(PmTyping *typing, const PmPointee *target, guint64 offset)
{
    const ContainerKey key = {target, offset, 0};
    GPtrArray *found = g_hash_table_lookup(typing->groups->flexible, &key);
    if (found != NULL)
        return found;
    found = g_ptr_array_new();
    g_autoptr(GPtrArray) types = pm_types_find_by_size(
        typing->types, MAX(offset + target->size_bytes, 1), CONTAINER_BYTES_MAX);
    for (guint i = 0; types != NULL && types->len <= TYPES_SEARCHED_MAX && i < types->len; i++) {
        const PmType *type = g_ptr_array_index(types, i);
        if (!holds(typing, type, target, offset))
            continue;
        PmPointee *container = pm_plans_get_target(typing->plans, type);
        if (container->is_flexible)
            g_ptr_array_add(found, container);
    }
    g_hash_table_insert(typing->groups->flexible, g_memdup2(&key, sizeof key), found);
    return found;
}

const GPtrArray *
pm_containers_find(PmTyping *typing, const PmPointee *target, guint64 offset, guint64 usable)
{
    const ContainerKey key = {target, offset, usable};
    GPtrArray *found = g_hash_table_lookup(typing->groups->containers, &key);
    if (found != NULL)
        return found;
    found = g_ptr_array_new();
    const guint64 least =
        MAX(pm_typing_get_request_min(typing, usable), offset + target->size_bytes);
    if (usable <= CONTAINER_BYTES_MAX) {
        g_autoptr(GPtrArray) types = pm_types_find_by_size(typing->types, least, usable);
        for (guint i = 0; types != NULL && i < types->len; i++) {
            const PmType *type = g_ptr_array_index(types, i);
            if (holds(typing, type, target, offset))
                g_ptr_array_add(found, pm_plans_get_target(typing->plans, type));
        }
    }
    const GPtrArray *flexible = find_flexible(typing, target, offset);
    for (guint i = 0; i < flexible->len; i++) {
        PmPointee *container = g_ptr_array_index(flexible, i);
        if (container->least_bytes <= usable && !g_ptr_array_find(found, container, NULL))
            g_ptr_array_add(found, container);
    }
    if (g_hash_table_size(typing->groups->containers) < CACHED_MAX)
        g_hash_table_insert(typing->groups->containers, g_memdup2(&key, sizeof key), found);
    else
        g_hash_table_insert(typing->groups->flexible, g_memdup2(&key, sizeof key), found);
    return found;
}

gboolean
pm_groups_has_containers(PmTyping *typing, PmPointee *target, const PmSpot *spot)
{
    if (spot->usable_bytes > CONTAINER_BYTES_MAX)
        return FALSE;
    return pm_containers_find(typing, target, 0, spot->usable_bytes)->len > 0;
}
