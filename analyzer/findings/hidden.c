/*
 * Leak roots that live memory holds the addresses of; see hidden.h.
 */
#include "findings/hidden.h"

#include "analysis/contents/sampler.h"
#include "analysis/format.h"
#include "analysis/reach/disguised.h"
#include "findings/draw.h"
#include "findings/weights.h"

/* Fewer of them say nothing: a few addresses in disguise stand about in any process. */
#define SHARE_LEAST 0.25

/* Fewer ends are where somebody stopped reading. */
#define BESIDE_LEAST 8

/* @sets: PmSample by chunk_bytes, 0 for all sizes. @sought: PmDisguised of all sets. */
struct PmHidden {
    const PmFindingsInput *input;
    GHashTable *sets;
    GArray *sought;
};

static void
add_set(PmHidden *hidden, guint64 chunk_bytes)
{
    g_autoptr(PmSample) roots =
        pm_draw_chunks(hidden->input, chunk_bytes, PM_REACH_ROOTS, PM_HIDDEN_SAMPLE);
    g_autoptr(PmSample) lost = chunk_bytes != 0 ? pm_draw_chunks(hidden->input, chunk_bytes,
                                                                 PM_REACH_LOST, PM_HIDDEN_SAMPLE)
                                                : NULL;
    if (roots->count == 0 || (lost != NULL && roots->population * 2 < lost->population))
        return;
    for (gsize i = 0; i < roots->count; i++) {
        const PmDisguised sought = {.user = roots->chunks[i].address,
                                    .usable_bytes = roots->chunks[i].usable_bytes};
        g_array_append_val(hidden->sought, sought);
    }
    g_hash_table_insert(hidden->sets, g_memdup2(&chunk_bytes, sizeof chunk_bytes),
                        g_steal_pointer(&roots));
}

static gint
compare_users(gconstpointer left, gconstpointer right)
{
    const PmAddr a = ((const PmDisguised *)left)->user;
    const PmAddr b = ((const PmDisguised *)right)->user;
    return (a > b) - (a < b);
}

/* Sorts the sought, each once. */
static void
sort_sought(GArray *sought)
{
    guint kept = 0;
    g_array_sort(sought, compare_users);
    for (guint i = 0; i < sought->len; i++) {
        const PmDisguised one = g_array_index(sought, PmDisguised, i);
        if (kept == 0 || g_array_index(sought, PmDisguised, kept - 1).user != one.user)
            g_array_index(sought, PmDisguised, kept++) = one;
    }
    g_array_set_size(sought, kept);
}

PmHidden *
pm_hidden_new(const PmFindingsInput *input, const GArray *sizes)
{
    PmHidden *hidden = g_new0(PmHidden, 1);
    hidden->input = input;
    hidden->sets =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, (GDestroyNotify)pm_sample_free);
    hidden->sought = g_array_new(FALSE, FALSE, sizeof(PmDisguised));
    add_set(hidden, 0);
    for (guint i = 0; i < sizes->len; i++)
        add_set(hidden, g_array_index(sizes, guint64, i));
    sort_sought(hidden->sought);
    pm_disguised_find(input->reach, (PmDisguised *)(gpointer)hidden->sought->data,
                      hidden->sought->len);
    return hidden;
}

void
pm_hidden_free(PmHidden *hidden)
{
    if (hidden == NULL)
        return;
    g_hash_table_unref(hidden->sets);
    g_array_unref(hidden->sought);
    g_free(hidden);
}

static const PmDisguised *
find_sought(const PmHidden *hidden, PmAddr user)
{
    const PmDisguised wanted = {.user = user};
    guint index = 0;
    return g_array_binary_search(hidden->sought, &wanted, compare_users, &index)
               ? &g_array_index(hidden->sought, PmDisguised, index)
               : NULL;
}

/* How most of those that were found are written. */
static const char *
describe_disguise(PmDisguise disguise)
{
    switch (disguise) {
    case PM_DISGUISE_TAGGED:
        return "with other bits in the upper 16, as tagged pointers are";
    case PM_DISGUISE_SHIFTED:
        return "shifted up by 16 bits, as tagged pointers are";
    case PM_DISGUISE_BESIDE:
        return "one word before their start or at their end";
    default:
        return "at odd addresses, as in packed structures";
    }
}

void
pm_hidden_weigh(const PmHidden *hidden, guint64 chunk_bytes, GArray *evidence)
{
    const guint64 all = 0;
    const PmSample *sample = g_hash_table_lookup(hidden->sets, &chunk_bytes);
    gsize counts[PM_DISGUISES] = {0}, found = 0;
    const PmDisguised *examples[PM_DISGUISES] = {NULL};
    if (sample == NULL)
        sample = g_hash_table_lookup(hidden->sets, &all);
    for (gsize i = 0; sample != NULL && i < sample->count; i++) {
        const PmDisguised *one = find_sought(hidden, sample->chunks[i].address);
        if (one == NULL || one->disguise == PM_DISGUISE_NONE)
            continue;
        if (counts[one->disguise]++ == 0)
            examples[one->disguise] = one;
        found++;
    }
    if (counts[PM_DISGUISE_BESIDE] < BESIDE_LEAST) {
        found -= counts[PM_DISGUISE_BESIDE];
        counts[PM_DISGUISE_BESIDE] = 0;
    }
    if (found == 0 || pm_share(found, sample->count) < SHARE_LEAST)
        return;
    PmDisguise most = PM_DISGUISE_UNALIGNED;
    for (guint i = 0; i < PM_DISGUISES; i++)
        if (counts[i] > counts[most])
            most = i;
    pm_evidence_add(
        evidence, "hidden", PM_WEIGHT_HIDDEN * pm_share(found, sample->count),
        "memory in use holds the addresses of %s of %s looked for, %s: 0x%" G_GINT64_MODIFIER
        "x at 0x%" G_GINT64_MODIFIER "x; the program may still know them",
        pm_format_count(found).text, pm_format_count(sample->count).text, describe_disguise(most),
        examples[most]->user, examples[most]->at);
}
