/*
 * The path from a type to what is at an offset in it.
 */
#include "dwarf/types-private.h"

#define PATH_BYTES_MAX 4096
/* Members looked at for one path; unions within unions try all. */
#define STEPS_MAX 100000

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
