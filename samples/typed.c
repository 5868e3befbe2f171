/*
 * Chunks to which pointers of every kind lead, from variables of every kind: what the type
 * propagation is tested on. In the ledger each chunk bears the name of its type, with ~ for a
 * space, as `types` is to say it; "?" before it where the name alone is to be right, "noise" where
 * there is to be none.
 *
 * Usage: typed [OPTIONS OF ledger.h]
 *
 * The variables are not static: the compiler drops what nobody reads.
 */
#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 4096

static uint64_t state = 1;

static void *
allocate(size_t bytes, const char *name)
{
    void *pointer = malloc(bytes);
    ledger_describe(ledger_add(pointer, bytes, LEDGER_MALLOC), LEDGER_REACHABLE, name);
    memset(pointer, 0, bytes);
    return pointer;
}

static char *
new_text(const char *text)
{
    const size_t bytes = strlen(text) + 1;
    return memcpy(allocate(bytes, "char[]"), text, bytes);
}

#define NEW(type) ((struct type *)allocate(sizeof(struct type), "struct~" #type))

/* ---- linked structures, and arrays of them ---- */

struct node {
    struct node *next;
    long value;
};

struct tree {
    struct tree *left, *right, *parent;
    struct node *payload;
    int depth;
};

struct point {
    int x, y;
    struct node *nearest;
    char *label;
};

/* Of flexible size, with pointers in what follows, and without. */
struct packet {
    unsigned length;
    struct node *owner;
    unsigned char bytes[];
};

struct vector {
    unsigned count;
    struct tree *items[];
};

struct registry {
    unsigned count;
    struct point *points;
    struct node **buckets;
    struct {
        struct packet *first;
        struct vector *kept[3];
    } inner;
    double *samples;
};

struct registry registry;
struct node *ring;
struct tree *root;
__thread struct node *per_thread;

static struct tree *
grow(struct tree *parent, int depth)
{
    struct tree *tree = NEW(tree);
    tree->parent = parent;
    tree->depth = depth;
    if (depth % 2 == 0) {
        tree->payload = NEW(node);
        tree->payload->value = depth;
    }
    if (depth < 5) {
        tree->left = grow(tree, depth + 1);
        tree->right = grow(tree, depth + 1);
    }
    return tree;
}

static void
make_linked(void)
{
    struct node *first = NEW(node);
    ring = first;
    for (int i = 0; i < 50; i++) {
        ring->next = NEW(node);
        ring = ring->next;
        ring->value = i;
    }
    ring->next = first;
    root = grow(NULL, 0);
    per_thread = NEW(node);
    registry.count = 9;
    registry.points = allocate(9 * sizeof(struct point), "struct~point[]");
    for (int i = 0; i < 9; i++) {
        registry.points[i].x = i;
        registry.points[i].label = new_text("a point of the registry");
        registry.points[i].nearest = NEW(node);
    }
    registry.buckets = allocate(32 * sizeof(struct node *), "struct~node~*[]");
    for (int i = 0; i < 32; i += 3)
        registry.buckets[i] = NEW(node);
    registry.inner.first = allocate(sizeof(struct packet) + 100, "struct~packet");
    registry.inner.first->owner = NEW(node);
    for (unsigned i = 0; i < 3; i++) {
        struct vector *vector =
            allocate(sizeof(struct vector) + (2 + i) * sizeof(struct tree *), "struct~vector");
        vector->count = 2 + i;
        for (unsigned j = 0; j < vector->count; j++)
            vector->items[j] = grow(NULL, 4);
        registry.inner.kept[i] = vector;
    }
    registry.samples = allocate(500 * sizeof(double), "double[]");
}

/* ---- what is linked within, and what only begins like its declaration ---- */

struct link {
    struct link *next, *prev;
};

struct task {
    int id;
    char title[20];
    struct link siblings;
    struct node *work;
};

struct link tasks = {&tasks, &tasks};

/* Kinds of one size are told by their tag alone. */
enum kind { KIND_CIRCLE = 1, KIND_SQUARE, KIND_LABEL };
struct shape {
    struct shape *next;
    enum kind kind;
};
struct circle {
    struct shape base;
    struct node *centre;
    double radius;
    long colour;
};
struct square {
    struct shape base;
    double side;
    struct tree *corner;
    long colour;
};
struct label {
    struct shape base;
    char *text;
    struct circle *around;
    struct square *inside;
    double size;
    long colour[9];
};

struct shape *shapes;

static struct shape *
add_shape(struct shape *shape, enum kind kind)
{
    shape->next = shapes;
    shape->kind = kind;
    shapes = shape;
    return shape;
}

