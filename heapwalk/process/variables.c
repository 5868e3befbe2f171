/*
 * For each module two lists, sorted by place: variables in its data, and thread-local ones. One
 * walk over the trees of its DWARF makes both. Which field is at an offset is fields.c's business.
 */
#include "process/variables.h"

#include "process/debuginfo.h"
#include "process/fields.h"
#include "process/process-private.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

/* Functions in namespaces, blocks in functions. */
#define DEPTH_MAX     64
#define VARIABLES_MAX (1u << 24)
/* Copies of an inline variable, and objects without a size, at one address. */
#define COVER_STEPS_MAX 64
#define NAME_BYTES_MAX  1024
/* A static in a lambda in a static initialiser in a function in a class. */
#define QUALIFIERS_MAX 8
/* The longest expression that says no more than an address. */
#define LOCATION_BYTES_MAX 32

/* @value: the address as the file has it, or the offset in the module's TLS block. */
typedef struct {
    guint64 value;
    Dwarf_Die die;
} Variable;

/* @data, @tls: Variable, ascending by value; NULL for a module without DWARF. */
typedef struct {
    GArray *data;
    GArray *tls;
    guint64 bias;
} Index;

struct PmVariables {
    const PmProcess *process;
    GPtrArray *indexes; /* Index * or NULL, by module index */
};

static void
index_free(gpointer data)
{
    Index *index = data;
    if (index == NULL)
        return;
    if (index->data != NULL)
        g_array_unref(index->data);
    if (index->tls != NULL)
        g_array_unref(index->tls);
    g_free(index);
}

PmVariables *
pm_variables_new(const PmProcess *process)
{
    PmVariables *variables = g_new0(PmVariables, 1);
    variables->process = process;
    variables->indexes = g_ptr_array_new_with_free_func(index_free);
    g_ptr_array_set_size(variables->indexes, (gint)process->modules->len);
    return variables;
}

void
pm_variables_free(PmVariables *variables)
{
    if (variables == NULL)
        return;
    g_ptr_array_unref(variables->indexes);
    g_free(variables);
}

/* Whether an expression that begins with @op may be a fixed place. */
static gboolean
is_place(guint8 op)
{
    switch (op) {
    case DW_OP_addr:
    case DW_OP_addrx:
    case DW_OP_GNU_addr_index:
    case DW_OP_const4u:
    case DW_OP_const8u:
    case DW_OP_constx:
    case DW_OP_GNU_const_index:
        return TRUE;
    default:
        return FALSE;
    }
}

/* What @op pushes: an address, or an offset of thread-local storage. */
static gboolean
get_operand(Dwarf_Attribute *location, const Dwarf_Op *op, guint64 *ret_value)
{
    Dwarf_Attribute indexed;
    Dwarf_Addr address = 0;
    Dwarf_Word number = 0;
    switch (op->atom) {
    case DW_OP_addrx:
    case DW_OP_GNU_addr_index:
        if (dwarf_getlocation_attr(location, op, &indexed) != 0 ||
            dwarf_formaddr(&indexed, &address) != 0)
            return FALSE;
        *ret_value = address;
        return TRUE;
    case DW_OP_constx:
    case DW_OP_GNU_const_index:
        if (dwarf_getlocation_attr(location, op, &indexed) != 0 ||
            dwarf_formudata(&indexed, &number) != 0)
            return FALSE;
        *ret_value = number;
        return TRUE;
    default:
        *ret_value = op->number;
        return TRUE;
    }
}

/* The fixed place of a variable; FALSE where it has none, or no code made it. */
static gboolean
read_place(Dwarf_Die *die, guint64 *ret_value, gboolean *ret_is_tls)
{
    Dwarf_Attribute location;
    Dwarf_Block block;
    Dwarf_Op *ops = NULL;
    size_t count = 0;
    if (dwarf_attr(die, DW_AT_location, &location) == NULL ||
        dwarf_formblock(&location, &block) != 0 || block.length == 0 ||
        block.length > LOCATION_BYTES_MAX || !is_place(block.data[0]) ||
        dwarf_getlocation(&location, &ops, &count) != 0 || count == 0 || count > 2 ||
        !get_operand(&location, &ops[0], ret_value))
        return FALSE;

    const gboolean is_address = ops[0].atom == DW_OP_addr || ops[0].atom == DW_OP_addrx ||
                                ops[0].atom == DW_OP_GNU_addr_index;
    *ret_is_tls = count == 2 && (ops[1].atom == DW_OP_form_tls_address ||
                                 ops[1].atom == DW_OP_GNU_push_tls_address);
    if (is_address && count == 2 && ops[1].atom == DW_OP_plus_uconst)
        *ret_value += ops[1].number;
    else if (count == 2 && !*ret_is_tls)
        return FALSE;
    /* The linker gives 0 to what it left out. */
    return *ret_is_tls || (is_address && *ret_value != 0);
}

