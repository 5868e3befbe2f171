/*
 * Case 3 (285 GB virtual, 4 GB resident): a program that makes its own threads. For each it maps a
 * stack of 10,240 KB with a guard page below, clones a thread onto it that touches 80 KB and ends,
 * and forgets the stack. Beside it are threads of pthreads: some that live, some whose stacks glibc
 * keeps for the next ones, and some that ended and that nobody joined.
 *
 * Usage: case3 [--orphans N] [--live N] [--cached N] [--unjoined N] [--stack BYTES] [--touch BYTES]
 *              [--user N] [--merged N] [OPTIONS OF ledger.h]
 *   --orphans   stacks that are forgotten (500)         --live      threads that live (8)
 *   --cached    threads that ended in good order (5)    --unjoined  that nobody joined (3)
 *   --stack     of each orphan (10240K)                 --touch     how much of it is used (80K)
 *   --user      threads on stacks of the program's own, ended and joined: orphans too (0)
 *   --merged    more orphans, each with a pool of the program's right above it (0)
 */
#include "ending.h"
#include "ledger.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GUARD_BYTES         4096
#define PTHREAD_STACK_BYTES ((size_t)2 << 20)
#define POOL_BYTES          ((size_t)64 << 10)
#define THREADS_MAX         64

#define CLONE_FLAGS                                                                                \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |            \
     CLONE_CHILD_CLEARTID)

typedef struct {
    uint64_t orphans, live, cached, unjoined, stack_bytes, touch_bytes, user, merged;
} Counts;

/* What a thread tells of its stack. */
typedef struct {
    const char *kind;
    char *start;
    size_t bytes;
    size_t guard_bytes;
    int tid;
} Told;

static Counts counts = {500, 8, 5, 3, (size_t)10240 << 10, (size_t)80 << 10, 0, 0};
static Told told[THREADS_MAX];
static pthread_barrier_t all_here;
static _Atomic int clone_tid;

static _Noreturn void
fail(const char *what)
{
    perror(what);
    exit(3);
}

/* Runs on a stack of its own without thread-locals of its own: calls nothing that could need them.
 */
static __attribute__((noinline)) void
touch(size_t bytes)
{
    volatile char *used = __builtin_alloca(bytes);
    for (size_t i = 0; i < bytes; i += 64)
        used[i] = 'x';
}

static int
short_lived(void *argument)
{
    touch(*(const uint64_t *)argument);
    return 0;
}

/* @more_bytes: of the same mapping, above the stack. */
static char *
map_stack(size_t more_bytes)
{
    char *guard = mmap(NULL, GUARD_BYTES + counts.stack_bytes + more_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (guard == MAP_FAILED || mprotect(guard, GUARD_BYTES, PROT_NONE) != 0)
        fail("case3: a stack");
    return guard + GUARD_BYTES;
}

static void
forget_stack(size_t pool_bytes)
{
    char *stack = map_stack(pool_bytes);
    if (pool_bytes > 0) {
        memset(stack + counts.stack_bytes, 'p', pool_bytes);
        ledger_note_region("anonymous", stack + counts.stack_bytes, pool_bytes, 0, 0);
    }
    clone_tid = 1;
    if (clone(short_lived, stack + counts.stack_bytes, CLONE_FLAGS, &counts.touch_bytes, NULL, NULL,
              &clone_tid) < 0)
        fail("case3: clone");
    for (int tid = clone_tid; tid != 0; tid = clone_tid)
        syscall(SYS_futex, &clone_tid, FUTEX_WAIT, tid, NULL, NULL, 0);
    ledger_note_region("stack-orphan", stack, counts.stack_bytes, GUARD_BYTES, 0);
}

static void
tell(Told *mine)
{
    pthread_attr_t attributes;
    void *start = NULL;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0 ||
        pthread_attr_getstack(&attributes, &start, &mine->bytes) != 0 ||
        pthread_attr_getguardsize(&attributes, &mine->guard_bytes) != 0)
        abort();
    pthread_attr_destroy(&attributes);
    mine->start = start;
    mine->tid = (int)syscall(SYS_gettid);
}

