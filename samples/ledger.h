/*
 * What a sample really allocated, told by the sample itself: the oracle that tests compare
 * postmalloc with.
 *
 * A ledger is a text file, written with write(2) and never through stdio, so that keeping it
 * allocates nothing:
 *
 *     # postmalloc ledger 1
 *     # pid 4711
 *     # glibc 2.36
 *     0x55d0c0f3e2a0 20 24 malloc main live leak-root parsed
 *     …
 *     # mallinfo arena=135168 hblks=0 hblkhd=0 fordblks=1200 fsmblks=0 uordblks=133968
 *     # mapped bytes=0
 *     # end
 *
 * A row is: user address, requested bytes, malloc_usable_size(), kind (malloc, calloc, realloc,
 * memalign), place (main, thread: the arena that the chunk's header names; mmapped), state (live,
 * freed), reach (LedgerReach; - where freed), and a name where the sample gave it one. Rows come in
 * the order of the allocations. An address may be in several freed rows and in one live row.
 * "# mallinfo" is what mallinfo() said just before the end, over all arenas (hblkhd since 2.43
 * grows by 16 with every block that realloc() moves by mremap, and keeps that); "# mapped" the sum
 * of the mappings of live mmapped blocks. Neither is there without a row. "# end" shows that the
 * ledger is complete.
 *
 * The addresses that a sample needs are kept XOR-masked, in a table that was mapped with mmap and
 * is unmapped before the end, and the sample scrubs its registers and the dead part of its stacks:
 * no trace of a lost chunk's address stays in the core to keep it alive. x86-64 for the registers;
 * elsewhere the stacks alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    LEDGER_MALLOC,
    LEDGER_CALLOC,
    LEDGER_REALLOC,
    LEDGER_MEMALIGN,
} LedgerKind;

/*
 * What still refers to a block when the sample ends; in the ledger "leak-root", "leak-cycle" and so
 * on. A leak root has no lost block outside that points to it, a leak cycle is a ring of which the
 * same is true, and on either others hang. INTERIOR: reachable, but not by pointers to the start of
 * blocks alone; WEAK: only from a mapping of which nobody can tell whether it is still used.
 */
typedef enum {
    LEDGER_LEAK_ROOT,
    LEDGER_LEAK_CYCLE,
    LEDGER_LEAK_INDIRECT,
    LEDGER_REACHABLE,
    LEDGER_REACHABLE_INTERIOR,
    LEDGER_REACHABLE_WEAK,
} LedgerReach;

/* How a sample ends. */
typedef enum {
    LEDGER_END_ABORT, /* abort(): the kernel writes a core */
    LEDGER_END_STOP,  /* SIGSTOP to itself: gcore can take a snapshot */
} LedgerEnd;

/* The number of a row, to be kept in place of a pointer. */
typedef uint32_t LedgerSlot;
#define LEDGER_SLOT_NONE UINT32_MAX

/*
 * The options that every sample takes:
 *   --ledger FILE      write the ledger there (default: none)
 *   --end abort|stop   how to end (default: abort)
 *   --seed N           of the pseudo-random choices (default: 1)
 *   --printf           print a line through stdio first, so that the buffer of stdout exists
 *   --mmap-threshold N, --top-pad N, --arena-max N   mallopt() before the first allocation
 */
typedef struct {
    const char *ledger;
    LedgerEnd end;
    uint64_t seed;
    bool printf;
} LedgerOptions;

/*
 * Takes one common option out of the command line and carries out those that are mallopt settings.
 *
 * @index: (inout): of the argument to look at; on success, of the last one that was used.
 * Returns: false where the argument is none of them. A missing or senseless value ends the program
 * with status 2.
 */
bool ledger_parse_option(LedgerOptions *options, int argc, char **argv, int *index);

/* The value of an option that takes a number (1000, 0x10, 4K, 64M), or the end of the program with
 * status 2. */
uint64_t ledger_parse_number(int argc, char **argv, int *index);

/* Ends the program with status 2 and one line about @argument, through write(2). */
_Noreturn void ledger_usage(const char *argument);

/* Opens the ledger and does what --printf asks for; call once, before the first allocation. */
void ledger_open(const LedgerOptions *options);

/*
 * Streaming rows: for samples that never free what they tell. Writes a row at once and keeps
 * nothing; does nothing without --ledger. One thread at a time.
 */
void ledger_note(void *pointer, size_t requested_bytes, LedgerKind kind, bool live,
                 LedgerReach reach);

/*
 * What a part of the address space is, for samples of regions: the comment
 *
 *     # region KIND 0xSTART BYTES GUARD-BYTES TID
 *
 * @kind: as `maps` names it. @start: of the region above its guard, or, where @bytes is 0, any
 * address in it. @tid: of a stack whose thread lives, else 0. One thread at a time.
 */
void ledger_note_region(const char *kind, const void *start, size_t bytes, size_t guard_bytes,
                        int tid);

/*
 * Kept rows: for samples that free, hand over and reallocate. The table takes @rows rows in all;
 * maps it outside of malloc.
 */
void ledger_table_open(size_t rows);

/*
 * Adds a live row of class LEDGER_LEAK_ROOT, and overwrites the slack after the request, where a
 * stale link of malloc's could keep something alive. Thread-safe. NULL as @pointer or a full table
 * ends the program with status 3.
 */
LedgerSlot ledger_add(void *pointer, size_t requested_bytes, LedgerKind kind);

/* Says of a row what its class is and what to call it: a static string without spaces, or NULL. */
void ledger_describe(LedgerSlot slot, LedgerReach reach, const char *name);

/* The pointer of a live row, and what was requested of it. */
void *ledger_get_pointer(LedgerSlot slot);
size_t ledger_get_requested(LedgerSlot slot);

/* The live row of @pointer, or LEDGER_SLOT_NONE. Looks at one row after the other. */
LedgerSlot ledger_find(const void *pointer);

/* Calls free() and marks the row. Thread-safe for different rows. */
void ledger_free(LedgerSlot slot);

/* Calls realloc(); the old row is freed (at its old address) and a new one stands for the result.
 */
LedgerSlot ledger_realloc(LedgerSlot slot, size_t requested_bytes);

/*
 * Makes about half of the live rows reachable, through a list that starts in .bss and runs from
 * chunk to chunk (a static array for those that are too small for a pointer); chains some of the
 * lost ones among themselves. When no other thread allocates.
 */
void ledger_tie(uint64_t seed);

/* Fills @bytes bytes with pseudo-random content, or only the first and last 64 where there are more
 * than 16 KiB and @edges is set. */
void ledger_fill(void *pointer, size_t bytes, uint64_t *random, bool edges);

/* xorshift64*: the next number of the sequence @state, which must not start at 0. */
uint64_t ledger_random(uint64_t *state);

/*
 * The size of a request: log-distributed from 1 to 4 KiB nine times out of ten, else from 4 KiB to
 * 1 MiB.
 */
size_t ledger_random_size(uint64_t *state);

/* Completes the ledger (rows of the table, mallinfo) and unmaps the table. For samples that then
 * end in a way of their own (ending.h). */
void ledger_close(void);

/* Closes the ledger, scrubs registers and dead stack, ends as @options say. */
_Noreturn void ledger_finish(const LedgerOptions *options);

/* What every other thread of a sample ends in: scrubs its registers and dead stack and sleeps
 * forever. */
_Noreturn void ledger_park(void);
