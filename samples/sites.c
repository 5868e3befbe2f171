/*
 * A program of allocation sites (sites.h); it aborts without having run most of them, since what
 * matters is what its code says.
 */
#include "sites.h"

#include <malloc.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *volatile site_sink;
volatile size_t site_number = 1;
volatile int site_choice;

/* What a compiler must take to change anything that it is shown. */
SITE void
touch(void *pointer)
{
    __asm__ volatile("" : : "r"(pointer) : "memory");
}

SITE void
other_call(void)
{
    __asm__ volatile("" : : : "memory");
}

SITE __attribute__((noreturn)) void
die(void)
{
    abort();
}

/* Every allocator by its name. */

SITE void
s01_is_24(void)
{
    site_sink = malloc(24);
}

SITE void
s02_is_240(void)
{
    site_sink = calloc(10, 24);
}

SITE void
s03_is_56(void)
{
    site_sink = realloc(site_sink, 56);
}

SITE void
s04_is_72(void)
{
    site_sink = reallocarray(site_sink, 6, 12);
}

SITE void
s05_is_88(void)
{
    site_sink = memalign(64, 88);
}

SITE int
s06_is_104(void)
{
    void *block = NULL;
    int status = posix_memalign(&block, 64, 104);
    site_sink = block;
    return status;
}

SITE void
s07_is_128(void)
{
    site_sink = aligned_alloc(32, 128);
}

SITE void
s08_is_136(void)
{
    site_sink = valloc(136);
}

SITE void
s09_is_152(void)
{
    site_sink = pvalloc(152);
}

SITE void
s10_is_15(void)
{
    site_sink = strdup("fourteen bytes");
}

SITE void
s11_in_1_21(void)
{
    site_sink = strndup(site_sink, 20);
}

SITE void
s12_unknown(void)
{
    site_sink = strdup(site_sink);
}

/* Ways to call. */

SITE void *
s13_is_168(void)
{
    return malloc(168);
}

SITE void
s14_is_216(void)
{
    for (size_t i = site_number; i > 0; i--)
        site_sink = malloc(216);
}

SITE void
s15_is_1048576(void)
{
    site_sink = malloc(1 << 20);
}

SITE void
s16_is_0(void)
{
    site_sink = malloc(0); /* NOLINT: that is the point */
}

SITE void
s17_is_4294967320(void)
{
    site_sink = malloc(4294967320u + (size_t)0);
}

/* Constants that take some arithmetic, at -O0 at least. */

struct record {
    uint64_t words[13];
    uint32_t tail;
};

SITE void
s18_is_112(void)
{
    site_sink = malloc(sizeof(struct record));
}

SITE void
s19_is_424(void)
{
    size_t count = 13;
    size_t bytes = count * 32;
    bytes += 8;
    site_sink = malloc(bytes);
}

SITE void
s20_is_64(void)
{
    unsigned bits = 3;
    site_sink = malloc(8ul << bits);
}

SITE void
s21_is_344(void)
{
    int count = 43;
    site_sink = calloc((size_t)count, sizeof(uint64_t));
}

/* One of several. */

SITE void
s22_is_16_or_48(void)
{
    site_sink = malloc(site_choice ? 16 : 48);
}

SITE void
s23_is_40_or_80(void)
{
    size_t size = 40;
    if (site_choice > 3)
        size = 80;
    other_call();
    site_sink = malloc(size);
}

SITE void
s24_is_32_or_64_or_96(void)
{
    size_t size = 0;
    switch (site_choice) {
    case 0:
        size = 32;
        break;
    case 1:
        size = 64;
        break;
    default:
        size = 96;
        break;
    }
    site_sink = malloc(size);
}

/* Many cases make a jump table. */
SITE void
s25_in_100_171(void)
{
    size_t size = 100;
    switch (site_choice) {
    case 10:
        size = 117;
        other_call();
        break;
    case 11:
        size = 123;
        break;
    case 12:
        size = 131;
        break;
    case 13:
        size = 144;
        other_call();
        break;
    case 14:
        size = 158;
        break;
    case 15:
        size = 171;
        break;
    default:
        break;
    }
    site_sink = malloc(size);
}

/* Bounds. */

SITE void
s26_in_0_63(void)
{
    site_sink = malloc(site_number & 63);
}

SITE void
s27_in_0_255(void)
{
    site_sink = malloc((uint8_t)site_number);
}

SITE void
s28_in_0_100(void)
{
    size_t size = site_number;
    if (size <= 100)
        site_sink = malloc(size);
}

SITE void
s29_is_200(void)
{
    size_t size = site_number;
    if (size == 200)
        site_sink = malloc(size);
}

/* What must not be guessed. */

SITE void
s30_multiple_8(void)
{
    for (size_t i = 0; i < site_number; i++)
        site_sink = malloc(i * 8); /* NOLINT: the first is of 0 */
}

