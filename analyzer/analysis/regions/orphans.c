/*
 * Stacks that nothing claims any more, and the guards below them. A control block says exactly
 * where its stack is; an alternate signal stack is named by a frame on it; what is left is told by
 * its shape, above a guard.
 */
#include "analysis/regions/regions-private.h"

#include "process/stacks.h"

#include <elf.h>

/* Where a control block may stand below the end of its stack; they are aligned to a cache line. */
#define CONTROL_BLOCK_REACH     65536
#define CONTROL_BLOCK_ALIGNMENT 64

/* Of a large mapping that may be without access. */
#define PAGES_TRIED 64

/* As many stacks of one size show how long one is that its neighbour merged with. */
#define PEERS_ENOUGH 3

typedef struct {
    const PmSubject *subject;
    const PmSpace *space;
    PmStackShape *shape;
    gboolean listed;
    GArray *result;
} Search;

static void
append(Search *search, const PmRegion *like, PmAddr start, PmAddr end)
{
    PmRegion region = *like;
    region.range = (PmRange){start, end};
    if (start < end)
        g_array_append_val(search->result, region);
}

/*
 * Without access: gcore writes such mappings out as zeros that can be read. Of a large one some
 * pages are looked at; pm_regions_measure() sees the rest.
 */
static gboolean
is_guard(const Search *search, const PmRegion *region)
{
    if (region->kind != PM_REGION_ANONYMOUS || region->flags != PF_R ||
        pm_image_get_origin(search->subject->image) != PM_ORIGIN_GCORE)
        return FALSE;
    if (pm_region_mapped_bytes(region) <= PM_GUARD_BYTES_MAX)
        return pm_regions_is_zero(search->subject, region->range);
    const guint64 step =
        pm_align_down(pm_region_mapped_bytes(region) / PAGES_TRIED, PM_REGION_PAGE_BYTES);
    for (guint i = 0; i < PAGES_TRIED; i++) {
        const PmAddr page = region->range.start + i * step;
        if (!pm_regions_is_zero(search->subject, (PmRange){page, page + PM_REGION_PAGE_BYTES}))
            return FALSE;
    }
    return TRUE;
}

/* The bytes of the guard that ends where @region begins. */
static guint64
get_guard_below(const Search *search, const PmRegion *region)
{
    if (search->result->len == 0)
        return 0;
    const PmRegion *below = &g_array_index(search->result, PmRegion, search->result->len - 1);
    if (below->kind != PM_REGION_GUARD || below->path != NULL ||
        below->range.end != region->range.start ||
        pm_region_mapped_bytes(below) > PM_GUARD_BYTES_MAX)
        return 0;
    return pm_region_mapped_bytes(below);
}

/* Looks for a control block in the words of @span's bytes, from @end down to @start. */
static gboolean
find_in_span(const Search *search, const PmSpan *span, PmRange part, PmTcb *ret_tcb)
{
    PmAddr at = pm_align_down(part.end, CONTROL_BLOCK_ALIGNMENT);
    while (at > part.start && at - part.start >= CONTROL_BLOCK_ALIGNMENT) {
        at -= CONTROL_BLOCK_ALIGNMENT;
        if (pm_load_u64(span->bytes + (at - span->start)) == at &&
            pm_process_read_tcb(search->subject->process, at, ret_tcb))
            return TRUE;
    }
    return FALSE;
}

