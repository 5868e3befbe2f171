/*
 * What there is: modules' indexes, types by size and by name, variables.
 */
#include "dwarf/indexcache.h"
#include "dwarf/spelling.h"
#include "dwarf/typestore.h"

#include "process/debuginfo.h"

#include <stdlib.h>

/* Definitions of one name that are looked at to see whether they are all the same. */
#define DEFINITIONS_MAX 256

typedef struct {
    PmTypes *types;
    const PmTypeModule *module;
} Report;

static void
report_progress(gpointer data, guint64 done, guint64 total)
{
    const Report *report = data;
    report->types->progress(report->types->progress_data, report->module->module->path, done,
                            total);
}

static PmTypeModule *
get_module(PmTypes *types, const PmModule *module)
{
    const PmModule *modules = pm_process_get_modules(types->process, &(gsize){0});
    return &g_array_index(types->modules, PmTypeModule, module - modules);
}

PmTypeModule *
pm_types_open_module(PmTypes *types, const PmModule *module)
{
    PmTypeModule *entry = get_module(types, module);
    if (!entry->was_opened) {
        entry->was_opened = TRUE;
        entry->dwarf = pm_process_get_dwarf(types->process, module, &entry->bias);
        if (entry->dwarf != NULL)
            pm_names_add_dwarf(types->names, entry->dwarf);
    }
    return entry->dwarf != NULL ? entry : NULL;
}

static PmTypeIndex *
load_index(PmTypes *types, const PmTypeModule *module)
{
    const PmModule *loaded = module->module;
    PmIndexOrigin origin;
    gboolean was_damaged = FALSE;
    if (types->cache_folder[0] == '\0' || loaded->build_id == NULL ||
        !pm_process_get_debug_files(types->process, loaded, &origin.main_file, &origin.alt_file))
        return NULL;
    PmTypeIndex *index =
        pm_index_cache_load(types->cache_folder, loaded->build_id, &origin, &was_damaged);
    if (was_damaged)
        pm_diagnostics_add(types->diagnostics, "cache-rebuilt", PM_SEVERITY_NOTE, loaded->start,
                           "%s: the index of its types in the cache was damaged or outdated, and "
                           "is made again",
                           loaded->path);
    return index;
}

static PmTypeIndex *
build_index(PmTypes *types, const PmTypeModule *module)
{
    const PmModule *loaded = module->module;
    Report report = {types, module};
    PmIndexOrigin origin;
    PmTypeIndex *index = pm_type_index_build(
        types->names, module->dwarf, types->progress != NULL ? report_progress : NULL, &report);
    /* Split files that are missing now may be there the next time. */
    if (types->cache_folder[0] != '\0' && loaded->build_id != NULL && index->splits_missing == 0 &&
        pm_process_get_debug_files(types->process, loaded, &origin.main_file, &origin.alt_file))
        pm_index_cache_save(types->cache_folder, loaded->build_id, &origin, index);
    if (index->splits_missing > 0)
        pm_diagnostics_add(types->diagnostics, "debug-file-missing", PM_SEVERITY_NOTE,
                           loaded->start,
                           "%s: %u split debug files (.dwo) are not here or are other builds'; "
                           "types are missing",
                           loaded->path, index->splits_missing);
    return index;
}

/* A module whose index is in the cache is not opened for it. */
PmTypeModule *
pm_types_get_indexed(PmTypes *types, const PmModule *module)
{
    PmTypeModule *entry = get_module(types, module);
    if (!entry->was_indexed) {
        entry->was_indexed = TRUE;
        entry->index = load_index(types, entry);
        if (entry->index == NULL && pm_types_open_module(types, module) != NULL)
            entry->index = build_index(types, entry);
    }
    return entry->index != NULL ? entry : NULL;
}

/* @ret_unit: (out) (optional): what the definition is in. */
static PmTypeEntry *
intern_indexed(PmTypes *types, const PmTypeModule *module, const PmIndexType *type,
               const Dwarf_CU **ret_unit)
{
    Dwarf_Die die;
    if (pm_types_open_module(types, module->module) == NULL ||
        !pm_type_index_get_die(module->index, types->names, module->dwarf, type->place, type->die,
                               &die))
        return NULL;
    /* Only the walk that made the index has seen the typedefs of other units. */
    pm_types_set_name(types, &die, pm_type_index_get_string(module->index, type->name));
    if (ret_unit != NULL)
        *ret_unit = die.cu;
    PmTypeEntry *entry = pm_types_intern(types, module->module, &die, 0);
    return entry != NULL && !entry->type.is_declaration && entry->type.kind == type->kind ? entry
                                                                                          : NULL;
}

