/*
 * Chunks that somebody has to tell apart by their bytes: three kinds of records in one size class,
 * a record with a field of each kind, buffers of random bytes, a record with fields that are often
 * null, and one that was allocated where others had been.
 *
 * Usage: schema-mix [COUNT] [OPTIONS OF ledger.h]      (COUNT: default 3000, of each)
 *
 * Names in the ledger: session (six in ten), point (three), name (one), all of 40 bytes; every (of
 * 200 bytes), random (100), optional (72), theirs (120, by a thread of its own). Records of 52
 * bytes have no name: the slack behind them must stay as it was.
 */
#include "ending.h"
#include "ledger.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define UPTIME_SECONDS ((uint64_t)90 * 86400)

/* 40 bytes each. */
struct session {
    void *user;
    uint32_t number;
    uint32_t state;
    void *peer; /* often NULL */
    uint64_t received;
    int64_t since;
};

struct point {
    double x, y, z;
    uint32_t colour;
    float weight;
    uint64_t id;
};

struct name {
    uint16_t length;
    char text[30];
    void *next;
};

/* A field of each kind. 200 bytes. */
struct every {
    uint32_t counter;
    uint32_t state;
    int64_t seconds;
    uint64_t milliseconds;
    uint64_t microseconds;
    uint64_t nanoseconds;
    uint8_t flag;
    uint8_t level;
    uint16_t port;
    uint32_t constant;
    void *chunk;
    void *interior;
    void *freed;
    void (*code)(void);
    const char *literal;
    void *data;
    void *stack;
    void *mapping;
    double ratio;
    float share;
    float other_share;
    uint32_t length;
    char text[28];
    uint64_t hash[2];
    uint64_t zero[2];
    uint64_t size;
};

/* Where it is written at all. 72 bytes. */
struct optional {
    uint64_t number;
    void *left;
    void *right;
    uint8_t has_label;
    char label[23];
    void *extra;
    uint64_t extra_bytes;
    uint64_t id;
};

/* 52 bytes. */
struct reused {
    void *owner;
    uint32_t number;
    uint32_t kind;
    uint64_t started;
    uint64_t bytes;
    uint32_t parts[5];
};

_Static_assert(sizeof(struct session) == 40 && sizeof(struct point) == 40 &&
                   sizeof(struct name) == 40,
               "three of one size");
_Static_assert(sizeof(struct every) == 200, "the test names offsets");
_Static_assert(sizeof(struct optional) == 72, "the test names offsets");

/* What makes the records of one run. */
typedef struct {
    uint64_t count;
    uint64_t random;
    uint64_t start_seconds;
    void *user;  /* a chunk */
    void *stack; /* in a thread that stays */
    char *mapping;
    void **freed; /* chunks that will be no more, masked */
} Maker;

static int settings[16];
static const char *const literals[] = {"GET", "POST", "DELETE", "OPTIONS"};

static void
on_open(void)
{
    settings[0]++;
}

static void
on_close(void)
{
    settings[1]++;
}

static void (*const handlers[])(void) = {on_open, on_close};

static uint64_t
below(Maker *maker, uint64_t limit)
{
    return (ledger_random(&maker->random) >> 16) % limit;
}

static void *
keep(void *pointer, size_t bytes, const char *name)
{
    ledger_describe(ledger_add(pointer, bytes, LEDGER_MALLOC), LEDGER_LEAK_ROOT, name);
    return pointer;
}

static void
make_session(Maker *maker, uint64_t at)
{
    struct session *session = keep(malloc(sizeof *session), sizeof *session, "session");
    *session = (struct session){
        .user = maker->user,
        .number = (uint32_t)(100 + at),
        .state = (uint32_t)below(maker, 4),
        .peer = below(maker, 3) ? NULL : maker->user,
        .received = below(maker, 2000000),
        .since = (int64_t)(maker->start_seconds + UPTIME_SECONDS * at / maker->count)};
}

static void
make_point(Maker *maker)
{
    struct point *point = keep(malloc(sizeof *point), sizeof *point, "point");
    *point = (struct point){.x = (double)below(maker, 1000000) / 1000.0 - 500,
                            .y = (double)below(maker, 1000000) / 1000.0 - 500,
                            .z = (double)below(maker, 1000000) / 1e5,
                            .colour = (uint32_t)below(maker, 16),
                            .weight = (float)below(maker, 10000) / 16.0F,
                            .id = ledger_random(&maker->random)};
}

static void
make_name(Maker *maker)
{
    static const char *const firsts[] = {"alpha", "bo", "constantine", "d"};
    struct name *name = keep(malloc(sizeof *name), sizeof *name, "name");
    memset(name, 0, sizeof *name);
    (void)snprintf(name->text, sizeof name->text, "%s-%u@example.org", firsts[below(maker, 4)],
                   (unsigned)below(maker, 1000));
    name->length = (uint16_t)strlen(name->text);
    name->next = maker->user;
}

