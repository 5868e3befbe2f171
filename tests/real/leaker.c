/*
 * Preloaded into a program, in place of glibc's malloc, which it calls: counts allocations and
 * frees by size and callers, and writes that to the file that POSTMALLOC_LEAKER names (leaker.h)
 * when the program is about to end (hook-exit.h).
 *
 * With POSTMALLOC_LEAKER_SITES, free() does nothing for the blocks of some callers; with
 * POSTMALLOC_LEAKER_PROBES, functions are watched for what they are called with. Then the program
 * gets the signal that POSTMALLOC_END names (ABRT, STOP), or, without, just ends. With
 * POSTMALLOC_LEAKER_STOP it ends so at its allocation of that number, in the middle of its work.
 *
 * Nothing of it is in malloc's heap, and it keeps no address of a block that is not masked: what
 * leaks is lost as it would be in the program itself. Children are let alone.
 */
#include "leaker.h"

#include "ending.h"
#include "hook-exit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK_BITS 22
#define BLOCK_ROWS ((size_t)1 << BLOCK_BITS)
/* ENDING_MASK is odd, so that the key of a block is never this. */
#define BLOCK_FREE 0
/* So many allocations between two looks for modules that came later. */
#define PLACE_EVERY 256

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *pointer, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void *pointer);

/* Under names of their own, for those of the headers come with attributes. */
void *leaker_malloc(size_t bytes) __asm__("malloc");
void *leaker_calloc(size_t count, size_t bytes) __asm__("calloc");
void *leaker_realloc(void *pointer, size_t bytes) __asm__("realloc");
void *leaker_memalign(size_t alignment, size_t bytes) __asm__("memalign");
void *leaker_aligned_alloc(size_t alignment, size_t bytes) __asm__("aligned_alloc");
int leaker_posix_memalign(void **ret_pointer, size_t alignment,
                          size_t bytes) __asm__("posix_memalign");
void leaker_free(void *pointer) __asm__("free");

/* @row: the number of its row and 1; 0 once it was freed. */
typedef struct {
    uint64_t key;
    uint64_t row;
} Block;

static Block *blocks;
static atomic_flag blocks_lock = ATOMIC_FLAG_INIT;
static volatile bool ready;
static __thread bool busy;
static atomic_uint noted;
static unsigned stop_at;
static char output_path[4096];
static char end_name[8];
static char program_path[LEAKER_MODULE_BYTES];

void *
leaker_map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

const char *
leaker_get_program(void)
{
    return program_path;
}

const char *
leaker_read(const char *name)
{
    struct stat status;
    const char *path = getenv(name);
    const int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return NULL;
    char *text = fstat(fd, &status) == 0 ? leaker_map((size_t)status.st_size + 1) : NULL;
    const bool whole = text != NULL && read(fd, text, (size_t)status.st_size) == status.st_size;
    close(fd);
    return whole ? text : NULL;
}

static void
remove_variable(const char *name)
{
    const size_t length = strlen(name);
    char **to = environ;
    for (char **from = environ; *from != NULL; from++) {
        if (strncmp(*from, name, length) != 0 || (*from)[length] != '=')
            *to++ = *from;
    }
    *to = NULL;
}

static void
leave(void)
{
    ready = false;
}

static __attribute__((constructor)) void
begin(void)
{
    const char *path = getenv("POSTMALLOC_LEAKER");
    const char *end = getenv("POSTMALLOC_END");
    const char *stop = getenv("POSTMALLOC_LEAKER_STOP");
    if (path == NULL || strlen(path) >= sizeof output_path)
        return;
    memcpy(output_path, path, strlen(path) + 1);
    stop_at = stop != NULL ? (unsigned)strtoul(stop, NULL, 10) : 0;
    if (end != NULL && strlen(end) < sizeof end_name)
        memcpy(end_name, end, strlen(end) + 1);
    (void)!readlink("/proc/self/exe", program_path, sizeof program_path - 1);
    busy = true;
    blocks = leaker_map(BLOCK_ROWS * sizeof *blocks);
    leaker_chain_open();
    leaker_rows_open();
    leaker_probes_open();
    pthread_atfork(NULL, NULL, leave);
    /* What the program starts is not looked at. */
    remove_variable("LD_PRELOAD");
    remove_variable("POSTMALLOC_LEAKER");
    busy = false;
    ready = blocks != NULL;
}

