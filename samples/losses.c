/*
 * Small programs that lose memory, each in one way, beside memory that they keep.
 *
 * Usage: losses WAY [OPTIONS OF ledger.h]
 *
 * Ways, and the function whose call asks for what is lost:
 *   orders    make_order: a record, through two functions that pass the size on
 *   names     remember_name: copies of names of about one length (strdup)
 *   lines     read_line: a buffer that grows
 *   tables    make_table: an array (calloc)
 *   small     note_visit: few beside a cache that is kept
 *   trees     make_node: small trees, of which a child is lost with its parent
 *   packets   make_packet: of a header and as much data as its caller says
 *   nothing   (all that is made is kept: a list, a table of hashes, names)
 */
#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 4000

/* Passes the size on. */
static __attribute__((noinline)) void *
allocate(size_t bytes)
{
    void *block = malloc(bytes);
    if (!block)
        abort();
    return block;
}

static __attribute__((noinline)) void *
allocate_zeroed(size_t bytes)
{
    return memset(allocate(bytes), 0, bytes);
}

struct order {
    uint32_t number;
    uint32_t amount;
    const char *currency;
    struct order *next;
    uint64_t placed;
    char customer[24];
};

static struct order *open_orders;

static __attribute__((noinline)) struct order *
make_order(uint32_t number)
{
    struct order *order = allocate_zeroed(sizeof *order);
    order->number = number;
    order->currency = "EUR";
    (void)snprintf(order->customer, sizeof order->customer, "customer %u", number % 100);
    return order;
}

static void
lose_orders(void)
{
    for (uint32_t i = 0; i < COUNT; i++) {
        struct order *order = make_order(i);
        if (i % 20 == 0) {
            order->next = open_orders;
            open_orders = order;
        }
    }
}

static __attribute__((noinline)) char *
remember_name(const char *name)
{
    return strdup(name);
}

static void
lose_names(void)
{
    char name[64];
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(name, sizeof name, "the name of visitor number %u", 10000 + i);
        char *copy = remember_name(name);
        __asm__ volatile("" : : "r"(copy) : "memory");
    }
}

/* Grows as lines of text do; most are short. */
static __attribute__((noinline)) char *
read_line(size_t length)
{
    char *line = NULL;
    for (size_t size = 120; line == NULL || size < length; size *= 2) {
        char *more = realloc(line, size);
        if (!more)
            abort();
        memset(more, 'a', size - 1);
        more[size - 1] = '\0';
        line = more;
    }
    return line;
}

static void
lose_lines(void)
{
    for (unsigned i = 0; i < COUNT; i++) {
        char *line = read_line(i % 10 == 0 ? 700 : 100);
        __asm__ volatile("" : : "r"(line) : "memory");
    }
}

static __attribute__((noinline)) double *
make_table(double value)
{
    double *table = calloc(50, sizeof *table);
    if (!table)
        abort();
    table[0] = value;
    return table;
}

static void
lose_tables(void)
{
    for (unsigned i = 0; i < COUNT; i++) {
        double *table = make_table(i);
        __asm__ volatile("" : : "r"(table) : "memory");
    }
}

struct visit {
    uint64_t when;
    uint32_t page;
    uint32_t visitor;
    uint8_t address[16];
};

struct page {
    struct page *next;
    char text[1000];
};

static struct page *cache;

static __attribute__((noinline)) struct visit *
note_visit(uint32_t visitor)
{
    struct visit *visit = allocate(sizeof *visit);
    visit->when = UINT64_C(1700000000) + visitor;
    visit->page = visitor % 7;
    visit->visitor = visitor;
    memset(visit->address, 0, sizeof visit->address);
    return visit;
}

static __attribute__((noinline)) void
cache_page(unsigned number)
{
    struct page *page = allocate(sizeof *page);
    (void)snprintf(page->text, sizeof page->text, "text of page %u", number);
    page->next = cache;
    cache = page;
}

static void
lose_small(void)
{
    for (unsigned i = 0; i < COUNT; i++) {
        struct visit *visit = note_visit(i);
        __asm__ volatile("" : : "r"(visit) : "memory");
        if (i % 4 == 0)
            cache_page(i);
    }
}

struct node {
    struct node *left;
    struct node *right;
    uint64_t key;
    uint32_t colour;
};

static __attribute__((noinline)) struct node *
make_node(uint64_t key, unsigned depth)
{
    struct node *node = allocate(sizeof *node);
    *node = (struct node){.key = key, .colour = depth & 1};
    if (depth > 0) {
        node->left = make_node(key * 2, depth - 1);
        node->right = make_node(key * 2 + 1, depth - 1);
    }
    return node;
}

static void
lose_trees(void)
{
    for (unsigned i = 0; i < COUNT / 8; i++) {
        struct node *node = make_node(i + 1, 3);
        __asm__ volatile("" : : "r"(node) : "memory");
    }
}

struct packet {
    uint16_t length;
    uint16_t kind;
    uint32_t sequence;
    unsigned char data[];
};

static __attribute__((noinline)) struct packet *
make_packet(uint16_t kind, size_t length)
{
    struct packet *packet = malloc(sizeof *packet + length);
    if (!packet)
        abort();
    packet->length = (uint16_t)length;
    packet->kind = kind;
    memset(packet->data, kind, length);
    return packet;
}

static __attribute__((noinline)) struct packet *
answer_ping(uint32_t sequence)
{
    struct packet *packet = make_packet(8, 64);
    packet->sequence = sequence;
    return packet;
}

static void
lose_packets(void)
{
    for (uint32_t i = 0; i < COUNT; i++) {
        struct packet *packet = answer_ping(i);
        __asm__ volatile("" : : "r"(packet) : "memory");
        if (i % 50 == 0)
            free(make_packet(1, i % 400));
    }
}

static struct node *list;
static char **names;
static void *hashes[8192];

static void
lose_nothing(void)
{
    names = allocate_zeroed(1000 * sizeof *names);
    for (unsigned i = 0; i < 100000; i++) {
        struct node *node = allocate(sizeof *node);
        *node = (struct node){.left = list, .key = i};
        list = node;
        struct visit *visit = note_visit(i);
        void **bucket = &hashes[i * 2654435761U >> 19];
        free(*bucket);
        *bucket = visit;
        if (i % 100 == 0)
            names[i / 100] = remember_name("somebody who visits");
    }
}

static const struct {
    const char *name;
    void (*lose)(void);
} ways[] = {
    {"orders", lose_orders},   {"names", lose_names},     {"lines", lose_lines},
    {"tables", lose_tables},   {"small", lose_small},     {"trees", lose_trees},
    {"packets", lose_packets}, {"nothing", lose_nothing},
};

int
main(int argc, char **argv)
{
    LedgerOptions options = {.seed = 1};
    const size_t count = sizeof ways / sizeof ways[0];
    size_t way = count;
    for (int i = 1; i < argc; i++) {
        if (ledger_parse_option(&options, argc, argv, &i))
            continue;
        for (way = 0; way < count && strcmp(argv[i], ways[way].name) != 0; way++)
            ;
        if (way == count)
            ledger_usage(argv[i]);
    }
    if (way == count)
        ledger_usage("WAY");
    ledger_open(&options);
    ways[way].lose();
    ledger_finish(&options);
}
