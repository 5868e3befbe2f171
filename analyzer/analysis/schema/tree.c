/*
 * The decision tree; see tree.h.
 */
#include "analysis/schema/tree.h"

#include "analysis/schema/split.h"

/* Rows that the search looks at: all of small chunks, a quarter of large ones. */
#define TRAINING_ROWS       4096
#define TRAINING_ROWS_LARGE 1024
#define SMALL_WORDS         8
#define FEATURES_MAX        96

/* A side of a split holds at least this share of the rows. */
#define LEAST_SHARE 256

/* Splits before merging; vtables take none of them. */
#define LEAVES_MAX 48

/*
 * A node of the decision tree. @is_leaf: then @leaf is its number; else rows of which @feature is
 * @raw go to node @yes, others to node @no.
 */
typedef struct {
    gboolean is_leaf;
    gsize leaf;
    PmFeature feature;
    guint64 raw;
    guint yes;
    guint no;
} Node;

/* @nodes: Node; the first is the root. @symbols: rows × words. */
struct PmTree {
    const PmMatrix *matrix;
    const guint8 *symbols;
    GArray *nodes;
    gsize leaves;
};

static guint
add_leaf(PmTree *tree)
{
    Node node = {.is_leaf = TRUE, .leaf = tree->leaves++};
    g_array_append_val(tree->nodes, node);
    return tree->nodes->len - 1;
}

/* Makes the leaf @at a split; its rows that have @raw go to a new leaf, others to another. */
static void
split_leaf(PmTree *tree, guint at, const PmFeature *feature, guint64 raw)
{
    GArray *nodes = tree->nodes;
    Node leaf = {.is_leaf = TRUE, .leaf = g_array_index(nodes, Node, at).leaf};
    g_array_append_val(nodes, leaf);
    guint yes = nodes->len - 1;
    guint no = add_leaf(tree);
    g_array_index(nodes, Node, at) = (Node){.feature = *feature, .raw = raw, .yes = yes, .no = no};
}

gsize
pm_tree_find(const PmTree *tree, const guint8 *bytes, const guint8 *symbols)
{
    const Node *node = &g_array_index(tree->nodes, Node, 0);
    while (!node->is_leaf) {
        guint64 raw = pm_feature_read(&node->feature, bytes, symbols, tree->matrix->word_bytes);
        node = &g_array_index(tree->nodes, Node, raw == node->raw ? node->yes : node->no);
    }
    return node->leaf;
}

/* One leaf for each vtable that first words point to. Returns: the leaf of what has none. */
static guint
split_vtables(PmTree *tree)
{
    const PmMatrix *matrix = tree->matrix;
    guint counts[PM_SYMBOLS] = {0};
    for (gsize i = 0; i < matrix->rows; i++)
        counts[tree->symbols[i * matrix->words]]++;
    guint at = add_leaf(tree);
    const PmFeature feature = {PM_FEATURE_WORD, 0, (guint16)matrix->word_bytes};
    for (;;) {
        guint best = PM_SYMBOL_VTABLES;
        for (guint symbol = PM_SYMBOL_VTABLES; symbol < PM_SYMBOLS; symbol++) {
            if (counts[symbol] > counts[best])
                best = symbol;
        }
        if (counts[best] == 0)
            return at;
        counts[best] = 0;
        split_leaf(tree, at, &feature, best);
        at = g_array_index(tree->nodes, Node, at).no;
    }
}

/* Rows that have no vtable of their own, evenly chosen. */
static GArray *
choose_training(const PmTree *tree)
{
    const PmMatrix *matrix = tree->matrix;
    gsize most = matrix->words <= SMALL_WORDS ? TRAINING_ROWS : TRAINING_ROWS_LARGE;
    g_autofree guint32 *candidates = g_new(guint32, matrix->rows);
    gsize count = 0;
    for (gsize i = 0; i < matrix->rows; i++) {
        if (!pm_symbol_is_vtable(tree->symbols[i * matrix->words]))
            candidates[count++] = (guint32)i;
    }
    GArray *chosen = g_array_new(FALSE, FALSE, sizeof(guint32));
    gsize wanted = MIN(count, most);
    for (gsize i = 0; i < wanted; i++)
        g_array_append_val(chosen, candidates[i * count / wanted]);
    return chosen;
}

/* A leaf that may be split yet: its rows, as indices into the training rows. */
typedef struct {
    guint node;
    GArray *rows;
} Open;

static Open
open_leaf(guint node, const GArray *rows, const PmFeatureColumn *column, guint8 code,
          gboolean having)
{
    Open open = {node, g_array_new(FALSE, FALSE, sizeof(guint32))};
    for (guint i = 0; i < rows->len; i++) {
        guint32 row = g_array_index(rows, guint32, i);
        if (column == NULL || (column->codes[row] == code) == having)
            g_array_append_val(open.rows, row);
    }
    return open;
}

static void
clear_open(gpointer data)
{
    g_array_unref(((Open *)data)->rows);
}

/* Splits @root and what comes of it as long as that is worth it. */
static void
grow(PmTree *tree, guint root)
{
    g_autoptr(GArray) training = choose_training(tree);
    if (training->len < 2)
        return;
    PmRows rows = {tree->matrix, &g_array_index(training, guint32, 0), training->len};
    g_autoptr(GArray) columns = pm_features_new(&rows, tree->symbols, FEATURES_MAX);
    gsize least = MAX((gsize)2, training->len / LEAST_SHARE);
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(guint32));
    for (guint32 i = 0; i < training->len; i++)
        g_array_append_val(all, i);
    g_autoptr(GArray) queue = g_array_new(FALSE, FALSE, sizeof(Open));
    g_array_set_clear_func(queue, clear_open);
    Open first = open_leaf(root, all, NULL, 0, TRUE);
    g_array_append_val(queue, first);
    for (guint i = 0; i < queue->len && queue->len < LEAVES_MAX; i++) {
        guint node = g_array_index(queue, Open, i).node;
        const GArray *own = g_array_index(queue, Open, i).rows;
        PmSplit split;
        PmSplitRows side = {&g_array_index(own, guint32, 0), own->len, least};
        if (!pm_split_find(columns, &side, tree->matrix->words, tree->matrix->word_bytes, &split))
            continue;
        const PmFeatureColumn *column = &g_array_index(columns, PmFeatureColumn, split.column);
        split_leaf(tree, node, &column->feature, column->values[split.code]);
        const Node *made = &g_array_index(tree->nodes, Node, node);
        Open yes = open_leaf(made->yes, own, column, split.code, TRUE);
        Open no = open_leaf(made->no, own, column, split.code, FALSE);
        g_array_append_val(queue, yes);
        g_array_append_val(queue, no);
    }
}

PmTree *
pm_tree_new(const PmMatrix *matrix, const guint8 *symbols)
{
    PmTree *tree = g_new0(PmTree, 1);
    tree->matrix = matrix;
    tree->symbols = symbols;
    tree->nodes = g_array_new(FALSE, FALSE, sizeof(Node));
    grow(tree, split_vtables(tree));
    return tree;
}

void
pm_tree_free(PmTree *tree)
{
    g_array_unref(tree->nodes);
    g_free(tree);
}

gsize
pm_tree_get_leaves(const PmTree *tree)
{
    return tree->leaves;
}