SITE void
s31_unknown(void)
{
    size_t size = 296;
    touch(&size);
    site_sink = malloc(size);
}

struct request {
    size_t alignment;
    size_t size;
};

SITE void
s32_unknown(void)
{
    struct request request = {16, 312};
    touch(&request);
    site_sink = malloc(request.size);
}

SITE void
s33_unknown(void)
{
    size_t sizes[4] = {1, 2, 3, 328};
    for (size_t i = 0; i < 4; i++)
        sizes[(i + site_number) & 3] += site_number;
    __asm__ volatile("" : : "r"(sizes) : "memory");
    site_sink = malloc(sizes[3]);
}

SITE void
s34_unknown(void)
{
    site_sink = malloc(site_number * 8);
}

SITE void
s35_unknown(void)
{
    site_sink = calloc(site_number, 8);
}

/* A loop that changes what a register holds, out of the sight of anything but the loop. */
SITE void
s36_unknown(size_t count)
{
    size_t size = 352;
    do {
        __asm__ volatile("add %1, %0" : "+r"(size) : "r"(site_number));
    } while (count-- > 0);
    site_sink = malloc(size);
}

/*
 * Hand-written: between the constant and the call stand a call, which may change every register
 * that it is passed in; an instruction that disassemblers did not know for long (rdsspq); and one
 * that does not exist.
 */
void s37_unknown(void);
void s38_unknown(void);
void s39_unknown(void);
void s40_is_376(void);
#ifdef __PIC__
#define CALL_MALLOC "call malloc@PLT\n"
#else
#define CALL_MALLOC "call malloc\n"
#endif
__asm__(".text\n"
        ".globl s37_unknown, s38_unknown, s39_unknown, s40_is_376\n"
        ".type s37_unknown, @function\n"
        "s37_unknown:\n"
        ".cfi_startproc\n"
        "sub $8, %rsp\n"
        "mov $392, %esi\n"
        "mov $400, %edi\n"
        "call other_call\n"
        "mov %rsi, %rdi\n" CALL_MALLOC "add $8, %rsp\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size s37_unknown, . - s37_unknown\n"
        ".type s38_unknown, @function\n"
        "s38_unknown:\n"
        ".cfi_startproc\n"
        "sub $8, %rsp\n"
        "mov $408, %edi\n"
        ".byte 0xf3, 0x48, 0x0f, 0x1e, 0xc8\n" CALL_MALLOC "add $8, %rsp\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size s38_unknown, . - s38_unknown\n"
        ".type s39_unknown, @function\n"
        "s39_unknown:\n"
        ".cfi_startproc\n"
        "sub $8, %rsp\n"
        "mov $416, %edi\n"
        ".byte 0x0f, 0xff, 0x06, 0x0f, 0x0a\n" CALL_MALLOC "add $8, %rsp\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size s39_unknown, . - s39_unknown\n"
        /* After rdsspq, whose length is known, what is said anew holds again. Nothing describes
         * this one's frame. */
        ".type s40_is_376, @function\n"
        "s40_is_376:\n"
        "push %rbx\n"
        ".byte 0xf3, 0x48, 0x0f, 0x1e, 0xc8\n"
        "mov $376, %edi\n" CALL_MALLOC "pop %rbx\n"
        "ret\n"
        ".size s40_is_376, . - s40_is_376\n");

/* Wrappers. */

SITE void *
xmalloc(size_t size)
{
    void *block = malloc(size);
    if (!block)
        die();
    return block;
}

SITE void *
xcalloc(size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes))
        die();
    return memset(xmalloc(bytes), 0, bytes);
}

SITE void *
xzalloc(size_t size)
{
    return xcalloc(1, size);
}

SITE void *
xrealloc(void *block, size_t size)
{
    if (size == 0)
        size = 1;
    void *moved = block ? realloc(block, size) : malloc(size);
    if (!moved)
        die();
    return moved;
}

SITE void *
with_header(size_t size)
{
    size_t *block = malloc(size + 16);
    if (!block)
        return NULL;
    block[0] = size;
    return block + 2;
}

SITE void *
words(size_t count)
{
    return malloc(count * 8);
}

SITE void *
triples(size_t count)
{
    return malloc(count * 24);
}

SITE void *
at_least(size_t size)
{
    if (size < 424)
        size = 424;
    return malloc(size);
}

SITE void *
rounded(size_t size)
{
    return malloc((size + 15) & ~(size_t)15);
}

SITE void *
of_int(int size)
{
    return malloc((size_t)size);
}

SITE void *
of_unsigned_int(unsigned count)
{
    return calloc(count, 16);
}

SITE void *
pool_alloc(void *pool, size_t size)
{
    touch(pool);
    return malloc(size);
}

