/*
 * What types are called. A name is made of DIEs alone, so that a member's type can be named before
 * it is read.
 */
#include "dwarf/spelling.h"
#include "dwarf/types-private.h"

#include <string.h>

#define PARAMETERS_MAX 64

static PmTypeName
keep(PmTypes *types, const GString *text, gsize declarator)
{
    const gsize length = MIN(text->len, PM_NAME_BYTES_MAX);
    return (PmTypeName){
        g_string_chunk_insert_len(types->strings, text->str, (gssize)length),
        (guint)MIN(declarator, length),
    };
}

static PmTypeName
keep_plain(PmTypes *types, const char *text)
{
    const gsize length = strnlen(text, PM_NAME_BYTES_MAX);
    return (PmTypeName){g_string_chunk_insert_len(types->strings, text, (gssize)length),
                        (guint)length};
}

PmTypeName
pm_types_name_pointer(PmTypes *types, PmTypeName name, const char *mark)
{
    const gint last = name.declarator > 0 ? name.text[name.declarator - 1] : ' ';
    /* Of an array or a function it stands in brackets, unless it already does. */
    const char *behind = name.text + name.declarator;
    const gboolean needs_brackets = *behind == '[' || *behind == '(';
    GString *text = g_string_new_len(name.text, (gssize)name.declarator);
    if (needs_brackets)
        g_string_append(text, last == ' ' || last == '*' ? "(" : " (");
    else if (last != '*' && last != '(')
        g_string_append_c(text, ' ');
    g_string_append(text, mark);
    const gsize declarator = text->len;
    if (needs_brackets)
        g_string_append_c(text, ')');
    g_string_append(text, behind);
    const PmTypeName result = keep(types, text, declarator);
    g_string_free(text, TRUE);
    return result;
}

PmTypeName
pm_types_name_array(PmTypes *types, PmTypeName name, const guint64 *counts, guint dimensions)
{
    GString *text = g_string_new_len(name.text, (gssize)name.declarator);
    for (guint i = 0; i < dimensions; i++)
        if (counts[i] == 0)
            g_string_append(text, "[]");
        else
            g_string_append_printf(text, "[%" G_GUINT64_FORMAT "]", counts[i]);
    g_string_append(text, name.text + name.declarator);
    const PmTypeName result = keep(types, text, name.declarator);
    g_string_free(text, TRUE);
    return result;
}

gboolean
pm_die_get_number(Dwarf_Die *die, guint attribute, guint64 *ret_number)
{
    Dwarf_Attribute found;
    Dwarf_Word number = 0;
    if (dwarf_attr_integrate(die, attribute, &found) == NULL ||
        dwarf_formudata(&found, &number) != 0)
        return FALSE;
    *ret_number = number;
    return TRUE;
}

gboolean
pm_die_get_flag(Dwarf_Die *die, guint attribute)
{
    Dwarf_Attribute found;
    bool flag = false;
    return dwarf_attr_integrate(die, attribute, &found) != NULL &&
           dwarf_formflag(&found, &flag) == 0 && flag;
}

gboolean
pm_type_of(Dwarf_Die *die, Dwarf_Die *ret_type)
{
    Dwarf_Attribute attribute;
    return dwarf_attr_integrate(die, DW_AT_type, &attribute) != NULL &&
           dwarf_formref_die(&attribute, ret_type) != NULL;
}

static gboolean
is_transparent(int tag)
{
    switch (tag) {
    case DW_TAG_typedef:
    case DW_TAG_template_alias:
    case DW_TAG_const_type:
    case DW_TAG_volatile_type:
    case DW_TAG_restrict_type:
    case DW_TAG_atomic_type:
    case DW_TAG_immutable_type:
    case DW_TAG_packed_type:
    case DW_TAG_shared_type:
    case DW_TAG_subrange_type:
        return TRUE;
    default:
        return FALSE;
    }
}

/* What stands for a type unit, without a name of its own. */
static gboolean
follow_signature(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    Dwarf_Die definition;
    if (dwarf_attr(die, DW_AT_signature, &attribute) == NULL ||
        dwarf_formref_die(&attribute, &definition) == NULL || definition.addr == die->addr)
        return FALSE;
    *die = definition;
    return TRUE;
}

