/* The head of a chunk: its size field with three flag bits. (malloc.c, struct malloc_chunk) */
#pragma once

#include "ptmalloc/ptmalloc-private.h"

#define PM_PREV_INUSE     1
#define PM_IS_MMAPPED     2
#define PM_NON_MAIN_ARENA 4
#define PM_FLAGS          7

static inline guint64
pm_head_bytes(guint64 head)
{
    return head & ~(guint64)PM_FLAGS;
}

/*
 * The bits that no head of a heap chunk has: IS_MMAPPED, what alignment forbids, and in a main
 * arena NON_MAIN_ARENA.
 */
static inline guint64
pm_head_bad_bits(const PmPtmalloc *ptmalloc, gboolean is_main)
{
    const guint64 misaligned = ptmalloc->layout->alignment - 1;
    return (misaligned & ~(guint64)PM_FLAGS) | PM_IS_MMAPPED | (is_main ? PM_NON_MAIN_ARENA : 0);
}

/* Whether @head could be a chunk's, as far as it alone tells. */
static inline gboolean
pm_head_is_possible(const PmPtmalloc *ptmalloc, gboolean is_main, guint64 head)
{
    return (head & pm_head_bad_bits(ptmalloc, is_main)) == 0 &&
           pm_head_bytes(head) >= pm_min_chunk_bytes(ptmalloc->word_bytes);
}
