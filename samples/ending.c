/*
 * The last instructions of a sample's threads. On x86-64 they are assembler, because a compiler
 * would save the registers that are to be cleared on the very stack that was scrubbed.
 */
#include "ending.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* More than any call of a sample uses, less than the smallest stack that one makes; main's ran
 * ld.so before. */
#define SCRUB_THREAD_BYTES (64 * 1024)
#define SCRUB_MAIN_BYTES   (512 * 1024)

/* Not memset: binding it to its symbol would save the registers below what it is to clear. */
static __attribute__((noinline)) void
scrub_stack(size_t bytes)
{
    volatile uint64_t *dead = __builtin_alloca(bytes);
    for (size_t i = 0; i < bytes / sizeof *dead; i++)
        dead[i] = 0;
}

#ifdef __x86_64__

/* %rdi keeps the one argument, a boolean; every other register that can hold a pointer is cleared.
 */
#define CLEAR_REGISTERS                                                                            \
    "xor %eax, %eax; xor %ebx, %ebx; xor %ecx, %ecx; xor %edx, %edx; xor %esi, %esi;"              \
    "xor %ebp, %ebp; xor %r8d, %r8d; xor %r9d, %r9d; xor %r10d, %r10d; xor %r11d, %r11d;"          \
    "xor %r12d, %r12d; xor %r13d, %r13d; xor %r14d, %r14d; xor %r15d, %r15d;"                      \
    "pxor %xmm0, %xmm0; pxor %xmm1, %xmm1; pxor %xmm2, %xmm2; pxor %xmm3, %xmm3;"                  \
    "pxor %xmm4, %xmm4; pxor %xmm5, %xmm5; pxor %xmm6, %xmm6; pxor %xmm7, %xmm7;"                  \
    "pxor %xmm8, %xmm8; pxor %xmm9, %xmm9; pxor %xmm10, %xmm10; pxor %xmm11, %xmm11;"              \
    "pxor %xmm12, %xmm12; pxor %xmm13, %xmm13; pxor %xmm14, %xmm14; pxor %xmm15, %xmm15;"

/*
 * getpid, kill(pid, SIGSTOP), then abort(). The upper halves of the vector registers hold no
 * pointer: ledger_tie() stores them one at a time.
 */
static __attribute__((naked, noinline, used)) void
die(__attribute__((unused)) bool stop)
{
    __asm__("sub $8, %rsp; .cfi_adjust_cfa_offset 8;" CLEAR_REGISTERS "test %edi, %edi; jz 1f;"
            "mov $39, %eax; syscall;"
            "mov %eax, %edi; mov $19, %esi; mov $62, %eax; syscall;"
            "1: call abort@PLT; hlt");
}

/* pause(), again and again. */
static __attribute__((naked, noinline, used)) void
park(void)
{
    __asm__("sub $8, %rsp; .cfi_adjust_cfa_offset 8;" CLEAR_REGISTERS "xor %edi, %edi;"
            "1: mov $34, %eax; syscall; jmp 1b");
}

#else

static void
die(bool stop)
{
    if (stop)
        kill(getpid(), SIGSTOP);
    abort();
}

static void
park(void)
{
    for (;;)
        pause();
}

#endif

_Noreturn void
ending_die(bool stop)
{
    scrub_stack(SCRUB_MAIN_BYTES);
    die(stop);
    __builtin_unreachable();
}

_Noreturn void
ending_park(void)
{
    scrub_stack(SCRUB_THREAD_BYTES);
    park();
    __builtin_unreachable();
}
