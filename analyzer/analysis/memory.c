/*
 * The account of the address space; see memory.h. Claims of heaps, stacks, modules and files are
 * swept along the segments in one pass, so that overlapping claims cannot count a byte twice.
 */
#include "analysis/memory.h"

#include <elf.h>
#include <stdlib.h>

#define PAGE_BYTES G_GUINT64_CONSTANT(4096)

/* Who claims a stretch; the first that is active wins. The segments themselves are claims too. */
typedef enum {
    CLAIM_HEAP,
    CLAIM_STACK,
    CLAIM_MODULE_DATA,
    CLAIM_VDSO,
    CLAIM_FILE,
    CLAIM_RESERVE,
    CLAIM_NO_ACCESS,
    CLAIM_READ_ONLY,
    CLAIM_WRITABLE,
} Claim;
#define CLAIMS 9

/* A claim begins or ends at @address. */
typedef struct {
    PmAddr address;
    Claim claim;
    gint step;
} Event;

/*
 * @undumped, @untouched: heap bytes that are not in the core, or a hole there, by the kind of the
 * chunk they lie in.
 */
typedef struct {
    const PmSubject *subject;
    const PmSpace *space;
    PmMemory *memory;
    PmMemoryRow heap;
    guint64 undumped[PM_MEMORY_KINDS];
    guint64 untouched[PM_MEMORY_KINDS];
    PmMemoryKind last_kind;
    PmAddr last_end;
} Account;

const char *
pm_memory_kind_name(PmMemoryKind kind)
{
    static const char *const names[PM_MEMORY_KINDS] = {
        "malloc-used",   "malloc-free", "malloc-overhead", "malloc-reserve", "module-data",
        "thread-stacks", "anonymous",   "files",           "no-access",      "vdso"};
    return names[kind];
}

static void
add_claim(GArray *events, Claim claim, PmAddr start, PmAddr end)
{
    if (start >= end)
        return;
    Event begin = {start, claim, 1};
    Event finish = {end, claim, -1};
    g_array_append_val(events, begin);
    g_array_append_val(events, finish);
}

static int
compare_events(const void *left, const void *right)
{
    PmAddr a = ((const Event *)left)->address;
    PmAddr b = ((const Event *)right)->address;
    return (a > b) - (a < b);
}

static void
claim_segments(GArray *events, const PmImage *image)
{
    gsize count = 0;
    const PmSegment *segments = pm_image_get_segments(image, &count);
    for (gsize i = 0; i < count; i++) {
        Claim claim = CLAIM_READ_ONLY;
        if (segments[i].flags == 0)
            claim = CLAIM_NO_ACCESS;
        else if (segments[i].flags & PF_W)
            claim = CLAIM_WRITABLE;
        PmAddr end = G_MAXUINT64;
        (void)pm_addr_add(segments[i].start, segments[i].mapped_bytes, &end);
        add_claim(events, claim, segments[i].start, end);
    }
    const PmFileMapping *files = pm_image_get_file_mappings(image, &count);
    for (gsize i = 0; i < count; i++)
        add_claim(events, CLAIM_FILE, files[i].start, files[i].end);
}

static void
claim_process(GArray *events, const PmProcess *process, PmMemory *memory)
{
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(process, &count);
    for (gsize i = 0; i < count; i++) {
        if (modules[i].is_vdso) {
            add_claim(events, CLAIM_VDSO, modules[i].start, modules[i].end);
            memory->rows[PM_MEMORY_VDSO].things++;
            continue;
        }
        for (gsize j = 0; j < modules[i].data_count; j++)
            add_claim(events, CLAIM_MODULE_DATA, modules[i].data[j].start, modules[i].data[j].end);
        memory->rows[PM_MEMORY_MODULE_DATA].things += modules[i].data_count > 0;
    }
    const PmThread *threads = pm_process_get_threads(process, &count);
    for (gsize i = 0; i < count; i++) {
        add_claim(events, CLAIM_STACK, threads[i].stack.start, threads[i].stack.end);
        memory->rows[PM_MEMORY_STACKS].things += threads[i].stack.start < threads[i].stack.end;
    }
}

/*
 * glibc's arena.c, HEAP_MAX_SIZE: a thread heap is aligned to 64 MB (1 MB on 32 bit) and keeps that
 * much address space, of which the tail is without access until the heap grows.
 */
