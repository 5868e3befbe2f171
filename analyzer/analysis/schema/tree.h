/*
 * Rows split by one feature after the other, as long as that is worth it: first by the vtables that
 * first words point to, always; then as split.h says.
 */
#pragma once

#include "analysis/schema/features.h"

typedef struct PmTree PmTree;

/* @matrix: with rows and words. @symbols: of them, rows × words. Both borrowed for the tree's life.
 */
PmTree *pm_tree_new(const PmMatrix *matrix, const guint8 *symbols);
void pm_tree_free(PmTree *tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmTree, pm_tree_free)

/* How many leaves it has; some may have no rows. */
gsize pm_tree_get_leaves(const PmTree *tree);

/* The leaf of a row with these bytes and symbols. */
gsize pm_tree_find(const PmTree *tree, const guint8 *bytes, const guint8 *symbols);
