/*
 * Which words lead to an allocating function; see links.h.
 */
#include "analysis/sites/links.h"

#include <stdlib.h>
#include <string.h>

static gint
compare_pointers(gconstpointer a, gconstpointer b)
{
    const PmPointer *left = a;
    const PmPointer *right = b;
    return left->value < right->value ? -1 : left->value > right->value;
}

/* The first of @pointers (PmPointer by value) that is not below @value. */
static guint
find_pointer(const GArray *pointers, PmAddr value)
{
    guint low = 0, high = pointers->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(pointers, PmPointer, middle).value >= value)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void
add_pointer(PmSiteWorld *world, PmForwarder *forwarder, guint index, guint64 target)
{
    PmSiteModule *module = pm_site_world_get_module(world, index);
    if (module->code == NULL || g_hash_table_contains(module->callees, &target))
        return;
    pm_site_world_add_target(world, index, target, forwarder);
    g_hash_table_add(module->pointers, g_memdup2(&target, sizeof target));
}

/*
 * The word at @address leads to @forwarder. Code of all modules that are to find the variable
 * through a word of their own reads it as a member of what that word points to; the variable that
 * holds it is the last one that begins before it.
 */
static void
add_fields(PmSiteWorld *world, PmForwarder *forwarder, PmAddr address)
{
    const guint end = find_pointer(world->globals, address + 1);
    if (end == 0)
        return;
    const PmPointer *all = (const PmPointer *)(gconstpointer)world->globals->data;
    const PmAddr start = all[end - 1].value;
    if (address - start > PM_FIELD_OFFSET_MAX)
        return;
    for (guint i = end; i > 0 && all[i - 1].value == start; i--)
        if (all[i - 1].slot <= PM_FIELD_SLOT_MAX)
            add_pointer(world, forwarder, all[i - 1].module,
                        pm_field_make(all[i - 1].slot, address - start));
}

/* Words of data that lead to @forwarder: hooks, and tables of functions of which the code takes one
 * by name. */
void
pm_links_add_pointers(PmSiteWorld *world, PmForwarder *forwarder, PmAddr address)
{
    const PmPointer *all = (const PmPointer *)(gconstpointer)world->pointers->data;
    for (guint i = find_pointer(world->pointers, address);
         i < world->pointers->len && all[i].value == address; i++) {
        add_pointer(world, forwarder, all[i].module, all[i].slot);
        add_fields(world, forwarder,
                   pm_site_world_get_module(world, all[i].module)->module->bias + all[i].slot);
    }
}

static gboolean
is_text(const PmSiteWorld *world, PmAddr address)
{
    for (guint i = 0; i < world->modules->len; i++) {
        const PmSiteModule *module = pm_site_world_get_module(world, i);
        if (address >= module->module->start && address < module->module->end)
            return module->code != NULL &&
                   pm_module_code_find_text(module->code, address - module->module->bias) != NULL;
    }
    return FALSE;
}

static void
read_pointers_in(PmSiteWorld *world, guint index, PmRange data)
{
    const PmSpace *space = pm_process_get_space(world->process);
    const PmModule *module = pm_site_world_get_module(world, index)->module;
    PmAddr lowest = G_MAXUINT64, highest = 0;
    for (guint i = 0; i < world->modules->len; i++) {
        lowest = MIN(lowest, pm_site_world_get_module(world, i)->module->start);
        highest = MAX(highest, pm_site_world_get_module(world, i)->module->end);
    }
    PmSpan span;
    for (PmAddr at = pm_align_up(data.start, 8); at < data.end; at += span.length_bytes) {
        pm_space_get_span(space, at, &span);
        const guint64 size = MIN(span.length_bytes, data.end - at);
        for (guint64 i = 0; span.bytes != NULL && !span.hole && i + 8 <= size; i += 8) {
            const PmPointer pointer = {pm_load_u64(span.bytes + i), index, at + i - module->bias};
            if (pointer.value >= lowest && pointer.value < highest &&
                world->pointers->len < PM_POINTERS_MAX && is_text(world, pointer.value))
                g_array_append_val(world->pointers, pointer);
        }
        /* Spans of cores end at pages. */
        if (span.length_bytes % 8 != 0)
            break;
    }
}

/* The words of a module that are to hold addresses of variables. */
static void
read_globals_of(PmSiteWorld *world, guint index)
{
    const PmSiteModule *module = pm_site_world_get_module(world, index);
    const GArray *imports = module->code->dynamic.imports;
    for (guint i = 0; i < imports->len; i++) {
        PmPointer pointer = {.module = index, .slot = g_array_index(imports, PmImport, i).slot};
        if (pm_space_read_word(pm_process_get_space(world->process),
                               module->module->bias + pointer.slot, &pointer.value) &&
            pointer.value != 0 && !is_text(world, pointer.value))
            g_array_append_val(world->globals, pointer);
    }
}