/* All stacks are in use at once, so that none serves for two. */
static void *
ending(void *argument)
{
    tell(argument);
    pthread_barrier_wait(&all_here);
    return NULL;
}

static void *
living(void *argument)
{
    tell(argument);
    pthread_barrier_wait(&all_here);
    ledger_park();
}

/* Every second cached stack is of a detached thread. */
static void
start(pthread_t *thread, Told *mine, uint64_t number)
{
    pthread_attr_t attributes;
    const bool live = number < counts.live;
    const bool cached = !live && number < counts.live + counts.cached;
    mine->kind = live ? "stack-live" : cached ? "stack-cached" : "stack-unjoined";
    if (pthread_attr_init(&attributes) != 0 ||
        pthread_attr_setstacksize(&attributes, PTHREAD_STACK_BYTES) != 0 ||
        (cached && number % 2 == 1 &&
         pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) != 0) ||
        pthread_create(thread, &attributes, live ? living : ending, mine) != 0)
        fail("case3: a thread");
    pthread_attr_destroy(&attributes);
}

static void
run_threads(void)
{
    pthread_t threads[THREADS_MAX];
    const uint64_t all = counts.live + counts.cached + counts.unjoined;
    if (all > THREADS_MAX || pthread_barrier_init(&all_here, NULL, (unsigned)all + 1) != 0)
        ledger_usage("too many threads");
    for (uint64_t i = 0; i < all; i++)
        start(&threads[i], &told[i], i);
    pthread_barrier_wait(&all_here);
    for (uint64_t i = counts.live; i < all; i++) {
        const bool cached = i < counts.live + counts.cached;
        if (cached && i % 2 == 0 && pthread_join(threads[i], NULL) != 0)
            abort();
        ending_await_gone(told[i].tid);
    }
    ending_await_parked((unsigned)counts.live);
    for (uint64_t i = 0; i < all; i++)
        ledger_note_region(told[i].kind, told[i].start, told[i].bytes, told[i].guard_bytes,
                           i < counts.live ? told[i].tid : 0);
}

static void *
passing(void *argument)
{
    (void)argument;
    return NULL;
}

/* pthread_attr_setstack: glibc puts its control block there, and forgets it when it is joined. */
static void
run_on_own_stack(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    char *stack = map_stack(0);
    if (pthread_attr_init(&attributes) != 0 ||
        pthread_attr_setstack(&attributes, stack, counts.stack_bytes) != 0 ||
        pthread_create(&thread, &attributes, passing, NULL) != 0 || pthread_join(thread, NULL) != 0)
        fail("case3: a thread on a stack of the program's");
    pthread_attr_destroy(&attributes);
    ledger_note_region("stack-orphan", stack, counts.stack_bytes, GUARD_BYTES, 0);
}

static bool
parse_option(int argc, char **argv, int *index)
{
    static const struct {
        const char *name;
        uint64_t *value;
    } options[] = {
        {"--orphans", &counts.orphans},   {"--live", &counts.live},
        {"--cached", &counts.cached},     {"--unjoined", &counts.unjoined},
        {"--stack", &counts.stack_bytes}, {"--touch", &counts.touch_bytes},
        {"--user", &counts.user},         {"--merged", &counts.merged},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strcmp(argv[*index], options[i].name) == 0) {
            *options[i].value = ledger_parse_number(argc, argv, index);
            return true;
        }
    }
    return false;
}

int
main(int argc, char **argv)
{
    LedgerOptions options = {.seed = 1};
    for (int i = 1; i < argc; i++)
        if (!ledger_parse_option(&options, argc, argv, &i) && !parse_option(argc, argv, &i))
            ledger_usage(argv[i]);
    ledger_open(&options);
    for (uint64_t i = 0; i < counts.orphans / 2; i++)
        forget_stack(0);
    for (uint64_t i = 0; i < counts.merged; i++)
        forget_stack(POOL_BYTES);
    run_threads();
    for (uint64_t i = counts.orphans / 2; i < counts.orphans; i++)
        forget_stack(0);
    for (uint64_t i = 0; i < counts.user; i++)
        run_on_own_stack();
    ledger_note_region("stack-main", &options, 0, 0, getpid());
    ledger_finish(&options);
}
