#include "dwarf/dies.h"

#include <dwarf.h>

static gboolean
read_unit(PmSections *sections, PmUnitCursor *cursor, PmUnit *ret_unit)
{
    PmUnit unit = {.sections = sections, .offset = cursor->offset, .in_types = cursor->in_types};
    Dwarf *dwarf = pm_sections_get_dwarf(sections);
    Dwarf_Off next = 0, abbrevs = 0, type_offset = 0;
    size_t header_bytes = 0;
    Dwarf_Half version = 0;
    guint64 signature = 0;
    if (dwarf_next_unit(dwarf, cursor->offset, &next, &header_bytes, &version, &abbrevs,
                        &unit.address_bytes, &unit.offset_bytes,
                        cursor->in_types ? &signature : NULL,
                        cursor->in_types ? &type_offset : NULL) != 0 ||
        next <= cursor->offset) {
        cursor->offset = G_MAXUINT64;
        return FALSE;
    }
    const guint64 root = cursor->offset + header_bytes;
    cursor->offset = next;
    const PmBytes info =
        pm_sections_get(sections, unit.in_types ? PM_SECTION_TYPES : PM_SECTION_INFO);
    if ((unit.in_types ? dwarf_offdie_types(dwarf, root, &unit.root)
                       : dwarf_offdie(dwarf, root, &unit.root)) == NULL ||
        next > pm_bytes_left(&info) || root >= next)
        return FALSE;
    unit.start = info.at + unit.offset;
    unit.dies = info.at + root;
    unit.end = info.at + next;
    unit.version = (guint8)version;
    unit.abbrevs = pm_sections_get_abbrevs(sections, abbrevs);
    if (unit.abbrevs == NULL || unit.root.addr != unit.dies ||
        dwarf_cu_info(unit.root.cu, NULL, &unit.kind, NULL, NULL, NULL, NULL, NULL) != 0)
        return FALSE;
    const int language = dwarf_srclang(&unit.root);
    unit.language = language > 0 ? (guint)language : 0;
    *ret_unit = unit;
    return TRUE;
}

gboolean
pm_unit_next(PmSections *sections, PmUnitCursor *cursor, PmUnit *ret_unit)
{
    while (TRUE) {
        if (cursor->offset == G_MAXUINT64) {
            if (cursor->in_types)
                return FALSE;
            *cursor = (PmUnitCursor){.in_types = TRUE};
        }
        if (read_unit(sections, cursor, ret_unit))
            return TRUE;
    }
}

gboolean
pm_unit_of(PmSections *sections, Dwarf_Die *die, PmUnit *ret_unit)
{
    const PmBytes types = pm_sections_get(sections, PM_SECTION_TYPES);
    Dwarf_Die root;
    if (dwarf_cu_die(die->cu, &root, NULL, NULL, NULL, NULL, NULL, NULL) == NULL)
        return FALSE;
    const guint8 *at = root.addr;
    const gboolean in_types = types.at != NULL && at >= types.at && at < types.end;
    const guint64 offset = dwarf_dieoffset(&root) - dwarf_cuoffset(&root);
    PmUnitCursor cursor = {.in_types = in_types, .offset = offset};
    return read_unit(sections, &cursor, ret_unit) && ret_unit->root.cu == die->cu;
}

void
pm_die_walk_init(PmDieWalk *walk, const PmUnit *unit)
{
    *walk = (PmDieWalk){.unit = unit, .first = unit->dies, .next = unit->dies};
}

void
pm_die_walk_init_at(PmDieWalk *walk, const PmUnit *unit, const Dwarf_Die *die)
{
    const guint8 *at = die->addr;
    *walk = (PmDieWalk){.unit = unit, .first = at, .next = at};
    if (at < unit->dies || at >= unit->end)
        walk->next = unit->end;
}

/* How long a form's value is where that does not depend on the value. */
enum {
    LENGTH_NONE,    /* there is no such form */
    LENGTH_EMPTY,   /* the abbreviation has the value */
    LENGTH_VARIES,  /* see skip_varying() */
    LENGTH_ADDRESS, /* as the unit says */
    LENGTH_OFFSET,
    LENGTH_REFERENCE,
    LENGTH_BYTES, /* and so many more */
};