void
pm_links_read_pointers(PmSiteWorld *world)
{
    for (guint i = 0; i < world->modules->len; i++)
        if (pm_site_world_get_module(world, i)->code != NULL)
            read_globals_of(world, i);
    g_array_sort(world->globals, compare_pointers);
    for (guint i = 0; i < world->modules->len; i++) {
        const PmModule *module = pm_site_world_get_module(world, i)->module;
        for (gsize j = 0;
             pm_site_world_get_module(world, i)->code != NULL && j < module->data_count; j++)
            read_pointers_in(world, i, module->data[j]);
    }
    g_array_sort(world->pointers, compare_pointers);
}

/* The first module in the link map's order that exports @name; FALSE where none does. */
static gboolean
find_definition(const PmSiteWorld *world, const char *name, PmPlace *ret_place)
{
    for (guint i = 0; i < world->modules->len; i++) {
        const PmModuleCode *code = pm_site_world_get_module(world, i)->code;
        for (guint j = 0; code != NULL && j < code->dynamic.exports->len; j++) {
            const PmExport *export = &g_array_index(code->dynamic.exports, PmExport, j);
            if (strcmp(export->name, name) == 0) {
                *ret_place = (PmPlace){i, export->address};
                return TRUE;
            }
        }
    }
    return FALSE;
}

/*
 * Whether the word of @import leads to @forwarder: by what the dynamic linker wrote there, or, as
 * long as that still leads back into the module itself, by name.
 */
static gboolean
leads_to(const PmSiteWorld *world, guint module, const PmImport *import,
         const PmForwarder *forwarder)
{
    const PmModule *from = pm_site_world_get_module(world, module)->module;
    const PmModule *to = pm_site_world_get_module(world, forwarder->module)->module;
    guint64 word = 0;
    PmPlace place;
    if (pm_space_read_word(pm_process_get_space(world->process), from->bias + import->slot,
                           &word) &&
        word != 0) {
        if (word == to->bias + forwarder->address)
            return TRUE;
        if (word < from->start || word >= from->end)
            return FALSE;
    }
    return find_definition(world, import->name, &place) && place.module == forwarder->module &&
           place.address == forwarder->address;
}

/* A module that imports a name. */
typedef struct {
    guint module;
    guint import;
} Importer;

void
pm_links_add_importers(PmSiteWorld *world, guint module)
{
    const PmModuleCode *code = pm_site_world_get_module(world, module)->code;
    for (guint i = 0; i < code->dynamic.imports->len; i++) {
        const char *name = g_array_index(code->dynamic.imports, PmImport, i).name;
        GArray *importers = g_hash_table_lookup(world->importers, name);
        const Importer importer = {module, i};
        if (importers == NULL) {
            importers = g_array_new(FALSE, FALSE, sizeof(Importer));
            g_hash_table_insert(world->importers, (gpointer)name, importers);
        }
        g_array_append_val(importers, importer);
    }
}

gboolean
pm_links_is_imported(const PmSiteWorld *world, const char *name, guint module)
{
    const GArray *importers = g_hash_table_lookup(world->importers, name);
    for (guint i = 0; importers != NULL && i < importers->len; i++)
        if (g_array_index(importers, Importer, i).module != module)
            return TRUE;
    return FALSE;
}

/* The words of all modules that lead to a wrapper by its name @name. */
static void
add_imports_of(PmSiteWorld *world, PmForwarder *forwarder, const char *name)
{
    const GArray *importers = g_hash_table_lookup(world->importers, name);
    for (guint i = 0; importers != NULL && i < importers->len; i++) {
        const Importer *importer = &g_array_index(importers, Importer, i);
        const PmModuleCode *code = pm_site_world_get_module(world, importer->module)->code;
        const PmImport *import = &g_array_index(code->dynamic.imports, PmImport, importer->import);
        if (leads_to(world, importer->module, import, forwarder))
            pm_site_world_add_target(world, importer->module, import->slot, forwarder);
    }
}

static gint
compare_address(gconstpointer key, gconstpointer element)
{
    const guint64 address = *(const guint64 *)key;
    const guint64 other = ((const PmExport *)element)->address;
    return address < other ? -1 : address > other;
}

/* By all the names under which its module exports it. */
void
pm_links_add_imports(PmSiteWorld *world, PmForwarder *forwarder)
{
    const GArray *exports =
        pm_site_world_get_module(world, forwarder->module)->code->dynamic.exports;
    const PmExport *all = (const PmExport *)(gconstpointer)exports->data;
    if (exports->len == 0)
        return;
    const PmExport *found =
        bsearch(&forwarder->address, all, exports->len, sizeof all[0], compare_address);
    if (found == NULL)
        return;
    while (found > all && found[-1].address == forwarder->address)
        found--;
    for (; found < all + exports->len && found->address == forwarder->address; found++)
        add_imports_of(world, forwarder, found->name);
}
