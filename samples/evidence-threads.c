/*
 * Two threads, each with an arena and a call of its own that makes chunks of 48 bytes, and a third
 * call that the main thread makes: the chunks look alike, and only where they are tells whose they
 * are.
 *
 * Usage: evidence-threads; ends by the signal that POSTMALLOC_END names, ABRT by default.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNKS 500
#define BYTES  48

static atomic_int finished;
static uint64_t *last[3];

/* What all chunks hold. */
static __attribute__((noinline)) void
fill(uint64_t *chunk, unsigned which)
{
    for (unsigned i = 0; i < BYTES / sizeof *chunk; i++)
        chunk[i] = i + 1;
    last[which] = chunk;
    __asm__ volatile("" : : "r"(chunk) : "memory");
}

static void
wait_forever(void)
{
    atomic_fetch_add(&finished, 1);
    for (;;)
        pause();
}

void *
thread_first(void *unused)
{
    for (unsigned i = 0; i < CHUNKS; i++)
        fill(malloc(BYTES), 0);
    wait_forever();
    return unused;
}

void *
thread_second(void *unused)
{
    for (unsigned i = 0; i < CHUNKS; i++)
        fill(malloc(BYTES), 1);
    wait_forever();
    return unused;
}

__attribute__((noinline)) void
main_thread(void)
{
    for (unsigned i = 0; i < CHUNKS; i++)
        fill(malloc(BYTES), 2);
}

int
main(void)
{
    pthread_t threads[2];
    if (pthread_create(&threads[0], NULL, thread_first, NULL) != 0 ||
        pthread_create(&threads[1], NULL, thread_second, NULL) != 0)
        abort();
    main_thread();
    while (atomic_load(&finished) < 2)
        usleep(1000);
    const char *end = getenv("POSTMALLOC_END");
    raise(end != NULL && strcmp(end, "STOP") == 0 ? SIGSTOP : SIGABRT);
    return 0;
}
