/*
 * Lost chunks: which of them others refer to, what hangs on them, and the counts of everything. One
 * pass over the heap in address order, through small buffers; where no lost chunk refers to
 * another, which is the common case, that is all.
 */
#include <string.h>

#include "analysis/reach/lostwalk.h"
#include "analysis/reach/tally.h"
#include "base/jobs.h"

#define WINDOW_BYTES 131072
/* Words of a plane in one job: 16 MiB of heap. */
#define JOB_WORDS 16384

typedef struct {
    guint32 region;
    guint64 first_word;
    guint64 end_word;
} SweepJob;

typedef struct {
    PmReach *reach;
    GArray *jobs; /* SweepJob */
    GMutex lock;
    PmTally *total;
} Sweep;

typedef struct {
    PmReach *reach;
    PmResolverFilter filter;
    PmReader reader;
    guint8 *window;
    PmAddr window_start;
    guint64 window_bytes;
    PmSlot self;
    gboolean edges;
    PmTally *tally;
} Worker;

/* A word of a lost chunk that may point into a heap. */
static void
visit_word(gpointer data, G_GNUC_UNUSED PmAddr at, guint64 value)
{
    Worker *worker = data;
    PmHit hit;
    if (!pm_resolver_find(worker->reach->resolver, value, &hit) || hit.slot == worker->self ||
        pm_plane_get(worker->reach->visited, hit.slot))
        return;
    pm_plane_set(worker->reach->flags, hit.slot);
    pm_plane_set(worker->reach->flags, worker->self + 1);
    worker->edges = TRUE;
}

/* Moves the window so that it begins at @user. */
static void
move_window(Worker *worker, PmAddr user)
{
    PmSpan span;
    worker->window_start = user;
    worker->window_bytes = 0;
    pm_space_get_span(worker->reach->space, user, &span);
    if (span.kind == PM_BYTES_DUMPED && span.bytes != NULL)
        worker->window_bytes = pm_image_copy(worker->reach->subject->image, span.bytes,
                                             worker->window, MIN(span.length_bytes, WINDOW_BYTES));
}

static void
scan_lost(Worker *worker, PmSlot slot, const PmSlotChunk *chunk)
{
    worker->self = slot;
    guint64 offset = chunk->user - worker->window_start;
    if (offset >= worker->window_bytes || worker->window_bytes - offset < chunk->usable_bytes) {
        if (chunk->usable_bytes < WINDOW_BYTES / 2)
            move_window(worker, chunk->user);
        offset = 0;
    }
    if (chunk->user >= worker->window_start &&
        chunk->user - worker->window_start < worker->window_bytes &&
        worker->window_bytes - (chunk->user - worker->window_start) >= chunk->usable_bytes)
        pm_reach_scan_bytes(worker->reach, &worker->filter,
                            worker->window + (chunk->user - worker->window_start),
                            chunk->usable_bytes, chunk->user, visit_word, worker);
    else
        pm_reach_scan_range(worker->reach, &worker->filter, &worker->reader,
                            pm_slot_chunk_range(chunk), visit_word, worker);
}

static PmReachClass
get_visited_class(const PmReach *reach, PmSlot slot)
{
    if (!pm_plane_get(reach->flags, slot + 1))
        return PM_REACH_REACHABLE;
    return pm_plane_get(reach->grey, slot + 1) ? PM_REACH_WEAK : PM_REACH_INTERIOR;
}

PmReachClass
pm_reach_get_slot_class(const PmReach *reach, PmSlot slot)
{
    if (pm_plane_get(reach->visited, slot))
        return get_visited_class(reach, slot);
    if (!pm_plane_get(reach->flags, slot))
        return PM_REACH_LEAK_ROOT;
    return pm_plane_get(reach->grey, slot) ? PM_REACH_LEAK_INDIRECT : PM_REACH_LEAK_CYCLE;
}

/* The chunk at bit @bit of a word of starts. */
static void
get_chunk(const PmReach *reach, guint32 region, PmSlot slot, guint64 starts_behind,
          PmSlotChunk *ret_chunk)
{
    pm_resolver_get_chunk_until(
        reach->resolver, slot, region,
        starts_behind != 0 ? slot + 1 + (guint64)__builtin_ctzll(starts_behind) : PM_SLOT_NONE,
        ret_chunk);
}

