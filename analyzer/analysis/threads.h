/*
 * What each thread was doing, and what it holds: its frames, its stack, its arena and tcache; and
 * which threads were doing the same.
 */
#pragma once

#include "analysis/regions/regions.h"
#include "process/unwind.h"

/*
 * @frames: @frame_count of them, innermost first; owned by the list. @end: why they end there.
 * @stack: the stack that is its own, without its guard, or an empty range where that is not known.
 * @stack_touched_bytes: of @stack, as PmRegion has it. @used_bytes: from its stack pointer to where
 *   its frames began (below its thread-locals), PM_BYTES_UNKNOWN where it runs elsewhere.
 * @runs_on: the kind of region that its stack pointer lies in, PM_REGION_KINDS where in none or not
 *   known.
 * @arena: that it allocates from, PM_ADDR_NONE where that is not known. @cache: (nullable).
 * @name: (nullable): of the main thread of a kernel core.
 * @group: index of the group of threads with the same frames.
 */
typedef struct {
    const PmThread *thread;
    PmFrame *frames;
    gsize frame_count;
    PmUnwindEnd end;
    PmRange stack;
    guint64 stack_touched_bytes;
    guint64 used_bytes;
    PmRegionKind runs_on;
    PmAddr arena;
    const PmThreadCache *cache;
    const char *name;
    guint group;
} PmThreadFacts;

/* Threads with the same frames: the same code addresses and the same end. @first: index of the
 * first of them. */
typedef struct {
    gsize first;
    gsize threads;
} PmThreadGroup;

/* @groups: those with most threads first, but the crashed thread's before all. */
typedef struct {
    PmThreadFacts *threads;
    gsize thread_count;
    PmThreadGroup *groups;
    gsize group_count;
} PmThreads;

/* @regions: of the same subject. Unwinds every thread; never fails. One thread at a time. */
PmThreads *pm_threads_new(const PmSubject *subject, const PmRegions *regions);
void pm_threads_free(PmThreads *threads);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmThreads, pm_threads_free)

/*
 * Why the frames of @facts end where they do, for a person: "libfoo.so.3 is not here, so that
 * nothing tells how to unwind it". (transfer full): NULL where they are complete.
 */
char *pm_threads_describe_end(const PmSubject *subject, const PmThreadFacts *facts);

/* The same as a word for scripts: "complete", "no-registers", "too-many", "not-code", "no-module",
 * "no-file", "no-cfi", "no-stack", "damaged"; static. */
const char *pm_unwind_end_name(PmUnwindEnd end);