/* The same, from the store where it was asked for before: that opens no DWARF. */
static PmTypeEntry *
find_indexed(PmTypes *types, const PmTypeModule *module, const PmIndexType *type)
{
    PmTypeEntry *entry = NULL;
    if (pm_type_store_find(types, module, type, &entry))
        return entry;
    entry = intern_indexed(types, module, type, NULL);
    pm_type_store_note(types, module, type, entry);
    return entry;
}

/* Calls for each of @module's definitions called @name, each in its @unit, until told to stop. */
typedef gboolean (*Found)(gpointer data, PmTypeEntry *entry, const Dwarf_CU *unit);

static gboolean
find_named(PmTypes *types, const PmModule *module, const char *name, Found found, gpointer data)
{
    const PmTypeModule *entry = pm_types_get_indexed(types, module);
    if (entry == NULL)
        return TRUE;
    const PmTypeIndex *index = entry->index;
    const guint64 hash = pm_spelling_hash(name);
    g_autofree char *normal = pm_spelling_normalize(name);
    guint seen = 0;
    for (guint32 i = pm_type_index_find_hash(index, hash);
         i < index->type_count && seen < DEFINITIONS_MAX; i++, seen++) {
        const PmIndexType *type = &index->types[index->by_name[i]];
        const Dwarf_CU *unit = NULL;
        if (type->name_hash != hash)
            break;
        g_autofree char *other = pm_spelling_normalize(pm_type_index_get_string(index, type->name));
        PmTypeEntry *candidate =
            g_str_equal(other, normal) ? intern_indexed(types, entry, type, &unit) : NULL;
        if (candidate != NULL && !found(data, candidate, unit))
            return FALSE;
    }
    return TRUE;
}

/* Reading any definition that makes the same type gives the entry its DIE. */
static gboolean
is_still_restored(gpointer data, G_GNUC_UNUSED PmTypeEntry *found,
                  G_GNUC_UNUSED const Dwarf_CU *unit)
{
    return ((const PmTypeEntry *)data)->is_restored;
}

void
pm_types_find_die(PmTypes *types, PmTypeEntry *entry)
{
    if (entry->type.kind != PM_TYPE_STRUCT && entry->type.kind != PM_TYPE_UNION &&
        entry->type.kind != PM_TYPE_ENUM)
        return;
    if (entry->type.module != NULL &&
        find_named(types, entry->type.module, entry->type.name, is_still_restored, entry))
        pm_diagnostics_add(types->diagnostics, "cache-outdated", PM_SEVERITY_NOTE, PM_ADDR_NONE,
                           "%s is in the cache, but cannot be read again", entry->type.name);
}

/* @die: what is looked for; @found: the one definition so far. */
typedef struct {
    const Dwarf_Die *die;
    PmTypeKind kind;
    PmTypeEntry *found;
    gboolean is_ambiguous;
    gboolean is_settled;
} Definition;

static gboolean
consider(gpointer data, PmTypeEntry *entry, const Dwarf_CU *unit)
{
    Definition *definition = data;
    if (entry->type.kind != definition->kind)
        return TRUE;
    if (unit == definition->die->cu) {
        definition->found = entry;
        definition->is_settled = TRUE;
        return FALSE;
    }
    if (definition->found != NULL && definition->found != entry)
        definition->is_ambiguous = TRUE;
    definition->found = entry;
    return TRUE;
}

/* What holds for one unit alone is not remembered for the others. */
static PmTypeEntry *
settle(PmTypes *types, const PmTypeKey *key, const Definition *definition)
{
    PmTypeEntry *found =
        definition->is_settled || !definition->is_ambiguous ? definition->found : NULL;
    if (!definition->is_settled && !definition->is_ambiguous)
        g_hash_table_insert(types->definitions, g_memdup2(key, sizeof *key), found);
    return found;
}

PmTypeEntry *
pm_types_find_definition(PmTypes *types, const PmModule *module, Dwarf_Die *die, const char *name)
{
    const int tag = dwarf_tag(die);
    Definition definition = {
        .die = die,
        .kind = tag == DW_TAG_union_type         ? PM_TYPE_UNION
                : tag == DW_TAG_enumeration_type ? PM_TYPE_ENUM
                                                 : PM_TYPE_STRUCT,
    };
    PmTypeKey key;
    gpointer known = NULL;
    pm_type_key_init(&key, 'd');
    pm_type_key_add_string(&key, name);
    pm_type_key_add_number(&key, definition.kind);
    pm_type_key_add_number(&key, module->start);
    if (g_hash_table_lookup_extended(types->definitions, &key, NULL, &known))
        return known;

    find_named(types, module, name, consider, &definition);
    const gboolean is_elsewhere = definition.found == NULL;
    for (guint i = 0; i < types->modules->len && is_elsewhere; i++) {
        const PmTypeModule *other = &g_array_index(types->modules, PmTypeModule, i);
        if (other->module != module)
            find_named(types, other->module, name, consider, &definition);
    }
    return settle(types, &key, &definition);
}

