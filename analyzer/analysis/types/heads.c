/*
 * Which structures begin with which, and what they hold further in; see plan.h.
 */
#include "analysis/types/plan.h"

#include <string.h>

/* Whether the first members of @type are all of @head's. */
static gboolean
has_same_head(PmTypes *types, const PmType *type, const PmType *head)
{
    gsize count = 0;
    gsize head_count = 0;
    const PmField *head_fields = pm_type_get_fields(types, head, &head_count);
    const PmField *fields = pm_type_get_fields(types, type, &count);
    if (head_count < 2 || count < head_count)
        return FALSE;
    for (gsize i = 0; i < head_count; i++) {
        if (fields[i].offset_bytes != head_fields[i].offset_bytes ||
            fields[i].type != head_fields[i].type || fields[i].name[0] == '\0' ||
            strcmp(fields[i].name, head_fields[i].name) != 0)
            return FALSE;
    }
    return TRUE;
}

/* The first member that has bytes, NULL where there is none. */
static const PmType *
get_first(const PmField *fields, gsize count)
{
    for (gsize i = 0; i < count && fields[i].offset_bytes == 0; i++)
        if (fields[i].type->size_bytes > 0)
            return fields[i].type;
    return NULL;
}

/* Each member of a union begins it. */
static gboolean
is_member(const PmType *type, const PmField *fields, gsize count, const PmType *head)
{
    for (gsize i = 0; type->kind == PM_TYPE_UNION && i < count; i++)
        if (fields[i].type == head)
            return TRUE;
    return FALSE;
}

gboolean
pm_type_begins_with(PmTypes *types, const PmType *type, const PmType *head)
{
    for (guint depth = 0; depth < PM_TYPE_DEPTH_MAX && type != NULL; depth++) {
        gsize count = 0;
        if (type == head)
            return TRUE;
        if (type->kind == PM_TYPE_ARRAY) {
            type = pm_type_get_target(types, type);
            continue;
        }
        if (type->kind != PM_TYPE_STRUCT && type->kind != PM_TYPE_UNION)
            return FALSE;
        if (type->kind == PM_TYPE_STRUCT && head->kind == PM_TYPE_STRUCT &&
            has_same_head(types, type, head))
            return TRUE;
        const PmField *fields = pm_type_get_fields(types, type, &count);
        if (is_member(type, fields, count, head))
            return TRUE;
        type = get_first(fields, count);
    }
    return FALSE;
}

/* The largest member of @type that holds @offset_bytes: of a union one of several. */
static const PmField *
find_inner(PmTypes *types, const PmType *type, guint64 offset_bytes)
{
    gsize count = 0;
    const PmField *inner = NULL;
    const PmField *fields = pm_type_get_fields(types, type, &count);
    for (gsize i = 0; i < count; i++) {
        if (offset_bytes < fields[i].offset_bytes ||
            offset_bytes - fields[i].offset_bytes >= fields[i].type->size_bytes)
            continue;
        if (inner == NULL || fields[i].type->size_bytes > inner->type->size_bytes)
            inner = &fields[i];
    }
    return inner;
}

/* Whether a member of @type that is at @offset_bytes begins with @head. */
static gboolean
has_at(PmTypes *types, const PmType *type, guint64 offset_bytes, const PmType *head)
{
    gsize count = 0;
    const PmField *fields = pm_type_get_fields(types, type, &count);
    for (gsize i = 0; i < count; i++)
        if (fields[i].offset_bytes == offset_bytes &&
            pm_type_begins_with(types, fields[i].type, head))
            return TRUE;
    return FALSE;
}

gboolean
pm_type_holds_at(PmTypes *types, const PmType *type, guint64 offset_bytes, const PmType *head)
{
    for (guint depth = 0; depth < PM_TYPE_DEPTH_MAX; depth++) {
        if (offset_bytes == 0 && pm_type_begins_with(types, type, head))
            return TRUE;
        if (type->kind == PM_TYPE_ARRAY) {
            type = pm_type_get_target(types, type);
            if (type == NULL || type->size_bytes == 0)
                return FALSE;
            offset_bytes %= type->size_bytes;
            continue;
        }
        if (has_at(types, type, offset_bytes, head))
            return TRUE;
        const PmField *inner = find_inner(types, type, offset_bytes);
        if (inner == NULL)
            return FALSE;
        offset_bytes -= inner->offset_bytes;
        type = inner->type;
    }
    return FALSE;
}
