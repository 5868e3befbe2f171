/*
 * How the threads of a sample end: without a trace of an address in registers or in the dead part
 * of their stacks, but for what a sample puts there on purpose.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Addresses that must not be seen are stored XOR this. */
#define ENDING_MASK UINT64_C(0xa5c3965a3c6996a5)

/* More than any call of a sample uses, less than the smallest stack that one makes; main's ran
 * ld.so before. */
#define ENDING_SCRUB_THREAD ((size_t)64 * 1024)
#define ENDING_SCRUB_MAIN   ((size_t)512 * 1024)

/* abort(), or with @stop SIGSTOP to the process (and abort() should it ever be continued). */
_Noreturn void ending_die(bool stop);

/* Sleeps forever. */
_Noreturn void ending_park(void);

/*
 * Waits until @threads threads have called ending_park(), or ending_hold() without a signal, and
 * are asleep there: whoever ends the sample earlier may find an address that was not cleared yet.
 */
void ending_await_parked(unsigned threads);

/* Waits until the thread with this id is no more. */
void ending_await_gone(int id);

/* Overwrites the @bytes below the caller's frame, which must be there. */
void ending_scrub(size_t bytes);

/* Clears the vector registers, all that there are; by the psABI a call may change every one. */
void ending_clear_vectors(void);

/* What ending_hold() can fill: registers of x86-64, and words of the stack. */
typedef enum {
    ENDING_RBX,
    ENDING_RBP,
    ENDING_R12,
    ENDING_R13,
    ENDING_R14,
    ENDING_R15,
    ENDING_XMM,      /* xmm8, its low half */
    ENDING_YMM,      /* ymm10, its upper half; only where there is AVX */
    ENDING_ZMM,      /* zmm20; only where there is AVX-512 */
    ENDING_RED_ZONE, /* 64 bytes below SP: a leaf function's own */
    ENDING_BELOW_SP, /* 4096 bytes below SP: nobody's */
    ENDING_PLACES,
} EndingPlace;

/* Each word is masked XOR mask, so that zeroes fill nothing. Must outlive its thread. */
typedef struct {
    uint64_t masked[ENDING_PLACES];
    uint64_t mask[ENDING_PLACES];
} EndingHold;

/* FALSE where this processor has no such register. */
bool ending_has_place(EndingPlace place);

void ending_put(EndingHold *hold, EndingPlace place, const void *pointer);

/*
 * Scrubs @scrub_bytes of the stack, fills the places of @hold, clears every other register, sends
 * @signal (0: none) to the calling thread, and sleeps forever.
 */
_Noreturn void ending_hold(const EndingHold *hold, int signal, size_t scrub_bytes);
