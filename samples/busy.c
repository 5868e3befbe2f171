/*
 * A program that is still running: threads that allocate, reallocate and free all the time, look at
 * what they wrote, and count what they did in a file that is mapped, so that anybody can see them
 * go on. What it finds damaged ends it.
 *
 * Usage: busy COUNTER-FILE [--threads N] [--arenas N] [--ballast MIB]
 *
 * Defaults: 50 threads, 2 arenas, no ballast. The stacks are small: a snapshot writes them whole.
 */
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOTS       64
#define STACK_BYTES ((size_t)128 * 1024)
#define PAGE_BYTES  4096

static uint64_t *counter;
static pthread_barrier_t started;

/* Of xorshift64; good enough to mix sizes. */
static uint64_t
next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Mostly small, some of them larger than tcache takes, a few that are mapped. */
static size_t
choose_size(uint64_t random)
{
    const uint64_t kind = random % 1000;
    if (kind < 700)
        return 1 + (random >> 16) % 200;
    if (kind < 998)
        return 1 + (random >> 16) % 4000;
    return 150000 + (random >> 16) % 100000;
}

/* The first and the last byte tell whose it is. */
static void
mark(unsigned char *bytes, size_t size, unsigned char tag)
{
    bytes[0] = tag;
    bytes[size - 1] = tag;
}

static void
check(const unsigned char *bytes, size_t size, unsigned char tag)
{
    if (bytes[0] == tag && bytes[size - 1] == tag)
        return;
    (void)fputs("busy: a chunk does not hold what was written\n", stderr);
    abort();
}

static void *
work(void *argument)
{
    uint64_t state = 0x9e3779b97f4a7c15 * (1 + *(unsigned *)argument);
    const unsigned char tag = (unsigned char)(1 + *(unsigned *)argument);
    unsigned char *chunks[SLOTS] = {0};
    size_t sizes[SLOTS] = {0};
    pthread_barrier_wait(&started);
    for (;;) {
        const uint64_t random = next_random(&state);
        const size_t slot = random % SLOTS;
        const size_t size = choose_size(next_random(&state));
        if (chunks[slot] != NULL)
            check(chunks[slot], sizes[slot], tag);
        if (chunks[slot] == NULL || random >> 60 != 0) {
            free(chunks[slot]);
            chunks[slot] = malloc(size);
        } else {
            chunks[slot] = realloc(chunks[slot], size);
        }
        if (chunks[slot] == NULL)
            abort();
        sizes[slot] = size;
        mark(chunks[slot], size, tag);
        __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void
map_counter(const char *path)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, PAGE_BYTES) != 0)
        abort();
    counter = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (counter == MAP_FAILED)
        abort();
    close(fd);
}

int
main(int argc, char **argv)
{
    unsigned threads = 50;
    unsigned arenas = 2;
    size_t ballast = 0;
    if (argc < 2)
        return 2;
    for (int i = 2; i + 1 < argc; i += 2) {
        const unsigned value = (unsigned)strtoul(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--threads") == 0)
            threads = value;
        else if (strcmp(argv[i], "--arenas") == 0)
            arenas = value;
        else if (strcmp(argv[i], "--ballast") == 0)
            ballast = (size_t)value << 20;
    }
    mallopt(M_ARENA_MAX, (int)arenas);
    map_counter(argv[1]);
    unsigned char *weight = ballast == 0 ? NULL : malloc(ballast);
    if (weight != NULL)
        memset(weight, 1, ballast);

    pthread_barrier_init(&started, NULL, threads + 1);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    unsigned *numbers = calloc(threads, sizeof *numbers);
    for (unsigned i = 0; i < threads && numbers != NULL; i++) {
        pthread_t thread;
        numbers[i] = i;
        if (pthread_create(&thread, &attributes, work, &numbers[i]) != 0)
            abort();
    }
    pthread_barrier_wait(&started);
    for (;;)
        pause();
}
