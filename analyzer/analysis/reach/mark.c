/*
 * The closures from the roots: start edges first, then interior ones, first without the stacks and
 * then with them, and last the weak roots. Workers share what is to be scanned through a pool of
 * blocks; each has a bounded stack of its own, and where all is full a bit in the grey plane stands
 * for what is left.
 */
#include "analysis/reach/reach-private.h"
#include "base/jobs.h"

/* Entries of a worker's stack, and of the blocks that go to the pool when it is full or others have
 * nothing to do. */
#define STACK_MAX   32768
#define BLOCK_MAX   8192
#define SHARE_ABOVE 512
/* Blocks in the pool: 8 MiB. */
#define POOL_MAX 64
/* Values whose chunk was asked for ahead of its turn. */
#define AHEAD 16
/* Roots are handed out in pieces of this size. */
#define PIECE_BYTES ((guint64)1 << 20)

/* What a pass over some roots does. */
typedef struct {
    gboolean stacks;   /* these roots are stacks; else all others */
    gboolean weak;     /* these roots are weak */
    gboolean interior; /* interior edges count as good as start edges */
    gboolean seeds;    /* begin from pending chunks, not from roots */
} Pass;

typedef struct {
    PmSlot slot;
    guint32 region;
} Item;

typedef struct {
    guint count;
    Item items[BLOCK_MAX];
} Block;

/* A part of a root, or of the seeds. */
typedef struct {
    const PmRoot *root;
    PmRange range;
} Piece;

typedef struct {
    PmReach *reach;
    Pass pass;
    PmResolverFilter filter;
    GArray *pieces; /* Piece */
    GMutex lock;
    GCond wake;
    GPtrArray *blocks;
    guint idle;    /* atomic; workers that wait */
    guint workers; /* that have begun */
    guint spilled; /* atomic: the grey plane holds some */
} Marking;

typedef struct {
    Marking *marking;
    PmReach *reach;
    PmReader reader;
    PmReader target_reader; /* for what edges point to */
    Item *stack;
    guint depth;
    guint64 ahead[AHEAD];
    guint ahead_count;
    guint ahead_next;
} Worker;

/* ---- what is to be scanned ---- */

static void
spill(Worker *worker, const Item *items, guint count)
{
    for (guint i = 0; i < count; i++)
        pm_plane_set(worker->reach->grey, items[i].slot);
    __atomic_store_n(&worker->marking->spilled, 1, __ATOMIC_RELAXED);
}

/* Moves the oldest entries of the stack to the pool, or to the grey plane where that is full. */
static void
share(Worker *worker)
{
    Marking *marking = worker->marking;
    const guint count = MIN(worker->depth / 2, BLOCK_MAX);
    Block *block = NULL;

    g_mutex_lock(&marking->lock);
    if (marking->blocks->len < POOL_MAX)
        block = g_try_new(Block, 1);
    if (block != NULL) {
        block->count = count;
        memcpy(block->items, worker->stack, count * sizeof(Item));
        g_ptr_array_add(marking->blocks, block);
        g_cond_signal(&marking->wake);
    }
    g_mutex_unlock(&marking->lock);
    if (block == NULL)
        spill(worker, worker->stack, count);
    worker->depth -= count;
    memmove(worker->stack, worker->stack + count, worker->depth * sizeof(Item));
}

static void
push(Worker *worker, PmSlot slot, guint32 region)
{
    if (worker->depth == STACK_MAX)
        share(worker);
    worker->stack[worker->depth++] = (Item){slot, region};
}

/* ---- edges ---- */

/* Gives a chunk that was reached for the first time its class. */
static void
set_class(Worker *worker, PmSlot slot)
{
    const Pass *pass = &worker->marking->pass;
    if (pass->interior)
        pm_plane_set(worker->reach->flags, slot + 1);
    if (pass->weak)
        pm_plane_set(worker->reach->grey, slot + 1);
    if (pass->stacks)
        pm_plane_set(worker->reach->visited, slot + 1);
}

