/*
 * From calls to sites; see sites.h.
 */
#include "analysis/sites/sites.h"

#include "analysis/sites/callable.h"
#include "analysis/sites/describe.h"
#include "analysis/sites/initialisers.h"
#include "analysis/sites/inlining.h"
#include "analysis/sites/links.h"
#include "analysis/sites/receiver.h"
#include "analysis/sites/scale.h"
#include "analysis/sites/untouched.h"
#include "analysis/sites/wrappers.h"
#include "process/lines.h"

#include <string.h>

/* A prior, until the contents of chunks are weighed: an exact size, a share of it for one of
 * several, and little for what may be anything. */
#define SCORE_EXACT    0.5
#define SCORE_RANGE    0.05
#define SCORE_VARIABLE 0.01
/* A pointer may have held something else before. */
#define FACTOR_POINTER 0.8

struct PmSites {
    const PmSubject *subject;
    PmSiteQuery query;
    PmSiteWorld *world;
    PmCallable *callable;
    PmInitialisers *initialisers;
    PmLines *lines;
    GArray *sites;       /* PmSite */
    GArray *unread;      /* PmUnreadModule */
    GPtrArray *nameless; /* const PmModule * */
    guint8 *untouched;   /* of each of the world's modules: 0 nobody asked, 1 it is not, 2 it is */
    PmSiteCounts counts;
};

static void
site_clear(gpointer data)
{
    PmSite *site = data;
    g_free(site->function);
    g_free(site->allocator);
    g_strfreev(site->through);
    g_free(site->argument);
    g_array_unref(site->stores);
    if (site->inlined != NULL)
        g_array_unref(site->inlined);
}

static PmSiteKind
get_kind(const PmValue *size)
{
    if (size->kind == PM_VALUE_SET && size->open == 0)
        return size->count == 1 ? PM_SITE_EXACT : PM_SITE_SEVERAL;
    return size->kind == PM_VALUE_RANGE ? PM_SITE_RANGE : PM_SITE_VARIABLE;
}

/* Sizes that no malloc gives (above PTRDIFF_MAX) are none. */
static PmValue
drop_impossible(const PmExprs *exprs, const PmValue *size)
{
    PmValue kept = *size;
    const PmValue unknown = pm_value_unknown();
    while (kept.kind == PM_VALUE_SET && kept.count > 0 && kept.v[kept.count - 1] > G_MAXINT64)
        kept.count--;
    const gboolean is_bounded = (kept.kind == PM_VALUE_SET && kept.count > 0) ||
                                (kept.kind == PM_VALUE_RANGE && kept.v[1] <= G_MAXINT32);
    return is_bounded ? kept : pm_scale_set(&unknown, pm_scale_get(exprs, size));
}

static gboolean
in_query(const PmSiteQuery *query, guint64 request)
{
    return !query->by_request || (request >= query->request_min && request <= query->request_max);
}

/* How many of a set's sizes were asked for; the last of them. */
static guint
count_matches(const PmSiteQuery *query, const PmValue *size, guint64 *ret_request)
{
    guint matches = 0;
    for (guint i = 0; i < size->count; i++) {
        if (!in_query(query, size->v[i]))
            continue;
        *ret_request = size->v[i];
        matches++;
    }
    return matches;
}

/* Whether @size is asked for; then its request and score. */
static gboolean
match(const PmSiteQuery *query, PmSite *site)
{
    const PmValue *size = &site->size;
    guint64 request = PM_SIZE_UNKNOWN;
    site->request_bytes = PM_SIZE_UNKNOWN;
    if (site->kind == PM_SITE_RANGE) {
        site->score = SCORE_RANGE;
        return query->variable && (!query->by_request || (size->v[0] <= query->request_max &&
                                                          size->v[1] >= query->request_min));
    }
    if (site->kind == PM_SITE_VARIABLE) {
        site->score = SCORE_VARIABLE;
        return query->variable;
    }
    const guint matches = count_matches(query, size, &request);
    if (matches == 1)
        site->request_bytes = request;

    site->score = SCORE_EXACT / size->count * (query->by_request ? MAX(matches, 1) : 1);
    return matches > 0;
}

