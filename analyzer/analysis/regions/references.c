/*
 * Which stacks that are known by their shape something will go on with: a suspended coroutine's is
 * pointed into, by what will resume it, at a frame. One pass over the memory that the program keeps
 * its data in, by many threads.
 */
#include "analysis/regions/regions-private.h"

#include "base/jobs.h"

#include <elf.h>

/* A job's share of one region, and what is copied at a time. */
#define RUN_BYTES  (G_GUINT64_CONSTANT(4) << 20)
#define READ_BYTES (G_GUINT64_CONSTANT(128) << 10)

/* Around a stack pointer that was saved a return address stands: above it, behind what a switch of
 * contexts saves, or right below, where that keeps the address elsewhere (swapcontext). */
#define FRAME_WORDS       24
#define FRAME_WORDS_BELOW 2

/* @index: of the region. */
typedef struct {
    PmRange range;
    guint index;
} Target;

/*
 * @targets: Target, ascending. @held: a byte for each, set by any job. @runs: PmRange of what is
 * read. @shape: what a return address is.
 */
typedef struct {
    const PmSubject *subject;
    const PmSpace *space;
    const PmStackShape *shape;
    guint word_bytes;
    GArray *targets;
    guint8 *held;
    GArray *runs;
} Scan;

/* Whether a return address stands right above or below @address. */
static gboolean
is_frame(const Scan *scan, PmAddr address)
{
    const PmAddr lowest = address - (guint64)FRAME_WORDS_BELOW * scan->word_bytes;
    for (guint i = 0; i < FRAME_WORDS; i++) {
        guint64 value = 0;
        if (!pm_space_read_word(scan->space, lowest + (guint64)i * scan->word_bytes, &value))
            return FALSE;
        if (value != 0 && pm_stack_shape_is_return(scan->shape, value))
            return TRUE;
    }
    return FALSE;
}

/* Whether the word at @address is none that was freed. */
static gboolean
is_in_use(const Scan *scan, PmAddr address)
{
    PmChunk chunk;
    return scan->subject->ptmalloc == NULL ||
           !pm_heap_find_chunk(pm_ptmalloc_get_heap(scan->subject->ptmalloc), address, &chunk,
                               NULL) ||
           !pm_chunk_state_is_free(chunk.state);
}

/* @address: where @value stands. */
static void
note_word(const Scan *scan, PmAddr address, guint64 value)
{
    const Target *targets = (const Target *)(gconstpointer)scan->targets->data;
    gsize low = 0, high = scan->targets->len;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (targets[middle].range.end > value)
            high = middle;
        else
            low = middle + 1;
    }
    if (low < scan->targets->len && targets[low].range.start <= value &&
        __atomic_load_n(&scan->held[low], __ATOMIC_RELAXED) == 0 && is_frame(scan, value) &&
        is_in_use(scan, address))
        __atomic_store_n(&scan->held[low], 1, __ATOMIC_RELAXED);
}

static void
scan_bytes(const Scan *scan, PmAddr address, const guint8 *bytes, gsize count)
{
    const guint word = scan->word_bytes;
    const PmAddr lowest = g_array_index(scan->targets, Target, 0).range.start;
    const PmAddr highest = g_array_index(scan->targets, Target, scan->targets->len - 1).range.end;
    for (gsize at = 0; at + word <= count; at += word) {
        const guint64 value = pm_load_word(bytes + at, word);
        if (value - lowest < highest - lowest)
            note_word(scan, address + at, value);
    }
}

static void
scan_run(const Scan *scan, PmRange run, guint8 *buffer)
{
    for (PmAddr at = run.start; at < run.end;) {
        PmSpan span;
        pm_space_get_span(scan->space, at, &span);
        guint64 length = MIN(span.length_bytes, run.end - at);
        if (span.kind == PM_BYTES_DUMPED && span.bytes != NULL) {
            length = MIN(length, READ_BYTES);
            scan_bytes(scan, at, buffer,
                       pm_image_copy(scan->subject->image, span.bytes, buffer, length));
        }
        at += length;
    }
}

