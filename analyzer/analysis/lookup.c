/*
 * Looking one address up; see lookup.h.
 */
#include "analysis/lookup.h"

#include "analysis/chunks.h"

/* psABI, x86-64. */
#define RED_ZONE_BYTES 128

const char *
pm_place_name(PmPlace place)
{
    static const char *const names[] = {"chunk", "free-chunk", "symbol",
                                        "stack", "region",     "unmapped"};
    return names[place];
}

static void
find_region(const PmSubject *subject, PmLookup *lookup)
{
    const PmSegment *segment = pm_image_find_segment(subject->image, lookup->address);
    if (segment == NULL)
        return;
    lookup->has_region = TRUE;
    lookup->flags = segment->flags;
    lookup->region = (PmRange){segment->start, segment->start + segment->mapped_bytes};
    const PmFileMapping *file = pm_image_find_file_mapping(subject->image, lookup->address);
    if (file == NULL)
        return;
    lookup->file = file->path;
    lookup->region.start = MAX(lookup->region.start, file->start);
    lookup->region.end = MIN(lookup->region.end, file->end);
}

static const PmThread *
find_stack(const PmProcess *process, PmAddr address)
{
    gsize count = 0;
    const PmThread *threads = pm_process_get_threads(process, &count);
    for (gsize i = 0; i < count; i++) {
        if (pm_range_contains(threads[i].stack, address))
            return &threads[i];
    }
    return NULL;
}

static gboolean
is_in_red_zone(const PmTarget *target, const PmThread *thread, PmAddr address)
{
    return thread != NULL && thread->sp != PM_ADDR_NONE && target->arch == PM_ARCH_X86_64 &&
           address < thread->sp && thread->sp - address <= RED_ZONE_BYTES;
}

static void
find_neighbours(const PmHeap *heap, guint64 word_bytes, PmLookup *lookup)
{
    const PmChunk *chunk = &lookup->chunk;
    if (chunk->mmapped)
        return;
    PmAddr header = chunk->address - 2 * word_bytes;
    PmChunk found;
    if (pm_heap_find_chunk(heap, header - 1, &found, NULL) && !found.mmapped &&
        found.address < chunk->address &&
        found.address - 2 * word_bytes + found.chunk_bytes == header) {
        lookup->has_before = TRUE;
        lookup->before = found;
    }
    /* The first word of the next chunk belongs to this one; its size field is surely its own. */
    if (pm_heap_find_chunk(heap, header + chunk->chunk_bytes + word_bytes, &found, NULL) &&
        !found.mmapped && found.address == chunk->address + chunk->chunk_bytes) {
        lookup->has_after = TRUE;
        lookup->after = found;
    }
}

static gboolean
find_chunk(const PmSubject *subject, guint word_bytes, PmLookup *lookup)
{
    const PmPtmalloc *ptmalloc = subject->ptmalloc;
    if (ptmalloc == NULL)
        return FALSE;
    const PmHeap *heap = pm_ptmalloc_get_heap(ptmalloc);
    if (!pm_heap_find_chunk(heap, lookup->address, &lookup->chunk, &lookup->chunk_offset))
        return FALSE;
    const PmChunk *chunk = &lookup->chunk;
    lookup->place = pm_chunk_state_is_free(chunk->state) ? PM_PLACE_FREE_CHUNK : PM_PLACE_CHUNK;
    gsize count = 0;
    const PmArena *arenas = pm_ptmalloc_get_arenas(ptmalloc, &count);
    if (chunk->arena < count)
        lookup->arena = &arenas[chunk->arena];
    lookup->runtime = pm_chunks_find_runtime(ptmalloc, chunk->address);
    lookup->requests = pm_requests_of(ptmalloc, word_bytes, chunk->chunk_bytes, chunk->mmapped);
    find_neighbours(heap, word_bytes, lookup);
    return TRUE;
}

/* Up to PM_PREVIEW_BYTES readable bytes from the 16-byte line of the address, but from no other
 * chunk. */
