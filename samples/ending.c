/*
 * The last instructions of a sample's threads. On x86-64 they are assembler, because a compiler
 * would save the registers that are to be cleared on the very stack that was scrubbed.
 */
#include "ending.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_PARKED 1024
#define POLL_USEC  1000

/* The ids of threads that block nowhere any more but in their last sleep. */
static atomic_int parked[MAX_PARKED];
static atomic_uint parked_count;

static void
tell_parked(void)
{
    unsigned slot = atomic_fetch_add(&parked_count, 1);
    if (slot < MAX_PARKED)
        parked[slot] = (int)syscall(SYS_gettid);
}

/* The state letter of /proc/self/task/ID/stat (proc(5)); 'X' where the thread is gone. */
static int
read_state(int id)
{
    char path[64], text[256];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/stat", id);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 'X';
    ssize_t count = read(fd, text, sizeof text - 1);
    close(fd);
    if (count <= 0)
        return 'X';
    text[count] = 0;
    const char *after_name = strrchr(text, ')');
    return after_name && after_name[1] ? after_name[2] : '?';
}

void
ending_await_parked(unsigned threads)
{
    for (unsigned i = 0; i < threads && i < MAX_PARKED; i++) {
        while (!parked[i] || read_state(parked[i]) != 'S')
            usleep(POLL_USEC);
    }
}

void
ending_await_gone(int id)
{
    while (read_state(id) != 'X')
        usleep(POLL_USEC);
}

/* Not memset: binding it to its symbol would save the registers below what it is to clear. */
__attribute__((noinline)) void
ending_scrub(size_t bytes)
{
    volatile uint64_t *dead = __builtin_alloca(bytes);
    for (size_t i = 0; i < bytes / sizeof *dead; i++)
        dead[i] = 0;
}

void
ending_put(EndingHold *hold, EndingPlace place, const void *pointer)
{
    hold->mask[place] = ENDING_MASK;
    hold->masked[place] = (uint64_t)(uintptr_t)pointer ^ ENDING_MASK;
}

#ifdef __x86_64__

#include <cpuid.h>

/*
 * An XSAVE area without any component: to restore it clears the vector registers that the
 * processor has, however many and long they are. MXCSR is always restored (Intel SDM 1, 13.8).
 */
#define XSAVE_BYTES 576
#define MXCSR_AT    24
static __attribute__((aligned(64), used)) unsigned char ending_no_vectors[XSAVE_BYTES] = {
    [MXCSR_AT] = 0x80, [MXCSR_AT + 1] = 0x1f};

/* x87, SSE, AVX and AVX-512; neither MPX nor protection keys. */
static __attribute__((used)) bool ending_has_xsave, ending_has_avx, ending_has_avx512;

static void
find_features(void)
{
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    ending_has_xsave = __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_OSXSAVE);
    ending_has_avx = __builtin_cpu_supports("avx");
    ending_has_avx512 = __builtin_cpu_supports("avx512f");
}

bool
ending_has_place(EndingPlace place)
{
    find_features();
    return place == ENDING_YMM ? ending_has_avx : place == ENDING_ZMM ? ending_has_avx512 : true;
}

/* Uses eax and edx. */
#define CLEAR_VECTORS                                                                              \
    "cmpb $0, ending_has_xsave(%rip); jz 7f;"                                                      \
    "mov $0xe7, %eax; xor %edx, %edx; xrstor ending_no_vectors(%rip); jmp 8f;"                     \
    "7: pxor %xmm0, %xmm0; pxor %xmm1, %xmm1; pxor %xmm2, %xmm2; pxor %xmm3, %xmm3;"               \
    "pxor %xmm4, %xmm4; pxor %xmm5, %xmm5; pxor %xmm6, %xmm6; pxor %xmm7, %xmm7;"                  \
    "pxor %xmm8, %xmm8; pxor %xmm9, %xmm9; pxor %xmm10, %xmm10; pxor %xmm11, %xmm11;"              \
    "pxor %xmm12, %xmm12; pxor %xmm13, %xmm13; pxor %xmm14, %xmm14; pxor %xmm15, %xmm15; 8:"

/* Those that the caller need not keep, but for edi and esi. */
#define CLEAR_SCRATCH                                                                              \
    "xor %eax, %eax; xor %ecx, %ecx; xor %edx, %edx; xor %r8d, %r8d; xor %r9d, %r9d;"              \
    "xor %r10d, %r10d; xor %r11d, %r11d;"

#define CLEAR_KEPT                                                                                 \
    "xor %ebx, %ebx; xor %ebp, %ebp; xor %r12d, %r12d; xor %r13d, %r13d; xor %r14d, %r14d;"        \
    "xor %r15d, %r15d;"

/* The words below the stack pointer that a leaf may use: there lies the frame of what scrubbed the
 * stack below itself, with gaps that nobody wrote. */