/* Follows a word that points into a heap. */
static void
follow(Worker *worker, guint64 value)
{
    PmReach *reach = worker->reach;
    const Pass *pass = &worker->marking->pass;
    PmHit hit;

    if (!pm_resolver_find(reach->resolver, value, &hit))
        return;
    const gboolean known = pm_plane_get(reach->visited, hit.slot);
    /* A stack may lead by start edges to what others reach only inside: then it is reachable after
     * all. */
    const gboolean upgrade =
        known && !pass->interior && pass->stacks && pm_plane_get(reach->flags, hit.slot + 1);
    if (known && !upgrade)
        return;
    if (!pass->interior && !hit.is_start &&
        !pm_reach_is_whole(reach, &worker->target_reader, &hit, value)) {
        if (!known)
            pm_plane_set(reach->flags, hit.slot);
        return;
    }
    if (upgrade) {
        if (pm_plane_clear(reach->flags, hit.slot + 1))
            push(worker, hit.slot, hit.region);
        return;
    }
    if (pm_plane_set(reach->visited, hit.slot))
        return;
    set_class(worker, hit.slot);
    push(worker, hit.slot, hit.region);
}

/* Puts off a word until what it leads to has come nearer. */
static void
visit_word(gpointer data, G_GNUC_UNUSED PmAddr at, guint64 value)
{
    Worker *worker = data;
    PmSlot slot = 0;
    guint64 length = 0;

    if (!pm_resolver_prefetch(worker->reach->resolver, value, &slot))
        return;
    __builtin_prefetch(&worker->reach->visited[slot >> 6]);
    const guint8 *bytes = pm_reader_get(&worker->target_reader, value, &length);
    if (bytes != NULL)
        __builtin_prefetch(bytes);
    if (worker->ahead_count < AHEAD) {
        worker->ahead[(worker->ahead_next + worker->ahead_count++) % AHEAD] = value;
        return;
    }
    const guint64 oldest = worker->ahead[worker->ahead_next];
    worker->ahead[worker->ahead_next] = value;
    worker->ahead_next = (worker->ahead_next + 1) % AHEAD;
    follow(worker, oldest);
}

static void
follow_all_ahead(Worker *worker)
{
    while (worker->ahead_count > 0) {
        const guint64 value = worker->ahead[worker->ahead_next];
        worker->ahead_next = (worker->ahead_next + 1) % AHEAD;
        worker->ahead_count--;
        follow(worker, value);
    }
}

static void
scan_item(Worker *worker, Item item)
{
    PmSlotChunk chunk;
    pm_resolver_get_chunk(worker->reach->resolver, item.slot, item.region, &chunk);
    pm_reach_scan_range(worker->reach, &worker->marking->filter, &worker->reader,
                        pm_slot_chunk_range(&chunk), visit_word, worker);
}

/* Scans until nothing is left on this worker's stack. */
static void
drain(Worker *worker)
{
    Marking *marking = worker->marking;
    while (worker->depth > 0 || worker->ahead_count > 0) {
        if (worker->depth == 0) {
            follow_all_ahead(worker);
            continue;
        }
        if (worker->depth > SHARE_ABOVE && __atomic_load_n(&marking->idle, __ATOMIC_RELAXED) > 0)
            share(worker);
        scan_item(worker, worker->stack[--worker->depth]);
    }
}

/* ---- where it begins ---- */

static void
begin_at_roots(Worker *worker, const Piece *piece)
{
    const PmRoot *root = piece->root;
    const PmRun registers = {root->bytes, root->byte_count, 0};
    if (root->kind == PM_ROOT_REGISTERS)
        pm_reach_scan_bytes(worker->reach, &worker->marking->filter, &registers, visit_word,
                            worker);
    else
        pm_reach_scan_range(worker->reach, &worker->marking->filter, &worker->reader, piece->range,
                            visit_word, worker);
    drain(worker);
}

