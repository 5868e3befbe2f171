/*
 * How much of each region is dumped, touched and not zero. Holes of the file are never read; the
 * rest is read once, by many threads, a page at a time no further than its first byte that is not
 * zero.
 */
#include "analysis/regions/regions-private.h"

#include "base/jobs.h"

#include <string.h>

/* A job's share of one region, and what one read takes; both of whole pages. */
#define RUN_BYTES  (G_GUINT64_CONSTANT(4) << 20)
#define READ_BYTES (G_GUINT64_CONSTANT(128) << 10)

/* A part of a region that one job counts. */
typedef struct {
    guint region;
    PmRange range;
    guint64 nonzero_bytes;
} Run;

typedef struct {
    const PmImage *image;
    const PmSpace *space;
    GArray *runs;
} Measure;

static gboolean
is_zero(const guint8 *bytes, gsize count)
{
    if (count >= 8 && pm_load_u64(bytes) != 0)
        return FALSE;
    return count == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, count - 1) == 0);
}

gboolean
pm_regions_is_zero(const PmSubject *subject, PmRange range)
{
    const PmSpace *space = pm_process_get_space(subject->process);
    for (PmAddr at = range.start; at < range.end;) {
        PmSpan span;
        pm_space_get_span(space, at, &span);
        const guint64 length = MIN(span.length_bytes, range.end - at);
        const gboolean never_written = span.kind == PM_BYTES_NOT_WRITTEN;
        if (!never_written && !span.hole && (span.bytes == NULL || !is_zero(span.bytes, length)))
            return FALSE;
        at += length;
    }
    return TRUE;
}

/* Where the bytes of @region are in the file. @segment: (nullable): that it lies in. */
static void
measure_dumped(const PmSubject *subject, const PmSegment *segment, PmRegion *region)
{
    const gboolean has_holes = pm_image_has_holes(subject->image);
    region->dumped_bytes = 0;
    region->touched_bytes = has_holes ? 0 : PM_BYTES_UNKNOWN;
    if (segment == NULL)
        return;
    const guint64 offset_bytes = region->range.start - segment->start;
    const guint64 mapped_bytes = pm_region_mapped_bytes(region);
    if (offset_bytes < segment->dumped_bytes)
        region->dumped_bytes = MIN(mapped_bytes, segment->dumped_bytes - offset_bytes);
    if (has_holes && offset_bytes < segment->present_bytes)
        region->touched_bytes =
            pm_image_count_extent_bytes(subject->image, segment->file_offset + offset_bytes,
                                        MIN(mapped_bytes, segment->present_bytes - offset_bytes));
}

/* Whether some of @region was dumped, but is past the end of the file. */
static gboolean
has_lost(const PmSegment *segment, const PmRegion *region)
{
    const guint64 offset_bytes = region->range.start - segment->start;
    const guint64 wanted =
        MIN(offset_bytes + pm_region_mapped_bytes(region), segment->dumped_bytes);
    return offset_bytes < segment->dumped_bytes && wanted > segment->present_bytes;
}

/* Lists the runs of @region that have bytes in the file. */
static void
add_runs(Measure *measure, guint index, const PmRegion *region)
{
    for (PmAddr at = region->range.start; at < region->range.end;) {
        PmSpan span;
        pm_space_get_span(measure->space, at, &span);
        PmAddr end = MIN(region->range.end, span.start + span.length_bytes);
        if (span.kind == PM_BYTES_DUMPED && !span.hole) {
            /* In whole pages of the target, of which the file need not have whole ones. */
            end = MIN(region->range.end, pm_align_up(end, PM_REGION_PAGE_BYTES));
            for (PmAddr part = pm_align_down(at, PM_REGION_PAGE_BYTES); part < end;) {
                const Run run = {index, {part, MIN(end, part + RUN_BYTES)}, 0};
                g_array_append_val(measure->runs, run);
                part = run.range.end;
            }
        }
        at = end;
    }
}