#define CLEAR_RED_ZONE  "lea -256(%rsp), %rdi; mov $32, %ecx; xor %eax, %eax; rep stosq;"
#define CLEAR_REGISTERS CLEAR_VECTORS CLEAR_SCRATCH CLEAR_KEPT "xor %esi, %esi;"

static __attribute__((naked, noinline, used)) void
clear_vectors(void)
{
    __asm__(CLEAR_VECTORS "xor %eax, %eax; ret");
}

void
ending_clear_vectors(void)
{
    find_features();
    clear_vectors();
}

/* getpid, kill(pid, SIGSTOP), then abort(). */
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
    __asm__("sub $8, %rsp; .cfi_adjust_cfa_offset 8;" CLEAR_RED_ZONE CLEAR_REGISTERS
            "xor %edi, %edi;"
            "1: mov $34, %eax; syscall; jmp 1b");
}

/* PLACE * 8 bytes into each of the two arrays of an EndingHold, which %rdi points to. */
#define LOAD(place, to) "mov 8*" #place "(%rdi), " to "; xor 88+8*" #place "(%rdi), " to ";"
#define LOAD_VECTOR(v, place, masked, mask)                                                        \
    v "movq 8*" #place "(%rdi), " masked "; " v "movq 88+8*" #place "(%rdi), " mask ";"

_Static_assert(ENDING_XMM == 6 && ENDING_RED_ZONE == 9, "the assembler knows the places");
_Static_assert(offsetof(EndingHold, mask) == 88, "the assembler knows the offset");

#define FILL_KEPT LOAD(0, "%rbx") LOAD(1, "%rbp") LOAD(2, "%r12") LOAD(3, "%r13") LOAD(4, "%r14")
#define FILL_LAST LOAD(5, "%r15")

#define FILL_XMM                                                                                   \
    LOAD_VECTOR("", 6, "%xmm8", "%xmm9")                                                           \
    "pxor %xmm9, %xmm8; pxor %xmm9, %xmm9; cmpb $0, ending_has_avx(%rip); jz 3f;"

/* vperm2f128 with 8: the low half to the upper one, zeroes to the low one. */
#define FILL_YMM                                                                                   \
    LOAD_VECTOR("v", 7, "%xmm10", "%xmm11")                                                        \
    "vpxor %xmm11, %xmm10, %xmm10; vpxor %xmm11, %xmm11, %xmm11;"                                  \
    "vperm2f128 $0x08, %ymm10, %ymm10, %ymm10; cmpb $0, ending_has_avx512(%rip); jz 3f;"

#define FILL_ZMM                                                                                   \
    LOAD_VECTOR("v", 8, "%xmm20", "%xmm21")                                                        \
    "vpxorq %zmm21, %zmm20, %zmm20; vpxorq %zmm21, %zmm21, %zmm21; 3:"

#define FILL_STACK LOAD(9, "%rax") "mov %rax, -64(%rsp);" LOAD(10, "%rax") "mov %rax, -4096(%rsp);"

/* getpid, gettid, tgkill(pid, tid, %esi) */
#define SEND_SIGNAL                                                                                \
    "mov $39, %eax; syscall; mov %eax, %r9d; mov $186, %eax; syscall;"                             \
    "mov %r9d, %edi; mov %esi, %edx; mov %eax, %esi; mov $234, %eax; syscall;"

/* The signal, but for 0; then pause(), again and again. */
static __attribute__((naked, noinline, used)) void
hold_places(__attribute__((unused)) const EndingHold *hold, __attribute__((unused)) int signal)
{
    __asm__("sub $8, %rsp; .cfi_adjust_cfa_offset 8;" CLEAR_VECTORS FILL_KEPT FILL_LAST FILL_XMM
                FILL_YMM FILL_ZMM FILL_STACK CLEAR_SCRATCH
            "xor %edi, %edi; test %esi, %esi; jz 4f;" SEND_SIGNAL
            "xor %edi, %edi; xor %esi, %esi; xor %edx, %edx;"
            "4: mov $34, %eax; syscall; jmp 4b");
}

#else

static void
find_features(void)
{
}

void
ending_clear_vectors(void)
{
}

bool
ending_has_place(EndingPlace place)
{
    (void)place;
    return false;
}

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

static void
hold_places(const EndingHold *hold, int signal)
{
    (void)hold;
    if (signal)
        syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal);
    park();
}

#endif

_Noreturn void
ending_die(bool stop)
{
    find_features();
    ending_scrub(ENDING_SCRUB_MAIN);
    die(stop);
    __builtin_unreachable();
}

_Noreturn void
ending_park(void)
{
    tell_parked();
    find_features();
    ending_scrub(ENDING_SCRUB_THREAD);
    park();
    __builtin_unreachable();
}

_Noreturn void
ending_hold(const EndingHold *hold, int signal, size_t scrub_bytes)
{
    if (!signal)
        tell_parked();
    find_features();
    ending_scrub(scrub_bytes);
    hold_places(hold, signal);
    __builtin_unreachable();
}
