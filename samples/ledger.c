/*
 * The ledger of a sample: rows, options, contents. How a sample ends is in ending.c. Nothing here
 * allocates, so that every chunk in the heap is the sample's own or glibc's.
 */
#include "ledger.h"

#include "ending.h"

#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KEPT_SMALL  65536
#define EDGE_BYTES  64
#define EDGES_ABOVE 16384

typedef struct {
    const char *name;
    uint64_t masked; /* the address XOR ENDING_MASK: no aligned word of the core shall equal one */
    uint64_t requested_bytes;
    uint64_t usable_bytes;
    uint8_t kind;
    uint8_t place;
    uint8_t reach;
    bool live;
} Row;

/* Header bits of malloc_chunk.size; the same in every glibc since 2.3. */
#define PLACE_MMAPPED  2
#define PAGE_BYTES     4096
#define IS_MMAPPED     2u
#define NON_MAIN_ARENA 4u

static const char *const kind_names[] = {"malloc", "calloc", "realloc", "memalign"};
static const char *const place_names[] = {"main", "thread", "mmapped"};
static const char *const reach_names[] = {"leak-root", "leak-cycle",         "leak-indirect",
                                          "reachable", "reachable-interior", "reachable-weak"};

static int ledger_fd = -1;
static char buffer[65536];
static size_t buffered;

static Row *table;
static size_t table_rows;
static atomic_size_t table_used;

static uint64_t rows_told;
static uint64_t mapped_bytes;

/* The roots of what is reachable; volatile, or the compiler drops what nobody reads. */
static void *kept_list;
static void *volatile kept_small[KEPT_SMALL];

_Noreturn void
ledger_usage(const char *argument)
{
    static const char text[] =
        ": not understood; samples/ledger.h and the top of the sample list the options\n";
    if (argument)
        (void)!write(STDERR_FILENO, argument, strlen(argument));
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(2);
}

_Noreturn static void
fail(const char *text)
{
    (void)!write(STDERR_FILENO, text, strlen(text));
    _exit(3);
}

uint64_t
ledger_parse_number(int argc, char **argv, int *index)
{
    if (*index + 1 >= argc)
        ledger_usage(argv[*index]);
    const char *text = argv[++*index];
    char *end = NULL;
    errno = 0;
    uint64_t value = strtoull(text, &end, 0);
    if (errno || end == text || *text == '-')
        ledger_usage(text);
    if (*end == 'K')
        value <<= 10, end++;
    else if (*end == 'M')
        value <<= 20, end++;
    if (*end)
        ledger_usage(text);
    return value;
}

static void
set_mallopt(int parameter, uint64_t value)
{
    if (value > INT32_MAX || !mallopt(parameter, (int)value))
        fail("mallopt refused the value\n");
}

bool
ledger_parse_option(LedgerOptions *options, int argc, char **argv, int *index)
{
    const char *name = argv[*index];
    if (!strcmp(name, "--printf"))
        options->printf = true;
    else if (!strcmp(name, "--seed"))
        options->seed = ledger_parse_number(argc, argv, index);
    else if (!strcmp(name, "--mmap-threshold"))
        set_mallopt(M_MMAP_THRESHOLD, ledger_parse_number(argc, argv, index));
    else if (!strcmp(name, "--top-pad"))
        set_mallopt(M_TOP_PAD, ledger_parse_number(argc, argv, index));
    else if (!strcmp(name, "--arena-max"))
        set_mallopt(M_ARENA_MAX, ledger_parse_number(argc, argv, index));
    else if (!strcmp(name, "--ledger") && *index + 1 < argc)
        options->ledger = argv[++*index];
    else if (!strcmp(name, "--end") && *index + 1 < argc) {
        name = argv[++*index];
        options->end = !strcmp(name, "stop") ? LEDGER_END_STOP : LEDGER_END_ABORT;
        if (options->end == LEDGER_END_ABORT && strcmp(name, "abort") != 0)
            ledger_usage(name);
    } else
        return false;
    return true;
}

static void
flush(void)
{
    size_t done = 0;
    while (done < buffered) {
        ssize_t count = write(ledger_fd, buffer + done, buffered - done);
        if (count < 0)
            fail("the ledger cannot be written\n");
        done += (size_t)count;
    }
    buffered = 0;
}

static void
put_text(const char *text)
{
    while (*text) {
        if (buffered == sizeof buffer)
            flush();
        buffer[buffered++] = *text++;
    }
}

static void
put_number(uint64_t number, unsigned base)
{
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = 0;
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    put_text(digits + at);
}

