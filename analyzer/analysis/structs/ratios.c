/*
 * How much more likely what is seen is if a leaf is there than by chance; see fit.h. Leaves that
 * are alike share a table.
 */
#include "analysis/structs/expect.h"
#include "analysis/structs/fit-private.h"

#include <math.h>
#include <string.h>

/* Chunks of all sizes whose words are the null model, and how much of each. */
#define NULL_CHUNKS 512
#define NULL_DRAWN  4096
#define NULL_BYTES  256
#define NULL_SEED   40

/* Of one size no more than so many, and so many sizes are what makes a null model: with fewer, what
 * words hold in programs at large stands in. */
#define NULL_OF_SIZE 48
#define NULL_SIZES   10

/* What a vtable can say, which names a class. */
#define VTABLE_RATIO 5.0

/* What these very chunks' words are of the null model; the rest is words of all sizes. */
#define OWN_SHARE (1.0 / 3)

/* Nothing is less likely than this by chance. */
#define LEAST_CHANCE 0.003

/* What leaves have in common that share a table; compared byte by byte. */
typedef struct {
    const PmType *type;
    guint64 size_bytes;
    guint64 inner_bytes;
    guint32 kind;
    guint32 bit_offset;
    guint32 bit_count;
    guint32 plain;
} LeafKey;

typedef struct {
    LeafKey key;
    double values[PM_SEEN_KINDS];
} LeafTable;

static guint
hash_key(gconstpointer data)
{
    const LeafKey *key = data;
    guint64 hash = GPOINTER_TO_SIZE(key->type) ^ (key->size_bytes << 7) ^ (key->inner_bytes << 17) ^
                   ((guint64)key->kind << 27) ^ ((guint64)key->bit_offset << 33) ^
                   ((guint64)key->bit_count << 41) ^ key->plain;
    return (guint)((hash * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15)) >> 32);
}

static gboolean
equal_keys(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, sizeof(LeafKey)) == 0;
}

static const PmFitPlan *get_target(PmFitter *fitter, const PmLeaf *leaf);

/* Of a pointer that is not followed only the size of its target matters. */
static LeafKey
make_key(PmFitter *fitter, const PmLeaf *leaf, gboolean deep)
{
    LeafKey key = {
        .type = leaf->type,
        .size_bytes = leaf->size_bytes,
        .inner_bytes = leaf->inner_bytes,
        .kind = (guint32)leaf->kind,
        .bit_offset = leaf->bit_offset,
        .bit_count = leaf->bit_count,
        .plain = leaf->plain ? 1 : 0,
    };
    if (leaf->kind != PM_LEAF_POINTER || leaf->type == NULL || deep)
        return key;
    key.type = NULL;
    key.inner_bytes = leaf->type->size_bytes;
    if (leaf->type->kind == PM_TYPE_UNKNOWN)
        key.plain = 1;
    else if (leaf->type->kind != PM_TYPE_STRUCT && leaf->type->kind != PM_TYPE_UNION)
        key.plain = 2;
    else
        key.plain = pm_leaf_is_link(leaf, get_target(fitter, leaf)) ? 3 : 4;
    return key;
}

GHashTable *
pm_fit_tables_new(void)
{
    return g_hash_table_new_full(hash_key, equal_keys, NULL, g_free);
}

/* Words of chunks of all sizes: of each size some, or a heap full of one structure would make that
 * what chance gives. */
static const PmBlock *
get_null(PmFitter *fitter)
{
    if (fitter->null != NULL)
        return fitter->null;
    PmChunkFilter filter = {.states = 1U << PM_CHUNK_USED};
    g_autoptr(PmSample) sample =
        pm_sample_new(pm_places_get_subject(fitter->places), NULL, &filter, NULL_DRAWN, NULL_SEED);
    g_autoptr(GHashTable) of_size = g_hash_table_new(NULL, NULL);
    gsize count = 0;
    for (gsize i = 0; i < sample->count; i++) {
        gpointer size = GSIZE_TO_POINTER((gsize)sample->chunks[i].chunk_bytes);
        guint taken = GPOINTER_TO_UINT(g_hash_table_lookup(of_size, size));
        if (taken >= NULL_OF_SIZE)
            continue;
        g_hash_table_insert(of_size, size, GUINT_TO_POINTER(taken + 1));
        sample->chunks[count++] = sample->chunks[i];
    }
    fitter->null_weight = MIN(1, (double)g_hash_table_size(of_size) / NULL_SIZES);
    const PmBlockWanted wanted = {.max_chunks = NULL_CHUNKS, .max_bytes = NULL_BYTES};
    fitter->null = pm_block_new(fitter->observer, pm_places_get_subject(fitter->places),
                                sample->chunks, count, &wanted);
    pm_observer_set_header(fitter->observer, pm_block_find_header(fitter->null));
    return fitter->null;
}