static void
make_every(Maker *maker, uint64_t at)
{
    struct every *every = keep(malloc(sizeof *every), sizeof *every, "every");
    uint64_t then = maker->start_seconds + UPTIME_SECONDS * at / maker->count;
    uint64_t any = maker->start_seconds + below(maker, UPTIME_SECONDS);
    memset(every, 0, sizeof *every);
    every->counter = (uint32_t)(5000 + 3 * at + below(maker, 3));
    every->state = (uint32_t)(1 + below(maker, 5));
    every->seconds = (int64_t)then;
    every->milliseconds = any * 1000 + below(maker, 1000);
    every->microseconds = then * 1000000 + below(maker, 1000000);
    every->nanoseconds = any * 1000000000 + below(maker, 1000000000);
    every->flag = below(maker, 3) == 0;
    every->level = (uint8_t)below(maker, 7);
    every->port = (uint16_t)(1024 + below(maker, 60000));
    every->constant = 0xfeedface;
    every->chunk = below(maker, 5) ? maker->user : NULL;
    every->interior = (char *)every + 16;
    every->freed = (void *)((uintptr_t)maker->freed[at % 64] ^ ENDING_MASK);
    every->code = handlers[below(maker, 2)];
    every->literal = literals[below(maker, 4)];
    every->data = &settings[below(maker, 16)];
    every->stack = (char *)maker->stack + 8 * below(maker, 64);
    every->mapping = maker->mapping + below(maker, 4096);
    every->ratio = (double)below(maker, 1000000) / 7919.0;
    every->share = (float)below(maker, 1000000) / 1e6F;
    every->other_share = (float)below(maker, 1000000) / 1e3F;
    (void)snprintf(every->text, sizeof every->text, "job %u of %s", (unsigned)below(maker, 100000),
                   literals[below(maker, 4)]);
    every->length = (uint32_t)strlen(every->text);
    every->hash[0] = ledger_random(&maker->random);
    every->hash[1] = ledger_random(&maker->random);
    every->size = below(maker, 3000000);
}

static void
make_random(Maker *maker)
{
    void *bytes = keep(malloc(100), 100, "random");
    ledger_fill(bytes, 100, &maker->random, false);
}

static void
make_optional(Maker *maker, uint64_t at)
{
    struct optional *optional = keep(malloc(sizeof *optional), sizeof *optional, "optional");
    memset(optional, 0, sizeof *optional);
    optional->number = 1 + at;
    optional->left = below(maker, 2) ? maker->user : NULL;
    optional->right = below(maker, 3) ? maker->user : NULL;
    if (below(maker, 2)) {
        optional->has_label = 1;
        (void)snprintf(optional->label, sizeof optional->label, "label %u",
                       (unsigned)below(maker, 100000));
    }
    if (below(maker, 4) == 0) {
        optional->extra = maker->user;
        optional->extra_bytes = 100 + below(maker, 5000);
    }
    optional->id = ledger_random(&maker->random);
}

/* Blocks of the same class, full of pointers to each other, that go before the records come. */
static void
make_reused(Maker *maker)
{
    size_t bytes = maker->count * sizeof(void *);
    void ***blocks = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (blocks == MAP_FAILED)
        abort();
    for (uint64_t i = 0; i < maker->count; i++) {
        blocks[i] = malloc(56);
        for (size_t j = 0; j < 7; j++)
            blocks[i][j] = blocks[below(maker, i + 1)];
    }
    for (uint64_t i = 0; i < maker->count; i++)
        free(blocks[i]);
    munmap(blocks, bytes);
    for (uint64_t i = 0; i < maker->count; i++) {
        struct reused *reused = malloc(52);
        reused->owner = maker->user;
        reused->number = (uint32_t)i;
        reused->kind = (uint32_t)below(maker, 4);
        reused->started = maker->start_seconds + below(maker, UPTIME_SECONDS);
        reused->bytes = below(maker, 100000);
        for (size_t j = 0; j < 5; j++)
            reused->parts[j] = (uint32_t)below(maker, 1000);
        ledger_note(reused, 52, LEDGER_MALLOC, true, LEDGER_LEAK_ROOT);
    }
}

/* Has a stack to point into, and chunks in an arena of its own. */
static void *
run_thread(void *data)
{
    Maker *maker = data;
    char local[1024];
    memset(local, 0, sizeof local);
    for (uint64_t i = 0; i < maker->count; i++) {
        uint64_t *theirs = keep(malloc(120), 120, "theirs");
        memset(theirs, 0, 120);
        theirs[0] = i;
    }
    maker->stack = local;
    __asm__ volatile("" : : "r"(local) : "memory");
    ending_hold(&(EndingHold){{0}, {0}}, 0, 256);
}

static void
make_all(Maker *maker)
{
    for (uint64_t i = 0; i < maker->count; i++) {
        uint64_t number = i % 10;
        if (number < 6)
            make_session(maker, i);
        else if (number < 9)
            make_point(maker);
        else
            make_name(maker);
        make_every(maker, i);
        make_random(maker);
        make_optional(maker, i);
    }
}

int
main(int argc, char **argv)
{
    LedgerOptions options = {.seed = 1};
    Maker maker = {.count = 3000};
    for (int i = 1; i < argc; i++) {
        if (ledger_parse_option(&options, argc, argv, &i))
            continue;
        i--;
        maker.count = ledger_parse_number(argc, argv, &i);
    }
    static void *freed[64];
    maker.random = options.seed | 1;
    maker.start_seconds = (uint64_t)time(NULL) - UPTIME_SECONDS;
    maker.freed = freed;
    maker.mapping = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ledger_open(&options);
    make_reused(&maker);
    ledger_table_open(6 * maker.count + 1);
    maker.user = keep(calloc(1, 300), 300, "user");
    /* Free in the end: too large for tcache and fastbins to be used again by what follows. */
    for (size_t i = 0; i < 64; i++) {
        freed[i] = malloc(2000);
        (void)malloc(2100); /* NOLINT: keeps them apart; told of by nobody */
    }
    for (size_t i = 0; i < 64; i++)
        freed[i] = (void *)((uintptr_t)freed[i] ^ ENDING_MASK);
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_thread, &maker) != 0)
        abort();
    ending_await_parked(1);
    make_all(&maker);
    for (size_t i = 0; i < 64; i++)
        free((void *)((uintptr_t)freed[i] ^ ENDING_MASK));
    ledger_finish(&options);
}
