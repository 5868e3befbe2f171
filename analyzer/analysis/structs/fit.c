/*
 * Scoring a type on chunks; see fit.h for what the numbers mean.
 */
#include "analysis/structs/expect.h"
#include "analysis/structs/fit-private.h"

#include <math.h>
#include <string.h>

/* What a union can say, in nats. */
#define UNION_RATIO 1.5

/* Different values past which more of them say nothing new. */
#define DISTINCT_MAX 8

/* What contradicts in no more than this share of the chunks is stale memory. */
#define STALE_SHARE 0.05
#define FEW_SHARE   0.15

/* Padding that is not zero, per hole. */
#define PADDING_RATIO (-0.3)

/* Of deep checks: how many results are remembered, what is read of a target, and the sums from
 * which on it looks like one or does not (of a target with few fields less). */
#define MEMO_ENTRIES  65536
#define DEEP_BYTES    1024
#define DEEP_FITS     1.0
#define DEEP_PER_LEAF 0.5
#define DEEP_UNFIT    (-2.0)

/* Log-odds are bounded by this before they become a fit. */
#define SQUASH 10.0

struct PmDeepMemo {
    struct {
        const PmType *type;
        PmAddr address;
        gint8 fits;
    } entries[MEMO_ENTRIES];
};

/* What the chunks said of one leaf, or of one field. */
typedef struct {
    double sum;
    guint told;
    guint forbidden;
    guint distinct_count;
    guint64 distinct[DISTINCT_MAX];
} Tally;

void
pm_fit_clear(PmFit *fit)
{
    g_clear_pointer(&fit->worst, g_free);
}

static void
note_value(Tally *tally, const guint8 *bytes, guint64 count)
{
    guint64 value = 0;
    memcpy(&value, bytes, MIN(count, sizeof value));
    for (guint i = 0; i < tally->distinct_count; i++) {
        if (tally->distinct[i] == value)
            return;
    }
    if (tally->distinct_count < DISTINCT_MAX)
        tally->distinct[tally->distinct_count++] = value;
}

static gboolean
is_zero(const guint8 *bytes, guint64 count)
{
    for (guint64 i = 0; i < count; i++) {
        if (bytes[i] != 0)
            return FALSE;
    }
    return TRUE;
}

/* What is looked at, and against what: a chunk's bytes from the type's start on, the words there
 * (NULL: not looked up). @base: added to where leaves are. */
typedef struct {
    PmFitter *fitter;
    PmScene *scene;
    const guint8 *bytes;
    gsize length;
    const PmLooked *looked;
    guint word_bytes;
    guint64 base;
    gboolean deep;
} View;

/* What a leaf's bytes say; @ratios: those of the leaf, looked up on first use. */
typedef struct {
    const double *ratios;
    double ratio;
    gboolean forbidden;
} Said;

static void see_union(const View *view, const PmLeaf *leaf, Said *said);

static View
make_view(PmFitter *fitter, PmScene *scene, gsize chunk, gboolean deep)
{
    const PmBlock *block = scene->block;
    return (View){.fitter = fitter,
                  .scene = scene,
                  .bytes = block->bytes + chunk * block->stride_bytes,
                  .length = block->lengths[chunk],
                  .looked = block->looked + chunk * block->words,
                  .word_bytes =
                      pm_image_get_target(pm_places_get_subject(fitter->places)->image)->word_bytes,
                  .deep = deep};
}

