/*
 * One region of every kind, and some that only look like another kind; the ledger has what each is.
 *
 * Usage: regions [OPTIONS OF ledger.h]      (writes the file regions.data to the current folder)
 */
#include "ending.h"
#include "ledger.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE         ((size_t)4096)
#define SHARED_BYTES (16 * PAGE)
#define POOL_BYTES   ((size_t)1 << 20)
#define POOLS        4
#define ALT_BYTES    (16 * PAGE)
#define CHUNK_BYTES  ((size_t)300 << 10)
#define STACK_BYTES  ((size_t)256 << 10)
/* Coroutines, and the stack of each. */
#define COROUTINES      8
#define COROUTINE_BYTES ((size_t)128 << 10)

static int initialised = 42;
static char zeroed[64 * 4096];
static int *const relocated[] __attribute__((used)) = {&initialised, &initialised};
static const char constant[] = "a text that is never written";

typedef struct {
    char *alternate;
    void *stack;
    size_t stack_bytes;
    size_t guard_bytes;
    void *chunk;
    int tid;
} Told;

static Told parked;

typedef struct {
    ucontext_t context;
} Coroutine;

static Coroutine *coroutines[COROUTINES], *running;
static ucontext_t resumed;
static pthread_barrier_t ready;

static _Noreturn void
fail(const char *what)
{
    perror(what);
    exit(3);
}

static char *
map(size_t bytes, int protection, int flags, int fd)
{
    char *at = mmap(NULL, bytes, protection, flags, fd, 0);
    if (at == MAP_FAILED)
        fail("regions: mmap");
    return at;
}

/* A private mapping with a page without access on either side, so that it merges with nothing. */
static char *
map_apart(size_t bytes)
{
    char *guard = map(bytes + 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (mprotect(guard, PAGE, PROT_NONE) != 0 ||
        mprotect(guard + PAGE + bytes, PAGE, PROT_NONE) != 0)
        fail("regions: mprotect");
    return guard + PAGE;
}

static void
note_shared(const char *kind, char *at)
{
    memset(at, 's', SHARED_BYTES / 2);
    ledger_note_region(kind, at, SHARED_BYTES, 0, 0);
}

static void
make_shared(void)
{
    const int memory = memfd_create("pool", MFD_CLOEXEC);
    if (memory < 0 || ftruncate(memory, SHARED_BYTES) != 0)
        fail("regions: memfd_create");
    note_shared("shared-memory", map(SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory));

    char name[64];
    (void)snprintf(name, sizeof name, "/postmalloc-regions-%d", getpid());
    const int posix = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (posix < 0 || ftruncate(posix, SHARED_BYTES) != 0)
        fail("regions: shm_open");
    note_shared("shared-memory", map(SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, posix));
    shm_unlink(name);

    const int id = shmget(IPC_PRIVATE, SHARED_BYTES, IPC_CREAT | 0600);
    void *const system_v = id < 0 ? (void *)-1 : shmat(id, NULL, 0);
    if (system_v == (void *)-1)
        fail("regions: shmget");
    shmctl(id, IPC_RMID, NULL);
    note_shared("shared-memory", system_v);
    note_shared("shared-memory",
                map(SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1));
}

static void
make_files(void)
{
    const int fd = open("regions.data", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, SHARED_BYTES) != 0)
        fail("regions: regions.data");
    const char *shared = map(SHARED_BYTES, PROT_READ, MAP_SHARED, fd);
    ledger_note_region("file", shared, SHARED_BYTES, 0, 0);
    note_shared("file", map(SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd));
}

