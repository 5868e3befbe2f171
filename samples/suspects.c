/*
 * What `report` has to judge, one scene a run:
 *
 *   records   5,000 records of 56 bytes are lost, each with a name of its own length on it
 *   parts     5,000 such records are lost, each with a buffer of 100 bytes; 1,000 keys are not
 *   list      a list of 50,000 nodes of 24 bytes is lost with its head
 *   rings     5,000 rings are lost, each of two blocks of different sizes
 *   names     20,000 names of 5 to 200 characters are lost
 *   grown     2,000 buffers that realloc() made ever larger are lost, with text in them
 *   unsplit   2,000 tickets of 184 bytes are lost, in chunks of 200 that were free
 *   one       one buffer of 8 MiB is lost
 *   live      a hash table of 100,000 nodes, 60 characters each; nothing is lost
 *   few       like live, but five blocks of some sizes are lost, as in most programs
 *   threads   1,100 threads wait: most of what is in use is glibc's own
 *   forty     like live, but forty blocks of 100 bytes are lost
 *   packed    20,000 records, each held by a pointer at an odd address; nothing is lost
 *   tagged    the same by pointers with flags in their upper bits
 *   ends      the same by pointers to their ends
 *   view      the same by pointers in shared memory that can only be read any more
 *   file      the same by pointers in a mapped file, which a core has not
 *
 * Usage: suspects SCENE [OPTIONS OF ledger.h]
 */
#include "ending.h"
#include "ledger.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RECORDS 5000
#define KEYS    1000
#define NODES   50000
#define NAMES   20000
#define BUFFERS 2000
#define ENTRIES 100000
#define BUCKETS 65536
#define HELD    20000
#define THREADS 1100

typedef struct {
    uint64_t id;
    char *name;
    uint64_t size;
    double weight;
    uint32_t flags;
    uint32_t uses;
    uint64_t reserved[2];
} Record;

typedef struct Node {
    struct Node *next;
    uint64_t key;
    uint64_t value;
} Node;

typedef struct {
    Node *first;
    Node *last;
    uint64_t count;
    uint64_t created;
    uint32_t flags;
} List;

typedef struct Entry {
    struct Entry *next;
    uint64_t hash;
    char text[44];
} Entry;

typedef struct __attribute__((packed)) {
    uint32_t kind;
    void *record;
} Packed;

/* What holds the keys, and the records of the last scenes. Not static: what nobody reads would not
 * be written. */
void *keys[KEYS];
Packed packed[HELD];
uint64_t words[HELD];

static Entry *table[BUCKETS];
static char *sink;

