#include "dwarf/scopes.h"

#include <dwarf.h>

/* Look-ups before a table is worth its walk. */
#define WALKS_MAX 8
#define NO_SCOPE  G_MAXUINT32

/* @end: of its subtree. @parent: the index of the scope around it, or NO_SCOPE. */
typedef struct {
    PmScope scope;
    const guint8 *end;
    guint32 parent;
} Entry;

/* @table: Entry, by start; NULL until it is made. @typedefs: made with it: the place of a type → a
 * typedef's name. */
struct PmScopes {
    const PmUnit *unit;
    guint walks;
    GArray *table;
    GHashTable *typedefs;
};

PmScopes *
pm_scopes_new(const PmUnit *unit)
{
    PmScopes *scopes = g_new0(PmScopes, 1);
    scopes->unit = unit;
    return scopes;
}

void
pm_scopes_free(PmScopes *scopes)
{
    if (scopes == NULL)
        return;
    if (scopes->table != NULL) {
        g_array_unref(scopes->table);
        g_hash_table_unref(scopes->typedefs);
    }
    g_free(scopes);
}

/* Nothing that is declared in a function's declaration has a name to be found by. */
static gboolean
is_scope(const PmDieWalk *walk)
{
    switch (walk->tag) {
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
    case DW_TAG_interface_type:
        return walk->has_children;
    case DW_TAG_subprogram:
        return walk->has_children && !pm_die_walk_get_flag(walk, PM_SLOT_DECLARATION);
    default:
        return FALSE;
    }
}

static PmScope
read_scope(const PmDieWalk *walk)
{
    return (PmScope){
        .start = walk->at,
        .name = pm_die_walk_get_name(walk),
        .tag = walk->tag,
        .has_origin =
            pm_die_walk_has(walk, PM_SLOT_SPECIFICATION) || pm_die_walk_has(walk, PM_SLOT_ORIGIN),
    };
}

/* Passes over the subtrees that @at is not in, where they say where they end. */
static guint
walk_to(const PmUnit *unit, const guint8 *at, PmScope ret_scopes[PM_SCOPES_MAX])
{
    guint depths[PM_SCOPES_MAX];
    guint count = 0;
    PmDieWalk walk;
    pm_die_walk_init(&walk, unit);
    while (pm_die_walk_next(&walk)) {
        while (count > 0 && depths[count - 1] >= walk.depth)
            count--;
        if (walk.at >= at)
            return count;
        const guint8 *sibling = pm_die_walk_get_local(&walk, PM_SLOT_SIBLING);
        if (sibling != NULL && sibling <= at) {
            pm_die_walk_skip(&walk);
        } else if (is_scope(&walk) && count < PM_SCOPES_MAX) {
            depths[count] = walk.depth;
            ret_scopes[count++] = read_scope(&walk);
        }
    }
    return 0;
}

static void
add_typedef(PmScopes *scopes, const PmDieWalk *walk)
{
    const guint8 *target = pm_die_walk_get_local(walk, PM_SLOT_TYPE);
    if (target != NULL && !g_hash_table_contains(scopes->typedefs, target))
        g_hash_table_insert(scopes->typedefs, (gpointer)target,
                            (gpointer)pm_die_walk_get_name(walk));
}

/* The scopes that a walk is in: their indexes, and how deep each stands. */
typedef struct {
    GArray *table;
    guint32 open[PM_SCOPES_MAX];
    guint depths[PM_SCOPES_MAX];
    guint count;
} Nest;

static void
leave_scopes(Nest *nest, const PmDieWalk *walk)
{
    while (nest->count > 0 && nest->depths[nest->count - 1] >= walk->depth)
        g_array_index(nest->table, Entry, nest->open[--nest->count]).end = walk->at;
}

static void
enter_scope(Nest *nest, const PmDieWalk *walk)
{
    const Entry entry = {
        .scope = read_scope(walk),
        .end = walk->unit->end,
        .parent = nest->count > 0 ? nest->open[nest->count - 1] : NO_SCOPE,
    };
    if (nest->count == PM_SCOPES_MAX)
        return;
    nest->open[nest->count] = nest->table->len;
    nest->depths[nest->count++] = walk->depth;
    g_array_append_val(nest->table, entry);
}

static void
make_table(PmScopes *scopes)
{
    PmDieWalk walk;
    if (scopes->table != NULL)
        return;
    scopes->table = g_array_new(FALSE, FALSE, sizeof(Entry));
    scopes->typedefs = g_hash_table_new(NULL, NULL);
    Nest nest = {.table = scopes->table};
    pm_die_walk_init(&walk, scopes->unit);
    while (pm_die_walk_next(&walk)) {
        leave_scopes(&nest, &walk);
        if (walk.tag == DW_TAG_typedef)
            add_typedef(scopes, &walk);
        else if (is_scope(&walk))
            enter_scope(&nest, &walk);
        else if (walk.tag == DW_TAG_subprogram || walk.tag == DW_TAG_inlined_subroutine ||
                 walk.tag == DW_TAG_call_site || walk.tag == DW_TAG_GNU_call_site)
            pm_die_walk_skip(&walk);
    }
}

/* The innermost scope that holds @at but does not begin there; NO_SCOPE where there is none. */
static guint32
find_innermost(const GArray *table, const guint8 *at)
{
    guint low = 0, high = table->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(table, Entry, middle).scope.start >= at)
            high = middle;
        else
            low = middle + 1;
    }
    guint32 found = low > 0 ? low - 1 : NO_SCOPE;
    while (found != NO_SCOPE && g_array_index(table, Entry, found).end <= at)
        found = g_array_index(table, Entry, found).parent;
    return found;
}

guint
pm_scopes_find(PmScopes *scopes, const guint8 *at, PmScope ret_scopes[PM_SCOPES_MAX])
{
    guint count = 0;
    if (scopes->table == NULL && scopes->walks++ < WALKS_MAX)
        return walk_to(scopes->unit, at, ret_scopes);
    make_table(scopes);
    const guint32 innermost = find_innermost(scopes->table, at);
    for (guint32 i = innermost; i != NO_SCOPE; count++)
        i = g_array_index(scopes->table, Entry, i).parent;
    guint left = count;
    for (guint32 i = innermost; i != NO_SCOPE;) {
        const Entry *entry = &g_array_index(scopes->table, Entry, i);
        ret_scopes[--left] = entry->scope;
        i = entry->parent;
    }
    return count;
}

const char *
pm_scopes_get_typedef(PmScopes *scopes, const guint8 *at)
{
    make_table(scopes);
    const char *name = g_hash_table_lookup(scopes->typedefs, at);
    return name != NULL && name[0] != '\0' ? name : NULL;
}