/* Pools of the program's own, used from the bottom: pointers to code in them make no stack. */
static void
make_pools(void)
{
    for (size_t i = 0; i < POOLS; i++) {
        char *pool = map_apart(POOL_BYTES);
        void (*const functions[])(void) = {make_shared, make_files, make_pools};
        memcpy(pool, functions, sizeof functions);
        memset(pool + 64, 'p', POOL_BYTES / 4);
        ledger_note_region("anonymous", pool, POOL_BYTES, PAGE, 0);
    }
    /* Filled from the top, as allocators do that want overruns to fault. */
    char *top = map_apart(POOL_BYTES);
    memset(top + POOL_BYTES - 3 * PAGE, 't', 3 * PAGE);
    ledger_note_region("anonymous", top, POOL_BYTES, PAGE, 0);

    const char *reserved = map(8 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    ledger_note_region("guard", reserved + PAGE, 0, 0, 0);
}

/* Calls something, so that its frame is like any other. */
static void
wait_in_coroutine(void)
{
    Coroutine *self = running;
    for (volatile int turns = 0;; turns++)
        if (swapcontext(&self->context, &resumed) != 0)
            abort();
}

/* Stacks of coroutines that wait: nobody runs on them, but they are to go on. */
static void
make_coroutines(void)
{
    for (size_t i = 0; i < COROUTINES; i++) {
        char *stack = map_apart(COROUTINE_BYTES);
        running = coroutines[i] = malloc(sizeof *running);
        if (!running || getcontext(&running->context) != 0)
            fail("regions: a coroutine");
        running->context.uc_stack.ss_sp = stack;
        running->context.uc_stack.ss_size = COROUTINE_BYTES;
        running->context.uc_link = &resumed;
        makecontext(&running->context, wait_in_coroutine, 0);
        if (swapcontext(&resumed, &running->context) != 0)
            fail("regions: swapcontext");
        ledger_note_region("anonymous", stack, COROUTINE_BYTES, PAGE, 0);
    }
}

static void
on_signal(int number)
{
    volatile char used[2 * PAGE];
    for (size_t i = 0; i < sizeof used; i += 64)
        used[i] = (char)number;
}

/* Gives the calling thread an alternate stack. */
static char *
make_alternate(void)
{
    char *stack = map_apart(ALT_BYTES);
    const stack_t given = {.ss_sp = stack, .ss_size = ALT_BYTES};
    if (sigaltstack(&given, NULL) != 0)
        fail("regions: sigaltstack");
    return stack;
}

static void
on_last_signal(int number)
{
    (void)number;
    parked.tid = (int)syscall(SYS_gettid);
    pthread_barrier_wait(&ready);
    for (;;)
        pause();
}

/* Ends up in a handler, on its alternate stack. */
static void *
park_in_handler(void *argument)
{
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0 ||
        pthread_attr_getstack(&attributes, &parked.stack, &parked.stack_bytes) != 0 ||
        pthread_attr_getguardsize(&attributes, &parked.guard_bytes) != 0)
        abort();
    pthread_attr_destroy(&attributes);
    parked.alternate = make_alternate();
    parked.chunk = malloc(100);
    raise(SIGUSR2);
    return argument;
}

static void
set_handler(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    if (sigaction(number, &action, NULL) != 0)
        fail("regions: sigaction");
}

static void
make_stacks(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    set_handler(SIGUSR1, on_signal);
    set_handler(SIGUSR2, on_last_signal);
    char *alternate = make_alternate();
    raise(SIGUSR1);
    ledger_note_region("stack-signal", alternate, ALT_BYTES, PAGE, 0);

    if (pthread_barrier_init(&ready, NULL, 2) != 0 || pthread_attr_init(&attributes) != 0 ||
        pthread_attr_setstacksize(&attributes, STACK_BYTES) != 0 ||
        pthread_create(&thread, &attributes, park_in_handler, NULL) != 0)
        fail("regions: a thread");
    pthread_attr_destroy(&attributes);
    pthread_barrier_wait(&ready);
    ledger_note_region("stack-signal", parked.alternate, ALT_BYTES, PAGE, parked.tid);
    ledger_note_region("stack-live", parked.stack, parked.stack_bytes, parked.guard_bytes,
                       parked.tid);
    ledger_note_region("arena-heap", parked.chunk, 0, 0, 0);
    ledger_note_region("stack-main", &attributes, 0, 0, getpid());
}

int
main(int argc, char **argv)
{
    LedgerOptions options = {.seed = 1};
    for (int i = 1; i < argc; i++)
        if (!ledger_parse_option(&options, argc, argv, &i))
            ledger_usage(argv[i]);
    ledger_open(&options);
    make_shared();
    make_files();
    make_pools();
    make_coroutines();
    make_stacks();
    char *small = malloc(100), *large = malloc(CHUNK_BYTES);
    if (!small || !large)
        abort();
    memset(large, 'l', CHUNK_BYTES);
    zeroed[sizeof zeroed / 2] = 'z';
    ledger_note_region("main-heap", small, 0, 0, 0);
    ledger_note_region("mmapped-chunk", large, 0, 0, 0);
    ledger_note_region("module-text", (const void *)(uintptr_t)main, 0, 0, 0);
    ledger_note_region("module-rodata", constant, 0, 0, 0);
    ledger_note_region("module-relro", (const void *)(uintptr_t)relocated, 0, 0, 0);
    ledger_note_region("module-data", &initialised, 0, 0, 0);
    ledger_note_region("module-bss", zeroed + sizeof zeroed / 2, 0, 0, 0);
    ledger_note_region("vdso", (const void *)(uintptr_t)getauxval(AT_SYSINFO_EHDR), 0, 0, 0);
    ledger_finish(&options);
}
