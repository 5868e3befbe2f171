/*
 * Structures, unions and enumerations: their members, and what makes two of them the same.
 */
#include "dwarf/types-private.h"

#include <stdlib.h>

/* A member or a base as its DIE has it. */
typedef struct {
    Dwarf_Die die;
    const char *name;
    guint64 offset_bytes;
    guint bit_offset;
    guint bit_count;
    gboolean is_base;
    gboolean is_vptr;
} Member;

/* A walk over the members of one record. */
typedef struct {
    PmTypes *types;
    PmDieWalk walk;
    gboolean is_union;
    guint count;
    gboolean has_virtual_base;
} MemberWalk;

static void
member_walk_init(MemberWalk *members, PmTypes *types, Dwarf_Die *record)
{
    const PmUnit *unit = pm_names_get_unit(types->names, record);
    *members = (MemberWalk){.types = types, .is_union = dwarf_tag(record) == DW_TAG_union_type};
    if (unit == NULL)
        return;
    pm_die_walk_init_at(&members->walk, unit, record);
    if (!pm_die_walk_next(&members->walk))
        members->walk.unit = NULL;
}

/* Where a member begins. FALSE for a virtual base, and for what is not understood. */
static gboolean
get_start(Dwarf_Die *member, guint64 *ret_start_bytes)
{
    Dwarf_Attribute attribute;
    Dwarf_Block block;
    Dwarf_Op *ops = NULL;
    size_t count = 0;
    *ret_start_bytes = 0;
    if (dwarf_attr(member, DW_AT_data_member_location, &attribute) == NULL)
        return TRUE;
    if (dwarf_formblock(&attribute, &block) != 0) {
        Dwarf_Word number = 0;
        if (dwarf_formudata(&attribute, &number) != 0)
            return FALSE;
        *ret_start_bytes = number;
        return TRUE;
    }
    /* As DWARF 2 has it. */
    if (dwarf_getlocation(&attribute, &ops, &count) != 0 || count != 1 ||
        ops[0].atom != DW_OP_plus_uconst)
        return FALSE;
    *ret_start_bytes = ops[0].number;
    return TRUE;
}

/* The size of what a bit-field is declared as; 0 where it is not known. */
static guint64
get_storage_bytes(Dwarf_Die *member)
{
    guint64 size_bytes = 0;
    Dwarf_Die type;
    if (pm_die_get_number(member, DW_AT_byte_size, &size_bytes))
        return size_bytes;
    return pm_type_of(member, &type) && pm_type_strip(&type, NULL) &&
                   pm_die_get_number(&type, DW_AT_byte_size, &size_bytes)
               ? size_bytes
               : 0;
}

/*
 * Where a bit-field is. DWARF 4: its first bit from the beginning of the structure. DWARF 2: the
 * bits between the storage unit's most significant bit and its own; targets are little-endian.
 */
static gboolean
read_bits(Dwarf_Die *die, Member *member)
{
    guint64 bits = 0, first = 0;
    if (!pm_die_get_number(die, DW_AT_bit_size, &bits))
        return TRUE;
    if (bits == 0 || bits > 1024)
        return FALSE;
    member->bit_count = (guint)bits;
    if (pm_die_get_number(die, DW_AT_data_bit_offset, &first)) {
        /* Within a storage unit where there is one, so that it does not cross more of them than it
         * must. */
        const guint64 unit_bits = get_storage_bytes(die) * 8;
        const guint64 within = unit_bits > 0 && unit_bits <= 128 ? first % unit_bits : first % 8;
        const guint64 start = within + bits <= unit_bits ? first - within : first - first % 8;
        member->offset_bytes = start / 8;
        member->bit_offset = (guint)(first - start);
        return TRUE;
    }
    if (pm_die_get_number(die, DW_AT_bit_offset, &first)) {
        const guint64 unit_bits = get_storage_bytes(die) * 8;
        if (unit_bits == 0 || unit_bits > 1024 || first > unit_bits || bits > unit_bits - first)
            return FALSE;
        member->bit_offset = (guint)(unit_bits - first - bits);
    }
    return TRUE;
}

