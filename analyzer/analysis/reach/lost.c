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
    guint64 run_chunk_bytes; /* lost chunks of one size in a row, not counted yet */
    guint64 run_chunks;
    PmAddr run_example;
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

/* Whether the window holds [@user, @user + @bytes). */
static inline gboolean
is_in_window(const Worker *worker, PmAddr user, guint64 bytes)
{
    return user >= worker->window_start && bytes <= worker->window_bytes &&
           user - worker->window_start <= worker->window_bytes - bytes;
}

static void
scan_lost(Worker *worker, PmSlot slot, PmRange user)
{
    const guint64 bytes = pm_range_bytes(user);
    worker->self = slot;
    if (G_UNLIKELY(!is_in_window(worker, user.start, bytes)) && bytes < WINDOW_BYTES / 2)
        move_window(worker, user.start);
    if (G_LIKELY(is_in_window(worker, user.start, bytes))) {
        const PmRun run = {worker->window + (user.start - worker->window_start), bytes, user.start};
        pm_reach_scan_bytes(worker->reach, &worker->filter, &run, visit_word, worker);
        return;
    }
    pm_reach_scan_range(worker->reach, &worker->filter, &worker->reader, user, visit_word, worker);
}

static void
flush_run(Worker *worker)
{
    if (worker->run_chunks > 0)
        pm_tally_add_lost(worker->tally, worker->run_chunk_bytes, worker->run_chunks,
                          worker->run_example);
    worker->run_chunks = 0;
}

static inline void
count_lost(Worker *worker, guint64 chunk_bytes, PmAddr user, guint64 chunks)
{
    if (G_UNLIKELY(chunk_bytes != worker->run_chunk_bytes || worker->run_chunks == 0)) {
        flush_run(worker);
        worker->run_chunk_bytes = chunk_bytes;
        worker->run_example = user;
    }
    worker->run_chunks += chunks;
}

/*
 * Whether no word of [@start, @start + @bytes) can point into a heap, headers of chunks among them.
 * FALSE is no certainty.
 */
