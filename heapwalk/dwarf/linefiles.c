#include "dwarf/linefiles.h"

#include <dwarf.h>

/* A path and where it lies are two; compilers add a checksum, a size, a time. */
#define FORMATS_MAX 16

typedef struct {
    const PmSections *sections;
    PmBytes bytes;
    guint offset_bytes;
} Header;

typedef struct {
    guint64 content;
    guint64 form;
} Format;

static const char *
get_base_name(const char *path)
{
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    return slash != NULL ? slash + 1 : (path != NULL ? path : "");
}

static const char *
read_indirect(Header *header, PmSectionKind kind)
{
    PmBytes strings = pm_sections_get(header->sections, kind);
    pm_bytes_skip(&strings, pm_bytes_fixed(&header->bytes, header->offset_bytes));
    return pm_bytes_string(&strings);
}

/* Returns: the string, or NULL where @form is none; every known form takes at least one byte. */
static const char *
read_form(Header *header, guint64 form)
{
    PmBytes *bytes = &header->bytes;
    switch (form) {
    case DW_FORM_string:
        return pm_bytes_string(bytes);
    case DW_FORM_line_strp:
        return read_indirect(header, PM_SECTION_LINE_STR);
    case DW_FORM_strp:
        return read_indirect(header, PM_SECTION_STR);
    case DW_FORM_udata:
        pm_bytes_uleb(bytes);
        break;
    case DW_FORM_data1:
        pm_bytes_skip(bytes, 1);
        break;
    case DW_FORM_data2:
        pm_bytes_skip(bytes, 2);
        break;
    case DW_FORM_data4:
        pm_bytes_skip(bytes, 4);
        break;
    case DW_FORM_data8:
        pm_bytes_skip(bytes, 8);
        break;
    case DW_FORM_data16:
        pm_bytes_skip(bytes, 16);
        break;
    case DW_FORM_block:
        pm_bytes_skip(bytes, pm_bytes_uleb(bytes));
        break;
    default:
        bytes->failed = TRUE;
        break;
    }
    return NULL;
}

/* One of DWARF 5's tables, of directories or of files. @files: NULL for the former. */
static void
read_table(Header *header, GPtrArray *files)
{
    Format formats[FORMATS_MAX];
    PmBytes *bytes = &header->bytes;
    const guint64 format_count = pm_bytes_fixed(bytes, 1);
    if (format_count > FORMATS_MAX) {
        bytes->failed = TRUE;
        return;
    }
    for (guint i = 0; i < format_count; i++) {
        formats[i].content = pm_bytes_uleb(bytes);
        formats[i].form = pm_bytes_uleb(bytes);
    }
    const guint64 count = pm_bytes_uleb(bytes);
    for (guint64 i = 0; i < count && format_count > 0 && !bytes->failed; i++) {
        const char *path = NULL;
        for (guint j = 0; j < format_count; j++) {
            const char *text = read_form(header, formats[j].form);
            if (formats[j].content == DW_LNCT_path)
                path = text;
        }
        if (files != NULL)
            g_ptr_array_add(files, (gpointer)get_base_name(path));
    }
}

static void
read_old_tables(Header *header, GPtrArray *files)
{
    PmBytes *bytes = &header->bytes;
    const char *text = pm_bytes_string(bytes);
    while (text != NULL && text[0] != '\0')
        text = pm_bytes_string(bytes);
    g_ptr_array_add(files, (gpointer) ""); /* files are counted from 1 */
    text = pm_bytes_string(bytes);
    while (text != NULL && text[0] != '\0') {
        g_ptr_array_add(files, (gpointer)get_base_name(text));
        for (guint i = 0; i < 3; i++)
            pm_bytes_uleb(bytes);
        text = pm_bytes_string(bytes);
    }
}

GPtrArray *
pm_line_files_read(const PmSections *sections, guint64 offset)
{
    GPtrArray *files = g_ptr_array_new();
    Header header = {.sections = sections, .offset_bytes = 4};
    PmBytes *bytes = &header.bytes;
    *bytes = pm_sections_get(sections, PM_SECTION_LINE);
    pm_bytes_skip(bytes, offset);
    guint64 length = pm_bytes_fixed(bytes, 4);
    if (length == 0xffffffff) {
        header.offset_bytes = 8;
        length = pm_bytes_fixed(bytes, 8);
    }
    if (bytes->failed || length > pm_bytes_left(bytes))
        return files;
    bytes->end = bytes->at + length;

    const guint64 version = pm_bytes_fixed(bytes, 2);
    if (version < 2 || version > 5)
        return files;
    /* The sizes of addresses and segments; of the header; what the line program's codes mean. */
    pm_bytes_skip(bytes, version >= 5 ? 2 : 0);
    pm_bytes_skip(bytes, header.offset_bytes);
    pm_bytes_skip(bytes, version >= 4 ? 5 : 4);
    const guint64 opcode_base = pm_bytes_fixed(bytes, 1);
    pm_bytes_skip(bytes, opcode_base > 0 ? opcode_base - 1 : 0);
    if (version >= 5) {
        read_table(&header, NULL);
        read_table(&header, files);
    } else {
        read_old_tables(&header, files);
    }
    return files;
}