/* The plan of what @leaf points to, or NULL. */
static const PmFitPlan *
get_target(PmFitter *fitter, const PmLeaf *leaf)
{
    if (leaf->kind != PM_LEAF_POINTER || leaf->type == NULL || leaf->type->size_bytes == 0)
        return NULL;
    return pm_fit_plans_get(fitter->plans, leaf->type);
}

/* What chance gives in programs at large, of the categories that can come up. */
static void
make_prior(const PmLeaf *leaf, const double *expect, double *ret_prior)
{
    const double *large = pm_leaf_chance(leaf);
    double total = 0;
    for (guint i = 1; i < PM_SEEN_KINDS; i++)
        total += expect[i] > 0 ? MAX(large[i], LEAST_CHANCE) : 0;
    for (guint i = 1; i < PM_SEEN_KINDS; i++)
        ret_prior[i] = expect[i] > 0 ? MAX(large[i], LEAST_CHANCE) / total : 0;
}

/* What chance gives: one half programs at large, one half this program's chunks of all sizes. */
static const double *
get_shares(PmFitter *fitter, const PmLeaf *leaf, gboolean deep, const double *expect)
{
    GHashTable *tables = deep ? fitter->deep_shares : fitter->shares;
    LeafKey key = make_key(fitter, leaf, deep);
    LeafTable *table = g_hash_table_lookup(tables, &key);
    if (table != NULL)
        return table->values;
    double prior[PM_SEEN_KINDS] = {0};
    make_prior(leaf, expect, prior);
    table = g_new0(LeafTable, 1);
    table->key = key;
    g_hash_table_insert(tables, &table->key, table);
    pm_null_tally(fitter->observer, get_null(fitter), leaf, deep, prior, table->values);
    /* That a vtable names this very class is no matter of chance, however many objects there are.
     */
    double weight = leaf->kind == PM_LEAF_VTABLE ? 0 : fitter->null_weight / 2;
    for (guint i = 1; i < PM_SEEN_KINDS; i++)
        table->values[i] = weight * table->values[i] + (1 - weight) * prior[i];
    return table->values;
}

static double
bound_ratio(const PmLeaf *leaf, double ratio)
{
    if (leaf->kind == PM_LEAF_VTABLE)
        return CLAMP(ratio, -VTABLE_RATIO, VTABLE_RATIO);
    /* Integers: that they are none is news, that they are is not. */
    if (leaf->kind == PM_LEAF_WORD)
        return CLAMP(ratio, PM_RATIO_SMALLEST, 0);
    return CLAMP(ratio, PM_RATIO_SMALLEST, PM_RATIO_LARGEST);
}

const double *
pm_fitter_get_ratios(PmFitter *fitter, PmScene *scene, const PmLeaf *leaf, gboolean deep)
{
    GHashTable *tables = deep ? scene->deep : scene->shallow;
    LeafKey key = make_key(fitter, leaf, deep);
    LeafTable *table = g_hash_table_lookup(tables, &key);
    if (table != NULL)
        return table->values;
    const double *expect = pm_leaf_expect(leaf, deep, get_target(fitter, leaf));
    const double *shares = get_shares(fitter, leaf, deep, expect);
    double own[PM_SEEN_KINDS] = {0};
    if (scene->block != NULL && leaf->kind != PM_LEAF_VTABLE)
        pm_null_tally(fitter->observer, scene->block, leaf, deep, shares, own);
    else
        memcpy(own, shares, sizeof own);
    table = g_new0(LeafTable, 1);
    table->key = key;
    for (guint i = 1; i < PM_SEEN_KINDS; i++) {
        double chance = (1 - OWN_SHARE) * shares[i] + OWN_SHARE * own[i];
        if (expect[i] > 0 && chance > 0)
            table->values[i] = bound_ratio(leaf, log(expect[i] / chance));
    }
    if (leaf->kind == PM_LEAF_WORD)
        table->values[PM_SEEN_RIGHT] = 0;
    g_hash_table_insert(tables, &table->key, table);
    return table->values;
}
