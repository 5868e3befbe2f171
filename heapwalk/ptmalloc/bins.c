/*
 * The doubly linked bins against the flags: every chunk on a list must be free, of the bin's size,
 * and linked both ways; every free chunk must be on a list. The state of chunks does not depend on
 * it: `check` asks for this.
 */
#include "ptmalloc/ptmalloc-private.h"

/* malloc.c, bin_index: the bin for chunks of @bytes. */
static guint
bin_index(const PmPtmalloc *ptmalloc, guint64 bytes)
{
    const guint64 width = ptmalloc->layout->alignment;
    const guint64 correction = width > 2 * ptmalloc->word_bytes ? 1 : 0;
    if (bytes < (64 - correction) * width)
        return (guint)(bytes / width + correction);

    const gboolean is_64 = ptmalloc->word_bytes == 8;
    const guint64 fine = is_64 ? 48 : (correction ? 45 : 38);
    const guint64 fine_base = is_64 ? 48 : (correction ? 49 : 56);
    if (bytes >> 6 <= fine)
        return (guint)(fine_base + (bytes >> 6));
    if (bytes >> 9 <= 20)
        return (guint)(91 + (bytes >> 9));
    if (bytes >> 12 <= 10)
        return (guint)(110 + (bytes >> 12));
    if (bytes >> 15 <= 4)
        return (guint)(119 + (bytes >> 15));
    if (bytes >> 18 <= 2)
        return (guint)(124 + (bytes >> 18));
    return 126;
}

static guint64
count_bin_chunks(const PmArenaBuild *build)
{
    GHashTableIter iter;
    gpointer value = NULL;
    guint64 chunks = 0;
    g_hash_table_iter_init(&iter, build->sizes);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        chunks += ((const PmSizeCount *)value)->chunks[PM_CHUNK_BIN];
    return chunks;
}

/*
 * Follows one bin.
 *
 * @limit: more chunks than this cannot be on it.
 * Returns: how many are.
 */
static guint64
verify_bin(PmPtmalloc *ptmalloc, const PmArenaBuild *build, guint bin, guint64 limit)
{
    const guint64 word = ptmalloc->word_bytes;
    const PmAddr slot =
        build->arena.address + ptmalloc->layout->bins + (PmAddr)(bin - 1) * 2 * word;
    const PmAddr head = slot - 2 * word;
    PmAddr previous = head;
    guint64 current = 0;
    guint64 chunks = 0;

    if (!pm_read(ptmalloc, slot, &current))
        return 0;
    for (; current != head; chunks++) {
        PmChunk chunk;
        guint64 back = 0;
        const PmAddr user = current + 2 * word;
        if (chunks >= limit) {
            pm_ptmalloc_violation(ptmalloc, build, "bin-cycle", user,
                                  "bin %u holds more chunks than are free: its list is a loop",
                                  bin);
            return chunks;
        }
        if (!pm_heap_find_chunk(ptmalloc->heap, user, &chunk, NULL) || chunk.address != user) {
            pm_ptmalloc_violation(ptmalloc, build, "bin-link", user,
                                  "bin %u leads to where no chunk begins", bin);
            return chunks;
        }
        if (chunk.state != PM_CHUNK_BIN)
            pm_ptmalloc_violation(ptmalloc, build, "bin-in-use", user,
                                  "a chunk in bin %u whose next chunk says that it is in use", bin);
        if (bin > 1 && bin_index(ptmalloc, chunk.chunk_bytes) != bin)
            pm_ptmalloc_violation(ptmalloc, build, "bin-size", user,
                                  "a chunk of 0x%" G_GINT64_MODIFIER "x bytes in bin %u, which is "
                                  "not for this size",
                                  chunk.chunk_bytes, bin);
        if (!pm_read(ptmalloc, current + 3 * word, &back) || back != previous)
            pm_ptmalloc_violation(ptmalloc, build, "bin-back-link", user,
                                  "a chunk in bin %u whose bk is 0x%" G_GINT64_MODIFIER
                                  "x, not the chunk before it, 0x%" G_GINT64_MODIFIER "x",
                                  bin, back, previous);
        previous = current;
        if (!pm_read(ptmalloc, current + 2 * word, &current))
            return chunks + 1;
    }
    return chunks;
}

void
pm_ptmalloc_verify_bins(PmPtmalloc *ptmalloc)
{
    for (guint i = 0; i < ptmalloc->arenas->len; i++) {
        const PmArenaBuild *build = pm_ptmalloc_get_build(ptmalloc, i);
        const guint64 expected = count_bin_chunks(build);
        guint64 chunks = 0;
        /* Bin 127 is never used, but a chunk there would be damage. */
        for (guint bin = 1; bin <= PM_BINS; bin++)
            chunks += verify_bin(ptmalloc, build, bin, expected + 1);
        if (chunks != expected)
            pm_ptmalloc_violation(ptmalloc, build, "bin-sum", build->arena.address,
                                  "%" G_GUINT64_FORMAT
                                  " chunks are on the bins' lists, %" G_GUINT64_FORMAT
                                  " are free by the flags of their neighbours",
                                  chunks, expected);
    }
}
