/*
 * The fixed point over modules; see wrappers.h.
 */
#include "analysis/sites/wrappers.h"

#include "analysis/sites/indexfile.h"
#include "analysis/sites/promote.h"
#include "base/cachefile.h"

/* Wrappers of wrappers of wrappers …: no program has so many layers. */
#define ROUNDS_MAX 32
/* Wrappers are short: a first look at short functions alone finds most of them, so that each long
 * one is disassembled once, with all of them known. */
#define FIRST_LOOK_BYTES 512

static guint
hash_place(gconstpointer key)
{
    const PmPlace *place = key;
    return g_int64_hash(&place->address) * 31 + place->module;
}

static gboolean
equal_places(gconstpointer a, gconstpointer b)
{
    const PmPlace *left = a;
    const PmPlace *right = b;
    return left->module == right->module && left->address == right->address;
}

static void
forwarder_free(gpointer data)
{
    PmForwarder *forwarder = data;
    g_free(forwarder->name);
    g_array_unref(forwarder->stores);
    g_free(forwarder);
}

const PmForwarder *
pm_site_world_find(const PmSiteWorld *world, guint module, guint64 address)
{
    const PmPlace place = {module, address};
    return g_hash_table_lookup(world->by_place, &place);
}

/* Makes calls of @target in @module those of @forwarder, where they are not another's. */
void
pm_site_world_add_target(PmSiteWorld *world, guint module, guint64 target, PmForwarder *forwarder)
{
    PmSiteModule *where = pm_site_world_get_module(world, module);
    if (where->code == NULL || g_hash_table_contains(where->callees, &target))
        return;
    g_hash_table_insert(where->callees, g_memdup2(&target, sizeof target), forwarder);
}

void
pm_site_world_place(PmSiteWorld *world, PmForwarder *forwarder, guint module, guint64 address)
{
    const PmPlace place = {module, address};
    if (pm_site_world_find(world, module, address) == NULL)
        g_hash_table_insert(world->by_place, g_memdup2(&place, sizeof place), forwarder);
    pm_site_world_add_target(world, module, address, forwarder);
}

static PmForwarder *
get_known(PmSiteWorld *world, const PmAllocator *allocator)
{
    PmForwarder *forwarder = g_hash_table_lookup(world->known, allocator);
    if (forwarder != NULL)
        return forwarder;
    forwarder = g_new0(PmForwarder, 1);
    forwarder->known = allocator;
    forwarder->module = G_MAXUINT;
    forwarder->address = PM_ADDR_NONE;
    forwarder->returns = TRUE;
    forwarder->name = g_strdup(allocator->title);
    forwarder->stores = g_array_new(FALSE, FALSE, sizeof(PmStore));
    if (allocator->zeroes) {
        const PmStore zeros = {.kind = PM_STORED_CONSTANT};
        g_array_append_val(forwarder->stores, zeros);
    }
    g_hash_table_insert(world->known, (gpointer)allocator, forwarder);
    g_ptr_array_add(world->forwarders, forwarder);
    pm_promote_note_change(world, forwarder);
    return forwarder;
}

/* Allocators by name: what the module imports, and what it has itself. */
static void
add_known(PmSiteWorld *world, guint index)
{
    const PmModuleCode *code = pm_site_world_get_module(world, index)->code;
    for (guint i = 0; i < code->named->len; i++) {
        const PmExport *named = &g_array_index(code->named, PmExport, i);
        const PmAllocator *allocator = pm_allocator_find(named->name);
        if (allocator != NULL)
            pm_site_world_place(world, get_known(world, allocator), index, named->address);
    }
    for (guint i = 0; i < code->dynamic.imports->len; i++) {
        const PmImport *import = &g_array_index(code->dynamic.imports, PmImport, i);
        const PmAllocator *allocator = pm_allocator_find(import->name);
        if (allocator != NULL)
            pm_site_world_add_target(world, index, import->slot, get_known(world, allocator));
    }
}

/* Words that lead to what the module has itself; once the imported ones are known as such. */
static void
add_known_pointers(PmSiteWorld *world, guint index)
{
    const PmSiteModule *module = pm_site_world_get_module(world, index);
    for (guint i = 0; i < module->code->named->len; i++) {
        const PmExport *named = &g_array_index(module->code->named, PmExport, i);
        const PmAllocator *allocator = pm_allocator_find(named->name);
        if (allocator != NULL)
            pm_links_add_pointers(world, get_known(world, allocator),
                                  module->module->bias + named->address);
    }
}

