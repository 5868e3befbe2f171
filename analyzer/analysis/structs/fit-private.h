/*
 * What scoring and ranking share; see fit.h.
 */
#pragma once

#include "analysis/structs/fit.h"
#include "analysis/structs/null.h"

/* Deep checks of one ranking. */
#define PM_DEEP_BUDGET 400000

/* What one observation can say, in nats. */
#define PM_RATIO_LARGEST  3.0
#define PM_RATIO_SMALLEST (-4.0)

/* What is looked at of chunks: how many of them, and how much in all. */
#define PM_SCENE_CHUNKS  192
#define PM_SCENE_COARSE  32
#define PM_SCENE_HANDFUL 6
#define PM_SCENE_BYTES   ((gsize)512 * 1024)

/* The chunks that are compared, and the log-likelihood ratios of leaves among them (by leaf). */
typedef struct {
    PmBlock *block;
    GHashTable *shallow;
    GHashTable *deep;
} PmScene;

PmScene *pm_scene_new(PmFitter *fitter, const PmChunk *chunks, gsize count, gsize max_chunks,
                      guint64 offset_bytes);
void pm_scene_free(PmScene *scene);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmScene, pm_scene_free)

/* What the fitter holds; made by pm_fitter_new(). */
struct PmFitter {
    PmPlaces *places;
    PmTypes *types;
    PmFitPlans *plans;
    PmObserver *observer;
    PmBlock *null;      /* words of chunks of all sizes; made on first use */
    double null_weight; /* 0 … 1: how many sizes there are to tell from */
    GHashTable *shares; /* leaf → shares of the null model, shallow */
    GHashTable *deep_shares;
    struct PmDeepMemo *memo;
    guint64 deep_left;   /* deep checks that may still be made */
    PmScene *null_scene; /* without chunks: the null model over all sizes alone */
    PmScene *last;       /* of the last pm_fitter_score() */
    guint64 last_key[4];
};

/* Scores @plan on @scene; ret_fit->worst is left NULL, and @ret_worst (optional) is the offset of
 * the leaf that contradicts most, G_MAXUINT64 for none. */
void pm_fitter_evaluate(PmFitter *fitter, PmScene *scene, const PmFitPlan *plan, gboolean deep,
                        PmFit *ret_fit, guint64 *ret_worst);

/*
 * What each chunk of @scene says of @plan alone: the sum over its leaves.
 *
 * @deep: follow pointers.
 * @ret_scores: scene->block->count of them.
 */
void pm_fitter_score_each(PmFitter *fitter, PmScene *scene, const PmFitPlan *plan, gboolean deep,
                          double *ret_scores);

/* ratios.c: log P(seen | leaf) − log P(seen | null) for every category; PM_SEEN_KINDS, borrowed.
 * @scene: the null scene for what chance gives over all sizes alone. */
const double *pm_fitter_get_ratios(PmFitter *fitter, PmScene *scene, const PmLeaf *leaf,
                                   gboolean deep);

/* ratios.c: an empty table by leaf, of the shares or ratios of one. (transfer full) */
GHashTable *pm_fit_tables_new(void);

/* The fit that log-odds are. */
double pm_fit_squash(double log_odds);

/* rank.c: adds @type with its score, glibc's own types a little less. */
void pm_rank_add(PmFitter *fitter, PmScene *scene, const PmType *type, gboolean deep,
                 GArray *candidates);

/* rank.c: best first. */
void pm_rank_sort(GArray *candidates);

/* rank.c: pm_fitter_rank(), without arrays where they are not asked for. */
GArray *pm_rank(PmFitter *fitter, const PmChunk *chunks, gsize count, guint64 min_bytes,
                guint64 max_bytes, gboolean with_arrays);
