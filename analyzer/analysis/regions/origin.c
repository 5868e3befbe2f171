/* What is asked of one group of regions: what it holds, and where its threads began. */
#include "analysis/regions/regions-private.h"

/* Stacks that are looked at, evenly over the group. */
#define STACKS_TRIED 32

/* Copies of the regions of @group. (transfer full) */
static GArray *
list_group(const PmRegions *regions, const PmRegionGroup *group)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(PmRegion));
    for (guint i = 0; i < regions->regions->len; i++) {
        const PmRegion *region = &g_array_index(regions->regions, PmRegion, i);
        if (pm_region_group_has(group, region))
            g_array_append_vals(list, region, 1);
    }
    return list;
}

guint64
pm_regions_count_group(const PmRegions *regions, const PmRegionGroup *group, guint jobs)
{
    g_autoptr(GArray) list = list_group(regions, group);
    return pm_regions_count_all(regions->subject, list, jobs);
}

void
pm_regions_find_origin(const PmRegions *regions, const PmRegionGroup *group,
                       PmStackOrigin *ret_origin)
{
    const PmSpace *space = pm_process_get_space(regions->subject->process);
    g_autoptr(PmStackShape) shape = pm_stack_shape_new(regions->subject);
    g_autoptr(GArray) list = list_group(regions, group);
    PmAddr found[STACKS_TRIED];
    PmStackTop top;
    PmStackOrigin origin = {.address = PM_ADDR_NONE, .looked = MIN(list->len, STACKS_TRIED)};
    for (guint i = 0; i < origin.looked; i++) {
        const guint64 index = (guint64)i * list->len / origin.looked;
        found[i] = PM_ADDR_NONE;
        pm_stack_top_read(space, g_array_index(list, PmRegion, (guint)index).range, &top);
        pm_stack_shape_find_origin(shape, &top, &found[i]);
    }
    for (guint i = 0; i < origin.looked; i++) {
        guint count = 0;
        for (guint j = 0; j < origin.looked; j++)
            count += found[j] == found[i];
        if (found[i] != PM_ADDR_NONE && count > origin.count) {
            origin.address = found[i];
            origin.count = count;
        }
    }
    *ret_origin = origin;
}
