/*
 * Scenes of the sample reach: lists, trees, rings, kept by a global or lost; and words that are
 * references, or look like some.
 */
#include "reach.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define DEEP_NODES  100000
#define FAN_NODES   5000
#define LARGE_BYTES ((size_t)300 * 1024)

/* What the lists, rings and trees are made of. The payload is never a pointer. */
typedef struct Node Node;
struct Node {
    Node *next;
    Node *other;
    uint64_t payload[3];
};

/* A block of three words: the last one overlaps the header of the chunk that follows. */
typedef struct {
    uint64_t payload[2];
    void *last;
} Small;

/* The roots; the tests know them by name. Volatile: nobody reads them. */
static Node *volatile list_root;
static Node *volatile deep_root;
static Node *volatile tree_root;
static Node *volatile ring_root;
static Small *volatile last_word_root;
static void *volatile large_root;
static void **volatile fan_root;
static Node *volatile kept_root;
static void *volatile zero_root;
static char *volatile interior_root;
static void *volatile both_roots[2];
static char *volatile slack_root;
static char *volatile past_end_root;
static char *volatile header_roots[2];
static char *volatile stale_root;
static unsigned char unaligned_root[32];

static Node *
new_node(const char *name, LedgerReach reach)
{
    return reach_new(name, sizeof(Node), reach);
}

/* Returns: the first of @count nodes in a row, whose class is @first; that of the rest is @rest. */
static Node *
new_list(const char *name, unsigned count, LedgerReach first, LedgerReach rest)
{
    Node *head = new_node(name, first);
    for (Node *at = head; count > 1; count--)
        at = at->next = new_node(name, rest);
    return head;
}

static Node *
new_ring(const char *name, unsigned count, LedgerReach reach)
{
    Node *first = new_list(name, count, reach, reach);
    Node *last = first;
    while (last->next)
        last = last->next;
    last->next = first;
    return first;
}

/* A full binary tree of @depth levels. */
static Node *
new_tree(const char *name, unsigned depth, LedgerReach top, LedgerReach below)
{
    Node *node = new_node(name, top);
    if (depth > 1) {
        node->next = new_tree(name, depth - 1, below, below);
        node->other = new_tree(name, depth - 1, below, below);
    }
    return node;
}

static void
build_list(void)
{
    list_root = new_list("list", 5, LEDGER_REACHABLE, LEDGER_REACHABLE);
}

static void
build_deep_list(void)
{
    deep_root = new_list("deep-list", DEEP_NODES, LEDGER_REACHABLE, LEDGER_REACHABLE);
}

static void
build_tree(void)
{
    tree_root = new_tree("tree", 6, LEDGER_REACHABLE, LEDGER_REACHABLE);
}

static void
build_ring(void)
{
    ring_root = new_ring("ring", 4, LEDGER_REACHABLE);
}

static void
build_last_word(void)
{
    last_word_root = reach_new("last-word", sizeof(Small), LEDGER_REACHABLE);
    last_word_root->last = reach_new("last-word-held", 40, LEDGER_REACHABLE);
}

/* A block with a mapping of its own that holds a small one, and the other way round. */
static void
build_large(void)
{
    Node *node = new_node("large-holder", LEDGER_REACHABLE);
    char *large = reach_new("large", LARGE_BYTES, LEDGER_REACHABLE);
    node->next = (Node *)(void *)large;
    void *held = reach_new("large-held", 56, LEDGER_REACHABLE);
    memcpy(large + LARGE_BYTES - sizeof held, &held, sizeof held);
    large_root = node;
}

static void
build_fan(void)
{
    fan_root = reach_new("fan", FAN_NODES * sizeof *fan_root, LEDGER_REACHABLE);
    for (unsigned i = 0; i < FAN_NODES; i++)
        fan_root[i] = reach_new("fan-held", 1 + i % 200, LEDGER_REACHABLE);
}

static void
build_zero(void)
{
    zero_root = reach_new("zero", 0, LEDGER_REACHABLE);
}

static void
build_interior(void)
{
    char *block = reach_new("interior", 200, LEDGER_REACHABLE_INTERIOR);
    void *held = new_node("interior-held", LEDGER_REACHABLE_INTERIOR);
    memcpy(block, &held, sizeof held);
    interior_root = block + 64;
}