/* What @view says of @leaf. FALSE: nothing. */
static gboolean
see_leaf(const View *view, const PmLeaf *leaf, Said *said)
{
    guint64 at = view->base + leaf->offset_bytes;
    said->forbidden = FALSE;
    if (at > view->length || leaf->size_bytes > view->length - at)
        return FALSE;
    const guint8 *bytes = view->bytes + at;
    if (leaf->kind == PM_LEAF_PADDING || leaf->kind == PM_LEAF_UNION) {
        if (is_zero(bytes, leaf->size_bytes))
            return FALSE;
        if (leaf->kind == PM_LEAF_UNION)
            see_union(view, leaf, said);
        else
            said->ratio = PADDING_RATIO;
        return TRUE;
    }
    const PmLooked *looked = view->looked != NULL && at % view->word_bytes == 0
                                 ? &view->looked[at / view->word_bytes]
                                 : NULL;
    PmSeen seen = pm_observer_see(view->fitter->observer, leaf, bytes, looked, view->deep);
    if (seen == PM_SEEN_SILENT)
        return FALSE;
    if (said->ratios == NULL)
        said->ratios = pm_fitter_get_ratios(view->fitter, view->scene, leaf, view->deep);
    said->ratio = said->ratios[seen];
    said->forbidden = pm_leaf_forbids(leaf, seen);
    return TRUE;
}

/* What @view says of all leaves of @plan but padding. */
static double
see_all(const View *view, const PmFitPlan *plan, gboolean *ret_forbidden)
{
    double sum = 0;
    *ret_forbidden = FALSE;
    for (gsize i = 0; i < plan->leaf_count; i++) {
        Said said = {0};
        if (plan->leaves[i].kind != PM_LEAF_PADDING && see_leaf(view, &plan->leaves[i], &said))
            sum += said.ratio * plan->leaves[i].weight;
        *ret_forbidden = *ret_forbidden || said.forbidden;
    }
    return sum;
}

/* Any of the alternatives may be there: the mean of their likelihoods. */
static void
see_union(const View *view, const PmLeaf *leaf, Said *said)
{
    double likelihood = 0;
    View inner = *view;
    inner.base += leaf->offset_bytes;
    inner.deep = FALSE;
    said->ratio = 0;
    said->forbidden = leaf->alternative_count > 0;
    for (guint i = 0; i < leaf->alternative_count; i++) {
        gboolean forbidden = FALSE;
        double sum = see_all(&inner, leaf->alternatives[i], &forbidden);
        likelihood += exp(CLAMP(sum, 2 * PM_RATIO_SMALLEST, 2 * PM_RATIO_LARGEST));
        said->forbidden = said->forbidden && forbidden;
    }
    if (leaf->alternative_count > 0)
        said->ratio = MIN(log(likelihood / leaf->alternative_count), UNION_RATIO);
}

/* What a leaf's observations over @chunks chunks come to; see fit.h. */
static double
judge(const PmLeaf *leaf, const Tally *tally, gsize chunks)
{
    if (tally->told == 0)
        return 0;
    double mean = tally->sum / tally->told;
    /* The same in every object, and still proof. */
    if (leaf->kind == PM_LEAF_VTABLE)
        return mean;
    double distinct = tally->distinct_count;
    if (mean >= 0)
        return mean * distinct / (distinct + 1);
    double share = (double)tally->told / (double)chunks;
    return mean * (distinct + 1) / (distinct + 2) * MIN(1, share / FEW_SHARE);
}

/* The sums over fields. */
typedef struct {
    double speaks_for;
    double speaks_against;
    guint checked;
    guint contradictions;
    double worst;
    guint64 worst_offset;
} Sums;

static void
add_field(Sums *sums, const PmLeaf *leaf, double score, guint forbidden, gsize observed)
{
    gboolean contradicts = forbidden > 0 && score < 0 && forbidden > STALE_SHARE * (double)observed;
    gboolean counts = leaf->kind != PM_LEAF_WORD && leaf->kind != PM_LEAF_PADDING;
    sums->checked += counts || contradicts ? 1 : 0;
    sums->contradictions += contradicts ? 1 : 0;
    if (score > 0)
        sums->speaks_for += score;
    else
        sums->speaks_against += score;
    if (score < sums->worst) {
        sums->worst = score;
        sums->worst_offset = leaf->offset_bytes;
    }
}

void
pm_fitter_score_each(PmFitter *fitter, PmScene *scene, const PmFitPlan *plan, gboolean deep,
                     double *ret_scores)
{
    for (gsize i = 0; i < scene->block->count; i++) {
        const View view = make_view(fitter, scene, i, deep);
        gboolean forbidden = FALSE;
        ret_scores[i] = see_all(&view, plan, &forbidden);
    }
}

