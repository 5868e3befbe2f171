/*
 * The bytes of an ELF core: headers, program headers and the layout of the file. What stands in the
 * notes is in core-notes.c.
 */
#include "core-builder.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "core-bytes.h"

struct CoreBuilder {
    guint16 machine;
    gboolean is_64;
    gboolean is_big_endian;
    guint16 type;
    gboolean gcore_layout;
    gboolean extended_numbering;
    GArray *segments; /* CoreSegment */
    GArray *offsets;  /* guint64, by segment; filled by writing */
    GByteArray *notes;
    guint64 notes_offset;
    guint64 file_bytes;
};

CoreBuilder *
core_builder_new(guint16 machine)
{
    CoreBuilder *builder = g_new0(CoreBuilder, 1);
    builder->machine = machine;
    builder->is_64 = machine != EM_386 && machine != EM_ARM && machine != EM_PPC;
    builder->type = ET_CORE;
    builder->segments = g_array_new(FALSE, FALSE, sizeof(CoreSegment));
    builder->offsets = g_array_new(FALSE, FALSE, sizeof(guint64));
    builder->notes = g_byte_array_new();
    return builder;
}

void
core_builder_free(CoreBuilder *builder)
{
    g_array_unref(builder->segments);
    g_array_unref(builder->offsets);
    g_byte_array_unref(builder->notes);
    g_free(builder);
}

void
core_builder_set_gcore_layout(CoreBuilder *builder)
{
    builder->gcore_layout = TRUE;
}

void
core_builder_set_extended_numbering(CoreBuilder *builder)
{
    builder->extended_numbering = TRUE;
}

void
core_builder_set_ident(CoreBuilder *builder, guint8 data, guint16 type)
{
    builder->is_big_endian = data == ELFDATA2MSB;
    builder->type = type;
}

gsize
core_builder_add_segment(CoreBuilder *builder, const CoreSegment *segment)
{
    g_assert_cmpuint(segment->bytes_at + segment->bytes_count, <=, segment->dumped_bytes);
    g_array_append_vals(builder->segments, segment, 1);
    return builder->segments->len - 1;
}

CoreBytes
core_builder_get_bytes(const CoreBuilder *builder, GByteArray *array)
{
    return (CoreBytes){
        .array = array,
        .word_bytes = builder->is_64 ? 8 : 4,
        .is_big_endian = builder->is_big_endian,
    };
}

GByteArray *
core_builder_get_notes(const CoreBuilder *builder)
{
    return builder->notes;
}

guint16
core_builder_get_machine(const CoreBuilder *builder)
{
    return builder->machine;
}

void
core_bytes_put(CoreBytes out, guint64 value, guint size_bytes)
{
    for (guint i = 0; i < size_bytes; i++) {
        guint place = out.is_big_endian ? size_bytes - 1 - i : i;
        guint8 byte = (guint8)(value >> (8 * place));
        g_byte_array_append(out.array, &byte, 1);
    }
}

void
core_bytes_put_word(CoreBytes out, guint64 value)
{
    core_bytes_put(out, value, out.word_bytes);
}

void
core_bytes_pad(CoreBytes out, guint size_bytes)
{
    while (out.array->len % size_bytes != 0)
        core_bytes_put(out, 0, 1);
}

static gsize
ehdr_bytes(const CoreBuilder *builder)
{
    return builder->is_64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
}

static gsize
phdr_bytes(const CoreBuilder *builder)
{
    return builder->is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
}

static gboolean
has_extended_numbering(const CoreBuilder *builder)
{
    return builder->extended_numbering || builder->segments->len + 1 >= PN_XNUM;
}

/* Gives every segment its offset and returns where the last one ends. */
static guint64
lay_out_segments(CoreBuilder *builder, guint64 offset)
{
    g_array_set_size(builder->offsets, 0);
    for (guint i = 0; i < builder->segments->len; i++) {
        if (!builder->gcore_layout)
            offset = (offset + 4095) & ~G_GUINT64_CONSTANT(4095);
        else
            offset |= 1;
        g_array_append_val(builder->offsets, offset);
        offset += g_array_index(builder->segments, CoreSegment, i).dumped_bytes;
    }
    return offset;
}

static void
put_ehdr(const CoreBuilder *builder, CoreBytes out, guint64 shoff)
{
    gboolean extended = has_extended_numbering(builder);
    const guint8 ident[EI_NIDENT] = {
        ELFMAG0,
        ELFMAG1,
        ELFMAG2,
        ELFMAG3,
        builder->is_64 ? ELFCLASS64 : ELFCLASS32,
        builder->is_big_endian ? ELFDATA2MSB : ELFDATA2LSB,
        EV_CURRENT,
    };
    g_byte_array_append(out.array, ident, sizeof ident);
    core_bytes_put(out, builder->type, 2);
    core_bytes_put(out, builder->machine, 2);
    core_bytes_put(out, EV_CURRENT, 4);
    core_bytes_put_word(out, 0);                    /* e_entry */
    core_bytes_put_word(out, ehdr_bytes(builder));  /* e_phoff */
    core_bytes_put_word(out, extended ? shoff : 0); /* e_shoff */
    core_bytes_put(out, 0, 4);                      /* e_flags */
    core_bytes_put(out, ehdr_bytes(builder), 2);    /* e_ehsize */
    core_bytes_put(out, phdr_bytes(builder), 2);    /* e_phentsize */
    core_bytes_put(out, extended ? PN_XNUM : builder->segments->len + 1, 2);
    core_bytes_put(out, extended ? (builder->is_64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)) : 0,
                   2);
    core_bytes_put(out, extended ? 1 : 0, 2); /* e_shnum */
    core_bytes_put(out, 0, 2);                /* e_shstrndx */
}