/* Blocks to which an interior pointer leads first and a start pointer as well. */
static void
build_interior_and_start(void)
{
    char *block = reach_new("both", 200, LEDGER_REACHABLE);
    void *held = new_node("both-held", LEDGER_REACHABLE);
    memcpy(block, &held, sizeof held);
    both_roots[0] = block + 64;
    both_roots[1] = block;
}

/* 20 bytes requested, 24 to be had: one past the request is inside of the chunk. */
static void
build_slack(void)
{
    slack_root = (char *)reach_new("slack", 20, LEDGER_REACHABLE_INTERIOR) + 20;
}

static void
lose_list(void)
{
    new_list("lost-list", 7, LEDGER_LEAK_ROOT, LEDGER_LEAK_INDIRECT);
}

static void
lose_deep_list(void)
{
    new_list("lost-deep-list", DEEP_NODES, LEDGER_LEAK_ROOT, LEDGER_LEAK_INDIRECT);
}

static void
lose_tree(void)
{
    new_tree("lost-tree", 5, LEDGER_LEAK_ROOT, LEDGER_LEAK_INDIRECT);
}

static void
lose_ring(void)
{
    new_ring("lost-ring", 6, LEDGER_LEAK_CYCLE);
}

static void
lose_deep_ring(void)
{
    new_ring("lost-deep-ring", DEEP_NODES, LEDGER_LEAK_CYCLE);
}

/* A list in both directions: every pair of neighbours is a ring, all together are one cycle. */
static void
lose_double_list(void)
{
    Node *first = new_list("lost-double-list", 9, LEDGER_LEAK_CYCLE, LEDGER_LEAK_CYCLE);
    for (Node *at = first; at->next; at = at->next)
        at->next->other = at;
}

static void
lose_ring_with_tail(void)
{
    Node *ring = new_ring("lost-ring-with-tail", 3, LEDGER_LEAK_CYCLE);
    ring->other = new_list("lost-tail", 3, LEDGER_LEAK_INDIRECT, LEDGER_LEAK_INDIRECT);
}

static void
lose_ring_with_root(void)
{
    Node *root = new_node("lost-ring-root", LEDGER_LEAK_ROOT);
    root->next = new_ring("lost-ring-below", 4, LEDGER_LEAK_INDIRECT);
}

static void
lose_rings(void)
{
    Node *above = new_ring("lost-ring-above", 3, LEDGER_LEAK_CYCLE);
    above->other = new_ring("lost-ring-second", 5, LEDGER_LEAK_INDIRECT);
}

/* Rings that share a block, and one whose edges are interior: each is one cycle. */
static void
lose_linked_rings(void)
{
    Node *first = new_ring("lost-linked-rings", 3, LEDGER_LEAK_CYCLE);
    Node *second = new_ring("lost-linked-rings", 4, LEDGER_LEAK_CYCLE);
    first->other = second;
    second->next->other = first->next;
    Node *one = new_node("lost-interior-ring", LEDGER_LEAK_CYCLE);
    Node *two = new_node("lost-interior-ring", LEDGER_LEAK_CYCLE);
    one->next = (Node *)(void *)&two->payload;
    two->other = (Node *)(void *)&one->payload[1];
}

static void
lose_child(void)
{
    Node *node = new_node("lost-parent", LEDGER_LEAK_ROOT);
    node->next = kept_root = new_node("kept-child", LEDGER_REACHABLE);
}

/* Two roots of different sizes, each with a block of its own, and one that both refer to. */
static void
lose_shared_child(void)
{
    Node *small = reach_new("lost-small-root", sizeof(Node) + 60, LEDGER_LEAK_ROOT);
    Node *large = reach_new("lost-large-root", sizeof(Node) + 160, LEDGER_LEAK_ROOT);
    small->other = reach_new("lost-of-small", 500, LEDGER_LEAK_INDIRECT);
    large->other = reach_new("lost-of-large", 600, LEDGER_LEAK_INDIRECT);
    small->next = large->next =
        new_list("lost-shared", 2, LEDGER_LEAK_INDIRECT, LEDGER_LEAK_INDIRECT);
}

