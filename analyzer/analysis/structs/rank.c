/*
 * Candidates for the type of chunks, ranked; see fit.h. Many types of a size are weeded out on few
 * chunks and without following pointers; the rest are looked at closely.
 */
#include "analysis/structs/elements.h"

#include <math.h>
#include <string.h>

/* Candidates that are looked at closely. */
#define CLOSE_MAX 48

/* What a handful of chunks says against a type that is not looked at again. */
#define HANDFUL_ODDS (-3.0)

/* An array is one guess more than a structure: how many elements there are. */
#define ARRAY_PENALTY 0.7

/* What only glibc itself declares is seldom what a program allocates. */
#define RUNTIME_PENALTY 0.5

#define ELEMENTS_CLOSE 8

/* What the second must be behind by for the first to give its name. */
#define CLEAR_LEAD 0.7

#define CONTRADICTIONS_SHARE 8

void
pm_candidate_clear(gpointer candidate)
{
    pm_fit_clear(&((PmCandidate *)candidate)->fit);
}

gboolean
pm_fit_is_good(const PmFit *fit)
{
    return fit->fit >= PM_FIT_FITS &&
           fit->contradictions * CONTRADICTIONS_SHARE <= fit->fields_checked;
}

static const char *
skip_keyword(const char *name)
{
    if (g_str_has_prefix(name, "struct ") || g_str_has_prefix(name, "union "))
        return strchr(name, ' ') + 1;
    return name;
}

gboolean
pm_candidate_fits(const GArray *candidates, guint index)
{
    if (index != 0 || candidates->len == 0)
        return FALSE;
    const PmCandidate *first = &g_array_index(candidates, PmCandidate, 0);
    if (!pm_fit_is_good(&first->fit))
        return FALSE;
    for (guint i = 1; i < candidates->len; i++) {
        const PmCandidate *other = &g_array_index(candidates, PmCandidate, i);
        if (first->fit.log_odds - other->fit.log_odds >= CLEAR_LEAD)
            return TRUE;
        /* The same structure, as another module has it. */
        if (strcmp(skip_keyword(first->type->name), skip_keyword(other->type->name)) != 0)
            return FALSE;
    }
    return TRUE;
}

static int
compare_candidates(gconstpointer a, gconstpointer b)
{
    const PmCandidate *left = a, *right = b;
    if (left->fit.log_odds != right->fit.log_odds)
        return left->fit.log_odds > right->fit.log_odds ? -1 : 1;
    if (left->fit.fields_checked != right->fit.fields_checked)
        return left->fit.fields_checked > right->fit.fields_checked ? -1 : 1;
    if (left->type->size_bytes != right->type->size_bytes)
        return left->type->size_bytes > right->type->size_bytes ? -1 : 1;
    return strcmp(left->type->name, right->type->name);
}

void
pm_rank_sort(GArray *candidates)
{
    g_array_sort(candidates, compare_candidates);
}

/* What speaks for or against a type before its fields are looked at. */
static void
add_prior(PmFitter *fitter, const PmType *type, PmFit *fit)
{
    const PmProcess *process = pm_types_get_process(fitter->types);
    if (type->module != NULL &&
        (type->module->is_interpreter ||
         (type->module == pm_process_get_libc(process) && !type->module->is_executable)))
        fit->log_odds -= RUNTIME_PENALTY;
    fit->fit = pm_fit_squash(fit->log_odds);
}

void
pm_rank_add(PmFitter *fitter, PmScene *scene, const PmType *type, gboolean deep, GArray *candidates)
{
    PmCandidate candidate = {.type = type, .elements = 1};
    pm_fitter_evaluate(fitter, scene, pm_fit_plans_get(fitter->plans, type), deep, &candidate.fit,
                       NULL);
    add_prior(fitter, type, &candidate.fit);
    g_array_append_val(candidates, candidate);
}

/* The array of as many elements as fit, looked at closely. */
static void
score_array(PmFitter *fitter, PmScene *scene, PmCandidate *candidate, guint64 max_bytes)
{
    candidate->elements = max_bytes / candidate->type->size_bytes;
    const PmType *array = pm_types_get_array(fitter->types, candidate->type, candidate->elements);
    pm_fitter_evaluate(fitter, scene, pm_fit_plans_get(fitter->plans, array), TRUE, &candidate->fit,
                       NULL);
    candidate->fit.log_odds -= ARRAY_PENALTY;
    add_prior(fitter, candidate->type, &candidate->fit);
}

