/*
 * Builds ELF core files for tests: segments, notes and headers, laid out as a kernel or gcore lays
 * them out, or as wrong as a test wants them. Every failure of the host (no space, no permission)
 * ends the program.
 */
#pragma once

#include <elf.h>
#include <glib.h>

typedef struct CoreBuilder CoreBuilder;

/*
 * One PT_LOAD.
 *
 * @mapped_bytes: p_memsz. @dumped_bytes: p_filesz. @flags: PF_R | PF_W | PF_X.
 * @bytes: @bytes_count bytes of content at start + @bytes_at; the rest of @dumped_bytes is a hole
 * of the file. Borrowed until the builder is freed; may be NULL.
 */
typedef struct {
    guint64 start;
    guint64 mapped_bytes;
    guint64 dumped_bytes;
    guint32 flags;
    const void *bytes;
    gsize bytes_count;
    guint64 bytes_at;
} CoreSegment;

/* What NT_PRSTATUS says of a thread; the other registers are 0. @tp: x86-64 fs_base; i386 gets a gs
 * and NT_386_TLS behind the note; aarch64 has no such register, so it is left out there. */
typedef struct {
    guint32 tid;
    guint16 signal;
    guint64 pc;
    guint64 sp;
    guint64 tp;
} CoreThread;

/* One entry of NT_FILE; @offset_pages is in units of the note's page size, 4096. */
typedef struct {
    guint64 start;
    guint64 end;
    guint64 offset_pages;
    const char *path;
} CoreFileMapping;

/*
 * @machine: EM_X86_64, EM_AARCH64 … give ELFCLASS64; EM_386, EM_ARM, EM_PPC give ELFCLASS32.
 * Little-endian, ET_CORE, in the kernel's layout: headers, notes, then the segments at multiples of
 * 4096.
 */
CoreBuilder *core_builder_new(guint16 machine);
void core_builder_free(CoreBuilder *builder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CoreBuilder, core_builder_free)

/* gcore's layout: segments right after the headers at offsets that are multiples of nothing
 * (p_align 1), notes last. */
void core_builder_set_gcore_layout(CoreBuilder *builder);

/* Says the number of segments in section header 0, at the end of the file, even where e_phnum could
 * hold it. */
void core_builder_set_extended_numbering(CoreBuilder *builder);

/* @data: ELFDATA2MSB writes every number big-endian. @type: ET_EXEC … in place of ET_CORE. */
void core_builder_set_ident(CoreBuilder *builder, guint8 data, guint16 type);

/* Returns: the segment's index, in order of adding. */
gsize core_builder_add_segment(CoreBuilder *builder, const CoreSegment *segment);

/* @name: with its NUL in the file. @desc is copied. */
void core_builder_add_note(CoreBuilder *builder, const char *name, guint32 type, const void *desc,
                           gsize desc_bytes);
void core_builder_add_prstatus(CoreBuilder *builder, const CoreThread *thread);
void core_builder_add_prpsinfo(CoreBuilder *builder, guint32 pid, const char *name,
                               const char *arguments);
void core_builder_add_siginfo(CoreBuilder *builder, gint32 signal, gint32 code, guint64 address);
/* @pairs: type and value, @count of them, AT_NULL included if it is wanted. */
void core_builder_add_auxv(CoreBuilder *builder, const guint64 (*pairs)[2], gsize count);
void core_builder_add_file_mappings(CoreBuilder *builder, const CoreFileMapping *mappings,
                                    gsize count);

/* Writes the core to @path, sparse where it has holes. */
void core_builder_write(CoreBuilder *builder, const char *path);

/* A file that is removed when the variable goes out of scope: its path. */
typedef char CoreFile;
void core_file_remove(CoreFile *path);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CoreFile, core_file_remove)

/* Writes the core to a new temporary file. */
CoreFile *core_builder_write_temp(CoreBuilder *builder);

/* A temporary file of @count bytes of any content. */
CoreFile *core_file_new(const void *bytes, gsize count);

/* After writing: where things are in the file. */
guint64 core_builder_get_segment_offset(const CoreBuilder *builder, gsize index);
guint64 core_builder_get_notes_offset(const CoreBuilder *builder);
guint64 core_builder_get_notes_bytes(const CoreBuilder *builder);
guint64 core_builder_get_file_bytes(const CoreBuilder *builder);

/* Where the program header @index is; 0 is PT_NOTE, 1 the first segment. */
guint64 core_builder_get_phdr_offset(const CoreBuilder *builder, gsize index);

/* Overwrites, cuts off, or reads the length of a file. */
void core_file_patch(const char *path, guint64 offset, const void *bytes, gsize count);
void core_file_truncate(const char *path, guint64 bytes);
