#include "analysis/types/rest.h"

#include <math.h>
#include <stdlib.h>

/*
 * @next: the number of the next chunk to be kept in place of another; @weight: what the distance to
 * the one after it is drawn from. (Li, "Reservoir-Sampling Algorithms of Time Complexity
 * O(n(1 + log(N/n)))", ACM TOMS 1994, algorithm L)
 */
typedef struct {
    guint64 chunk_bytes;
    guint64 chunks;
    GArray *kept; /* PmChunk */
    guint64 next;
    double weight;
} Size;

struct PmRest {
    GHashTable *by_size; /* Size.chunk_bytes → Size */
    Size *last;          /* neighbours are alike */
    GRand *random;
};

static void
size_free(gpointer data)
{
    Size *size = data;
    g_array_unref(size->kept);
    g_free(size);
}

PmRest *
pm_rest_new(void)
{
    PmRest *rest = g_new0(PmRest, 1);
    rest->by_size = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, size_free);
    rest->random = g_rand_new_with_seed(1);
    return rest;
}

void
pm_rest_free(PmRest *rest)
{
    g_hash_table_unref(rest->by_size);
    g_rand_free(rest->random);
    g_free(rest);
}

/* More than 0, at most 1. */
static double
draw(const PmRest *rest)
{
    return 1 - g_rand_double(rest->random);
}

static void
choose_next(const PmRest *rest, Size *size)
{
    size->weight *= exp(log(draw(rest)) / PM_REST_SAMPLE);
    const double distance = floor(log(draw(rest)) / log1p(-size->weight)) + 1;
    const guint64 far = (guint64)1 << 62;
    size->next += distance < (double)far ? (guint64)distance : far;
}

static Size *
find_size(PmRest *rest, guint64 chunk_bytes)
{
    Size *size = g_hash_table_lookup(rest->by_size, &chunk_bytes);
    if (size == NULL) {
        size = g_new0(Size, 1);
        size->chunk_bytes = chunk_bytes;
        size->kept = g_array_new(FALSE, FALSE, sizeof(PmChunk));
        size->weight = 1;
        g_hash_table_insert(rest->by_size, &size->chunk_bytes, size);
    }
    return size;
}

void
pm_rest_add(PmRest *rest, const PmChunk *chunk)
{
    if (rest->last == NULL || rest->last->chunk_bytes != chunk->chunk_bytes)
        rest->last = find_size(rest, chunk->chunk_bytes);
    Size *size = rest->last;
    const guint64 number = size->chunks++;
    if (size->kept->len < PM_REST_SAMPLE) {
        g_array_append_val(size->kept, *chunk);
        if (size->kept->len == PM_REST_SAMPLE) {
            size->next = number;
            choose_next(rest, size);
        }
    } else if (number == size->next) {
        const gint32 place = g_rand_int_range(rest->random, 0, PM_REST_SAMPLE);
        g_array_index(size->kept, PmChunk, place) = *chunk;
        choose_next(rest, size);
    }
}

static gint
compare_sizes(gconstpointer a, gconstpointer b)
{
    const Size *left = *(Size *const *)a;
    const Size *right = *(Size *const *)b;
    const double left_bytes = (double)left->chunks * (double)left->chunk_bytes;
    const double right_bytes = (double)right->chunks * (double)right->chunk_bytes;
    if (left_bytes != right_bytes)
        return left_bytes > right_bytes ? -1 : 1;
    return left->chunk_bytes < right->chunk_bytes ? -1 : left->chunk_bytes > right->chunk_bytes;
}

GArray *
pm_rest_get_sizes(const PmRest *rest)
{
    g_autoptr(GPtrArray) sizes = g_ptr_array_new();
    GArray *list = g_array_new(FALSE, FALSE, sizeof(guint64));
    GHashTableIter iter;
    gpointer data = NULL;
    g_hash_table_iter_init(&iter, rest->by_size);
    while (g_hash_table_iter_next(&iter, NULL, &data))
        g_ptr_array_add(sizes, data);
    g_ptr_array_sort(sizes, compare_sizes);
    for (guint i = 0; i < sizes->len; i++) {
        const Size *size = g_ptr_array_index(sizes, i);
        g_array_append_val(list, size->chunk_bytes);
    }
    return list;
}

static gint
compare_chunks(gconstpointer a, gconstpointer b)
{
    const PmChunk *left = a;
    const PmChunk *right = b;
    return left->address < right->address ? -1 : left->address > right->address;
}

PmSample *
pm_rest_get_sample(const PmRest *rest, guint64 chunk_bytes)
{
    PmSample *sample = g_new0(PmSample, 1);
    const Size *size = g_hash_table_lookup(rest->by_size, &chunk_bytes);
    if (size == NULL)
        return sample;
    g_array_sort(size->kept, compare_chunks);
    sample->chunks = g_memdup2(size->kept->data, size->kept->len * sizeof(PmChunk));
    sample->count = size->kept->len;
    sample->population = size->chunks;
    sample->population_known = TRUE;
    sample->is_whole = size->chunks == size->kept->len;
    return sample;
}