gboolean
pm_type_strip(Dwarf_Die *die, Dwarf_Die *ret_typedef)
{
    for (guint i = 0; i < PM_TYPE_DEPTH_MAX; i++) {
        Dwarf_Die type;
        const int tag = dwarf_tag(die);
        if (pm_die_get_keyword(tag)[0] != '\0' && follow_signature(die))
            continue;
        if (!is_transparent(tag))
            return tag > 0;
        if (tag == DW_TAG_typedef && ret_typedef != NULL)
            *ret_typedef = *die;
        if (!pm_type_of(die, &type))
            return FALSE;
        *die = type;
    }
    return FALSE;
}

/* How many elements a dimension has; 0 where it is not known. */
static guint64
get_count(Dwarf_Die *range)
{
    guint64 count = 0, lower = 0, upper = 0;
    if (pm_die_get_number(range, DW_AT_count, &count))
        return count;
    if (!pm_die_get_number(range, DW_AT_upper_bound, &upper))
        return 0;
    pm_die_get_number(range, DW_AT_lower_bound, &lower);
    return upper >= lower && upper - lower < G_MAXINT64 ? upper - lower + 1 : 0;
}

guint
pm_types_get_dimensions(PmTypes *types, Dwarf_Die *array, guint64 counts[PM_DIMENSIONS_MAX])
{
    const PmUnit *unit = pm_names_get_unit(types->names, array);
    PmDieWalk walk;
    guint dimensions = 0;
    if (unit == NULL)
        return 0;
    pm_die_walk_init_at(&walk, unit, array);
    if (!pm_die_walk_next(&walk))
        return 0;
    while (pm_die_walk_next_child(&walk)) {
        Dwarf_Die die = pm_die_walk_get(&walk);
        if (walk.tag != DW_TAG_subrange_type && walk.tag != DW_TAG_enumeration_type)
            continue;
        if (dimensions == PM_DIMENSIONS_MAX)
            return 0;
        counts[dimensions++] = walk.tag == DW_TAG_subrange_type ? get_count(&die) : 0;
    }
    return dimensions;
}

/* A structure, union or enumeration, or anything else that has a name of its own. */
static PmTypeName
name_by_itself(PmTypes *types, Dwarf_Die *die, Dwarf_Die *typedef_die)
{
    const int tag = dwarf_tag(die);
    const gboolean is_scoped = pm_names_is_scoped(types->names, die);
    const char *name = pm_names_get_name(types->names, die);
    const char *keyword = is_scoped ? "" : pm_die_get_keyword(tag);
    GString *text = g_string_new(NULL);
    if (name[0] == '\0' && pm_die_get_keyword(tag)[0] != '\0') {
        keyword = "";
        name = pm_names_get_typedef(types->names, die);
        if (name == NULL)
            name = typedef_die->addr != NULL ? pm_names_get_name(types->names, typedef_die) : "";
    }
    if (name[0] == '\0') {
        if (pm_die_get_keyword(tag)[0] != '\0')
            pm_die_append_nameless(tag, pm_names_get_file(types->names, die), pm_die_get_line(die),
                                   text);
        else
            g_string_append_c(text, '?');
    } else if (tag == DW_TAG_base_type) {
        pm_spelling_append_base(text, name);
    } else {
        if (is_scoped)
            pm_names_append_scopes(types->names, die, text);
        g_string_append(text, keyword);
        g_string_append_len(text, name, (gssize)strnlen(name, PM_NAME_BYTES_MAX));
    }
    const PmTypeName result = keep(types, text, text->len);
    g_string_free(text, TRUE);
    return result;
}

/* What @die has as its type; "void" where it has none. */
static PmTypeName
name_target(PmTypes *types, Dwarf_Die *die, guint depth)
{
    Dwarf_Die target;
    return pm_types_name_die(types, pm_type_of(die, &target) ? &target : NULL, depth + 1);
}

