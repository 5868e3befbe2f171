/*
 * Request ranges; see requests.h.
 */
#include "analysis/requests.h"

#define PAGE_BYTES G_GUINT64_CONSTANT(4096)

/*
 * malloc.c, sysmalloc_mmap: the mapping is ALIGN_UP (nb + slack, page). How the chunk's size
 * betrays the form: to 2.41 chunk_bytes is the whole mapping and slack one word; where the
 * alignment exceeds two words (i386 from 2.26) 8 bytes precede the chunk; from 2.43 the size leaves
 * out 16 bytes of the mapping.
 */
static gboolean
mmapped_form(guint64 chunk_bytes, guint word_bytes, guint64 *ret_slack, guint64 *ret_outside)
{
    switch (chunk_bytes % PAGE_BYTES) {
    case 0:
        *ret_slack = word_bytes;
        *ret_outside = 0;
        return TRUE;
    case PAGE_BYTES - 8:
        *ret_slack = word_bytes + 15U;
        *ret_outside = 8;
        return word_bytes == 4;
    case PAGE_BYTES - 16:
        *ret_slack = 16;
        *ret_outside = 16;
        return TRUE;
    default:
        /* Made by memalign: the request cannot be told. */
        return FALSE;
    }
}

PmRequests
pm_requests_of(const PmPtmalloc *ptmalloc, guint word_bytes, guint64 chunk_bytes, gboolean mmapped)
{
    PmRequests requests = {0, 0};
    guint64 slack = 0;
    guint64 outside = 0;
    if (!mmapped || chunk_bytes < PAGE_BYTES - 16 || chunk_bytes > G_MAXINT64 ||
        !mmapped_form(chunk_bytes, word_bytes, &slack, &outside)) {
        pm_ptmalloc_get_request_range(ptmalloc, chunk_bytes, &requests.min, &requests.max);
        return requests;
    }
    guint64 alignment = word_bytes == 4 && outside == 0 ? 8 : 16;
    guint64 mapping = chunk_bytes + outside;
    guint64 largest = pm_align_down(mapping - slack, alignment);
    requests.max = largest - word_bytes;
    if (mapping > PAGE_BYTES + slack + alignment) {
        guint64 smallest = pm_align_up(mapping - PAGE_BYTES - slack + 1, alignment);
        requests.min = smallest - word_bytes - alignment + 1;
    }
    return requests;
}

static gboolean
is_mmapped(const PmPtmalloc *ptmalloc, guint64 chunk_bytes)
{
    gsize count = 0;
    const PmSizeCount *sizes = pm_ptmalloc_get_sizes(ptmalloc, &count);
    for (gsize i = 0; i < count; i++)
        if (sizes[i].chunk_bytes == chunk_bytes)
            return sizes[i].mmapped_chunks > 0;
    return FALSE;
}

PmRequests
pm_requests_of_size(const PmPtmalloc *ptmalloc, guint word_bytes, guint64 chunk_bytes)
{
    return pm_requests_of(ptmalloc, word_bytes, chunk_bytes, is_mmapped(ptmalloc, chunk_bytes));
}

guint64
pm_requests_choose_size(const PmPtmalloc *ptmalloc, guint word_bytes, guint64 request_bytes,
                        PmRequests *ret_requests)
{
    gsize count = 0;
    const PmSizeCount *sizes = pm_ptmalloc_get_sizes(ptmalloc, &count);
    guint64 most = 0;
    guint64 best = pm_ptmalloc_get_chunk_bytes(ptmalloc, request_bytes);
    for (gsize i = 0; i < count; i++) {
        const guint64 used = sizes[i].chunks[PM_CHUNK_USED];
        const PmRequests requests =
            pm_requests_of(ptmalloc, word_bytes, sizes[i].chunk_bytes, sizes[i].mmapped_chunks > 0);
        if (used > most && request_bytes >= requests.min && request_bytes <= requests.max) {
            most = used;
            best = sizes[i].chunk_bytes;
        }
    }
    if (ret_requests != NULL)
        *ret_requests = pm_requests_of_size(ptmalloc, word_bytes, best);
    return best;
}
