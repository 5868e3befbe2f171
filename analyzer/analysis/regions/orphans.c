/*
 * Stacks that nothing claims any more, and the guards below them. A control block says exactly
 * where its stack is; an alternate signal stack is named by a frame on it; what is left is told by
 * its shape, above a guard.
 */
#include "analysis/regions/regions-private.h"

#include "base/jobs.h"
#include "process/stacks.h"

#include <elf.h>

/* Control blocks are aligned to a cache line. */
#define CONTROL_BLOCK_ALIGNMENT 64

/* Of a large mapping that may be without access. */
#define PAGES_TRIED 64

/* As many stacks of one size show how long one is that its neighbour merged with. */
#define PEERS_ENOUGH 3

/* What one job searches. */
#define BATCH_REGIONS 2048

/*
 * What the jobs share.
 *
 * @regions: what is searched. @results: PmRegion in a GArray for each batch of it.
 */
typedef struct {
    const PmSubject *subject;
    const PmSpace *space;
    PmStackShape *shape;
    guint word_bytes;
    gboolean listed;
    GArray *regions;
    GArray **results;
} Hunt;

/* One job's own. @parts: Part, of the region that is looked at. */
typedef struct {
    const Hunt *hunt;
    GArray *parts;
    GArray *result;
} Search;

static void
append(GArray *result, const PmRegion *like, PmAddr start, PmAddr end)
{
    PmRegion region = *like;
    region.range = (PmRange){start, end};
    if (start < end)
        g_array_append_val(result, region);
}

/*
 * Without access: gcore writes such mappings out as zeros that can be read. Of a large one some
 * pages are looked at; pm_regions_measure() sees the rest.
 */
static gboolean
is_guard(const PmSubject *subject, const PmRegion *region)
{
    if (region->kind != PM_REGION_ANONYMOUS || region->flags != PF_R ||
        pm_image_get_origin(subject->image) != PM_ORIGIN_GCORE)
        return FALSE;
    if (pm_region_mapped_bytes(region) <= PM_GUARD_BYTES_MAX)
        return pm_regions_is_zero(subject, region->range);
    const guint64 step =
        pm_align_down(pm_region_mapped_bytes(region) / PAGES_TRIED, PM_REGION_PAGE_BYTES);
    for (guint i = 0; i < PAGES_TRIED; i++) {
        const PmAddr page = region->range.start + i * step;
        if (!pm_regions_is_zero(subject, (PmRange){page, page + PM_REGION_PAGE_BYTES}))
            return FALSE;
    }
    return TRUE;
}

/* The bytes of the guard that ends where region @index begins. */
static guint64
get_guard_below(const GArray *regions, guint index)
{
    if (index == 0)
        return 0;
    const PmRegion *below = &g_array_index(regions, PmRegion, index - 1);
    if (below->kind != PM_REGION_GUARD || below->path != NULL ||
        below->range.end != g_array_index(regions, PmRegion, index).range.start ||
        pm_region_mapped_bytes(below) > PM_GUARD_BYTES_MAX)
        return 0;
    return pm_region_mapped_bytes(below);
}

/* Looks for a control block in @span from its end down. */
static gboolean
find_in_span(const Hunt *hunt, const PmSpan *span, PmTcb *ret_tcb)
{
    PmAddr at = pm_align_down(span->start + span->length_bytes, CONTROL_BLOCK_ALIGNMENT);
    while (at > span->start && at - span->start >= CONTROL_BLOCK_ALIGNMENT) {
        at -= CONTROL_BLOCK_ALIGNMENT;
        if (pm_load_word(span->bytes + (at - span->start), hunt->word_bytes) == at &&
            pm_process_read_tcb(hunt->subject->process, at, ret_tcb))
            return TRUE;
    }
    return FALSE;
}

/* A control block in @top whose stack ends at @end, and begins at @start or above it. */
static gboolean
find_control_block(const Hunt *hunt, const PmStackTop *top, PmAddr start, PmAddr end,
                   PmTcb *ret_tcb)
{
    PmTcb tcb;
    for (guint i = top->count; i-- > 0;) {
        if (!find_in_span(hunt, &top->spans[i], &tcb))
            continue;
        if (pm_align_up(tcb.block.end, PM_REGION_PAGE_BYTES) != end ||
            tcb.block.start + tcb.guard_bytes < start)
            return FALSE;
        *ret_tcb = tcb;
        return TRUE;
    }
    return FALSE;
}

/* A part of a region, from the top down. */
typedef struct {
    PmRegionKind kind;
    PmStackProof proof;
    PmAddr start;
    guint64 guard_bytes;
} Part;

/*
 * Cuts stacks off the upper end of @region as long as a control block stands there: mappings of
 * neighbours merge.
 *
 * @top: of the region; then of what is left. Returns: where that ends.
 */