static void
locate(PmSites *sites, PmSite *site)
{
    PmSymbol symbol;
    guint64 offset = 0;
    const PmProcess *process = sites->subject->process;
    site->offset_bytes = site->address - site->module->start;
    if (pm_process_symbolize(process, site->address, &symbol, &offset) &&
        offset < MAX(symbol.size_bytes, 1)) {
        site->function = pm_describe_function(symbol.name);
        site->offset_bytes = offset;
    }
    if (pm_lines_find(sites->lines, site->address, &site->file, &site->line) &&
        sites->subject->types != NULL)
        pm_inlining_find(sites->subject->types, site);
    site->is_located = TRUE;
}

/* @site as one that may be changed. */
static PmSite *
get_own(PmSites *sites, const PmSite *site)
{
    const PmSite *first = (const PmSite *)(gconstpointer)sites->sites->data;
    g_return_val_if_fail(site >= first && site < first + sites->sites->len, NULL);
    return &g_array_index(sites->sites, PmSite, (guint)(site - first));
}

void
pm_sites_locate(PmSites *sites, const PmSite *site)
{
    PmSite *own = get_own(sites, site);
    if (own != NULL && !own->is_located)
        locate(sites, own);
}

/* The number of the module of @site, or the number of modules. */
static guint
find_module(const PmSites *sites, const PmSite *site)
{
    const GArray *modules = sites->world->modules;
    guint i = 0;
    while (i < modules->len && g_array_index(modules, PmSiteModule, i).module != site->module)
        i++;
    return i;
}

/* Where @site is, or NULL where there is no code of that. */
static const PmSiteModule *
find_coded_module(const PmSites *sites, const PmSite *site)
{
    const guint number = find_module(sites, site);
    const PmSiteModule *module =
        number < sites->world->modules->len ? pm_site_world_get_module(sites->world, number) : NULL;
    return module != NULL && module->code != NULL ? module : NULL;
}

void
pm_sites_find_type(PmSites *sites, const PmSite *site, guint64 size_bytes)
{
    PmSite *own = get_own(sites, site);
    PmTypes *types = sites->subject->types;
    PmReceiver receiver;
    if (own == NULL || own->is_typed)
        return;
    own->is_typed = TRUE;
    const PmSiteModule *module = find_coded_module(sites, site);
    if (types == NULL || module == NULL || !site->module->dwarf ||
        site->return_address == PM_ADDR_NONE ||
        !pm_receiver_find(module->code, types, site->return_address - site->module->bias,
                          size_bytes, &receiver))
        return;
    own->type = receiver.type;
    own->variable = receiver.variable;
}

void
pm_sites_complete(PmSites *sites, const PmSite *site)
{
    PmSite *own = get_own(sites, site);
    if (own == NULL || own->is_completed)
        return;
    own->is_completed = TRUE;
    pm_initialisers_add(sites->initialisers, own->stores);
}

/* What strdup copies is what the chunk begins with. */
static void
add_string(PmSites *sites, const PmSiteModule *module, const PmForwarder *callee,
           const PmSiteCall *call, PmSite *site)
{
    const PmAddr place = pm_site_world_find_string(sites->world, module, callee, call);
    if (place == PM_ADDR_NONE || site->kind != PM_SITE_EXACT)
        return;
    const PmStore store = {.width_bytes = (guint32)MIN(site->size.v[0], sizeof(guint64)),
                           .value = place,
                           .kind = PM_STORED_COPY};
    pm_stores_add(site->stores, &store);
}

