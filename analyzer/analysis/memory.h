/*
 * Where the memory is: every byte of every segment counted once, under the coarse kinds of the
 * first page.
 */
#pragma once

#include "analysis/regions/regions.h"

/*
 * PM_MEMORY_USED, _FREE: malloc chunks by state. _OVERHEAD: the rest of malloc's heaps. _RESERVE:
 * address space that arenas hold without access yet. _ANONYMOUS: private memory that is none of the
 * others. _FILES: mapped files and the text of modules. _NO_ACCESS: guards and other mappings
 * without any permission. _STACKS: of threads that live; _ENDED_STACKS: of those that ended
 * (glibc's cache, threads that nobody joined, orphans).
 */
typedef enum {
    PM_MEMORY_USED,
    PM_MEMORY_FREE,
    PM_MEMORY_OVERHEAD,
    PM_MEMORY_RESERVE,
    PM_MEMORY_MODULE_DATA,
    PM_MEMORY_STACKS,
    PM_MEMORY_ENDED_STACKS,
    PM_MEMORY_ANONYMOUS,
    PM_MEMORY_SHARED,
    PM_MEMORY_FILES,
    PM_MEMORY_NO_ACCESS,
    PM_MEMORY_VDSO,
} PmMemoryKind;
#define PM_MEMORY_KINDS 12

/* "malloc-used", "malloc-free", "malloc-overhead", "malloc-reserve", "module-data",
 * "thread-stacks", "ended-stacks", "anonymous", … */
const char *pm_memory_kind_name(PmMemoryKind kind);

/*
 * One kind. Words as in INTERFACE.md.
 *
 * @things: chunks, heaps, modules, stacks or stretches of address space, as fits the kind.
 * @share: of all touched bytes, or of all dumped bytes where touched ones are not known.
 */
typedef struct {
    guint64 things;
    guint64 mapped_bytes;
    guint64 dumped_bytes;
    guint64 touched_bytes;
    double share;
} PmMemoryRow;

/* @touched_known: the core file has holes, so that touched_bytes and the share by it mean
 * something. */
typedef struct {
    PmMemoryRow rows[PM_MEMORY_KINDS];
    PmMemoryRow total;
    gboolean touched_known;
} PmMemory;

/* @subject: opened up to the process; without a heap all of malloc's memory counts as anonymous.
 * @regions: of it. Never fails. */
void pm_memory_account(const PmSubject *subject, const PmRegions *regions, PmMemory *ret_memory);