static PmAddr
cut_by_control_blocks(const Hunt *hunt, const PmRegion *region, PmStackTop *top, GArray *parts)
{
    PmAddr end = region->range.end;
    PmTcb tcb;
    while (end > region->range.start &&
           find_control_block(hunt, top, region->range.start, end, &tcb)) {
        Part part = {.kind = PM_REGION_STACK_ORPHAN,
                     .proof = PM_STACK_BY_CONTROL_BLOCK,
                     .start =
                         pm_align_down(tcb.block.start + tcb.guard_bytes, PM_REGION_PAGE_BYTES),
                     .guard_bytes = tcb.guard_bytes};
        if (!hunt->listed)
            part.kind = tcb.spent ? PM_REGION_STACK_CACHED : PM_REGION_STACK_UNJOINED;
        g_array_append_val(parts, part);
        end = part.start;
        if (tcb.guard_bytes > 0 && tcb.block.start >= region->range.start) {
            const Part guard = {.kind = PM_REGION_GUARD, .start = tcb.block.start};
            g_array_append_val(parts, guard);
            end = tcb.block.start;
        }
        pm_stack_top_read(hunt->space, (PmRange){region->range.start, end}, top);
    }
    return end;
}

/* An alternate stack at the upper end, @top, of what is left of @region. */
static PmAddr
cut_signal_stack(const Hunt *hunt, const PmRegion *region, PmAddr end, PmStackTop *top,
                 GArray *parts)
{
    PmRange stack;
    if (!pm_regions_find_signal_stack(hunt->space, top, &stack) ||
        stack.start < region->range.start || stack.end > end)
        return end;
    const Part above = {.kind = PM_REGION_ANONYMOUS,
                        .start = pm_align_up(stack.end, PM_REGION_PAGE_BYTES)};
    const Part signal = {.kind = PM_REGION_STACK_SIGNAL,
                         .proof = PM_STACK_BY_SIGNAL_FRAME,
                         .start = pm_align_down(stack.start, PM_REGION_PAGE_BYTES)};
    if (above.start < end)
        g_array_append_val(parts, above);
    g_array_append_val(parts, signal);
    pm_stack_top_read(hunt->space, (PmRange){region->range.start, signal.start}, top);
    return signal.start;
}

/* Where all that @region has in the file is in @top, it need not be read once more. */
static guint64
count_nonzero(const Hunt *hunt, const PmRegion *region, const PmStackTop *top)
{
    const PmImage *image = hunt->subject->image;
    const PmSegment *segment = pm_image_find_segment(image, region->range.start);
    if (segment == NULL || top->count > 1)
        return PM_BYTES_UNKNOWN;
    const guint64 offset_bytes = region->range.start - segment->start;
    const guint64 present_bytes =
        segment->present_bytes - MIN(segment->present_bytes, offset_bytes);
    const guint64 data_bytes =
        pm_image_count_extent_bytes(image, segment->file_offset + offset_bytes,
                                    MIN(present_bytes, pm_region_mapped_bytes(region)));
    if (top->present_bytes != data_bytes)
        return PM_BYTES_UNKNOWN;
    if (top->count == 0)
        return 0;
    return top->spans[0].start % PM_REGION_PAGE_BYTES == 0
               ? pm_regions_count_nonzero(top->spans[0].bytes, top->spans[0].length_bytes)
               : PM_BYTES_UNKNOWN;
}

/* Looks at one private writable mapping that nothing claims. */
static void
search_region(Search *search, guint index)
{
    const Hunt *hunt = search->hunt;
    const PmRegion *region = &g_array_index(hunt->regions, PmRegion, index);
    const guint64 guard_bytes = get_guard_below(hunt->regions, index);
    GArray *parts = search->parts;
    PmStackTop top;
    g_array_set_size(parts, 0);
    pm_stack_top_read(hunt->space, region->range, &top);
    PmAddr end = cut_by_control_blocks(hunt, region, &top, parts);
    end = cut_signal_stack(hunt, region, end, &top, parts);
    PmRegion part = *region;
    part.guard_bytes = guard_bytes;
    if (end > region->range.start && guard_bytes > 0 &&
        pm_stack_shape_fits(hunt->shape, (PmRange){region->range.start, end}, &top)) {
        part.kind = PM_REGION_STACK_ORPHAN;
        part.proof = PM_STACK_BY_SHAPE;
    }
    if (parts->len == 0)
        part.nonzero_bytes = count_nonzero(hunt, region, &top);
    append(search->result, &part, region->range.start, end);
    for (guint i = parts->len; i-- > 0;) {
        const Part *cut = &g_array_index(parts, Part, i);
        part = *region;
        part.kind = cut->kind;
        part.proof = cut->proof;
        part.guard_bytes = cut->start == region->range.start ? guard_bytes : cut->guard_bytes;
        append(search->result, &part, cut->start,
               i == 0 ? region->range.end : g_array_index(parts, Part, i - 1).start);
    }
}