static void
add_variable(Index *index, Dwarf_Die *die)
{
    Variable variable = {.die = *die};
    gboolean is_tls = FALSE;
    if (!read_place(die, &variable.value, &is_tls))
        return;
    GArray *list = is_tls ? index->tls : index->data;
    if (list->len < VARIABLES_MAX)
        g_array_append_val(list, variable);
}

/*
 * What may hold variables with a fixed place. A class only declares its static members and its
 * functions, which are defined beside it; but not where it is a function's own, as a lambda is.
 */
static gboolean
is_holder(int tag, gboolean is_in_function)
{
    switch (tag) {
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_subprogram:
    case DW_TAG_lexical_block:
    case DW_TAG_inlined_subroutine:
    case DW_TAG_try_block:
    case DW_TAG_catch_block:
    case DW_TAG_common_block:
        return TRUE;
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
        return is_in_function;
    default:
        return FALSE;
    }
}

static void
add_children(Index *index, Dwarf_Die *holder, guint depth)
{
    const int holder_tag = dwarf_tag(holder);
    const gboolean is_in_function =
        holder_tag == DW_TAG_subprogram || holder_tag == DW_TAG_lexical_block;
    Dwarf_Die die;
    if (depth >= DEPTH_MAX || dwarf_child(holder, &die) != 0)
        return;
    do {
        const int tag = dwarf_tag(&die);
        if (tag == DW_TAG_variable)
            add_variable(index, &die);
        else if (is_holder(tag, is_in_function))
            add_children(index, &die, depth + 1);
    } while (pm_die_next(&die));
}

static gint
compare_variables(gconstpointer a, gconstpointer b)
{
    const Variable *left = a;
    const Variable *right = b;
    if (left->value != right->value)
        return left->value < right->value ? -1 : 1;
    return (const guint8 *)left->die.addr < (const guint8 *)right->die.addr
               ? -1
               : (const guint8 *)left->die.addr > (const guint8 *)right->die.addr;
}

static void
fill_index(Index *index, Dwarf *dwarf)
{
    Dwarf_CU *unit = NULL;
    Dwarf_Die root, split;
    guint8 type = 0;
    index->data = g_array_new(FALSE, FALSE, sizeof(Variable));
    index->tls = g_array_new(FALSE, FALSE, sizeof(Variable));
    while (dwarf_get_units(dwarf, unit, &unit, NULL, &type, &root, &split) == 0) {
        if (type == DW_UT_skeleton && split.addr != NULL)
            add_children(index, &split, 0);
        else if (type == DW_UT_compile || type == DW_UT_partial)
            add_children(index, &root, 0);
    }
    g_array_sort(index->data, compare_variables);
    g_array_sort(index->tls, compare_variables);
}

static const Index *
get_index(const PmProcess *process, const PmModule *module)
{
    PmVariables *variables = process->variables;
    const guint number = (guint)(module - pm_process_module_at(process, 0));
    Index *index = g_ptr_array_index(variables->indexes, number);
    if (index == NULL) {
        index = g_new0(Index, 1);
        variables->indexes->pdata[number] = index;
        Dwarf *dwarf = pm_process_get_dwarf(process, module, &index->bias);
        if (dwarf != NULL)
            fill_index(index, dwarf);
    }
    return index;
}

/* The DIE that names @die: the declaration in its class, the function that was inlined. */
static Dwarf_Die
get_origin(const Dwarf_Die *die)
{
    Dwarf_Die at = *die;
    for (guint i = 0; i < QUALIFIERS_MAX; i++) {
        Dwarf_Attribute attribute;
        Dwarf_Die origin;
        if ((dwarf_attr(&at, DW_AT_specification, &attribute) == NULL &&
             dwarf_attr(&at, DW_AT_abstract_origin, &attribute) == NULL) ||
            dwarf_formref_die(&attribute, &origin) == NULL)
            break;
        at = origin;
    }
    return at;
}

/* Moves @die from a parent to the child that is @target, or that has it among its own. */
static gboolean
step_towards(Dwarf_Die *die, const Dwarf_Die *target)
{
    const guint8 *end = target->addr;
    Dwarf_Die next;
    if (dwarf_child(die, &next) != 0 || (const guint8 *)next.addr > end)
        return FALSE;
    do
        *die = next;
    while (pm_die_next(&next) && (const guint8 *)next.addr <= end);
    return TRUE;
}

