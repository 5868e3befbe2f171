#include "analysis/arenas.h"

#include <stdlib.h>

/* What may lie between a pin and the end of its heap: the walk back passes over freed chunks of
 * fastbins alone, which are small; a heap has 64 MiB, the brk heap any size. */
#define FASTBIN_CHUNKS_MAX ((guint64)1 << 22)

static int
compare_arenas(const void *left, const void *right)
{
    const PmArena *a = ((const PmArenaFacts *)left)->arena;
    const PmArena *b = ((const PmArenaFacts *)right)->arena;
    if (a->system_bytes != b->system_bytes)
        return a->system_bytes < b->system_bytes ? 1 : -1;
    return (a->address > b->address) - (a->address < b->address);
}

/* The chunk right before the header @header; FALSE where there is none, but a gap. */
static gboolean
find_before(const PmHeap *heap, PmAddr header, guint64 word_bytes, PmChunk *ret_chunk)
{
    return pm_heap_find_chunk(heap, header - 1, ret_chunk, NULL) && !ret_chunk->mmapped &&
           ret_chunk->address - 2 * word_bytes + ret_chunk->chunk_bytes == header;
}

/* malloc_trim merges what is in fastbins, so that such a chunk pins nothing. */
static gboolean
is_loose(const PmChunk *chunk)
{
    return chunk->state == PM_CHUNK_BIN || chunk->state == PM_CHUNK_FASTBIN;
}

static void
find_pin(const PmHeap *heap, const PmArenaHeap *one, guint64 word_bytes, PmPin *ret_pin)
{
    PmChunk chunk;
    if (one->pin == PM_ADDR_NONE || !pm_heap_find_chunk(heap, one->pin, &chunk, NULL))
        return;
    for (guint64 i = 0; is_loose(&chunk); i++)
        if (i == FASTBIN_CHUNKS_MAX ||
            !find_before(heap, chunk.address - 2 * word_bytes, word_bytes, &chunk))
            return;

    const PmAddr header = chunk.address - 2 * word_bytes;
    const PmAddr end = header + chunk.chunk_bytes;
    PmPin pin = {.found = TRUE, .chunk = chunk, .above_bytes = one->end > end ? one->end - end : 0};
    PmChunk before = chunk;
    for (guint64 i = 0; i < FASTBIN_CHUNKS_MAX; i++) {
        if (!find_before(heap, before.address - 2 * word_bytes, word_bytes, &before) ||
            !is_loose(&before))
            break;
        pin.below_bytes += before.chunk_bytes;
    }
    *ret_pin = pin;
}

static void
add_trim(PmTrim *sum, const PmTrim *trim)
{
    sum->chunk_bytes += trim->chunk_bytes;
    sum->top_bytes += trim->top_bytes;
    sum->untouched_bytes += trim->untouched_bytes;
}

static void
measure_arena(const PmPtmalloc *ptmalloc, const PmArena *arena, guint64 word_bytes,
              PmArenaFacts *ret_facts)
{
    const PmHeap *heap = pm_ptmalloc_get_heap(ptmalloc);
    *ret_facts =
        (PmArenaFacts){.arena = arena, .heaps = g_new0(PmHeapFacts, MAX(arena->heap_count, 1))};
    for (gsize i = 0; i < arena->heap_count; i++) {
        PmHeapFacts *facts = &ret_facts->heaps[i];
        facts->heap = &arena->heaps[i];
        facts->arena = arena;
        pm_ptmalloc_measure_trim(ptmalloc, arena, i, &facts->trim);
        find_pin(heap, facts->heap, word_bytes, &facts->pin);
        add_trim(&ret_facts->trim, &facts->trim);
    }
}

static void
add_totals(PmArenaTotals *totals, const PmArenaFacts *facts, gboolean threads_known,
           guint64 heap_max_bytes)
{
    const PmArena *arena = facts->arena;
    totals->arenas++;
    totals->system_bytes += arena->system_bytes;
    totals->used_bytes += arena->used_bytes;
    totals->free_bytes += arena->free_bytes;
    add_trim(&totals->trim, &facts->trim);
    if (threads_known && arena->thread_count == 0) {
        totals->threadless++;
        totals->threadless_bytes += arena->system_bytes;
    }
    if (arena->kind == PM_ARENA_THREAD) {
        totals->thread_arenas++;
        totals->reserved_bytes += arena->heap_count * heap_max_bytes;
    }
}

/* Whether any thread was found at an arena: each is at one once it has allocated. */
static gboolean
are_threads_known(const PmArena *arenas, gsize count)
{
    for (gsize i = 0; i < count; i++)
        if (arenas[i].thread_count > 0)
            return TRUE;
    return FALSE;
}

static void
advice_clear(gpointer data)
{
    g_free(((PmAdvice *)data)->text);
}

PmArenas *
pm_arenas_new(const PmPtmalloc *ptmalloc, const PmProcess *process)
{
    PmArenas *arenas = g_new0(PmArenas, 1);
    const guint64 word_bytes = pm_space_get_target(pm_process_get_space(process))->word_bytes;
    const guint64 heap_max_bytes = pm_ptmalloc_get_heap_max_bytes(ptmalloc);
    const PmArena *all = pm_ptmalloc_get_arenas(ptmalloc, &arenas->count);

    const gboolean threads_known = are_threads_known(all, arenas->count);

    arenas->advice = g_array_new(FALSE, FALSE, sizeof(PmAdvice));
    g_array_set_clear_func(arenas->advice, advice_clear);
    arenas->arenas = g_new0(PmArenaFacts, MAX(arenas->count, 1));
    for (gsize i = 0; i < arenas->count; i++) {
        PmArenaFacts *facts = &arenas->arenas[i];
        measure_arena(ptmalloc, &all[i], word_bytes, facts);
        add_totals(&arenas->totals, facts, threads_known, heap_max_bytes);
        if (all[i].kind == PM_ARENA_THREAD)
            add_totals(&arenas->thread_totals, facts, threads_known, heap_max_bytes);
    }
    qsort(arenas->arenas, arenas->count, sizeof(PmArenaFacts), compare_arenas);
    arenas->settings_known = pm_ptmalloc_get_settings(ptmalloc, &arenas->settings);
    pm_arenas_advise(arenas);
    return arenas;
}

void
pm_arenas_free(PmArenas *arenas)
{
    for (gsize i = 0; i < arenas->count; i++)
        g_free(arenas->arenas[i].heaps);
    g_free(arenas->arenas);
    g_array_unref(arenas->advice);
    g_free(arenas);
}

const PmArenaFacts *
pm_arenas_find(const PmArenas *arenas, const PmPtmalloc *ptmalloc, guint32 index)
{
    gsize count = 0;
    const PmArena *all = pm_ptmalloc_get_arenas(ptmalloc, &count);
    for (gsize i = 0; i < arenas->count; i++)
        if (index < count && arenas->arenas[i].arena == &all[index])
            return &arenas->arenas[i];
    return NULL;
}
