/* What the files of the type table share. */
#pragma once

#include "dwarf/typeindex.h"
#include "dwarf/types.h"

#include <dwarf.h>

#define PM_DIMENSIONS_MAX 16
/* What DW_AT_name and what is made of it may have. */
#define PM_NAME_BYTES_MAX 4096

/*
 * What a type is called, and where in it a declarator goes: "void (" here ")(int)".
 */
typedef struct {
    const char *text;
    guint declarator;
} PmTypeName;

/*
 * @die: of what DWARF says it is made of; addr NULL for a type that was derived from others.
 * @target: of a pointer, an array and an enumeration.
 * @counts: an array's dimensions, outermost first. @is_restored: from the store (typestore.h): @die
 * is not known, and is looked for when contents are asked for that were not stored.
 */
typedef struct {
    PmType type;
    guint declarator;
    Dwarf_Die die;
    const PmType *target;
    guint64 counts[PM_DIMENSIONS_MAX];
    guint dimensions;
    PmField *fields;
    gsize field_count;
    gint64 *enumerators;
    gsize enumerator_count;
    gboolean has_contents; /* fields, enumerators and an enumeration's target were read */
    gboolean is_restored;
} PmTypeEntry;

/* @dwarf: NULL where there is none. @index, @variables, @unit_ranges (where units' code is): NULL
 * until they are asked for. */
typedef struct {
    const PmModule *module;
    Dwarf *dwarf;
    guint64 bias;
    gboolean was_opened;
    gboolean was_indexed;
    PmTypeIndex *index;
    GArray *variables;
    GArray *unit_ranges;
} PmTypeModule;

/* Two independent hashes of all that makes a type what it is. */
typedef struct {
    guint64 first;
    guint64 second;
} PmTypeKey;

struct PmTypes {
    const PmProcess *process;
    PmDiagnostics *diagnostics;
    char *cache_folder;
    PmTypesProgress progress;
    gpointer progress_data;
    guint word_bytes;
    PmNames *names;
    GArray *modules;         /* PmTypeModule, as pm_process_get_modules() */
    GPtrArray *entries;      /* PmTypeEntry *, by id − 1; owned */
    GHashTable *by_die;      /* a DIE's place → PmTypeEntry *, or NULL for void */
    GHashTable *by_key;      /* PmTypeKey * → PmTypeEntry * */
    GHashTable *functions;   /* Dwarf_CU * of a unit → where its functions are (locals.c) */
    GHashTable *definitions; /* PmTypeKey * of a declaration → PmTypeEntry *, or NULL */
    GHashTable *name_of;     /* a DIE's place → PmTypeName * */
    GStringChunk *strings;
    PmTypeEntry *unknown;
    gboolean has_told_depth;
    /* Of the store. @known: where a definition is in which index → PmTypeEntry *, or NULL. */
    GHashTable *known;
    GPtrArray *store_modules;
    PmTypeKey store_identity;
    gpointer store_file;
    guint own_entries; /* what every table has */
    guint stored_entries;
    gboolean may_store;
    gboolean has_news;
};

static inline PmTypeEntry *
pm_type_entry(const PmType *type)
{
    return (PmTypeEntry *)(gpointer)type;
}

void pm_type_key_init(PmTypeKey *key, char letter);
void pm_type_key_add(PmTypeKey *key, gconstpointer bytes, gsize count);
void pm_type_key_add_string(PmTypeKey *key, const char *text);
void pm_type_key_add_number(PmTypeKey *key, guint64 number);

/* For hash tables of PmTypeKey *. */
guint pm_type_key_hash(gconstpointer key);
gboolean pm_type_key_equal(gconstpointer a, gconstpointer b);

/* The entry with @key; otherwise @template becomes one, under the next id. */
PmTypeEntry *pm_types_add(PmTypes *types, const PmTypeKey *key, const PmTypeEntry *template);

/* The module's DWARF and its index. NULL where it has none. */
PmTypeModule *pm_types_open_module(PmTypes *types, const PmModule *module);
PmTypeModule *pm_types_get_indexed(PmTypes *types, const PmModule *module);

/* typename.c: what the type of @die is called, typedefs and qualifiers left out; "void" where @die
 * is NULL. */
PmTypeName pm_types_name_die(PmTypes *types, Dwarf_Die *die, guint depth);
/* typename.c: says what the record @die is called, where it is not known yet. */
void pm_types_set_name(PmTypes *types, const Dwarf_Die *die, const char *text);
/* typename.c: the names of what is derived from a type called @name. */
PmTypeName pm_types_name_pointer(PmTypes *types, PmTypeName name, const char *mark);
PmTypeName pm_types_name_array(PmTypes *types, PmTypeName name, const guint64 *counts,
                               guint dimensions);

/*
 * typename.c: what @die is a typedef or a qualified form of.
 *
 * @die: (inout). @ret_typedef: (out) (optional): the last typedef on the way; untouched where there
 * is none. Returns: FALSE where that is void, or damaged.
 */
gboolean pm_type_strip(Dwarf_Die *die, Dwarf_Die *ret_typedef);
/* The type that @die refers to as its own, as it stands there. */
gboolean pm_type_of(Dwarf_Die *die, Dwarf_Die *ret_type);
/* typename.c: the dimensions of an array's DIE, outermost first; 0 where there are none or too
 * many. */
guint pm_types_get_dimensions(PmTypes *types, Dwarf_Die *array, guint64 counts[PM_DIMENSIONS_MAX]);

/* A number, possibly of the DIE that @die completes; FALSE where there is none. */
gboolean pm_die_get_number(Dwarf_Die *die, guint attribute, guint64 *ret_number);
gboolean pm_die_get_flag(Dwarf_Die *die, guint attribute);

/* types.c: the type of @die, which is one; NULL for void. */
PmTypeEntry *pm_types_intern(PmTypes *types, const PmModule *module, Dwarf_Die *die, guint depth);
/* types.c: the type of what @die is (a variable, a member); NULL for void and where there is none.
 */
PmTypeEntry *pm_types_intern_of(PmTypes *types, const PmModule *module, Dwarf_Die *die);

/* locals.c: the function of @module whose code holds @code, a module address. */
gboolean pm_types_find_function(PmTypes *types, PmTypeModule *module, guint64 code,
                                Dwarf_Die *ret_function);
/* locals.c: whether what is in @die, where @walk stands, is at @code: all that has code says where
 * that is. */
gboolean pm_types_is_entered(const PmDieWalk *walk, Dwarf_Die *die, guint64 code);
/* locals.c: what the function @die is called, with its scopes; borrowed from @types. */
const char *pm_types_name_function(PmTypes *types, Dwarf_Die *die);

/* records.c: a structure, union or enumeration; declarations are resolved. */
PmTypeEntry *pm_types_intern_record(PmTypes *types, const PmModule *module, Dwarf_Die *die,
                                    guint depth);
PmTypeEntry *pm_types_intern_enum(PmTypes *types, const PmModule *module, Dwarf_Die *die,
                                  guint depth);

/* find.c: looks for the DIE of @entry, which came from the store. */
void pm_types_find_die(PmTypes *types, PmTypeEntry *entry);

/* find.c: the one definition of the declaration @die called @name, or NULL. */
PmTypeEntry *pm_types_find_definition(PmTypes *types, const PmModule *module, Dwarf_Die *die,
                                      const char *name);
