/*
 * Scenes of the sample reach: threads whose stack pointer is not where their stack is.
 */
#include "reach.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK_BYTES        ((size_t)256 * 1024)
#define MALLOC_STACK_BYTES ((size_t)100 * 1024)

/* A frame on the alternate stack, above one on the thread's own. */
static LedgerSlot interrupted_slot, handler_slot;
static EndingHold no_hold;

static void
use_alternate_stack(void *stack, int number, void (*handler)(int))
{
    const stack_t alternate = {.ss_sp = stack, .ss_size = STACK_BYTES};
    const struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    reach_require(!sigaltstack(&alternate, NULL) && !sigaction(number, &action, NULL),
                  "no alternate stack");
}

static void
park_in_handler(int number)
{
    (void)number;
    void *held = ledger_get_pointer(handler_slot);
    REACH_KEEP_IN_FRAME(held);
    reach_park();
}

static void
be_interrupted(void)
{
    void *held = ledger_get_pointer(interrupted_slot);
    REACH_KEEP_IN_FRAME(held);
    use_alternate_stack(reach_map(STACK_BYTES), SIGUSR1, park_in_handler);
    ending_hold(&no_hold, SIGUSR1, ENDING_SCRUB_THREAD);
}

static void
hold_in_handler(void)
{
    interrupted_slot = reach_new_slot("interrupted-stack", 40, LEDGER_REACHABLE);
    handler_slot = reach_new_slot("alternate-stack", 40, LEDGER_REACHABLE);
    reach_start_thread(be_interrupted);
}

/* The same for the main thread, as where a program reports its own crash. */
static uint64_t interrupted_hidden, handler_hidden;

static void
end_in_handler(int number)
{
    (void)number;
    void *held = reach_show(handler_hidden);
    REACH_KEEP_IN_FRAME(held);
    ending_hold(&no_hold, reach_signal, ENDING_SCRUB_THREAD);
}

static void
prepare_crash(void)
{
    interrupted_hidden = reach_hide(reach_new("main-interrupted-stack", 40, LEDGER_REACHABLE));
    handler_hidden = reach_hide(reach_new("main-alternate-stack", 40, LEDGER_REACHABLE));
}

static void
crash(void)
{
    void *held = reach_show(interrupted_hidden);
    REACH_KEEP_IN_FRAME(held);
    use_alternate_stack(reach_map(STACK_BYTES), SIGUSR2, end_in_handler);
    ending_hold(&no_hold, SIGUSR2, ENDING_SCRUB_MAIN);
}

/* Fibres that are asleep: their registers are in a context in .bss, their stack is a mapping that
 * nobody can tell from a pool, or a block. */
static ucontext_t main_context, mapped_context, block_context;
static LedgerSlot mapped_slot, block_slot;

static __attribute__((noinline)) void
sleep_in_fibre(const LedgerSlot *slot, ucontext_t *context)
{
    void *held = ledger_get_pointer(*slot);
    REACH_KEEP_IN_FRAME(held);
    REACH_CLEAR_REGISTERS();
    swapcontext(context, &main_context);
}

static void
run_mapped_fibre(void)
{
    sleep_in_fibre(&mapped_slot, &mapped_context);
}

static void
run_block_fibre(void)
{
    sleep_in_fibre(&block_slot, &block_context);
}

static void
prepare_fibre(ucontext_t *context, void *stack, size_t bytes, void (*run)(void))
{
    reach_require(!getcontext(context), "no context");
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = bytes;
    context->uc_link = NULL;
    makecontext(context, run, 0);
}

static void
hold_on_mapped_fibre(void)
{
    mapped_slot = reach_new_slot("mapped-fibre", 40, LEDGER_REACHABLE_WEAK);
    prepare_fibre(&mapped_context, reach_map(STACK_BYTES), STACK_BYTES, run_mapped_fibre);
    REACH_CLEAR_REGISTERS();
    swapcontext(&main_context, &mapped_context);
}

static void
hold_on_block_fibre(void)
{
    block_slot = reach_new_slot("block-fibre", 40, LEDGER_REACHABLE);
    prepare_fibre(&block_context,
                  reach_new("block-fibre-stack", MALLOC_STACK_BYTES, LEDGER_REACHABLE),
                  MALLOC_STACK_BYTES, run_block_fibre);
    REACH_CLEAR_REGISTERS();
    swapcontext(&main_context, &block_context);
}

/* A fibre that runs when the sample ends: SP is in its stack, and main's own is as good as live. */
static ucontext_t left_context, running_context;
static uint64_t left_hidden, running_hidden;

static void
end_in_fibre(void)
{
    void *held = reach_show(running_hidden);
    REACH_KEEP_IN_FRAME(held);
    ending_hold(&no_hold, reach_signal, ENDING_SCRUB_THREAD);
}

static void
prepare_running(void *stack, size_t bytes)
{
    left_hidden = reach_hide(reach_new("left-stack", 40, LEDGER_REACHABLE));
    running_hidden = reach_hide(reach_new("running-fibre", 40, LEDGER_REACHABLE));
    prepare_fibre(&running_context, stack, bytes, end_in_fibre);
}

static void
prepare_running_mapped(void)
{
    prepare_running(reach_map(STACK_BYTES), STACK_BYTES);
}

static void
prepare_running_block(void)
{
    prepare_running(reach_new("running-fibre-stack", MALLOC_STACK_BYTES, LEDGER_REACHABLE),
                    MALLOC_STACK_BYTES);
}

static void
run_fibre(void)
{
    void *held = reach_show(left_hidden);
    REACH_KEEP_IN_FRAME(held);
    ending_scrub(ENDING_SCRUB_MAIN);
    REACH_CLEAR_REGISTERS();
    swapcontext(&left_context, &running_context);
}

const ReachScene reach_stacks[] = {
    {"--handler", .build = hold_in_handler},
    {"--crash-handler", .build = prepare_crash, .end = crash},
    {"--mapped-fibre", .build = hold_on_mapped_fibre},
    {"--block-fibre", .build = hold_on_block_fibre},
    {"--running-mapped-fibre", .build = prepare_running_mapped, .end = run_fibre},
    {"--running-block-fibre", .build = prepare_running_block, .end = run_fibre},
    {0},
};
