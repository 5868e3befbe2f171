/*
 * What breaks leak scans: shapes that overflow a mark stack, chunks and heaps of odd sizes, damage,
 * and stacks that are not where a scan would look for them.
 *
 * Usage: reach-odd SCENE… [OPTIONS OF ledger.h]
 *
 * Each scene is a row of the table at the end.
 */
#include "ending.h"
#include "ledger.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define TABLE_ROWS     1000000
#define WAIT_USEC      1000
#define HUB            600000
#define LOST_HUB       100000
#define MMAPPED        20000
#define HOLE           ((size_t)4 << 30)
#define NEIGHBOURS     500
#define STACK          ((size_t)256 * 1024)
#define ALTERNATE      65536
#define BEFORE         2048
#define SCRUB          8192
#define EXCLUDED       1000
#define EXCLUDED_BYTES 1000
#define EXCLUDED_PAGES 40
#define BELOW          ((size_t)1024 * 1024)

static void *volatile kept[16];
static unsigned kept_count;
static LedgerSlot victim = LEDGER_SLOT_NONE;
static atomic_uint parked;

static void **
new_block(const char *name, size_t bytes, LedgerReach reach)
{
    LedgerSlot slot = ledger_add(calloc(1, bytes), bytes, LEDGER_CALLOC);
    ledger_describe(slot, reach, name);
    return ledger_get_pointer(slot);
}

static uint64_t
new_hidden(const char *name, LedgerReach reach)
{
    return (uint64_t)(uintptr_t)new_block(name, 24, reach) ^ ENDING_MASK;
}

static void
keep(void *block)
{
    kept[kept_count++] = block;
}

/* ---- shapes ---- */

static void
build_hubs(void)
{
    void **hub = new_block("hub", HUB * sizeof *hub, LEDGER_REACHABLE);
    void **lost = new_block("lost-hub", LOST_HUB * sizeof *lost, LEDGER_LEAK_ROOT);
    for (unsigned i = 0; i < HUB; i++)
        hub[i] = new_block("spoke", 24, LEDGER_REACHABLE);
    for (unsigned i = 0; i < LOST_HUB; i++) {
        void **spoke = lost[i] = new_block("lost-spoke", 24, LEDGER_LEAK_INDIRECT);
        if (i % 4 == 0)
            *spoke = new_block("lost-rim", 24, LEDGER_LEAK_INDIRECT);
    }
    keep(hub);
}

static void
build_holes(void)
{
    char *kept_hole = (char *)new_block("kept-hole", HOLE + 64, LEDGER_REACHABLE);
    char *lost_hole = (char *)new_block("lost-hole", HOLE + 64, LEDGER_LEAK_ROOT);
    *(void **)(kept_hole + HOLE) = new_block("behind-hole", 24, LEDGER_REACHABLE);
    *(void **)(lost_hole + HOLE) = new_block("behind-lost-hole", 24, LEDGER_LEAK_INDIRECT);
    keep(kept_hole);
}

static void
build_mmapped(void)
{
    mallopt(M_MMAP_THRESHOLD, 2048);
    mallopt(M_MMAP_MAX, 2 * MMAPPED);
    void **table = new_block("table", MMAPPED * sizeof *table, LEDGER_REACHABLE);
    void **list = NULL;
    for (unsigned i = 0; i < MMAPPED; i++) {
        if (i % 2 == 0) {
            table[i] = new_block("kept-mmapped", 3000, LEDGER_REACHABLE);
            continue;
        }
        void **block = new_block("lost-mmapped", 3000,
                                 i == MMAPPED - 1 ? LEDGER_LEAK_ROOT : LEDGER_LEAK_INDIRECT);
        block[100] = list;
        list = block;
    }
    keep(table);
}

/* ---- damage ---- */

static void
build_damage(void)
{
    void **list = new_block("neighbour", 40, LEDGER_REACHABLE);
    keep(list);
    for (unsigned i = 0; i < 2 * NEIGHBOURS; i++) {
        if (i == NEIGHBOURS) {
            void **block = new_block("victim", 40, LEDGER_LEAK_ROOT);
            victim = ledger_find(block);
            block[1] = new_block("held-by-damage", 40, LEDGER_REACHABLE_WEAK);
        }
        void **block = new_block("neighbour", 40, LEDGER_REACHABLE);
        *block = *list;
        *list = block;
    }
}

static void
damage(void)
{
    if (victim != LEDGER_SLOT_NONE)
        ((size_t *)ledger_get_pointer(victim))[-1] = (size_t)0x4141414141414141;
}

/* ---- threads ---- */

static pthread_t
start_thread(void *(*body)(void *), void *argument, void *stack, bool is_detached)
{
    pthread_attr_t attributes;
    pthread_t thread = 0;
    pthread_attr_init(&attributes);
    if (stack && pthread_attr_setstack(&attributes, stack, STACK))
        _exit(3);
    if (is_detached)
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, body, argument))
        _exit(3);
    pthread_attr_destroy(&attributes);
    return thread;
}

static void
await_parked(unsigned count)
{
    while (atomic_load(&parked) < count)
        usleep(WAIT_USEC);
    usleep(50 * WAIT_USEC);
}

/* Leaves the hidden address in a frame and sleeps for good. */
static __attribute__((noinline)) void
park_with(const uint64_t *hidden)
{
    void *volatile frame[4] = {NULL, (void *)(uintptr_t)(*hidden ^ ENDING_MASK), NULL, NULL};
    __asm__ volatile("" : : "m"(frame));
    atomic_fetch_add(&parked, 1);
    ending_park();
}

static void *
run_holder(void *hidden)
{
    park_with(hidden);
    return NULL;
}

/* A stack in .bss that begins at no page, among variables; whole pages of them, which are no part
 * of the file's last one. */