static void
scan_runs(PmJobs *jobs, gpointer data)
{
    const Scan *scan = data;
    g_autofree guint8 *buffer = g_malloc0(READ_BYTES);
    guint64 index = 0;
    while (pm_jobs_next(jobs, &index))
        scan_run(scan, g_array_index(scan->runs, PmRange, index), buffer);
}

/* Whether the program keeps data there; of ended threads nobody does. */
static gboolean
is_source(const PmRegion *region)
{
    switch (region->kind) {
    case PM_REGION_STACK_CACHED:
    case PM_REGION_STACK_UNJOINED:
    case PM_REGION_STACK_ORPHAN:
    case PM_REGION_GUARD:
    case PM_REGION_VDSO:
        return FALSE;
    default:
        return (region->flags & PF_W) != 0;
    }
}

static gint
compare_addresses(gconstpointer a, gconstpointer b)
{
    const PmAddr left = *(const PmAddr *)a;
    const PmAddr right = *(const PmAddr *)b;
    return (left > right) - (left < right);
}

/* The threads' stack pointers, ascending. (transfer full) */
static GArray *
list_stack_pointers(const PmProcess *process)
{
    GArray *pointers = g_array_new(FALSE, FALSE, sizeof(PmAddr));
    gsize count = 0;
    const PmThread *threads = pm_process_get_threads(process, &count);
    for (gsize i = 0; i < count; i++)
        g_array_append_val(pointers, threads[i].sp);
    g_array_sort(pointers, compare_addresses);
    return pointers;
}

/* The first of @pointers in @range, or its start where none lies in it. */
static PmAddr
find_stack_pointer(const GArray *pointers, PmRange range)
{
    guint low = 0, high = pointers->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(pointers, PmAddr, middle) >= range.start)
            high = middle;
        else
            low = middle + 1;
    }
    const PmAddr found = low < pointers->len ? g_array_index(pointers, PmAddr, low) : range.end;
    return found < range.end ? found : range.start;
}

/* Lists what is read of @region: of a live stack nothing below its stack pointer. */
static void
add_runs(const Scan *scan, const PmRegion *region, const GArray *pointers)
{
    PmAddr at = region->range.start;
    if (pm_region_kind_is_stack(region->kind))
        at = pm_align_down(find_stack_pointer(pointers, region->range), scan->word_bytes);
    while (at < region->range.end) {
        const PmRange run = {at, at + MIN(region->range.end - at, RUN_BYTES)};
        g_array_append_val(scan->runs, run);
        at = run.end;
    }
}

static void
release_held(const Scan *scan, GArray *regions)
{
    for (guint i = 0; i < scan->targets->len; i++)
        if (scan->held[i] != 0)
            g_array_index(regions, PmRegion, g_array_index(scan->targets, Target, i).index).kind =
                PM_REGION_ANONYMOUS;
}

void
pm_regions_release_held(const PmSubject *subject, GArray *regions, guint jobs)
{
    g_autoptr(GArray) targets = g_array_new(FALSE, FALSE, sizeof(Target));
    g_autoptr(GArray) runs = g_array_new(FALSE, FALSE, sizeof(PmRange));
    for (guint i = 0; i < regions->len; i++) {
        const PmRegion *region = &g_array_index(regions, PmRegion, i);
        const Target target = {region->range, i};
        if (region->kind == PM_REGION_STACK_ORPHAN && region->proof == PM_STACK_BY_SHAPE)
            g_array_append_val(targets, target);
    }
    if (targets->len == 0)
        return;
    g_autoptr(PmStackShape) shape = pm_stack_shape_new(subject);
    g_autofree guint8 *held = g_malloc0(targets->len);
    Scan scan = {
        .subject = subject,
        .space = pm_process_get_space(subject->process),
        .shape = shape,
        .word_bytes = pm_image_get_target(subject->image)->word_bytes,
        .targets = targets,
        .held = held,
        .runs = runs,
    };
    g_autoptr(GArray) pointers = list_stack_pointers(subject->process);
    for (guint i = 0; i < regions->len; i++)
        if (is_source(&g_array_index(regions, PmRegion, i)))
            add_runs(&scan, &g_array_index(regions, PmRegion, i), pointers);
    pm_jobs_run(jobs, runs->len, scan_runs, &scan);
    release_held(&scan, regions);
}
