/*
 * The fastbins. A list leads all over the heap, and where the next chunk is stands in the one
 * before: all lists are followed at once, a chunk of each in turn, so that the memory of one is on
 * its way while the others are worked on.
 */
#include "image/reader.h"
#include "ptmalloc/ptmalloc-private.h"

/* A list that is followed. @header: of the next chunk. */
typedef struct {
    const PmArenaBuild *build;
    guint index;
    char *name;
    PmAddr holder;
    PmAddr header;
} Fastbin;

static void
fastbin_clear(gpointer data)
{
    g_free(((Fastbin *)data)->name);
}

/* malloc.c, fastbin_index. */
static guint
fastbin_index(const PmPtmalloc *ptmalloc, guint64 chunk_bytes)
{
    const guint64 index = (chunk_bytes >> (ptmalloc->word_bytes == 8 ? 4 : 3)) - 2;
    return (guint)MIN(index, G_MAXUINT);
}

/* Appends those of an arena that are not empty. */
static void
add_fastbins(const PmPtmalloc *ptmalloc, const PmArenaBuild *build, GArray *fastbins)
{
    const PmStateLayout *layout = ptmalloc->layout;
    for (guint i = 0; i < layout->fastbin_count; i++) {
        const PmAddr slot =
            build->arena.address + (guint)layout->fastbins + (PmAddr)i * ptmalloc->word_bytes;
        Fastbin fastbin = {.build = build, .index = i, .holder = slot};
        if (!pm_read(ptmalloc, slot, &fastbin.header) || fastbin.header == 0)
            continue;
        fastbin.name = g_strdup_printf("fastbin %u", i);
        g_array_append_val(fastbins, fastbin);
    }
}

/* The word at @address; FALSE where it cannot be read. */
static gboolean
read_word(const PmPtmalloc *ptmalloc, PmReader *reader, PmAddr address, guint64 *ret_word)
{
    guint64 length = 0;
    const guint8 *bytes = pm_reader_get(reader, address, &length);
    if (bytes == NULL || length < ptmalloc->word_bytes)
        return pm_read(ptmalloc, address, ret_word);
    *ret_word = pm_load_word(bytes, ptmalloc->word_bytes);
    return TRUE;
}

/* Has the memory at @address fetched, where it is there. */
static void
fetch(PmReader *reader, PmAddr address)
{
    guint64 length = 0;
    const guint8 *bytes = pm_reader_get(reader, address, &length);
    if (bytes != NULL)
        __builtin_prefetch(bytes);
}

/* Takes the next chunk of a list. Returns: FALSE at its end, and where it leads astray. */
static gboolean
step(PmPtmalloc *ptmalloc, PmReader *reader, Fastbin *fastbin)
{
    const PmFreeLink link = {
        .build = fastbin->build,
        .state = PM_CHUNK_FASTBIN,
        .list = fastbin->name,
        .holder = fastbin->holder,
        .target = fastbin->header + 2 * ptmalloc->word_bytes,
    };
    PmChunk chunk;
    guint64 stored = 0;
    if (!pm_ptmalloc_take_free(ptmalloc, &link, &chunk))
        return FALSE;
    if (fastbin_index(ptmalloc, chunk.chunk_bytes) != fastbin->index)
        pm_ptmalloc_violation(ptmalloc, fastbin->build, "fastbin-size", chunk.address,
                              "a chunk of 0x%" G_GINT64_MODIFIER "x bytes in fastbin %u",
                              chunk.chunk_bytes, fastbin->index);
    if (!read_word(ptmalloc, reader, chunk.address, &stored))
        return FALSE;
    fastbin->holder = chunk.address;
    fastbin->header = pm_ptmalloc_decode_link(ptmalloc, chunk.address, stored);
    if (fastbin->header == 0)
        return FALSE;
    fetch(reader, fastbin->header + 2 * ptmalloc->word_bytes);
    pm_heap_fetch(ptmalloc->heap, fastbin->header);
    return TRUE;
}

void
pm_ptmalloc_mark_fastbins(PmPtmalloc *ptmalloc)
{
    PmReader reader = {.space = ptmalloc->space};
    g_autoptr(GArray) fastbins = g_array_new(FALSE, FALSE, sizeof(Fastbin));
    g_array_set_clear_func(fastbins, fastbin_clear);
    if (ptmalloc->layout->fastbins < 0)
        return;
    for (guint i = 0; i < ptmalloc->arenas->len; i++)
        add_fastbins(ptmalloc, pm_ptmalloc_get_build(ptmalloc, i), fastbins);
    while (fastbins->len > 0)
        for (guint i = fastbins->len; i > 0; i--)
            if (!step(ptmalloc, &reader, &g_array_index(fastbins, Fastbin, i - 1)))
                g_array_remove_index(fastbins, i - 1);
}
