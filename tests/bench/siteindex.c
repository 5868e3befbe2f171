/*
 * siteindex CORE NAME: makes the index of the call sites of the module NAME, and of the wrappers in
 * it, from nothing and keeps it nowhere; says how many sites there are.
 */
#include "analysis/sites/wrappers.h"

#include <stdio.h>

static gboolean
index_module(const PmProcess *process, PmDiagnostics *diagnostics, const PmModule *module)
{
    const PmSiteWorldOptions options = {
        .diagnostics = diagnostics, .cache_folder = "", .only = module};
    g_autoptr(PmSiteWorld) world = pm_site_world_new(process, &options);
    const PmSiteModule *site =
        world != NULL ? &g_array_index(world->modules, PmSiteModule, 0) : NULL;
    if (site == NULL || site->index == NULL)
        return FALSE;
    printf("%u calls in %s, %" G_GUINT64_FORMAT " bytes of code, %u functions that allocate\n",
           site->index->calls->len, module->path, site->code->text_bytes, world->forwarders->len);
    return TRUE;
}

int
main(int argc, char **argv)
{
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(PmImage) image = argc == 3 ? pm_image_open(argv[1], diagnostics, NULL) : NULL;
    g_autoptr(PmProcess) process =
        image != NULL ? pm_process_open(image, NULL, diagnostics, NULL) : NULL;
    gsize count = 0;
    const PmModule *modules = process != NULL ? pm_process_get_modules(process, &count) : NULL;
    for (gsize i = 0; i < count; i++)
        if (g_str_has_suffix(modules[i].path, argv[2]))
            return index_module(process, diagnostics, &modules[i]) ? 0 : 1;
    (void)fprintf(stderr, "usage: siteindex CORE NAME\n");
    return 1;
}
