/*
 * Which stretches of memory belong to which arena, and the walk over all of them: the brk heap and
 * the mmapped segments of main arenas, the 64 MB heaps of thread arenas. Thread heaps are walked
 * side by side.
 */
#include "base/jobs.h"
#include "ptmalloc/ptmalloc-private.h"
#include "ptmalloc/walk.h"

#define PAGE 4096
/* An arena of more heaps than this (4 TB on 64 bit) is a loop through garbage. */
#define HEAPS_MAX 65536
/* One chunk is not split into more pieces than this: bounds a look at hostile data. */
#define PIECES_MAX 4096

/* One stretch, and what came out. */
typedef struct {
    PmWalk walk;
    PmAddr start;                   /* of the heap, in front of the first chunk */
    guint64 overhead[PM_OVERHEADS]; /* in front of the first chunk */
    gboolean exact_end;             /* the heap ends at the limit, wherever the walk ends */
} HeapJob;

typedef struct {
    PmPtmalloc *ptmalloc;
    GArray *jobs; /* HeapJob */
    GMutex lock;
    GError *error;
} HeapWalk;

/* Adds @range to @ranges, joined to the last one where it touches that. */
static void
add_joined(GArray *ranges, PmRange range)
{
    PmRange *last = ranges->len > 0 ? &g_array_index(ranges, PmRange, ranges->len - 1) : NULL;
    if (last != NULL && last->end == range.start)
        last->end = range.end;
    else
        g_array_append_val(ranges, range);
}

/* Joins neighbouring segments without a file: all of them, and the writable ones. */
static void
make_runs(PmPtmalloc *ptmalloc)
{
    gsize count = 0;
    const PmImage *image = pm_space_get_image(ptmalloc->space);
    const PmSegment *segments = pm_image_get_segments(image, &count);
    for (gsize i = 0; i < count; i++) {
        const PmRange range = {segments[i].start, segments[i].start + segments[i].mapped_bytes};
        if (pm_image_find_file_mapping(image, range.start) != NULL)
            continue;
        add_joined(ptmalloc->stretches, range);
        if ((segments[i].flags & 2) != 0) /* PF_W */
            add_joined(ptmalloc->runs, range);
    }
}

/* The first range that ends behind @address, or NULL. */
static const PmRange *
find_next_range(const GArray *ranges, PmAddr address)
{
    guint low = 0, high = ranges->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(ranges, PmRange, middle).end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low < ranges->len ? &g_array_index(ranges, PmRange, low) : NULL;
}

static const PmRange *
find_range(const GArray *ranges, PmAddr address)
{
    const PmRange *range = find_next_range(ranges, address);
    return range != NULL && range->start <= address ? range : NULL;
}

const PmRange *
pm_ptmalloc_find_stretch(const PmPtmalloc *ptmalloc, PmAddr address)
{
    return find_range(ptmalloc->stretches, address);
}

gboolean
pm_ptmalloc_is_memory(const PmPtmalloc *ptmalloc, PmRange range)
{
    guint64 bytes = 0;
    PmAddr at = range.start;
    if (pm_range_bytes(range) < PAGE || find_range(ptmalloc->stretches, range.start) == NULL ||
        find_range(ptmalloc->stretches, range.end - PAGE) == NULL)
        return FALSE;
    for (guint i = 0; i < PIECES_MAX && at < range.end; i++) {
        const PmRange *next = find_next_range(ptmalloc->stretches, at);
        if (next == NULL || next->start >= range.end)
            break;
        bytes += MIN(next->end, range.end) - MAX(next->start, at);
        at = next->end;
    }
    return bytes >= pm_range_bytes(range) / 2;
}

const PmRange *
pm_ptmalloc_find_next_claimed(const PmPtmalloc *ptmalloc, PmAddr address)
{
    return find_next_range(ptmalloc->claimed, address);
}

const PmRange *
pm_ptmalloc_find_claimed(const PmPtmalloc *ptmalloc, PmAddr address)
{
    return find_range(ptmalloc->claimed, address);
}