static gboolean
is_quiet(Worker *worker, PmAddr start, guint64 bytes)
{
    const guint64 word_bytes = worker->reach->word_bytes;
    const guint64 group_bytes = PM_REACH_GROUP * word_bytes;
    if (!is_in_window(worker, start, bytes))
        move_window(worker, start);
    if (!is_in_window(worker, start, bytes))
        return FALSE;
    const guint8 *at = worker->window + (start - worker->window_start);
    const guint8 *end = at + bytes;
    for (; (guint64)(end - at) >= group_bytes; at += group_bytes)
        if (!pm_reach_is_small(at, PM_REACH_GROUP, word_bytes, worker->filter.low))
            return FALSE;
    return pm_reach_is_small(at, (guint64)(end - at) / word_bytes, word_bytes, worker->filter.low);
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

/* The second bits of the chunks that start in a word of @plane, where their first ones would be. */
static inline guint64
get_second_bits(const guint64 *plane, guint64 index)
{
    return plane[index] >> 1 | plane[index + 1] << 63;
}

guint64
pm_reach_match(const PmReach *reach, guint32 region, guint64 word, guint64 starts, guint classes)
{
    guint64 words = 0;
    const guint64 index = pm_resolver_get_sweep(reach->resolver, region, &words) / 64 + word;
    const guint64 visited = reach->visited[index];
    const guint64 entered = reach->flags[index];
    const guint64 hanging = reach->grey[index];
    const guint64 interior = get_second_bits(reach->flags, index);
    const guint64 weak = get_second_bits(reach->grey, index);
    const guint64 masks[PM_REACH_CLASSES] = {
        [PM_REACH_REACHABLE] = visited & ~interior,
        [PM_REACH_INTERIOR] = visited & interior & ~weak,
        [PM_REACH_WEAK] = visited & interior & weak,
        [PM_REACH_LEAK_ROOT] = ~visited & ~entered,
        [PM_REACH_LEAK_CYCLE] = ~visited & entered & ~hanging,
        [PM_REACH_LEAK_INDIRECT] = ~visited & entered & hanging,
    };
    guint64 matched = 0;
    for (guint i = 0; i < PM_REACH_CLASSES; i++)
        if ((classes >> i & 1) != 0)
            matched |= masks[i];
    return starts & matched;
}

/* What a job needs to know of its region. */
typedef struct {
    guint32 region;
    PmSlot first_slot;
    PmAddr first_user;
    guint64 slot_bytes;
} SweepRegion;

/*
 * How many slots each chunk of a word of starts takes, where they are all alike; 0 where they are
 * not.
 *
 * @next: the word behind it, where the last of them ends.
 */
static guint
get_stride(guint64 starts, guint64 next)
{
    /* Every second, fourth … slot. */
    static const guint64 patterns[] = {0x5555555555555555, 0x1111111111111111, 0x0101010101010101,
                                       0x0001000100010001, 0x0000000100000001};
    const guint phase = (guint)__builtin_ctzll(starts);
    if (next == 0 || (guint)__builtin_ctzll(next) != phase)
        return 0;
    for (guint i = 0; i < G_N_ELEMENTS(patterns); i++)
        if (phase < 2u << i && starts == patterns[i] << phase)
            return 2u << i;
    return 0;
}

/* One chunk of a sweep, which starts at bit @bit of a word of @starts. */
static PmSlotChunk
get_swept_chunk(const PmReach *reach, const SweepRegion *region, guint64 index, guint bit,
                guint64 starts)
{
    PmSlotChunk chunk;
    /* Most chunks end in the same word of the plane. */
    const guint64 behind = bit < 63 ? starts >> (bit + 1) : 0;
    if (G_LIKELY(behind != 0)) {
        chunk.user = region->first_user + (index * 64 + bit) * region->slot_bytes;
        chunk.chunk_bytes = ((guint64)__builtin_ctzll(behind) + 1) * region->slot_bytes;
        chunk.usable_bytes = chunk.chunk_bytes - reach->word_bytes;
    } else {
        pm_resolver_get_chunk(reach->resolver, region->first_slot + index * 64 + bit,
                              region->region, &chunk);
    }
    return chunk;
}

static void
sweep_word(Worker *worker, const SweepRegion *region, guint64 index)
{
    const PmReach *reach = worker->reach;
    const PmSlot first = region->first_slot + index * 64;
    const guint64 used = pm_resolver_get_used_starts(reach->resolver, region->region, index);
    const guint64 starts =
        used | pm_resolver_get_free_starts(reach->resolver, region->region, index);
    const guint64 visited = __atomic_load_n(&reach->visited[first / 64], __ATOMIC_RELAXED);
    const guint64 lost = used & ~visited;
    if (used == 0)
        return;

    /* The memory of the word's slots, and as much behind it as lies before the first chunk: where
     * all are alike, that is how far the last one reaches, and its last word one further. */
    const guint64 phase_bytes = (guint64)__builtin_ctzll(starts) * region->slot_bytes;
    const guint64 block_bytes = 64 * region->slot_bytes + phase_bytes;
    const PmAddr block =
        region->first_user - 2 * (guint64)reach->word_bytes + index * 64 * region->slot_bytes;
    const gboolean quiet = lost != 0 && is_quiet(worker, block, block_bytes + reach->word_bytes);
    if (quiet && lost == starts) {
        const guint stride =
            get_stride(starts, pm_resolver_get_starts(reach->resolver, region->region, index + 1));
        if (stride != 0) {
            count_lost(worker, stride * region->slot_bytes,
                       block + phase_bytes + 2 * (guint64)reach->word_bytes, 64 / stride);
            return;
        }
    }
    for (guint64 bits = used; bits != 0; bits &= bits - 1) {
        const guint bit = (guint)__builtin_ctzll(bits);
        const PmSlot slot = first + bit;
        const PmSlotChunk chunk = get_swept_chunk(reach, region, index, bit, starts);
        if (((lost >> bit) & 1) == 0) {
            pm_tally_add_reached(worker->tally, get_visited_class(reach, slot),
                                 pm_plane_get(reach->visited, slot + 1), chunk.chunk_bytes);
            continue;
        }
        count_lost(worker, chunk.chunk_bytes, chunk.user, 1);
        if (!quiet || chunk.user + chunk.usable_bytes > block + block_bytes + reach->word_bytes)
            scan_lost(worker, slot, pm_slot_chunk_range(&chunk));
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
        guint64 words = 0;
        SweepRegion region = {.region = job->region};
        region.first_slot = pm_resolver_get_sweep(sweep->reach->resolver, job->region, &words);
        region.first_user =
            pm_resolver_get_first_user(sweep->reach->resolver, job->region, &region.slot_bytes);
        for (guint64 word = job->first_word; word < job->end_word; word++)
            sweep_word(&worker, &region, word);
    }
    flush_run(&worker);
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
    reach->cycles = pm_cycles_new(reach);
    pm_reach_group(reach, reach->cycles);
}