static gboolean
is_vptr_name(const char *name)
{
    return g_str_has_prefix(name, "_vptr.") || g_str_has_prefix(name, "_vptr$") ||
           g_str_equal(name, "_vptr");
}

/* The next member or base with a place. */
static gboolean
member_walk_next(MemberWalk *members, Member *ret_member)
{
    PmDieWalk *walk = &members->walk;
    while (walk->unit != NULL && pm_die_walk_next_child(walk)) {
        Dwarf_Die die = pm_die_walk_get(walk);
        Member member = {.die = die, .name = "", .is_base = walk->tag == DW_TAG_inheritance};
        guint64 virtuality = 0;
        if ((walk->tag != DW_TAG_member && !member.is_base) ||
            pm_die_walk_get_flag(walk, PM_SLOT_DECLARATION) || dwarf_hasattr(&die, DW_AT_external))
            continue;
        if (member.is_base && pm_die_get_number(&die, DW_AT_virtuality, &virtuality) &&
            virtuality != 0) {
            members->has_virtual_base = TRUE;
            continue;
        }
        if (!get_start(&die, &member.offset_bytes) || !read_bits(&die, &member))
            continue;
        if (!member.is_base) {
            member.name = pm_die_walk_get_name(walk);
            member.is_vptr = is_vptr_name(member.name) && pm_die_get_flag(&die, DW_AT_artificial);
        }
        if (members->count == PM_TYPE_FIELDS_MAX) {
            pm_diagnostics_add(members->types->diagnostics, "dwarf-limit", PM_SEVERITY_NOTE,
                               PM_ADDR_NONE, "a type has more than %d members; the others are cut",
                               PM_TYPE_FIELDS_MAX);
            return FALSE;
        }
        members->count++;
        *ret_member = member;
        return TRUE;
    }
    return FALSE;
}

/* Whether a vtable pointer is the first word: a dynamic class has it there (Itanium C++ ABI, 2.4).
 */
static gboolean
is_polymorphic(PmTypes *types, Dwarf_Die *record, guint depth)
{
    MemberWalk members;
    Member member;
    if (dwarf_hasattr(record, DW_AT_containing_type))
        return TRUE;
    if (depth >= PM_TYPE_DEPTH_MAX || !pm_names_is_scoped(types->names, record))
        return FALSE;
    member_walk_init(&members, types, record);
    while (member_walk_next(&members, &member)) {
        Dwarf_Die base;
        if (members.has_virtual_base || (member.is_vptr && member.offset_bytes == 0))
            return TRUE;
        if (member.is_base && member.offset_bytes == 0 && pm_type_of(&member.die, &base) &&
            pm_type_strip(&base, NULL) && is_polymorphic(types, &base, depth + 1))
            return TRUE;
    }
    return members.has_virtual_base;
}

static void
add_members(PmTypes *types, Dwarf_Die *record, PmTypeKey *key)
{
    MemberWalk members;
    Member member;
    member_walk_init(&members, types, record);
    while (member_walk_next(&members, &member)) {
        Dwarf_Die type;
        const gboolean has_type = pm_type_of(&member.die, &type);
        pm_type_key_add_string(key, member.name);
        pm_type_key_add_number(key, member.offset_bytes);
        pm_type_key_add_number(key, (guint64)member.bit_offset << 32 | member.bit_count);
        pm_type_key_add_string(key, has_type ? pm_types_name_die(types, &type, 0).text : "");
    }
}

/* The name of a declaration and of a definition, and where it stands. */
static PmTypeEntry
describe(PmTypes *types, const PmModule *module, Dwarf_Die *die, PmTypeKind kind, guint depth)
{
    const PmTypeName name = pm_types_name_die(types, die, depth);
    PmTypeEntry entry = {
        .type = {.kind = kind,
                 .name = name.text,
                 .module = module,
                 .is_cxx = pm_names_is_scoped(types->names, die),
                 .line = pm_die_get_line(die)},
        .declarator = name.declarator,
        .die = *die,
    };
    const char *file = pm_names_get_file(types->names, die);
    entry.type.file = file != NULL ? g_string_chunk_insert_const(types->strings, file) : NULL;
    pm_die_get_number(die, DW_AT_byte_size, &entry.type.size_bytes);
    return entry;
}