SITE void *
debug_malloc(const char *file, int line, const char *function, size_t size)
{
    void *block = xmalloc(size);
    touch((void *)file);
    touch((void *)function);
    touch(&line);
    return block;
}

static SITE void *
local_alloc(size_t size)
{
    return xmalloc(size + 1);
}

struct vector {
    void *data;
    size_t count;
};

/* It keeps what it allocates. */
SITE void
vector_init(struct vector *vector, size_t count)
{
    vector->data = malloc(count * 8);
    vector->count = count;
}

/* Nor this: what its caller asks for is not always what it asks for. */
SITE void *
s42_unknown(const size_t *size, size_t twice)
{
    if (*size < twice)
        return malloc(twice * 2);
    return malloc(*size);
}

SITE void
s43_is_184(void)
{
    site_sink = xmalloc(184);
}

SITE void *
s44_is_360(void)
{
    return xcalloc(4, 90);
}

SITE void *
s45_is_368(void)
{
    return xzalloc(368);
}

SITE void
s46_is_440(void)
{
    site_sink = xrealloc(site_sink, 440);
}

SITE void
s47_is_1(void)
{
    site_sink = xrealloc(site_sink, 0);
}

SITE void
s48_is_456(void)
{
    site_sink = with_header(440);
}

SITE void
s49_is_472(void)
{
    site_sink = words(59);
}

SITE void
s50_is_480(void)
{
    site_sink = triples(20);
}

SITE void
s51_is_424(void)
{
    site_sink = at_least(10);
}

SITE void
s52_is_1000(void)
{
    site_sink = at_least(1000);
}

SITE void
s53_is_496(void)
{
    site_sink = rounded(483);
}

SITE void
s54_is_504(void)
{
    site_sink = of_int(504);
}

SITE void
s55_is_528(void)
{
    site_sink = of_unsigned_int(33);
}

SITE void
s56_is_536(void)
{
    site_sink = pool_alloc(site_sink, 536);
}

SITE void
s57_is_552(void)
{
    site_sink = debug_malloc(__FILE__, __LINE__, __func__, 552);
}

SITE void
s58_is_568(void)
{
    site_sink = local_alloc(567);
}

SITE void
s59_is_568(void)
{
    struct vector vector;
    vector_init(&vector, 71);
    site_sink = vector.data;
}

SITE void
s60_unknown(void)
{
    size_t size = site_number;
    site_sink = s42_unknown(&size, 73);
    site_sink = malloc(size * 4);
}

SITE void
s61_is_584(void)
{
    site_sink = lib_alloc(584);
}

SITE void
s62_is_600(void)
{
    site_sink = lib_zalloc(600);
}

SITE void
s63_is_616(void)
{
    site_sink = lib_array(7, 88);
}

SITE void
s64_is_192_or_384(void)
{
    site_sink = xcalloc(site_choice ? 8 : 16, 24);
}

/* What stands in the unlikely part, with a size from the likely one. */
SITE void
s65_is_632_or_648(void)
{
    size_t size = site_choice ? 632 : 648;
    __asm__ volatile("" : : : "memory");
    if (__builtin_expect(site_choice == 77, 0)) {
        site_sink = malloc(size);
        die();
    }
}

/* A call that does not return between two sites. */
SITE void
s66_is_664_or_680(void)
{
    if (site_choice == 5) {
        site_sink = malloc(664);
        abort();
    }
    site_sink = malloc(680);
}

/* Kept over calls, in a register that they leave alone or on the stack. */
SITE void
s67_is_696_or_712(void)
{
    size_t size = site_choice ? 696 : 712;
    other_call();
    site_sink = malloc(size);
    other_call();
    site_sink = calloc(1, size);
}

struct tagged {
    struct tagged *next;
    uint16_t kind;
    void (*release)(void);
    uint64_t numbers[87];
};

/* What its code writes to it before it is published. */
SITE void
s68_is_720(void)
{
    struct tagged *tagged = xcalloc(1, sizeof *tagged);
    tagged->kind = 0x1107;
    tagged->release = other_call;
    site_sink = tagged;
}

/* Has the kernel dump code, too (core(5)). */
static void
dump_everything(void)
{
    FILE *filter = fopen("/proc/self/coredump_filter", "w");
    if (!filter)
        return;
    (void)fputs("0x7f", filter);
    (void)fclose(filter);
}

int
main(int argc, char **argv)
{
    const char *end = getenv("POSTMALLOC_END");
    if (argc > 1 && !strcmp(argv[1], "--dump-code"))
        dump_everything();
    s01_is_24();
    s43_is_184();
    s61_is_584();
#ifdef WITH_CXX
    sites_cxx();
#endif
#ifdef WITH_GLIB
    sites_glib();
#endif
    if (end && !strcmp(end, "STOP"))
        (void)raise(SIGSTOP);
    abort();
}
