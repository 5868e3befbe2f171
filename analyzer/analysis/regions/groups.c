/* Sums over regions: by kind, and by shape. */
#include "analysis/regions/regions-private.h"

#include <elf.h>

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
    total->nonzero_bytes = add_known(total->nonzero_bytes, region->nonzero_bytes);
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
compare_shapes(gconstpointer a, gconstpointer b)
{
    const PmRegion *left = *(const PmRegion *const *)a;
    const PmRegion *right = *(const PmRegion *const *)b;
    const guint64 left_bytes = pm_region_mapped_bytes(left);
    const guint64 right_bytes = pm_region_mapped_bytes(right);
    if (left->kind != right->kind)
        return left->kind < right->kind ? -1 : 1;
    if (left_bytes != right_bytes)
        return left_bytes < right_bytes ? -1 : 1;
    if (left->guard_bytes != right->guard_bytes)
        return left->guard_bytes < right->guard_bytes ? -1 : 1;
    return left->range.start < right->range.start ? -1 : left->range.start > right->range.start;
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

static gboolean
has_shape(const PmRegionGroup *group, const PmRegion *region)
{
    return group->kind == region->kind && group->mapped_bytes == pm_region_mapped_bytes(region) &&
           group->guard_bytes == region->guard_bytes;
}

GArray *
pm_regions_group(const GArray *regions)
{
    GArray *groups = g_array_new(FALSE, FALSE, sizeof(PmRegionGroup));
    const PmRegion *all = (const PmRegion *)(gconstpointer)regions->data;
    g_autoptr(GPtrArray) sorted = g_ptr_array_new();
    for (guint i = 0; i < regions->len; i++)
        if (can_repeat(&all[i]))
            g_ptr_array_add(sorted, (gpointer)&all[i]);
    g_ptr_array_sort(sorted, compare_shapes);

    PmRegionGroup group = {.kind = PM_REGION_KINDS};
    for (guint i = 0; i <= sorted->len; i++) {
        const PmRegion *region = i < sorted->len ? g_ptr_array_index(sorted, i) : NULL;
        if (region == NULL || !has_shape(&group, region)) {
            if (group.total.regions > 1)
                g_array_append_val(groups, group);
            if (region == NULL)
                break;
            group = (PmRegionGroup){.kind = region->kind,
                                    .mapped_bytes = pm_region_mapped_bytes(region),
                                    .guard_bytes = region->guard_bytes,
                                    .first = (gsize)(region - all)};
        }
        pm_region_total_add(&group.total, region);
        group.total.mapped_bytes += region->guard_bytes;
        group.by_shape += region->proof == PM_STACK_BY_SHAPE;
    }
    g_array_sort(groups, compare_groups);
    return groups;
}
