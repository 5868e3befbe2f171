/*
 * Fingerprints; see stores.h.
 */
#include "analysis/sites/stores.h"

const char *
pm_stored_kind_name(PmStoredKind kind)
{
    switch (kind) {
    case PM_STORED_CONSTANT:
        return "constant";
    case PM_STORED_ADDRESS:
        return "address";
    case PM_STORED_COPY:
        return "copy";
    case PM_STORED_ARGUMENT:
        return "argument";
    case PM_STORED_RESULT:
        return "allocation";
    case PM_STORED_PASSED:
        return "passed";
    case PM_STORED_OTHER:
        break;
    }
    return "other";
}

/* Whether both are of the same place. */
static gboolean
is_same_place(const PmStore *a, const PmStore *b)
{
    return a->offset == b->offset && a->width_bytes == b->width_bytes &&
           (a->kind == PM_STORED_PASSED) == (b->kind == PM_STORED_PASSED);
}

/* Makes all stores of the place of @store one that is not known. */
static void
forget_place(GArray *stores, const PmStore *store)
{
    gboolean is_first = TRUE;
    for (guint i = 0; i < stores->len;) {
        PmStore *other = &g_array_index(stores, PmStore, i);
        if (!is_same_place(other, store)) {
            i++;
        } else if (is_first) {
            *other = (PmStore){.offset = store->offset, .width_bytes = store->width_bytes};
            is_first = FALSE;
            i++;
        } else {
            g_array_remove_index(stores, i);
        }
    }
}

void
pm_stores_add(GArray *stores, const PmStore *store)
{
    guint at = 0, others = 0;
    while (at < stores->len && g_array_index(stores, PmStore, at).offset < store->offset)
        at++;
    for (; at < stores->len; at++) {
        PmStore *other = &g_array_index(stores, PmStore, at);
        if (other->offset != store->offset)
            break;
        if (!is_same_place(other, store))
            continue;
        others++;
        if (other->kind == store->kind && other->value == store->value) {
            other->is_late = other->is_late && store->is_late;
            return;
        }
    }
    if (others >= PM_STORES_AT_ONE_PLACE && store->kind != PM_STORED_PASSED)
        forget_place(stores, store);
    else if (others < PM_STORES_AT_ONE_PLACE && stores->len < PM_STORES_MAX)
        g_array_insert_val(stores, at, *store);
}

PmStore
pm_store_make(const PmExprs *exprs, gint64 offset, guint width_bytes, const PmValue *value)
{
    PmStore store = {.offset = (gint32)offset, .width_bytes = width_bytes};
    guint64 constant = 0;
    switch ((PmValueKind)value->kind) {
    case PM_VALUE_SET:
        if (!pm_value_is_constant(value, &constant))
            break;
        store.kind = PM_STORED_CONSTANT;
        store.value = constant;
        break;
    case PM_VALUE_POINTER:
        store.kind = PM_STORED_ADDRESS;
        store.value = value->v[0];
        break;
    case PM_VALUE_SLOT:
        store.kind = PM_STORED_COPY;
        store.value = value->v[0];
        break;
    case PM_VALUE_EXPR:
        store.kind = PM_STORED_ARGUMENT;
        store.value = pm_exprs_get(exprs, value->id)->arguments[0];
        break;
    case PM_VALUE_RESULT:
        store.kind = PM_STORED_RESULT;
        break;
    default:
        break;
    }
    return store;
}