static const guint8 lengths[] = {
    [DW_FORM_flag_present] = LENGTH_EMPTY, [DW_FORM_implicit_const] = LENGTH_EMPTY,
    [DW_FORM_data1] = LENGTH_BYTES + 1,    [DW_FORM_ref1] = LENGTH_BYTES + 1,
    [DW_FORM_flag] = LENGTH_BYTES + 1,     [DW_FORM_strx1] = LENGTH_BYTES + 1,
    [DW_FORM_addrx1] = LENGTH_BYTES + 1,   [DW_FORM_data2] = LENGTH_BYTES + 2,
    [DW_FORM_ref2] = LENGTH_BYTES + 2,     [DW_FORM_strx2] = LENGTH_BYTES + 2,
    [DW_FORM_addrx2] = LENGTH_BYTES + 2,   [DW_FORM_strx3] = LENGTH_BYTES + 3,
    [DW_FORM_addrx3] = LENGTH_BYTES + 3,   [DW_FORM_data4] = LENGTH_BYTES + 4,
    [DW_FORM_ref4] = LENGTH_BYTES + 4,     [DW_FORM_strx4] = LENGTH_BYTES + 4,
    [DW_FORM_addrx4] = LENGTH_BYTES + 4,   [DW_FORM_ref_sup4] = LENGTH_BYTES + 4,
    [DW_FORM_data8] = LENGTH_BYTES + 8,    [DW_FORM_ref8] = LENGTH_BYTES + 8,
    [DW_FORM_ref_sig8] = LENGTH_BYTES + 8, [DW_FORM_ref_sup8] = LENGTH_BYTES + 8,
    [DW_FORM_data16] = LENGTH_BYTES + 16,  [DW_FORM_addr] = LENGTH_ADDRESS,
    [DW_FORM_ref_addr] = LENGTH_REFERENCE, [DW_FORM_strp] = LENGTH_OFFSET,
    [DW_FORM_line_strp] = LENGTH_OFFSET,   [DW_FORM_sec_offset] = LENGTH_OFFSET,
    [DW_FORM_strp_sup] = LENGTH_OFFSET,    [DW_FORM_sdata] = LENGTH_VARIES,
    [DW_FORM_udata] = LENGTH_VARIES,       [DW_FORM_ref_udata] = LENGTH_VARIES,
    [DW_FORM_strx] = LENGTH_VARIES,        [DW_FORM_addrx] = LENGTH_VARIES,
    [DW_FORM_loclistx] = LENGTH_VARIES,    [DW_FORM_rnglistx] = LENGTH_VARIES,
    [DW_FORM_string] = LENGTH_VARIES,      [DW_FORM_block1] = LENGTH_VARIES,
    [DW_FORM_block2] = LENGTH_VARIES,      [DW_FORM_block4] = LENGTH_VARIES,
    [DW_FORM_block] = LENGTH_VARIES,       [DW_FORM_exprloc] = LENGTH_VARIES,
};

static inline guint8
get_length(guint64 form)
{
    if (form < G_N_ELEMENTS(lengths))
        return lengths[form];
    switch (form) {
    case DW_FORM_GNU_ref_alt:
    case DW_FORM_GNU_strp_alt:
        return LENGTH_OFFSET;
    case DW_FORM_GNU_str_index:
    case DW_FORM_GNU_addr_index:
        return LENGTH_VARIES;
    default:
        return LENGTH_NONE;
    }
}

static void
skip_varying(guint64 form, PmBytes *bytes)
{
    switch (form) {
    case DW_FORM_string:
        pm_bytes_string(bytes);
        break;
    case DW_FORM_block1:
        pm_bytes_skip(bytes, pm_bytes_fixed(bytes, 1));
        break;
    case DW_FORM_block2:
        pm_bytes_skip(bytes, pm_bytes_fixed(bytes, 2));
        break;
    case DW_FORM_block4:
        pm_bytes_skip(bytes, pm_bytes_fixed(bytes, 4));
        break;
    case DW_FORM_block:
    case DW_FORM_exprloc:
        pm_bytes_skip(bytes, pm_bytes_uleb(bytes));
        break;
    default:
        pm_bytes_uleb(bytes);
        break;
    }
}

