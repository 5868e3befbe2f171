/*
 * Layouts; see clusters.h.
 */
#include "analysis/schema/clusters.h"

#include "analysis/schema/profile.h"
#include "analysis/schema/tree.h"

#include <math.h>
#include <stdlib.h>

#define REFINE_ROUNDS 4

/* How much less probable than the least probable row of its sample a chunk of a layout may be. */
#define SLACK_BITS 8.0

/* @profile: of all rows. @scores: of it. @least_score: of the least probable row. @has_vtable: its
 * rows have one of their own. */
typedef struct {
    PmProfile profile;
    double *scores;
    double least_score;
    gboolean has_vtable;
} Layout;

/* @layout_of_vtable: by the symbol of the first word. */
struct PmClusters {
    PmAlphabet alphabet;
    GArray *layouts; /* Layout */
    guint16 layout_of_vtable[PM_SYMBOLS];
    guint16 *layout_of;
    gsize words;
    guint word_bytes;
    gboolean has_rest;
};

/* What is needed only while layouts are found. @symbols: rows × words. @layout_of_leaf: guint16. */
typedef struct {
    PmClusters *clusters;
    const PmMatrix *matrix;
    guint8 *symbols;
    const PmTree *tree;
    GArray *layout_of_leaf;
} Growth;

/* Groups of leaves while they are merged. */
typedef struct {
    PmProfile profile;
    gboolean has_vtable;
    gboolean gone;
} Group;

/* Merges the two groups that agree most. Returns: FALSE where no two are the same layout. */
static gboolean
merge_pair(Group *groups, gsize count, gsize slack_word, guint16 *group_of_leaf)
{
    gsize from = 0;
    gsize into = 0;
    double best = -1;
    for (gsize i = 0; i < count; i++) {
        for (gsize j = i + 1; j < count; j++) {
            double agreement = 0;
            if (groups[i].gone || groups[j].gone || groups[i].has_vtable || groups[j].has_vtable ||
                !pm_profile_is_same(&groups[i].profile, &groups[j].profile, slack_word,
                                    &agreement) ||
                agreement <= best)
                continue;
            best = agreement;
            into = i;
            from = j;
        }
    }
    if (best < 0)
        return FALSE;
    pm_profile_add(&groups[into].profile, &groups[from].profile);
    groups[from].gone = TRUE;
    for (gsize i = 0; i < count; i++) {
        if (group_of_leaf[i] == from)
            group_of_leaf[i] = (guint16)into;
    }
    return TRUE;
}

static int
compare_groups(const void *a, const void *b, void *data)
{
    const Group *groups = data;
    gsize rows_a = groups[*(const guint16 *)a].profile.rows;
    gsize rows_b = groups[*(const guint16 *)b].profile.rows;
    if (rows_a != rows_b)
        return rows_a < rows_b ? 1 : -1;
    return *(const guint16 *)a - *(const guint16 *)b;
}

/* Numbers the groups by their size; what is too many goes into the last one. */
static void
number_groups(Growth *growth, Group *groups, gsize count, const guint16 *group_of_leaf,
              gsize max_layouts)
{
    PmClusters *clusters = growth->clusters;
    g_autofree guint16 *order = g_new(guint16, count);
    g_autofree guint16 *layout_of_group = g_new0(guint16, count);
    gsize alive = 0;
    for (gsize i = 0; i < count; i++) {
        if (!groups[i].gone && groups[i].profile.rows > 0)
            order[alive++] = (guint16)i;
    }
    g_qsort_with_data(order, (gint)alive, sizeof *order, compare_groups, groups);
    clusters->has_rest = alive > max_layouts;
    for (gsize i = 0; i < alive; i++) {
        gsize layout = MIN(i, max_layouts - 1);
        layout_of_group[order[i]] = (guint16)layout;
        if (layout < clusters->layouts->len) {
            pm_profile_add(&g_array_index(clusters->layouts, Layout, layout).profile,
                           &groups[order[i]].profile);
            continue;
        }
        Layout made = {.has_vtable = groups[order[i]].has_vtable};
        made.profile = groups[order[i]].profile;
        groups[order[i]].profile = (PmProfile){.counts = NULL};
        g_array_append_val(clusters->layouts, made);
    }
    for (gsize i = 0; i < count; i++)
        g_array_append_val(growth->layout_of_leaf, layout_of_group[group_of_leaf[i]]);
}

