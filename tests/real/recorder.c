/*
 * Loaded into a program in place of glibc's malloc, which it calls: writes the size and the callers
 * of each allocation to the file that POSTMALLOC_RECORD names, each kind once, and has the program
 * end as POSTMALLOC_END says (ABRT, STOP) when it exits.
 */
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FRAMES 12
/* Those of this file: note() and the function that calls it. */
#define OWN_FRAMES 2
#define SEEN_BITS  20
#define PROBES_MAX 64

/* What tests/real/test-sites-live.c reads. */
struct record {
    uint64_t size;
    uint64_t callers[FRAMES];
};

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

/* What the loader binds in place of glibc's. */
void *recorder_malloc(size_t size) __asm__("malloc");
void *recorder_calloc(size_t count, size_t size) __asm__("calloc");
void *recorder_realloc(void *block, size_t size) __asm__("realloc");
void *recorder_memalign(size_t alignment, size_t size) __asm__("memalign");
void *recorder_aligned_alloc(size_t alignment, size_t size) __asm__("aligned_alloc");
int recorder_posix_memalign(void **block, size_t alignment, size_t size) __asm__("posix_memalign");

static int file = -1;
static uint64_t *seen;
static volatile bool ready;
static __thread bool busy;

static uint64_t
mix(uint64_t hash, uint64_t number)
{
    hash = (hash ^ number) * 0x9e3779b97f4a7c15;
    return hash ^ hash >> 29;
}

__attribute__((constructor)) static void
begin(void)
{
    const char *path = getenv("POSTMALLOC_RECORD");
    void *frame = NULL;
    if (path == NULL)
        return;
    file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    seen = mmap(NULL, sizeof *seen << SEEN_BITS, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    /* The first call loads the unwinder. */
    busy = true;
    (void)backtrace(&frame, 1);
    busy = false;
    ready = file >= 0 && seen != MAP_FAILED;
}

__attribute__((destructor)) static void
end(void)
{
    const char *how = getenv("POSTMALLOC_END");
    if (!ready)
        return;
    ready = false;
    (void)signal(SIGABRT, SIG_DFL);
    (void)kill(getpid(), how != NULL && !strcmp(how, "STOP") ? SIGSTOP : SIGABRT);
}

static bool
is_new(uint64_t hash)
{
    uint64_t at = hash >> (64 - SEEN_BITS);
    for (int i = 0; i < PROBES_MAX; i++, at = (at + 1) & ((1U << SEEN_BITS) - 1)) {
        if (seen[at] == hash)
            return false;
        if (seen[at] == 0) {
            seen[at] = hash;
            return true;
        }
    }
    return true;
}

static __attribute__((noinline)) void
note(size_t size)
{
    const int error = errno;
    if (!ready || busy)
        return;
    busy = true;
    struct record record = {.size = size};
    void *frames[FRAMES + OWN_FRAMES];
    const int count = backtrace(frames, FRAMES + OWN_FRAMES);
    uint64_t hash = mix(0, size);
    for (int i = OWN_FRAMES; i < count; i++) {
        record.callers[i - OWN_FRAMES] = (uintptr_t)frames[i];
        hash = mix(hash, (uintptr_t)frames[i]);
    }
    if (is_new(hash | 1) && write(file, &record, sizeof record) < 0)
        ready = false;
    busy = false;
    errno = error;
}

__attribute__((noinline)) void *
recorder_malloc(size_t size)
{
    note(size);
    return __libc_malloc(size);
}

__attribute__((noinline)) void *
recorder_calloc(size_t count, size_t size)
{
    note(count * size);
    return __libc_calloc(count, size);
}

__attribute__((noinline)) void *
recorder_realloc(void *block, size_t size)
{
    note(size);
    return __libc_realloc(block, size);
}

__attribute__((noinline)) void *
recorder_memalign(size_t alignment, size_t size)
{
    note(size);
    return __libc_memalign(alignment, size);
}

__attribute__((noinline)) void *
recorder_aligned_alloc(size_t alignment, size_t size)
{
    note(size);
    return __libc_memalign(alignment, size);
}

__attribute__((noinline)) int
recorder_posix_memalign(void **block, size_t alignment, size_t size)
{
    note(size);
    void *made = __libc_memalign(alignment, size);
    if (made == NULL)
        return ENOMEM;
    *block = made;
    return 0;
}