static void
fill_preview(const PmSubject *subject, guint64 word_bytes, PmLookup *lookup)
{
    const PmSpace *space = pm_process_get_space(subject->process);
    guint64 count = PM_PREVIEW_BYTES;
    lookup->preview_start = pm_align_down(lookup->address, 16);
    if (lookup->place <= PM_PLACE_FREE_CHUNK) {
        const PmChunk *chunk = &lookup->chunk;
        /* Counted from the user pointer; top has no usable bytes, but its memory can be looked at.
         */
        guint64 readable =
            chunk->usable_bytes != 0 ? chunk->usable_bytes : chunk->chunk_bytes - 2 * word_bytes;
        guint64 offset = lookup->chunk_offset < 0 ? 0 : (guint64)lookup->chunk_offset & ~15ULL;
        lookup->preview_start = chunk->address + offset;
        count = readable > offset ? MIN(count, readable - offset) : 0;
    }
    PmSpan span;
    while (count > 0 &&
           !pm_space_read(space, lookup->preview_start, lookup->preview, (gsize)count)) {
        /* It ends inside, or there is nothing at all. */
        pm_space_get_span(space, lookup->preview_start, &span);
        count = span.length_bytes < count ? span.length_bytes : 0;
    }
    lookup->preview_count = (gsize)count;
}

/* The arena in one of whose heaps the address lies although in no chunk: malloc_state, padding,
 * damage. */
static const PmArena *
find_arena_around(const PmPtmalloc *ptmalloc, PmAddr address)
{
    gsize count = 0;
    const PmArena *arenas = pm_ptmalloc_get_arenas(ptmalloc, &count);
    for (gsize i = 0; i < count; i++) {
        for (gsize j = 0; j < arenas[i].heap_count; j++) {
            const PmArenaHeap *heap = &arenas[i].heaps[j];
            if (address >= heap->start && address < heap->end)
                return &arenas[i];
        }
    }
    return NULL;
}

/* Whether the symbol is at the address, not just the nearest one before it. */
static gboolean
covers(const PmLookup *lookup)
{
    /* Hand-written assembly leaves sizes out; a page is a generous function. */
    guint64 size_bytes = lookup->symbol.size_bytes;
    return lookup->symbol_offset < (size_bytes == 0 ? 4096 : size_bytes);
}

/* What `maps` calls the region that holds @address. */
static PmRegionKind
find_kind(const PmSubject *subject, PmAddr address)
{
    const PmRegionsOptions options = {.count_nonzero = FALSE};
    g_autoptr(PmRegions) regions = pm_regions_new(subject, &options);
    const PmRegion *region = pm_regions_find(regions, address);
    return region == NULL ? PM_REGION_KINDS : region->kind;
}

void
pm_lookup(const PmSubject *subject, PmAddr address, PmLookup *ret_lookup)
{
    const PmProcess *process = subject->process;
    guint word_bytes = pm_image_get_target(subject->image)->word_bytes;
    *ret_lookup =
        (PmLookup){.address = address, .place = PM_PLACE_UNMAPPED, .region_kind = PM_REGION_KINDS};
    PmSpan span;
    pm_space_get_span(pm_process_get_space(process), address, &span);
    ret_lookup->bytes = span.kind;
    find_region(subject, ret_lookup);
    ret_lookup->module = pm_process_find_module(process, address);
    ret_lookup->thread = find_stack(process, address);
    ret_lookup->red_zone =
        is_in_red_zone(pm_image_get_target(subject->image), ret_lookup->thread, address);
    ret_lookup->has_symbol =
        ret_lookup->module != NULL &&
        pm_process_symbolize(process, address, &ret_lookup->symbol, &ret_lookup->symbol_offset);
    if (!find_chunk(subject, word_bytes, ret_lookup)) {
        if (subject->ptmalloc != NULL)
            ret_lookup->arena = find_arena_around(subject->ptmalloc, address);
        if (ret_lookup->has_region)
            ret_lookup->region_kind = find_kind(subject, address);
        if (ret_lookup->thread != NULL)
            ret_lookup->place = PM_PLACE_STACK;
        else if (ret_lookup->has_symbol && covers(ret_lookup))
            ret_lookup->place = PM_PLACE_SYMBOL;
        else if (ret_lookup->has_region)
            ret_lookup->place = PM_PLACE_REGION;
    }
    fill_preview(subject, word_bytes, ret_lookup);
}
