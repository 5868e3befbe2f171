#include "process/fields.h"

#include <dwarf.h>
#include <string.h>

/* Types within types, typedefs of typedefs; compilers nest about a dozen. */
#define DEPTH_MAX 32
/* Trees within trees: a function in a class in a namespace, its blocks. */
#define TREE_DEPTH_MAX 128
/* Members looked at for one path; unions within unions try all. */
#define STEPS_MAX      100000
#define DIMENSIONS_MAX 16
#define NAME_BYTES_MAX 1024
#define PATH_BYTES_MAX 4096

typedef enum {
    NEXT_FOUND,
    NEXT_END,
    NEXT_DAMAGED,
} Next;

/*
 * libdw skips a subtree that does not say where it ends by walking through it, and follows what its
 * DIEs say of their own siblings: backwards, that is a walk without end. So each such subtree is
 * walked here first, where every step must lead on.
 */
static Next
find_next(Dwarf_Die *die, guint depth, Dwarf_Die *ret_next)
{
    Dwarf_Die child;
    Dwarf_Die next;
    if (depth >= TREE_DEPTH_MAX)
        return NEXT_DAMAGED;
    if (dwarf_haschildren(die) > 0 && !dwarf_hasattr(die, DW_AT_sibling) &&
        dwarf_child(die, &child) == 0) {
        Next within = NEXT_FOUND;
        while ((within = find_next(&child, depth + 1, &next)) == NEXT_FOUND)
            child = next;
        if (within == NEXT_DAMAGED)
            return NEXT_DAMAGED;
    }
    const int result = dwarf_siblingof(die, &next);
    if (result != 0)
        return result > 0 ? NEXT_END : NEXT_DAMAGED;
    if ((const guint8 *)next.addr <= (const guint8 *)die->addr)
        return NEXT_DAMAGED;
    *ret_next = next;
    return NEXT_FOUND;
}

gboolean
pm_die_next(Dwarf_Die *die)
{
    Dwarf_Die next;
    if (find_next(die, 0, &next) != NEXT_FOUND)
        return FALSE;
    *die = next;
    return TRUE;
}

/* Whether a string that stands among the DIEs ends before their section does; libdw sees to those
 * of string sections. */
static gboolean
is_terminated(const Dwarf_Attribute *attribute, const char *text)
{
    Elf *elf = dwarf_getelf(dwarf_cu_getdwarf(attribute->cu));
    Elf_Scn *section = NULL;
    while ((section = elf_nextscn(elf, section)) != NULL) {
        const Elf_Data *data = elf_getdata(section, NULL);
        const char *start = data != NULL ? data->d_buf : NULL;
        if (start != NULL && text >= start && text < start + data->d_size)
            return memchr(text, '\0', data->d_size - (gsize)(text - start)) != NULL;
    }
    return FALSE;
}

const char *
pm_die_get_name(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    if (dwarf_attr_integrate(die, DW_AT_name, &attribute) == NULL)
        return "";
    const char *name = dwarf_formstring(&attribute);
    if (name == NULL ||
        (dwarf_whatform(&attribute) == DW_FORM_string && !is_terminated(&attribute, name)))
        return "";
    return name;
}

static gboolean
is_transparent(int tag)
{
    switch (tag) {
    case DW_TAG_typedef:
    case DW_TAG_const_type:
    case DW_TAG_volatile_type:
    case DW_TAG_restrict_type:
    case DW_TAG_atomic_type:
    case DW_TAG_immutable_type:
    case DW_TAG_packed_type:
    case DW_TAG_shared_type:
        return TRUE;
    default:
        return FALSE;
    }
}

gboolean
pm_die_get_type(Dwarf_Die *die, Dwarf_Die *ret_type)
{
    Dwarf_Die at = *die;
    for (guint i = 0; i < DEPTH_MAX; i++) {
        Dwarf_Attribute attribute;
        Dwarf_Die type;
        if (dwarf_attr_integrate(&at, DW_AT_type, &attribute) == NULL ||
            dwarf_formref_die(&attribute, &type) == NULL)
            return FALSE;
        if (!is_transparent(dwarf_tag(&type))) {
            *ret_type = type;
            return TRUE;
        }
        at = type;
    }
    return FALSE;
}

static gboolean
get_number(Dwarf_Die *die, guint name, guint64 *ret_number)
{
    Dwarf_Attribute attribute;
    Dwarf_Word number = 0;
    if (dwarf_attr_integrate(die, name, &attribute) == NULL ||
        dwarf_formudata(&attribute, &number) != 0)
        return FALSE;
    *ret_number = number;
    return TRUE;
}