static void
claim_heaps(GArray *events, const PmPtmalloc *ptmalloc, guint word_bytes)
{
    guint64 reserve_bytes = word_bytes == 8 ? 64 << 20 : 1 << 20;
    gsize count = 0;
    const PmArena *arenas = pm_ptmalloc_get_arenas(ptmalloc, &count);
    for (gsize i = 0; i < count; i++) {
        for (gsize j = 0; j < arenas[i].heap_count; j++) {
            const PmArenaHeap *heap = &arenas[i].heaps[j];
            add_claim(events, CLAIM_HEAP, heap->start, heap->end);
            PmAddr reserve_end = 0;
            if (arenas[i].kind == PM_ARENA_THREAD &&
                pm_addr_add(pm_align_down(heap->start, reserve_bytes), reserve_bytes, &reserve_end))
                add_claim(events, CLAIM_RESERVE, heap->end, reserve_end);
        }
    }
    const PmHeapRegion *regions = pm_heap_get_regions(pm_ptmalloc_get_heap(ptmalloc), &count);
    for (gsize i = 0; i < count; i++) {
        if (regions[i].mmapped)
            add_claim(events, CLAIM_HEAP, pm_align_down(regions[i].range.start, PAGE_BYTES),
                      pm_align_up(regions[i].range.end, PAGE_BYTES));
    }
}

/*
 * The kind of the stretch where the claims counted in @active hold.
 *
 * Returns: FALSE where no segment maps it.
 */
static gboolean
classify(const gint *active, gboolean *ret_heap, PmMemoryKind *ret_kind)
{
    if (active[CLAIM_NO_ACCESS] + active[CLAIM_READ_ONLY] + active[CLAIM_WRITABLE] == 0)
        return FALSE;
    *ret_heap = active[CLAIM_HEAP] > 0;
    if (active[CLAIM_HEAP] > 0)
        *ret_kind = PM_MEMORY_OVERHEAD;
    else if (active[CLAIM_STACK] > 0)
        *ret_kind = PM_MEMORY_STACKS;
    else if (active[CLAIM_MODULE_DATA] > 0)
        *ret_kind = PM_MEMORY_MODULE_DATA;
    else if (active[CLAIM_VDSO] > 0)
        *ret_kind = PM_MEMORY_VDSO;
    else if (active[CLAIM_FILE] > 0)
        *ret_kind = PM_MEMORY_FILES;
    else if (active[CLAIM_RESERVE] > 0 && active[CLAIM_WRITABLE] == 0)
        *ret_kind = PM_MEMORY_RESERVE;
    else if (active[CLAIM_NO_ACCESS] > 0)
        *ret_kind = PM_MEMORY_NO_ACCESS;
    else
        *ret_kind = PM_MEMORY_ANONYMOUS;
    return TRUE;
}

/*
 * Charges a stretch of a heap that is no bytes of the core to the chunks in it. Such a stretch
 * holds no chunk header (a header is never zero), so it lies in few chunks, mostly in one.
 */
static void
charge_chunks(Account *account, const PmSpan *span, guint64 length_bytes)
{
    const PmHeap *heap = pm_ptmalloc_get_heap(account->subject->ptmalloc);
    guint header_bytes = 2 * pm_space_get_target(account->space)->word_bytes;
    PmAddr at = span->start;
    PmAddr end = span->start + length_bytes;
    while (at < end) {
        PmChunk chunk;
        PmMemoryKind kind = PM_MEMORY_OVERHEAD;
        PmAddr next = end;
        if (pm_heap_find_chunk(heap, at, &chunk, NULL)) {
            kind = pm_chunk_state_is_free(chunk.state) ? PM_MEMORY_FREE : PM_MEMORY_USED;
            PmAddr chunk_end = chunk.address - header_bytes + chunk.chunk_bytes;
            if (chunk_end > at)
                next = MIN(end, chunk_end);
        }
        account->untouched[kind] += next - at;
        if (span->kind != PM_BYTES_DUMPED && span->kind != PM_BYTES_LOST)
            account->undumped[kind] += next - at;
        at = next;
    }
}

/* What of @stretch, which lies in one segment, was written to the core (p_filesz), whether or not
 * it is still there. */
static guint64
count_dumped(const PmImage *image, PmRange stretch)
{
    const PmSegment *segment = pm_image_find_segment(image, stretch.start);
    if (segment == NULL)
        return 0;
    guint64 offset_bytes = stretch.start - segment->start;
    if (offset_bytes >= segment->dumped_bytes)
        return 0;
    return MIN(pm_range_bytes(stretch), segment->dumped_bytes - offset_bytes);
}

static void
account_stretch(Account *account, gboolean heap, PmMemoryRow *row, PmRange stretch)
{
    row->mapped_bytes += pm_range_bytes(stretch);
    row->dumped_bytes += count_dumped(account->subject->image, stretch);
    for (PmAddr at = stretch.start; at < stretch.end;) {
        PmSpan span;
        pm_space_get_span(account->space, at, &span);
        guint64 length = MIN(span.length_bytes, stretch.end - at);
        gboolean touched = span.kind == PM_BYTES_DUMPED && !span.hole;
        row->touched_bytes += touched ? length : 0;
        if (heap && !touched)
            charge_chunks(account, &span, length);
        at += length;
    }
}

