/* Sums over regions: by kind, and by shape. */
#include "analysis/regions/regions-private.h"

#include <elf.h>

#define HASH_FACTOR G_GUINT64_CONSTANT(0x9e3779b97f4a7c15)

static guint64
add_known(guint64 sum, guint64 bytes)
{
    return sum == PM_BYTES_UNKNOWN || bytes == PM_BYTES_UNKNOWN ? PM_BYTES_UNKNOWN : sum + bytes;
}

void
pm_region_total_add(PmRegionTotal *total, const PmRegion *region)
{
    total->regions++;
    total->mapped_bytes += pm_region_mapped_bytes(region);
    total->dumped_bytes += region->dumped_bytes;
    total->touched_bytes = add_known(total->touched_bytes, region->touched_bytes);
    /* What is lost is left out of the sum. */
    if (region->nonzero_bytes != PM_BYTES_UNKNOWN)
        total->nonzero_bytes += region->nonzero_bytes;
}

/* A reserve is part of the heap below it; guards are counted with what they guard. */
static gboolean
can_repeat(const PmRegion *region)
{
    const gboolean is_reserve = region->kind == PM_REGION_ARENA_HEAP && (region->flags & PF_W) == 0;
    return !is_reserve && region->kind != PM_REGION_GUARD && region->kind != PM_REGION_VDSO &&
           (region->kind < PM_REGION_MODULE_TEXT || region->kind > PM_REGION_MODULE_BSS);
}

static gint
compare_groups(gconstpointer a, gconstpointer b)
{
    const PmRegionGroup *left = a;
    const PmRegionGroup *right = b;
    if (left->total.mapped_bytes != right->total.mapped_bytes)
        return left->total.mapped_bytes > right->total.mapped_bytes ? -1 : 1;
    return left->first < right->first ? -1 : left->first > right->first;
}

/* Groups are told apart by kind, size and guard. */
static guint
hash_shape(gconstpointer data)
{
    const PmRegionGroup *group = data;
    const guint64 mixed = (group->mapped_bytes / PM_REGION_PAGE_BYTES) * HASH_FACTOR ^
                          group->guard_bytes * (HASH_FACTOR >> 7) ^ group->kind;
    return (guint)(mixed >> 32 ^ mixed);
}

static gboolean
equal_shapes(gconstpointer a, gconstpointer b)
{
    const PmRegionGroup *left = a;
    const PmRegionGroup *right = b;
    return left->kind == right->kind && left->mapped_bytes == right->mapped_bytes &&
           left->guard_bytes == right->guard_bytes;
}

gboolean
pm_region_group_has(const PmRegionGroup *group, const PmRegion *region)
{
    return group->kind == region->kind && group->mapped_bytes == pm_region_mapped_bytes(region) &&
           group->guard_bytes == region->guard_bytes && can_repeat(region);
}

static void
add_to_group(PmRegionGroup *group, const PmRegion *region)
{
    pm_region_total_add(&group->total, region);
    group->total.mapped_bytes += region->guard_bytes;
    group->by_shape += region->proof == PM_STACK_BY_SHAPE;
}

GArray *
pm_regions_group(const GArray *regions)
{
    GArray *groups = g_array_new(FALSE, FALSE, sizeof(PmRegionGroup));
    g_autoptr(GHashTable) shapes = g_hash_table_new_full(hash_shape, equal_shapes, g_free, NULL);
    PmRegionGroup *last = NULL;
    for (guint i = 0; i < regions->len; i++) {
        const PmRegion *region = &g_array_index(regions, PmRegion, i);
        const PmRegionGroup shape = {.kind = region->kind,
                                     .mapped_bytes = pm_region_mapped_bytes(region),
                                     .guard_bytes = region->guard_bytes,
                                     .first = i};
        if (!can_repeat(region))
            continue;
        if (last == NULL || !equal_shapes(last, &shape))
            last = g_hash_table_lookup(shapes, &shape);
        if (last == NULL) {
            last = g_memdup2(&shape, sizeof shape);
            g_hash_table_add(shapes, last);
        }
        add_to_group(last, region);
    }
    GHashTableIter iter;
    gpointer group = NULL;
    g_hash_table_iter_init(&iter, shapes);
    while (g_hash_table_iter_next(&iter, &group, NULL))
        if (((const PmRegionGroup *)group)->total.regions > 1)
            g_array_append_vals(groups, group, 1);
    g_array_sort(groups, compare_groups);
    return groups;
}