static uint64_t
next_random(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void *
note(void *pointer, size_t bytes, LedgerReach reach)
{
    if (!pointer)
        abort();
    ledger_note(pointer, bytes, LEDGER_MALLOC, true, reach);
    return pointer;
}

static __attribute__((noinline)) char *
make_name(size_t least, size_t most, LedgerReach reach)
{
    const size_t length = least + next_random() % (most - least + 1);
    char *name = note(malloc(length + 1), length + 1, reach);
    for (size_t i = 0; i < length; i++)
        name[i] = (char)('a' + next_random() % 26);
    name[length] = '\0';
    return name;
}

static __attribute__((noinline)) void
make_record(uint64_t id)
{
    Record *record = note(calloc(1, sizeof *record), sizeof *record, LEDGER_LEAK_ROOT);
    record->id = id;
    record->name = make_name(8, 60, LEDGER_LEAK_INDIRECT);
    record->size = next_random() % 10000;
    record->weight = (double)record->size / 7;
    record->flags = 3;
    record->uses = 1;
}

static __attribute__((noinline)) void
make_parts(uint64_t id)
{
    Record *record = calloc(1, sizeof *record);
    if (!record)
        abort();
    record->id = id;
    record->flags = 0x70617274;
    note(record, sizeof *record, LEDGER_LEAK_ROOT);
    record->name = note(malloc(100), 100, LEDGER_LEAK_INDIRECT);
    memset(record->name, 'b', 100);
}

static __attribute__((noinline)) void *
make_key(int id)
{
    return memset(note(malloc(48), 48, LEDGER_REACHABLE), id, 48);
}

static __attribute__((noinline)) void
make_list(void)
{
    List *list = note(calloc(1, sizeof *list), sizeof *list, LEDGER_LEAK_ROOT);
    for (uint64_t i = 0; i < NODES; i++) {
        Node *node = note(malloc(sizeof *node), sizeof *node, LEDGER_LEAK_INDIRECT);
        *node = (Node){.key = i, .value = i * i};
        if (list->last)
            list->last->next = node;
        else
            list->first = node;
        list->last = node;
        list->count++;
    }
}

/* By powers of two, as far as it takes: nobody can tell the size from the code. */
static __attribute__((noinline)) char *
grow(char *buffer, size_t wanted)
{
    size_t bytes = 16;
    while (bytes < wanted)
        bytes *= 2;
    char *grown = realloc(buffer, bytes);
    if (!grown)
        abort();
    return grown;
}

static __attribute__((noinline)) void
make_buffer(void)
{
    const size_t length = 520 + next_random() % 480;
    char *buffer = NULL;
    for (size_t used = 40; used < length; used += 40)
        buffer = grow(buffer, used + 40);
    memset(buffer, (int)('a' + next_random() % 26), length);
    buffer[length] = '\0';
    sink = note(buffer, 1024, LEDGER_LEAK_ROOT);
}

typedef struct {
    uint64_t magic;
    uint64_t words[22];
} Ticket;

/* Chunks of a granule more than tickets need, which are free between others in use. */
static __attribute__((noinline)) void
make_gaps(void)
{
    static void *gaps[2 * BUFFERS];
    for (int i = 0; i < 2 * BUFFERS; i++) {
        gaps[i] = malloc(sizeof(Ticket) + 16);
        words[i] = (uintptr_t)note(malloc(24), 24, LEDGER_REACHABLE);
    }
    for (int i = 0; i < 2 * BUFFERS; i++)
        free(gaps[i]);
    memset(gaps, 0, sizeof gaps);
}

static __attribute__((noinline)) void
make_ticket(uint64_t id)
{
    Ticket *ticket = malloc(sizeof *ticket);
    if (!ticket)
        abort();
    ticket->magic = 0x7469636b;
    for (uint64_t i = 0; i < 22; i++)
        ticket->words[i] = id * i;
    note(ticket, sizeof *ticket, LEDGER_LEAK_ROOT);
}

static __attribute__((noinline)) void
make_ring(void)
{
    void **one = note(calloc(1, 40), 40, LEDGER_LEAK_CYCLE);
    void **other = note(calloc(1, 24), 24, LEDGER_LEAK_CYCLE);
    *one = other;
    *other = one;
}

static __attribute__((noinline)) void
make_table(void)
{
    for (uint64_t i = 0; i < ENTRIES; i++) {
        Entry *entry = note(malloc(sizeof *entry), sizeof *entry, LEDGER_REACHABLE);
        const uint64_t hash = i * 0x9e3779b97f4a7c15;
        *entry = (Entry){.next = table[hash % BUCKETS], .hash = hash};
        memset(entry->text, (int)('a' + i % 26), sizeof entry->text - 1);
        table[hash % BUCKETS] = entry;
    }
}

/* What most programs forget once, when they start. */
static __attribute__((noinline)) void
lose_few(void)
{
    static const size_t sizes[] = {24, 72, 120, 500, 4000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        memset(note(malloc(sizes[i]), sizes[i], LEDGER_LEAK_ROOT), 1, sizes[i]);
}

static void *
wait_for_ever(void *argument)
{
    pause();
    return argument;
}

static void
make_threads(void)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN * 4);
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, wait_for_ever, NULL) != 0)
            abort();
    }
}

static __attribute__((noinline)) void *
make_held(uint64_t id)
{
    Record *record = note(calloc(1, sizeof *record), sizeof *record, LEDGER_REACHABLE);
    record->id = id;
    record->size = next_random() % 10000;
    record->uses = 1;
    return record;
}

/* In the current folder, where it stays: of one without a name the core has all. */
static int
make_file(void)
{
    char path[] = "suspects-XXXXXX";
    return mkstemp(path);
}

