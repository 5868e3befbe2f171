/*
 * The account of the address space; see memory.h: the regions, summed up, and malloc's share split
 * by the chunks in it.
 */
#include "analysis/memory.h"

#include <elf.h>

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
} Account;

const char *
pm_memory_kind_name(PmMemoryKind kind)
{
    static const char *const names[PM_MEMORY_KINDS] = {
        "malloc-used",   "malloc-free",   "malloc-overhead", "malloc-reserve",
        "module-data",   "thread-stacks", "ended-stacks",    "anonymous",
        "shared-memory", "files",         "no-access",       "vdso"};
    return names[kind];
}

static gboolean
is_heap(const PmRegion *region)
{
    /* What cannot be written is what an arena may still grow to. */
    return region->kind == PM_REGION_MAIN_HEAP || region->kind == PM_REGION_MMAPPED_CHUNK ||
           (region->kind == PM_REGION_ARENA_HEAP && (region->flags & PF_W) != 0);
}

/* Of what is no heap. */
static PmMemoryKind
tell_kind(const PmRegion *region)
{
    switch (region->kind) {
    case PM_REGION_ARENA_HEAP:
        return PM_MEMORY_RESERVE;
    case PM_REGION_STACK_MAIN:
    case PM_REGION_STACK_LIVE:
    case PM_REGION_STACK_SIGNAL:
        return PM_MEMORY_STACKS;
    case PM_REGION_STACK_CACHED:
    case PM_REGION_STACK_UNJOINED:
    case PM_REGION_STACK_ORPHAN:
        return PM_MEMORY_ENDED_STACKS;
    case PM_REGION_GUARD:
        return PM_MEMORY_NO_ACCESS;
    case PM_REGION_MODULE_RELRO:
    case PM_REGION_MODULE_DATA:
    case PM_REGION_MODULE_BSS:
        return PM_MEMORY_MODULE_DATA;
    case PM_REGION_MODULE_TEXT:
    case PM_REGION_MODULE_RODATA:
    case PM_REGION_FILE:
        return PM_MEMORY_FILES;
    case PM_REGION_VDSO:
        return PM_MEMORY_VDSO;
    case PM_REGION_SHARED_MEMORY:
        return PM_MEMORY_SHARED;
    default:
        return PM_MEMORY_ANONYMOUS;
    }
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

/* Charges what of a region of malloc's is no bytes of the core. */
static void
charge_region(Account *account, PmRange range)
{
    for (PmAddr at = range.start; at < range.end;) {
        PmSpan span;
        pm_space_get_span(account->space, at, &span);
        const guint64 length = MIN(span.length_bytes, range.end - at);
        if (span.kind != PM_BYTES_DUMPED || span.hole)
            charge_chunks(account, &span, length);
        at += length;
    }
}

/* @next: (nullable): stretches of one kind that touch are one thing. */
static void
account_region(Account *account, const PmRegion *region, const PmRegion *next)
{
    const gboolean heap = is_heap(region);
    const PmMemoryKind kind = heap ? PM_MEMORY_OVERHEAD : tell_kind(region);
    PmMemoryRow *row = heap ? &account->heap : &account->memory->rows[kind];
    row->mapped_bytes += pm_region_mapped_bytes(region);
    row->dumped_bytes += region->dumped_bytes;
    row->touched_bytes += account->memory->touched_known ? region->touched_bytes : 0;
    const gboolean goes_on = next != NULL && next->range.start == region->range.end &&
                             !is_heap(next) && tell_kind(next) == kind &&
                             !pm_region_kind_is_stack(region->kind);
    if (heap)
        charge_region(account, region->range);
    else if (kind != PM_MEMORY_MODULE_DATA && !goes_on)
        row->things++;
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
pm_memory_account(const PmSubject *subject, const PmRegions *regions, PmMemory *ret_memory)
{
    *ret_memory = (PmMemory){.touched_known = pm_image_has_holes(subject->image)};
    Account account = {
        .subject = subject, .space = pm_process_get_space(subject->process), .memory = ret_memory};
    gsize count = 0;
    const PmRegion *all = pm_regions_get(regions, &count);
    for (gsize i = 0; i < count; i++)
        account_region(&account, &all[i], i + 1 < count ? &all[i + 1] : NULL);
    const PmModule *modules = pm_process_get_modules(subject->process, &count);
    for (gsize i = 0; i < count; i++)
        ret_memory->rows[PM_MEMORY_MODULE_DATA].things +=
            modules[i].data_count > 0 && !modules[i].is_vdso;
    if (subject->ptmalloc != NULL)
        split_heap(&account);
    add_shares(ret_memory);
}
