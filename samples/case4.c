/*
 * Case 4 (many 64 MB regions): busy threads fill an arena each, then free in the wrong order: the
 * last thing that each allocated stays, and pins what was freed before it. Nothing leaks.
 *
 * Usage: case4 [--threads N] [--thread-bytes N] [--main-bytes N] [--exit N] [--raise N]
 * [--unpinned]
 *              [--trim] [OPTIONS OF ledger.h]
 *
 * --threads N        beside main, an arena each (default 64)
 * --thread-bytes N   what each allocates before it frees (default 1536K)
 * --main-bytes N     what main allocates (default 8M)
 * --exit N           the first N threads end when they have freed
 * --raise N          first frees a mapped block of N bytes, which raises malloc's thresholds, so
 *                    that nothing is trimmed on the way
 * --unpinned         nothing is allocated last: what is free joins the top of each heap
 * --trim             in place of an end with a core: prints Private_Dirty of the process before and
 *                    after malloc_trim(0), in bytes, as "before N after N"
 *
 * Two runs with the same options do the same up to their end.
 */
#include "ending.h"
#include "ledger.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MAX_THREADS 128
#define STACK_BYTES ((size_t)256 * 1024)
#define SLOTS_MAX   65536
/* One block in so many stays. */
#define KEPT_EVERY 64
/* The share of its bytes from which on a worker allocates large blocks alone, and keeps none: what
 * is small when it is freed stays in a tcache, and pins as well as anything. */
#define MIXED_SHARE 4
/* Blocks above this are written to their middle alone, so that pages in them are never touched. */
#define HALF_ABOVE ((size_t)32 * 1024)
/* Freed last, so that fastbins are full at the end. */
#define SMALL_BYTES 100

/* What a thread allocates last. */
struct case4_session {
    struct case4_session *self;
    unsigned number;
    char user[68];
};

typedef struct {
    uint64_t random;
    unsigned index;
    uint64_t bytes;
    LedgerSlot *slots;
    size_t count;
} Worker;

static Worker workers[MAX_THREADS + 1];
/* Volatile, or the compiler drops what nobody reads. */
static struct case4_session *volatile sessions[MAX_THREADS + 1];
static uint64_t thread_count = 64;
static uint64_t thread_bytes = (uint64_t)1536 << 10;
static uint64_t main_bytes = (uint64_t)8 << 20;
static uint64_t exit_count;
static uint64_t raise_bytes;
static bool unpinned;
static bool trim;
/* The blocks that stay, each with a pointer to the next in its first word. Volatile as above. */
static void *volatile kept[MAX_THREADS + 1];
static pthread_barrier_t started, filled, freed;
static char smaps[16384];

/* Of Private_Dirty in /proc/self/smaps_rollup. */
static uint64_t
read_private_dirty(void)
{
    static const char name[] = "Private_Dirty:";
    int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        _exit(4);
    ssize_t count = read(fd, smaps, sizeof smaps - 1);
    close(fd);
    smaps[count > 0 ? count : 0] = 0;
    const char *line = strstr(smaps, name);
    if (!line)
        _exit(4);
    return strtoull(line + sizeof name - 1, NULL, 10) * 1024;
}

_Noreturn static void
trim_and_tell(void)
{
    char line[80];
    /* Once for the pages that this takes itself. */
    read_private_dirty();
    uint64_t before = read_private_dirty();
    malloc_trim(0);
    uint64_t after = read_private_dirty();
    int length = snprintf(line, sizeof line, "before %llu after %llu\n", (unsigned long long)before,
                          (unsigned long long)after);
    _exit(write(STDOUT_FILENO, line, (size_t)length) == length ? 0 : 3);
}

/* Below malloc's mmap threshold, or, where that was raised, up to 1 MiB. */
static size_t
choose_size(Worker *worker, bool mixed)
{
    uint64_t number = ledger_random(&worker->random) >> 16;
    if (mixed && number % 10)
        return 16 + (size_t)(number >> 8) % (number & 16 ? 4000 : SMALL_BYTES - 16);
    return 4000 + (size_t)(number >> 8) % (raise_bytes ? 1000000 : 90000);
}

static void
add_block(Worker *worker, size_t size)
{
    void *pointer = malloc(size);
    if (!pointer || worker->count == SLOTS_MAX)
        abort();
    memset(pointer, 0x5a, size > HALF_ABOVE ? size / 2 : size);
    worker->slots[worker->count++] = ledger_add(pointer, size, LEDGER_MALLOC);
}

static size_t mixed_counts[MAX_THREADS + 1];

