/*
 * The mappings of the process, from segments and NT_FILE, and how lists of regions are laid over
 * each other.
 */
#include "analysis/regions/regions-private.h"

#include <elf.h>

static void
add_region(GArray *regions, const PmRegion *like, PmAddr start, PmAddr end)
{
    if (start >= end)
        return;
    PmRegion region = *like;
    region.range = (PmRange){start, end};
    g_array_append_val(regions, region);
}

GArray *
pm_regions_overlay(const GArray *lower, const GArray *upper)
{
    GArray *result = g_array_sized_new(FALSE, FALSE, sizeof(PmRegion), lower->len + upper->len);
    guint next = 0;
    for (guint i = 0; i < lower->len; i++) {
        const PmRegion *below = &g_array_index(lower, PmRegion, i);
        PmAddr at = below->range.start;
        for (; next < upper->len; next++) {
            const PmRegion *above = &g_array_index(upper, PmRegion, next);
            if (above->range.start >= below->range.end)
                break;
            add_region(result, below, at, above->range.start);
            at = MAX(at, above->range.end);
            if (above->range.end > below->range.end)
                break; /* the next of @lower may lie below it, too */
            g_array_append_val(result, *above);
        }
        add_region(result, below, at, below->range.end);
    }
    g_array_append_vals(result, upper->data + (gsize)next * sizeof(PmRegion), upper->len - next);
    return result;
}

static gint
compare_regions(gconstpointer a, gconstpointer b)
{
    const PmAddr left = ((const PmRegion *)a)->range.start;
    const PmAddr right = ((const PmRegion *)b)->range.start;
    return (left > right) - (left < right);
}

void
pm_regions_settle(GArray *regions)
{
    guint kept = 0;
    PmAddr end = 0;
    g_array_sort(regions, compare_regions);
    for (guint i = 0; i < regions->len; i++) {
        PmRegion region = g_array_index(regions, PmRegion, i);
        region.range.start = MAX(region.range.start, end);
        if (region.range.start >= region.range.end)
            continue;
        end = region.range.end;
        g_array_index(regions, PmRegion, kept++) = region;
    }
    g_array_set_size(regions, kept);
}

/* Adds @segment, cut where a mapped file begins or ends. */
static void
add_segment(GArray *regions, const PmImage *image, const PmSegment *segment)
{
    PmRegion region = {.kind = PM_REGION_ANONYMOUS,
                       .flags_known = TRUE,
                       .flags = segment->flags & (PF_R | PF_W | PF_X),
                       .arena = PM_ADDR_NONE,
                       .nonzero_bytes = PM_BYTES_UNKNOWN};
    gsize count = 0;
    const PmFileMapping *files = pm_image_get_file_mappings(image, &count);
    const PmAddr end = segment->start + segment->mapped_bytes;
    gsize low = 0, high = count;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (files[middle].end > segment->start)
            high = middle;
        else
            low = middle + 1;
    }
    PmAddr at = segment->start;
    for (; low < count && files[low].start < end; low++) {
        region.path = NULL;
        add_region(regions, &region, at, files[low].start);
        at = MAX(at, files[low].start);
        region.path = files[low].path;
        add_region(regions, &region, at, MIN(files[low].end, end));
        at = MAX(at, MIN(files[low].end, end));
    }
    region.path = NULL;
    add_region(regions, &region, at, end);
}

/* Adds what no segment tells of @file. */
static void
add_left_out(GArray *regions, const PmImage *image, const PmFileMapping *file)
{
    const PmRegion region = {.kind = PM_REGION_ANONYMOUS,
                             .path = file->path,
                             .arena = PM_ADDR_NONE,
                             .nonzero_bytes = PM_BYTES_UNKNOWN};
    gsize count = 0;
    const PmSegment *segments = pm_image_get_segments(image, &count);
    gsize low = 0, high = count;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (segments[middle].start + segments[middle].mapped_bytes > file->start)
            high = middle;
        else
            low = middle + 1;
    }
    PmAddr at = file->start;
    for (; low < count && segments[low].start < file->end; low++) {
        add_region(regions, &region, at, segments[low].start);
        at = MAX(at, segments[low].start + segments[low].mapped_bytes);
    }
    add_region(regions, &region, at, file->end);
}

GArray *
pm_regions_list_mappings(const PmImage *image)
{
    gsize count = 0;
    const PmSegment *segments = pm_image_get_segments(image, &count);
    GArray *mapped = g_array_sized_new(FALSE, FALSE, sizeof(PmRegion), (guint)count);
    for (gsize i = 0; i < count; i++)
        add_segment(mapped, image, &segments[i]);

    /* Few files are mapped, but there may be many segments. */
    const PmFileMapping *files = pm_image_get_file_mappings(image, &count);
    const guint segment_regions = mapped->len;
    for (gsize i = 0; i < count; i++)
        add_left_out(mapped, image, &files[i]);
    if (mapped->len > segment_regions)
        g_array_sort(mapped, compare_regions);
    return mapped;
}