static void
put_field(const char *name, uint64_t number)
{
    put_text(name);
    put_number(number, 10);
}

/*
 * The bytes of the mapping that an mmapped block has to itself: prev_size is the distance from its
 * start; since 2.43 two words follow the end that size gives (PTMALLOC.md, section 4).
 */
static uint64_t
get_mapping_bytes(const size_t *pointer)
{
    uint64_t bytes = (pointer[-2] & ~(size_t)7) + (pointer[-1] & ~(size_t)7);
    if (bytes % PAGE_BYTES)
        bytes += 2 * sizeof(size_t);
    if (bytes % PAGE_BYTES)
        fail("an mmapped block of a kind that the ledger does not know\n");
    return bytes;
}

static void
put_row(const Row *row)
{
    rows_told++;
    if (row->live && row->place == PLACE_MMAPPED)
        mapped_bytes += get_mapping_bytes((const size_t *)(uintptr_t)(row->masked ^ ENDING_MASK));
    put_text("0x");
    put_number(row->masked ^ ENDING_MASK, 16);
    put_field(" ", row->requested_bytes);
    put_field(" ", row->usable_bytes);
    put_text(" ");
    put_text(kind_names[row->kind]);
    put_text(" ");
    put_text(place_names[row->place]);
    put_text(row->live ? " live " : " freed ");
    put_text(row->live ? reach_names[row->reach] : "-");
    if (row->name) {
        put_text(" ");
        put_text(row->name);
    }
    put_text("\n");
}

static Row
make_row(void *pointer, size_t requested_bytes, LedgerKind kind, bool live)
{
    if (!pointer)
        fail("malloc gave nothing\n");
    size_t head = ((const size_t *)pointer)[-1];
    return (Row){
        .masked = (uint64_t)(uintptr_t)pointer ^ ENDING_MASK,
        .requested_bytes = requested_bytes,
        .usable_bytes = malloc_usable_size(pointer),
        .kind = (uint8_t)kind,
        .place = head & IS_MMAPPED       ? 2
                 : head & NON_MAIN_ARENA ? 1
                                         : 0,
        .live = live,
    };
}