/* Moves @bytes over a value of @form. */
static inline void
skip_value(const PmUnit *unit, guint64 form, PmBytes *bytes)
{
    const guint8 length = get_length(form);
    switch (length) {
    case LENGTH_NONE:
        bytes->failed = TRUE;
        break;
    case LENGTH_EMPTY:
        break;
    case LENGTH_VARIES:
        skip_varying(form, bytes);
        break;
    case LENGTH_ADDRESS:
        pm_bytes_skip(bytes, unit->address_bytes);
        break;
    case LENGTH_OFFSET:
        pm_bytes_skip(bytes, unit->offset_bytes);
        break;
    case LENGTH_REFERENCE:
        /* DWARF 2 gives it the size of an address. */
        pm_bytes_skip(bytes, unit->version <= 2 ? unit->address_bytes : unit->offset_bytes);
        break;
    default:
        pm_bytes_skip(bytes, length - LENGTH_BYTES);
        break;
    }
}

/* Reads the attributes of the DIE behind its code. */
static inline gboolean
read_attributes(PmDieWalk *walk, const PmAbbrev *abbrev, PmBytes *bytes)
{
    const PmAbbrevAttribute *attributes =
        &g_array_index(walk->unit->abbrevs->attributes, PmAbbrevAttribute, abbrev->first_attribute);
    walk->present = 0;
    for (guint32 i = 0; i < abbrev->attribute_count && !bytes->failed; i++) {
        guint64 form = attributes[i].form;
        while (form == DW_FORM_indirect && !bytes->failed)
            form = pm_bytes_uleb(bytes);
        if (attributes[i].slot != PM_SLOT_NONE) {
            walk->present |= 1u << attributes[i].slot;
            walk->values[attributes[i].slot] =
                (PmValue){bytes->at, attributes[i].implicit, (guint16)form};
        }
        skip_value(walk->unit, form, bytes);
    }
    return !bytes->failed;
}

gboolean
pm_die_walk_next(PmDieWalk *walk)
{
    PmBytes bytes = {walk->next, walk->unit->end, FALSE};
    guint64 code = 0;
    while (code == 0) {
        if (bytes.at >= bytes.end)
            return FALSE;
        code = pm_bytes_uleb(&bytes);
        if (code != 0)
            break;
        /* The end of a list of children; what follows it is on the level of their parent. */
        if (walk->next_depth <= 1)
            return FALSE;
        walk->next_depth--;
        walk->next = bytes.at;
    }
    const PmAbbrev *abbrev = pm_abbrevs_find(walk->unit->abbrevs, code);
    if (abbrev == NULL || !read_attributes(walk, abbrev, &bytes))
        return FALSE;
    walk->at = walk->next;
    walk->next = bytes.at;
    walk->depth = walk->next_depth;
    walk->tag = abbrev->tag;
    walk->has_children = abbrev->has_children;
    walk->next_depth = walk->depth + (abbrev->has_children ? 1 : 0);
    /* There is one tree. */
    return walk->depth > 0 || walk->at == walk->first;
}

gboolean
pm_die_walk_next_child(PmDieWalk *walk)
{
    if (walk->at != NULL && walk->depth == 1)
        pm_die_walk_skip(walk);
    do {
        if (!pm_die_walk_next(walk))
            return FALSE;
    } while (walk->depth != 1);
    return TRUE;
}

void
pm_die_walk_skip(PmDieWalk *walk)
{
    const guint8 *sibling = pm_die_walk_get_local(walk, PM_SLOT_SIBLING);
    if (!walk->has_children || sibling == NULL || sibling < walk->next)
        return;
    walk->next = sibling;
    walk->next_depth = walk->depth;
}

Dwarf_Die
pm_die_walk_get(const PmDieWalk *walk)
{
    return (Dwarf_Die){.addr = (gpointer)walk->at, .cu = walk->unit->root.cu};
}

static PmBytes
get_bytes(const PmDieWalk *walk, PmSlot slot)
{
    return (PmBytes){walk->values[slot].at, walk->unit->end, FALSE};
}

static const char *
get_string_at(const PmUnit *unit, PmSectionKind kind, guint64 offset)
{
    PmBytes bytes = pm_sections_get(unit->sections, kind);
    pm_bytes_skip(&bytes, offset);
    return pm_bytes_string(&bytes);
}

const char *
pm_value_get_string(const PmUnit *unit, const PmValue *value)
{
    PmBytes bytes = {value->at, unit->end, FALSE};
    const char *text = NULL;
    switch (value->form) {
    case DW_FORM_strp:
        text = get_string_at(unit, PM_SECTION_STR, pm_bytes_fixed(&bytes, unit->offset_bytes));
        break;
    case DW_FORM_line_strp:
        text = get_string_at(unit, PM_SECTION_LINE_STR, pm_bytes_fixed(&bytes, unit->offset_bytes));
        break;
    case DW_FORM_string:
        text = pm_bytes_string(&bytes);
        break;
    default: {
        Dwarf_Attribute attribute = {.code = DW_AT_name,
                                     .form = value->form,
                                     .valp = (guchar *)value->at,
                                     .cu = unit->root.cu};
        text = dwarf_formstring(&attribute);
        break;
    }
    }
    return text != NULL ? text : "";
}