static struct {
    void *volatile below[BEFORE];
    char odd[24];
    char stack[STACK];
    void *volatile above[512];
} user;

static void
build_user_stack(void)
{
    static uint64_t hidden;
    hidden = new_hidden("on-user-stack", LEDGER_REACHABLE);
    user.below[BEFORE - 1] = new_block("below-user-stack", 24, LEDGER_REACHABLE);
    user.above[3] = new_block("above-user-stack", 24, LEDGER_REACHABLE);
    start_thread(run_holder, &hidden, user.stack, false);
    await_parked(1);
}

static void
on_signal(int signal)
{
    (void)signal;
    atomic_fetch_add(&parked, 1);
    for (;;)
        pause();
}

/* A frame that a handler interrupts which runs further up. */
static __attribute__((noinline)) void
interrupt_with(const uint64_t *hidden)
{
    /* Written by parts: a vector register of the signal frame would hold the address as well. */
    void *volatile frame[4];
    frame[0] = NULL;
    frame[1] = (void *)(uintptr_t)(*hidden ^ ENDING_MASK);
    __asm__ volatile("" : : "m"(frame));
    ending_scrub(SCRUB);
    raise(SIGUSR1);
    __asm__ volatile("" : : "m"(frame));
}

static void *
run_inner_handler(void *hidden)
{
    char stack[ALTERNATE];
    memset(stack, 0, sizeof stack);
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    if (sigaltstack(&alternate, NULL) || sigaction(SIGUSR1, &action, NULL))
        _exit(3);
    interrupt_with(hidden);
    __asm__ volatile("" : : "m"(stack));
    return NULL;
}

static void
build_inner_handler(void)
{
    static uint64_t hidden;
    hidden = new_hidden("below-handler", LEDGER_REACHABLE);
    start_thread(run_inner_handler, &hidden, NULL, false);
    await_parked(1);
}

static char *volatile unused_stack;
static uint64_t borrower_hidden;

static void *
run_lender(void *hidden)
{
    char here = 0;
    unused_stack = &here - BELOW;
    park_with(hidden);
    return NULL;
}

static void
run_on_borrowed(void)
{
    park_with(&borrower_hidden);
}

static void *
run_borrower(void *argument)
{
    static ucontext_t context;
    (void)argument;
    getcontext(&context);
    context.uc_stack = (stack_t){.ss_sp = unused_stack - STACK, .ss_size = STACK};
    makecontext(&context, run_on_borrowed, 0);
    setcontext(&context);
    return NULL;
}

static void
build_borrowed_stack(void)
{
    static uint64_t lender_hidden;
    lender_hidden = new_hidden("lender", LEDGER_REACHABLE);
    borrower_hidden = new_hidden("borrower", LEDGER_REACHABLE);
    start_thread(run_lender, &lender_hidden, NULL, false);
    await_parked(1);
    start_thread(run_borrower, NULL, NULL, false);
    await_parked(2);
}

static void *
run_and_return(void *argument)
{
    return argument;
}

/* glibc keeps these threads' stacks, arguments and results. */
static void
build_ended(void)
{
    start_thread(run_and_return, new_block("reused-argument", 40, LEDGER_LEAK_ROOT), NULL, true);
    usleep(100 * WAIT_USEC);
    /* This one takes the stack of the one before, and keeps it: nobody joins it. */
    start_thread(run_and_return, new_block("unjoined-result", 56, LEDGER_REACHABLE), NULL, false);
    usleep(100 * WAIT_USEC);
    start_thread(run_and_return, new_block("detached-argument", 72, LEDGER_LEAK_ROOT), NULL, true);
    usleep(100 * WAIT_USEC);
}

static void
build_joined(void)
{
    void *result = NULL;
    pthread_join(start_thread(run_and_return, new_block("joined-argument", 88, LEDGER_LEAK_ROOT),
                              NULL, false),
                 &result);
}

/* A list whose middle the program keeps out of its cores, as one does with secrets. */
static void
build_excluded(void)
{
    void **first = new_block("listed", EXCLUDED_BYTES, LEDGER_REACHABLE);
    void **last = first;
    for (unsigned i = 1; i < EXCLUDED; i++) {
        *last = new_block("listed", EXCLUDED_BYTES, LEDGER_REACHABLE);
        last = *last;
    }
    keep(first);
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t middle =
        ((uintptr_t)first + (uintptr_t)(EXCLUDED / 2) * EXCLUDED_BYTES) / page * page;
    if (madvise((void *)middle, EXCLUDED_PAGES * page, MADV_DONTDUMP) != 0)
        abort();
}

static const struct {
    const char *option;
    void (*build)(void);
} scenes[] = {
    {"--hubs", build_hubs},
    {"--holes", build_holes},
    {"--mmapped", build_mmapped},
    {"--damage", build_damage},
    {"--user-stack", build_user_stack},
    {"--inner-handler", build_inner_handler},
    {"--borrowed-stack", build_borrowed_stack},
    {"--ended", build_ended},
    {"--joined", build_joined},
    {"--excluded", build_excluded},
};

static void
build(const char *option)
{
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++) {
        if (strcmp(option, scenes[i].option) == 0) {
            scenes[i].build();
            return;
        }
    }
    ledger_usage(option);
}

int
main(int argc, char **argv)
{
    LedgerOptions options = {.seed = 1};
    const char *chosen[8] = {NULL};
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        if (!ledger_parse_option(&options, argc, argv, &i) && count < 8)
            chosen[count++] = argv[i];
    }
    ledger_table_open(TABLE_ROWS);
    ledger_open(&options);
    for (size_t i = 0; i < count; i++)
        build(chosen[i]);
    damage();
    ledger_finish(&options);
}