/* Counts what is in the leaves, merges those that are one layout, and numbers them. */
static void
merge_leaves(Growth *growth, gsize max_layouts)
{
    PmClusters *clusters = growth->clusters;
    const PmMatrix *matrix = growth->matrix;
    gsize count = pm_tree_get_leaves(growth->tree);
    g_autofree Group *groups = g_new0(Group, count);
    g_autofree guint16 *group_of_leaf = g_new(guint16, count);
    for (gsize i = 0; i < count; i++) {
        pm_profile_init(&groups[i].profile, matrix->words);
        group_of_leaf[i] = (guint16)i;
    }
    for (gsize i = 0; i < matrix->rows; i++) {
        const guint8 *symbols = growth->symbols + i * matrix->words;
        gsize leaf = pm_tree_find(growth->tree, pm_matrix_get_row(matrix, i), symbols);
        clusters->layout_of[i] = (guint16)leaf;
        pm_profile_add_row(&groups[leaf].profile, pm_matrix_get_row(matrix, i), symbols,
                           matrix->word_bytes);
        groups[leaf].has_vtable = groups[leaf].has_vtable || pm_symbol_is_vtable(symbols[0]);
    }
    for (gsize i = 0; i < count; i++)
        groups[i].gone = groups[i].profile.rows == 0;
    gsize slack_word = (gsize)(matrix->slack_from / matrix->word_bytes);
    while (merge_pair(groups, count, slack_word, group_of_leaf))
        continue;
    number_groups(growth, groups, count, group_of_leaf, max_layouts);
    for (gsize i = 0; i < count; i++)
        pm_profile_clear(&groups[i].profile);
    for (gsize i = 0; i < matrix->rows; i++)
        clusters->layout_of[i] =
            g_array_index(growth->layout_of_leaf, guint16, clusters->layout_of[i]);
}

/* The layout without a vtable of its own that the symbols are most probable of, and how probable:
 * the first word tells the others. */
static gsize
find_best(const PmClusters *clusters, const guint8 *symbols, double *ret_score)
{
    gsize best = clusters->layouts->len;
    double most = -INFINITY;
    for (gsize i = 0; i < clusters->layouts->len; i++) {
        const Layout *layout = &g_array_index(clusters->layouts, Layout, i);
        if (layout->has_vtable || (clusters->has_rest && i + 1 == clusters->layouts->len))
            continue;
        double score = pm_score_row(layout->scores, symbols, clusters->words);
        double prior = log2((double)MAX(layout->profile.rows, 1));
        if (score + prior > most) {
            most = score + prior;
            best = i;
            *ret_score = score;
        }
    }
    return best;
}

static void
count_scores(PmClusters *clusters)
{
    for (guint i = 0; i < clusters->layouts->len; i++) {
        Layout *layout = &g_array_index(clusters->layouts, Layout, i);
        g_free(layout->scores);
        layout->scores = pm_profile_get_scores(&layout->profile);
    }
}

/* Counts the rows of each layout anew. */
static void
count_rows(Growth *growth)
{
    PmClusters *clusters = growth->clusters;
    const PmMatrix *matrix = growth->matrix;
    for (guint i = 0; i < clusters->layouts->len; i++) {
        PmProfile *profile = &g_array_index(clusters->layouts, Layout, i).profile;
        pm_profile_clear(profile);
        pm_profile_init(profile, matrix->words);
    }
    for (gsize i = 0; i < matrix->rows; i++)
        pm_profile_add_row(
            &g_array_index(clusters->layouts, Layout, clusters->layout_of[i]).profile,
            pm_matrix_get_row(matrix, i), growth->symbols + i * matrix->words, matrix->word_bytes);
    count_scores(clusters);
}

/*
 * One feature splits nearly right; now that the layouts are known, each row goes where all of its
 * words say that it belongs.
 */
static void
refine(Growth *growth)
{
    PmClusters *clusters = growth->clusters;
    const PmMatrix *matrix = growth->matrix;
    count_scores(clusters);
    for (guint round = 0; round < REFINE_ROUNDS; round++) {
        gsize moved = 0;
        for (gsize i = 0; i < matrix->rows; i++) {
            const guint8 *symbols = growth->symbols + i * matrix->words;
            const Layout *layout =
                &g_array_index(clusters->layouts, Layout, clusters->layout_of[i]);
            gboolean is_rest =
                clusters->has_rest && clusters->layout_of[i] + 1U == clusters->layouts->len;
            double score = 0;
            gsize best = layout->has_vtable || is_rest ? clusters->layout_of[i]
                                                       : find_best(clusters, symbols, &score);
            moved += best != clusters->layout_of[i] ? 1 : 0;
            clusters->layout_of[i] = (guint16)best;
        }
        if (moved == 0)
            break;
        count_rows(growth);
    }
}

static void
clear_layout(gpointer data)
{
    pm_profile_clear(&((Layout *)data)->profile);
    g_free(((Layout *)data)->scores);
}

static int
compare_layouts(const void *a, const void *b, void *data)
{
    const GArray *layouts = data;
    gsize rows_a = g_array_index(layouts, Layout, *(const guint16 *)a).profile.rows;
    gsize rows_b = g_array_index(layouts, Layout, *(const guint16 *)b).profile.rows;
    if (rows_a != rows_b)
        return rows_a < rows_b ? 1 : -1;
    return *(const guint16 *)a - *(const guint16 *)b;
}