/* Keeps the claimed ranges sorted. */
static void
claim(PmPtmalloc *ptmalloc, PmRange range)
{
    guint at = ptmalloc->claimed->len;
    while (at > 0 && g_array_index(ptmalloc->claimed, PmRange, at - 1).start > range.start)
        at--;
    g_array_insert_val(ptmalloc->claimed, at, range);
}

/* Where the first chunk's header is when user data must be aligned and memory begins at @start. */
static PmAddr
first_chunk(const PmPtmalloc *ptmalloc, PmAddr start)
{
    const guint64 header = 2 * ptmalloc->word_bytes;
    return pm_align_up(start + header, ptmalloc->layout->alignment) - header;
}

/* Adds what came out of one stretch to its arena. */
static void
add_heap(PmArenaBuild *build, const HeapJob *job, const PmWalkCounts *counts, PmAddr end)
{
    PmArenaHeap heap = {
        .start = job->start,
        .end = job->exact_end ? job->walk.limit : end,
        .used_bytes = counts->used_bytes,
        .free_bytes = counts->free_bytes,
        .pin = PM_ADDR_NONE,
    };
    if (counts->pin != PM_ADDR_NONE)
        heap.pin = counts->pin + 2 * (PmAddr)job->walk.ptmalloc->word_bytes;

    g_mutex_lock(&build->lock);
    for (guint i = 0; i < PM_OVERHEADS; i++) {
        const guint64 bytes = counts->overhead[i] + job->overhead[i];
        heap.overhead_bytes += bytes;
        build->arena.overhead[i] += bytes;
    }
    g_array_append_vals(build->foreign_gaps, counts->foreign_gaps->data, counts->foreign_gaps->len);
    g_array_append_val(build->heaps, heap);
    g_mutex_unlock(&build->lock);
}

/* Walks one stretch. @counts is cleared first. */
static gboolean
run_heap(HeapWalk *heaps, const HeapJob *job, PmWalkCounts *counts, PmAddr *ret_end)
{
    g_autoptr(GError) error = NULL;
    for (guint i = 0; i < PM_OVERHEADS; i++)
        counts->overhead[i] = 0;
    g_array_set_size(counts->foreign_gaps, 0);
    counts->used_bytes = counts->free_bytes = 0;
    if (!pm_walk_run(&job->walk, counts, ret_end, &error)) {
        g_mutex_lock(&heaps->lock);
        if (heaps->error == NULL)
            heaps->error = g_steal_pointer(&error);
        g_mutex_unlock(&heaps->lock);
        return FALSE;
    }
    add_heap(job->walk.build, job, counts, *ret_end);
    return TRUE;
}

/* A worker: takes the jobs that @next hands out. */
static void
run_jobs(PmJobs *jobs, gpointer data)
{
    HeapWalk *heaps = data;
    PmWalkCounts counts;
    guint64 index = 0;
    PmAddr end = 0;
    pm_walk_counts_init(&counts, heaps->ptmalloc->word_bytes == 8 ? 4 : 3);
    while (pm_jobs_next(jobs, &index))
        if (!run_heap(heaps, &g_array_index(heaps->jobs, HeapJob, index), &counts, &end))
            break;
    pm_walk_counts_clear(&counts);
}

/* Whether a heap_info of @build at @heap makes sense; its size then. */
static gboolean
read_heap_info(const PmPtmalloc *ptmalloc, const PmArenaBuild *build, PmAddr heap,
               PmAddr *ret_previous, guint64 *ret_size)
{
    const guint64 word = ptmalloc->word_bytes;
    guint64 owner = 0;
    return pm_read(ptmalloc, heap, &owner) && owner == build->arena.address &&
           pm_read(ptmalloc, heap + word, ret_previous) &&
           pm_read(ptmalloc, heap + 2 * word, ret_size) && *ret_size % PAGE == 0 && *ret_size > 0 &&
           *ret_size <= ptmalloc->heap_max_bytes;
}