static void
sweep(Account *account, const GArray *events)
{
    gint active[CLAIMS] = {0};
    for (guint i = 0; i < events->len; i++) {
        const Event *event = &g_array_index(events, Event, i);
        active[event->claim] += event->step;
        if (i + 1 == events->len)
            break;
        PmRange stretch = {event->address, g_array_index(events, Event, i + 1).address};
        gboolean heap = FALSE;
        PmMemoryKind kind = PM_MEMORY_ANONYMOUS;
        if (stretch.start == stretch.end || !classify(active, &heap, &kind))
            continue;
        PmMemoryRow *row = heap ? &account->heap : &account->memory->rows[kind];
        account_stretch(account, heap, row, stretch);
        gboolean counts_stretches = kind == PM_MEMORY_ANONYMOUS || kind == PM_MEMORY_FILES ||
                                    kind == PM_MEMORY_NO_ACCESS || kind == PM_MEMORY_RESERVE;
        if (counts_stretches && (kind != account->last_kind || stretch.start != account->last_end))
            row->things++;
        account->last_kind = kind;
        account->last_end = stretch.end;
    }
}

static guint64
saturating_sub(guint64 a, guint64 b)
{
    return a > b ? a - b : 0;
}

/* Splits the heaps' bytes into chunks in use, free chunks and the rest. */
static void
split_heap(Account *account)
{
    PmMemoryRow rest = account->heap;
    gsize count = 0;
    const PmSizeCount *sizes = pm_ptmalloc_get_sizes(account->subject->ptmalloc, &count);
    for (gsize i = 0; i < count; i++) {
        for (guint state = 0; state < PM_CHUNK_STATES; state++) {
            PmMemoryKind kind =
                pm_chunk_state_is_free((PmChunkState)state) ? PM_MEMORY_FREE : PM_MEMORY_USED;
            account->memory->rows[kind].things += sizes[i].chunks[state];
            account->memory->rows[kind].mapped_bytes +=
                sizes[i].chunks[state] * sizes[i].chunk_bytes;
        }
    }
    for (guint kind = PM_MEMORY_USED; kind <= PM_MEMORY_FREE; kind++) {
        PmMemoryRow *row = &account->memory->rows[kind];
        /* A damaged heap may claim more than its segments hold. */
        row->mapped_bytes = MIN(row->mapped_bytes, rest.mapped_bytes);
        row->dumped_bytes =
            MIN(saturating_sub(row->mapped_bytes, account->undumped[kind]), rest.dumped_bytes);
        row->touched_bytes =
            MIN(saturating_sub(row->mapped_bytes, account->untouched[kind]), rest.touched_bytes);
        rest.mapped_bytes -= row->mapped_bytes;
        rest.dumped_bytes -= row->dumped_bytes;
        rest.touched_bytes -= row->touched_bytes;
    }
    account->memory->rows[PM_MEMORY_OVERHEAD] = rest;
}

static void
add_shares(PmMemory *memory)
{
    for (guint kind = 0; kind < PM_MEMORY_KINDS; kind++) {
        memory->total.mapped_bytes += memory->rows[kind].mapped_bytes;
        memory->total.dumped_bytes += memory->rows[kind].dumped_bytes;
        memory->total.touched_bytes += memory->rows[kind].touched_bytes;
    }
    guint64 whole =
        memory->touched_known ? memory->total.touched_bytes : memory->total.dumped_bytes;
    for (guint kind = 0; kind < PM_MEMORY_KINDS; kind++) {
        PmMemoryRow *row = &memory->rows[kind];
        guint64 part = memory->touched_known ? row->touched_bytes : row->dumped_bytes;
        row->share = whole == 0 ? 0 : (double)part / (double)whole;
    }
    memory->total.share = whole == 0 ? 0 : 1;
}

void
pm_memory_account(const PmSubject *subject, PmMemory *ret_memory)
{
    *ret_memory = (PmMemory){.touched_known = pm_image_has_holes(subject->image)};
    g_autoptr(GArray) events = g_array_new(FALSE, FALSE, sizeof(Event));
    claim_segments(events, subject->image);
    claim_process(events, subject->process, ret_memory);
    if (subject->ptmalloc != NULL)
        claim_heaps(events, subject->ptmalloc, pm_image_get_target(subject->image)->word_bytes);
    g_array_sort(events, compare_events);
    Account account = {.subject = subject,
                       .space = pm_process_get_space(subject->process),
                       .memory = ret_memory,
                       .last_kind = PM_MEMORY_KINDS,
                       .last_end = PM_ADDR_NONE};
    sweep(&account, events);
    if (subject->ptmalloc != NULL)
        split_heap(&account);
    add_shares(ret_memory);
}