static __attribute__((noinline)) void
fill(Worker *worker)
{
    uint64_t bytes = 0;
    while (bytes < worker->bytes) {
        bool mixed = bytes < worker->bytes / MIXED_SHARE;
        size_t size = choose_size(worker, mixed);
        add_block(worker, size);
        bytes += size;
        mixed_counts[worker->index] += mixed;
    }
    if (unpinned)
        return;
    struct case4_session *session = malloc(sizeof *session);
    if (!session)
        abort();
    memset(session, 0, sizeof *session);
    session->self = session;
    session->number = worker->index;
    memset(session->user, 'u', sizeof session->user - 1);
    sessions[worker->index] = session;
    ledger_describe(ledger_add(session, sizeof *session, LEDGER_MALLOC), LEDGER_REACHABLE,
                    "session");
}

static bool
is_kept(const Worker *worker, size_t index)
{
    return index < mixed_counts[worker->index] && index % KEPT_EVERY == 0;
}

/* The oldest first: what lies at the end of the heap goes last, or stays. Small ones at the very
 * end, into tcache and fastbins. */
static __attribute__((noinline)) void
free_blocks(Worker *worker)
{
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < worker->count; i++) {
            bool late = i < mixed_counts[worker->index] &&
                        ledger_get_requested(worker->slots[i]) <= SMALL_BYTES;
            if (is_kept(worker, i))
                continue;
            if (late == (pass == 1))
                ledger_free(worker->slots[i]);
        }
}

static void
hold_kept(Worker *worker)
{
    for (size_t i = 0; i < worker->count; i++) {
        if (!is_kept(worker, i))
            continue;
        void *pointer = ledger_get_pointer(worker->slots[i]);
        void *next = kept[worker->index];
        memcpy(pointer, &next, sizeof next);
        kept[worker->index] = pointer;
        ledger_describe(worker->slots[i], LEDGER_REACHABLE, "kept");
    }
}

static void *
worker_main(void *argument)
{
    Worker *worker = argument;
    pthread_barrier_wait(&started);
    fill(worker);
    pthread_barrier_wait(&filled);
    free_blocks(worker);
    hold_kept(worker);
    pthread_barrier_wait(&freed);
    if (worker->index <= exit_count)
        return NULL;
    ledger_park();
}

static void
prepare(uint64_t seed)
{
    unsigned count = (unsigned)thread_count + 1;
    for (unsigned i = 0; i < count; i++) {
        Worker *worker = &workers[i];
        worker->index = i;
        worker->bytes = i == 0 ? main_bytes : thread_bytes;
        worker->random = (seed + i) * UINT64_C(0x9e3779b97f4a7c15) | 1;
        worker->slots = mmap(NULL, SLOTS_MAX * sizeof *worker->slots, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (worker->slots == MAP_FAILED)
            abort();
    }
    if (pthread_barrier_init(&started, NULL, count) || pthread_barrier_init(&filled, NULL, count) ||
        pthread_barrier_init(&freed, NULL, count))
        abort();
    ledger_table_open((size_t)count * SLOTS_MAX);
    /* Which pages become huge would differ from run to run. */
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    if (raise_bytes)
        free(malloc((size_t)raise_bytes)); /* NOLINT: for what free() does to malloc's settings */
}

static void
run(void)
{
    static pthread_t threads[MAX_THREADS + 1];
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) || pthread_attr_setstacksize(&attributes, STACK_BYTES))
        abort();
    for (unsigned i = 1; i <= thread_count; i++)
        if (pthread_create(&threads[i], &attributes, worker_main, &workers[i]))
            abort();
    pthread_barrier_wait(&started);
    fill(&workers[0]);
    pthread_barrier_wait(&filled);
    free_blocks(&workers[0]);
    hold_kept(&workers[0]);
    pthread_barrier_wait(&freed);
    for (unsigned i = 1; i <= exit_count; i++)
        pthread_join(threads[i], NULL);
    ending_await_parked((unsigned)(thread_count - exit_count));
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        uint64_t *value;
    } numbers[] = {{"--threads", &thread_count},
                   {"--thread-bytes", &thread_bytes},
                   {"--main-bytes", &main_bytes},
                   {"--exit", &exit_count},
                   {"--raise", &raise_bytes}};
    LedgerOptions options = {.seed = 1};
    for (int i = 1; i < argc; i++) {
        bool known = ledger_parse_option(&options, argc, argv, &i);
        for (size_t j = 0; j < sizeof numbers / sizeof *numbers && !known; j++) {
            known = !strcmp(argv[i], numbers[j].name);
            if (known)
                *numbers[j].value = ledger_parse_number(argc, argv, &i);
        }
        if (!known && !strcmp(argv[i], "--unpinned"))
            unpinned = known = true;
        if (!known && !strcmp(argv[i], "--trim"))
            trim = known = true;
        if (!known)
            ledger_usage(argv[i]);
    }
    if (thread_count > MAX_THREADS || exit_count > thread_count)
        ledger_usage("--threads or --exit");
    mallopt(M_ARENA_MAX, (int)thread_count + 1);
    ledger_open(&options);
    prepare(options.seed);
    run();
    if (trim)
        trim_and_tell();
    ledger_finish(&options);
}