static void
add_thread_heap(HeapWalk *heaps, PmArenaBuild *build, PmAddr heap, guint64 size)
{
    PmPtmalloc *ptmalloc = heaps->ptmalloc;
    const PmStateLayout *layout = ptmalloc->layout;
    const gboolean first = build->arena.address == heap + layout->heap_info_bytes;
    const PmAddr behind = heap + layout->heap_info_bytes + (first ? layout->state_bytes : 0);
    HeapJob job = {
        .walk = {.ptmalloc = ptmalloc,
                 .build = build,
                 .kind = PM_WALK_THREAD,
                 .start = first_chunk(ptmalloc, behind),
                 .limit = heap + size,
                 .exact_limit = TRUE,
                 .top = build->arena.top},
        .start = heap,
        .exact_end = TRUE,
    };
    if (job.walk.start >= job.walk.limit)
        return;
    job.overhead[PM_OVERHEAD_HEAP_INFO] = layout->heap_info_bytes;
    job.overhead[PM_OVERHEAD_MALLOC_STATE] = first ? layout->state_bytes : 0;
    job.overhead[PM_OVERHEAD_ALIGNMENT] = job.walk.start - behind;
    claim(ptmalloc, (PmRange){heap, heap + size});
    g_array_append_val(heaps->jobs, job);
}

/* The heaps of a thread arena, from the newest (which holds top) back to the first. */
static void
add_thread_heaps(HeapWalk *heaps, PmArenaBuild *build)
{
    PmPtmalloc *ptmalloc = heaps->ptmalloc;
    const PmAddr own = build->arena.address - ptmalloc->layout->heap_info_bytes;
    PmAddr heap = pm_align_down(build->arena.top, ptmalloc->heap_max_bytes);
    gboolean own_seen = FALSE;

    for (guint i = 0; i < HEAPS_MAX && heap != 0; i++) {
        PmAddr previous = 0;
        guint64 size = 0;
        if (!read_heap_info(ptmalloc, build, heap, &previous, &size)) {
            pm_ptmalloc_violation(ptmalloc, build, "heap-info", heap,
                                  "no heap of this arena begins here, though its list of heaps "
                                  "says so (or it is not in the core)");
            break;
        }
        if (pm_ptmalloc_find_claimed(ptmalloc, heap) != NULL)
            break; /* a cycle */
        add_thread_heap(heaps, build, heap, size);
        own_seen = own_seen || heap == own;
        heap = previous;
    }
    PmAddr previous = 0;
    guint64 size = 0;
    if (!own_seen && read_heap_info(ptmalloc, build, own, &previous, &size))
        add_thread_heap(heaps, build, own, size);
}

/* Heaps that an arena owns but its list does not reach, because a link of it is damaged or lost. */
static void
add_unlinked_heaps(HeapWalk *heaps)
{
    PmPtmalloc *ptmalloc = heaps->ptmalloc;
    for (guint i = 0; i < ptmalloc->runs->len; i++) {
        const PmRange run = g_array_index(ptmalloc->runs, PmRange, i);
        for (PmAddr at = pm_align_up(run.start, ptmalloc->heap_max_bytes);
             at < run.end && at >= run.start; at += ptmalloc->heap_max_bytes) {
            guint64 owner = 0, size = 0;
            PmAddr previous = 0;
            PmSpan span;
            /* A hostile p_memsz has room for 2^38 heaps: go on where there are bytes again. */
            pm_space_get_span(ptmalloc->space, at, &span);
            if (span.kind != PM_BYTES_DUMPED) {
                at = pm_align_down(at + (span.length_bytes - 1), ptmalloc->heap_max_bytes);
                continue;
            }
            if (pm_ptmalloc_find_claimed(ptmalloc, at) != NULL || !pm_read(ptmalloc, at, &owner))
                continue;
            for (guint j = 0; j < ptmalloc->arenas->len; j++) {
                PmArenaBuild *build = pm_ptmalloc_get_build(ptmalloc, j);
                if (build->arena.address != owner || build->arena.kind != PM_ARENA_THREAD ||
                    !read_heap_info(ptmalloc, build, at, &previous, &size))
                    continue;
                pm_ptmalloc_violation(ptmalloc, build, "heap-unlinked", at,
                                      "a heap that its arena's list of heaps does not reach");
                add_thread_heap(heaps, build, at, size);
            }
        }
    }
}