/* The targets of @module that lead to what changed in the round before. */
static GArray *
list_targets(const PmSiteWorld *world, const PmSiteModule *module)
{
    GArray *targets = g_array_new(FALSE, FALSE, sizeof(guint64));
    GHashTableIter iter;
    gpointer target = NULL, forwarder = NULL;
    g_hash_table_iter_init(&iter, module->callees);
    while (g_hash_table_iter_next(&iter, &target, &forwarder))
        if (((const PmForwarder *)forwarder)->round == world->round)
            g_array_append_vals(targets, target, 1);
    return targets;
}

/* How many calls of each forwarder there are. */
static void
count_callers(PmSiteWorld *world)
{
    for (guint i = 0; i < world->modules->len; i++) {
        const PmSiteModule *module = pm_site_world_get_module(world, i);
        GHashTableIter iter;
        gpointer target = NULL, forwarder = NULL;
        g_hash_table_iter_init(&iter, module->callees);
        while (g_hash_table_iter_next(&iter, &target, &forwarder)) {
            gsize count = 0;
            pm_site_index_get(module->index, *(const guint64 *)target, &count);
            ((PmForwarder *)forwarder)->callers += count;
        }
    }
}

static gboolean
is_empty(const PmSiteModule *module)
{
    return module->index == NULL || module->index->asked->len == 0;
}

static void
ask(const PmSiteWorld *world, const PmSiteModule *module, GArray *targets)
{
    const guint64 *all = NULL;
    if (world->is_first_look && (is_empty(module) || module->index->is_partial)) {
        all = (const guint64 *)(gconstpointer)targets->data;
        pm_site_index_ask_small(module->index, module->code, all, targets->len, FIRST_LOOK_BYTES,
                                world->jobs);
        return;
    }
    g_autoptr(GArray) wanted = g_array_copy(targets);
    if (targets->len > 0)
        g_array_append_vals(wanted, module->hints->data, module->hints->len);
    all = (const guint64 *)(gconstpointer)wanted->data;
    pm_site_index_ask(module->index, module->code, all, wanted->len, world->jobs);
}

/* One round: what changed is looked for in every module. */
static void
follow(PmSiteWorld *world)
{
    world->changed = 0;
    world->round++;
    for (guint i = 0; i < world->modules->len; i++) {
        const PmSiteModule *module = pm_site_world_get_module(world, i);
        if (module->code == NULL)
            continue;
        g_autoptr(GArray) targets = list_targets(world, module);
        ask(world, module, targets);
        const guint64 *all = (const guint64 *)(gconstpointer)targets->data;
        for (guint j = 0; j < targets->len; j++)
            pm_promote_calls(world, i, all[j], g_hash_table_lookup(module->callees, &all[j]));
    }
}

/* What was found out about the module before. */
static void
load_index(const PmSiteModule *module, PmDiagnostics *diagnostics, const char *folder)
{
    gboolean was_damaged = FALSE;
    if (folder[0] != '\0' &&
        !pm_site_index_load(module->index, module->code, folder, &was_damaged) && was_damaged)
        pm_diagnostics_add(diagnostics, "cache-stale", PM_SEVERITY_NOTE, PM_ADDR_NONE,
                           "%s: the index of its call sites that was kept cannot be used; it is "
                           "made anew",
                           module->module->path);
}

static void
save_indexes(const PmSiteWorld *world, const char *folder)
{
    for (guint i = 0; folder[0] != '\0' && i < world->modules->len; i++) {
        const PmSiteModule *module = pm_site_world_get_module(world, i);
        if (module->index != NULL && module->index->changed)
            pm_site_index_save(module->index, module->code, folder);
    }
}

static void
add_module(PmSiteWorld *world, const PmModule *module, const PmMachine *machine)
{
    PmSiteModule site = {.module = module};
    if (!module->is_vdso)
        site.code = pm_module_code_new(world->process, module, machine, world->pool, world->jobs);
    if (site.code != NULL && site.code->text_bytes == 0) {
        pm_module_code_free(site.code);
        site.code = NULL;
    }
    if (site.code != NULL)
        site.index = pm_site_index_new();
    site.pointers = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    site.hints = g_array_new(FALSE, FALSE, sizeof(guint64));
    site.callees = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    g_array_append_val(world->modules, site);
}

/* Forgets all wrappers. */
static void
reset(PmSiteWorld *world)
{
    for (guint i = 0; i < world->modules->len; i++) {
        g_hash_table_remove_all(pm_site_world_get_module(world, i)->callees);
        g_hash_table_remove_all(pm_site_world_get_module(world, i)->pointers);
    }
    g_hash_table_remove_all(world->by_place);
    g_hash_table_remove_all(world->known);
    world->changed = 0;
    g_ptr_array_set_size(world->forwarders, 0);
    g_hash_table_remove_all(world->open);
}

