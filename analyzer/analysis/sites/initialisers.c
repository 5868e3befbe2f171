/*
 * Into callees; see initialisers.h.
 */
#include "analysis/sites/initialisers.h"

#include "analysis/sites/look.h"

/* Constructors of bases within constructors of bases. */
#define DEPTH_MAX 4
/* Of one site; of all sites. */
#define PASSED_MAX 4
#define LOOKED_MAX 8192

/* A function of the process and the number of its argument. */
typedef struct {
    PmAddr address;
    guint64 argument;
} Key;

/* @known: Key * → GArray of PmStore, with addresses of the process, as the function itself stores.
 * @looks: PmSiteLook * by the world's modules, NULL for those that were not looked into. */
struct PmInitialisers {
    PmSiteWorld *world;
    GHashTable *known;
    PmSiteLook **looks;
};

static guint
hash_key(gconstpointer data)
{
    const Key *key = data;
    const guint64 mixed = (key->address ^ key->argument) * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
    return (guint)(mixed >> 32);
}

static gboolean
equal_keys(gconstpointer a, gconstpointer b)
{
    const Key *left = a;
    const Key *right = b;
    return left->address == right->address && left->argument == right->argument;
}

PmInitialisers *
pm_initialisers_new(PmSiteWorld *world)
{
    PmInitialisers *initialisers = g_new0(PmInitialisers, 1);
    initialisers->world = world;
    initialisers->known =
        g_hash_table_new_full(hash_key, equal_keys, g_free, (GDestroyNotify)g_array_unref);
    initialisers->looks = g_new0(PmSiteLook *, world->modules->len + 1);
    return initialisers;
}

void
pm_initialisers_free(PmInitialisers *initialisers)
{
    if (initialisers == NULL)
        return;
    g_hash_table_unref(initialisers->known);
    for (guint i = 0; i < initialisers->world->modules->len; i++)
        pm_site_look_free(initialisers->looks[i]);
    g_free(initialisers->looks);
    g_free(initialisers);
}

/* The module whose code is there and holds @address, or NULL. */
static const PmSiteModule *
find_module(const PmSiteWorld *world, PmAddr address)
{
    for (guint i = 0; i < world->modules->len; i++) {
        const PmSiteModule *module = &g_array_index(world->modules, PmSiteModule, i);
        if (module->code != NULL && address >= module->module->start &&
            address < module->module->end)
            return module;
    }
    return NULL;
}

/* Where a call of @target leads: through the thunk that is there, or the word. PM_ADDR_NONE where
 * that is not known, as before the dynamic linker has filled the word. */
static PmAddr
resolve(const PmSiteWorld *world, PmAddr target)
{
    const PmSpace *space = pm_process_get_space(world->process);
    const PmSiteModule *module = find_module(world, target);
    PmAddr slot = target;
    if (module == NULL)
        return PM_ADDR_NONE;
    pm_module_code_prepare(module->code);
    const PmReference *thunk =
        pm_module_code_find_thunk(module->code, target - module->module->bias);
    if (thunk != NULL)
        slot = thunk->target + module->module->bias;
    else if (pm_module_code_find_text(module->code, target - module->module->bias) != NULL)
        return target;
    guint64 address = 0;
    if (!pm_space_read_word(space, slot, &address))
        return PM_ADDR_NONE;
    const PmSiteModule *other = find_module(world, address);
    return other != NULL &&
                   pm_module_code_find_text(other->code, address - other->module->bias) != NULL
               ? address
               : PM_ADDR_NONE;
}

static const PmSiteLook *
get_look(PmInitialisers *initialisers, const PmSiteModule *module)
{
    const PmSiteModule *first =
        (const PmSiteModule *)(gconstpointer)initialisers->world->modules->data;
    PmSiteLook **look = &initialisers->looks[module - first];
    if (*look != NULL)
        return *look;
    g_autoptr(GArray) targets = g_array_new(FALSE, FALSE, sizeof(guint64));
    GHashTableIter iter;
    gpointer target = NULL;
    g_hash_table_iter_init(&iter, module->callees);
    while (g_hash_table_iter_next(&iter, &target, NULL))
        g_array_append_vals(targets, target, 1);
    *look =
        pm_site_look_new(module->code, (const guint64 *)(gconstpointer)targets->data, targets->len);
    return *look;
}