static void
make_within(void)
{
    for (int i = 0; i < 40; i++) {
        struct task *task = NEW(task);
        task->id = i;
        snprintf(task->title, sizeof task->title, "task %d", i);
        task->work = NEW(node);
        task->siblings = (struct link){tasks.next, &tasks};
        tasks.next->prev = &task->siblings;
        tasks.next = &task->siblings;
    }
    for (int i = 0; i < 60; i++) {
        struct circle *circle = (struct circle *)add_shape(&NEW(circle)->base, KIND_CIRCLE);
        struct square *square = (struct square *)add_shape(&NEW(square)->base, KIND_SQUARE);
        circle->centre = NEW(node);
        circle->radius = 1.5 + i;
        square->corner = NEW(tree);
        square->side = 2.5 + i;
        if (i % 4 == 0) {
            struct label *label = (struct label *)add_shape(&NEW(label)->base, KIND_LABEL);
            label->text = new_text("a label");
            label->around = circle;
            label->inside = square;
        }
    }
}

/* ---- unions, and pointers that say nothing ---- */

enum tag { TAG_TEXT, TAG_NODE, TAG_TREE, TAG_REAL };
struct value {
    enum tag tag;
    union {
        char *text;
        struct node *node;
        struct tree *tree;
        double real;
    };
};

/* A structure of which only the name is declared. */
struct secret;

struct value values[64];
struct secret *secret;
void *blobs[16];
struct node *tagged; /* bit 0 is a flag */

static void
make_vague(void)
{
    for (int i = 0; i < 64; i++) {
        values[i].tag = (enum tag)(i % 4);
        if (values[i].tag == TAG_TEXT)
            values[i].text =
                new_text(i % 8 == 0 ? "a short one" : "a text that is somewhat longer");
        else if (values[i].tag == TAG_NODE)
            values[i].node = NEW(node);
        else if (values[i].tag == TAG_TREE)
            values[i].tree = NEW(tree);
        else
            values[i].real = 0.5 * i;
    }
    secret = allocate(200, "?struct~secret");
    for (int i = 0; i < 16; i++) {
        blobs[i] = allocate(3000 + 16 * (size_t)i, "noise");
        ledger_fill(blobs[i], 3000, &state, false);
    }
    tagged = (struct node *)((char *)NEW(node) + 1);
}

/* ---- declarations that contradict each other ---- */

struct widget {
    double a, b;
    struct widget *after;
    struct tree *owner;
};
struct gadget {
    char *name;
    struct node *first;
    long magic;
    struct gadget *self;
};

/* The first one is stale: the chunk became a gadget. */
struct widget *before;
struct gadget *gadget;

static void
make_contradiction(void)
{
    gadget = NEW(gadget);
    gadget->name = new_text("the gadget");
    gadget->first = NEW(node);
    gadget->magic = 7;
    gadget->self = gadget;
    before = (struct widget *)gadget;
}

/* ---- a pool: pointers lead into a chunk, and none to it ---- */

struct item {
    struct item *next;
    struct node *payload;
    char key[24];
};

struct item *heads[4];

static void
make_pool(void)
{
    char *pool = allocate(64 + 64 * sizeof(struct item), "pool~of~struct~item");
    struct item *items = (struct item *)(pool + 64);
    for (int i = 0; i < 64; i++) {
        items[i].next = heads[i % 4];
        items[i].payload = NEW(node);
        heads[i % 4] = &items[i];
    }
}

/* ---- hostile: cycles, ends that lead nowhere ---- */

struct knot {
    struct knot *a, *b;
    struct knot **self;
    struct node *gone;
};

struct knot *knots;

static void
make_knots(void)
{
    struct knot *first = NEW(knot);
    struct knot *second = NEW(knot);
    struct node *gone = malloc(sizeof *gone);
    *first = (struct knot){first, second, &first->a, gone};
    *second = (struct knot){first, first, &second->b, (struct node *)0x10};
    free(gone);
    knots = first;
}

int
main(int argc, char **argv)
{
    LedgerOptions options = {.end = LEDGER_END_ABORT, .seed = 1};
    for (int i = 1; i < argc; i++)
        if (!ledger_parse_option(&options, argc, argv, &i))
            ledger_usage(argv[i]);
    ledger_open(&options);
    ledger_table_open(ROWS);
    state = options.seed;
    make_linked();
    make_within();
    make_vague();
    make_contradiction();
    make_pool();
    make_knots();
    ledger_finish(&options);
}