static gboolean
is_pointer(int tag)
{
    return tag == DW_TAG_pointer_type || tag == DW_TAG_reference_type ||
           tag == DW_TAG_rvalue_reference_type;
}

/* A vector register's type is a scalar. */
static gboolean
is_array(Dwarf_Die *type)
{
    return dwarf_tag(type) == DW_TAG_array_type && !dwarf_hasattr(type, DW_AT_GNU_vector) &&
           !dwarf_hasattr(type, DW_AT_byte_stride) && !dwarf_hasattr(type, DW_AT_bit_stride);
}

/* How many elements a dimension has; 0 where it is not known. */
static guint64
get_count(Dwarf_Die *range)
{
    guint64 count = 0, lower = 0, upper = 0;
    if (get_number(range, DW_AT_count, &count))
        return count;
    if (!get_number(range, DW_AT_upper_bound, &upper))
        return 0;
    get_number(range, DW_AT_lower_bound, &lower);
    return upper >= lower && upper - lower < G_MAXINT64 ? upper - lower + 1 : 0;
}

/* The element counts of @array, outermost first. Returns: how many, 0 where there are none or too
 * many. */
static guint
get_dimensions(Dwarf_Die *array, guint64 counts[DIMENSIONS_MAX])
{
    Dwarf_Die range;
    guint dimensions = 0;
    if (dwarf_child(array, &range) != 0)
        return 0;
    do {
        if (dwarf_tag(&range) != DW_TAG_subrange_type || dimensions == DIMENSIONS_MAX)
            return 0;
        counts[dimensions++] = get_count(&range);
    } while (pm_die_next(&range));
    return dimensions;
}

/* The size of what @count of @size_bytes are; 0 where it is not known. */
static guint64
multiply(guint64 size_bytes, guint64 count)
{
    guint64 product = 0;
    return g_uint64_checked_mul(&product, size_bytes, count) ? product : 0;
}

guint64
pm_type_get_size(Dwarf_Die *type, guint word_bytes)
{
    Dwarf_Die at = *type;
    guint64 factor = 1;
    for (guint i = 0; i < DEPTH_MAX; i++) {
        guint64 counts[DIMENSIONS_MAX];
        guint64 size_bytes = 0;
        if (get_number(&at, DW_AT_byte_size, &size_bytes))
            return multiply(size_bytes, factor);
        if (is_pointer(dwarf_tag(&at)))
            return multiply(word_bytes, factor);
        const guint dimensions = is_array(&at) ? get_dimensions(&at, counts) : 0;
        if (dimensions == 0)
            return 0;
        for (guint j = 0; j < dimensions; j++)
            factor = multiply(factor, counts[j]);
        if (factor == 0 || !pm_die_get_type(&at, &at))
            return 0;
    }
    return 0;
}

typedef struct {
    GString *path;
    guint word_bytes;
    guint steps;
} Walk;

/* A member that may cover an offset. */
typedef struct {
    Dwarf_Die die;
    Dwarf_Die type;
    guint64 start_bytes;
} Member;

static void
append_rest(const Walk *walk, guint64 offset_bytes)
{
    if (offset_bytes > 0)
        g_string_append_printf(walk->path, " + 0x%" G_GINT64_MODIFIER "x", offset_bytes);
}

/* Where a member begins. FALSE for a virtual base, whose place only the object itself says. */
static gboolean
get_start(Dwarf_Die *member, guint64 *ret_start_bytes)
{
    Dwarf_Attribute attribute;
    Dwarf_Block block;
    Dwarf_Op *ops = NULL;
    size_t count = 0;
    guint64 bits = 0;
    if (dwarf_attr(member, DW_AT_data_member_location, &attribute) == NULL) {
        *ret_start_bytes = get_number(member, DW_AT_data_bit_offset, &bits) ? bits / 8 : 0;
        return TRUE;
    }
    if (dwarf_formblock(&attribute, &block) != 0)
        return get_number(member, DW_AT_data_member_location, ret_start_bytes);
    /* As DWARF 2 has it. */
    if (dwarf_getlocation(&attribute, &ops, &count) != 0 || count != 1 ||
        ops[0].atom != DW_OP_plus_uconst)
        return FALSE;
    *ret_start_bytes = ops[0].number;
    return TRUE;
}