/* Copies @range to @buffer as far as it is there; what is not reads as zeros. */
static void
read_range(const Measure *measure, PmRange range, guint8 *buffer)
{
    for (PmAddr at = range.start; at < range.end;) {
        PmSpan span;
        guint8 *to = buffer + (at - range.start);
        pm_space_get_span(measure->space, at, &span);
        const guint64 length = MIN(span.length_bytes, range.end - at);
        gsize copied = 0;
        if (span.kind == PM_BYTES_DUMPED && span.bytes != NULL)
            copied = pm_image_copy(measure->image, span.bytes, to, length);
        memset(to + copied, 0, length - copied);
        at += length;
    }
}

guint64
pm_regions_count_nonzero(const guint8 *bytes, gsize count)
{
    guint64 nonzero_bytes = 0;
    for (gsize page = 0; page < count; page += PM_REGION_PAGE_BYTES) {
        const gsize length = MIN(PM_REGION_PAGE_BYTES, count - page);
        if (!is_zero(bytes + page, length))
            nonzero_bytes += length;
    }
    return nonzero_bytes;
}

static void
count_run(const Measure *measure, Run *run, guint8 *buffer)
{
    for (PmAddr at = run->range.start; at < run->range.end;) {
        const PmRange part = {at, MIN(run->range.end, at + READ_BYTES)};
        read_range(measure, part, buffer);
        run->nonzero_bytes += pm_regions_count_nonzero(buffer, pm_range_bytes(part));
        at = part.end;
    }
}

static void
count_runs(PmJobs *jobs, gpointer data)
{
    const Measure *measure = data;
    g_autofree guint8 *buffer = g_malloc0(READ_BYTES);
    guint64 index = 0;
    while (pm_jobs_next(jobs, &index))
        count_run(measure, &g_array_index(measure->runs, Run, index), buffer);
}

void
pm_regions_measure(const PmSubject *subject, const PmRegionsOptions *options, GArray *regions)
{
    Measure measure = {.image = subject->image,
                       .space = pm_process_get_space(subject->process),
                       .runs = g_array_new(FALSE, FALSE, sizeof(Run))};
    gsize count = 0, next = 0;
    const PmSegment *segments = pm_image_get_segments(subject->image, &count);
    for (guint i = 0; i < regions->len; i++) {
        PmRegion *region = &g_array_index(regions, PmRegion, i);
        while (next < count &&
               segments[next].start + segments[next].mapped_bytes <= region->range.start)
            next++;
        const gboolean in_segment = next < count && segments[next].start <= region->range.start;
        measure_dumped(subject, in_segment ? &segments[next] : NULL, region);
        const gboolean is_lost = in_segment && has_lost(&segments[next], region);
        if (!options->count_nonzero || is_lost) {
            region->nonzero_bytes = PM_BYTES_UNKNOWN;
        } else if (region->nonzero_bytes == PM_BYTES_UNKNOWN) {
            region->nonzero_bytes = 0;
            if (region->dumped_bytes > 0)
                add_runs(&measure, i, region);
        }
    }
    pm_jobs_run(options->jobs, measure.runs->len, count_runs, &measure);
    for (guint i = 0; i < measure.runs->len; i++) {
        const Run *run = &g_array_index(measure.runs, Run, i);
        PmRegion *region = &g_array_index(regions, PmRegion, run->region);
        region->nonzero_bytes += run->nonzero_bytes;
        /* It was taken for one by some of its pages. */
        if (run->nonzero_bytes > 0 && region->kind == PM_REGION_GUARD)
            region->kind = PM_REGION_ANONYMOUS;
    }
    g_array_unref(measure.runs);
}

guint64
pm_regions_count_all(const PmSubject *subject, const GArray *regions, guint jobs)
{
    Measure measure = {.image = subject->image,
                       .space = pm_process_get_space(subject->process),
                       .runs = g_array_new(FALSE, FALSE, sizeof(Run))};
    guint64 nonzero_bytes = 0;
    for (guint i = 0; i < regions->len; i++)
        add_runs(&measure, i, &g_array_index(regions, PmRegion, i));
    pm_jobs_run(jobs, measure.runs->len, count_runs, &measure);
    for (guint i = 0; i < measure.runs->len; i++)
        nonzero_bytes += g_array_index(measure.runs, Run, i).nonzero_bytes;
    g_array_unref(measure.runs);
    return nonzero_bytes;
}