/* What the function at @address itself stores. Of the C library nothing: its functions do not fill
 * in others' records. */
static GArray *
look_into(PmInitialisers *initialisers, PmAddr address, guint argument)
{
    const PmSiteWorld *world = initialisers->world;
    const PmSiteModule *module = find_module(world, address);
    if (module == NULL || module->module == pm_process_get_libc(world->process))
        return g_array_new(FALSE, FALSE, sizeof(PmStore));
    GArray *stores =
        pm_site_look_into(get_look(initialisers, module), address - module->module->bias, argument);
    for (guint i = 0; i < stores->len; i++)
        pm_site_world_relocate(module, &g_array_index(stores, PmStore, i));
    return stores;
}

/* NULL where it is not known which function that is. */
static const GArray *
find_stores(PmInitialisers *initialisers, const PmStore *passed)
{
    const PmAddr address = resolve(initialisers->world, passed->value);
    const Key key = {address, passed->width_bytes};
    if (address == PM_ADDR_NONE)
        return NULL;
    GArray *stores = g_hash_table_lookup(initialisers->known, &key);
    if (stores != NULL || g_hash_table_size(initialisers->known) >= LOOKED_MAX)
        return stores;
    stores = look_into(initialisers, address, passed->width_bytes);
    g_hash_table_insert(initialisers->known, g_memdup2(&key, sizeof key), stores);
    return stores;
}

/* Adds what is stored by the function that @passed names, and by those that it calls in turn. */
static void
add_callee(PmInitialisers *initialisers, GArray *stores, const PmStore *passed, guint depth)
{
    const GArray *found = find_stores(initialisers, passed);
    if (found == NULL || depth > DEPTH_MAX)
        return;
    /* The table may grow below. */
    g_autoptr(GArray) own = g_array_copy((GArray *)(gpointer)found);
    for (guint i = 0; i < own->len; i++) {
        PmStore store = g_array_index(own, PmStore, i);
        if (__builtin_add_overflow(store.offset, passed->offset, &store.offset))
            continue;
        store.is_late = store.is_late || passed->is_late;
        if (store.kind == PM_STORED_PASSED) {
            add_callee(initialisers, stores, &store, depth + 1);
            continue;
        }
        /* The callee's arguments are others. */
        if (store.kind == PM_STORED_ARGUMENT)
            store.kind = PM_STORED_OTHER;
        pm_stores_add(stores, &store);
    }
}

static void
add_own(GArray *stores, const GArray *own, gboolean late)
{
    for (guint i = 0; i < own->len; i++) {
        const PmStore *store = &g_array_index(own, PmStore, i);
        if (store->kind != PM_STORED_PASSED && (store->is_late != 0) == late)
            pm_stores_add(stores, store);
    }
}

void
pm_initialisers_add(PmInitialisers *initialisers, GArray *stores)
{
    g_autoptr(GArray) own = g_array_copy(stores);
    guint passed = 0;
    g_array_set_size(stores, 0);
    add_own(stores, own, FALSE);
    for (guint i = 0; i < own->len && passed < PASSED_MAX; i++) {
        const PmStore *store = &g_array_index(own, PmStore, i);
        if (store->kind != PM_STORED_PASSED)
            continue;
        add_callee(initialisers, stores, store, 0);
        passed++;
    }
    add_own(stores, own, TRUE);
    for (guint i = 0; i < own->len; i++) {
        const PmStore *store = &g_array_index(own, PmStore, i);
        if (store->kind == PM_STORED_PASSED)
            pm_stores_add(stores, store);
    }
}