/* Puts the layouts in order once more, the largest first but for the rest, and forgets those that
 * refining has left no rows. */
static void
order_layouts(Growth *growth)
{
    PmClusters *clusters = growth->clusters;
    guint count = clusters->layouts->len;
    g_autofree guint16 *order = g_new0(guint16, count + 1);
    g_autofree guint16 *moved_to = g_new0(guint16, count + 1);
    g_autoptr(GArray) old = clusters->layouts;
    for (guint i = 0; i < count; i++)
        order[i] = (guint16)i;
    g_qsort_with_data(order, (gint)(count - (clusters->has_rest ? 1 : 0)), sizeof *order,
                      compare_layouts, old);
    clusters->layouts = g_array_new(FALSE, FALSE, sizeof(Layout));
    g_array_set_clear_func(clusters->layouts, clear_layout);
    gboolean rest_left = FALSE;
    for (guint i = 0; i < count; i++) {
        Layout *layout = &g_array_index(old, Layout, order[i]);
        if (layout->profile.rows == 0)
            continue;
        moved_to[order[i]] = (guint16)clusters->layouts->len;
        rest_left = clusters->has_rest && order[i] + 1U == count;
        g_array_append_val(clusters->layouts, *layout);
        *layout = (Layout){.scores = NULL};
    }
    clusters->has_rest = rest_left;
    for (gsize i = 0; i < growth->matrix->rows; i++)
        clusters->layout_of[i] = moved_to[clusters->layout_of[i]];
}

/* What other chunks are matched with. */
static void
learn(Growth *growth)
{
    PmClusters *clusters = growth->clusters;
    const PmMatrix *matrix = growth->matrix;
    for (gsize i = 0; i < PM_SYMBOLS; i++)
        clusters->layout_of_vtable[i] = G_MAXUINT16;
    for (gsize i = 0; i < matrix->rows; i++) {
        const guint8 *symbols = growth->symbols + i * matrix->words;
        Layout *layout = &g_array_index(clusters->layouts, Layout, clusters->layout_of[i]);
        double score = pm_score_row(layout->scores, symbols, matrix->words);
        layout->least_score = MIN(layout->least_score, score);
        if (pm_symbol_is_vtable(symbols[0]))
            clusters->layout_of_vtable[symbols[0]] = clusters->layout_of[i];
    }
}

PmClusters *
pm_clusters_new(const PmMatrix *matrix, gsize max_layouts)
{
    PmClusters *clusters = g_new0(PmClusters, 1);
    clusters->words = matrix->words;
    clusters->word_bytes = matrix->word_bytes;
    clusters->layouts = g_array_new(FALSE, FALSE, sizeof(Layout));
    g_array_set_clear_func(clusters->layouts, clear_layout);
    clusters->layout_of = g_new0(guint16, matrix->rows + 1);
    if (matrix->rows == 0 || matrix->words == 0)
        return clusters;
    g_autofree guint8 *symbols = g_new(guint8, matrix->rows * matrix->words);
    pm_alphabet_init(&clusters->alphabet, matrix, symbols);
    g_autoptr(PmTree) tree = pm_tree_new(matrix, symbols);
    g_autoptr(GArray) layout_of_leaf = g_array_new(FALSE, FALSE, sizeof(guint16));
    Growth growth = {clusters, matrix, symbols, tree, layout_of_leaf};
    merge_leaves(&growth, max_layouts);
    refine(&growth);
    order_layouts(&growth);
    learn(&growth);
    return clusters;
}

void
pm_clusters_free(PmClusters *clusters)
{
    if (clusters == NULL)
        return;
    g_array_unref(clusters->layouts);
    g_free(clusters->layout_of);
    g_free(clusters);
}

gsize
pm_clusters_get_count(const PmClusters *clusters)
{
    return clusters->layouts->len;
}

const guint16 *
pm_clusters_get_layouts(const PmClusters *clusters)
{
    return clusters->layout_of;
}

gboolean
pm_clusters_has_rest(const PmClusters *clusters)
{
    return clusters->has_rest;
}

gsize
pm_clusters_match(const PmClusters *clusters, const guint8 *bytes, const guint8 *kinds)
{
    gsize none = clusters->layouts->len;
    guint8 symbols[PM_WORDS_MAX];
    if (none == 0 || clusters->words > PM_WORDS_MAX)
        return none;
    pm_alphabet_read(&clusters->alphabet, bytes, kinds, clusters->words, clusters->word_bytes,
                     symbols);
    /* Whose vtable is known is known. */
    if (pm_symbol_is_vtable(symbols[0]))
        return MIN(clusters->layout_of_vtable[symbols[0]], none);
    double score = 0;
    gsize best = find_best(clusters, symbols, &score);
    if (best < none &&
        score >= g_array_index(clusters->layouts, Layout, best).least_score - SLACK_BITS)
        return best;
    return none;
}
