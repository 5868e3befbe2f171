/*
 * Splits the rows of a matrix into layouts, where that makes them shorter to describe: a split is
 * made on one feature, and is worth it where the others follow. Chunks that differ only in what is
 * null stay together; chunks of different vtables never do.
 */
#pragma once

#include "analysis/schema/features.h"
#include "analysis/schema/schema.h"

/*
 * @matrix: of at most PM_WORDS_MAX words; borrowed until the call returns. @max_layouts: at
 * least 2. Returns: (transfer full): no layouts where the matrix has no rows.
 */
PmClusters *pm_clusters_new(const PmMatrix *matrix, gsize max_layouts);
void pm_clusters_free(PmClusters *clusters);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmClusters, pm_clusters_free)

/* How many layouts, the largest first. */
gsize pm_clusters_get_count(const PmClusters *clusters);

/* Of each row its layout. Borrowed. */
const guint16 *pm_clusters_get_layouts(const PmClusters *clusters);

/* TRUE where the last layout is what was left when there were too many. */
gboolean pm_clusters_has_rest(const PmClusters *clusters);

/*
 * The layout that other bytes look like: @words words with their kinds (PmWordKind), as many as the
 * matrix had.
 *
 * Returns: pm_clusters_get_count() where they look like none.
 */
gsize pm_clusters_match(const PmClusters *clusters, const guint8 *bytes, const guint8 *kinds);
