/*
 * The dynamic linker's own list of what it loaded: struct r_debug and struct link_map of <link.h>,
 * which debuggers rely on, over all namespaces (r_version 2 of glibc 2.35 and later).
 */
#pragma once

#include "process/loaded.h"

/* One struct link_map. @name: owned, may be "". @dynamic: l_ld. @bias: l_addr. */
typedef struct {
    PmAddr address;
    guint64 bias;
    PmAddr dynamic;
    char *name;
    gboolean is_first; /* of its namespace */
} PmLinkEntry;

/* @entries: PmLinkEntry, in list order. @interpreter: r_ldbase, or PM_ADDR_NONE. */
typedef struct {
    GArray *entries;
    PmAddr interpreter;
} PmLinkMap;

/* Finds r_debug and walks the lists. @ret_link_map: to be cleared; without entries where there is
 * none. */
void pm_link_map_read(const PmProcess *process, const GPtrArray *loaded, PmLinkMap *ret_link_map);
void pm_link_map_clear(PmLinkMap *link_map);

/* The value of @tag in the dynamic section at @dynamic. FALSE where it has none. */
gboolean pm_dynamic_find(const PmSpace *space, PmAddr dynamic, guint64 tag, guint64 *ret_value);
