#include "analysis/types/typing-private.h"

static guint
hash_binding(gconstpointer key)
{
    const PmBinding *binding = key;
    guint hash = g_direct_hash(binding->target) * 31 + g_direct_hash(binding->name);
    hash = hash * 31 + g_direct_hash(binding->reason);
    hash = hash * 31 + (guint)binding->offset_bytes;
    return hash * 31 + (guint)binding->by * 64 + (guint)binding->shape * 8 + binding->level +
           (guint)binding->rank * 512;
}

static gboolean
equal_bindings(gconstpointer a, gconstpointer b)
{
    const PmBinding *left = a;
    const PmBinding *right = b;
    return left->target == right->target && left->name == right->name &&
           left->reason == right->reason && left->offset_bytes == right->offset_bytes &&
           left->by == right->by && left->shape == right->shape && left->level == right->level &&
           left->rank == right->rank;
}

/* The table of ids is keyed by copies, because the array of bindings moves as it grows. */
guint32
pm_typing_intern(PmTyping *typing, const PmBinding *binding)
{
    if (typing->binding_ids == NULL)
        typing->binding_ids = g_hash_table_new_full(hash_binding, equal_bindings, g_free, NULL);
    const guint32 known = GPOINTER_TO_UINT(g_hash_table_lookup(typing->binding_ids, binding));
    if (known != 0 || typing->bindings->len >= PM_BINDINGS_MAX)
        return known;
    const guint32 id = typing->bindings->len;
    g_array_append_vals(typing->bindings, binding, 1);
    g_hash_table_insert(typing->binding_ids, g_memdup2(binding, sizeof *binding),
                        GUINT_TO_POINTER(id));
    return id;
}

void
pm_typing_mark_fit(PmBinding *binding)
{
    if (binding->level != PM_LEVEL_FIT)
        return;
    binding->by = PM_TYPED_BY_FIT;
    binding->rank = MIN(binding->rank, PM_RANK_FIT);
    binding->reason = "a pointer leads to it from a structure that was found by fit";
}

const char *
pm_typing_intern_name(PmTyping *typing, const char *name)
{
    return g_string_chunk_insert_const(typing->names, name);
}
