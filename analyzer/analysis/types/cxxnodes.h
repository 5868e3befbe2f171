/*
 * The nodes of libstdc++'s containers: declared as links to a base without contents, while what
 * they hold is in the container's template arguments. (libstdc++: stl_tree.h, stl_list.h,
 * forward_list.h, hashtable_policy.h)
 */
#pragma once

#include "dwarf/types.h"

/* Whether @type (nullable) is one of the bases that the links lead to. */
gboolean pm_cxx_is_node_base(const PmType *type);

/*
 * What the links of @type lead to: "std::_Rb_tree_node<V>" of "std::_Rb_tree<K, V, …>" and of that
 * node itself; NULL where it is no such container or the program has no such type.
 */
const PmType *pm_cxx_find_node(PmTypes *types, const PmType *type);

/* Whether @type is such a node itself: its own links are those of its base alone. */
gboolean pm_cxx_is_node(const PmType *type);

/*
 * What the bytes of @type hold: V of "__gnu_cxx::__aligned_membuf<V>", in which nodes keep their
 * values; NULL where it is none of these or V is not known. V may be a pointer.
 */
const PmType *pm_cxx_find_stored(PmTypes *types, const PmType *type);