/* Types that were found, each once. */
typedef struct {
    GPtrArray *list;
    GHashTable *seen;
} Collection;

static gboolean
collect(gpointer data, PmTypeEntry *entry, const Dwarf_CU *unit G_GNUC_UNUSED)
{
    Collection *collection = data;
    if (g_hash_table_add(collection->seen, entry))
        g_ptr_array_add(collection->list, entry);
    return TRUE;
}

static gint
compare_types(gconstpointer a, gconstpointer b)
{
    const PmType *left = *(const PmType *const *)a;
    const PmType *right = *(const PmType *const *)b;
    if (left->size_bytes != right->size_bytes)
        return left->size_bytes < right->size_bytes ? -1 : 1;
    const int order = strcmp(left->name, right->name);
    return order != 0 ? order : left->id < right->id ? -1 : left->id > right->id;
}

GPtrArray *
pm_types_find_by_size(PmTypes *types, guint64 min_bytes, guint64 max_bytes)
{
    Collection collection = {g_ptr_array_new(), g_hash_table_new(NULL, NULL)};
    pm_type_store_load(types);
    for (guint i = 0; i < types->modules->len; i++) {
        const PmTypeModule *module =
            pm_types_get_indexed(types, g_array_index(types->modules, PmTypeModule, i).module);
        if (module == NULL)
            continue;
        const PmTypeIndex *index = module->index;
        for (guint32 j = pm_type_index_find_size(index, min_bytes);
             j < index->type_count && index->types[j].size_bytes <= max_bytes; j++) {
            if (index->types[j].kind == PM_TYPE_ENUM)
                continue;
            PmTypeEntry *entry = find_indexed(types, module, &index->types[j]);
            if (entry != NULL && entry->type.size_bytes >= min_bytes &&
                entry->type.size_bytes <= max_bytes)
                collect(&collection, entry, NULL);
        }
    }
    g_hash_table_unref(collection.seen);
    g_ptr_array_sort(collection.list, compare_types);
    return collection.list;
}

GPtrArray *
pm_types_find_by_name(PmTypes *types, const char *name, const PmModule *prefer)
{
    Collection collection = {g_ptr_array_new(), g_hash_table_new(NULL, NULL)};
    if (prefer != NULL)
        find_named(types, prefer, name, collect, &collection);
    for (guint i = 0; i < types->modules->len; i++) {
        const PmModule *module = g_array_index(types->modules, PmTypeModule, i).module;
        if (module != prefer)
            find_named(types, module, name, collect, &collection);
    }
    g_hash_table_unref(collection.seen);
    return collection.list;
}

static void
read_variables(PmTypes *types, PmTypeModule *module)
{
    const PmModule *loaded = module->module;
    for (guint32 i = 0; i < module->index->variable_count; i++) {
        const PmIndexVariable *variable = &module->index->variables[i];
        const PmAddr address =
            variable->is_tls != 0 ? variable->value : variable->value + module->bias;
        Dwarf_Die die;
        /* What the linker left out has the address 0, or one that means as much. */
        if (variable->is_tls != 0 ? loaded->tls_bytes > 0 && address >= loaded->tls_bytes
                                  : address < loaded->start || address >= loaded->end)
            continue;
        if (!pm_type_index_get_die(module->index, types->names, module->dwarf, variable->place,
                                   variable->die, &die))
            continue;
        const PmTypeEntry *type = pm_types_intern_of(types, loaded, &die);
        if (type == NULL || type == types->unknown)
            continue;
        const PmTypedVariable typed = {
            .name = pm_type_index_get_string(module->index, variable->name),
            .module = loaded,
            .address = address,
            .is_tls = variable->is_tls != 0,
            .type = &type->type,
        };
        g_array_append_val(module->variables, typed);
    }
}

static gint
compare_variables(gconstpointer a, gconstpointer b)
{
    const PmTypedVariable *left = a;
    const PmTypedVariable *right = b;
    if (left->is_tls != right->is_tls)
        return left->is_tls ? 1 : -1;
    if (left->address != right->address)
        return left->address < right->address ? -1 : 1;
    return strcmp(left->name, right->name);
}

const GArray *
pm_types_get_variables(PmTypes *types, const PmModule *module)
{
    PmTypeModule *entry = get_module(types, module);
    if (entry->variables != NULL)
        return entry->variables;
    entry->variables = g_array_new(FALSE, FALSE, sizeof(PmTypedVariable));
    if (pm_types_get_indexed(types, module) != NULL &&
        pm_types_open_module(types, module) != NULL) {
        read_variables(types, entry);
        g_array_sort(entry->variables, compare_variables);
    }
    return entry->variables;
}