static void
append_name(GString *text, const char *name)
{
    g_string_append_len(text, name, (gssize)strnlen(name, NAME_BYTES_MAX));
}

/* Appends what @die is in: "app::", "app::Cache::", "next_id::". */
static void
append_scopes(GString *text, const Dwarf_Die *die, guint qualifiers)
{
    const gsize start = text->len;
    Dwarf_Die target = get_origin(die);
    Dwarf_Die at;
    if (qualifiers >= QUALIFIERS_MAX || dwarf_diecu(&target, &at, NULL, NULL) == NULL)
        return;
    for (guint i = 0; i < DEPTH_MAX && step_towards(&at, &target) && at.addr != target.addr; i++) {
        const int tag = dwarf_tag(&at);
        const char *name = pm_die_get_name(&at);
        if (tag == DW_TAG_subprogram) {
            /* It may be defined elsewhere than in its class. */
            g_string_truncate(text, start);
            append_scopes(text, &at, qualifiers + 1);
        } else if (tag == DW_TAG_namespace && name[0] == '\0') {
            name = "(anonymous namespace)";
        } else if (tag != DW_TAG_namespace && tag != DW_TAG_structure_type &&
                   tag != DW_TAG_class_type && tag != DW_TAG_union_type) {
            name = "";
        }
        append_name(text, name);
        if (name[0] != '\0')
            g_string_append(text, "::");
    }
}

/* The last of those that begin at or before @value, counted from 1; 0 where there is none. */
static guint
find_nearest(const GArray *list, guint64 value)
{
    guint low = 0, high = list->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(list, Variable, middle).value > value)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static char *
describe(const PmProcess *process, Variable *variable, guint64 value)
{
    const guint word_bytes = pm_image_get_target(process->image)->word_bytes;
    const guint64 offset = value - variable->value;
    const char *name = pm_die_get_name(&variable->die);
    Dwarf_Die type;
    if (name[0] == '\0' || !pm_die_get_type(&variable->die, &type))
        return NULL;
    GString *text = g_string_new(NULL);
    append_scopes(text, &variable->die, 0);
    append_name(text, name);
    pm_type_append_path(&type, offset, word_bytes, text);
    return g_string_free(text, FALSE);
}

/* By the variables' types alone. */
static char *
describe_covering(const PmProcess *process, const GArray *list, guint64 value)
{
    const guint word_bytes = pm_image_get_target(process->image)->word_bytes;
    const guint nearest = find_nearest(list, value);
    for (guint i = nearest; i > 0 && nearest - i < COVER_STEPS_MAX; i--) {
        Variable *variable = &g_array_index(list, Variable, i - 1);
        Dwarf_Die type;
        if (pm_die_get_type(&variable->die, &type) &&
            value - variable->value < pm_type_get_size(&type, word_bytes))
            return describe(process, variable, value);
    }
    return NULL;
}

char *
pm_process_describe_variable(const PmProcess *process, PmAddr address)
{
    const PmModule *module = pm_process_find_module(process, address);
    const Index *index = module != NULL ? get_index(process, module) : NULL;
    PmSymbol symbol;
    guint64 offset = 0;
    if (index == NULL || index->data == NULL)
        return NULL;
    const guint64 value = address - index->bias;
    char *text = describe_covering(process, index->data, value);
    const guint nearest = find_nearest(index->data, value);
    if (text != NULL || nearest == 0)
        return text;

    /* An array without a size of its own, or the end of a structure that has one: the symbol knows.
     */
    Variable *variable = &g_array_index(index->data, Variable, nearest - 1);
    if (!pm_process_symbolize(process, address, &symbol, &offset) || offset >= symbol.size_bytes ||
        symbol.address - index->bias != variable->value)
        return NULL;
    return describe(process, variable, value);
}

char *
pm_process_describe_thread_local(const PmProcess *process, const PmThread *thread, PmAddr address,
                                 const PmModule **ret_module)
{
    for (guint i = 0; i < process->modules->len; i++) {
        const PmModule *module = pm_process_module_at(process, i);
        PmAddr block = 0;
        if (module->tls_bytes == 0 ||
            !pm_process_get_tls_block(process, thread, module->tls_modid, &block) ||
            address < block || address - block >= module->tls_bytes)
            continue;
        const Index *index = get_index(process, module);
        char *text =
            index->tls != NULL ? describe_covering(process, index->tls, address - block) : NULL;
        if (text != NULL && ret_module != NULL)
            *ret_module = module;
        return text;
    }
    return NULL;
}
