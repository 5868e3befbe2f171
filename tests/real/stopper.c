/*
 * Preloaded into a program, stops it where it is about to end: after main, or in its call of
 * exit(), _exit() or abort(), before any handler or destructor runs.
 *
 * Natively it writes what every live block was asked for to the file that POSTMALLOC_REQUESTS
 * names, a line "ADDRESS BYTES" each, and stops with SIGSTOP; and it fills blocks with a pattern
 * when they are handed out, for memcheck takes no word for a reference that the program has not
 * written since. (MALLOC_PERTURB_ leaves out blocks that come from the tcache.) Under valgrind
 * (POSTMALLOC_VALGRIND is set then, for valgrind's own start is to be let alone) it has memcheck
 * list every block by its class in the log, and ends the program.
 *
 * It leaves no trace of an address: its table is masked, and unmapped before the stop; the
 * registers that a call may change, which is what the program made, are cleared: memcheck does not
 * look at vector registers. Children and what they execute are let alone.
 */
#include "ending.h"
#include "hook-exit.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <valgrind/valgrind.h>

/* ENDING_MASK is odd, so that the key of an address is never one of these two. */
#define ROW_FREE   0
#define ROW_GONE   2
#define PATTERN    0xa5
#define TABLE_ROWS ((size_t)1 << 21)

/* glibc's own names of what this library stands before. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *pointer, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void *pointer);

/* Under names of their own, for those of the headers come with attributes. */
void *stopper_malloc(size_t bytes) __asm__("malloc");
void *stopper_calloc(size_t count, size_t bytes) __asm__("calloc");
void *stopper_realloc(void *pointer, size_t bytes) __asm__("realloc");
void *stopper_memalign(size_t alignment, size_t bytes) __asm__("memalign");
void *stopper_aligned_alloc(size_t alignment, size_t bytes) __asm__("aligned_alloc");
int stopper_posix_memalign(void **ret_pointer, size_t alignment,
                           size_t bytes) __asm__("posix_memalign");
void stopper_free(void *pointer) __asm__("free");

typedef struct {
    uint64_t key;
    uint64_t bytes;
} Row;

static Row *table;
static atomic_flag table_lock = ATOMIC_FLAG_INIT;

static pid_t own_pid;
static char requests_path[4096];
static char buffer[65536];
static size_t buffered;

static void
lock(void)
{
    while (atomic_flag_test_and_set(&table_lock))
        ;
    if (table == NULL && !RUNNING_ON_VALGRIND) {
        void *memory = mmap(NULL, TABLE_ROWS * sizeof(Row), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        table = memory == MAP_FAILED ? NULL : memory;
    }
}

static void
unlock(void)
{
    atomic_flag_clear(&table_lock);
}

/* The row of @key, or the free one where it would be. */
static Row *
find_row(uint64_t key)
{
    size_t at = (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 43) % TABLE_ROWS;
    while (table[at].key != ROW_FREE && table[at].key != key)
        at = (at + 1) % TABLE_ROWS;
    return &table[at];
}

/* @kept_bytes of the block are the program's already. */
static void *
note(void *pointer, size_t bytes, size_t kept_bytes)
{
    if (pointer == NULL)
        return NULL;
    if (!RUNNING_ON_VALGRIND)
        memset((char *)pointer + kept_bytes, PATTERN, malloc_usable_size(pointer) - kept_bytes);
    lock();
    if (table != NULL) {
        uint64_t key = (uint64_t)(uintptr_t)pointer ^ ENDING_MASK;
        *find_row(key) = (Row){key, bytes};
    }
    unlock();
    return pointer;
}

/* Returns: what the block was asked for; 0 where it is not known. */
static size_t
forget(void *pointer)
{
    size_t bytes = 0;
    lock();
    Row *row = table ? find_row((uint64_t)(uintptr_t)pointer ^ ENDING_MASK) : NULL;
    if (row != NULL && row->key != ROW_FREE) {
        row->key = ROW_GONE;
        bytes = row->bytes;
    }
    unlock();
    return bytes;
}

void *
stopper_malloc(size_t bytes)
{
    return note(__libc_malloc(bytes), bytes, 0);
}

void *
stopper_calloc(size_t count, size_t bytes)
{
    return note(__libc_calloc(count, bytes), count * bytes, count * bytes);
}

void
stopper_free(void *pointer)
{
    if (pointer != NULL)
        (void)forget(pointer);
    __libc_free(pointer);
}

void *
stopper_realloc(void *pointer, size_t bytes)
{
    size_t kept_bytes = pointer ? forget(pointer) : 0;
    return note(__libc_realloc(pointer, bytes), bytes, kept_bytes < bytes ? kept_bytes : bytes);
}

void *
stopper_memalign(size_t alignment, size_t bytes)
{
    return note(__libc_memalign(alignment, bytes), bytes, 0);
}

void *
stopper_aligned_alloc(size_t alignment, size_t bytes)
{
    return stopper_memalign(alignment, bytes);
}

int
stopper_posix_memalign(void **ret_pointer, size_t alignment, size_t bytes)
{
    void *pointer = stopper_memalign(alignment, bytes);
    if (pointer == NULL)
        return ENOMEM;
    *ret_pointer = pointer;
    return 0;
}

static void
remove_variable(const char *name)
{
    size_t length = strlen(name);
    char **to = environ;
    for (char **from = environ; *from != NULL; from++) {
        if (strncmp(*from, name, length) != 0 || (*from)[length] != '=')
            *to++ = *from;
    }
    *to = NULL;
}

static __attribute__((constructor)) void
start(void)
{
    if (getenv("POSTMALLOC_VALGRIND") != NULL && !RUNNING_ON_VALGRIND)
        return;
    const char *path = getenv("POSTMALLOC_REQUESTS");
    if (path == NULL || strlen(path) >= sizeof requests_path)
        return;
    memcpy(requests_path, path, strlen(path) + 1);
    own_pid = getpid();
    remove_variable("LD_PRELOAD");
    remove_variable("POSTMALLOC_REQUESTS");
    remove_variable("POSTMALLOC_VALGRIND");
}

static void
flush(int fd)
{
    for (size_t done = 0; done < buffered;) {
        ssize_t count = write(fd, buffer + done, buffered - done);
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    buffered = 0;
}

static void
put_number(uint64_t number, unsigned base, char end)
{
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = end;
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    memcpy(buffer + buffered, digits + at, sizeof digits - at);
    buffered += sizeof digits - at;
}

/* Returns with the table gone, and no malloc noted any more. */
static __attribute__((noinline)) void
write_requests(void)
{
    int fd = open(requests_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    lock(); /* for good */
    for (size_t i = 0; table != NULL && i < TABLE_ROWS; i++) {
        if (table[i].key == ROW_FREE || table[i].key == ROW_GONE)
            continue;
        put_number(table[i].key ^ ENDING_MASK, 16, ' ');
        put_number(table[i].bytes, 10, '\n');
        if (buffered > sizeof buffer - 64)
            flush(fd);
    }
    flush(fd);
    close(fd);
    if (table != NULL)
        munmap(table, TABLE_ROWS * sizeof(Row));
}

void
hook_exit_reached(void)
{
    if (own_pid == 0 || getpid() != own_pid)
        return;
    if (RUNNING_ON_VALGRIND) {
        VALGRIND_MONITOR_COMMAND("leak_check full kinds definite,indirect any");
        VALGRIND_MONITOR_COMMAND("block_list 1..1000000 unlimited");
        syscall(SYS_exit_group, 0);
    }
    write_requests();
    ending_clear_vectors();
    syscall(SYS_kill, own_pid, SIGSTOP);
}
