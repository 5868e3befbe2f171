/*
 * Singly linked lists of free chunks: how a link is read, and how a chunk on such a list is marked.
 */
#include "ptmalloc/ptmalloc-private.h"

static PmAddr
unmask(const PmPtmalloc *ptmalloc, PmAddr position, guint64 stored)
{
    const PmAddr link = stored ^ (position >> 12);
    return ptmalloc->word_bytes == 8 ? link : (guint32)link;
}

PmAddr
pm_ptmalloc_decode_link(const PmPtmalloc *ptmalloc, PmAddr position, guint64 stored)
{
    PmChunk chunk;
    const PmAddr link = unmask(ptmalloc, position, stored);

    if (ptmalloc->first_minor >= 32)
        return link;
    if (ptmalloc->last_minor < 32 || stored == 0)
        return stored;
    /* The layout is shared by versions on both sides of safe-linking, and the version is not known:
     * ask the heap. */
    if (link == 0 || pm_heap_find_chunk(ptmalloc->heap, link, &chunk, NULL))
        return link;
    return stored;
}

/* Moves @bytes of one chunk from used to free in the heap that holds it. */
static void
move_in_heap(const PmArenaBuild *build, PmAddr header, guint64 bytes)
{
    for (guint i = 0; i < build->heaps->len; i++) {
        PmArenaHeap *heap = &g_array_index(build->heaps, PmArenaHeap, i);
        if (header < heap->start || header >= heap->end)
            continue;
        heap->used_bytes -= bytes;
        heap->free_bytes += bytes;
        return;
    }
}

PmMarkResult
pm_ptmalloc_mark_free(PmPtmalloc *ptmalloc, PmAddr header, PmChunkState state, PmChunk *ret_chunk)
{
    PmChunk chunk;
    const PmMarkResult result = pm_heap_mark(ptmalloc->heap, header, state, &chunk);
    if (result == PM_MARK_NO_CHUNK)
        return result;
    if (result == PM_MARK_DONE && chunk.arena < ptmalloc->arenas->len) {
        PmArenaBuild *build = pm_ptmalloc_get_build(ptmalloc, chunk.arena);
        PmSizeCount *count = pm_size_table_get(build->sizes, chunk.chunk_bytes);
        count->chunks[PM_CHUNK_USED]--;
        count->chunks[state]++;
        move_in_heap(build, header, chunk.chunk_bytes);
    }
    *ret_chunk = chunk;
    return result;
}

/* The codes of what can be wrong with a link, by the state that its list gives. */
typedef struct {
    const char *unaligned;
    const char *astray;
    const char *repeated;
} LinkCodes;

static const LinkCodes tcache_codes = {"tcache-unaligned", "tcache-link", "tcache-repeated"};
static const LinkCodes fastbin_codes = {"fastbin-unaligned", "fastbin-link", "fastbin-repeated"};

/* The link leads where it should not. A part of the heap that is not in the core is no damage. */
static void
report_astray(PmPtmalloc *ptmalloc, const PmFreeLink *link, const char *code, const char *what)
{
    guint64 head = 0;
    const PmImage *image = pm_space_get_image(ptmalloc->space);
    const gboolean unread = pm_image_find_segment(image, link->target) != NULL &&
                            !pm_read(ptmalloc, link->target - ptmalloc->word_bytes, &head);
    if (unread || pm_image_is_truncated(image))
        pm_diagnostics_add(ptmalloc->diagnostics, "list-lost", PM_SEVERITY_WARNING, link->holder,
                           "the rest of %s is not in the core: freed chunks in it may be shown as "
                           "used",
                           link->list);
    else
        pm_ptmalloc_violation(ptmalloc, link->build, code, link->holder,
                              "the link here, in %s, leads to 0x%" G_GINT64_MODIFIER "x, %s",
                              link->list, link->target, what);
}

gboolean
pm_ptmalloc_take_free(PmPtmalloc *ptmalloc, const PmFreeLink *link, PmChunk *ret_chunk)
{
    const LinkCodes *codes = link->state == PM_CHUNK_TCACHE ? &tcache_codes : &fastbin_codes;
    if (link->target % ptmalloc->layout->alignment != 0) {
        report_astray(ptmalloc, link, codes->unaligned, "which is not aligned");
        return FALSE;
    }
    switch (pm_ptmalloc_mark_free(ptmalloc, link->target - 2 * ptmalloc->word_bytes, link->state,
                                  ret_chunk)) {
    case PM_MARK_DONE:
        return TRUE;
    case PM_MARK_NO_CHUNK:
        report_astray(ptmalloc, link, codes->astray, "where no chunk begins");
        return FALSE;
    case PM_MARK_NOT_USED:
        report_astray(ptmalloc, link, codes->astray, "a chunk that is free in a bin");
        return FALSE;
    case PM_MARK_AGAIN:
        pm_ptmalloc_violation(ptmalloc, link->build, codes->repeated, link->target,
                              "a chunk in %s stands in a list of free chunks already: freed twice",
                              link->list);
        return FALSE;
    }
    return FALSE;
}