/* The one definition of that name, or else the declaration itself. */
static PmTypeEntry *
intern_declaration(PmTypes *types, const PmModule *module, Dwarf_Die *die, PmTypeKind kind,
                   guint depth)
{
    PmTypeKey key;
    PmTypeEntry entry = describe(types, module, die, kind, depth);
    PmTypeEntry *found = pm_types_find_definition(types, module, die, entry.type.name);
    if (found != NULL)
        return found;
    entry.type.size_bytes = 0;
    entry.type.is_declaration = TRUE;
    pm_type_key_init(&key, 'd');
    pm_type_key_add_string(&key, entry.type.name);
    pm_type_key_add_number(&key, kind);
    return pm_types_add(types, &key, &entry);
}

static gboolean
is_declaration(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    bool flag = false;
    if (dwarf_attr(die, DW_AT_declaration, &attribute) != NULL &&
        dwarf_formflag(&attribute, &flag) == 0 && flag)
        return TRUE;
    /* Of a type unit that is not here. */
    return dwarf_hasattr(die, DW_AT_signature) && !dwarf_hasattr(die, DW_AT_byte_size);
}

PmTypeEntry *
pm_types_intern_record(PmTypes *types, const PmModule *module, Dwarf_Die *die, guint depth)
{
    const PmTypeKind kind = dwarf_tag(die) == DW_TAG_union_type ? PM_TYPE_UNION : PM_TYPE_STRUCT;
    PmTypeKey key;
    if (is_declaration(die))
        return intern_declaration(types, module, die, kind, depth);
    PmTypeEntry entry = describe(types, module, die, kind, depth);
    entry.type.is_polymorphic = is_polymorphic(types, die, 0);
    pm_type_key_init(&key, 'r');
    pm_type_key_add_string(&key, entry.type.name);
    pm_type_key_add_number(&key, entry.type.size_bytes);
    pm_type_key_add_number(&key, kind);
    add_members(types, die, &key);
    return pm_types_add(types, &key, &entry);
}

static int
compare_values(const void *a, const void *b)
{
    const gint64 left = *(const gint64 *)a;
    const gint64 right = *(const gint64 *)b;
    return left < right ? -1 : left > right;
}

/* Whether an enumeration's own integer type is signed. */
static gboolean
is_signed(Dwarf_Die *die)
{
    guint64 encoding = 0;
    Dwarf_Die type;
    return pm_type_of(die, &type) && pm_type_strip(&type, NULL) &&
           pm_die_get_number(&type, DW_AT_encoding, &encoding) &&
           (encoding == DW_ATE_signed || encoding == DW_ATE_signed_char);
}

/* The forms of a fixed size do not say whether they are signed. */
static gboolean
read_value(Dwarf_Die *enumerator, gboolean is_signed_enum, gint64 *ret_value)
{
    Dwarf_Attribute attribute;
    Dwarf_Sword number = 0;
    Dwarf_Word natural = 0;
    if (dwarf_attr(enumerator, DW_AT_const_value, &attribute) == NULL)
        return FALSE;
    const guint form = dwarf_whatform(&attribute);
    if (is_signed_enum || form == DW_FORM_sdata || form == DW_FORM_implicit_const) {
        if (dwarf_formsdata(&attribute, &number) != 0)
            return FALSE;
        *ret_value = number;
        return TRUE;
    }
    if (dwarf_formudata(&attribute, &natural) != 0)
        return FALSE;
    *ret_value = (gint64)natural;
    return TRUE;
}

