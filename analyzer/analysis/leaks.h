/*
 * What `leaks` says beyond the counts of the scan: how far to trust it, which roots the core lacks,
 * and an example of each group with its contents.
 */
#pragma once

#include "analysis/reach/reach.h"
#include "analysis/requests.h"
#include "analysis/types/naming.h"

/* Below this share of the roots no lost chunk is certain (REACHABILITY.md, "Honesty"). */
#define PM_COVERAGE_CERTAIN 0.98

/* What of the strong roots was there, 0 … 1; 0 where nothing was wanted, so that nothing is known.
 */
double pm_coverage_share(const PmRootCoverage *coverage);

/* How many bytes of malloc's heaps the process had and the core has not: references that stood
 * there are not seen. */
guint64 pm_leaks_count_missing_heap(const PmSubject *subject);

/* Whether enough of the roots, and all of the heap, is in the core to call what is lost lost. */
gboolean pm_leaks_are_certain(const PmSubject *subject, const PmReach *reach);

#define PM_EXAMPLE_BYTES 64

/* Sizes of roots whose chunks are looked at, those with the most lost bytes first: each costs a
 * sample. */
#define PM_LEAKS_NAMED_SIZES 64
#define PM_LEAKS_SAMPLE      1024

/*
 * One group of lost chunks.
 *
 * @group: borrowed from the scan. @requests: that give the roots; nothing for "shared".
 * @naming, @row: what the roots are: naming->rows[row]; NULL for "shared", for roots that look like
 * none of the sample, and for sizes that nobody looked at. Borrowed.
 * @contents: the first @content_bytes bytes of the user data of the example.
 */
typedef struct {
    const PmLostGroup *group;
    PmRequests requests;
    const PmNaming *naming;
    gsize row;
    gsize content_bytes;
    guint8 contents[PM_EXAMPLE_BYTES];
} PmLeakGroup;

/* A strong root that the core has not all of. @root: borrowed from the scan. */
typedef struct {
    const PmRoot *root;
    guint64 missing_bytes;
} PmMissingRoot;

/*
 * @result: borrowed from the scan. @used: what is in use, runtime chunks included; @runtime: these.
 * @missing: most bytes first.
 * @certain: as pm_leaks_are_certain(). @missing_heap_bytes: as pm_leaks_count_missing_heap().
 * @blind_threads: threads whose registers the core has not, and so their stacks' bounds.
 * @twin: a chunk of the size of the first group's roots that is still reachable, or PM_ADDR_NONE:
 * who holds that one knows what the lost ones are. @namings: what the groups refer to.
 */
typedef struct {
    const PmReachResult *result;
    PmReachSum used;
    PmReachSum runtime;
    PmLeakGroup *groups;
    gsize group_count;
    PmMissingRoot *missing;
    gsize missing_count;
    gboolean certain;
    guint64 missing_heap_bytes;
    guint64 blind_threads;
    PmAddr twin;
    GPtrArray *namings;
} PmLeaks;

/*
 * @subject, @reach: borrowed for the life of the result. @namer: NULL for groups by size alone;
 * else the roots of each size are named from a sample, and a size whose roots are of several kinds
 * is grouped by these, which pm_reach_get_result() of @reach then gives, too.
 * Never fails.
 */
PmLeaks *pm_leaks_new(const PmSubject *subject, PmReach *reach, const PmNamer *namer);
void pm_leaks_free(PmLeaks *leaks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmLeaks, pm_leaks_free)
