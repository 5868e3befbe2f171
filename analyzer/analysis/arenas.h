/*
 * Where the arenas' memory is held, and what holds it: what malloc_trim would give back, the chunk
 * that keeps each heap from shrinking, which threads use which arena, and the settings of malloc
 * that these figures speak for.
 */
#pragma once

#include "analysis/subject.h"
#include "ptmalloc/trim.h"

/*
 * What keeps a heap from shrinking: the last chunk in it that malloc takes for used: used, runtime,
 * or in a tcache, where it stays till its thread takes it or ends.
 *
 * @found: FALSE where all of the heap is free, or where it cannot be told for damage; the rest is
 *   then 0.
 * @above_bytes: free behind it, up to the end of the heap. @below_bytes: free right before it: what
 *   would join what is above if the chunk were freed.
 */
typedef struct {
    gboolean found;
    PmChunk chunk;
    guint64 above_bytes;
    guint64 below_bytes;
} PmPin;

/* @heap, @arena: borrowed from the ptmalloc. */
typedef struct {
    const PmArenaHeap *heap;
    const PmArena *arena;
    PmTrim trim;
    PmPin pin;
} PmHeapFacts;

/* @heaps: parallel to arena->heaps. @trim: sums of theirs. */
typedef struct {
    const PmArena *arena;
    PmTrim trim;
    PmHeapFacts *heaps;
} PmArenaFacts;

/* What malloc_trim(0) would give back. */
static inline guint64
pm_trim_bytes(const PmTrim *trim)
{
    return trim->chunk_bytes + trim->top_bytes;
}

/* Sums over all arenas. @threadless: arenas that no thread is attached to, @threadless_bytes: their
 * system_bytes; both 0 where the core does not tell which threads use which arena. @reserved_bytes:
 * address space of thread heaps. */
typedef struct {
    guint64 arenas;
    guint64 thread_arenas;
    guint64 threadless;
    guint64 threadless_bytes;
    guint64 system_bytes;
    guint64 used_bytes;
    guint64 free_bytes;
    guint64 reserved_bytes;
    PmTrim trim;
} PmArenaTotals;

/* The free bytes that take memory. */
static inline guint64
pm_arenas_held_free(guint64 free_bytes, const PmTrim *trim)
{
    return free_bytes > trim->untouched_bytes ? free_bytes - trim->untouched_bytes : 0;
}

/*
 * A setting that the figures speak for.
 *
 * @setting: "malloc_trim", "M_ARENA_MAX" or "M_MMAP_THRESHOLD"; static. @bytes: what it is about.
 * @text: why, with the figures; owned.
 */
typedef struct {
    const char *setting;
    guint64 bytes;
    char *text;
} PmAdvice;

/*
 * @arenas: the one with most system_bytes first. @thread_totals: of thread arenas alone.
 * @settings_known: mp_ was found. @advice: PmAdvice, what gives most first; empty where nothing
 * stands out.
 */
typedef struct {
    PmArenaFacts *arenas;
    gsize count;
    PmArenaTotals totals;
    PmArenaTotals thread_totals;
    gboolean settings_known;
    PmMallocSettings settings;
    GArray *advice;
} PmArenas;

/*
 * @ptmalloc: borrowed for the life of the result. Visits free chunks alone: on a heap that is not
 * fragmented it costs next to nothing. (transfer full)
 */
PmArenas *pm_arenas_new(const PmPtmalloc *ptmalloc, const PmProcess *process);
void pm_arenas_free(PmArenas *arenas);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmArenas, pm_arenas_free)

/* The facts of the arena that is number @index in pm_ptmalloc_get_arenas(), or NULL. Borrowed. */
const PmArenaFacts *pm_arenas_find(const PmArenas *arenas, const PmPtmalloc *ptmalloc,
                                   guint32 index);

/* For arenas.c: fills arenas->advice from the rest. */
void pm_arenas_advise(PmArenas *arenas);