static void
search_batches(PmJobs *jobs, gpointer data)
{
    const Hunt *hunt = data;
    g_autoptr(GArray) parts = g_array_new(FALSE, FALSE, sizeof(Part));
    guint64 batch = 0;
    while (pm_jobs_next(jobs, &batch)) {
        const guint first = (guint)batch * BATCH_REGIONS;
        const guint last = MIN(first + BATCH_REGIONS, hunt->regions->len);
        Search search = {hunt, parts,
                         g_array_sized_new(FALSE, FALSE, sizeof(PmRegion), BATCH_REGIONS)};
        for (guint i = first; i < last; i++) {
            PmRegion region = g_array_index(hunt->regions, PmRegion, i);
            /* Java's threads have guards of their own making, of which glibc knows nothing. */
            if (pm_region_kind_is_stack(region.kind) && region.guard_bytes == 0)
                region.guard_bytes = get_guard_below(hunt->regions, i);
            if (region.kind == PM_REGION_ANONYMOUS && (region.flags & PF_W) != 0)
                search_region(&search, i);
            else
                g_array_append_val(search.result, region);
        }
        hunt->results[batch] = search.result;
    }
}

/* What most of the stacks that are known by their shape have in common; no regions where there are
 * none. */
static PmRegionGroup
find_common_size(const GArray *regions)
{
    g_autoptr(GArray) groups = pm_regions_group(regions);
    PmRegionGroup best = {.kind = PM_REGION_STACK_ORPHAN};
    for (guint i = 0; i < groups->len; i++) {
        const PmRegionGroup *group = &g_array_index(groups, PmRegionGroup, i);
        if (group->by_shape > best.by_shape)
            best = *group;
    }
    return best;
}

static gboolean
fits(const Hunt *hunt, PmRange range)
{
    PmStackTop top;
    pm_stack_top_read(hunt->space, range, &top);
    return pm_stack_shape_fits(hunt->shape, range, &top);
}

/* Cuts mappings that are a stack of the common size with a neighbour's memory merged on top. Takes
 * @regions. */
static GArray *
cut_by_peers(const Hunt *hunt, GArray *regions)
{
    const PmRegionGroup common = find_common_size(regions);
    if (common.by_shape < PEERS_ENOUGH)
        return regions;
    GArray *result = g_array_sized_new(FALSE, FALSE, sizeof(PmRegion), regions->len + 1);
    for (guint i = 0; i < regions->len; i++) {
        PmRegion region = g_array_index(regions, PmRegion, i);
        const gboolean is_open =
            region.kind == PM_REGION_ANONYMOUS || region.proof == PM_STACK_BY_SHAPE;
        const PmRange piece = {region.range.start, region.range.start + common.mapped_bytes};
        if (!is_open || region.guard_bytes == 0 || region.guard_bytes != common.guard_bytes ||
            pm_region_mapped_bytes(&region) <= common.mapped_bytes || !fits(hunt, piece)) {
            g_array_append_val(result, region);
            continue;
        }
        const PmAddr end = region.range.end;
        region.kind = PM_REGION_STACK_ORPHAN;
        region.proof = PM_STACK_BY_SHAPE;
        region.nonzero_bytes = PM_BYTES_UNKNOWN;
        append(result, &region, piece.start, piece.end);
        region.kind = PM_REGION_ANONYMOUS;
        region.proof = PM_STACK_BY_NONE;
        region.guard_bytes = 0;
        append(result, &region, piece.end, end);
    }
    g_array_unref(regions);
    return result;
}

GArray *
pm_regions_find_orphans(const PmSubject *subject, GArray *regions, gboolean listed, guint jobs)
{
    g_autoptr(PmStackShape) shape = pm_stack_shape_new(subject);
    const guint batches = regions->len / BATCH_REGIONS + 1;
    g_autofree GArray **results = g_new0(GArray *, batches);
    Hunt hunt = {
        .subject = subject,
        .space = pm_process_get_space(subject->process),
        .shape = shape,
        .word_bytes = pm_image_get_target(subject->image)->word_bytes,
        .listed = listed,
        .regions = regions,
        .results = results,
    };
    for (guint i = 0; i < regions->len; i++) {
        PmRegion *region = &g_array_index(regions, PmRegion, i);
        if (is_guard(subject, region))
            region->kind = PM_REGION_GUARD;
    }
    pm_jobs_run(jobs, batches, search_batches, &hunt);
    GArray *all = results[0];
    for (guint i = 1; i < batches; i++) {
        g_array_append_vals(all, results[i]->data, results[i]->len);
        g_array_unref(results[i]);
    }
    g_array_unref(regions);
    return cut_by_peers(&hunt, all);
}
