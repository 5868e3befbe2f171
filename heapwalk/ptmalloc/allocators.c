#include "ptmalloc/allocators.h"

#include <string.h>

/* Marks of the allocators: part of the module's base name, and symbols that only they export. */
typedef struct {
    const char *name;
    const char *file_mark;
    const char *symbols[3];
} Allocator;

static const Allocator allocators[] = {
    {"jemalloc", "libjemalloc", {"mallctl", "je_malloc", "_rjem_malloc"}},
    {"tcmalloc", "libtcmalloc", {"tc_malloc", "tc_version", "TCMallocInternalMalloc"}},
    {"mimalloc", "libmimalloc", {"mi_malloc", "mi_version", NULL}},
    {"musl", "ld-musl-", {NULL}},
    {"scudo", "libclang_rt.scudo", {"__scudo_print_stats", "__scudo_get_error_info", NULL}},
    {"asan", "libasan", {"__asan_init", NULL}},
    {"asan", "libclang_rt.asan", {NULL}},
    {"hardened_malloc", "libhardened_malloc", {NULL}},
    {"snmalloc", "libsnmalloc", {NULL}},
    {"rpmalloc", "librpmalloc", {"rpmalloc", NULL}},
};

static char *
get_base_name(const PmModule *module)
{
    return g_path_get_basename(module->path);
}

static const Allocator *
find_by_file(const PmModule *module)
{
    g_autofree char *base = get_base_name(module);
    for (gsize i = 0; i < G_N_ELEMENTS(allocators); i++)
        if (strstr(base, allocators[i].file_mark) != NULL)
            return &allocators[i];
    return NULL;
}

static const Allocator *
find_by_symbol(const PmProcess *process, const PmModule *module)
{
    PmSymbol symbol;
    for (gsize i = 0; i < G_N_ELEMENTS(allocators); i++)
        for (gsize j = 0; j < G_N_ELEMENTS(allocators[i].symbols); j++)
            if (allocators[i].symbols[j] != NULL &&
                pm_process_lookup_symbol(process, module, allocators[i].symbols[j], &symbol))
                return &allocators[i];
    return NULL;
}

char *
pm_allocator_recognise_file(const PmProcess *process, const PmModule **ret_module)
{
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(process, &count);
    for (gsize i = 0; i < count; i++) {
        const Allocator *allocator = find_by_file(&modules[i]);
        if (allocator == NULL)
            continue;
        if (ret_module != NULL)
            *ret_module = &modules[i];
        return g_strdup(allocator->name);
    }
    return NULL;
}

char *
pm_allocator_recognise(const PmProcess *process, const PmModule **ret_module)
{
    PmSymbol symbol;
    char *name = pm_allocator_recognise_file(process, ret_module);
    /* The first module in search order that defines malloc serves every call. */
    if (name != NULL || !pm_process_lookup_symbol(process, NULL, "malloc", &symbol) ||
        symbol.module == pm_process_get_libc(process) || symbol.module->is_interpreter)
        return name;
    /* glibc itself, where a cut core has lost its name. */
    PmSymbol own;
    if (pm_process_lookup_symbol(process, symbol.module, "__libc_malloc", &own))
        return NULL;
    const Allocator *allocator = find_by_symbol(process, symbol.module);
    if (ret_module != NULL)
        *ret_module = symbol.module;
    return allocator != NULL ? g_strdup(allocator->name) : get_base_name(symbol.module);
}

void
pm_allocator_set_no_heap(const PmProcess *process, GError **error)
{
    const PmModule *module = NULL;
    g_autofree char *name = pm_allocator_recognise(process, &module);
    const gboolean truncated =
        pm_image_is_truncated(pm_space_get_image(pm_process_get_space(process)));

    if (name != NULL)
        g_set_error(error, PM_ERROR, PM_ERROR_NO_HEAP,
                    "no glibc heap: this process allocates with %s (%s), which cannot be walked "
                    "yet; `info` and `show` work without a heap",
                    name, module->path);
    else if (truncated)
        g_set_error(error, PM_ERROR, PM_ERROR_NO_HEAP,
                    "no glibc heap in what is left of this core: it is cut off before any malloc "
                    "arena; take a whole core, or see how much is lost with `info`");
    else
        g_set_error(error, PM_ERROR, PM_ERROR_NO_HEAP,
                    "no glibc heap: no malloc arena was found and no other allocator recognised; "
                    "either malloc was never called, or the program brings its own; see `info`");
}
