#include "ptmalloc/trim.h"

#include <elf.h>
#include <string.h>

#include "ptmalloc/ptmalloc-private.h"

#define PAGE_MIN ((guint64)4096)
#define PAGE_MAX ((guint64)65536)

/*
 * @top: header of the arena's top. @top_start: where that begins once fastbins are merged.
 * @buffer: of a page, for cores without holes; made when it is needed.
 */
typedef struct {
    const PmPtmalloc *ptmalloc;
    const PmHeap *heap;
    guint64 page;
    PmAddr top;
    PmAddr top_start;
    gboolean by_extents;
    guint8 *buffer;
    PmTrim trim;
} Trim;

static guint64
get_page_bytes(const PmPtmalloc *ptmalloc)
{
    guint64 page = 0;
    if (!pm_process_get_auxv(ptmalloc->process, AT_PAGESZ, &page) || page < PAGE_MIN ||
        page > PAGE_MAX || (page & (page - 1)) != 0)
        return PAGE_MIN;
    return page;
}

/* Of the dumped bytes of @span, those in pages that hold anything but zeros. */
static guint64
count_nonzero(Trim *trim, const PmSpan *span, guint64 length_bytes)
{
    const PmImage *image = pm_space_get_image(trim->ptmalloc->space);
    guint64 bytes = 0;
    if (trim->buffer == NULL)
        trim->buffer = g_malloc(trim->page);
    for (guint64 at = 0; at < length_bytes; at += trim->page) {
        const gsize count = (gsize)MIN(trim->page, length_bytes - at);
        const gsize copied = pm_image_copy(image, span->bytes + at, trim->buffer, count);
        if (copied > 0 &&
            (trim->buffer[0] != 0 || memcmp(trim->buffer, trim->buffer + 1, copied - 1) != 0))
            bytes += count;
    }
    return bytes;
}

/*
 * The bytes of the whole pages [@start, @end) that have memory behind them.
 *
 * @ret_untouched: (inout): those that have none are added.
 */
static guint64
count_touched(Trim *trim, PmAddr start, PmAddr end, guint64 *ret_untouched)
{
    guint64 touched = 0;
    for (PmAddr at = start; at < end;) {
        PmSpan span;
        pm_space_get_span(trim->ptmalloc->space, at, &span);
        const guint64 length = MIN(span.length_bytes, end - at);
        guint64 here = 0;
        if (span.kind == PM_BYTES_DUMPED && !span.hole)
            here = trim->by_extents ? length : count_nonzero(trim, &span, length);
        touched += here;
        if (span.kind == PM_BYTES_DUMPED || span.kind == PM_BYTES_NOT_WRITTEN)
            *ret_untouched += length - here;
        at += length;
    }
    return touched;
}

static gboolean
is_loose(const PmChunk *chunk)
{
    return chunk->state == PM_CHUNK_BIN || chunk->state == PM_CHUNK_FASTBIN;
}

/*
 * The end of the free chunk that there will be once malloc_consolidate() has merged @first, the
 * first of a run, with those behind it: a chunk of a fastbin merges with what is free on either
 * side of it. (Two in bins side by side are the work of an interrupted free().)
 */
static PmAddr
find_run_end(const Trim *trim, gsize region, const PmChunk *first)
{
    const guint64 header_bytes = 2 * trim->ptmalloc->word_bytes;
    PmAddr end = first->address - header_bytes + first->chunk_bytes;
    gboolean in_fastbin = first->state == PM_CHUNK_FASTBIN;
    PmChunk next;
    while (pm_heap_may_be_free(trim->heap, region, end) &&
           pm_heap_find_chunk(trim->heap, end + header_bytes, &next, NULL) &&
           next.address == end + header_bytes && !next.mmapped && is_loose(&next) &&
           (in_fastbin || next.state == PM_CHUNK_FASTBIN)) {
        in_fastbin = next.state == PM_CHUNK_FASTBIN;
        end += next.chunk_bytes;
    }
    return end;
}

/* mtrim(): the whole pages behind the six words of links of a free chunk. */
static void
measure_chunk(Trim *trim, PmAddr header, PmAddr end)
{
    const PmAddr first = pm_align_up(header + 6 * trim->ptmalloc->word_bytes, trim->page);
    const PmAddr last = pm_align_down(end, trim->page);
    if (first < last)
        trim->trim.chunk_bytes += count_touched(trim, first, last, &trim->trim.untouched_bytes);
}