/* Calls @found for every slot of @region whose bit is set in @plane and that passes @mask. */
static void
sweep_grey(Worker *worker)
{
    PmReach *reach = worker->reach;
    for (guint32 region = 0; region < reach->region_count; region++) {
        guint64 words = 0;
        const PmSlot first = pm_resolver_get_sweep(reach->resolver, region, &words);
        for (guint64 i = 0; i < words; i++) {
            guint64 *grey = &reach->grey[first / 64 + i];
            guint64 bits = *grey & pm_resolver_get_used_starts(reach->resolver, region, i);
            for (; bits != 0; bits &= bits - 1) {
                const PmSlot slot = first + i * 64 + (guint64)__builtin_ctzll(bits);
                pm_plane_clear(reach->grey, slot);
                push(worker, slot, region);
                drain(worker);
            }
        }
    }
}

/* Chunks that an interior edge leads to and no start edge. */
static void
begin_at_pending(Worker *worker)
{
    PmReach *reach = worker->reach;
    for (guint32 region = 0; region < reach->region_count; region++) {
        guint64 words = 0;
        const PmSlot first = pm_resolver_get_sweep(reach->resolver, region, &words);
        for (guint64 i = 0; i < words; i++) {
            /* Others mark at the same time. */
            const guint64 *visited = &reach->visited[first / 64 + i];
            const guint64 flags = __atomic_load_n(&reach->flags[first / 64 + i], __ATOMIC_RELAXED);
            if (flags == 0)
                continue;
            guint64 bits = flags & ~__atomic_load_n(visited, __ATOMIC_RELAXED) &
                           pm_resolver_get_used_starts(reach->resolver, region, i);
            for (; bits != 0; bits &= bits - 1) {
                const PmSlot slot = first + i * 64 + (guint64)__builtin_ctzll(bits);
                if (pm_plane_set(reach->visited, slot))
                    continue;
                set_class(worker, slot);
                push(worker, slot, region);
                drain(worker);
            }
        }
    }
}

/* glibc's own chunks hold what they hold for the program. */
static void
begin_at_runtime_chunks(Worker *worker)
{
    gsize count = 0;
    const PmRuntimeChunk *chunks =
        pm_ptmalloc_get_runtime_chunks(worker->reach->subject->ptmalloc, &count);
    for (gsize i = 0; i < count; i++) {
        PmHit hit;
        if (!pm_resolver_find(worker->reach->resolver, chunks[i].address, &hit) || !hit.is_start ||
            pm_plane_set(worker->reach->visited, hit.slot))
            continue;
        if (!pm_reach_is_mute(&chunks[i]))
            push(worker, hit.slot, hit.region);
    }
    drain(worker);
}

/* ---- workers ---- */

/* Takes a block from the pool, waiting until there is one or all wait. FALSE at the end. */
static gboolean
take_block(Worker *worker)
{
    Marking *marking = worker->marking;
    gboolean found = FALSE;

    g_mutex_lock(&marking->lock);
    __atomic_fetch_add(&marking->idle, 1, __ATOMIC_RELAXED);
    while (marking->blocks->len == 0 && marking->idle < marking->workers)
        g_cond_wait(&marking->wake, &marking->lock);
    if (marking->blocks->len > 0) {
        g_autofree Block *block =
            g_ptr_array_remove_index_fast(marking->blocks, marking->blocks->len - 1);
        memcpy(worker->stack, block->items, block->count * sizeof(Item));
        worker->depth = block->count;
        __atomic_fetch_sub(&marking->idle, 1, __ATOMIC_RELAXED);
        found = TRUE;
    } else {
        g_cond_broadcast(&marking->wake);
    }
    g_mutex_unlock(&marking->lock);
    return found;
}

static void
run_worker(PmJobs *jobs, gpointer data)
{
    Marking *marking = data;
    guint64 index = 0;
    Worker worker = {
        .marking = marking,
        .reach = marking->reach,
        .reader = {.space = marking->reach->space},
        .target_reader = {.space = marking->reach->space},
        .stack = g_new(Item, STACK_MAX),
    };

    g_mutex_lock(&marking->lock);
    marking->workers++;
    g_mutex_unlock(&marking->lock);
    while (pm_jobs_next(jobs, &index)) {
        const Piece *piece = &g_array_index(marking->pieces, Piece, index);
        if (piece->root != NULL)
            begin_at_roots(&worker, piece);
        else if (marking->pass.seeds)
            begin_at_pending(&worker);
        else
            begin_at_runtime_chunks(&worker);
    }
    while (take_block(&worker))
        drain(&worker);
    g_free(worker.stack);
}

