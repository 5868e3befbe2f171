#include "analysis/types/cxxnodes.h"

#include <string.h>

/*
 * @container: how the name of the structure that holds the links begins, without "std::" and an
 * inline namespace. @argument: which template argument the node has. @nodes: how the node's type is
 * called, @end: what follows the argument.
 */
typedef struct {
    const char *container;
    guint argument;
    const char *nodes;
    const char *ends[2];
} Rule;

static const Rule rules[] = {
    {"_Rb_tree<", 1, "std::_Rb_tree_node<", {">", NULL}},
    {"_List_base<", 0, "std::_List_node<", {">", NULL}},
    {"_Fwd_list_base<", 0, "std::_Fwd_list_node<", {">", NULL}},
    {"_Hashtable<", 1, "std::__detail::_Hash_node<", {", true>", ", false>"}},
};

/* The nodes themselves, whose links are their base's. */
static const char *const nodes[] = {"_Rb_tree_node<", "_List_node<", "_Fwd_list_node<",
                                    "_Hash_node<"};

static const char *const bases[] = {"_Rb_tree_node_base", "_List_node_base", "_Fwd_list_node_base",
                                    "_Hash_node_base"};

/* The name behind "std::" and libstdc++'s inline namespaces; NULL where it is none of std. */
static const char *
skip_scopes(const char *name)
{
    static const char *const scopes[] = {"__cxx11::", "__detail::", "__debug::", "_V2::", "__8::"};
    if (!g_str_has_prefix(name, "std::"))
        return NULL;
    name += strlen("std::");
    for (gboolean again = TRUE; again;) {
        again = FALSE;
        for (gsize i = 0; i < G_N_ELEMENTS(scopes); i++) {
            if (g_str_has_prefix(name, scopes[i])) {
                name += strlen(scopes[i]);
                again = TRUE;
            }
        }
    }
    return name;
}

gboolean
pm_cxx_is_node_base(const PmType *type)
{
    const char *name = type != NULL && type->is_cxx ? skip_scopes(type->name) : NULL;
    for (gsize i = 0; name != NULL && i < G_N_ELEMENTS(bases); i++)
        if (strcmp(name, bases[i]) == 0)
            return TRUE;
    return FALSE;
}

/* The template argument number @index of the list that @at, behind its "<", begins. (transfer
 * full): NULL where there is none. */
static char *
get_argument(const char *at, guint index)
{
    guint depth = 0;
    const char *start = at;
    for (; *at != '\0'; at++) {
        if (*at == '<' || *at == '(' || *at == '[')
            depth++;
        const gboolean closes = *at == '>' || *at == ')' || *at == ']';
        if (depth == 0 && (*at == ',' || closes)) {
            if (index == 0) {
                g_autofree char *text = g_strndup(start, (gsize)(at - start));
                return g_strdup(g_strstrip(text));
            }
            if (closes)
                return NULL;
            index--;
            start = at + 1;
        } else if (closes) {
            depth--;
        }
    }
    return NULL;
}

static const PmType *
find_named(PmTypes *types, const char *name, const PmType *near)
{
    g_autoptr(GPtrArray) found = pm_types_find_by_name(types, name, near->module);
    for (guint i = 0; found != NULL && i < found->len; i++) {
        const PmType *type = g_ptr_array_index(found, i);
        if (type->kind == PM_TYPE_STRUCT && !type->is_declaration)
            return type;
    }
    return NULL;
}

static const PmType *
find_node(PmTypes *types, const Rule *rule, const char *arguments, const PmType *container)
{
    g_autofree char *argument = get_argument(arguments, rule->argument);
    for (gsize i = 0; argument != NULL && i < G_N_ELEMENTS(rule->ends); i++) {
        if (rule->ends[i] == NULL)
            break;
        /* "> >", as gcc wrote it before version 11, and ">>". */
        const gboolean parted = g_str_has_suffix(argument, ">") && rule->ends[i][0] == '>';
        g_autofree char *name = g_strconcat(rule->nodes, argument, rule->ends[i], NULL);
        g_autofree char *other =
            g_strconcat(rule->nodes, argument, parted ? " " : "", rule->ends[i], NULL);
        const PmType *type = find_named(types, name, container);
        if (type == NULL && parted)
            type = find_named(types, other, container);
        if (type != NULL)
            return type;
    }
    return NULL;
}

gboolean
pm_cxx_is_node(const PmType *type)
{
    const char *name = type->is_cxx ? skip_scopes(type->name) : NULL;
    for (gsize i = 0; name != NULL && i < G_N_ELEMENTS(nodes); i++)
        if (g_str_has_prefix(name, nodes[i]))
            return TRUE;
    return FALSE;
}

const PmType *
pm_cxx_find_stored(PmTypes *types, const PmType *type)
{
    static const char *const buffers[] = {"__gnu_cxx::__aligned_membuf<",
                                          "__gnu_cxx::__aligned_buffer<"};
    for (gsize i = 0; type->is_cxx && i < G_N_ELEMENTS(buffers); i++) {
        if (!g_str_has_prefix(type->name, buffers[i]))
            continue;
        g_autofree char *name = get_argument(type->name + strlen(buffers[i]), 0);
        guint stars = 0;
        if (name == NULL)
            return NULL;
        for (gsize length = strlen(name); length > 0 && name[length - 1] == '*'; length--) {
            name[length - 1] = '\0';
            g_strchomp(name);
            length = strlen(name) + 1;
            stars++;
        }
        const PmType *stored = find_named(types, name, type);
        for (; stored != NULL && stars > 0; stars--)
            stored = pm_types_get_pointer(types, stored);
        return stored;
    }
    return NULL;
}

const PmType *
pm_cxx_find_node(PmTypes *types, const PmType *type)
{
    const char *name = type->is_cxx ? skip_scopes(type->name) : NULL;
    if (name == NULL)
        return NULL;
    if (pm_cxx_is_node(type))
        return type;
    for (gsize i = 0; i < G_N_ELEMENTS(rules); i++)
        if (g_str_has_prefix(name, rules[i].container))
            return find_node(types, &rules[i], name + strlen(rules[i].container), type);
    return NULL;
}
