/*
 * The parts of the sample reach, which builds what a leak scan must tell apart. Every scene is a
 * few blocks and what holds them, each row of the ledger with its class and a name.
 *
 * A scene leaves no address anywhere but where it means to: blocks are filled, addresses that are
 * needed later are slots, threads end in reach_park().
 */
#pragma once

#include "ending.h"
#include "ledger.h"

/*
 * @build: leaves the scene behind; runs on the main thread.
 * @finish: (optional): what has to come after the last allocation of all; allocates nothing itself.
 * @end: (optional): how the sample ends, in place of main's own way; at most one of a run. The
 * ledger is closed by then.
 * @loses: some of its blocks are lost.
 */
typedef struct {
    const char *option;
    void (*build)(void);
    void (*finish)(void);
    void (*end)(void);
    bool loses;
} ReachScene;

/* Each ends with a row whose option is NULL. */
extern const ReachScene reach_shapes[];
extern const ReachScene reach_freed[];
extern const ReachScene reach_holders[];
extern const ReachScene reach_threads[];
extern const ReachScene reach_stacks[];

/* What main's registers and dead stack hold at the end, and whether that is anything. */
extern EndingHold reach_hold;
extern bool reach_hold_used;

/* The signal that ends the sample: SIGABRT or SIGSTOP. */
extern int reach_signal;

/* A block of @bytes zeroes; more than half of a word is for pointers. The program ends where there
 * is none. */
void *reach_new(const char *name, size_t bytes, LedgerReach reach);

/* The same, where the address is to be had later and not now. */
LedgerSlot reach_new_slot(const char *name, size_t bytes, LedgerReach reach);

/* Ends the program with status 3 and @text where @condition does not hold. */
void reach_require(bool condition, const char *text);

/* Ends the program where @block is not the last one below the top of the main heap. */
void reach_require_top(const void *block);

/* An address that must not be seen, and the way back. */
static inline uint64_t
reach_hide(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer ^ ENDING_MASK;
}

static inline void *
reach_show(uint64_t hidden)
{
    return (void *)(uintptr_t)(hidden ^ ENDING_MASK);
}

/*
 * Starts a thread that calls @body and then clears up and sleeps forever. A body that is to leave a
 * frame or registers behind calls one of the next two instead of coming back. The sample does not
 * end before all of them sleep.
 */
void reach_start_thread(void (*body)(void));
_Noreturn void reach_park(void);
_Noreturn void reach_hold_and_park(const EndingHold *hold);

/* dlopen() of a file that lies beside the program. */
void *reach_open_plugin(const char *name);

/* Private anonymous memory with an inaccessible page before and after it. */
void *reach_map(size_t bytes);

/* Writes a local variable to its place in the frame, where it stays as long as the call lasts. */
#define REACH_KEEP_IN_FRAME(variable) __asm__ volatile("" : : "m"(variable))

/*
 * Clears the registers that the surrounding function may have put an address into, those that a
 * call keeps as well.
 */
#ifdef __x86_64__
#define REACH_CLEAR_REGISTERS()                                                                    \
    __asm__ volatile("xor %%eax, %%eax; xor %%ecx, %%ecx; xor %%edx, %%edx; xor %%esi, %%esi;"     \
                     "xor %%edi, %%edi; xor %%r8d, %%r8d; xor %%r9d, %%r9d; xor %%r10d, %%r10d;"   \
                     "xor %%r11d, %%r11d; xor %%ebx, %%ebx; xor %%r12d, %%r12d;"                   \
                     "xor %%r13d, %%r13d; xor %%r14d, %%r14d; xor %%r15d, %%r15d"                  \
                     :                                                                             \
                     :                                                                             \
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "rbx", "r12",  \
                       "r13", "r14", "r15", "memory", "cc")
#else
#define REACH_CLEAR_REGISTERS() ((void)0)
#endif