static void
lose_diamond(void)
{
    Node *top = new_node("lost-diamond", LEDGER_LEAK_ROOT);
    top->next = new_node("lost-diamond", LEDGER_LEAK_INDIRECT);
    top->other = new_node("lost-diamond", LEDGER_LEAK_INDIRECT);
    top->next->next = top->other->next = new_node("lost-diamond", LEDGER_LEAK_INDIRECT);
}

static void
lose_self(void)
{
    Node *node = new_node("self", LEDGER_LEAK_ROOT);
    node->next = node;
    node->other = (Node *)(void *)&node->payload;
}

static void
lose_large(void)
{
    char *large = reach_new("lost-large", LARGE_BYTES, LEDGER_LEAK_ROOT);
    void *held = new_node("lost-large-held", LEDGER_LEAK_INDIRECT);
    memcpy(large + LARGE_BYTES / 2, &held, sizeof held);
}

/* To the byte after the last one that malloc_usable_size() tells of. */
static void
lose_past_end(void)
{
    char *block = reach_new("past-end", 72, LEDGER_LEAK_ROOT);
    past_end_root = block + malloc_usable_size(block);
}

/*
 * To the two words before a block. The first is the last word of the block before, where that is in
 * use; the second is its size, and in no block.
 */
static void
lose_header(void)
{
    char *before = reach_new("header-before", 1000, LEDGER_REACHABLE_INTERIOR);
    char *block = reach_new("header", 1000, LEDGER_LEAK_ROOT);
    reach_require(before + malloc_usable_size(before) + 8 == block, "no neighbours");
    header_roots[0] = block - 16;
    header_roots[1] = block - 8;
}

static void
lose_unaligned(void)
{
    void *block = reach_new("unaligned", 30, LEDGER_LEAK_ROOT);
    memcpy(unaligned_root + 3, &block, sizeof block);
}

/* A global still has the address from before realloc(). What lies there is free and stays so: it is
 * in the tcache, and no scene asks for its size. */
static void
lose_moved(void)
{
    LedgerSlot slot = reach_new_slot("moved-from", 680, LEDGER_LEAK_ROOT);
    reach_new("moved-barrier", 40, LEDGER_LEAK_ROOT);
    stale_root = ledger_get_pointer(slot);
    slot = ledger_realloc(slot, 90000);
    memset(ledger_get_pointer(slot), 0, 90000);
    ledger_describe(slot, LEDGER_LEAK_ROOT, "moved");
    reach_require(stale_root != ledger_get_pointer(slot), "realloc did not move the block");
}

const ReachScene reach_shapes[] = {
    {"--list", .build = build_list},
    {"--tree", .build = build_tree},
    {"--ring", .build = build_ring},
    {"--last-word", .build = build_last_word},
    {"--large", .build = build_large},
    {"--fan", .build = build_fan},
    {"--zero", .build = build_zero},
    {"--interior", .build = build_interior},
    {"--interior-and-start", .build = build_interior_and_start},
    {"--slack", .build = build_slack},
    {"--deep-list", .build = build_deep_list},
    {"--lost-list", .build = lose_list, .loses = true},
    {"--lost-deep-list", .build = lose_deep_list, .loses = true},
    {"--lost-tree", .build = lose_tree, .loses = true},
    {"--lost-ring", .build = lose_ring, .loses = true},
    {"--lost-deep-ring", .build = lose_deep_ring, .loses = true},
    {"--lost-double-list", .build = lose_double_list, .loses = true},
    {"--lost-ring-with-tail", .build = lose_ring_with_tail, .loses = true},
    {"--lost-ring-with-root", .build = lose_ring_with_root, .loses = true},
    {"--lost-rings", .build = lose_rings, .loses = true},
    {"--lost-linked-rings", .build = lose_linked_rings, .loses = true},
    {"--lost-child", .build = lose_child, .loses = true},
    {"--lost-shared-child", .build = lose_shared_child, .loses = true},
    {"--lost-diamond", .build = lose_diamond, .loses = true},
    {"--self", .build = lose_self, .loses = true},
    {"--lost-large", .build = lose_large, .loses = true},
    {"--past-end", .build = lose_past_end, .loses = true},
    {"--header", .build = lose_header, .loses = true},
    {"--unaligned", .build = lose_unaligned, .loses = true},
    {"--moved", .build = lose_moved, .loses = true},
    {0},
};
