/*
 * The sections of one file's DWARF as bytes, and its decoded abbreviations: what walks over whole
 * sections read by themselves, because libdw has no call for it that is fast and always ends.
 * Single DIEs are libdw's business.
 */
#pragma once

#include "dwarf/bytes.h"

#include <elfutils/libdw.h>

typedef enum {
    PM_SECTION_INFO,
    PM_SECTION_TYPES,
    PM_SECTION_ABBREV,
    PM_SECTION_STR,
    PM_SECTION_LINE_STR,
    PM_SECTION_LINE,
} PmSectionKind;
#define PM_SECTION_KINDS 6

/* The attributes that a walk keeps; the others are libdw's. */
typedef enum {
    PM_SLOT_NAME,
    PM_SLOT_BYTE_SIZE,
    PM_SLOT_DECLARATION,
    PM_SLOT_DECL_FILE,
    PM_SLOT_DECL_LINE,
    PM_SLOT_TYPE,
    PM_SLOT_SPECIFICATION,
    PM_SLOT_ORIGIN,
    PM_SLOT_LOCATION,
    PM_SLOT_IMPORT,
    PM_SLOT_SIBLING,
    PM_SLOT_STMT_LIST,
} PmSlot;
#define PM_SLOTS 12
/* Of an attribute that is not kept. */
#define PM_SLOT_NONE PM_SLOTS

/* @implicit: the value, of DW_FORM_implicit_const. */
typedef struct {
    guint16 form;
    guint8 slot;
    gint64 implicit;
} PmAbbrevAttribute;

/* @tag: 0 where no abbreviation has this code. */
typedef struct {
    guint16 tag;
    gboolean has_children;
    guint32 first_attribute;
    guint32 attribute_count;
} PmAbbrev;

/*
 * One table of abbreviations.
 *
 * @by_code: PmAbbrev, by code where codes are dense, as all compilers number them. @others: code →
 * PmAbbrev *, or NULL. @attributes: PmAbbrevAttribute.
 */
typedef struct {
    GArray *by_code;
    GHashTable *others;
    GArray *attributes;
} PmAbbrevs;

typedef struct PmSections PmSections;

/* @dwarf: borrowed for the life of the sections. Never fails: sections that are missing are empty.
 */
PmSections *pm_sections_new(Dwarf *dwarf);
void pm_sections_free(PmSections *sections);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmSections, pm_sections_free)

Dwarf *pm_sections_get_dwarf(const PmSections *sections);

/* All of one section. */
PmBytes pm_sections_get(const PmSections *sections, PmSectionKind kind);

/*
 * The table at @offset of .debug_abbrev. Borrowed; the same offset gives the same table.
 *
 * Returns: NULL where it is damaged, or where tables overlap so much that decoding them all would
 *   not end in good time.
 */
const PmAbbrevs *pm_sections_get_abbrevs(PmSections *sections, guint64 offset);

/* The abbreviation with @code, or NULL. */
static inline const PmAbbrev *
pm_abbrevs_find(const PmAbbrevs *abbrevs, guint64 code)
{
    if (code < abbrevs->by_code->len) {
        const PmAbbrev *abbrev = &g_array_index(abbrevs->by_code, PmAbbrev, code);
        return abbrev->tag != 0 ? abbrev : NULL;
    }
    return abbrevs->others != NULL ? g_hash_table_lookup(abbrevs->others, &code) : NULL;
}
