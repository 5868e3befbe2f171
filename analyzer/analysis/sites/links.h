/*
 * Which words of the process's modules lead to a function: those that the dynamic linker fills, and
 * pointers that the program keeps.
 */
#pragma once

#include "analysis/sites/wrappers.h"

static inline PmSiteModule *
pm_site_world_get_module(const PmSiteWorld *world, guint index)
{
    return &g_array_index(world->modules, PmSiteModule, index);
}

/* Words of data that point to code: most are those of C++'s virtual functions. More are left out.
 */
#define PM_POINTERS_MAX (1U << 21)

/* Where a function is. */
typedef struct {
    guint module;
    guint64 address;
} PmPlace;

/* Makes calls of @target in @module those of @forwarder, where they are not another's. */
void pm_site_world_add_target(PmSiteWorld *world, guint module, guint64 target,
                              PmForwarder *forwarder);

/* Makes @forwarder the function at module address @address of @module, where none is yet. */
void pm_site_world_place(PmSiteWorld *world, PmForwarder *forwarder, guint module, guint64 address);

/* Collects the words of all modules' data that point to code, and who imports what. To be called
 * once, and once for each module. */
void pm_links_read_pointers(PmSiteWorld *world);
void pm_links_add_importers(PmSiteWorld *world, guint module);

/* Adds the words that lead to the function at @address of the process. */
void pm_links_add_pointers(PmSiteWorld *world, PmForwarder *forwarder, PmAddr address);

/* Adds the words that the dynamic linker fills with a function that its module exports. */
void pm_links_add_imports(PmSiteWorld *world, PmForwarder *forwarder);

/* Whether a module other than number @module has a word for the function @name. */
gboolean pm_links_is_imported(const PmSiteWorld *world, const char *name, guint module);
