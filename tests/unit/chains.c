/*
 * Children that die in known chains of calls: in a signal handler on an alternate stack, with
 * threads that wait in one and deep in a recursion, and in a call through NULL.
 */
#include "chains.h"

#include <alloca.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

const char *const chain_names[CHAIN_FUNCTIONS] = {
    "handled_inner", "on_signal",    "chain_inner", "chain_middle", "chain_outer",
    "run_child",     "thread_inner", "run_thread",  "call_nowhere",
};

ChainFacts *chain_facts;
static void (*volatile nowhere)(void);

/* A variable that is in memory while the callees run, which keeps them from being tail calls. */
#define STATE_SLOT(function)                                                                       \
    volatile guint64 slot = (function);                                                            \
    chain_facts->slots[function] = (guintptr)&slot

/* Ends in a call that does not return: its return address may lie in the next function. */
static void G_NO_INLINE
handled_inner(void)
{
    STATE_SLOT(CHAIN_HANDLED_INNER);
    abort();
}

static void
on_signal(int signal)
{
    STATE_SLOT(CHAIN_ON_SIGNAL);
    (void)signal;
    handled_inner();
}

static void G_NO_INLINE
chain_inner(void)
{
    STATE_SLOT(CHAIN_INNER);
    raise(SIGUSR1);
    slot++;
}

/* Its frame is found by a saved register, because it has no fixed size. */
static void G_NO_INLINE
chain_middle(void)
{
    STATE_SLOT(CHAIN_MIDDLE);
    volatile char *bytes = alloca(slot * 16);
    bytes[0] = 1;
    chain_inner();
    slot += (guint64)bytes[0];
}

static void G_NO_INLINE
chain_outer(void)
{
    STATE_SLOT(CHAIN_OUTER);
    chain_middle();
    slot++;
}

static void G_NO_INLINE
call_nowhere(void)
{
    STATE_SLOT(CHAIN_CALL_NOWHERE);
    nowhere();
    slot++;
}

static void
wait_forever(void)
{
    __atomic_add_fetch(&chain_facts->ready, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&chain_facts->ready, __ATOMIC_SEQ_CST) > 0)
        pause();
}

static void G_NO_INLINE
thread_inner(void)
{
    STATE_SLOT(CHAIN_THREAD_INNER);
    wait_forever();
}

static void *
run_thread(void *data)
{
    STATE_SLOT(CHAIN_RUN_THREAD);
    thread_inner();
    slot++;
    return data;
}

static guint64 G_NO_INLINE
recurse(guint64 depth)
{
    volatile guint64 slot = depth;
    if (depth > 0)
        return recurse(depth - 1) + slot;
    wait_forever();
    return slot;
}

static void *
run_recursion(void *data)
{
    recurse(CHAIN_RECURSIONS);
    return data;
}

static void G_NO_INLINE
run_child(gboolean calls_nowhere)
{
    STATE_SLOT(CHAIN_RUN_CHILD);
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    const stack_t stack = {.ss_sp = (gpointer)chain_facts->alternate,
                           .ss_size = CHAIN_ALTERNATE_BYTES};
    pthread_t thread;
    if (calls_nowhere) {
        signal(SIGSEGV, SIG_DFL); /* not the sanitizer's */
        call_nowhere();
    }
    if (sigaltstack(&stack, NULL) != 0 || sigaction(SIGUSR1, &action, NULL) != 0 ||
        pthread_create(&thread, NULL, run_thread, NULL) != 0 ||
        pthread_create(&thread, NULL, run_recursion, NULL) != 0)
        _exit(1);
    while (__atomic_load_n(&chain_facts->ready, __ATOMIC_SEQ_CST) < 2)
        g_usleep(1000);
    chain_outer();
    slot++;
}

void
chains_prepare(void)
{
    gpointer facts =
        mmap(NULL, sizeof *chain_facts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    gpointer alternate = mmap(NULL, CHAIN_ALTERNATE_BYTES, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    g_assert_true(facts != MAP_FAILED && alternate != MAP_FAILED);
    chain_facts = facts;
    chain_facts->alternate = (guintptr)alternate;
}

/* The kernel names it "core", or as core_uses_pid has it. */
static char *
take_core(const char *folder, const char *name)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *entry = NULL;
    while (dir != NULL && (entry = g_dir_read_name(dir)) != NULL)
        if (g_str_has_prefix(entry, "core")) {
            g_autofree char *path = g_build_filename(folder, entry, NULL);
            char *taken = g_build_filename(folder, name, NULL);
            g_assert_cmpint(g_rename(path, taken), ==, 0);
            return taken;
        }
    return NULL;
}

char *
chains_make_core(const char *folder, const char *name, gboolean calls_nowhere,
                 const char **ret_skip_reason)
{
    const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        if (chdir(folder) == 0 && setrlimit(RLIMIT_CORE, &unlimited) == 0)
            run_child(calls_nowhere);
        _exit(1);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    char *core = take_core(folder, name);
    if (WIFEXITED(status))
        *ret_skip_reason = "core dumps are not permitted here";
    else if (core == NULL)
        *ret_skip_reason = "the kernel writes no core into the current folder (core_pattern)";
    return core;
}