static void
measure_region(Trim *trim, gsize region, PmRange range)
{
    PmChunk chunk;
    PmAddr at = range.start;
    while (at < range.end && pm_heap_find_free(trim->heap, region, at, &chunk)) {
        const PmAddr header = chunk.address - 2 * trim->ptmalloc->word_bytes;
        at = find_run_end(trim, region, &chunk);
        if (at == trim->top)
            trim->top_start = header;
        else
            measure_chunk(trim, header, at);
    }
}

/* Whether the main arena's top ends where sbrk(0) is; else systrim() does nothing. */
static gboolean
ends_at_break(const PmPtmalloc *ptmalloc, const PmArena *arena, PmAddr top_end)
{
    guint64 sbrk_base = 0;
    if (arena->address != ptmalloc->glibc.main_arena)
        return FALSE;
    const PmRange *stretch = pm_ptmalloc_find_stretch(ptmalloc, top_end - 1);
    if (stretch == NULL || stretch->end != top_end)
        return FALSE;
    /* A top in a mapping of its own is not at the break, whatever ends there. */
    return arena->contiguous || (ptmalloc->par != NULL &&
                                 pm_ptmalloc_read_par(ptmalloc, ptmalloc->par->sbrk_base,
                                                      ptmalloc->word_bytes, &sbrk_base) &&
                                 stretch->start <= sbrk_base && sbrk_base < stretch->end);
}

/* The unit that systrim() gives back. 2.35 and later: huge pages, where malloc asks for them; the
 * word thp_pagesize stands before hp_pagesize and the int hp_flags, right before n_mmaps. */
static guint64
get_trim_unit(const Trim *trim)
{
    const PmPtmalloc *ptmalloc = trim->ptmalloc;
    const guint64 word = ptmalloc->word_bytes;
    guint64 huge = 0;
    if (ptmalloc->par == NULL || ptmalloc->par->first_version < 35 ||
        !pm_ptmalloc_read_par(ptmalloc, ptmalloc->par->n_mmaps - 4 - 2 * (guint)word, word,
                              &huge) ||
        huge < trim->page || (huge & (huge - 1)) != 0)
        return trim->page;
    return huge;
}

/* systrim(): the whole pages at the end of top, but for the smallest chunk and a byte. */
static void
measure_top(Trim *trim, const PmArena *arena, PmAddr top_end)
{
    const guint64 bytes = top_end - trim->top_start;
    const guint64 keep = pm_min_chunk_bytes(trim->ptmalloc->word_bytes) + 1;
    guint64 extra = 0;
    if (bytes > keep && ends_at_break(trim->ptmalloc, arena, top_end))
        extra = pm_align_down(bytes - keep, get_trim_unit(trim));
    const PmAddr cut = top_end - extra;
    trim->trim.top_bytes += count_touched(trim, cut, top_end, &trim->trim.untouched_bytes);
    /* What stays of it takes no memory where nobody touched it. */
    const PmAddr first = pm_align_up(trim->top_start, trim->page);
    if (first < pm_align_down(cut, trim->page))
        (void)count_touched(trim, first, pm_align_down(cut, trim->page),
                            &trim->trim.untouched_bytes);
}

/* The first region that begins at or behind @address. */
static gsize
find_first_region(const PmHeapRegion *regions, gsize count, PmAddr address)
{
    gsize low = 0, high = count;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (regions[middle].range.start < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void
pm_ptmalloc_measure_trim(const PmPtmalloc *ptmalloc, const PmArena *arena, gsize heap,
                         PmTrim *ret_trim)
{
    gsize count = 0;
    const PmArenaHeap *one = &arena->heaps[heap];
    const PmHeapRegion *regions = pm_heap_get_regions(ptmalloc->heap, &count);
    PmChunk top;
    Trim trim = {
        .ptmalloc = ptmalloc,
        .heap = ptmalloc->heap,
        .page = get_page_bytes(ptmalloc),
        .top = arena->top,
        .top_start = arena->top,
        .by_extents = pm_image_has_holes(pm_space_get_image(ptmalloc->space)),
    };
    for (gsize i = find_first_region(regions, count, one->start);
         i < count && regions[i].range.start < one->end; i++)
        if (!regions[i].mmapped)
            measure_region(&trim, i, regions[i].range);
    if (arena->top >= one->start && arena->top < one->end &&
        pm_heap_find_chunk(ptmalloc->heap, arena->top + 2 * ptmalloc->word_bytes, &top, NULL) &&
        top.state == PM_CHUNK_TOP)
        measure_top(&trim, arena, arena->top + top.chunk_bytes);
    g_free(trim.buffer);
    *ret_trim = trim.trim;
}
