/*
 * What every part of the address space is: heaps, stacks of threads that live and that ended,
 * modules, files, shared memory, guards; with how much of each is mapped, dumped, touched and holds
 * anything but zeros.
 */
#pragma once

#include "analysis/subject.h"

/*
 * INTERFACE.md, `maps`. _STACK_CACHED: glibc keeps it for the next thread. _STACK_UNJOINED: its
 * thread ended and nobody joined it. _STACK_ORPHAN: it was a stack, no thread runs on it, glibc
 * does not know it any more (or never did), and nothing points to a frame on it, as what resumes a
 * coroutine does. _STACK_SIGNAL: an alternate signal stack.
 */
typedef enum {
    PM_REGION_MAIN_HEAP,
    PM_REGION_ARENA_HEAP, /* with what it may still grow to */
    PM_REGION_MMAPPED_CHUNK,
    PM_REGION_STACK_MAIN,
    PM_REGION_STACK_LIVE,
    PM_REGION_STACK_CACHED,
    PM_REGION_STACK_UNJOINED,
    PM_REGION_STACK_ORPHAN,
    PM_REGION_STACK_SIGNAL,
    PM_REGION_GUARD,
    PM_REGION_MODULE_TEXT,
    PM_REGION_MODULE_RODATA,
    PM_REGION_MODULE_RELRO,
    PM_REGION_MODULE_DATA,
    PM_REGION_MODULE_BSS,
    PM_REGION_VDSO,
    PM_REGION_SHARED_MEMORY,
    PM_REGION_FILE,
    PM_REGION_ANONYMOUS,
} PmRegionKind;
#define PM_REGION_KINDS 19

/* "main-heap", "arena-heap", …; static. */
const char *pm_region_kind_name(PmRegionKind kind);

/* TRUE for stacks, of whatever thread. */
gboolean pm_region_kind_is_stack(PmRegionKind kind);

/* How it is known what a stack is. */
typedef enum {
    PM_STACK_BY_NONE,          /* no stack */
    PM_STACK_BY_LIST,          /* glibc's lists of stacks */
    PM_STACK_BY_CONTROL_BLOCK, /* a struct pthread in it that is on no list */
    PM_STACK_BY_REGISTERS,     /* a thread's stack pointer, or AT_RANDOM for the main thread */
    PM_STACK_BY_SIGNAL_FRAME,  /* a signal frame in it names it as alternate stack */
    PM_STACK_BY_SHAPE,         /* a guard below, return addresses at its upper end; of a region of
                                  kind _ANONYMOUS: something may go on with it */
} PmStackProof;

/* "list", "control-block", "registers", "signal-frame", "shape"; NULL for none. Static. */
const char *pm_stack_proof_name(PmStackProof proof);

/* Not known. */
#define PM_BYTES_UNKNOWN G_MAXUINT64

/*
 * One stretch of one mapping that is of one kind; whole pages.
 *
 * @flags: PF_R | PF_W | PF_X of <elf.h>, where @flags_known: gcore leaves mappings out of which
 *   only NT_FILE tells.
 * @path: of the file or module, or NULL; borrowed from the image or the process.
 * @arena: its arena's address, of heaps; else PM_ADDR_NONE. @tid: of the thread that a stack
 *   belongs to, where it lives; else 0.
 * @guard_bytes: the guard directly below a stack or an anonymous region, which is a region of its
 *   own.
 * @dumped_bytes: Σ p_filesz. @touched_bytes: of it in the file's data extents, PM_BYTES_UNKNOWN
 *   where the core has no holes. @nonzero_bytes: pages with a non-zero byte, in bytes;
 *   PM_BYTES_UNKNOWN where it was not counted, or where some of it is lost.
 */
typedef struct {
    PmRange range;
    PmRegionKind kind;
    PmStackProof proof;
    gboolean flags_known;
    guint32 flags;
    const char *path;
    PmAddr arena;
    guint32 tid;
    guint64 guard_bytes;
    guint64 dumped_bytes;
    guint64 touched_bytes;
    guint64 nonzero_bytes;
} PmRegion;

static inline guint64
pm_region_mapped_bytes(const PmRegion *region)
{
    return pm_range_bytes(region->range);
}

/* A number of regions; @touched_bytes is PM_BYTES_UNKNOWN where the core has no holes.
 * @nonzero_bytes: of those of which it is known. */
typedef struct {
    guint64 regions;
    guint64 mapped_bytes;
    guint64 dumped_bytes;
    guint64 touched_bytes;
    guint64 nonzero_bytes;
} PmRegionTotal;

/*
 * At least two regions of one kind, size and guard.
 *
 * @mapped_bytes, @guard_bytes: of each; the size does not include the guard. @total: of all of
 * them, guards included in its mapped_bytes. @first: index of one of them.
 * @by_shape: how many are stacks that are known by their shape alone.
 */
typedef struct {
    PmRegionKind kind;
    guint64 mapped_bytes;
    guint64 guard_bytes;
    PmRegionTotal total;
    guint64 by_shape;
    gsize first;
} PmRegionGroup;

typedef struct PmRegions PmRegions;

/*
 * @count_nonzero: read all that is dumped, and count pages that hold anything; else
 *   nonzero_bytes is unknown.
 * @jobs: worker threads; 0: as many as there are processors.
 */
typedef struct {
    gboolean count_nonzero;
    guint jobs;
} PmRegionsOptions;

/*
 * Classifies the whole address space.
 *
 * @subject: opened up to the process; without a heap malloc's memory counts as anonymous. Borrowed
 *   for the life of the result.
 * Never fails. O(n log n) of the segments, stacks and heaps, and what @options ask for.
 */
PmRegions *pm_regions_new(const PmSubject *subject, const PmRegionsOptions *options);
void pm_regions_free(PmRegions *regions);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmRegions, pm_regions_free)

/* All regions, ascending, without overlaps. Borrowed. */
const PmRegion *pm_regions_get(const PmRegions *regions, gsize *ret_count);

/* The region that holds @address, or NULL. O(log n). Borrowed. */
const PmRegion *pm_regions_find(const PmRegions *regions, PmAddr address);

/*
 * Whether glibc's lists of stacks were found in the core, so that a stack on none of them is known
 * to be none of glibc's.
 */
gboolean pm_regions_have_lists(const PmRegions *regions);

/* Of one kind; of all of them where @kind is PM_REGION_KINDS. */
const PmRegionTotal *pm_regions_get_total(const PmRegions *regions, PmRegionKind kind);

/* What repeats, the largest total first; guards and parts of modules left out. Borrowed. */
const PmRegionGroup *pm_regions_get_groups(const PmRegions *regions, gsize *ret_count);

/* The pages of all regions of @group that are not zero, in bytes: what is read of the core for it
 * is what of them is in the file. @jobs: threads, 0 for as many as there are processors. */
guint64 pm_regions_count_group(const PmRegions *regions, const PmRegionGroup *group, guint jobs);

/*
 * The code that the stacks of @group began in: the oldest return address of each that leads to
 * neither libc nor ld.so.
 *
 * @address: the commonest one, PM_ADDR_NONE where there is none. @looked: of how many stacks it was
 * looked for, @count: in how many of them it was this one.
 */
typedef struct {
    PmAddr address;
    guint looked;
    guint count;
} PmStackOrigin;
void pm_regions_find_origin(const PmRegions *regions, const PmRegionGroup *group,
                            PmStackOrigin *ret_origin);
