/*
 * Scenes of the sample reach: blocks that only another thread holds, or that lie in its arena.
 */
#include "reach.h"

#include "reach-plugin.h"

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEYS     40
#define LOW_KEY  7
#define HIGH_KEY 38

static __thread void *volatile thread_local_root;

/* What the threads take over: made by main, in its arena. */
static LedgerSlot stack_slot, list_slot, thread_local_slot, plugin_slot, low_slot, high_slot;
static pthread_key_t low_key, high_key;

static void
keep_on_stack(void)
{
    void *held = ledger_get_pointer(stack_slot);
    REACH_KEEP_IN_FRAME(held);
    reach_park();
}

static void
hold_on_stack(void)
{
    stack_slot = reach_new_slot("thread-stack", 40, LEDGER_REACHABLE);
    void **block = ledger_get_pointer(stack_slot);
    block[4] = reach_new("thread-stack-held", 48, LEDGER_REACHABLE);
    reach_start_thread(keep_on_stack);
}

static EndingHold thread_hold, thread_dead_hold;

static void
keep_in_registers(void)
{
    reach_hold_and_park(&thread_hold);
}

static void
hold_in_registers(void)
{
    ending_put(&thread_hold, ENDING_R12, reach_new("thread-r12", 40, LEDGER_REACHABLE));
    ending_put(&thread_hold, ENDING_RBP, reach_new("thread-rbp", 40, LEDGER_REACHABLE));
    ending_put(&thread_hold, ENDING_RED_ZONE, reach_new("thread-red-zone", 40, LEDGER_REACHABLE));
    ending_put(&thread_hold, ENDING_XMM, reach_new("thread-xmm8", 40, LEDGER_REACHABLE));
    reach_start_thread(keep_in_registers);
}

static void
keep_below_sp(void)
{
    reach_hold_and_park(&thread_dead_hold);
}

static void
lose_below_sp(void)
{
    ending_put(&thread_dead_hold, ENDING_BELOW_SP,
               reach_new("thread-below-sp", 40, LEDGER_LEAK_ROOT));
    reach_start_thread(keep_below_sp);
}

static void
keep_in_thread_local(void)
{
    thread_local_root = ledger_get_pointer(thread_local_slot);
}

static void
hold_in_thread_local(void)
{
    thread_local_slot = reach_new_slot("other-thread-local", 40, LEDGER_REACHABLE);
    reach_start_thread(keep_in_thread_local);
}

static void (*hold_in_plugin_local)(void *pointer);

static void
keep_in_plugin(void)
{
    hold_in_plugin_local(ledger_get_pointer(plugin_slot));
}

/* The thread's block for the module is made in the thread's own arena. */
static void
hold_in_plugin(void)
{
    void *plugin = reach_open_plugin("libreach-plugin.so");
    hold_in_plugin_local = (void (*)(void *))dlsym(plugin, "reach_plugin_hold_in_thread");
    plugin_slot = reach_new_slot("other-plugin-thread-local", 40, LEDGER_REACHABLE);
    reach_start_thread(keep_in_plugin);
}

static void
keep_in_keys(void)
{
    pthread_setspecific(low_key, ledger_get_pointer(low_slot));
    pthread_setspecific(high_key, ledger_get_pointer(high_slot));
}

static void
hold_in_keys(void)
{
    for (unsigned i = 0; i < KEYS; i++) {
        pthread_key_t key;
        reach_require(!pthread_key_create(&key, NULL), "no key");
        if (i == LOW_KEY)
            low_key = key;
        else if (i == HIGH_KEY)
            high_key = key;
    }
    low_slot = reach_new_slot("thread-low-key", 40, LEDGER_REACHABLE);
    high_slot = reach_new_slot("thread-high-key", 40, LEDGER_REACHABLE);
    reach_start_thread(keep_in_keys);
}

static LedgerSlot result_slot;
static atomic_int unjoined_id;

static void *
return_block(void *argument)
{
    (void)argument;
    unjoined_id = (int)syscall(SYS_gettid);
    return ledger_get_pointer(result_slot);
}

/* pthread_join() would still return what the thread did; the thread itself is gone. */
static void
hold_in_unjoined(void)
{
    pthread_t thread;
    result_slot = reach_new_slot("unjoined-result", 40, LEDGER_REACHABLE);
    reach_require(!pthread_create(&thread, NULL, return_block,
                                  reach_new("unjoined-argument", 40, LEDGER_REACHABLE)),
                  "no thread");
    while (!unjoined_id)
        usleep(1000);
    ending_await_gone(unjoined_id);
}

/* Blocks of another arena: kept through main's, keeping one of main's, lost. */
static void **volatile crossing_root;

static void
allocate_in_arena(void)
{
    void **across = ledger_get_pointer(list_slot);
    void **own = reach_new("thread-arena", 600, LEDGER_REACHABLE);
    across[0] = own;
    own[70] = across[1];
    across[1] = NULL;
    void **lost = reach_new("lost-in-thread-arena", 600, LEDGER_LEAK_ROOT);
    lost[10] = reach_new("lost-below-thread-arena", 24, LEDGER_LEAK_INDIRECT);
}

static void
hold_across_arenas(void)
{
    list_slot = reach_new_slot("main-arena", 40, LEDGER_REACHABLE);
    crossing_root = ledger_get_pointer(list_slot);
    crossing_root[1] = reach_new("main-arena-again", 40, LEDGER_REACHABLE);
    reach_start_thread(allocate_in_arena);
}

/* As in reach-freed.c, where the arena's state is no variable of libc's but lies in its heap. */
static void
free_in_arena(void)
{
    char *block = reach_new("before-thread-bin", 24, LEDGER_LEAK_ROOT);
    LedgerSlot next = reach_new_slot("bin-freed", 5000, LEDGER_LEAK_ROOT);
    reach_require(block + malloc_usable_size(block) + 8 == (char *)ledger_get_pointer(next),
                  "no neighbours");
    reach_new("before-thread-top", 24, LEDGER_LEAK_ROOT);
    ledger_free(next);
}

static void
lose_before_thread_bins(void)
{
    reach_start_thread(free_in_arena);
}

const ReachScene reach_threads[] = {
    {"--thread-stack", .build = hold_on_stack},
    {"--thread-registers", .build = hold_in_registers},
    {"--thread-below-sp", .build = lose_below_sp, .loses = true},
    {"--other-thread-local", .build = hold_in_thread_local},
    {"--thread-plugin", .build = hold_in_plugin},
    {"--thread-keys", .build = hold_in_keys},
    {"--unjoined", .build = hold_in_unjoined},
    {"--thread-arena", .build = hold_across_arenas, .loses = true},
    {"--thread-bins", .build = lose_before_thread_bins, .loses = true},
    {0},
};
