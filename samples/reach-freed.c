/*
 * Scenes of the sample reach: what free blocks and malloc's own lists refer to is not kept by that.
 */
#include "reach.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define TCACHE_COUNT 7 /* blocks of one size that a thread keeps, from 2.26 on */
#define HELD_OFFSET  64
#define TOP_BYTES    60000
#define TOP_OFFSET   50000

/* A block that is freed at the end and still holds the address of a lost one, past the links that
 * free() writes. */
static LedgerSlot
new_former_owner(const char *name, const char *held_name, size_t bytes)
{
    LedgerSlot slot = reach_new_slot(name, bytes, LEDGER_LEAK_ROOT);
    void *held = reach_new(held_name, 48, LEDGER_LEAK_ROOT);
    memcpy((char *)ledger_get_pointer(slot) + HELD_OFFSET, &held, sizeof held);
    return slot;
}

/* The first of a size go to the tcache, the others where the tcache has no room: a fastbin for the
 * small ones, the unsorted bin for the large. */
static LedgerSlot small_owners[TCACHE_COUNT + 3];
static LedgerSlot large_owner, sorted_owner;

static void
lose_in_freed(void)
{
    for (size_t i = 0; i < sizeof small_owners / sizeof *small_owners; i++)
        small_owners[i] = new_former_owner("freed-small", "held-by-freed-small", 104);
    large_owner = new_former_owner("freed-large", "held-by-freed-large", 4000);
    sorted_owner = new_former_owner("freed-sorted", "held-by-freed-sorted", 2600);
    ledger_free(sorted_owner);
    reach_new("freed-sorter", 70000, LEDGER_LEAK_ROOT);
}

static void
free_owners(void)
{
    for (size_t i = 0; i < sizeof small_owners / sizeof *small_owners; i++)
        ledger_free(small_owners[i]);
    ledger_free(large_owner);
}

/* A block that goes back to the top of the heap. */
static void
lose_in_top(void)
{
    void *held = reach_new("held-by-top", 48, LEDGER_LEAK_ROOT);
    LedgerSlot slot = reach_new_slot("freed-to-top", TOP_BYTES, LEDGER_LEAK_ROOT);
    char *owner = ledger_get_pointer(slot);
    reach_require_top(owner);
    memcpy(owner + TOP_OFFSET, &held, sizeof held);
    ledger_free(slot);
}

/*
 * A lost block whose last word overlaps the header of the free chunk after it. That chunk's list
 * begins in malloc's state, and its head points to the header, so into the lost block.
 *
 * Returns: the block that is to be freed.
 */
static LedgerSlot
new_neighbours(const char *name, size_t bytes)
{
    char *block = reach_new(name, 24, LEDGER_LEAK_ROOT);
    LedgerSlot next = reach_new_slot("bin-freed", bytes, LEDGER_LEAK_ROOT);
    reach_require(block + malloc_usable_size(block) + 8 == (char *)ledger_get_pointer(next),
                  "no neighbours");
    reach_new("bin-barrier", 24, LEDGER_LEAK_ROOT);
    return next;
}

static LedgerSlot before_unsorted, before_fastbin[TCACHE_COUNT + 1];

static void
lose_before_bins(void)
{
    LedgerSlot before_small[TCACHE_COUNT + 1];
    LedgerSlot before_large = new_neighbours("before-large-bin", 2800);
    for (size_t i = 0; i <= TCACHE_COUNT; i++)
        before_small[i] = new_neighbours("before-small-bin", 408);
    before_unsorted = new_neighbours("before-unsorted-bin", 5000);
    for (size_t i = 0; i <= TCACHE_COUNT; i++)
        before_fastbin[i] = new_neighbours("before-fastbin", 88);
    for (size_t i = 0; i <= TCACHE_COUNT; i++)
        ledger_free(before_small[i]);
    ledger_free(before_large);
    reach_new("bin-sorter", 80000, LEDGER_LEAK_ROOT);
}

/* No allocation after this, which would sort the one and join the others. */
static void
free_before_bins(void)
{
    for (size_t i = 0; i <= TCACHE_COUNT; i++)
        ledger_free(before_fastbin[i]);
    ledger_free(before_unsorted);
}

const ReachScene reach_freed[] = {
    {"--freed", .build = lose_in_freed, .finish = free_owners, .loses = true},
    {"--freed-to-top", .build = lose_in_top, .loses = true},
    {"--bins", .build = lose_before_bins, .finish = free_before_bins, .loses = true},
    {0},
};