/* A control block near @end whose stack ends there, and begins at @start or above it. */
static gboolean
find_control_block(const Search *search, PmAddr start, PmAddr end, PmTcb *ret_tcb)
{
    const PmAddr stop = end - MIN(end - start, CONTROL_BLOCK_REACH);
    for (PmAddr page = end; page > stop;) {
        PmSpan span;
        PmTcb tcb;
        page -= PM_REGION_PAGE_BYTES;
        pm_space_get_span(search->space, page, &span);
        const PmRange part = {page, page + MIN(span.length_bytes, PM_REGION_PAGE_BYTES)};
        if (span.bytes == NULL || span.kind != PM_BYTES_DUMPED ||
            !find_in_span(search, &span, part, &tcb))
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
 * Returns: where what is left ends.
 */
static PmAddr
cut_by_control_blocks(const Search *search, const PmRegion *region, GArray *parts)
{
    PmAddr end = region->range.end;
    PmTcb tcb;
    while (end > region->range.start &&
           find_control_block(search, region->range.start, end, &tcb)) {
        Part part = {.kind = PM_REGION_STACK_ORPHAN,
                     .proof = PM_STACK_BY_CONTROL_BLOCK,
                     .start =
                         pm_align_down(tcb.block.start + tcb.guard_bytes, PM_REGION_PAGE_BYTES),
                     .guard_bytes = tcb.guard_bytes};
        if (!search->listed)
            part.kind = tcb.spent ? PM_REGION_STACK_CACHED : PM_REGION_STACK_UNJOINED;
        g_array_append_val(parts, part);
        end = part.start;
        if (tcb.guard_bytes > 0 && tcb.block.start >= region->range.start) {
            const Part guard = {.kind = PM_REGION_GUARD, .start = tcb.block.start};
            g_array_append_val(parts, guard);
            end = tcb.block.start;
        }
    }
    return end;
}

/* An alternate stack at the upper end of what is left of @region. */
static PmAddr
cut_signal_stack(const Search *search, const PmRegion *region, PmAddr end, GArray *parts)
{
    PmRange stack;
    const PmAddr from = end - MIN(end - region->range.start, CONTROL_BLOCK_REACH);
    if (!pm_regions_find_signal_stack(search->subject, (PmRange){from, end}, &stack) ||
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
    return signal.start;
}

/* Looks at one private writable mapping that nothing claims. */
static void
search_region(Search *search, const PmRegion *region)
{
    g_autoptr(GArray) parts = g_array_new(FALSE, FALSE, sizeof(Part));
    const guint64 guard_bytes = get_guard_below(search, region);
    PmAddr end = cut_by_control_blocks(search, region, parts);
    if (end > region->range.start)
        end = cut_signal_stack(search, region, end, parts);
    PmRegion part = *region;
    part.guard_bytes = guard_bytes;
    if (end > region->range.start && guard_bytes > 0 &&
        pm_stack_shape_fits(search->shape, (PmRange){region->range.start, end})) {
        part.kind = PM_REGION_STACK_ORPHAN;
        part.proof = PM_STACK_BY_SHAPE;
    }
    append(search, &part, region->range.start, end);
    for (guint i = parts->len; i-- > 0;) {
        const Part *cut = &g_array_index(parts, Part, i);
        part = *region;
        part.kind = cut->kind;
        part.proof = cut->proof;
        part.guard_bytes = cut->start == region->range.start ? guard_bytes : cut->guard_bytes;
        append(search, &part, cut->start,
               i == 0 ? region->range.end : g_array_index(parts, Part, i - 1).start);
    }
}

/* What many stacks have in common. */
typedef struct {
    guint64 bytes;
    guint64 guard_bytes;
    guint count;
} Size;

static gint
compare_sizes(gconstpointer a, gconstpointer b)
{
    const Size *left = a;
    const Size *right = b;
    if (left->bytes != right->bytes)
        return left->bytes < right->bytes ? -1 : 1;
    return (left->guard_bytes > right->guard_bytes) - (left->guard_bytes < right->guard_bytes);
}

/* The commonest size of the stacks that are known by shape; count 0 where there is none. */
static Size
find_common_size(const GArray *regions)
{
    g_autoptr(GArray) sizes = g_array_new(FALSE, FALSE, sizeof(Size));
    Size best = {0, 0, 0}, run = {0, 0, 0};
    for (guint i = 0; i < regions->len; i++) {
        const PmRegion *region = &g_array_index(regions, PmRegion, i);
        const Size size = {pm_region_mapped_bytes(region), region->guard_bytes, 1};
        if (region->proof == PM_STACK_BY_SHAPE)
            g_array_append_val(sizes, size);
    }
    g_array_sort(sizes, compare_sizes);
    for (guint i = 0; i < sizes->len; i++) {
        const Size *size = &g_array_index(sizes, Size, i);
        run = compare_sizes(&run, size) == 0 ? (Size){run.bytes, run.guard_bytes, run.count + 1}
                                             : *size;
        if (run.count > best.count)
            best = run;
    }
    return best;
}

/* Cuts mappings that are a stack of the common size with a neighbour's memory merged on top. */
static GArray *
cut_by_peers(Search *search, GArray *regions)
{
    const Size common = find_common_size(regions);
    if (common.count < PEERS_ENOUGH)
        return regions;
    search->result = g_array_sized_new(FALSE, FALSE, sizeof(PmRegion), regions->len + 1);
    for (guint i = 0; i < regions->len; i++) {
        PmRegion region = g_array_index(regions, PmRegion, i);
        const gboolean is_open =
            region.kind == PM_REGION_ANONYMOUS || region.proof == PM_STACK_BY_SHAPE;
        const PmRange piece = {region.range.start, region.range.start + common.bytes};
        if (!is_open || region.guard_bytes == 0 || region.guard_bytes != common.guard_bytes ||
            pm_region_mapped_bytes(&region) <= common.bytes ||
            !pm_stack_shape_fits(search->shape, piece)) {
            g_array_append_val(search->result, region);
            continue;
        }
        const PmAddr end = region.range.end;
        region.kind = PM_REGION_STACK_ORPHAN;
        region.proof = PM_STACK_BY_SHAPE;
        append(search, &region, piece.start, piece.end);
        region.kind = PM_REGION_ANONYMOUS;
        region.proof = PM_STACK_BY_NONE;
        region.guard_bytes = 0;
        append(search, &region, piece.end, end);
    }
    g_array_unref(regions);
    return search->result;
}

GArray *
pm_regions_find_orphans(const PmSubject *subject, const GArray *regions, gboolean listed)
{
    g_autoptr(PmStackShape) shape = pm_stack_shape_new(subject);
    Search search = {
        .subject = subject,
        .space = pm_process_get_space(subject->process),
        .shape = shape,
        .listed = listed,
        .result = g_array_sized_new(FALSE, FALSE, sizeof(PmRegion), regions->len),
    };
    for (guint i = 0; i < regions->len; i++) {
        PmRegion region = g_array_index(regions, PmRegion, i);
        if (is_guard(&search, &region))
            region.kind = PM_REGION_GUARD;
        if (region.kind == PM_REGION_ANONYMOUS && (region.flags & PF_W) != 0)
            search_region(&search, &region);
        else
            g_array_append_val(search.result, region);
    }
    return cut_by_peers(&search, search.result);
}