static void
lock(void)
{
    while (atomic_flag_test_and_set(&blocks_lock))
        ;
}

static void
unlock(void)
{
    atomic_flag_clear(&blocks_lock);
}

/* The row of @key, or the one where it would be. */
static Block *
find_block(uint64_t key)
{
    size_t at = (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - BLOCK_BITS));
    for (size_t i = 0; i < BLOCK_ROWS && blocks[at].key != BLOCK_FREE && blocks[at].key != key; i++)
        at = (at + 1) % BLOCK_ROWS;
    return &blocks[at];
}

/* Keeps errno. Returns: @pointer. */
static void *
note(void *pointer, size_t bytes)
{
    LeakerChain chain;
    const int error = errno;
    if (pointer == NULL || !ready || busy)
        return pointer;
    const unsigned count = atomic_fetch_add(&noted, 1);
    if (stop_at != 0 && count == stop_at)
        hook_exit_reached();
    busy = true;
    leaker_chain_take(&chain);
    const uint32_t row = leaker_rows_find(bytes, &chain);
    lock();
    if (count % PLACE_EVERY == 0)
        leaker_probes_place();
    leaker_probes_observe(bytes, &chain);
    if (row != UINT32_MAX) {
        leaker_rows_get(row)->allocations++;
        const uint64_t key = (uint64_t)(uintptr_t)pointer ^ ENDING_MASK;
        *find_block(key) = (Block){key, row + 1};
    }
    unlock();
    busy = false;
    errno = error;
    return pointer;
}

/* Returns: whether the block is to leak. @may_leak: whether it can. */
static bool
forget(void *pointer, bool may_leak)
{
    bool leaks = false;
    if (pointer == NULL || !ready)
        return false;
    lock();
    Block *block = find_block((uint64_t)(uintptr_t)pointer ^ ENDING_MASK);
    if (block->key != BLOCK_FREE && block->row != 0) {
        LeakerRow *row = leaker_rows_get((uint32_t)(block->row - 1));
        leaks = row->leaks && may_leak;
        row->frees++;
        row->skipped += leaks;
        block->row = 0;
    }
    unlock();
    return leaks;
}

__attribute__((noinline)) void *
leaker_malloc(size_t bytes)
{
    return note(__libc_malloc(bytes), bytes);
}

__attribute__((noinline)) void *
leaker_calloc(size_t count, size_t bytes)
{
    return note(__libc_calloc(count, bytes), count * bytes);
}

__attribute__((noinline)) void
leaker_free(void *pointer)
{
    const int error = errno;
    if (!forget(pointer, true))
        __libc_free(pointer);
    errno = error;
}

__attribute__((noinline)) void *
leaker_realloc(void *pointer, size_t bytes)
{
    (void)forget(pointer, false);
    return note(__libc_realloc(pointer, bytes), bytes);
}

__attribute__((noinline)) void *
leaker_memalign(size_t alignment, size_t bytes)
{
    return note(__libc_memalign(alignment, bytes), bytes);
}

__attribute__((noinline)) void *
leaker_aligned_alloc(size_t alignment, size_t bytes)
{
    return note(__libc_memalign(alignment, bytes), bytes);
}

__attribute__((noinline)) int
leaker_posix_memalign(void **ret_pointer, size_t alignment, size_t bytes)
{
    void *pointer = note(__libc_memalign(alignment, bytes), bytes);
    if (pointer == NULL)
        return ENOMEM;
    *ret_pointer = pointer;
    return 0;
}

static __attribute__((noinline)) void
write_all(void)
{
    uint64_t count = 0;
    const int fd = open(output_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const LeakerObservation *observations = leaker_probes_get(&count);
    leaker_rows_write(fd, count);
    if (count > 0)
        (void)!write(fd, observations, count * sizeof *observations);
    close(fd);
    munmap(blocks, BLOCK_ROWS * sizeof *blocks);
}

void
hook_exit_reached(void)
{
    if (!ready)
        return;
    ready = false;
    lock(); /* for good */
    write_all();
    ending_clear_vectors();
    if (!strcmp(end_name, "ABRT"))
        (void)signal(SIGABRT, SIG_DFL);
    if (end_name[0])
        syscall(SYS_kill, getpid(), strcmp(end_name, "STOP") != 0 ? SIGABRT : SIGSTOP);
    else
        syscall(SYS_exit_group, 0);
}
