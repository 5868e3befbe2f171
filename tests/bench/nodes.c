/*
 * COUNT nodes of 24 bytes in one list in random order, or in a binary tree; all reachable. Prints
 * how long a plain loop takes to visit them in memory, then aborts.
 *
 * Usage: nodes list|tree [COUNT]      (default 10000000)
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TREE_DEPTH_MAX 64

typedef struct Node {
    struct Node *left; /* in a list: the next one */
    struct Node *right;
    uint64_t value;
} Node;

/* The only reference to the nodes when the program ends. */
static Node *root;

static double
get_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Fisher-Yates, with xorshift64. */
static void
shuffle(Node **nodes, uint64_t count)
{
    uint64_t random = UINT64_C(88172645463325252);
    for (uint64_t i = count - 1; i > 0; i--) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        Node **other = &nodes[random % (i + 1)];
        Node *node = nodes[i];
        nodes[i] = *other;
        *other = node;
    }
}

static void
tie_list(Node **nodes, uint64_t count)
{
    for (uint64_t i = 0; i + 1 < count; i++)
        nodes[i]->left = nodes[i + 1];
    root = nodes[0];
}

static void
tie_tree(Node **nodes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        nodes[i]->left = 2 * i + 1 < count ? nodes[2 * i + 1] : NULL;
        nodes[i]->right = 2 * i + 2 < count ? nodes[2 * i + 2] : NULL;
    }
    root = nodes[0];
}

static uint64_t
visit_all(void)
{
    Node *stack[TREE_DEPTH_MAX];
    int depth = 0;
    uint64_t visited = 0;
    stack[depth++] = root;
    while (depth > 0) {
        const Node *node = stack[--depth];
        visited++;
        if (node->right != NULL)
            stack[depth++] = node->right;
        if (node->left != NULL)
            stack[depth++] = node->left;
    }
    return visited;
}

int
main(int argc, char **argv)
{
    const int tree = argc > 1 && strcmp(argv[1], "tree") == 0;
    const uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 10000000;
    Node **nodes = calloc(count, sizeof(Node *));
    for (uint64_t i = 0; nodes != NULL && i < count; i++)
        nodes[i] = calloc(1, sizeof(Node));
    if (nodes == NULL || count == 0 || nodes[count - 1] == NULL)
        return 1;
    shuffle(nodes, count);
    if (tree)
        tie_tree(nodes, count);
    else
        tie_list(nodes, count);
    memset(nodes, 0, count * sizeof(Node *));
    free(nodes);
    const double start = get_seconds();
    const uint64_t visited = visit_all();
    printf("a plain loop visits %llu nodes in %.3f s\n", (unsigned long long)visited,
           get_seconds() - start);
    (void)fflush(stdout);
    abort();
}