static void
sweep_word(Worker *worker, const SweepJob *job, guint64 index)
{
    const PmReach *reach = worker->reach;
    guint64 words = 0;
    const PmSlot first = pm_resolver_get_sweep(reach->resolver, job->region, &words) + index * 64;
    const guint64 used = pm_resolver_get_used_starts(reach->resolver, job->region, index);
    const guint64 starts = used | pm_resolver_get_free_starts(reach->resolver, job->region, index);
    const guint64 visited = __atomic_load_n(&reach->visited[first / 64], __ATOMIC_RELAXED);

    for (guint64 bits = used; bits != 0; bits &= bits - 1) {
        const guint bit = (guint)__builtin_ctzll(bits);
        const PmSlot slot = first + bit;
        PmSlotChunk chunk;
        get_chunk(reach, job->region, slot, bit < 63 ? starts >> (bit + 1) : 0, &chunk);
        if ((visited >> bit) & 1) {
            pm_tally_add_reached(worker->tally, get_visited_class(reach, slot),
                                 pm_plane_get(reach->visited, slot + 1), chunk.chunk_bytes);
            continue;
        }
        pm_tally_add_lost(worker->tally, chunk.chunk_bytes, chunk.user);
        scan_lost(worker, slot, &chunk);
    }
}

static void
run_sweep(PmJobs *jobs, gpointer data)
{
    Sweep *sweep = data;
    guint64 index = 0;
    Worker worker = {
        .reach = sweep->reach,
        .filter = pm_resolver_get_filter(sweep->reach->resolver),
        .reader = {.space = sweep->reach->space},
        .window = g_malloc(WINDOW_BYTES),
        .tally = pm_tally_new(),
    };
    while (pm_jobs_next(jobs, &index)) {
        const SweepJob *job = &g_array_index(sweep->jobs, SweepJob, index);
        for (guint64 word = job->first_word; word < job->end_word; word++)
            sweep_word(&worker, job, word);
    }
    g_mutex_lock(&sweep->lock);
    pm_tally_merge(sweep->total, worker.tally);
    sweep->reach->lost_edges = sweep->reach->lost_edges || worker.edges;
    g_mutex_unlock(&sweep->lock);
    pm_tally_free(worker.tally);
    g_free(worker.window);
}

static void
sweep_heap(PmReach *reach, PmTally *total)
{
    g_autoptr(GArray) jobs = g_array_new(FALSE, FALSE, sizeof(SweepJob));
    Sweep sweep = {.reach = reach, .jobs = jobs, .total = total};
    g_mutex_init(&sweep.lock);
    for (guint32 region = 0; region < reach->region_count; region++) {
        guint64 words = 0;
        pm_resolver_get_sweep(reach->resolver, region, &words);
        for (guint64 word = 0; word < words; word += JOB_WORDS) {
            const SweepJob job = {region, word, MIN(words, word + JOB_WORDS)};
            g_array_append_val(jobs, job);
        }
    }
    pm_jobs_run(reach->jobs, jobs->len, run_sweep, &sweep);
    g_mutex_clear(&sweep.lock);
}

/* ---- what hangs on leak roots ---- */

static gboolean
hang(gpointer data, G_GNUC_UNUSED PmSlot from, PmSlot to)
{
    PmReach *reach = data;
    return !pm_plane_set(reach->grey, to);
}

/* Walks from every lost chunk that nothing lost refers to. */
static void
mark_hanging(PmReach *reach)
{
    g_autoptr(PmLostWalk) walk = pm_lost_walk_new(reach, hang, reach);
    PmLostIter iter;
    PmSlot slot = 0;
    pm_lost_iter_init(&iter, reach);
    while (pm_lost_iter_next(&iter, &slot))
        if (!pm_plane_get(reach->flags, slot) && pm_plane_get(reach->flags, slot + 1))
            pm_lost_walk_from(walk, slot);
    pm_lost_walk_finish(walk);
}

/* ---- counts ---- */

/* glibc's own chunks were counted with the others: they have no class. */
static void
uncount_runtime(PmReach *reach, PmTally *tally)
{
    gsize count = 0;
    const PmRuntimeChunk *chunks = pm_ptmalloc_get_runtime_chunks(reach->subject->ptmalloc, &count);
    for (gsize i = 0; i < count; i++) {
        PmHit hit;
        PmSlotChunk chunk;
        if (!pm_resolver_find(reach->resolver, chunks[i].address, &hit) || !hit.is_start)
            continue;
        pm_resolver_get_chunk(reach->resolver, hit.slot, hit.region, &chunk);
        pm_tally_remove_reached(tally, get_visited_class(reach, hit.slot),
                                pm_plane_get(reach->visited, hit.slot + 1), chunk.chunk_bytes);
    }
}

void
pm_reach_classify_lost(PmReach *reach)
{
    g_autoptr(PmTally) tally = pm_tally_new();
    sweep_heap(reach, tally);
    uncount_runtime(reach, tally);
    pm_tally_get_result(tally, &reach->result, reach->sizes, reach->groups);
    if (!reach->lost_edges)
        return;
    mark_hanging(reach);
    g_autoptr(PmCycles) cycles = pm_cycles_new(reach);
    pm_reach_group(reach, cycles);
}