/* Room for what holds the records, shared. */
static uint64_t *
map_memory(int file)
{
    if (file < 0 || ftruncate(file, HELD * sizeof(uint64_t)) != 0)
        abort();
    void *at = mmap(NULL, HELD * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (at == MAP_FAILED)
        abort();
    return at;
}

/* Records that are held in ways that no scan for pointers sees. */
static __attribute__((noinline)) void
hold_oddly(const char *scene)
{
    const size_t mapped_bytes = HELD * sizeof(uint64_t);
    uint64_t *mapped = NULL;
    if (strcmp(scene, "file") == 0)
        mapped = map_memory(make_file());
    if (strcmp(scene, "view") == 0)
        mapped = map_memory(memfd_create("held", 0));
    for (uint64_t i = 0; i < HELD; i++) {
        void *record = make_held(i);
        if (strcmp(scene, "packed") == 0)
            packed[i] = (Packed){.kind = 1, .record = record};
        else if (strcmp(scene, "tagged") == 0)
            words[i] = (uintptr_t)record | (uint64_t)(i % 7 + 1) << 48;
        else if (mapped != NULL)
            mapped[i] = (uintptr_t)record;
        else
            words[i] = (uintptr_t)record + sizeof(Record);
    }
    if (strcmp(scene, "view") == 0 && mprotect(mapped, mapped_bytes, PROT_READ) != 0)
        abort();
}

/* Scenes of things that are made one by one; false where @scene is none of them. */
static __attribute__((noinline)) bool
play_many(const char *scene)
{
    if (strcmp(scene, "records") == 0) {
        for (uint64_t i = 0; i < RECORDS; i++)
            make_record(i);
    } else if (strcmp(scene, "parts") == 0) {
        for (uint64_t i = 0; i < RECORDS; i++)
            make_parts(i);
        for (int i = 0; i < KEYS; i++)
            keys[i] = make_key(i);
    } else if (strcmp(scene, "rings") == 0) {
        for (uint64_t i = 0; i < RECORDS; i++)
            make_ring();
    } else if (strcmp(scene, "names") == 0) {
        for (uint64_t i = 0; i < NAMES; i++)
            sink = make_name(5, 200, LEDGER_LEAK_ROOT);
    } else if (strcmp(scene, "grown") == 0) {
        for (uint64_t i = 0; i < BUFFERS; i++)
            make_buffer();
    } else if (strcmp(scene, "unsplit") == 0) {
        make_gaps();
        for (uint64_t i = 0; i < BUFFERS; i++)
            make_ticket(i);
    } else {
        return false;
    }
    return true;
}

static __attribute__((noinline)) void
play(const char *scene)
{
    if (strcmp(scene, "list") == 0) {
        make_list();
    } else if (strcmp(scene, "one") == 0) {
        memset(note(malloc(8 << 20), 8 << 20, LEDGER_LEAK_ROOT), 'x', 8 << 20);
    } else if (strcmp(scene, "live") == 0) {
        make_table();
    } else if (strcmp(scene, "few") == 0) {
        make_table();
        lose_few();
    } else if (strcmp(scene, "forty") == 0) {
        make_table();
        for (int i = 0; i < 40; i++)
            memset(note(malloc(100), 100, LEDGER_LEAK_ROOT), 1, 100);
    } else if (strcmp(scene, "threads") == 0) {
        make_threads();
    } else if (strcmp(scene, "packed") == 0 || strcmp(scene, "tagged") == 0 ||
               strcmp(scene, "ends") == 0 || strcmp(scene, "view") == 0 ||
               strcmp(scene, "file") == 0) {
        hold_oddly(scene);
    } else if (!play_many(scene)) {
        ledger_usage(scene);
    }
    sink = NULL;
}

int
main(int argc, char **argv)
{
    LedgerOptions options = {.seed = 1};
    const char *scene = NULL;
    for (int i = 1; i < argc; i++) {
        if (ledger_parse_option(&options, argc, argv, &i))
            continue;
        scene = argv[i];
    }
    if (!scene)
        ledger_usage("SCENE");
    ledger_open(&options);
    play(scene);
    ledger_finish(&options);
}