const char *
pm_die_walk_get_name(const PmDieWalk *walk)
{
    return pm_die_walk_has(walk, PM_SLOT_NAME)
               ? pm_value_get_string(walk->unit, &walk->values[PM_SLOT_NAME])
               : "";
}

gboolean
pm_die_walk_get_number(const PmDieWalk *walk, PmSlot slot, guint64 *ret_number)
{
    if (!pm_die_walk_has(walk, slot))
        return FALSE;
    PmBytes bytes = get_bytes(walk, slot);
    gint64 number = 0;
    switch (walk->values[slot].form) {
    case DW_FORM_data1:
        *ret_number = pm_bytes_fixed(&bytes, 1);
        return TRUE;
    case DW_FORM_data2:
        *ret_number = pm_bytes_fixed(&bytes, 2);
        return TRUE;
    case DW_FORM_data4:
        *ret_number = pm_bytes_fixed(&bytes, 4);
        return TRUE;
    case DW_FORM_data8:
        *ret_number = pm_bytes_fixed(&bytes, 8);
        return TRUE;
    case DW_FORM_udata:
        *ret_number = pm_bytes_uleb(&bytes);
        return TRUE;
    case DW_FORM_sec_offset:
        *ret_number = pm_bytes_fixed(&bytes, walk->unit->offset_bytes);
        return TRUE;
    case DW_FORM_sdata:
        number = pm_bytes_sleb(&bytes);
        break;
    case DW_FORM_implicit_const:
        number = walk->values[slot].implicit;
        break;
    default:
        return FALSE;
    }
    if (number < 0)
        return FALSE;
    *ret_number = (guint64)number;
    return TRUE;
}

gboolean
pm_die_walk_get_flag(const PmDieWalk *walk, PmSlot slot)
{
    if (!pm_die_walk_has(walk, slot))
        return FALSE;
    PmBytes bytes = get_bytes(walk, slot);
    return walk->values[slot].form == DW_FORM_flag_present || pm_bytes_fixed(&bytes, 1) != 0;
}

const guint8 *
pm_die_walk_get_local(const PmDieWalk *walk, PmSlot slot)
{
    if (!pm_die_walk_has(walk, slot))
        return NULL;
    PmBytes bytes = get_bytes(walk, slot);
    const PmUnit *unit = walk->unit;
    guint64 offset = 0;
    switch (walk->values[slot].form) {
    case DW_FORM_ref1:
        offset = pm_bytes_fixed(&bytes, 1);
        break;
    case DW_FORM_ref2:
        offset = pm_bytes_fixed(&bytes, 2);
        break;
    case DW_FORM_ref4:
        offset = pm_bytes_fixed(&bytes, 4);
        break;
    case DW_FORM_ref8:
        offset = pm_bytes_fixed(&bytes, 8);
        break;
    case DW_FORM_ref_udata:
        offset = pm_bytes_uleb(&bytes);
        break;
    default:
        return NULL;
    }
    return offset < (guint64)(unit->end - unit->start) && unit->start + offset >= unit->dies
               ? unit->start + offset
               : NULL;
}

gboolean
pm_die_walk_get_block(const PmDieWalk *walk, PmSlot slot, PmBytes *ret_bytes)
{
    if (!pm_die_walk_has(walk, slot))
        return FALSE;
    PmBytes bytes = get_bytes(walk, slot);
    guint64 count = 0;
    switch (walk->values[slot].form) {
    case DW_FORM_exprloc:
    case DW_FORM_block:
        count = pm_bytes_uleb(&bytes);
        break;
    case DW_FORM_block1:
        count = pm_bytes_fixed(&bytes, 1);
        break;
    case DW_FORM_block2:
        count = pm_bytes_fixed(&bytes, 2);
        break;
    case DW_FORM_block4:
        count = pm_bytes_fixed(&bytes, 4);
        break;
    default:
        return FALSE;
    }
    if (bytes.failed || count > pm_bytes_left(&bytes))
        return FALSE;
    *ret_bytes = (PmBytes){bytes.at, bytes.at + count, FALSE};
    return TRUE;
}
