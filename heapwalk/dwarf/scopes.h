/*
 * Which named subtrees of a unit a DIE is in: namespaces, classes, functions. DIEs do not say what
 * they are children of.
 */
#pragma once

#include "dwarf/dies.h"

/* Scopes within scopes; what is deeper is taken to be in the last of them. */
#define PM_SCOPES_MAX 64

/*
 * @start: the place of its DIE. @name: "" where it has none. @has_origin: it completes another DIE,
 * or is a copy of one: its scopes, and perhaps its name, are that one's.
 */
typedef struct {
    const guint8 *start;
    const char *name;
    guint16 tag;
    gboolean has_origin;
} PmScope;

typedef struct PmScopes PmScopes;

/* @unit: borrowed. Reads nothing yet. */
PmScopes *pm_scopes_new(const PmUnit *unit);
void pm_scopes_free(PmScopes *scopes);

/*
 * The scopes around the DIE at @at, outermost first.
 *
 * Returns: how many. The first few look-ups walk to the DIE; then a table of all scopes is made.
 */
guint pm_scopes_find(PmScopes *scopes, const guint8 *at, PmScope ret_scopes[PM_SCOPES_MAX]);

/* The name of the typedef of the same unit whose type is the DIE at @at; NULL where there is none.
 */
const char *pm_scopes_get_typedef(PmScopes *scopes, const guint8 *at);
