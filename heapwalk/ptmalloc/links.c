/*
 * Singly linked lists of free chunks: how a link is read, how a chunk on such a list is marked, and
 * the fastbins.
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

/*
 * A link of the list @list leads to @header, where it should not. A part of the heap that is not in
 * the core is no damage.
 *
 * @what: what is there instead.
 */
void
pm_ptmalloc_report_link(PmPtmalloc *ptmalloc, const PmArenaBuild *build, const char *code,
                        PmAddr header, const char *list, const char *what)
{
    guint64 head = 0;
    const PmAddr user = header + 2 * ptmalloc->word_bytes;
    const gboolean cut = pm_image_is_truncated(pm_space_get_image(ptmalloc->space));
    if (cut || !pm_read(ptmalloc, header + ptmalloc->word_bytes, &head))
        pm_diagnostics_add(ptmalloc->diagnostics, "list-lost", PM_SEVERITY_WARNING, user,
                           "the rest of %s is not in the core: freed chunks in it may be shown as "
                           "used",
                           list);
    else
        pm_ptmalloc_violation(ptmalloc, build, code, user, "a link in %s leads to %s", list, what);
}

/* malloc.c, fastbin_index. */
static guint
fastbin_index(const PmPtmalloc *ptmalloc, guint64 chunk_bytes)
{
    const guint64 index = (chunk_bytes >> (ptmalloc->word_bytes == 8 ? 4 : 3)) - 2;
    return (guint)MIN(index, G_MAXUINT);
}

static void
mark_fastbin(PmPtmalloc *ptmalloc, const PmArenaBuild *build, guint index, PmAddr header)
{
    const guint64 word = ptmalloc->word_bytes;
    while (header != 0) {
        PmChunk chunk;
        guint64 stored = 0;
        const PmAddr user = header + 2 * word;
        if (user % ptmalloc->layout->alignment != 0) {
            pm_ptmalloc_violation(ptmalloc, build, "fastbin-unaligned", user,
                                  "a link in fastbin %u leads to an unaligned address", index);
            return;
        }
        const PmMarkResult result =
            pm_ptmalloc_mark_free(ptmalloc, header, PM_CHUNK_FASTBIN, &chunk);
        if (result == PM_MARK_NO_CHUNK || result == PM_MARK_NOT_USED) {
            g_autofree char *list = g_strdup_printf("fastbin %u", index);
            pm_ptmalloc_report_link(ptmalloc, build, "fastbin-link", header, list,
                                    result == PM_MARK_NO_CHUNK ? "where no chunk begins"
                                                               : "a chunk that is free in a bin");
            return;
        }
        if (result == PM_MARK_AGAIN) {
            pm_ptmalloc_violation(ptmalloc, build, "fastbin-repeated", user,
                                  "a chunk in fastbin %u stands in a list of free chunks already: "
                                  "freed twice",
                                  index);
            return;
        }
        if (fastbin_index(ptmalloc, chunk.chunk_bytes) != index)
            pm_ptmalloc_violation(ptmalloc, build, "fastbin-size", user,
                                  "a chunk of 0x%" G_GINT64_MODIFIER "x bytes in fastbin %u",
                                  chunk.chunk_bytes, index);
        if (!pm_read(ptmalloc, user, &stored))
            return;
        header = pm_ptmalloc_decode_link(ptmalloc, user, stored);
    }
}

void
pm_ptmalloc_mark_fastbins(PmPtmalloc *ptmalloc)
{
    const PmStateLayout *layout = ptmalloc->layout;
    if (layout->fastbins < 0)
        return;
    for (guint i = 0; i < ptmalloc->arenas->len; i++) {
        const PmArenaBuild *build = pm_ptmalloc_get_build(ptmalloc, i);
        for (guint j = 0; j < layout->fastbin_count; j++) {
            guint64 head = 0;
            const PmAddr slot =
                build->arena.address + (guint)layout->fastbins + (PmAddr)j * ptmalloc->word_bytes;
            if (pm_read(ptmalloc, slot, &head))
                mark_fastbin(ptmalloc, build, j, head);
        }
    }
}
