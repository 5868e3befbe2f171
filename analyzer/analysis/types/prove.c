/*
 * Types that were given on the ground of what a chunk was taken for at first, and is not any more,
 * are taken back: every type is traced from the variables once more, along the pointers of what
 * everything is now. The chains of pointers that it finds are the shortest.
 */
#include "analysis/types/typing-private.h"

static gboolean
is_proven(const PmTyping *typing, PmSlot slot)
{
    const guint64 half = slot >> 1;
    return ((typing->proven[half >> 6] >> (half & 63)) & 1) != 0;
}

static void
set_proven(PmTyping *typing, PmSlot slot)
{
    const guint64 half = slot >> 1;
    typing->proven[half >> 6] |= (guint64)1 << (half & 63);
}

/* Whether a pointer to @target, @offset into the chunk, is a ground for @binding. */
static gboolean
is_ground(PmTyping *typing, const PmBinding *binding, const PmPointee *target, guint64 offset)
{
    const PmPointee *own = binding->target;
    if (own == NULL || target->type == NULL)
        return FALSE;
    if (own == target)
        return binding->shape == PM_SHAPE_POOL || binding->shape == PM_SHAPE_ARRAY ||
               offset == binding->offset_bytes;
    if (own->kind == PM_POINTEE_OPAQUE || target->kind != PM_POINTEE_RECORD)
        return FALSE;
    if (binding->shape == PM_SHAPE_POOL || offset < binding->offset_bytes)
        return FALSE;
    return pm_match_holds(typing, binding, offset, target);
}

static void
prove(PmTyping *typing, const PmWordAhead *word, const PmSpot *spot)
{
    PmAssignment *own = pm_assignments_get(&typing->assignments, spot->slot);
    set_proven(typing, spot->slot);
    const PmTypedBy by = pm_typing_get_binding(typing, own->binding)->by;
    if (by == PM_TYPED_BY_POINTER || by == PM_TYPED_BY_FIT)
        own->parent = word->parent;
    pm_slot_queue_push(&typing->queue, spot->slot, spot->region);
}

void
pm_prove_follow_object(PmTyping *typing, PmAddr address, const PmPointee *target)
{
    const guint32 index = pm_propagate_find_object(typing, address, target);
    if (index == 0 || g_array_index(typing->proven_objects, gboolean, index))
        return;
    g_array_index(typing->proven_objects, gboolean, index) = TRUE;
    pm_slot_queue_push(&typing->queue, index, PM_SLOT_QUEUE_OBJECT);
}

/* Whether what was learnt of pointers like @word still says @binding. */
static gboolean
is_learnt(PmTyping *typing, const PmBinding *binding, const PmWordAhead *word, PmPointee *target,
          const PmSpot *spot)
{
    const guint32 id = pm_groups_peek(typing, word->slot->edge, target, word->owner, spot);
    return id != 0 && pm_typing_get_binding(typing, id)->target == binding->target;
}

/* Whether @word, to @target (of a union, to one of them), is a ground for what the chunk is. */
static gboolean
proves(PmTyping *typing, const PmWordAhead *word, PmPointee *target, const PmSpot *spot)
{
    const guint32 id = pm_assignments_get_binding(&typing->assignments, spot->slot);
    const PmBinding *binding = pm_typing_get_binding(typing, id);
    const gboolean vague = target->kind == PM_POINTEE_VOID || word->slot->edge->target_count > 1;
    if (is_ground(typing, binding, target, spot->offset_bytes) && binding->target == target)
        return TRUE;
    if (binding->rank == PM_RANK_GUESS || binding->rank == PM_RANK_FIT)
        return (binding->rank == PM_RANK_FIT &&
                is_ground(typing, binding, target, spot->offset_bytes)) ||
               (vague && is_learnt(typing, binding, word, NULL, spot)) ||
               (target->kind == PM_POINTEE_RECORD &&
                is_learnt(typing, binding, word, target, spot));
    return is_ground(typing, binding, target, spot->offset_bytes);
}

void
pm_prove_follow(PmTyping *typing, const PmWordAhead *word, const PmSpot *spot)
{
    const PmTypedEdge *edge = word->slot->edge;
    gboolean open = pm_assignments_get(&typing->assignments, spot->slot) != NULL &&
                    !is_proven(typing, spot->slot);
    for (guint i = 0; i < edge->target_count; i++) {
        PmPointee *target = edge->targets[i];
        if (open && proves(typing, word, target, spot)) {
            prove(typing, word, spot);
            open = FALSE;
        }
        if (spot->offset_bytes > 0 && target->kind == PM_POINTEE_RECORD)
            pm_prove_follow_object(typing, spot->user + spot->offset_bytes, target);
    }
}

/* What says itself what it is. */
static void
begin_at_chunk(PmTyping *typing, const PmSpot *spot, G_GNUC_UNUSED gpointer data)
{
    const guint32 id = pm_assignments_get_binding(&typing->assignments, spot->slot);
    const PmBinding *binding = pm_typing_get_binding(typing, id);
    if (binding->by == PM_TYPED_BY_POINTER || binding->by == PM_TYPED_BY_FIT ||
        is_proven(typing, spot->slot))
        return;
    set_proven(typing, spot->slot);
    pm_slot_queue_push(&typing->queue, spot->slot, spot->region);
    pm_propagate_run(typing);
}

static void
drop_chunk(PmTyping *typing, const PmSpot *spot, G_GNUC_UNUSED gpointer data)
{
    if (is_proven(typing, spot->slot))
        return;
    PmAssignment *own = pm_assignments_get(&typing->assignments, spot->slot);
    *own = (PmAssignment){0};
    typing->assignments.count--;
    typing->asked = TRUE;
}

static void
drop_unproven(PmTyping *typing)
{
    pm_typing_sweep(typing, TRUE, drop_chunk, NULL);
    for (guint i = 1; i < typing->objects->len; i++) {
        PmObject *object = &g_array_index(typing->objects, PmObject, i);
        if (g_array_index(typing->proven_objects, gboolean, i) || object->name != NULL ||
            object->target == NULL)
            continue;
        const guint64 key[2] = {object->address, GPOINTER_TO_SIZE(object->target)};
        g_hash_table_remove(typing->object_keys, key);
        object->target = NULL;
    }
}

void
pm_prove(PmTyping *typing)
{
    typing->proven =
        g_try_malloc0_n((pm_resolver_get_slots(typing->resolver) >> 7) + 1, sizeof(guint64));
    typing->proven_objects = g_array_new(FALSE, TRUE, sizeof(gboolean));
    g_array_set_size(typing->proven_objects, typing->objects->len);
    if (typing->proven != NULL) {
        typing->queue.spilled = FALSE;
        for (guint32 i = 1; i < typing->objects->len; i++)
            if (g_array_index(typing->objects, PmObject, i).name != NULL)
                pm_propagate_visit_object(typing, i);
        pm_propagate_run(typing);
        pm_typing_sweep(typing, TRUE, begin_at_chunk, NULL);
        /* What did not fit in the queue is not disproved. */
        if (!typing->queue.spilled)
            drop_unproven(typing);
    }
    typing->retyped = 0;
    g_free(typing->proven);
    typing->proven = NULL;
    g_array_unref(typing->proven_objects);
    typing->proven_objects = NULL;
}
