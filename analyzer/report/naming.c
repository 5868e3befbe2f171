#include "report/naming.h"

static const PmNamedRow *
get_row(const PmNaming *naming, gsize row)
{
    return naming != NULL && row < naming->row_count ? &naming->rows[row] : NULL;
}

void
pm_typed_write_json(PmJson *json, const PmTyped *typed)
{
    if (typed->by == PM_TYPED_NOT) {
        pm_json_null(json, "type");
        pm_json_null(json, "type_source");
        return;
    }
    pm_json_string(json, "type", typed->name);
    pm_json_string(json, "type_source", pm_typed_by_name(typed->by));
    pm_json_double(json, "type_confidence", typed->confidence);
    pm_json_uint(json, "type_offset", typed->offset_bytes);
    pm_json_uint(json, "type_elements", typed->elements);
}

char *
pm_typed_describe(const PmTyped *typed)
{
    if (typed->by == PM_TYPED_NOT)
        return NULL;
    GString *text = g_string_new(typed->name);
    if (typed->offset_bytes != 0)
        g_string_append_printf(text, " from +0x%" G_GINT64_MODIFIER "x on", typed->offset_bytes);
    g_string_append_printf(text, " (by %s, %.2f)", pm_typed_by_name(typed->by), typed->confidence);
    return g_string_free(text, FALSE);
}

void
pm_named_write_json(PmJson *json, const PmNaming *naming, gsize row)
{
    static const PmNamedRow unknown = {.typed = {.by = PM_TYPED_NOT}};
    const PmNamedRow *named = get_row(naming, row);
    const PmSchemaLayout *layout = named != NULL && named->layout < naming->schema->layout_count
                                       ? &naming->schema->layouts[named->layout]
                                       : NULL;
    if (named == NULL)
        named = &unknown;
    const gboolean is_typed =
        named->typed.by != PM_TYPED_NOT && named->typed.by != PM_TYPED_BY_LAYOUT;
    pm_json_string(json, "type", is_typed ? named->typed.name : NULL);
    pm_json_string(json, "type_source", is_typed ? pm_typed_by_name(named->typed.by) : NULL);
    if (is_typed)
        pm_json_double(json, "type_confidence", named->typed.confidence);
    else
        pm_json_null(json, "type_confidence");
    pm_json_string(json, "type_reason", is_typed ? named->typed.reason : NULL);
    const PmType *nearest = pm_named_row_has_near(named) ? named->nearest : NULL;
    pm_json_string(json, "nearest", nearest != NULL ? nearest->name : NULL);
    if (nearest != NULL)
        pm_json_double(json, "nearest_fit", named->nearest_fit);
    else
        pm_json_null(json, "nearest_fit");
    pm_json_string(json, "layout", layout != NULL ? layout->signature : NULL);
}

char *
pm_named_describe(const PmNaming *naming, gsize row)
{
    const PmNamedRow *named = get_row(naming, row);
    if (named == NULL)
        return NULL;
    const PmTyped *typed = &named->typed;
    switch (typed->by) {
    case PM_TYPED_BY_VTABLE:
        return g_strdup_printf("%s (by its vtable)", typed->name);
    case PM_TYPED_BY_FIT:
        return g_strdup_printf("%s (fits best, %.2f)", typed->name, typed->confidence);
    case PM_TYPED_BY_LAYOUT:
        if (!pm_named_row_has_near(named))
            return g_strdup_printf("no type; %s", typed->name);
        return g_strdup_printf("no type; %s; nearest %s, fit %.2f", typed->name,
                               named->nearest->name, named->nearest_fit);
    default:
        return g_strdup_printf("%s (by %s, %.2f)", typed->name, pm_typed_by_name(typed->by),
                               typed->confidence);
    }
}