static void
add_site(PmSites *sites, const PmSiteModule *module, const PmForwarder *callee,
         const PmSiteCall *call)
{
    const PmValue size = pm_site_world_measure(sites->world, module, callee, call);
    PmSite site = {
        .address = module->module->bias + call->address,
        .return_address = call->is_tail ? PM_ADDR_NONE : module->module->bias + call->after,
        .target = module->module->bias + call->target,
        .module = module->module,
        .by_pointer = g_hash_table_contains(module->pointers, &call->target),
        .size = drop_impossible(&sites->world->exprs, &size),
        /* What it returns is something else than what it asks for. */
        .is_completed = !callee->returns,
        .is_typed = !callee->returns,
    };
    site.kind = get_kind(&site.size);
    sites->counts.sites[site.kind]++;
    if (!match(&sites->query, &site))
        return;
    if (site.by_pointer)
        site.score *= FACTOR_POINTER;
    site.allocator = pm_describe_forwarder(sites->world, callee);
    site.through = pm_describe_chain(sites->world, callee);
    site.argument = pm_describe_call(sites->world, module, callee, call);
    site.stores = g_array_new(FALSE, FALSE, sizeof(PmStore));
    pm_site_world_add_stores(module, callee, call, site.stores);
    add_string(sites, module, callee, call, &site);
    if (!sites->query.unlocated)
        locate(sites, &site);
    g_array_append_val(sites->sites, site);
}

static void
add_calls(PmSites *sites, guint index)
{
    const PmSiteModule *module = &g_array_index(sites->world->modules, PmSiteModule, index);
    GHashTableIter iter;
    gpointer target = NULL, callee = NULL;
    g_hash_table_iter_init(&iter, module->callees);
    while (g_hash_table_iter_next(&iter, &target, &callee)) {
        gsize count = 0;
        const PmSiteCall *calls = pm_site_index_get(module->index, *(guint64 *)target, &count);
        for (gsize i = 0; i < count; i++) {
            if (pm_site_world_is_forwarding(sites->world, index, callee, &calls[i]))
                sites->counts.forwarding++;
            else
                add_site(sites, module, callee, &calls[i]);
        }
    }
}

static void
add_module(PmSites *sites, guint index)
{
    const PmSiteModule *module = &g_array_index(sites->world->modules, PmSiteModule, index);
    const PmModuleCode *code = module->code;
    if (module->module->is_vdso)
        return;
    if (code == NULL || code->missing_bytes > 0) {
        const PmUnreadModule unread = {module->module, code != NULL ? code->missing_bytes : 0};
        g_array_append_val(sites->unread, unread);
    }
    if (code == NULL)
        return;
    sites->counts.modules++;
    sites->counts.text_bytes += code->text_bytes;
    if (module->module == pm_process_get_libc(sites->subject->process) &&
        g_hash_table_size(module->callees) == 0)
        g_ptr_array_add(sites->nameless, (gpointer)module->module);
    add_calls(sites, index);
}

static gint
compare_sites(gconstpointer a, gconstpointer b)
{
    const PmSite *left = a;
    const PmSite *right = b;
    if (left->score > right->score || left->score < right->score)
        return left->score > right->score ? -1 : 1;
    if (left->module != right->module)
        return left->module < right->module ? -1 : 1;
    return left->address < right->address ? -1 : left->address > right->address;
}

PmSites *
pm_sites_new(const PmSubject *subject, const PmSiteQuery *query, guint jobs, GError **error)
{
    const PmSiteWorldOptions options = {
        .diagnostics = subject->diagnostics, .cache_folder = query->cache_folder, .jobs = jobs};
    PmSiteWorld *world = pm_site_world_new(subject->process, &options);
    if (world == NULL) {
        const PmTarget *target = pm_image_get_target(subject->image);
        g_set_error(error, PM_ERROR, PM_ERROR_UNSUPPORTED,
                    "call sites are found in x86_64 code alone until now; this core is of %s",
                    target->name);
        return NULL;
    }
    PmSites *sites = g_new0(PmSites, 1);
    sites->subject = subject;
    sites->query = *query;
    sites->world = world;
    sites->callable = pm_callable_new(world);
    sites->untouched = g_new0(guint8, world->modules->len + 1);
    sites->initialisers = pm_initialisers_new(world);
    sites->lines = pm_lines_new(subject->process);
    sites->sites = g_array_new(FALSE, FALSE, sizeof(PmSite));
    g_array_set_clear_func(sites->sites, site_clear);
    sites->unread = g_array_new(FALSE, FALSE, sizeof(PmUnreadModule));
    sites->nameless = g_ptr_array_new();
    for (guint i = 0; i < world->modules->len; i++)
        add_module(sites, i);
    for (guint i = 0; i < world->forwarders->len; i++) {
        const PmForwarder *forwarder = g_ptr_array_index(world->forwarders, i);
        sites->counts.wrappers += forwarder->known == NULL ? 1 : 0;
    }
    g_array_sort(sites->sites, compare_sites);
    return sites;
}