/* The brk heap of a main arena: where it begins, and where it must end. FALSE where it has none or
 * it cannot be told. */
static gboolean
find_brk_heap(const PmPtmalloc *ptmalloc, const PmArenaBuild *build, PmRange *ret_heap)
{
    const PmArena *arena = &build->arena;
    guint64 sbrk_base = 0, head = 0;
    const gboolean known = arena->address == ptmalloc->glibc.main_arena && ptmalloc->par != NULL &&
                           pm_ptmalloc_read_par(ptmalloc, ptmalloc->par->sbrk_base,
                                                ptmalloc->word_bytes, &sbrk_base) &&
                           sbrk_base != 0;

    if (!known) {
        /* A contiguous arena ends with its top. */
        if (!arena->contiguous || !pm_read(ptmalloc, arena->top + ptmalloc->word_bytes, &head))
            return FALSE;
        sbrk_base = arena->top + (head & ~(guint64)7) - arena->system_bytes;
    }
    /* The program may have taken permissions from pages in the middle of the heap. */
    const PmRange *stretch = pm_ptmalloc_find_stretch(ptmalloc, sbrk_base);
    if (stretch == NULL)
        return FALSE;
    PmRange whole = {sbrk_base, sbrk_base};
    ret_heap->start = sbrk_base;
    ret_heap->end = stretch->end;
    if (arena->contiguous && pm_addr_add(sbrk_base, arena->system_bytes, &whole.end) &&
        (whole.end <= stretch->end || pm_ptmalloc_is_memory(ptmalloc, whole)))
        ret_heap->end = whole.end;
    return TRUE;
}

static void
add_brk_heap(HeapWalk *heaps, PmArenaBuild *build)
{
    PmPtmalloc *ptmalloc = heaps->ptmalloc;
    PmRange heap;
    if (!find_brk_heap(ptmalloc, build, &heap))
        return;
    HeapJob job = {
        .walk = {.ptmalloc = ptmalloc,
                 .build = build,
                 .kind = PM_WALK_MAIN,
                 .start = first_chunk(ptmalloc, heap.start),
                 .limit = heap.end,
                 .top = build->arena.top,
                 .resume = TRUE},
        .start = heap.start,
    };
    /* While it is contiguous, system_mem ends with top. */
    job.walk.exact_limit =
        build->arena.contiguous && pm_range_bytes(heap) == build->arena.system_bytes;
    if (job.walk.start >= job.walk.limit)
        return;
    job.overhead[PM_OVERHEAD_ALIGNMENT] = job.walk.start - heap.start;
    claim(ptmalloc, heap);
    g_array_append_val(heaps->jobs, job);
}

static guint64
sum_heaps(const PmArenaBuild *build)
{
    guint64 sum = 0;
    for (guint i = 0; i < build->heaps->len; i++) {
        const PmArenaHeap *heap = &g_array_index(build->heaps, PmArenaHeap, i);
        sum += heap->used_bytes + heap->free_bytes + heap->overhead_bytes;
    }
    return sum;
}

/*
 * The mmapped segments of a non-contiguous main arena stand in no list: they begin at a page with a
 * head whose only flag is PREV_INUSE, and their chain of chunks ends at top or at a double
 * fencepost. system_mem says when all are found.
 */
