/*
 * Freed chunks of a core that was cut off. The lists that they are on lead through the lost part,
 * or begin there; what glibc wrote into the chunks themselves still tells.
 */
#include "ptmalloc/ptmalloc-private.h"

gboolean
pm_ptmalloc_is_lost(const PmPtmalloc *ptmalloc, PmAddr address)
{
    PmSpan span;
    pm_space_get_span(ptmalloc->space, address, &span);
    return span.kind == PM_BYTES_LOST;
}

/*
 * The word that 2.34 and later write behind the link of every chunk in any tcache, a random one for
 * each process (tcache_key): the second word of two chunks that were found in one.
 */
static gboolean
learn_key(const PmPtmalloc *ptmalloc, guint64 *ret_key)
{
    guint64 candidate = 0;
    PmHeapIter iter;
    PmChunk chunk;
    if (ptmalloc->first_minor < 34)
        return FALSE;
    pm_heap_iter_init(&iter, ptmalloc->heap, 0);
    while (pm_heap_iter_next(&iter, &chunk)) {
        guint64 key = 0;
        if (chunk.state != PM_CHUNK_TCACHE ||
            !pm_read(ptmalloc, chunk.address + ptmalloc->word_bytes, &key) || key == 0)
            continue;
        if (key == candidate) {
            *ret_key = key;
            return TRUE;
        }
        candidate = key;
    }
    return FALSE;
}

/*
 * Whether @chunk, which is of a fastbin's size, holds a link as fastbins have it: masked with its
 * own position (2.32 and later), to nothing, to another chunk of its size, or to a lost part of the
 * heap. A word of the program's that comes out so is one in 2^30 or fewer.
 */
static gboolean
holds_fastbin_link(const PmPtmalloc *ptmalloc, const PmChunk *chunk)
{
    guint64 stored = 0;
    PmChunk next;
    if (!pm_read(ptmalloc, chunk->address, &stored) || stored == 0)
        return FALSE;
    const PmAddr header = pm_ptmalloc_decode_link(ptmalloc, chunk->address, stored);
    if (header == 0)
        return TRUE;
    const PmAddr user = header + 2 * ptmalloc->word_bytes;
    if (user % ptmalloc->layout->alignment != 0)
        return FALSE;
    if (pm_heap_find_chunk(ptmalloc->heap, user, &next, NULL))
        return next.address == user && next.chunk_bytes == chunk->chunk_bytes &&
               next.arena == chunk->arena;
    return pm_ptmalloc_is_lost(ptmalloc, header);
}

static gboolean
is_fastbin_size(const PmPtmalloc *ptmalloc, guint64 chunk_bytes)
{
    /* global_max_fast: 64 × word / 4 by default. (malloc.c, DEFAULT_MXFAST) */
    return ptmalloc->layout->fastbins >= 0 && chunk_bytes <= 16 * ptmalloc->word_bytes;
}

void
pm_ptmalloc_mark_cut_lists(PmPtmalloc *ptmalloc)
{
    guint64 key = 0;
    const gboolean key_known = learn_key(ptmalloc, &key);
    const gboolean masked = ptmalloc->first_minor >= 32;
    PmHeapIter iter;
    PmChunk chunk;

    pm_heap_iter_init(&iter, ptmalloc->heap, 0);
    while (pm_heap_iter_next(&iter, &chunk)) {
        guint64 word = 0;
        const PmAddr header = chunk.address - 2 * ptmalloc->word_bytes;
        if (chunk.state != PM_CHUNK_USED || chunk.mmapped)
            continue;
        if (key_known && pm_read(ptmalloc, chunk.address + ptmalloc->word_bytes, &word) &&
            word == key)
            pm_ptmalloc_mark_free(ptmalloc, header, PM_CHUNK_TCACHE, &chunk);
        else if (masked && is_fastbin_size(ptmalloc, chunk.chunk_bytes) &&
                 holds_fastbin_link(ptmalloc, &chunk))
            pm_ptmalloc_mark_free(ptmalloc, header, PM_CHUNK_FASTBIN, &chunk);
    }
}