double
pm_fit_squash(double log_odds)
{
    return 1 / (1 + exp(-log_odds / (1 + fabs(log_odds) / SQUASH)));
}

/* What the chunks of @scene say of @leaf. */
static void
tally_leaf(PmFitter *fitter, PmScene *scene, const PmLeaf *leaf, gboolean deep, Tally *tally)
{
    Said said = {0};
    for (gsize i = 0; i < scene->block->count; i++) {
        const View view = make_view(fitter, scene, i, deep);
        if (!see_leaf(&view, leaf, &said))
            continue;
        tally->sum += said.ratio;
        tally->told++;
        tally->forbidden += said.forbidden ? 1 : 0;
        note_value(tally, view.bytes + leaf->offset_bytes, leaf->size_bytes);
    }
}

void
pm_fitter_evaluate(PmFitter *fitter, PmScene *scene, const PmFitPlan *plan, gboolean deep,
                   PmFit *ret_fit, guint64 *ret_worst)
{
    Sums sums = {.worst_offset = G_MAXUINT64, .worst = -0.5};
    gsize chunks = scene->block->count;
    for (gsize first = 0, next = 0; first < plan->leaf_count; first = next) {
        double score = 0;
        guint forbidden = 0;
        for (next = first;
             next < plan->leaf_count && plan->leaves[next].field == plan->leaves[first].field;
             next++) {
            Tally tally = {0};
            tally_leaf(fitter, scene, &plan->leaves[next], deep, &tally);
            score += judge(&plan->leaves[next], &tally, chunks) * plan->leaves[next].weight;
            forbidden += tally.forbidden;
        }
        add_field(&sums, &plan->leaves[first], score, forbidden, (next - first) * chunks);
    }
    double share = sums.checked == 0 ? 0 : (double)sums.contradictions / sums.checked;
    double odds = sums.speaks_for * (1 - MIN(1, 2 * share)) + sums.speaks_against;
    *ret_fit = (PmFit){
        .fit = pm_fit_squash(odds),
        .log_odds = odds,
        .contradictions = sums.contradictions,
        .fields_checked = sums.checked,
    };
    if (ret_worst != NULL)
        *ret_worst = sums.worst_offset;
}

/* A PmDeepCheck: the target's own fields, by the null model over all sizes, without following their
 * pointers further than to what they lead to. */
static int
check_deep(gpointer data, const PmType *type, PmAddr address, guint64 room_bytes)
{
    PmFitter *fitter = data;
    guint slot = (guint)(((address >> 3) * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15) ^
                          (guint64)type->id * G_GUINT64_CONSTANT(0xc2b2ae3d27d4eb4f)) >>
                         48) %
                 MEMO_ENTRIES;
    if (fitter->memo->entries[slot].type == type && fitter->memo->entries[slot].address == address)
        return fitter->memo->entries[slot].fits;
    const PmFitPlan *plan = pm_fit_plans_get(fitter->plans, type);
    if (plan->leaf_count == 0 || fitter->deep_left == 0)
        return 0;
    fitter->deep_left--;
    guint8 bytes[DEEP_BYTES];
    const View view = {
        .fitter = fitter,
        .scene = fitter->null_scene,
        .bytes = bytes,
        .length = (gsize)MIN(MIN(type->size_bytes, room_bytes), sizeof bytes),
        .word_bytes =
            pm_image_get_target(pm_places_get_subject(fitter->places)->image)->word_bytes};
    const PmSpace *space = pm_process_get_space(pm_places_get_subject(fitter->places)->process);
    gboolean forbidden = FALSE;
    if (!pm_space_read(space, address, bytes, view.length))
        return 0;
    double sum = see_all(&view, plan, &forbidden);
    gint8 fits = 0;
    if (sum >= MIN(DEEP_FITS, DEEP_PER_LEAF * (double)plan->leaf_count))
        fits = 1;
    else if (sum <= DEEP_UNFIT)
        fits = -1;
    fitter->memo->entries[slot].type = type;
    fitter->memo->entries[slot].address = address;
    fitter->memo->entries[slot].fits = fits;
    return fits;
}