/* Reads a member or a base that begins at or before @offset_bytes. */
static gboolean
read_member(Dwarf_Die *die, guint64 offset_bytes, Member *ret_member)
{
    const int tag = dwarf_tag(die);
    ret_member->die = *die;
    return (tag == DW_TAG_member || tag == DW_TAG_inheritance) &&
           !dwarf_hasattr(die, DW_AT_declaration) && !dwarf_hasattr(die, DW_AT_external) &&
           get_start(die, &ret_member->start_bytes) && ret_member->start_bytes <= offset_bytes &&
           pm_die_get_type(die, &ret_member->type);
}

static gboolean descend(Walk *walk, Dwarf_Die *type, guint64 offset_bytes, guint depth);

static gboolean
enter_member(Walk *walk, Member *member, guint64 offset_bytes, guint depth)
{
    const char *name =
        dwarf_tag(&member->die) == DW_TAG_inheritance ? "" : pm_die_get_name(&member->die);
    if (name[0] != '\0') {
        g_string_append_c(walk->path, '.');
        g_string_append_len(walk->path, name, (gssize)strnlen(name, NAME_BYTES_MAX));
    }
    return descend(walk, &member->type, offset_bytes - member->start_bytes, depth + 1);
}

/*
 * Of the members that cover @offset_bytes the first that has a pointer there, or else the first
 * that names what is there: those of a union overlap, and so do bases that have no members. Where
 * none covers it, an array without a size that ends the structure does.
 */
static gboolean
enter_record(Walk *walk, Dwarf_Die *type, guint64 offset_bytes, guint depth)
{
    const gsize length = walk->path->len;
    g_autofree char *first = NULL;
    Member member, open_end;
    Dwarf_Die die;
    gboolean has_open_end = FALSE;
    gboolean has_more = dwarf_child(type, &die) == 0;

    for (; has_more && walk->steps < STEPS_MAX; has_more = pm_die_next(&die)) {
        walk->steps++;
        if (!read_member(&die, offset_bytes, &member))
            continue;
        const guint64 size_bytes = pm_type_get_size(&member.type, walk->word_bytes);
        if (size_bytes == 0 && is_array(&member.type)) {
            open_end = member;
            has_open_end = TRUE;
        }
        if (offset_bytes - member.start_bytes >= size_bytes)
            continue;
        if (enter_member(walk, &member, offset_bytes, depth))
            return TRUE;
        if (first == NULL && walk->path->len > length)
            first = g_strdup(walk->path->str + length);
        g_string_truncate(walk->path, length);
    }
    if (first != NULL)
        g_string_append(walk->path, first);
    else if (has_open_end)
        return enter_member(walk, &open_end, offset_bytes, depth);
    else
        append_rest(walk, offset_bytes);
    return FALSE;
}

static gboolean
enter_array(Walk *walk, Dwarf_Die *type, guint64 offset_bytes, guint depth)
{
    guint64 counts[DIMENSIONS_MAX];
    guint64 strides[DIMENSIONS_MAX];
    Dwarf_Die element;
    const guint dimensions = get_dimensions(type, counts);
    guint64 stride_bytes = 0;
    if (dimensions > 0 && pm_die_get_type(type, &element))
        stride_bytes = pm_type_get_size(&element, walk->word_bytes);
    for (guint i = dimensions; i > 0 && stride_bytes > 0; i--) {
        strides[i - 1] = stride_bytes;
        /* How many there are of the outermost does not matter. */
        if (i > 1)
            stride_bytes = multiply(stride_bytes, counts[i - 1]);
    }
    if (stride_bytes == 0) {
        append_rest(walk, offset_bytes);
        return FALSE;
    }
    for (guint i = 0; i < dimensions; i++) {
        g_string_append_printf(walk->path, "[%" G_GUINT64_FORMAT "]", offset_bytes / strides[i]);
        offset_bytes %= strides[i];
    }
    return descend(walk, &element, offset_bytes, depth + 1);
}

/* Returns: whether the path ended at a pointer. */
static gboolean
descend(Walk *walk, Dwarf_Die *type, guint64 offset_bytes, guint depth)
{
    const int tag = dwarf_tag(type);
    if (depth < DEPTH_MAX && walk->path->len < PATH_BYTES_MAX) {
        if (tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type)
            return enter_record(walk, type, offset_bytes, depth);
        if (is_array(type))
            return enter_array(walk, type, offset_bytes, depth);
    }
    append_rest(walk, offset_bytes);
    return is_pointer(tag) && offset_bytes == 0;
}

void
pm_type_append_path(Dwarf_Die *type, guint64 offset_bytes, guint word_bytes, GString *path)
{
    Walk walk = {.path = path, .word_bytes = word_bytes};
    descend(&walk, type, offset_bytes, 0);
}