/* The values of an enumeration, ascending, each once. */
static GArray *
read_enumerators(PmTypes *types, Dwarf_Die *die)
{
    GArray *values = g_array_new(FALSE, FALSE, sizeof(gint64));
    const PmUnit *unit = pm_names_get_unit(types->names, die);
    const gboolean is_signed_enum = is_signed(die);
    PmDieWalk walk;
    if (unit == NULL)
        return values;
    pm_die_walk_init_at(&walk, unit, die);
    if (!pm_die_walk_next(&walk))
        return values;
    while (values->len < PM_TYPE_FIELDS_MAX && pm_die_walk_next_child(&walk)) {
        Dwarf_Die enumerator = pm_die_walk_get(&walk);
        gint64 number = 0;
        if (walk.tag != DW_TAG_enumerator || !read_value(&enumerator, is_signed_enum, &number))
            continue;
        g_array_append_val(values, number);
    }
    if (values->len > 0)
        qsort(values->data, values->len, sizeof(gint64), compare_values);
    guint kept = 0;
    for (guint i = 0; i < values->len; i++) {
        const gint64 value = g_array_index(values, gint64, i);
        if (kept == 0 || g_array_index(values, gint64, kept - 1) != value)
            g_array_index(values, gint64, kept++) = value;
    }
    g_array_set_size(values, kept);
    return values;
}

PmTypeEntry *
pm_types_intern_enum(PmTypes *types, const PmModule *module, Dwarf_Die *die, guint depth)
{
    PmTypeKey key;
    if (is_declaration(die))
        return intern_declaration(types, module, die, PM_TYPE_ENUM, depth);
    PmTypeEntry entry = describe(types, module, die, PM_TYPE_ENUM, depth);
    g_autoptr(GArray) values = read_enumerators(types, die);
    pm_type_key_init(&key, 'e');
    pm_type_key_add_string(&key, entry.type.name);
    pm_type_key_add_number(&key, entry.type.size_bytes);
    if (values->len > 0)
        pm_type_key_add(&key, values->data, values->len * sizeof(gint64));
    return pm_types_add(types, &key, &entry);
}

static void
read_fields(PmTypes *types, PmTypeEntry *entry)
{
    GArray *fields = g_array_new(FALSE, FALSE, sizeof(PmField));
    MemberWalk members;
    Member member;
    member_walk_init(&members, types, &entry->die);
    while (member_walk_next(&members, &member)) {
        const PmTypeEntry *type = pm_types_intern_of(types, entry->type.module, &member.die);
        const PmField field = {
            .name = member.name,
            .type = type != NULL ? &type->type : &types->unknown->type,
            .offset_bytes = member.offset_bytes,
            .bit_offset = member.bit_offset,
            .bit_count = member.bit_count,
            .is_base = member.is_base,
            .is_vptr = member.is_vptr,
        };
        g_array_append_val(fields, field);
    }
    entry->field_count = fields->len;
    entry->fields = (PmField *)(gpointer)g_array_free(fields, FALSE);
}

static void
read_contents(PmTypes *types, PmTypeEntry *entry)
{
    if (entry->has_contents)
        return;
    entry->has_contents = TRUE;
    types->has_news = TRUE;
    if (entry->is_restored && !entry->type.is_declaration)
        pm_types_find_die(types, entry);
    if (entry->die.addr == NULL || entry->type.is_declaration)
        return;
    if (entry->type.kind == PM_TYPE_STRUCT || entry->type.kind == PM_TYPE_UNION) {
        read_fields(types, entry);
    } else if (entry->type.kind == PM_TYPE_ENUM) {
        GArray *values = read_enumerators(types, &entry->die);
        const PmTypeEntry *target = pm_types_intern_of(types, entry->type.module, &entry->die);
        entry->target = target != NULL ? &target->type : NULL;
        entry->enumerator_count = values->len;
        entry->enumerators = (gint64 *)(gpointer)g_array_free(values, FALSE);
    }
}

const PmType *
pm_type_get_target(PmTypes *types, const PmType *type)
{
    PmTypeEntry *entry = pm_type_entry(type);
    if (type->kind == PM_TYPE_ENUM)
        read_contents(types, entry);
    return entry->target;
}

const PmField *
pm_type_get_fields(PmTypes *types, const PmType *type, gsize *ret_count)
{
    PmTypeEntry *entry = pm_type_entry(type);
    read_contents(types, entry);
    *ret_count = entry->field_count;
    return entry->fields;
}

const gint64 *
pm_type_get_enumerators(PmTypes *types, const PmType *type, gsize *ret_count)
{
    PmTypeEntry *entry = pm_type_entry(type);
    read_contents(types, entry);
    *ret_count = entry->enumerator_count;
    return entry->enumerators;
}
