/*
 * ELF headers and program headers (ELF gABI), read byte by byte, so that neither the host's word
 * size nor alignment matters.
 */
#include "process/elfhead.h"

#include <string.h>

/* Real build-ids have 8 to 32 bytes. */
#define BUILD_ID_BYTES_MAX 64

/* A PT_NOTE holds a build-id, properties and an ABI tag: some hundred bytes. */
#define NOTES_BYTES_MAX 65536

#define EHDR_BYTES_MAX sizeof(Elf64_Ehdr)

/* What the ELF header says of the program headers. */
typedef struct {
    guint16 type;
    guint64 offset;
    guint count;
    guint entry_bytes;
} Table;

static guint16
load_u16(const guint8 *bytes)
{
    return (guint16)(bytes[0] | bytes[1] << 8);
}

static guint16
get_machine(const PmTarget *target)
{
    switch (target->arch) {
    case PM_ARCH_X86_64:
        return EM_X86_64;
    case PM_ARCH_I386:
        return EM_386;
    case PM_ARCH_AARCH64:
        return EM_AARCH64;
    }
    return EM_NONE;
}

static gsize
get_ehdr_bytes(const PmTarget *target)
{
    return target->word_bytes == 8 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
}

/* @bytes: get_ehdr_bytes() of them. */
static gboolean
parse_ehdr(const PmTarget *target, const guint8 *bytes, Table *ret_table)
{
    const gboolean wide = target->word_bytes == 8;
    if (memcmp(bytes, ELFMAG, SELFMAG) != 0 ||
        bytes[EI_CLASS] != (wide ? ELFCLASS64 : ELFCLASS32) || bytes[EI_DATA] != ELFDATA2LSB ||
        load_u16(bytes + offsetof(Elf64_Ehdr, e_machine)) != get_machine(target))
        return FALSE;

    const Table table = {
        .type = load_u16(bytes + offsetof(Elf64_Ehdr, e_type)),
        .offset = wide ? pm_load_u64(bytes + offsetof(Elf64_Ehdr, e_phoff))
                       : pm_load_u32(bytes + offsetof(Elf32_Ehdr, e_phoff)),
        .count = load_u16(bytes +
                          (wide ? offsetof(Elf64_Ehdr, e_phnum) : offsetof(Elf32_Ehdr, e_phnum))),
        .entry_bytes = load_u16(
            bytes + (wide ? offsetof(Elf64_Ehdr, e_phentsize) : offsetof(Elf32_Ehdr, e_phentsize))),
    };
    if ((table.type != ET_EXEC && table.type != ET_DYN) || table.count == 0 ||
        table.count > PM_ELF_PHDRS_MAX ||
        table.entry_bytes != (wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
        return FALSE;
    *ret_table = table;
    return TRUE;
}

static Elf64_Phdr
parse_phdr(const guint8 *bytes, gboolean wide)
{
#define FIELD64(name) pm_load_u64(bytes + offsetof(Elf64_Phdr, name))
#define FIELD32(name) pm_load_u32(bytes + offsetof(Elf32_Phdr, name))
    if (!wide)
        return (Elf64_Phdr){
            .p_type = FIELD32(p_type),
            .p_flags = FIELD32(p_flags),
            .p_offset = FIELD32(p_offset),
            .p_vaddr = FIELD32(p_vaddr),
            .p_filesz = FIELD32(p_filesz),
            .p_memsz = FIELD32(p_memsz),
            .p_align = FIELD32(p_align),
        };
    return (Elf64_Phdr){
        .p_type = pm_load_u32(bytes + offsetof(Elf64_Phdr, p_type)),
        .p_flags = pm_load_u32(bytes + offsetof(Elf64_Phdr, p_flags)),
        .p_offset = FIELD64(p_offset),
        .p_vaddr = FIELD64(p_vaddr),
        .p_filesz = FIELD64(p_filesz),
        .p_memsz = FIELD64(p_memsz),
        .p_align = FIELD64(p_align),
    };
#undef FIELD64
#undef FIELD32
}

/* @bytes: the whole table. */
static PmElfHead
make_head(const PmTarget *target, const Table *table, const guint8 *bytes, guint64 page_bytes)
{
    PmElfHead head = {
        .type = table->type,
        .count = table->count,
        .phdrs = g_new(Elf64_Phdr, table->count),
        .page_bytes = page_bytes,
    };
    for (guint i = 0; i < table->count; i++)
        head.phdrs[i] = parse_phdr(bytes + (gsize)i * table->entry_bytes, target->word_bytes == 8);
    return head;
}

gboolean
pm_elf_head_parse(const PmTarget *target, const guint8 *bytes, gsize count, guint64 page_bytes,
                  PmElfHead *ret_head)
{
    Table table;
    if (count < get_ehdr_bytes(target) || !parse_ehdr(target, bytes, &table))
        return FALSE;
    const gsize table_bytes = (gsize)table.count * table.entry_bytes;
    if (table.offset > count || table_bytes > count - table.offset)
        return FALSE;
    *ret_head = make_head(target, &table, bytes + table.offset, page_bytes);
    return TRUE;
}

gboolean
pm_elf_head_read(const PmSpace *space, PmAddr base, guint64 page_bytes, PmElfHead *ret_head)
{
    const PmTarget *target = pm_space_get_target(space);
    guint8 ehdr[EHDR_BYTES_MAX];
    Table table;
    PmAddr address = 0;
    if (!pm_space_read(space, base, ehdr, get_ehdr_bytes(target)) ||
        !parse_ehdr(target, ehdr, &table) || !pm_addr_add(base, table.offset, &address))
        return FALSE;

    const gsize table_bytes = (gsize)table.count * table.entry_bytes;
    g_autofree guint8 *bytes = g_malloc(table_bytes);
    if (!pm_space_read(space, address, bytes, table_bytes))
        return FALSE;
    *ret_head = make_head(target, &table, bytes, page_bytes);
    return TRUE;
}

void
pm_elf_head_clear(PmElfHead *head)
{
    g_free(head->phdrs);
    *head = (PmElfHead){0};
}

const Elf64_Phdr *
pm_elf_head_find(const PmElfHead *head, guint32 type)
{
    for (guint i = 0; i < head->count; i++)
        if (head->phdrs[i].p_type == type)
            return &head->phdrs[i];
    return NULL;
}

gboolean
pm_elf_head_equals(const PmElfHead *a, const PmElfHead *b)
{
    if (a->type != b->type || a->count != b->count)
        return FALSE;
    for (guint i = 0; i < a->count; i++) {
        const Elf64_Phdr *left = &a->phdrs[i];
        const Elf64_Phdr *right = &b->phdrs[i];
        if (left->p_type != right->p_type || left->p_offset != right->p_offset ||
            left->p_vaddr != right->p_vaddr || left->p_filesz != right->p_filesz ||
            left->p_memsz != right->p_memsz)
            return FALSE;
    }
    return TRUE;
}

guint64
pm_elf_head_get_bias(const PmElfHead *head, PmAddr base)
{
    for (guint i = 0; i < head->count; i++) {
        const Elf64_Phdr *phdr = &head->phdrs[i];
        if (phdr->p_type == PT_LOAD && phdr->p_offset < head->page_bytes)
            return base - (phdr->p_vaddr - phdr->p_offset);
    }
    return base;
}

gboolean
pm_elf_head_get_pages(const PmElfHead *head, const Elf64_Phdr *phdr, guint64 bias,
                      PmRange *ret_pages)
{
    const PmAddr start = bias + phdr->p_vaddr;
    PmAddr end = 0;
    if (phdr->p_memsz == 0 || !pm_addr_add(start, phdr->p_memsz, &end) ||
        !pm_addr_add(end, head->page_bytes - 1, &end))
        return FALSE;
    ret_pages->start = pm_align_down(start, head->page_bytes);
    ret_pages->end = pm_align_down(end, head->page_bytes);
    return TRUE;
}

gboolean
pm_elf_head_get_extent(const PmElfHead *head, guint64 bias, PmRange *ret_extent)
{
    PmRange extent = {PM_ADDR_NONE, 0};
    for (guint i = 0; i < head->count; i++) {
        PmRange pages;
        if (head->phdrs[i].p_type != PT_LOAD ||
            !pm_elf_head_get_pages(head, &head->phdrs[i], bias, &pages))
            continue;
        extent.start = MIN(extent.start, pages.start);
        extent.end = MAX(extent.end, pages.end);
    }
    if (extent.start >= extent.end)
        return FALSE;
    *ret_extent = extent;
    return TRUE;
}

char *
pm_hex_from_bytes(const guint8 *bytes, gsize count)
{
    GString *hex = g_string_sized_new(2 * count);
    for (gsize i = 0; i < count; i++)
        g_string_append_printf(hex, "%02x", bytes[i]);
    return g_string_free(hex, FALSE);
}

/* Notes of PT_NOTEs are aligned to 4 bytes, or to 8 where p_align says so (.note.gnu.property). */
static char *
find_build_id(const guint8 *bytes, gsize count, guint64 alignment)
{
    gsize offset = 0;
    while (offset < count && count - offset >= sizeof(Elf64_Nhdr)) {
        const guint64 name_bytes = pm_load_u32(bytes + offset);
        const guint64 desc_bytes = pm_load_u32(bytes + offset + 4);
        const guint32 type = pm_load_u32(bytes + offset + 8);
        const guint64 name = offset + sizeof(Elf64_Nhdr);
        const guint64 desc = pm_align_up(name + name_bytes, alignment);
        if (desc > count || desc_bytes > count - desc)
            return NULL;
        if (type == NT_GNU_BUILD_ID && name_bytes == sizeof ELF_NOTE_GNU &&
            memcmp(bytes + name, ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) == 0 && desc_bytes > 0 &&
            desc_bytes <= BUILD_ID_BYTES_MAX)
            return pm_hex_from_bytes(bytes + desc, (gsize)desc_bytes);
        offset = (gsize)pm_align_up(desc + desc_bytes, alignment);
    }
    return NULL;
}

char *
pm_elf_head_read_build_id(const PmElfHead *head, const PmSpace *space, guint64 bias,
                          gboolean *ret_known)
{
    gboolean known = head->count > 0;
    for (guint i = 0; i < head->count; i++) {
        const Elf64_Phdr *phdr = &head->phdrs[i];
        if (phdr->p_type != PT_NOTE || phdr->p_filesz > NOTES_BYTES_MAX)
            continue;
        g_autofree guint8 *bytes = g_malloc((gsize)phdr->p_filesz + 1);
        if (!pm_space_read(space, bias + phdr->p_vaddr, bytes, (gsize)phdr->p_filesz)) {
            known = FALSE;
            continue;
        }
        char *build_id = find_build_id(bytes, (gsize)phdr->p_filesz, phdr->p_align == 8 ? 8 : 4);
        if (build_id != NULL) {
            *ret_known = TRUE;
            return build_id;
        }
    }
    *ret_known = known;
    return NULL;
}