/* One worker alone scans what found no place on any stack. */
static void
run_spilled(Marking *marking)
{
    Worker worker = {
        .marking = marking,
        .reach = marking->reach,
        .reader = {.space = marking->reach->space},
        .target_reader = {.space = marking->reach->space},
        .stack = g_new(Item, STACK_MAX),
    };
    while (marking->spilled != 0) {
        marking->spilled = 0;
        sweep_grey(&worker);
        while (marking->blocks->len > 0) {
            g_autofree Block *block =
                g_ptr_array_remove_index_fast(marking->blocks, marking->blocks->len - 1);
            memcpy(worker.stack, block->items, block->count * sizeof(Item));
            worker.depth = block->count;
            drain(&worker);
        }
    }
    g_free(worker.stack);
}

static gboolean
belongs_to(const PmRoot *root, const Pass *pass)
{
    const gboolean stack = root->kind == PM_ROOT_STACK || root->kind == PM_ROOT_STACK_UNBOUNDED;
    return root->weak == pass->weak && (pass->weak || stack == pass->stacks);
}

/* Cuts what the core has of a root into pieces; a mapping may reserve terabytes and hold nothing.
 */
static void
add_root(const PmReach *reach, const PmRoot *root, GArray *pieces)
{
    Piece piece = {.root = root, .range = root->range};
    if (root->kind == PM_ROOT_REGISTERS)
        g_array_append_val(pieces, piece);
    while (piece.range.start < root->range.end) {
        PmSpan span;
        pm_space_get_span(reach->space, piece.range.start, &span);
        const guint64 left_bytes = root->range.end - piece.range.start;
        const guint64 bytes = span.bytes != NULL ? PIECE_BYTES : span.length_bytes;
        piece.range.end = piece.range.start + MIN(left_bytes, bytes);
        if (span.bytes != NULL)
            g_array_append_val(pieces, piece);
        piece.range.start = piece.range.end;
    }
}

static void
add_pieces(const PmReach *reach, const Pass *pass, GArray *pieces)
{
    gsize count = 0;
    const PmRoot *roots = pm_roots_get(reach->roots, &count);
    const Piece other = {.root = NULL};

    if (pass->seeds || (!pass->weak && !pass->stacks))
        g_array_append_val(pieces, other);
    for (gsize i = 0; i < count && !pass->seeds; i++)
        if (belongs_to(&roots[i], pass))
            add_root(reach, &roots[i], pieces);
}

static void
run_pass(PmReach *reach, Pass pass)
{
    g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
    Marking marking = {
        .reach = reach,
        .pass = pass,
        .filter = pm_resolver_get_filter(reach->resolver),
        .pieces = pieces,
        .blocks = g_ptr_array_new(),
    };
    g_mutex_init(&marking.lock);
    g_cond_init(&marking.wake);
    add_pieces(reach, &pass, pieces);
    /* One piece may lead to everything: as many workers as there are, whatever the pieces. */
    pm_jobs_run_on(reach->jobs, pieces->len, run_worker, &marking);
    run_spilled(&marking);
    g_ptr_array_unref(marking.blocks);
    g_cond_clear(&marking.wake);
    g_mutex_clear(&marking.lock);
}

void
pm_reach_mark(PmReach *reach)
{
    static const Pass passes[] = {
        {.interior = FALSE},
        {.interior = TRUE, .seeds = TRUE},
        {.stacks = TRUE, .interior = FALSE},
        {.stacks = TRUE, .interior = TRUE, .seeds = TRUE},
        {.weak = TRUE, .interior = TRUE},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(passes); i++)
        run_pass(reach, passes[i]);
}
