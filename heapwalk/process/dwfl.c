#include "process/dwfl.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* What a libdwfl module points to. @asked: its debug file was asked for; the next question is about
 * the supplementary file (.gnu_debugaltlink), which is another one. */
typedef struct {
    const PmModuleParts *parts;
    Dwfl_Module *module;
    gboolean asked;
} Link;

struct PmDwfl {
    const PmProcess *process;
    Dwfl *dwfl;
    Dwfl_Callbacks callbacks;
    char *debuginfo_path;
    GHashTable *links; /* const PmModule * → Link * */
};

static gboolean
has_debuginfod(void)
{
    const char *urls = g_getenv("DEBUGINFOD_URLS");
    return urls != NULL && urls[0] != '\0';
}

/* Hands out another reference to our own handle, which libdwfl ends. libdwfl frees the name with
 * free(). */
static int
find_elf(Dwfl_Module *module G_GNUC_UNUSED, void **userdata, const char *name G_GNUC_UNUSED,
         Dwarf_Addr base G_GNUC_UNUSED, char **file_name, Elf **elfp)
{
    const Link *link = *userdata;
    const PmElfFile *file = link->parts->file != NULL ? link->parts->file : link->parts->debug_file;
    if (file == NULL)
        return -1;
    *elfp = elf_begin(-1, file->is_memory ? ELF_C_READ : ELF_C_READ_MMAP, file->elf);
    *file_name = strdup(file->path != NULL ? file->path : "[vdso]");
    return -1;
}

/* NOLINTBEGIN(readability-function-size): libdwfl wants these parameters. */
static int
find_debuginfo(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
               const char *file_name, const char *link_name, GElf_Word crc, char **ret_name)
{
    Link *link = *userdata;
    const PmElfFile *debug = link->parts->debug_file;
    if (!link->asked && debug != NULL) {
        const int fd = open(debug->path, O_RDONLY | O_CLOEXEC);
        link->asked = TRUE;
        if (fd >= 0) {
            *ret_name = strdup(debug->path);
            return fd;
        }
    }
    link->asked = TRUE;
    return dwfl_standard_find_debuginfo(module, userdata, name, base, file_name, link_name, crc,
                                        ret_name);
}
/* NOLINTEND(readability-function-size) */

PmDwfl *
pm_dwfl_new(const PmProcess *process)
{
    PmDwfl *session = g_new0(PmDwfl, 1);
    session->process = process;
    session->links = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    if (process->debug_dir != NULL)
        session->debuginfo_path = g_strdup(process->debug_dir);
    else if (process->sysroot != NULL)
        session->debuginfo_path =
            g_strdup_printf(":.debug:%s/usr/lib/debug:/usr/lib/debug", process->sysroot);
    session->callbacks.find_elf = find_elf;
    session->callbacks.find_debuginfo = find_debuginfo;
    session->callbacks.section_address = dwfl_offline_section_address;
    session->callbacks.debuginfo_path = &session->debuginfo_path;
    session->dwfl = dwfl_begin(&session->callbacks);
    return session;
}

void
pm_dwfl_free(PmDwfl *session)
{
    if (session == NULL)
        return;
    if (session->dwfl != NULL)
        dwfl_end(session->dwfl);
    g_hash_table_unref(session->links);
    g_free(session->debuginfo_path);
    g_free(session);
}

Dwfl *
pm_dwfl_get_handle(PmDwfl *session)
{
    return session->dwfl;
}

Dwfl_Module *
pm_dwfl_get_module(PmDwfl *session, const PmModule *module)
{
    Link *link = g_hash_table_lookup(session->links, module);
    if (link != NULL || session->dwfl == NULL)
        return link != NULL ? link->module : NULL;

    link = g_new0(Link, 1);
    link->parts = pm_process_parts_of(session->process, module);
    g_hash_table_insert(session->links, (gpointer)module, link);
    dwfl_report_begin_add(session->dwfl);
    link->module = dwfl_report_module(session->dwfl, module->path, module->start, module->end);
    dwfl_report_end(session->dwfl, NULL, NULL);
    if (link->module == NULL)
        return NULL;
    void **userdata = NULL;
    dwfl_module_info(link->module, &userdata, NULL, NULL, NULL, NULL, NULL, NULL);
    *userdata = link;
    return link->module;
}

gboolean
pm_dwfl_may_help(const PmProcess *process, const PmModule *module)
{
    const PmModuleParts *parts = pm_process_parts_of(process, module);
    if (parts->file == NULL || module->is_vdso || parts->file->has_symtab ||
        parts->debug_file != NULL)
        return FALSE;
    return parts->file->has_mini_debug || (has_debuginfod() && module->build_id != NULL) ||
           (parts->file->debug_link != NULL && parts->file->build_id == NULL);
}

static gsize
parse_hex(const char *hex, guint8 *bytes, gsize bytes_max)
{
    gsize count = 0;
    for (; count < bytes_max && hex[2 * count] != '\0' && hex[2 * count + 1] != '\0'; count++)
        bytes[count] = (guint8)(g_ascii_xdigit_value(hex[2 * count]) << 4 |
                                g_ascii_xdigit_value(hex[2 * count + 1]));
    return count;
}

/* The path behind a file descriptor that libdwfl opened in debuginfod's cache. */
static PmElfFile *
reopen(const PmProcess *process, int fd)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autofree char *path = g_file_read_link(link, NULL);
    return path != NULL ? pm_elf_file_open(path, pm_image_get_target(process->image),
                                           process->page_bytes, NULL)
                        : NULL;
}

PmElfFile *
pm_process_download_elf(const PmProcess *process, const PmModule *module)
{
    static const Dwfl_Callbacks callbacks = {
        .find_elf = dwfl_build_id_find_elf,
        .find_debuginfo = dwfl_standard_find_debuginfo,
        .section_address = dwfl_offline_section_address,
    };
    guint8 bytes[64];
    if (!has_debuginfod() || module->build_id == NULL)
        return NULL;
    const gsize count = parse_hex(module->build_id, bytes, sizeof bytes);
    Dwfl *dwfl = dwfl_begin(&callbacks);
    if (dwfl == NULL)
        return NULL;

    PmElfFile *file = NULL;
    dwfl_report_begin(dwfl);
    Dwfl_Module *reported = dwfl_report_module(dwfl, module->path, module->start, module->end);
    dwfl_report_end(dwfl, NULL, NULL);
    if (reported != NULL && dwfl_module_report_build_id(reported, bytes, count, 0) == 0) {
        char *name = NULL;
        Elf *elf = NULL;
        const int fd =
            dwfl_build_id_find_elf(reported, NULL, module->path, module->start, &name, &elf);
        if (fd >= 0) {
            file = reopen(process, fd);
            close(fd);
        }
        if (elf != NULL)
            elf_end(elf);
        free(name);
    }
    dwfl_end(dwfl);
    return file;
}
