/*
 * The shapes that an arena can take, one step after the other in the order of the options.
 *
 * Usage: layouts [STEP…] [OPTIONS OF ledger.h]
 *
 *   --body             a few thousand blocks, a third of them freed (also the first step of every
 * other one)
 *   --no-free          blocks only; nothing is freed, so that newer glibcs never make a tcache
 *   --foreign-sbrk     the program moves the break itself, several times, by odd amounts too, and
 * uses what it got
 *   --foreign-first    the same once, before the first malloc
 *   --noncontiguous    the break is blocked by a mapping; the arena goes on in mappings of 1 MiB
 *   --unblock          the blocking mapping goes; the arena may come back to the break
 *   --full-heap N      N threads each fill a 64 MiB heap up to a chosen remainder and go on in a
 * second one
 *   --trimmed          megabytes are freed at the top, which shrinks, and malloc_trim punches holes
 * into what is free
 *   --many-mmapped N   N mmapped blocks, every fifth aligned above a page (and every second of
 *                      those reallocated), every seventh freed again at the end
 *
 * Without a step nothing is allocated at all.
 */
#include "ending.h"
#include "ledger.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TABLE_ROWS   (1u << 20)
#define PAGE         4096u
#define HEAP_BYTES   (UINT64_C(64) << 20) /* HEAP_MAX_SIZE of a 64-bit glibc */
#define MAX_FILLERS  16
#define HEADER_BYTES 16u
#define MAX_MMAPPED  60000

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static uint64_t sequence = 1;
static void *blocker;
static unsigned char *foreign;

/* @edges: leaves the middle of a large block as it comes, for fresh memory that would only make the
 * core larger. */
static LedgerSlot
allocate(size_t size, bool edges)
{
    void *pointer = malloc(size);
    ledger_fill(pointer, size, &sequence, edges);
    return ledger_add(pointer, size, LEDGER_MALLOC);
}

/* @count blocks of up to @max_bytes; with @free_some, every third goes again at once and every
 * ninth later. */
static __attribute__((noinline)) void
allocate_many(unsigned count, size_t max_bytes, bool free_some)
{
    LedgerSlot late = LEDGER_SLOT_NONE;
    for (unsigned i = 0; i < count; i++) {
        LedgerSlot slot = allocate(1 + (size_t)(ledger_random(&sequence) >> 30) % max_bytes, false);
        if (!free_some)
            continue;
        if (i % 9 == 4) {
            if (late != LEDGER_SLOT_NONE)
                ledger_free(late);
            late = slot;
        } else if (i % 3 == 0) {
            ledger_free(slot);
        }
    }
}

/* sbrk as a program's own bump allocator uses it; what it holds is no chunk. */
static void
move_break(intptr_t bytes)
{
    void *memory = sbrk(bytes);
    if (memory == (void *)-1)
        abort();
    foreign = memory;
    if (bytes % 3)
        ledger_fill(memory, (size_t)bytes, &sequence, false);
    else
        memset(memory, 0x21, (size_t)bytes);
}

/* Each time, first enough is allocated to make malloc move the break past the gap. */
static void
foreign_sbrk(void)
{
    static const intptr_t moves[] = {4096, 100, 12345, 1 << 20, 8, 33L * 4096, 1};
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++) {
        move_break(moves[i]);
        allocate_many(60, 8000, i % 2 == 0);
    }
}

