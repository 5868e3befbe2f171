/*
 * Case 7 (the crash that was a heap overflow): one way after another to damage a heap, each told on
 * standard output as the word that `check` has for it and the address that it must name.
 *
 * Usage: case7 KIND [OPTIONS OF ledger.h]
 *
 *   overflow         a write past the end, over the header of the next chunk
 *   off-by-one       a zero byte past the end, into the next chunk's size of what is free
 *   use-after-free   into the link of a chunk in a tcache bin
 *   fastbin          into the link of a chunk in a fastbin
 *   unsorted         into the back link of a chunk in the unsorted bin
 *   double-free      twice into the same tcache bin, the key overwritten between
 *   top              a write past the end of the last chunk, over the size of top
 *   none             no damage
 *
 * What is damaged is freed or written with glibc 2.26 or later in mind (tcache).
 */
#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SMALL_BLOCKS 64
#define SMALL_BYTES  40
#define LARGE_BYTES  2000

static char *small[SMALL_BLOCKS];
static char *large;

/* Says what `check` has to say. */
static void
expect(const char *code, const void *address)
{
    char line[80];
    int length = snprintf(line, sizeof line, "%s %p\n", code, address);
    if (write(STDOUT_FILENO, line, (size_t)length) != length)
        abort();
}

static void
overflow(void)
{
    memset(small[10], 'X', SMALL_BYTES + 24);
    expect("chunk-size", small[11]);
}

static void
off_by_one(void)
{
    free(large);
    /* prev_size of the chunk behind, the last word that the free chunk may use. */
    large[LARGE_BYTES] = 0;
    expect("prev-size", large + LARGE_BYTES + 16);
}

/* Overwrites the link in @chunk with what is unaligned however it is read: as it stands, or masked
 * with its position (2.32 and later). */
static void
spoil_link(char *chunk)
{
    uintptr_t mask = ((uintptr_t)chunk >> 12) & 15;
    memset(chunk, 'A', 8);
    chunk[0] = mask == 1 ? 'B' : 'A';
}

static void
use_after_free(void)
{
    free(small[3]);
    free(small[4]);
    spoil_link(small[4]);
    expect("tcache-unaligned", small[4]);
}

static void
fastbin(void)
{
    for (int i = 0; i < 20; i++)
        free(small[i]);
    spoil_link(small[15]);
    expect("fastbin-unaligned", small[15]);
}

static void
unsorted(void)
{
    free(large);
    memset(large + 8, 'C', 8);
    expect("bin-back-link", large);
}

static void
double_free(void)
{
    free(small[5]);
    memset(small[5] + 8, 0, 8);
    free(small[5]);
    expect("tcache-repeated", small[5]);
}

static void
top(void)
{
    /* A request that ends where its chunk may be used, right before the size of what follows. */
    size_t bytes = 5000;
    char *volatile last = malloc(bytes);
    memset(last + bytes, 0xff, 8);
    expect("top-size", last + bytes + 8);
}

static void
none(void)
{
}

typedef struct {
    const char *name;
    void (*damage)(void);
} Kind;

static const Kind kinds[] = {
    {"overflow", overflow},
    {"off-by-one", off_by_one},
    {"use-after-free", use_after_free},
    {"fastbin", fastbin},
    {"unsorted", unsorted},
    {"double-free", double_free},
    {"top", top},
    {"none", none},
};

int
main(int argc, char **argv)
{
    LedgerOptions options = {.seed = 1};
    const Kind *kind = NULL;
    for (int i = 1; i < argc; i++) {
        if (ledger_parse_option(&options, argc, argv, &i))
            continue;
        for (size_t j = 0; j < sizeof kinds / sizeof *kinds; j++) {
            if (strcmp(argv[i], kinds[j].name) == 0)
                kind = &kinds[j];
        }
    }
    if (!kind)
        ledger_usage("KIND");
    ledger_open(&options);
    for (int i = 0; i < SMALL_BLOCKS; i++) {
        small[i] = malloc(SMALL_BYTES);
        memset(small[i], 'a' + i % 26, SMALL_BYTES);
    }
    large = malloc(LARGE_BYTES);
    /* Keeps the large block from top. */
    if (!large || !malloc(24))
        abort();
    kind->damage();
    ledger_finish(&options);
}
