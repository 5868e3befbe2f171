/*
 * Files in debug trees: DIR/.build-id/xx/yyyy[.debug], and what .gnu_debuglink names. Whatever is
 * found is taken only where its build-id agrees. Downloads are symbols.c's business.
 */
#include "process/process-private.h"

#include <string.h>

#define DEFAULT_TREE "/usr/lib/debug"

/* Returns: (transfer full): NULL-terminated. */
static char **
get_trees(const PmProcess *process)
{
    g_autoptr(GStrvBuilder) trees = g_strv_builder_new();
    if (process->debug_dir != NULL) {
        g_strv_builder_add(trees, process->debug_dir);
        return g_strv_builder_end(trees);
    }
    if (process->sysroot != NULL) {
        g_autofree char *tree = g_strconcat(process->sysroot, DEFAULT_TREE, NULL);
        g_strv_builder_add(trees, tree);
    }
    g_strv_builder_add(trees, DEFAULT_TREE);
    return g_strv_builder_end(trees);
}

/* Opens @path where it is an object with @build_id. */
static PmElfFile *
open_matching(const PmProcess *process, const char *path, const char *build_id)
{
    g_autoptr(PmElfFile) file =
        pm_elf_file_open(path, pm_image_get_target(process->image), process->page_bytes, NULL);
    if (file == NULL || g_strcmp0(file->build_id, build_id) != 0)
        return NULL;
    return g_steal_pointer(&file);
}

char **
pm_process_list_debug_paths(const PmProcess *process, const char *build_id, const char *suffix)
{
    g_autoptr(GStrvBuilder) paths = g_strv_builder_new();
    g_auto(GStrv) trees = get_trees(process);
    for (gsize i = 0; trees[i] != NULL && strlen(build_id) >= 3; i++) {
        g_autofree char *path =
            g_strdup_printf("%s/.build-id/%.2s/%s%s", trees[i], build_id, build_id + 2, suffix);
        g_strv_builder_add(paths, path);
    }
    return g_strv_builder_end(paths);
}

PmElfFile *
pm_process_find_by_build_id(const PmProcess *process, const char *build_id, const char *suffix)
{
    g_auto(GStrv) paths = pm_process_list_debug_paths(process, build_id, suffix);
    for (gsize i = 0; paths[i] != NULL; i++) {
        PmElfFile *file = open_matching(process, paths[i], build_id);
        if (file != NULL)
            return file;
    }
    return NULL;
}

static PmElfFile *
find_by_debug_link(const PmProcess *process, const PmElfFile *main_file)
{
    /* The name comes from a file that anyone may have made: it stays in the folders meant for it.
     */
    if (main_file->path == NULL || main_file->debug_link == NULL || main_file->build_id == NULL ||
        strchr(main_file->debug_link, '/') != NULL)
        return NULL;

    g_autofree char *folder = g_path_get_dirname(main_file->path);
    const char *folders[] = {"", ".debug"};
    for (gsize i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree char *path = g_build_filename(folder, folders[i], main_file->debug_link, NULL);
        PmElfFile *file = open_matching(process, path, main_file->build_id);
        if (file != NULL)
            return file;
    }
    g_auto(GStrv) trees = get_trees(process);
    for (gsize i = 0; trees[i] != NULL; i++) {
        g_autofree char *path = g_build_filename(trees[i], folder, main_file->debug_link, NULL);
        PmElfFile *file = open_matching(process, path, main_file->build_id);
        if (file != NULL)
            return file;
    }
    return NULL;
}

PmElfFile *
pm_process_find_debug_file(const PmProcess *process, const PmModule *module)
{
    const PmModuleParts *parts = pm_process_parts_of(process, module);
    PmElfFile *file = module->build_id != NULL
                          ? pm_process_find_by_build_id(process, module->build_id, ".debug")
                          : NULL;
    if (file == NULL && parts->file != NULL)
        file = find_by_debug_link(process, parts->file);
    return file;
}