void
ledger_open(const LedgerOptions *options)
{
    if (options->printf)
        printf("sample with seed %llu\n", (unsigned long long)options->seed);
    if (!options->ledger)
        return;
    ledger_fd = open(options->ledger, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (ledger_fd < 0)
        fail("the ledger cannot be opened\n");
    put_text("# postmalloc ledger 1\n");
    put_field("# pid ", (uint64_t)getpid());
    put_text("\n# glibc ");
    put_text(gnu_get_libc_version());
    put_text("\n");
}

void
ledger_note(void *pointer, size_t requested_bytes, LedgerKind kind, bool live, LedgerReach reach)
{
    if (ledger_fd < 0)
        return;
    Row row = make_row(pointer, requested_bytes, kind, live);
    row.reach = (uint8_t)reach;
    put_row(&row);
}

void
ledger_table_open(size_t rows)
{
    void *memory = mmap(NULL, rows * sizeof(Row), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        fail("the table cannot be mapped\n");
    table = memory;
    table_rows = rows;
}

uint64_t
ledger_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

static void
fill_run(unsigned char *bytes, size_t count, uint64_t *random)
{
    while (count >= sizeof(uint64_t)) {
        uint64_t word = ledger_random(random);
        memcpy(bytes, &word, sizeof word);
        bytes += sizeof word;
        count -= sizeof word;
    }
    while (count--)
        *bytes++ = (unsigned char)(ledger_random(random) >> 32);
}

LedgerSlot
ledger_add(void *pointer, size_t requested_bytes, LedgerKind kind)
{
    size_t slot = atomic_fetch_add(&table_used, 1);
    if (slot >= table_rows)
        fail("the table is full\n");
    table[slot] = make_row(pointer, requested_bytes, kind, true);
    uint64_t random = slot + 1;
    fill_run((unsigned char *)pointer + requested_bytes, table[slot].usable_bytes - requested_bytes,
             &random);
    return (LedgerSlot)slot;
}

void
ledger_describe(LedgerSlot slot, LedgerReach reach, const char *name)
{
    table[slot].reach = (uint8_t)reach;
    table[slot].name = name;
}

LedgerSlot
ledger_find(const void *pointer)
{
    uint64_t masked = (uint64_t)(uintptr_t)pointer ^ ENDING_MASK;
    size_t used = atomic_load(&table_used);
    for (size_t slot = 0; slot < used; slot++) {
        if (table[slot].live && table[slot].masked == masked)
            return (LedgerSlot)slot;
    }
    return LEDGER_SLOT_NONE;
}

void *
ledger_get_pointer(LedgerSlot slot)
{
    return (void *)(uintptr_t)(table[slot].masked ^ ENDING_MASK);
}

size_t
ledger_get_requested(LedgerSlot slot)
{
    return table[slot].requested_bytes;
}

void
ledger_free(LedgerSlot slot)
{
    table[slot].live = false;
    free(ledger_get_pointer(slot));
}

LedgerSlot
ledger_realloc(LedgerSlot slot, size_t requested_bytes)
{
    table[slot].live = false;
    void *pointer = realloc(ledger_get_pointer(slot), requested_bytes);
    return ledger_add(pointer, requested_bytes, LEDGER_REALLOC);
}

size_t
ledger_random_size(uint64_t *state)
{
    uint64_t number = ledger_random(state) >> 16;
    uint64_t exponent = number % 10 ? (number >> 8) % 12 : 12 + (number >> 8) % 8;
    size_t low = (size_t)1 << exponent;
    return low + (size_t)((number >> 20) & (low - 1));
}

void
ledger_fill(void *pointer, size_t bytes, uint64_t *random, bool edges)
{
    unsigned char *start = pointer;
    if (edges && bytes > EDGES_ABOVE) {
        fill_run(start, EDGE_BYTES, random);
        fill_run(start + bytes - EDGE_BYTES, EDGE_BYTES, random);
    } else {
        fill_run(start, bytes, random);
    }
}

void
ledger_tie(uint64_t seed)
{
    size_t small = 0;
    void *lost = NULL;
    Row *last_lost = NULL;
    uint64_t random = seed | 1;
    size_t used = atomic_load(&table_used);
    for (size_t slot = 0; slot < used; slot++) {
        Row *row = &table[slot];
        if (!row->live)
            continue;
        void *pointer = ledger_get_pointer((LedgerSlot)slot);
        bool fits = row->requested_bytes >= sizeof(void *);
        unsigned choice = (unsigned)(ledger_random(&random) >> 40) % 8;
        if (choice < 4 && fits) {
            memcpy(pointer, &kept_list, sizeof kept_list);
            kept_list = pointer;
            row->reach = LEDGER_REACHABLE;
        } else if (choice < 4 && small < KEPT_SMALL) {
            kept_small[small++] = pointer;
            row->reach = LEDGER_REACHABLE;
        } else if (choice == 4 && fits) {
            memcpy(pointer, &lost, sizeof lost);
            lost = pointer;
            if (last_lost)
                last_lost->reach = LEDGER_LEAK_INDIRECT;
            last_lost = row;
        }
    }
}

/*
 * mallinfo's ints wrap above 2 GiB, where samples do not go; mallinfo2 is not in every glibc that
 * they run under. A malloc that was never used is not asked: that would initialise it.
 */
void
ledger_note_region(const char *kind, const void *start, size_t bytes, size_t guard_bytes, int tid)
{
    if (ledger_fd < 0)
        return;
    put_text("# region ");
    put_text(kind);
    put_text(" 0x");
    put_number((uintptr_t)start, 16);
    put_field(" ", bytes);
    put_field(" ", guard_bytes);
    put_field(" ", (unsigned)tid);
    put_text("\n");
}

static void
put_mallinfo(void)
{
    if (rows_told == 0)
        return;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    struct mallinfo info = mallinfo();
#pragma GCC diagnostic pop
    put_field("# mallinfo arena=", (unsigned)info.arena);
    put_field(" hblks=", (unsigned)info.hblks);
    put_field(" hblkhd=", (unsigned)info.hblkhd);
    put_field(" fordblks=", (unsigned)info.fordblks);
    put_field(" fsmblks=", (unsigned)info.fsmblks);
    put_field(" uordblks=", (unsigned)info.uordblks);
    put_field("\n# mapped bytes=", mapped_bytes);
    put_text("\n");
}

void
ledger_close(void)
{
    if (ledger_fd >= 0) {
        size_t used = atomic_load(&table_used);
        for (size_t slot = 0; slot < used; slot++)
            put_row(&table[slot]);
        put_mallinfo();
        put_text("# end\n");
        flush();
        close(ledger_fd);
    }
    if (table)
        munmap(table, table_rows * sizeof(Row));
}

_Noreturn void
ledger_finish(const LedgerOptions *options)
{
    ledger_close();
    ending_die(options->end == LEDGER_END_STOP);
}

_Noreturn void
ledger_park(void)
{
    ending_park();
}
