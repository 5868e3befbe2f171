#include "dwarf/split.h"

#include <dwarf.h>
#include <fcntl.h>
#include <unistd.h>

static const char *
get_string(Dwarf_Die *die, guint first, guint second)
{
    Dwarf_Attribute attribute;
    if (dwarf_attr(die, first, &attribute) == NULL && dwarf_attr(die, second, &attribute) == NULL)
        return NULL;
    return dwarf_formstring(&attribute);
}

gint64
pm_split_get_modified(const struct stat *status)
{
    return (gint64)((guint64)status->st_mtim.tv_sec * 1000000000 +
                    (guint64)status->st_mtim.tv_nsec);
}

gboolean
pm_split_stat(Dwarf_Die *root, PmSplitFile *ret_file)
{
    const char *name = get_string(root, DW_AT_dwo_name, DW_AT_GNU_dwo_name);
    const char *folder = get_string(root, DW_AT_comp_dir, DW_AT_comp_dir);
    struct stat status;
    /* libdw takes a folder for granted. */
    if (name == NULL || folder == NULL)
        return FALSE;
    g_autofree char *path = name[0] == '/' ? g_strdup(name) : g_strconcat(folder, "/", name, NULL);
    if (path[0] != '/' || stat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return FALSE;
    ret_file->path = g_steal_pointer(&path);
    ret_file->size_bytes = (guint64)status.st_size;
    ret_file->modified_ns = pm_split_get_modified(&status);
    return TRUE;
}

/* Whether the first unit of the file at @path is the split unit with @id. */
static gboolean
is_first_unit(const char *path, guint64 id)
{
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return FALSE;
    Dwarf *dwarf = dwarf_begin(fd, DWARF_C_READ);
    Dwarf_CU *unit = NULL;
    guint8 kind = 0;
    guint64 unit_id = 0;
    const gboolean fits =
        dwarf != NULL && dwarf_get_units(dwarf, NULL, &unit, NULL, &kind, NULL, NULL) == 0 &&
        kind == DW_UT_split_compile &&
        dwarf_cu_info(unit, NULL, NULL, NULL, NULL, &unit_id, NULL, NULL) == 0 && unit_id == id;
    if (dwarf != NULL)
        dwarf_end(dwarf);
    close(fd);
    return fits;
}

gboolean
pm_split_get(Dwarf_Die *root, const PmSplitFile *file, Dwarf_Die *ret_split)
{
    guint64 id = 0;
    Dwarf_Die split;
    if (dwarf_cu_info(root->cu, NULL, NULL, NULL, NULL, &id, NULL, NULL) != 0 ||
        !is_first_unit(file->path, id) ||
        dwarf_cu_info(root->cu, NULL, NULL, NULL, &split, NULL, NULL, NULL) != 0 ||
        split.addr == NULL)
        return FALSE;
    *ret_split = split;
    return TRUE;
}