static PmTypeName
name_function(PmTypes *types, Dwarf_Die *die, guint depth)
{
    const PmTypeName result = name_target(types, die, depth);
    const PmUnit *unit = pm_names_get_unit(types->names, die);
    GString *text = g_string_new_len(result.text, (gssize)result.declarator);
    PmDieWalk walk;
    guint count = 0;
    if (result.declarator > 0 && result.text[result.declarator - 1] != '*')
        g_string_append_c(text, ' ');
    const gsize declarator = text->len;
    g_string_append_c(text, '(');
    if (unit != NULL) {
        pm_die_walk_init_at(&walk, unit, die);
        if (!pm_die_walk_next(&walk))
            walk.next = unit->end;
        while (count < PARAMETERS_MAX && text->len < PM_NAME_BYTES_MAX &&
               pm_die_walk_next_child(&walk)) {
            Dwarf_Die parameter = pm_die_walk_get(&walk);
            const char *name = "...";
            if (walk.tag == DW_TAG_formal_parameter)
                name = name_target(types, &parameter, depth).text;
            else if (walk.tag != DW_TAG_unspecified_parameters)
                continue;
            g_string_append_printf(text, "%s%s", count > 0 ? ", " : "", name);
            count++;
        }
    }
    if (count == 0)
        g_string_append(text, "void");
    g_string_append_c(text, ')');
    g_string_append(text, result.text + result.declarator);
    const PmTypeName name = keep(types, text, declarator);
    g_string_free(text, TRUE);
    return name;
}

static PmTypeName
name_array(PmTypes *types, Dwarf_Die *die, guint depth)
{
    guint64 counts[PM_DIMENSIONS_MAX];
    const guint dimensions = pm_types_get_dimensions(types, die, counts);
    const PmTypeName name = name_target(types, die, depth);
    return dimensions > 0 ? pm_types_name_array(types, name, counts, dimensions) : name;
}

static PmTypeName
name_member_pointer(PmTypes *types, Dwarf_Die *die, guint depth)
{
    Dwarf_Attribute attribute;
    Dwarf_Die holder;
    const gboolean is_known = dwarf_attr(die, DW_AT_containing_type, &attribute) != NULL &&
                              dwarf_formref_die(&attribute, &holder) != NULL;
    const PmTypeName class_name = pm_types_name_die(types, is_known ? &holder : NULL, depth + 1);
    g_autofree char *mark = g_strdup_printf("%s::*", is_known ? class_name.text : "?");
    return pm_types_name_pointer(types, name_target(types, die, depth), mark);
}

static PmTypeName
make_name(PmTypes *types, Dwarf_Die *die, Dwarf_Die *typedef_die, guint depth)
{
    switch (dwarf_tag(die)) {
    case DW_TAG_pointer_type:
        return pm_types_name_pointer(types, name_target(types, die, depth), "*");
    case DW_TAG_reference_type:
        return pm_types_name_pointer(types, name_target(types, die, depth), "&");
    case DW_TAG_rvalue_reference_type:
        return pm_types_name_pointer(types, name_target(types, die, depth), "&&");
    case DW_TAG_ptr_to_member_type:
        return name_member_pointer(types, die, depth);
    case DW_TAG_array_type:
        return name_array(types, die, depth);
    case DW_TAG_subroutine_type:
    case DW_TAG_subprogram:
        return name_function(types, die, depth);
    default:
        return name_by_itself(types, die, typedef_die);
    }
}

PmTypeName
pm_types_name_die(PmTypes *types, Dwarf_Die *die, guint depth)
{
    Dwarf_Die typedef_die = {.addr = NULL};
    if (die == NULL)
        return keep_plain(types, "void");
    Dwarf_Die at = *die;
    if (!pm_type_strip(&at, &typedef_die))
        return keep_plain(types, "void");
    if (depth >= PM_TYPE_DEPTH_MAX)
        return keep_plain(types, "?");
    const PmTypeName *known = g_hash_table_lookup(types->name_of, at.addr);
    if (known != NULL)
        return *known;
    const PmTypeName name = make_name(types, &at, &typedef_die, depth);
    g_hash_table_insert(types->name_of, at.addr, g_memdup2(&name, sizeof name));
    return name;
}

void
pm_types_set_name(PmTypes *types, const Dwarf_Die *die, const char *text)
{
    if (g_hash_table_contains(types->name_of, die->addr))
        return;
    const PmTypeName name = keep_plain(types, text);
    g_hash_table_insert(types->name_of, die->addr, g_memdup2(&name, sizeof name));
}