void
pm_sites_free(PmSites *sites)
{
    if (sites == NULL)
        return;
    g_array_unref(sites->sites);
    g_array_unref(sites->unread);
    g_ptr_array_unref(sites->nameless);
    pm_lines_free(sites->lines);
    pm_callable_free(sites->callable);
    g_free(sites->untouched);
    pm_initialisers_free(sites->initialisers);
    pm_site_world_free(sites->world);
    g_free(sites);
}

const PmSite *
pm_sites_get(const PmSites *sites, gsize *ret_count)
{
    *ret_count = sites->sites->len;
    return (const PmSite *)(gconstpointer)sites->sites->data;
}

gboolean
pm_sites_may_run(const PmSites *sites, const PmSite *site)
{
    const guint module = find_module(sites, site);
    return module >= sites->world->modules->len ||
           pm_callable_is_called(sites->callable, module, site->address - site->module->bias);
}

gboolean
pm_sites_is_referred(const PmSites *sites, const PmSite *site)
{
    const guint module = find_module(sites, site);
    return module >= sites->world->modules->len ||
           pm_callable_is_referred(sites->callable, module, site->address - site->module->bias);
}

gboolean
pm_sites_is_untouched(const PmSites *sites, const PmSite *site)
{
    const guint module = find_module(sites, site);
    if (module >= sites->world->modules->len)
        return FALSE;
    guint8 *answer = &sites->untouched[module];
    if (*answer == 0)
        *answer =
            pm_module_is_untouched(pm_process_get_space(sites->subject->process), site->module) ? 2
                                                                                                : 1;
    return *answer == 2;
}

gboolean
pm_sites_find_function(const PmSites *sites, const PmSite *site, PmRange *ret_function)
{
    const PmSiteModule *module = find_coded_module(sites, site);
    if (module == NULL)
        return FALSE;
    pm_module_code_prepare(module->code);
    const guint64 bias = site->module->bias;
    const PmFunctionRange *found =
        pm_frames_find_range(module->code->functions, site->address - bias);
    if (found == NULL)
        return FALSE;
    *ret_function = (PmRange){found->start + bias, found->end + bias};
    return TRUE;
}

const PmSiteCounts *
pm_sites_get_counts(const PmSites *sites)
{
    return &sites->counts;
}

const PmUnreadModule *
pm_sites_get_unread(const PmSites *sites, gsize *ret_count)
{
    *ret_count = sites->unread->len;
    return (const PmUnreadModule *)(gconstpointer)sites->unread->data;
}

const PmModule *const *
pm_sites_get_nameless(const PmSites *sites, gsize *ret_count)
{
    *ret_count = sites->nameless->len;
    return (const PmModule *const *)sites->nameless->pdata;
}

gboolean
pm_sites_chunk_to_requests(guint64 chunk_bytes, guint64 *ret_min, guint64 *ret_max)
{
    /* malloc.c, request2size: a word of header, in steps of 16 bytes, at least 32. */
    if (chunk_bytes < 32 || chunk_bytes % 16 != 0 || chunk_bytes > G_MAXINT64)
        return FALSE;
    *ret_max = chunk_bytes - 8;
    *ret_min = chunk_bytes == 32 ? 0 : chunk_bytes - 23;
    return TRUE;
}
