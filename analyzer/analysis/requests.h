/*
 * Which malloc(n) give a chunk: from a heap by the size class, and by mmap by the rounding to whole
 * pages.
 */
#pragma once

#include "ptmalloc/ptmalloc.h"

/* @min ≤ n ≤ @max. */
typedef struct {
    guint64 min;
    guint64 max;
} PmRequests;

/* The requests that give a chunk of @chunk_bytes from a heap, or by mmap where @mmapped. */
PmRequests pm_requests_of(const PmPtmalloc *ptmalloc, guint word_bytes, guint64 chunk_bytes,
                          gboolean mmapped);