PmScene *
pm_scene_new(PmFitter *fitter, const PmChunk *chunks, gsize count, gsize max_chunks,
             guint64 offset_bytes)
{
    PmScene *scene = g_new0(PmScene, 1);
    if (count > 0) {
        gsize shown = MIN(count, max_chunks);
        const PmBlockWanted wanted = {.max_chunks = shown,
                                      .offset_bytes = offset_bytes,
                                      .max_bytes = MIN(PM_SCENE_BYTES / shown, PM_PLAN_BYTES_MAX)};
        scene->block = pm_block_new(fitter->observer, pm_places_get_subject(fitter->places), chunks,
                                    count, &wanted);
    }
    scene->shallow = pm_fit_tables_new();
    scene->deep = pm_fit_tables_new();
    return scene;
}

void
pm_scene_free(PmScene *scene)
{
    if (scene->block != NULL)
        pm_block_free(scene->block);
    g_hash_table_unref(scene->shallow);
    g_hash_table_unref(scene->deep);
    g_free(scene);
}

PmFitter *
pm_fitter_new(PmPlaces *places, PmTypes *types)
{
    PmFitter *fitter = g_new0(PmFitter, 1);
    fitter->places = places;
    fitter->types = types;
    fitter->observer = pm_observer_new(places, types, check_deep, fitter);
    fitter->plans = pm_fit_plans_new(
        types, pm_image_get_target(pm_places_get_subject(fitter->places)->image)->word_bytes);
    fitter->shares = pm_fit_tables_new();
    fitter->deep_shares = pm_fit_tables_new();
    fitter->memo = g_new0(struct PmDeepMemo, 1);
    fitter->null_scene = pm_scene_new(fitter, NULL, 0, 0, 0);
    return fitter;
}

void
pm_fitter_free(PmFitter *fitter)
{
    if (fitter->last != NULL)
        pm_scene_free(fitter->last);
    if (fitter->null != NULL)
        pm_block_free(fitter->null);
    pm_scene_free(fitter->null_scene);
    g_hash_table_unref(fitter->shares);
    g_hash_table_unref(fitter->deep_shares);
    g_free(fitter->memo);
    pm_fit_plans_free(fitter->plans);
    pm_observer_free(fitter->observer);
    g_free(fitter);
}

/* Callers ask of many types about the same chunks: those of the last call are kept. */
static PmScene *
get_scene(PmFitter *fitter, const PmChunk *chunks, gsize count, guint64 offset_bytes)
{
    guint64 key[G_N_ELEMENTS(fitter->last_key)] = {count, offset_bytes, chunks[0].address,
                                                   chunks[count - 1].address};
    if (fitter->last != NULL && memcmp(key, fitter->last_key, sizeof key) == 0)
        return fitter->last;
    if (fitter->last != NULL)
        pm_scene_free(fitter->last);
    memcpy(fitter->last_key, key, sizeof key);
    fitter->last = pm_scene_new(fitter, chunks, count, PM_SCENE_CHUNKS, offset_bytes);
    fitter->deep_left = PM_DEEP_BUDGET;
    return fitter->last;
}

void
pm_fitter_score(PmFitter *fitter, const PmType *type, const PmChunk *chunks, gsize count,
                guint64 offset_bytes, PmFit *ret_fit)
{
    *ret_fit = (PmFit){.fit = 0.5};
    if (count == 0)
        return;
    guint64 worst = G_MAXUINT64;
    PmScene *scene = get_scene(fitter, chunks, count, offset_bytes);
    pm_fitter_evaluate(fitter, scene, pm_fit_plans_get(fitter->plans, type), TRUE, ret_fit, &worst);
    if (worst != G_MAXUINT64)
        ret_fit->worst = pm_type_describe_offset(fitter->types, type, worst);
}
