/*
 * What is to be seen where a leaf of a type is, and where it is not.
 */
#pragma once

#include "analysis/structs/observe.h"

/*
 * How likely each category is where the leaf is right and not silent; PM_SEEN_KINDS of them, 0 for
 * those that cannot come up. Static.
 *
 * @deep: as in pm_observer_see(). @target: (nullable): the plan of what a pointer leads to.
 */
const double *pm_leaf_expect(const PmLeaf *leaf, gboolean deep, const PmFitPlan *target);

/* Whether @leaf points to links, whose plan is @target (nullable). */
gboolean pm_leaf_is_link(const PmLeaf *leaf, const PmFitPlan *target);

/* How often each category comes up where @leaf would be, were it at any word or byte that is not
 * zero of the heaps of programs at large; PM_SEEN_KINDS of them, to be scaled to those that can
 * come up. Static. */
const double *pm_leaf_chance(const PmLeaf *leaf);

/* Whether @seen must not be where @leaf is; soft doubts do not count. */
gboolean pm_leaf_forbids(const PmLeaf *leaf, PmSeen seen);
