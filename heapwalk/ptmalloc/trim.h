/*
 * What malloc_trim(0) would give back, page by page: malloc.c, mtrim() and systrim(), as they are
 * since 2.8.
 */
#pragma once

#include "ptmalloc/ptmalloc.h"

/*
 * Of the free bytes of one heap or arena, in whole pages:
 *
 * @chunk_bytes: inside chunks of the bins, once what is in fastbins is merged with what is free on
 *   either side; madvise() takes them away.
 * @top_bytes: of the top of the main arena, where that ends at the break; sbrk() takes them away.
 * @untouched_bytes: in either, or in a top that is not trimmed, but no memory stands behind them:
 *   nobody wrote to them yet, or they were given back before.
 *
 * The first two count pages with memory behind them alone: by the holes of the core file, or, where
 * it has none, by their contents, and a page of zeros then counts as untouched. The rest of what is
 * free shares its pages with chunks in use, is a thread arena's top, or in a tcache: malloc_trim
 * leaves it.
 */
typedef struct {
    guint64 chunk_bytes;
    guint64 top_bytes;
    guint64 untouched_bytes;
} PmTrim;

/*
 * Measures the heap @heap (an index of @arena's). What of a core is lost counts as nothing.
 *
 * @arena: one of pm_ptmalloc_get_arenas(). Visits the free chunks alone. Never fails. Thread-safe.
 */
void pm_ptmalloc_measure_trim(const PmPtmalloc *ptmalloc, const PmArena *arena, gsize heap,
                              PmTrim *ret_trim);
