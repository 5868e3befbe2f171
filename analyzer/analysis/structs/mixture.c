/*
 * Chunk by chunk, type by type; see mixture.h.
 */
#include "analysis/structs/mixture.h"

/* What is looked at. */
#define CHUNKS    96
#define TYPES_MAX 4000

/* So many chunks, and one in so many, must speak for a type. */
#define CHUNKS_MIN   6
#define CHUNKS_SHARE 6

/* Types of which so little can be told speak for nothing. */
#define CHECKED_MIN 2

typedef struct {
    const PmType *type;
    guint chunks;
    double sum;
} Found;

static int
compare_found(gconstpointer a, gconstpointer b)
{
    const Found *left = a, *right = b;
    if (left->sum != right->sum)
        return left->sum > right->sum ? -1 : 1;
    return left->type->id < right->type->id ? -1 : left->type->id > right->type->id;
}

/* What the chunks that speak for @type come to. */
static Found
count_chunks(PmFitter *fitter, PmScene *scene, const PmType *type, double *scores)
{
    Found found = {.type = type};
    const PmFitPlan *plan = pm_fit_plans_get(fitter->plans, type);
    if (plan->checked < CHECKED_MIN)
        return found;
    pm_fitter_score_each(fitter, scene, plan, FALSE, scores);
    for (gsize i = 0; i < scene->block->count; i++) {
        if (scores[i] < PM_MIXTURE_ODDS)
            continue;
        found.chunks++;
        found.sum += scores[i];
    }
    return found;
}

GPtrArray *
pm_mixture_find(PmFitter *fitter, const PmChunk *chunks, gsize count, PmRequests sizes)
{
    GPtrArray *result = g_ptr_array_new();
    g_autoptr(GPtrArray) types = pm_types_find_by_size(fitter->types, sizes.min, sizes.max);
    if (count < CHUNKS_MIN || types->len > TYPES_MAX)
        return result;
    g_autoptr(PmScene) scene = pm_scene_new(fitter, chunks, count, CHUNKS, 0);
    g_autofree double *scores = g_new0(double, scene->block->count + 1);
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(Found));
    for (guint i = 0; i < types->len; i++) {
        Found found = count_chunks(fitter, scene, g_ptr_array_index(types, i), scores);
        if (found.chunks >= CHUNKS_MIN && (gsize)found.chunks * CHUNKS_SHARE >= scene->block->count)
            g_array_append_val(all, found);
    }
    g_array_sort(all, compare_found);
    for (guint i = 0; i < all->len && i < PM_MIXTURE_TYPES; i++)
        g_ptr_array_add(result, (gpointer)g_array_index(all, Found, i).type);
    return result;
}
