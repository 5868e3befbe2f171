#include "process/elffile.h"

#include "base/error.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef int Fd;

static void
clear_fd(Fd *fd)
{
    if (*fd >= 0)
        close(*fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fd, clear_fd)

/* A core names the files, so nothing that blocks (a pipe, a tape) may be waited for. */
static Fd
open_regular(const char *path, gsize *ret_size_bytes, GError **error)
{
    g_auto(Fd) fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        g_set_error(error, PM_ERROR, PM_ERROR_NOT_FOUND, "%s: cannot be opened: %s", path,
                    g_strerror(errno));
        return -1;
    }
    if (!S_ISREG(status.st_mode) || status.st_size <= 0) {
        g_set_error(error, PM_ERROR, PM_ERROR_NOT_FOUND, "%s: %s", path,
                    S_ISREG(status.st_mode) ? "is empty" : "is not a regular file");
        return -1;
    }
    *ret_size_bytes = (gsize)status.st_size;
    return g_steal_fd(&fd);
}

/* Records which sections there are; by name and type, so that nothing is decompressed. */
static void
read_sections(PmElfFile *file)
{
    size_t names = 0;
    if (elf_getshdrstrndx(file->elf, &names) != 0)
        return;

    Elf_Scn *section = NULL;
    while ((section = elf_nextscn(file->elf, section)) != NULL) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) == NULL || header.sh_type == SHT_NOBITS)
            continue;
        const char *name = elf_strptr(file->elf, names, header.sh_name);
        if (header.sh_type == SHT_SYMTAB)
            file->has_symtab = TRUE;
        else if (header.sh_type == SHT_DYNSYM)
            file->has_dynsym = TRUE;
        else if (g_strcmp0(name, ".debug_info") == 0 || g_strcmp0(name, ".zdebug_info") == 0)
            file->has_dwarf = TRUE;
        else if (g_strcmp0(name, ".gnu_debugdata") == 0)
            file->has_mini_debug = TRUE;
    }

    const void *id = NULL;
    const ssize_t id_bytes = dwelf_elf_gnu_build_id(file->elf, &id);
    if (id_bytes > 0)
        file->build_id = pm_hex_from_bytes(id, (gsize)id_bytes);
    GElf_Word crc = 0;
    file->debug_link = g_strdup(dwelf_elf_gnu_debuglink(file->elf, &crc));
}

static gboolean
finish(PmElfFile *file, const PmTarget *target, guint64 page_bytes)
{
    if (file->elf == NULL || elf_kind(file->elf) != ELF_K_ELF ||
        !pm_elf_head_parse(target, file->bytes, file->size_bytes, page_bytes, &file->head))
        return FALSE;
    read_sections(file);
    return TRUE;
}

/* Maps the file and hands it to libelf. */
static PmElfFile *
map_file(const char *path, GError **error)
{
    gsize size_bytes = 0;
    g_auto(Fd) fd = open_regular(path, &size_bytes, error);
    if (fd < 0)
        return NULL;

    void *bytes = mmap(NULL, size_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        g_set_error(error, PM_ERROR, PM_ERROR_NOT_FOUND, "%s: cannot be mapped: %s", path,
                    g_strerror(errno));
        return NULL;
    }
    PmElfFile *file = g_new0(PmElfFile, 1);
    file->path = g_strdup(path);
    file->bytes = bytes;
    file->size_bytes = size_bytes;

    /* ELF_C_READ_MMAP maps read-only and copies the headers that libelf edits when it decompresses
     * a section; elf_memory() on our mapping would write to it. */
    elf_version(EV_CURRENT);
    file->elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    if (file->elf != NULL)
        elf_cntl(file->elf, ELF_C_FDDONE);
    return file;
}

PmElfFile *
pm_elf_file_open(const char *path, const PmTarget *target, guint64 page_bytes, GError **error)
{
    g_autoptr(PmElfFile) file = map_file(path, error);
    if (file == NULL)
        return NULL;
    if (!finish(file, target, page_bytes)) {
        g_set_error(error, PM_ERROR, PM_ERROR_NOT_FOUND, "%s: not an ELF program or library for %s",
                    path, target->name);
        return NULL;
    }
    return g_steal_pointer(&file);
}

PmElfFile *
pm_elf_file_open_shared(const char *path, GError **error)
{
    g_autoptr(PmElfFile) file = map_file(path, error);
    if (file == NULL)
        return NULL;
    if (file->elf != NULL && elf_kind(file->elf) == ELF_K_ELF)
        read_sections(file);
    if (!file->has_dwarf) {
        g_set_error(error, PM_ERROR, PM_ERROR_NOT_FOUND, "%s: not an ELF file with DWARF", path);
        return NULL;
    }
    return g_steal_pointer(&file);
}

PmElfFile *
pm_elf_file_new_from_memory(guint8 *bytes, gsize size_bytes, const PmTarget *target,
                            guint64 page_bytes)
{
    g_autoptr(PmElfFile) file = g_new0(PmElfFile, 1);
    file->is_memory = TRUE;
    file->bytes = bytes;
    file->size_bytes = size_bytes;
    elf_version(EV_CURRENT);
    file->elf = elf_memory((char *)bytes, size_bytes);
    return finish(file, target, page_bytes) ? g_steal_pointer(&file) : NULL;
}

void
pm_elf_file_free(PmElfFile *file)
{
    if (file == NULL)
        return;
    if (file->elf != NULL)
        elf_end(file->elf);
    if (file->is_memory)
        g_free((gpointer)file->bytes);
    else if (file->bytes != NULL)
        munmap((gpointer)file->bytes, file->size_bytes);
    pm_elf_head_clear(&file->head);
    g_free(file->build_id);
    g_free(file->debug_link);
    g_free(file->path);
    g_free(file);
}