static gboolean
walk_segments(HeapWalk *heaps, PmArenaBuild *build, PmRange free, PmWalkCounts *counts)
{
    PmPtmalloc *ptmalloc = heaps->ptmalloc;
    PmAddr at = pm_align_up(free.start, PAGE);
    while (at < free.end && sum_heaps(build) < build->arena.system_bytes) {
        HeapJob job = {
            .walk = {.ptmalloc = ptmalloc,
                     .build = build,
                     .kind = PM_WALK_MAIN,
                     .limit = free.end,
                     .top = build->arena.top},
        };
        /* Where headers are shorter than the alignment, the first one is behind the page's start.
         */
        const PmAddr first = first_chunk(ptmalloc, at);
        const PmChainSearch search = {.from = first, .to = free.end, .step = PAGE, .first = TRUE};
        job.walk.start = pm_walk_find_chain(&job.walk, &search);
        if (job.walk.start == PM_ADDR_NONE)
            return TRUE;
        PmAddr end = 0;
        job.start = pm_align_down(job.walk.start, PAGE);
        job.overhead[PM_OVERHEAD_ALIGNMENT] = job.walk.start - job.start;
        if (!run_heap(heaps, &job, counts, &end))
            return FALSE;
        claim(ptmalloc, (PmRange){job.start, end});
        at = pm_align_up(end, PAGE);
    }
    return TRUE;
}

/* The parts of @run that no heap has claimed. */
static GArray *
find_unclaimed(const PmPtmalloc *ptmalloc, PmRange run)
{
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(PmRange));
    PmAddr at = run.start;
    for (guint i = 0; i <= ptmalloc->claimed->len; i++) {
        PmRange claimed = {run.end, run.end};
        if (i < ptmalloc->claimed->len)
            claimed = g_array_index(ptmalloc->claimed, PmRange, i);
        const PmRange unclaimed = {at, MIN(claimed.start, run.end)};
        if (unclaimed.start < unclaimed.end)
            g_array_append_val(ranges, unclaimed);
        at = MAX(at, claimed.end);
    }
    return ranges;
}

static void
walk_missing_segments(HeapWalk *heaps)
{
    PmPtmalloc *ptmalloc = heaps->ptmalloc;
    PmWalkCounts counts;
    gboolean going = TRUE;

    pm_walk_counts_init(&counts, ptmalloc->word_bytes == 8 ? 4 : 3);
    for (guint i = 0; i < ptmalloc->arenas->len && going; i++) {
        PmArenaBuild *build = pm_ptmalloc_get_build(ptmalloc, i);
        if (build->arena.kind != PM_ARENA_MAIN || sum_heaps(build) >= build->arena.system_bytes)
            continue;
        for (guint j = 0; j < ptmalloc->runs->len && going; j++) {
            g_autoptr(GArray) unclaimed =
                find_unclaimed(ptmalloc, g_array_index(ptmalloc->runs, PmRange, j));
            for (guint k = 0; k < unclaimed->len && going; k++)
                going = walk_segments(heaps, build, g_array_index(unclaimed, PmRange, k), &counts);
        }
    }
    pm_walk_counts_clear(&counts);
}

gboolean
pm_ptmalloc_walk_heaps(PmPtmalloc *ptmalloc, GError **error)
{
    g_autoptr(GArray) jobs = g_array_new(FALSE, FALSE, sizeof(HeapJob));
    HeapWalk heaps = {.ptmalloc = ptmalloc, .jobs = jobs};

    g_mutex_init(&heaps.lock);
    make_runs(ptmalloc);
    for (guint i = 0; i < ptmalloc->arenas->len; i++) {
        PmArenaBuild *build = pm_ptmalloc_get_build(ptmalloc, i);
        if (build->arena.kind == PM_ARENA_THREAD)
            add_thread_heaps(&heaps, build);
        else
            add_brk_heap(&heaps, build);
    }
    add_unlinked_heaps(&heaps);
    pm_jobs_run(ptmalloc->jobs, jobs->len, run_jobs, &heaps);
    if (heaps.error == NULL)
        walk_missing_segments(&heaps);
    g_mutex_clear(&heaps.lock);
    if (heaps.error != NULL) {
        g_propagate_error(error, heaps.error);
        return FALSE;
    }
    return TRUE;
}
