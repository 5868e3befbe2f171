/*
 * More allocation sites (sites.h): functions that ask for what their callers say, and do not simply
 * return it.
 */
#include "sites.h"

#include <stdint.h>
#include <stdlib.h>

struct object {
    uint64_t kind;
    void *body;
};

struct table {
    size_t count;
    void **rows;
};

static void *site_pool[4];

/* What it allocates is the second of the two words that it returns. */
SITE struct object
object_new(int slots)
{
    int *body = malloc(sizeof(uint64_t) + (size_t)slots * 40 + sizeof(int) * (size_t)(slots * 2));
    if (body)
        *body = 1;
    return (struct object){(uint64_t)slots << 32 | 7, body};
}

SITE void
s91_is_392(void)
{
    struct object object = object_new(8);
    site_sink = object.body;
}

/* A block of its own, and one that its caller chooses; none of the latter without the former. */
SITE struct table *
table_new(size_t count)
{
    struct table *table = malloc(sizeof *table);
    if (!table)
        return NULL;
    table->count = count;
    table->rows = calloc(count, sizeof(void *));
    return table;
}

SITE void
s92_is_1096(void)
{
    site_sink = table_new(137);
}

/* The same where the program ends without. */
SITE struct table *
table_must_new(size_t count)
{
    struct table *table = malloc(sizeof *table);
    if (!table)
        abort();
    table->rows = malloc(count * 4);
    return table;
}

SITE void
s99_is_1180(void)
{
    site_sink = table_must_new(295);
}

/* Out of a pool, or from the heap. */
SITE void *
pool_or_heap(size_t size)
{
    for (unsigned i = 0; i < 4; i++) {
        void *block = site_pool[i];
        if (block) {
            site_pool[i] = NULL;
            return block;
        }
    }
    return malloc(size);
}

SITE void
s93_is_1112(void)
{
    site_sink = pool_or_heap(1112);
}

/* Only large blocks are blocks of their own: whether 40 bytes are asked for is not to be seen. */
SITE void *
pool_or_large(size_t size)
{
    if (size < 1000)
        return site_pool[size % 4];
    void *large = malloc(size + 16);
    site_sink = large;
    return site_pool[0];
}

SITE void
s94_unknown(void)
{
    site_sink = pool_or_large(40);
    site_sink = malloc(site_number);
}

/* calloc() of at least one. */
SITE void *
some(size_t count, size_t size)
{
    if (count == 0)
        count = 1;
    return calloc(count, size);
}

SITE void
s95_is_1128(void)
{
    site_sink = some(3, 376);
}

SITE void
s96_is_376(void)
{
    site_sink = some(0, 376);
}

/* The larger of what the caller and what a variable says. */
SITE void *
grow(size_t size)
{
    const size_t least = site_number * 3;
    return malloc(least > size ? least : size);
}

SITE void
s97_unknown(void)
{
    site_sink = grow(1144);
}

/* A member of a variable of another module holds the allocator. */
SITE void *
hooked(int size)
{
    return site_hooks.allocate(size + 8);
}

SITE void
s98_is_1168(void)
{
    site_sink = hooked(1160);
}
