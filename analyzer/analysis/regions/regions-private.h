/* What the files of this analysis share: the list of regions while it is being made. */
#pragma once

#include "analysis/regions/regions.h"

struct PmRegions {
    const PmSubject *subject;
    gboolean listed;
    GArray *regions;
    GArray *groups;
    PmRegionTotal totals[PM_REGION_KINDS + 1];
};

#define PM_REGION_PAGE_BYTES G_GUINT64_CONSTANT(4096)

/* A guard is no larger: what lies without access between other things is reserved, not a guard of
 * them. */
#define PM_GUARD_BYTES_MAX (G_GUINT64_CONSTANT(1) << 20)

/*
 * domain.c: every mapping of the core as a region without a kind (PM_REGION_ANONYMOUS), cut where
 * segments and mapped files end; with those that only NT_FILE tells of.
 *
 * Returns: (transfer full): PmRegion, ascending.
 */
GArray *pm_regions_list_mappings(const PmImage *image);

/*
 * claims.c: what the heap, glibc's threads and the modules say is theirs.
 *
 * @ret_listed: (out): glibc's lists of stacks were found.
 * Returns: (transfer full): PmRegion without overlaps, ascending; bytes are not set. flags_known
 *   means that the claim holds only for what cannot be written.
 */
GArray *pm_regions_list_claims(const PmSubject *subject, gboolean *ret_listed);

/*
 * domain.c: lays @upper over @lower; both without overlaps, ascending.
 *
 * Returns: (transfer full): all of @upper, and what it leaves of @lower.
 */
GArray *pm_regions_overlay(const GArray *lower, const GArray *upper);

/* domain.c: sorts @regions by start, and cuts off of each what an earlier one holds. */
void pm_regions_settle(GArray *regions);

/*
 * orphans.c: finds in @regions the stacks that nothing claims, and guards; may cut regions.
 *
 * @regions: (transfer full). @listed: glibc's lists of stacks were found, so that a control block
 * on none of them is nobody's. @jobs: worker threads. Returns: (transfer full): the new list.
 */
GArray *pm_regions_find_orphans(const PmSubject *subject, GArray *regions, gboolean listed,
                                guint jobs);

typedef struct PmStackShape PmStackShape;

/* shape.c: what it takes to tell stacks by their shape: where code is. */
PmStackShape *pm_stack_shape_new(const PmSubject *subject);
void pm_stack_shape_free(PmStackShape *shape);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmStackShape, pm_stack_shape_free)

/*
 * In what the oldest frames and a control block lie, at the upper end of a stack; a signal frame
 * with all that a processor of today saves takes 12 KiB.
 */
#define PM_STACK_TOP_BYTES 16384
#define PM_STACK_TOP_SPANS (PM_STACK_TOP_BYTES / 4096 + 2)

/*
 * The runs of real bytes in a window of at most PM_STACK_TOP_BYTES, ascending.
 *
 * @spans: their bytes are copies, in @bytes: a read costs less than a fault, and does not make the
 *   kernel read what is around it. @present_bytes: the sum of their lengths.
 */
typedef struct {
    PmSpan spans[PM_STACK_TOP_SPANS];
    guint count;
    guint64 present_bytes;
    guint8 bytes[PM_STACK_TOP_BYTES];
} PmStackTop;

/* shape.c: reads the upper end of @range. */
void pm_stack_top_read(const PmSpace *space, PmRange range, PmStackTop *ret_top);

/*
 * shape.c: whether @range, which lies above a guard, was a stack: it holds return addresses at its
 * upper end, and its lowest page is empty (or it holds several of them).
 *
 * @top: of @range.
 */
gboolean pm_stack_shape_fits(const PmStackShape *shape, PmRange range, const PmStackTop *top);

/* shape.c: whether @value is where a call returns to, as far as its code can be read. */
gboolean pm_stack_shape_is_return(const PmStackShape *shape, guint64 value);

/* references.c: takes those of the stacks that are known by shape for anonymous memory of which
 * something points to a frame. Reads all that the program keeps data in, where there is such a
 * stack. */
void pm_regions_release_held(const PmSubject *subject, GArray *regions, guint jobs);

/* shape.c: the oldest return address in @top that leads to neither libc nor ld.so; FALSE where
 * there is none. */
gboolean pm_stack_shape_find_origin(const PmStackShape *shape, const PmStackTop *top,
                                    PmAddr *ret_address);

/* groups.c: whether @region is one of @group. */
gboolean pm_region_group_has(const PmRegionGroup *group, const PmRegion *region);

/* measure.c: sets the bytes of all @regions; nonzero_bytes that are known already stay, where they
 * are asked for. */
void pm_regions_measure(const PmSubject *subject, const PmRegionsOptions *options, GArray *regions);

/* measure.c: the pages of @count bytes at @bytes, the start of a page, that are not zero, in bytes.
 */
guint64 pm_regions_count_nonzero(const guint8 *bytes, gsize count);

/* measure.c: the sum for all of @regions, PmRegion, whatever is known of them already. */
guint64 pm_regions_count_all(const PmSubject *subject, const GArray *regions, guint jobs);

/* measure.c: whether all of @range is dumped (or a hole) and zero. Reads no further than the first
 * byte that is not. */
gboolean pm_regions_is_zero(const PmSubject *subject, PmRange range);

/* groups.c: PmRegionGroup, the largest first. (transfer full) */
GArray *pm_regions_group(const GArray *regions);

/* groups.c */
void pm_region_total_add(PmRegionTotal *total, const PmRegion *region);

/*
 * claims.c: the alternate signal stack that a signal frame in @top says it is on. 64 bit alone.
 *
 * @ret_stack: (out): as the program gave it to sigaltstack(): any bounds around the frame.
 * Returns: FALSE where no frame is there.
 */
gboolean pm_regions_find_signal_stack(const PmSpace *space, const PmStackTop *top,
                                      PmRange *ret_stack);