static void
solve(PmSiteWorld *world)
{
    reset(world);
    for (guint i = 0; i < world->modules->len; i++)
        if (pm_site_world_get_module(world, i)->code != NULL)
            add_known(world, i);
    for (guint i = 0; i < world->modules->len; i++)
        if (pm_site_world_get_module(world, i)->code != NULL)
            add_known_pointers(world, i);
    for (guint i = 0; i < ROUNDS_MAX && world->changed > 0; i++)
        follow(world);
}

/* Solves with short functions alone, in indexes that are thrown away, for modules of which nothing
 * was kept; remembers what they were asked. */
static void
look_first(PmSiteWorld *world)
{
    gboolean any = FALSE;
    for (guint i = 0; i < world->modules->len; i++)
        any = any || (pm_site_world_get_module(world, i)->index != NULL &&
                      is_empty(pm_site_world_get_module(world, i)));
    if (!any)
        return;
    world->is_first_look = TRUE;
    solve(world);
    world->is_first_look = FALSE;
    for (guint i = 0; i < world->modules->len; i++) {
        PmSiteModule *module = pm_site_world_get_module(world, i);
        if (module->index == NULL || !module->index->changed)
            continue;
        g_array_append_vals(module->hints, module->index->asked->data, module->index->asked->len);
        if (module->index->is_partial) {
            pm_site_index_free(module->index);
            module->index = pm_site_index_new();
        }
    }
}

PmSiteWorld *
pm_site_world_new(const PmProcess *process, const PmSiteWorldOptions *options)
{
    g_autofree char *folder =
        options->cache_folder != NULL ? g_strdup(options->cache_folder) : pm_cache_get_folder();
    const PmTarget *target = pm_space_get_target(pm_process_get_space(process));
    const PmMachine *machine = pm_machine_get(target->arch);
    if (machine == NULL)
        return NULL;
    PmSiteWorld *world = g_new0(PmSiteWorld, 1);
    world->process = process;
    world->jobs = options->jobs;
    world->pool = pm_flow_pool_new(machine);
    world->modules = g_array_new(FALSE, FALSE, sizeof(PmSiteModule));
    world->forwarders = g_ptr_array_new_with_free_func(forwarder_free);
    world->by_place = g_hash_table_new_full(hash_place, equal_places, g_free, NULL);
    world->known = g_hash_table_new(NULL, NULL);
    world->pointers = g_array_new(FALSE, FALSE, sizeof(PmPointer));
    world->globals = g_array_new(FALSE, FALSE, sizeof(PmPointer));
    world->importers =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_array_unref);
    world->open = g_hash_table_new_full(hash_place, equal_places, g_free, NULL);
    pm_exprs_init(&world->exprs);
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(process, &count);
    for (gsize i = 0; i < count; i++)
        if (options->only == NULL || options->only == &modules[i])
            add_module(world, &modules[i], machine);
    for (guint i = 0; i < world->modules->len; i++)
        if (pm_site_world_get_module(world, i)->index != NULL)
            load_index(pm_site_world_get_module(world, i), options->diagnostics, folder);
    for (guint i = 0; i < world->modules->len; i++)
        if (pm_site_world_get_module(world, i)->code != NULL)
            pm_links_add_importers(world, i);
    pm_links_read_pointers(world);
    look_first(world);
    solve(world);
    count_callers(world);
    save_indexes(world, folder);
    return world;
}

void
pm_site_world_free(PmSiteWorld *world)
{
    if (world == NULL)
        return;
    for (guint i = 0; i < world->modules->len; i++) {
        PmSiteModule *module = pm_site_world_get_module(world, i);
        pm_site_index_free(module->index);
        pm_module_code_free(module->code);
        g_hash_table_unref(module->callees);
        g_hash_table_unref(module->pointers);
        g_array_unref(module->hints);
    }
    g_array_unref(world->modules);
    g_ptr_array_unref(world->forwarders);
    g_hash_table_unref(world->by_place);
    g_hash_table_unref(world->known);
    g_hash_table_unref(world->importers);
    g_array_unref(world->pointers);
    g_array_unref(world->globals);
    g_hash_table_unref(world->open);
    pm_exprs_clear(&world->exprs);
    pm_flow_pool_free(world->pool);
    g_free(world);
}
