#include "dwarf/sections.h"

#include <dwarf.h>
#include <gelf.h>

/* Codes beyond these go into a hash table. */
#define DENSE_CODES_MAX 65536
/* No table is in the file twice; overlapping ones are read at most as often as this. */
#define ABBREV_READS_MAX 4

struct PmSections {
    Dwarf *dwarf;
    PmBytes bytes[PM_SECTION_KINDS];
    GHashTable *abbrevs; /* guint64 * offset → PmAbbrevs *, NULL for a damaged one */
    guint64 abbrev_bytes_read;
};

static void
abbrevs_free(gpointer data)
{
    PmAbbrevs *abbrevs = data;
    if (abbrevs == NULL)
        return;
    g_array_unref(abbrevs->by_code);
    g_array_unref(abbrevs->attributes);
    if (abbrevs->others != NULL)
        g_hash_table_unref(abbrevs->others);
    g_free(abbrevs);
}

/* ".debug_info", ".zdebug_info" and ".debug_info.dwo" are all "info"; a file has one of them. */
static gboolean
find_kind(const char *name, PmSectionKind *ret_kind)
{
    static const char *const names[PM_SECTION_KINDS] = {
        [PM_SECTION_INFO] = "info",         [PM_SECTION_TYPES] = "types",
        [PM_SECTION_ABBREV] = "abbrev",     [PM_SECTION_STR] = "str",
        [PM_SECTION_LINE_STR] = "line_str", [PM_SECTION_LINE] = "line",
    };
    if (g_str_has_prefix(name, ".debug_"))
        name += strlen(".debug_");
    else if (g_str_has_prefix(name, ".zdebug_"))
        name += strlen(".zdebug_");
    else
        return FALSE;
    const gsize length = strlen(name) - (g_str_has_suffix(name, ".dwo") ? strlen(".dwo") : 0);
    for (guint kind = 0; kind < PM_SECTION_KINDS; kind++)
        if (strlen(names[kind]) == length && strncmp(names[kind], name, length) == 0) {
            *ret_kind = (PmSectionKind)kind;
            return TRUE;
        }
    return FALSE;
}

PmSections *
pm_sections_new(Dwarf *dwarf)
{
    PmSections *sections = g_new0(PmSections, 1);
    sections->dwarf = dwarf;
    sections->abbrevs = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, abbrevs_free);

    Elf *elf = dwarf_getelf(dwarf);
    Elf_Scn *section = NULL;
    size_t names = 0;
    if (elf == NULL || elf_getshdrstrndx(elf, &names) != 0)
        return sections;
    while ((section = elf_nextscn(elf, section)) != NULL) {
        GElf_Shdr header;
        PmSectionKind kind = PM_SECTION_INFO;
        if (gelf_getshdr(section, &header) == NULL || header.sh_type == SHT_NOBITS)
            continue;
        const char *name = elf_strptr(elf, names, header.sh_name);
        if (name == NULL || !find_kind(name, &kind) || sections->bytes[kind].at != NULL)
            continue;
        /* libdw has decompressed it already. */
        const Elf_Data *data = elf_getdata(section, NULL);
        if (data == NULL || data->d_buf == NULL)
            continue;
        sections->bytes[kind].at = data->d_buf;
        sections->bytes[kind].end = sections->bytes[kind].at + data->d_size;
    }
    return sections;
}

void
pm_sections_free(PmSections *sections)
{
    if (sections == NULL)
        return;
    g_hash_table_unref(sections->abbrevs);
    g_free(sections);
}

Dwarf *
pm_sections_get_dwarf(const PmSections *sections)
{
    return sections->dwarf;
}

PmBytes
pm_sections_get(const PmSections *sections, PmSectionKind kind)
{
    return sections->bytes[kind];
}

static PmSlot
find_slot(guint64 attribute)
{
    switch (attribute) {
    case DW_AT_name:
        return PM_SLOT_NAME;
    case DW_AT_byte_size:
        return PM_SLOT_BYTE_SIZE;
    case DW_AT_declaration:
        return PM_SLOT_DECLARATION;
    case DW_AT_decl_file:
        return PM_SLOT_DECL_FILE;
    case DW_AT_decl_line:
        return PM_SLOT_DECL_LINE;
    case DW_AT_type:
        return PM_SLOT_TYPE;
    case DW_AT_specification:
        return PM_SLOT_SPECIFICATION;
    case DW_AT_abstract_origin:
        return PM_SLOT_ORIGIN;
    case DW_AT_location:
        return PM_SLOT_LOCATION;
    case DW_AT_import:
        return PM_SLOT_IMPORT;
    case DW_AT_sibling:
        return PM_SLOT_SIBLING;
    case DW_AT_stmt_list:
        return PM_SLOT_STMT_LIST;
    default:
        return PM_SLOT_NONE;
    }
}

