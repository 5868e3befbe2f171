/*
 * Threads that wait in known chains of calls, for backtraces: some in the same one, one deep in a
 * recursion, one in a signal handler on an alternate stack, and one that is called from code that
 * no file tells of. The main thread ends in a chain of its own.
 *
 * Usage: frames [OPTIONS OF ledger.h]      (the ledger has no rows)
 */
#include "ending.h"
#include "ledger.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WORKERS         5
#define THREADS         (WORKERS + 3)
#define DEPTH           40
#define ALTERNATE_BYTES 65536

static pthread_barrier_t ready;
static volatile int waiting = 1;
static LedgerOptions options = {.seed = 1};

/* Not ledger_park(), which clears the registers that the caller's frames are found by. */
static __attribute__((noinline)) void
wait_forever(void)
{
    pthread_barrier_wait(&ready);
    while (waiting)
        pause();
}

static __attribute__((noinline)) int
worker_inner(volatile int *turns)
{
    wait_forever();
    return (*turns)++;
}

static __attribute__((noinline)) int
worker_outer(volatile int *turns)
{
    return worker_inner(turns) + (*turns)++;
}

static void *
run_worker(void *argument)
{
    volatile int turns = 0;
    worker_outer(&turns);
    return argument;
}

static __attribute__((noinline)) int
recurse(volatile int depth)
{
    if (depth == 0)
        wait_forever();
    else
        recurse(depth - 1);
    return depth + 1;
}

static void *
run_recursion(void *argument)
{
    recurse(DEPTH);
    return argument;
}

static void
on_signal(int number)
{
    volatile int turns = number;
    wait_forever();
    turns++;
}

static void *
run_handler(void *argument)
{
    const stack_t given = {.ss_sp = malloc(ALTERNATE_BYTES), .ss_size = ALTERNATE_BYTES};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    if (given.ss_sp == NULL || sigaltstack(&given, NULL) != 0 ||
        sigaction(SIGUSR1, &action, NULL) != 0)
        abort();
    raise(SIGUSR1);
    return argument;
}

/* Code made at run time: sub $8,%rsp; call *%rdi; add $8,%rsp; ret. */
static void *
run_made_code(void *argument)
{
    static const unsigned char code[] = {0x48, 0x83, 0xec, 0x08, 0xff, 0xd7,
                                         0x48, 0x83, 0xc4, 0x08, 0xc3};
    void (*made)(void (*)(void)) = NULL;
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        abort();
    memcpy(page, code, sizeof code);
    memcpy(&made, &page, sizeof made);
#ifdef __x86_64__
    made(wait_forever);
#else
    wait_forever();
#endif
    return argument;
}

static __attribute__((noinline)) void
end_inner(volatile int *turns)
{
    ledger_close();
    if (options.end == LEDGER_END_STOP)
        raise(SIGSTOP);
    abort();
    (*turns)++;
}

static __attribute__((noinline)) void
end_outer(void)
{
    volatile int turns = 0;
    end_inner(&turns);
    turns++;
}

int
main(int argc, char **argv)
{
    void *(*const starts[THREADS - WORKERS + 1])(void *) = {run_worker, run_recursion, run_handler,
                                                            run_made_code};
    for (int i = 1; i < argc; i++)
        if (!ledger_parse_option(&options, argc, argv, &i))
            ledger_usage(argv[i]);
    ledger_open(&options);
    prctl(PR_SET_NAME, "main-of-frames");
    if (pthread_barrier_init(&ready, NULL, THREADS + 1) != 0)
        abort();
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, starts[i < WORKERS ? 0 : i - WORKERS + 1], NULL) != 0)
            abort();
    }
    pthread_barrier_wait(&ready);
    usleep(100000);
    end_outer();
}
