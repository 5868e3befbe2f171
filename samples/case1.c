/*
 * Case 1 (thirty-seven million 20-byte chunks): a message loop parses an event out of every message
 * and forgets it.
 *
 * Usage: case1 [COUNT] [--churn] [OPTIONS OF ledger.h]      (COUNT: default 2000000)
 *
 * Byte 1 of every event is 0x10, bytes 0 and 2 to 19 are zero. --churn lets blocks of many sizes
 * with random content come and go first, as months of work do, so that the slack after the 20 bytes
 * (20 to 23) differs from the data.
 */
#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define KIND_KEEPALIVE 0x1000

/* 20 bytes. */
struct event {
    uint16_t kind;
    uint16_t flags;
    uint32_t session;
    uint32_t code;
    uint32_t length;
    uint32_t sequence;
};
_Static_assert(sizeof(struct event) == 20, "the case is about chunks of 20 bytes");

static uint64_t handled;

static __attribute__((noinline)) struct event *
parse_event(const unsigned char *message)
{
    struct event *event = malloc(sizeof *event);
    if (!event)
        abort();
    memset(event, 0, sizeof *event);
    event->kind = (uint16_t)(message[0] << 8);
    ledger_note(event, sizeof *event, LEDGER_MALLOC, true, LEDGER_LEAK_ROOT);
    return event;
}

/* The mistake: only some kinds of event are queued, and nobody frees the others. */
static __attribute__((noinline)) void
handle_message(const unsigned char *message)
{
    struct event *event = parse_event(message);
    __asm__ volatile("" : : "r"(event) : "memory");
    if (event->kind == KIND_KEEPALIVE)
        handled++;
    else
        free(event);
}

static void
message_loop(uint64_t count)
{
    static const unsigned char keepalive[] = {KIND_KEEPALIVE >> 8, 0};
    for (uint64_t i = 0; i < count; i++)
        handle_message(keepalive);
}

/*
 * One block for each event to come, of 24 usable bytes like it, and among every eight of them one
 * of another size that goes too.
 */
static void
churn(uint64_t count, uint64_t seed)
{
    size_t bytes = (size_t)(count + count / 8 + 1) * sizeof(void *);
    void **blocks = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (blocks == MAP_FAILED)
        abort();
    size_t used = 0;
    uint64_t random = seed | 1;
    for (uint64_t i = 0; i < count; i++) {
        size_t size = 24;
        blocks[used] = malloc(size);
        ledger_fill(blocks[used++], size, &random, false);
        if (i % 8 == 0) {
            size = 32 + (size_t)(ledger_random(&random) >> 40) % 80;
            blocks[used] = malloc(size);
            ledger_fill(blocks[used++], size, &random, false);
        }
    }
    for (size_t i = 0; i < used; i++)
        free(blocks[i]);
    munmap(blocks, bytes);
}

int
main(int argc, char **argv)
{
    LedgerOptions options = {.seed = 1};
    uint64_t count = 2000000;
    bool with_churn = false;
    for (int i = 1; i < argc; i++) {
        if (ledger_parse_option(&options, argc, argv, &i))
            continue;
        if (!strcmp(argv[i], "--churn")) {
            with_churn = true;
        } else {
            i--;
            count = ledger_parse_number(argc, argv, &i);
        }
    }
    ledger_open(&options);
    if (with_churn)
        churn(count, options.seed);
    message_loop(count);
    ledger_finish(&options);
}
