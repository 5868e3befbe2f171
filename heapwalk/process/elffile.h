/*
 * An ELF file of this machine, opened read-only: its bytes, its build-id and what sections it has.
 * Whether it is the right file is for its caller to say.
 */
#pragma once

#include "process/elfhead.h"

#include <gelf.h>

/*
 * @elf: of a file: libelf's handle, which needs no file descriptor. @bytes: the same file, mapped
 *   read-only (a writable private mapping would count as data); of a memory image the image itself.
 * @build_id: lower-case hex, or NULL. @debug_link: the name in .gnu_debuglink, or NULL.
 * @has_symtab, @has_dwarf: in this file itself, .debug_info without regard to compression.
 * @has_mini_debug: has .gnu_debugdata, an embedded symbol table.
 */
typedef struct {
    char *path;
    Elf *elf;
    const guint8 *bytes;
    gsize size_bytes;
    gboolean is_memory;
    PmElfHead head;
    char *build_id;
    char *debug_link;
    gboolean has_symtab;
    gboolean has_dynsym;
    gboolean has_dwarf;
    gboolean has_mini_debug;
} PmElfFile;

/*
 * Opens @path.
 *
 * Returns: (transfer full): NULL with PM_ERROR_NOT_FOUND where there is no regular file that can be
 * read, or it is no ELF object of @target.
 */
PmElfFile *pm_elf_file_open(const char *path, const PmTarget *target, guint64 page_bytes,
                            GError **error);

/*
 * The same for a file of debug information that other files share (.gnu_debugaltlink): it has no
 * program headers and is of no target, and @head is empty.
 *
 * Returns: (transfer full): NULL with PM_ERROR_NOT_FOUND where it is no ELF file with DWARF.
 */
PmElfFile *pm_elf_file_open_shared(const char *path, GError **error);

/*
 * The same for @bytes, a copy of an object in memory such as the vdso. It has no path.
 *
 * @bytes: (transfer full): from g_malloc().
 * Returns: (transfer full): NULL where it is no ELF object of @target.
 */
PmElfFile *pm_elf_file_new_from_memory(guint8 *bytes, gsize size_bytes, const PmTarget *target,
                                       guint64 page_bytes);

void pm_elf_file_free(PmElfFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmElfFile, pm_elf_file_free)