static void
add_abbrev(PmAbbrevs *abbrevs, guint64 code, const PmAbbrev *abbrev)
{
    if (code == abbrevs->by_code->len && code < DENSE_CODES_MAX) {
        g_array_append_val(abbrevs->by_code, *abbrev);
    } else if (code < abbrevs->by_code->len) {
        g_array_index(abbrevs->by_code, PmAbbrev, code) = *abbrev;
    } else {
        if (abbrevs->others == NULL)
            abbrevs->others = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
        g_hash_table_replace(abbrevs->others, g_memdup2(&code, sizeof code),
                             g_memdup2(abbrev, sizeof *abbrev));
    }
}

/* One abbreviation behind its code. Forms and tags beyond 16 bits are damage. */
static gboolean
read_abbrev(PmBytes *bytes, PmAbbrevs *abbrevs, PmAbbrev *ret_abbrev)
{
    const guint64 tag = pm_bytes_uleb(bytes);
    ret_abbrev->has_children = pm_bytes_fixed(bytes, 1) == DW_CHILDREN_yes;
    ret_abbrev->tag = (guint16)tag;
    ret_abbrev->first_attribute = abbrevs->attributes->len;
    while (!bytes->failed) {
        const guint64 name = pm_bytes_uleb(bytes);
        const guint64 form = pm_bytes_uleb(bytes);
        if (name == 0 && form == 0)
            break;
        const PmAbbrevAttribute attribute = {
            .form = (guint16)form,
            .slot = (guint8)find_slot(name),
            .implicit = form == DW_FORM_implicit_const ? pm_bytes_sleb(bytes) : 0,
        };
        if (form == 0 || form > G_MAXUINT16)
            return FALSE;
        g_array_append_val(abbrevs->attributes, attribute);
    }
    ret_abbrev->attribute_count = abbrevs->attributes->len - ret_abbrev->first_attribute;
    return !bytes->failed && tag != 0 && tag <= G_MAXUINT16;
}

/* Of a damaged table what stands before the damage. */
static PmAbbrevs *
read_abbrevs(PmSections *sections, guint64 offset)
{
    const PmBytes all = sections->bytes[PM_SECTION_ABBREV];
    const guint64 limit = pm_bytes_left(&all) * ABBREV_READS_MAX;
    PmBytes bytes = all;
    PmAbbrevs *abbrevs = NULL;
    const PmAbbrev none = {0};
    if (offset >= pm_bytes_left(&all) || sections->abbrev_bytes_read >= limit)
        return NULL;

    bytes.at += offset;
    abbrevs = g_new0(PmAbbrevs, 1);
    abbrevs->by_code = g_array_new(FALSE, FALSE, sizeof(PmAbbrev));
    abbrevs->attributes = g_array_new(FALSE, FALSE, sizeof(PmAbbrevAttribute));
    g_array_append_val(abbrevs->by_code, none);
    while (TRUE) {
        PmAbbrev abbrev;
        const guint64 code = pm_bytes_uleb(&bytes);
        if (code == 0)
            break;
        if (!read_abbrev(&bytes, abbrevs, &abbrev))
            break;
        add_abbrev(abbrevs, code, &abbrev);
    }
    sections->abbrev_bytes_read += (guint64)(bytes.at - all.at) - offset;
    return abbrevs;
}

const PmAbbrevs *
pm_sections_get_abbrevs(PmSections *sections, guint64 offset)
{
    gpointer found = NULL;
    if (g_hash_table_lookup_extended(sections->abbrevs, &offset, NULL, &found))
        return found;
    PmAbbrevs *abbrevs = read_abbrevs(sections, offset);
    g_hash_table_insert(sections->abbrevs, g_memdup2(&offset, sizeof offset), abbrevs);
    return abbrevs;
}
