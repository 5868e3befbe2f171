/*
 * A multi-threaded mix: every way to allocate, sizes from 1 byte to 1 MiB, blocks that other
 * threads free, and at the end tcache, fastbins, unsorted, small and large bins filled in every
 * arena, with the threads alive.
 *
 * Usage: mix [--threads N] [--steps N] [--exit-some] [OPTIONS OF ledger.h]      (default: 8 threads
 * beside main, 1500 steps)
 *
 * --exit-some: every second thread ends before the bins are filled; its arena goes to glibc's list
 * of free ones, its tcache is flushed, and its stack goes to the stack cache. Each thread's choices
 * follow from --seed alone.
 */
#include "ending.h"
#include "ledger.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MAX_THREADS   64
#define LARGEST_BYTES ((size_t)1 << 20)
#define MAILBOX       256
#define STACK_BYTES   ((size_t)512 * 1024)
#define LARGE_MMAPS   6
#define BINS_REPEATS  24

/* A worker's open blocks, as slots; in .bss, so no pointer is on a stack. */
typedef struct {
    uint64_t random;
    unsigned index;
    LedgerSlot *own;
    size_t own_count;
    pthread_mutex_t mailbox_lock;
    LedgerSlot mailbox[MAILBOX];
    size_t mailbox_count;
} Worker;

static Worker workers[MAX_THREADS + 1];
static unsigned worker_count = 9;
static uint64_t steps = 1500;
static bool exit_some;
static pthread_barrier_t mixed, drained, filled;

static void
own(Worker *worker, void *pointer, size_t size, LedgerKind kind)
{
    ledger_fill(pointer, size, &worker->random, false);
    worker->own[worker->own_count++] = ledger_add(pointer, size, kind);
}

/* Alignments of 2 to 64 Ki, at times above a page; glibc mmaps those blocks like others when they
 * are large. */
static void *
allocate_aligned(Worker *worker, size_t size)
{
    uint64_t number = ledger_random(&worker->random) >> 32;
    size_t alignment = (size_t)16 << number % 13;
    void *pointer = NULL;
    switch (number / 13 % 3) {
    case 0:
        pointer = memalign(alignment, size);
        break;
    case 1:
        pointer = aligned_alloc(alignment, size);
        break;
    default:
        if (posix_memalign(&pointer, alignment, size))
            abort();
    }
    return pointer;
}

static void
allocate(Worker *worker)
{
    size_t size = ledger_random_size(&worker->random);
    switch ((ledger_random(&worker->random) >> 40) % 8) {
    case 0:
        own(worker, calloc(1, size), size, LEDGER_CALLOC);
        break;
    case 1:
        own(worker, allocate_aligned(worker, size), size, LEDGER_MEMALIGN);
        break;
    case 2:
        if (size < 16) {
            own(worker, malloc(0), 0, LEDGER_MALLOC); /* NOLINT: glibc gives the smallest block */
            break;
        }
        /* fallthrough */
    default:
        own(worker, malloc(size), size, LEDGER_MALLOC);
    }
}

static LedgerSlot
take_random(Worker *worker)
{
    size_t at = (ledger_random(&worker->random) >> 20) % worker->own_count;
    LedgerSlot slot = worker->own[at];
    worker->own[at] = worker->own[--worker->own_count];
    return slot;
}

/* Grows or shrinks by up to a factor of four. */
static void
reallocate(Worker *worker)
{
    LedgerSlot slot = take_random(worker);
    size_t old = ledger_get_requested(slot);
    size_t size = old / 4 + (ledger_random(&worker->random) >> 20) % (old * 4 + 1) + 1;
    if (size > LARGEST_BYTES)
        size = LARGEST_BYTES;
    slot = ledger_realloc(slot, size);
    if (size > old)
        ledger_fill((char *)ledger_get_pointer(slot) + old, size - old, &worker->random, false);
    worker->own[worker->own_count++] = slot;
}

/* To another worker, who frees it; where that one's mailbox is full, frees it here. */
static void
hand_over(Worker *worker)
{
    LedgerSlot slot = take_random(worker);
    Worker *other = &workers[(ledger_random(&worker->random) >> 20) % worker_count];
    pthread_mutex_lock(&other->mailbox_lock);
    bool fits = other->mailbox_count < MAILBOX;
    if (fits)
        other->mailbox[other->mailbox_count++] = slot;
    pthread_mutex_unlock(&other->mailbox_lock);
    if (!fits)
        ledger_free(slot);
}

static void
empty_mailbox(Worker *worker)
{
    pthread_mutex_lock(&worker->mailbox_lock);
    while (worker->mailbox_count)
        ledger_free(worker->mailbox[--worker->mailbox_count]);
    pthread_mutex_unlock(&worker->mailbox_lock);
}

static __attribute__((noinline)) void
mix(Worker *worker)
{
    for (uint64_t i = 0; i < steps; i++) {
        unsigned choice = (unsigned)((ledger_random(&worker->random) >> 40) % 16);
        if (choice < 8 || worker->own_count < 8)
            allocate(worker);
        else if (choice < 11)
            ledger_free(take_random(worker));
        else if (choice < 13)
            hand_over(worker);
        else if (choice < 15)
            reallocate(worker);
        else
            empty_mailbox(worker);
    }
}

/*
 * Frees @count blocks of @size, with a live block after each so that none coalesces with the next.
 * The first fill the tcache, as far as the size belongs there; the rest go to a fastbin or to the
 * unsorted bin.
 */