static void
put_phdr(const CoreBuilder *builder, CoreBytes out, guint32 type, guint64 offset,
         const CoreSegment *segment)
{
    guint64 align = builder->gcore_layout ? 1 : 4096;
    core_bytes_put(out, type, 4);
    if (builder->is_64)
        core_bytes_put(out, segment->flags, 4);
    core_bytes_put_word(out, offset);
    core_bytes_put_word(out, segment->start);
    core_bytes_put_word(out, 0); /* p_paddr */
    core_bytes_put_word(out, segment->dumped_bytes);
    core_bytes_put_word(out, segment->mapped_bytes);
    if (!builder->is_64)
        core_bytes_put(out, segment->flags, 4);
    core_bytes_put_word(out, type == PT_NOTE ? 4 : align);
}

/* Section header 0 of extended numbering: sh_size is e_shnum, sh_info is e_phnum. (ELF gABI) */
static void
put_shdr(const CoreBuilder *builder, CoreBytes out)
{
    core_bytes_put(out, 0, 4);   /* sh_name */
    core_bytes_put(out, 0, 4);   /* sh_type */
    core_bytes_put_word(out, 0); /* sh_flags */
    core_bytes_put_word(out, 0); /* sh_addr */
    core_bytes_put_word(out, 0); /* sh_offset */
    core_bytes_put_word(out, 1); /* sh_size */
    core_bytes_put(out, 0, 4);   /* sh_link */
    core_bytes_put(out, builder->segments->len + 1, 4);
    core_bytes_put_word(out, 0); /* sh_addralign */
    core_bytes_put_word(out, 0); /* sh_entsize */
}

static void
write_at(int fd, const void *bytes, gsize count, guint64 offset)
{
    const guint8 *next = bytes;
    while (count > 0) {
        gssize written = pwrite(fd, next, count, (off_t)offset);
        if (written <= 0)
            g_error("cannot write a test's core: %s", g_strerror(errno));
        next += written;
        offset += (guint64)written;
        count -= (gsize)written;
    }
}

void
core_builder_write(CoreBuilder *builder, const char *path)
{
    g_autoptr(GByteArray) headers = g_byte_array_new();
    CoreBytes out = core_builder_get_bytes(builder, headers);
    guint64 offset = core_builder_get_phdr_offset(builder, builder->segments->len + 1);
    builder->notes_offset = offset;
    if (!builder->gcore_layout)
        offset += builder->notes->len;
    offset = lay_out_segments(builder, offset);
    if (builder->gcore_layout) {
        builder->notes_offset = offset;
        offset += builder->notes->len;
    }

    put_ehdr(builder, out, offset);
    CoreSegment notes = {.dumped_bytes = builder->notes->len};
    put_phdr(builder, out, PT_NOTE, builder->notes_offset, &notes);
    for (guint i = 0; i < builder->segments->len; i++)
        put_phdr(builder, out, PT_LOAD, g_array_index(builder->offsets, guint64, i),
                 &g_array_index(builder->segments, CoreSegment, i));

    int fd = g_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        g_error("cannot create %s: %s", path, g_strerror(errno));
    write_at(fd, headers->data, headers->len, 0);
    write_at(fd, builder->notes->data, builder->notes->len, builder->notes_offset);
    for (guint i = 0; i < builder->segments->len; i++) {
        const CoreSegment *segment = &g_array_index(builder->segments, CoreSegment, i);
        write_at(fd, segment->bytes, segment->bytes_count,
                 g_array_index(builder->offsets, guint64, i) + segment->bytes_at);
    }
    if (has_extended_numbering(builder)) {
        g_byte_array_set_size(headers, 0);
        put_shdr(builder, out);
        write_at(fd, headers->data, headers->len, offset);
        offset += headers->len;
    }
    builder->file_bytes = offset;
    if (ftruncate(fd, (off_t)offset) != 0)
        g_error("cannot set the length of %s: %s", path, g_strerror(errno));
    close(fd);
}

CoreFile *
core_file_new(const void *bytes, gsize count)
{
    char *path = NULL;
    int fd = g_file_open_tmp("postmalloc-test-XXXXXX", &path, NULL);
    g_assert_cmpint(fd, >=, 0);
    write_at(fd, bytes, count, 0);
    close(fd);
    return path;
}

CoreFile *
core_builder_write_temp(CoreBuilder *builder)
{
    CoreFile *path = core_file_new(NULL, 0);
    core_builder_write(builder, path);
    return path;
}

void
core_file_remove(CoreFile *path)
{
    g_unlink(path);
    g_free(path);
}

guint64
core_builder_get_segment_offset(const CoreBuilder *builder, gsize index)
{
    g_assert_cmpuint(index, <, builder->offsets->len);
    return g_array_index(builder->offsets, guint64, index);
}

guint64
core_builder_get_notes_offset(const CoreBuilder *builder)
{
    return builder->notes_offset;
}

guint64
core_builder_get_notes_bytes(const CoreBuilder *builder)
{
    return builder->notes->len;
}

guint64
core_builder_get_file_bytes(const CoreBuilder *builder)
{
    return builder->file_bytes;
}

guint64
core_builder_get_phdr_offset(const CoreBuilder *builder, gsize index)
{
    return ehdr_bytes(builder) + index * phdr_bytes(builder);
}

void
core_file_patch(const char *path, guint64 offset, const void *bytes, gsize count)
{
    int fd = g_open(path, O_WRONLY | O_CLOEXEC, 0);
    g_assert_cmpint(fd, >=, 0);
    write_at(fd, bytes, count, offset);
    close(fd);
}

void
core_file_truncate(const char *path, guint64 bytes)
{
    if (truncate(path, (off_t)bytes) != 0)
        g_error("cannot cut %s: %s", path, g_strerror(errno));
}