/* The best of @coarse on more chunks, with what pointers lead to. */
static void
look_closely(PmFitter *fitter, PmScene *scene, GArray *coarse, guint count, guint64 max_bytes,
             GArray *candidates)
{
    for (guint i = 0; i < coarse->len && i < count; i++) {
        PmCandidate candidate = g_array_index(coarse, PmCandidate, i);
        if (candidate.is_array) {
            score_array(fitter, scene, &candidate, max_bytes);
            if (candidate.fit.log_odds > 0)
                g_array_append_val(candidates, candidate);
        } else {
            pm_rank_add(fitter, scene, candidate.type, TRUE, candidates);
        }
    }
    /* The others keep what they came to. */
    for (guint i = count; i < coarse->len; i++) {
        PmCandidate *candidate = &g_array_index(coarse, PmCandidate, i);
        if (!candidate->is_array)
            g_array_append_val(candidates, *candidate);
    }
}

static void
name_worst(PmFitter *fitter, PmScene *scene, PmCandidate *candidate)
{
    PmFit again;
    guint64 worst = G_MAXUINT64;
    const PmType *type = candidate->is_array ? pm_types_get_array(fitter->types, candidate->type,
                                                                  candidate->elements)
                                             : candidate->type;
    pm_fitter_evaluate(fitter, scene, pm_fit_plans_get(fitter->plans, type), TRUE, &again, &worst);
    if (worst != G_MAXUINT64)
        candidate->fit.worst = pm_type_describe_offset(fitter->types, type, worst);
}

/* All types of the sizes, on few chunks; those that a handful does not speak against, on some more.
 */
static GArray *
look_at_all(PmFitter *fitter, PmScene *handful, PmScene *few, guint64 min_bytes, guint64 max_bytes)
{
    g_autoptr(GPtrArray) types = pm_types_find_by_size(fitter->types, min_bytes, max_bytes);
    GArray *coarse = g_array_sized_new(FALSE, FALSE, sizeof(PmCandidate), types->len);
    for (guint i = 0; i < types->len; i++) {
        const PmType *type = g_ptr_array_index(types, i);
        pm_rank_add(fitter, handful, type, FALSE, coarse);
        if (g_array_index(coarse, PmCandidate, i).fit.log_odds < HANDFUL_ODDS)
            continue;
        g_array_set_size(coarse, i);
        pm_rank_add(fitter, few, type, FALSE, coarse);
    }
    pm_rank_sort(coarse);
    return coarse;
}

GArray *
pm_rank(PmFitter *fitter, const PmChunk *chunks, gsize count, guint64 min_bytes, guint64 max_bytes,
        gboolean with_arrays)
{
    GArray *candidates = g_array_new(FALSE, FALSE, sizeof(PmCandidate));
    g_array_set_clear_func(candidates, pm_candidate_clear);
    if (count == 0)
        return candidates;
    g_autoptr(PmScene) handful = pm_scene_new(fitter, chunks, count, PM_SCENE_HANDFUL, 0);
    g_autoptr(PmScene) few = pm_scene_new(fitter, chunks, count, PM_SCENE_COARSE, 0);
    g_autoptr(PmScene) scene = pm_scene_new(fitter, chunks, count, PM_SCENE_CHUNKS, 0);
    fitter->deep_left = PM_DEEP_BUDGET;
    g_autoptr(GArray) coarse = look_at_all(fitter, handful, few, min_bytes, max_bytes);
    g_autoptr(GArray) arrays = g_array_new(FALSE, FALSE, sizeof(PmCandidate));
    if (with_arrays)
        pm_elements_add(fitter, few, &(PmRequests){min_bytes, max_bytes}, arrays);
    pm_rank_sort(arrays);
    look_closely(fitter, scene, coarse, CLOSE_MAX, max_bytes, candidates);
    g_array_set_size(arrays, MIN(arrays->len, ELEMENTS_CLOSE));
    look_closely(fitter, scene, arrays, ELEMENTS_CLOSE, max_bytes, candidates);
    pm_rank_sort(candidates);
    for (guint i = 0; i < candidates->len && i < CLOSE_MAX; i++)
        name_worst(fitter, scene, &g_array_index(candidates, PmCandidate, i));
    return candidates;
}

GArray *
pm_fitter_rank(PmFitter *fitter, const PmChunk *chunks, gsize count, guint64 min_bytes,
               guint64 max_bytes)
{
    return pm_rank(fitter, chunks, count, min_bytes, max_bytes, TRUE);
}
