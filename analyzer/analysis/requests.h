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

/*
 * The one chunk size that is meant by malloc(@request_bytes): of those that serve it, from a heap
 * or by mmap, the one with the most chunks in use.
 *
 * @ret_requests: (out) (optional): all that gives it.
 */
guint64 pm_requests_choose_size(const PmPtmalloc *ptmalloc, guint word_bytes, guint64 request_bytes,
                                PmRequests *ret_requests);

/* The requests that give the chunks of @chunk_bytes of @ptmalloc, as they are: by mmap where some
 * are mapped. */
PmRequests pm_requests_of_size(const PmPtmalloc *ptmalloc, guint word_bytes, guint64 chunk_bytes);
