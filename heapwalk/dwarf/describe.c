/*
 * The path from a type to what is at an offset in it, and the variable and the path in it of what
 * is at an address.
 */
#include "dwarf/types-private.h"

#define PATH_BYTES_MAX 4096
/* Members looked at for one path; unions within unions try all. */
#define STEPS_MAX 100000
/* Copies of an inline variable, and objects without a size, at one address. */
#define COVER_STEPS_MAX 64

typedef struct {
    PmTypes *types;
    GString *path;
    guint steps;
} Walk;

static void
append_rest(const Walk *walk, guint64 offset_bytes)
{
    if (offset_bytes > 0)
        g_string_append_printf(walk->path, " + 0x%" G_GINT64_MODIFIER "x", offset_bytes);
}

static gboolean descend(Walk *walk, const PmType *type, guint64 offset_bytes, guint depth);

static gboolean
enter_field(Walk *walk, const PmField *field, guint64 offset_bytes, guint depth)
{
    if (field->name[0] != '\0') {
        g_string_append_c(walk->path, '.');
        g_string_append_len(walk->path, field->name,
                            (gssize)strnlen(field->name, PM_NAME_BYTES_MAX));
    }
    return descend(walk, field->type, offset_bytes - field->offset_bytes, depth + 1);
}

/*
 * Of the members that cover @offset_bytes the first that has a pointer there, or else the first
 * that names what is there: those of a union overlap, and so do bases that have no members. Where
 * none covers it, an array without a size that ends the structure does.
 */
static gboolean
enter_record(Walk *walk, const PmType *type, guint64 offset_bytes, guint depth)
{
    const gsize length = walk->path->len;
    gsize count = 0;
    const PmField *fields = pm_type_get_fields(walk->types, type, &count);
    const PmField *open_end = NULL;
    g_autofree char *first = NULL;
    for (gsize i = 0; i < count && walk->steps < STEPS_MAX; i++) {
        const PmField *field = &fields[i];
        walk->steps++;
        if (field->offset_bytes > offset_bytes)
            continue;
        if (field->type->kind == PM_TYPE_ARRAY && field->type->size_bytes == 0)
            open_end = field;
        if (offset_bytes - field->offset_bytes >= field->type->size_bytes)
            continue;
        if (enter_field(walk, field, offset_bytes, depth))
            return TRUE;
        if (first == NULL && walk->path->len > length)
            first = g_strdup(walk->path->str + length);
        g_string_truncate(walk->path, length);
    }
    if (first != NULL)
        g_string_append(walk->path, first);
    else if (open_end != NULL)
        return enter_field(walk, open_end, offset_bytes, depth);
    else
        append_rest(walk, offset_bytes);
    return FALSE;
}

static gboolean
enter_array(Walk *walk, const PmType *type, guint64 offset_bytes, guint depth)
{
    const PmTypeEntry *entry = pm_type_entry(type);
    guint64 strides[PM_DIMENSIONS_MAX];
    guint64 stride_bytes = entry->target->size_bytes;
    for (guint i = entry->dimensions; i > 0 && stride_bytes > 0; i--) {
        strides[i - 1] = stride_bytes;
        /* How many there are of the outermost does not matter. */
        if (i > 1 && !g_uint64_checked_mul(&stride_bytes, stride_bytes, entry->counts[i - 1]))
            stride_bytes = 0;
    }
    if (stride_bytes == 0) {
        append_rest(walk, offset_bytes);
        return FALSE;
    }
    for (guint i = 0; i < entry->dimensions; i++) {
        g_string_append_printf(walk->path, "[%" G_GUINT64_FORMAT "]", offset_bytes / strides[i]);
        offset_bytes %= strides[i];
    }
    return descend(walk, entry->target, offset_bytes, depth + 1);
}

/* Returns: whether the path ended at a pointer. */
static gboolean
descend(Walk *walk, const PmType *type, guint64 offset_bytes, guint depth)
{
    if (depth < PM_TYPE_DEPTH_MAX && walk->path->len < PATH_BYTES_MAX) {
        if (type->kind == PM_TYPE_STRUCT || type->kind == PM_TYPE_UNION)
            return enter_record(walk, type, offset_bytes, depth);
        if (type->kind == PM_TYPE_ARRAY)
            return enter_array(walk, type, offset_bytes, depth);
    }
    append_rest(walk, offset_bytes);
    return type->kind == PM_TYPE_POINTER && offset_bytes == 0;
}

char *
pm_type_describe_offset(PmTypes *types, const PmType *type, guint64 offset_bytes)
{
    Walk walk = {.types = types, .path = g_string_new(NULL)};
    descend(&walk, type, offset_bytes, 0);
    return g_string_free(walk.path, FALSE);
}

/* Where those of data, or those that are thread-local, end: counted from 0. */
static guint
find_end(const GArray *variables, gboolean is_tls, PmAddr address)
{
    guint low = 0, high = variables->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        const PmTypedVariable *variable = &g_array_index(variables, PmTypedVariable, middle);
        if (variable->is_tls != is_tls ? variable->is_tls : variable->address > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static char *
describe_in(PmTypes *types, const PmTypedVariable *variable, PmAddr address)
{
    g_autofree char *path =
        pm_type_describe_offset(types, variable->type, address - variable->address);
    return g_strconcat(variable->name, path, NULL);
}

/* By the variables' types alone. @ret_nearest: the last that begins at or before @address, or NULL.
 */
static char *
describe_covering(PmTypes *types, const PmModule *module, gboolean is_tls, PmAddr address,
                  const PmTypedVariable **ret_nearest)
{
    const GArray *variables = pm_types_get_variables(types, module);
    const guint end = find_end(variables, is_tls, address);
    *ret_nearest = NULL;
    for (guint i = end; i > 0 && end - i < COVER_STEPS_MAX; i--) {
        const PmTypedVariable *variable = &g_array_index(variables, PmTypedVariable, i - 1);
        if (variable->is_tls != is_tls)
            break;
        if (*ret_nearest == NULL)
            *ret_nearest = variable;
        if (address - variable->address < variable->type->size_bytes)
            return describe_in(types, variable, address);
    }
    return NULL;
}

char *
pm_types_describe_variable(PmTypes *types, PmAddr address)
{
    const PmModule *module = pm_process_find_module(types->process, address);
    const PmTypedVariable *nearest = NULL;
    PmSymbol symbol;
    guint64 offset = 0;
    if (module == NULL)
        return NULL;
    char *text = describe_covering(types, module, FALSE, address, &nearest);
    if (text != NULL || nearest == NULL)
        return text;
    /* An array without a size of its own, or the end of a structure that has one: the symbol knows.
     */
    if (!pm_process_symbolize(types->process, address, &symbol, &offset) ||
        offset >= symbol.size_bytes || symbol.address != nearest->address)
        return NULL;
    return describe_in(types, nearest, address);
}

char *
pm_types_describe_thread_local(PmTypes *types, const PmThread *thread, PmAddr address,
                               const PmModule **ret_module)
{
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(types->process, &count);
    for (gsize i = 0; i < count; i++) {
        const PmTypedVariable *nearest = NULL;
        PmAddr block = 0;
        if (modules[i].tls_bytes == 0 ||
            !pm_process_get_tls_block(types->process, thread, modules[i].tls_modid, &block) ||
            address < block || address - block >= modules[i].tls_bytes)
            continue;
        char *text = describe_covering(types, &modules[i], TRUE, address - block, &nearest);
        if (text != NULL && ret_module != NULL)
            *ret_module = &modules[i];
        return text;
    }
    return NULL;
}