static void
free_many(Worker *worker, size_t size, unsigned count)
{
    LedgerSlot slots[BINS_REPEATS];
    for (unsigned i = 0; i < count; i++) {
        slots[i] = ledger_add(malloc(size), size, LEDGER_MALLOC);
        ledger_fill(ledger_get_pointer(slots[i]), size, &worker->random, false);
        own(worker, malloc(24), 24, LEDGER_MALLOC);
    }
    for (unsigned i = 0; i < count; i++)
        ledger_free(slots[i]);
}

/*
 * Last of all, in this order: large frees, which consolidate the fastbins; a large request, which
 * sorts the unsorted bin into small and large bins; frees of middle sizes, which stay unsorted;
 * small ones for tcache and fastbins, which nothing consolidates any more.
 */
static __attribute__((noinline)) void
fill_bins(Worker *worker)
{
    for (size_t size = 1200; size < 40000; size += size / 3)
        free_many(worker, size, 3);
    for (size_t size = 200; size < 1000; size += 80)
        free_many(worker, size, BINS_REPEATS);
    own(worker, malloc(60000), 60000, LEDGER_MALLOC);
    for (size_t size = 1100; size < 5000; size += 700)
        free_many(worker, size, 2);
    for (size_t size = 152; size <= 1032; size += (size_t)16 * (1 + worker->index % 3))
        free_many(worker, size, 2 + worker->index % 20);
    for (size_t size = 24; size <= 120; size += 16)
        free_many(worker, size, size == 72 ? 3 : BINS_REPEATS);
}

static void *
worker_main(void *argument)
{
    Worker *worker = argument;
    mix(worker);
    pthread_barrier_wait(&mixed);
    empty_mailbox(worker);
    pthread_barrier_wait(&drained);
    if (exit_some && worker->index % 2)
        return NULL;
    fill_bins(worker);
    pthread_barrier_wait(&filled);
    ledger_park();
}

/*
 * Mmapped blocks before any is freed (a free raises the threshold): neighbours, which the kernel
 * joins to one mapping, and aligned ones. They stay until the end, when one out of the middle goes.
 */
static LedgerSlot large[LARGE_MMAPS];

static void
allocate_large(Worker *worker)
{
    static const size_t alignments[] = {64, 4096, 8192, 65536, 1048576};
    for (size_t i = 0; i < LARGE_MMAPS; i++) {
        size_t size = 300000 + i * 4096;
        void *pointer = malloc(size);
        ledger_fill(pointer, size, &worker->random, false);
        large[i] = ledger_add(pointer, size, LEDGER_MALLOC);
    }
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        size_t size = 200000 + i * 50000;
        void *pointer = memalign(alignments[i], size);
        ledger_fill(pointer, size, &worker->random, false);
        ledger_add(pointer, size, LEDGER_MEMALIGN);
    }
}

/* How many are there at the end, main too. */
static unsigned
staying_count(void)
{
    return exit_some ? (worker_count + 1) / 2 : worker_count;
}

/* The slots that a worker may own at once; mapped apart from malloc. */
static void
prepare_workers(uint64_t seed)
{
    size_t own_bytes = (size_t)(steps + 8192) * sizeof(LedgerSlot);
    for (unsigned i = 0; i < worker_count; i++) {
        Worker *worker = &workers[i];
        worker->index = i;
        worker->random = (seed + i) * UINT64_C(0x9e3779b97f4a7c15) | 1;
        pthread_mutex_init(&worker->mailbox_lock, NULL);
        worker->own = mmap(NULL, own_bytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (worker->own == MAP_FAILED)
            abort();
    }
    pthread_barrier_init(&mixed, NULL, worker_count);
    pthread_barrier_init(&drained, NULL, worker_count);
    pthread_barrier_init(&filled, NULL, staying_count());
    ledger_table_open((size_t)worker_count * (size_t)(steps + 8192));
}

static void
run(void)
{
    static pthread_t threads[MAX_THREADS + 1];
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) || pthread_attr_setstacksize(&attributes, STACK_BYTES))
        abort();
    allocate_large(&workers[0]);
    for (unsigned i = 1; i < worker_count; i++) {
        if (pthread_create(&threads[i], &attributes, worker_main, &workers[i]))
            abort();
    }
    mix(&workers[0]);
    pthread_barrier_wait(&mixed);
    empty_mailbox(&workers[0]);
    pthread_barrier_wait(&drained);
    for (unsigned i = 1; exit_some && i < worker_count; i += 2)
        pthread_join(threads[i], NULL);
    fill_bins(&workers[0]);
    ledger_free(large[LARGE_MMAPS / 2]);
    pthread_barrier_wait(&filled);
    ending_await_parked(staying_count() - 1);
}

int
main(int argc, char **argv)
{
    LedgerOptions options = {.seed = 1};
    for (int i = 1; i < argc; i++) {
        if (ledger_parse_option(&options, argc, argv, &i))
            continue;
        if (!strcmp(argv[i], "--threads"))
            worker_count = (unsigned)ledger_parse_number(argc, argv, &i) + 1;
        else if (!strcmp(argv[i], "--steps"))
            steps = ledger_parse_number(argc, argv, &i);
        else if (!strcmp(argv[i], "--exit-some"))
            exit_some = true;
        else
            ledger_usage(argv[i]);
    }
    if (worker_count - 1 > MAX_THREADS || steps > 10000000)
        ledger_usage("--threads or --steps");
    ledger_open(&options);
    prepare_workers(options.seed);
    run();
    ledger_tie(options.seed);
    ledger_finish(&options);
}