static void
block_break(void)
{
    uintptr_t end = ((uintptr_t)sbrk(0) + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    blocker = mmap((void *)end, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
                   -1, 0);
    if (blocker != (void *)end)
        abort();
    allocate_many(3000, 6000, true);
    allocate_many(40, 100000, false);
}

static void
unblock_break(void)
{
    munmap(blocker, PAGE);
    allocate_many(2000, 6000, true);
}

/*
 * Fills the heap that @slot lies in until exactly @rest bytes of its top are left, then asks for
 * more than that. The rest becomes a free chunk and fenceposts, or fenceposts alone where it is
 * small.
 */
static void
fill_heap(LedgerSlot slot, uint64_t rest)
{
    static const size_t step = 60000;
    for (;;) {
        uintptr_t address = (uintptr_t)ledger_get_pointer(slot);
        uint64_t head = ((const size_t *)address)[-1];
        uint64_t chunk_bytes = head & ~(uint64_t)7;
        if (head & 2)
            ledger_usage("--full-heap with so small a --mmap-threshold");
        uintptr_t top = address - HEADER_BYTES + chunk_bytes;
        uint64_t room = (top | (HEAP_BYTES - 1)) + 1 - top;
        if (room > 2 * step) {
            slot = allocate(step - (size_t)(ledger_random(&sequence) >> 40) % 4096, true);
        } else {
            allocate((size_t)(room - rest) - sizeof(size_t), true);
            break;
        }
    }
    allocate((size_t)rest + 1000, false);
    allocate_many(200, 2000, true);
}

static pthread_barrier_t heap_full;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static void *
filler(void *argument)
{
    /* The first allocation of a thread is its tcache struct, the next ones come from the fresh top.
     */
    pthread_mutex_lock(&one_at_a_time);
    fill_heap(allocate(5000, false), 0x20 + 0x10 * (uint64_t)(uintptr_t)argument);
    pthread_mutex_unlock(&one_at_a_time);
    pthread_barrier_wait(&heap_full);
    ledger_park();
}

static void
full_heap(unsigned fillers)
{
    static pthread_t threads[MAX_FILLERS];
    pthread_attr_t attributes;
    if (fillers > MAX_FILLERS || pthread_attr_init(&attributes) ||
        pthread_attr_setstacksize(&attributes, (size_t)256 * 1024) ||
        pthread_barrier_init(&heap_full, NULL, fillers + 1))
        abort();
    for (unsigned i = 0; i < fillers; i++) {
        if (pthread_create(&threads[i], &attributes, filler, (void *)(uintptr_t)i))
            abort();
    }
    pthread_barrier_wait(&heap_full);
    ending_await_parked(fillers);
}

static void
trim(void)
{
    enum { BLOCKS = 4000 };
    static LedgerSlot slots[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++)
        slots[i] = allocate(100 + (size_t)(ledger_random(&sequence) >> 30) % 4000, false);
    for (unsigned i = BLOCKS; i-- > BLOCKS / 2;)
        ledger_free(slots[i]);
    for (unsigned i = 0; i < BLOCKS / 2; i++) {
        if (i % 50)
            ledger_free(slots[i]);
    }
    malloc_trim(0);
}

/*
 * Every second aligned block grows or shrinks afterwards: its mapping moves, and with it the header
 * that memalign left at its start.
 */
static LedgerSlot
allocate_mmapped(unsigned number)
{
    size_t size = 140000 + (size_t)(ledger_random(&sequence) >> 30) % 50000;
    if (number % 5 != 4)
        return allocate(size, true);
    void *pointer = memalign((size_t)PAGE << (1 + number % 4), size);
    ledger_fill(pointer, size, &sequence, true);
    LedgerSlot slot = ledger_add(pointer, size, LEDGER_MEMALIGN);
    if (number % 10 == 4)
        return slot;
    return ledger_realloc(slot, number % 20 == 9 ? size + 150000 : size - 60000);
}

/* The frees come last: the first of them raises the threshold. */
static void
many_mmapped(unsigned count)
{
    static LedgerSlot slots[MAX_MMAPPED];
    if (count > MAX_MMAPPED)
        ledger_usage("--many-mmapped");
    for (unsigned i = 0; i < count; i++)
        slots[i] = allocate_mmapped(i);
    for (unsigned i = 3; i < count; i += 7)
        ledger_free(slots[i]);
}

/* Not inlined: main's frame is live at the end, and would keep a block whose address was spilled.
 */
static __attribute__((noinline)) void
run_step(int argc, char **argv, int *index)
{
    const char *step = argv[*index];
    if (!strcmp(step, "--body"))
        allocate_many(3000, 2000, true);
    else if (!strcmp(step, "--no-free"))
        allocate_many(3000, 2000, false);
    else if (!strcmp(step, "--foreign-sbrk"))
        foreign_sbrk();
    else if (!strcmp(step, "--foreign-first"))
        move_break(43);
    else if (!strcmp(step, "--noncontiguous"))
        block_break();
    else if (!strcmp(step, "--unblock"))
        unblock_break();
    else if (!strcmp(step, "--full-heap"))
        full_heap((unsigned)ledger_parse_number(argc, argv, index));
    else if (!strcmp(step, "--trimmed"))
        trim();
    else if (!strcmp(step, "--many-mmapped"))
        many_mmapped((unsigned)ledger_parse_number(argc, argv, index));
    else
        ledger_usage(step);
}

/* Options first, so that mallopt settings hold for every step. */
int
main(int argc, char **argv)
{
    LedgerOptions options = {.seed = 1};
    int steps[64];
    int step_count = 0;
    for (int i = 1; i < argc; i++) {
        if (ledger_parse_option(&options, argc, argv, &i))
            continue;
        if (step_count == (int)(sizeof steps / sizeof *steps))
            ledger_usage(argv[i]);
        steps[step_count++] = i;
        if (i + 1 < argc && argv[i + 1][0] != '-')
            i++;
    }
    sequence = options.seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    ledger_open(&options);
    ledger_table_open(TABLE_ROWS);
    for (int i = 0; i < step_count; i++)
        run_step(argc, argv, &steps[i]);
    ledger_tie(options.seed);
    ledger_finish(&options);
}
