/*
 * What one declared pointer says of what it leads to.
 */
#include "analysis/types/typing-private.h"

/* The low bits of a pointer in which programs keep flags. */
#define TAG_BITS 7u
/* How much better the other of two declarations must agree with the contents. */
#define CONTEST_MARGIN 2
#define CONTESTS_MAX   100000

/* A typed pointer that leads to none of the heap's chunks: a pool of the program's own, a library's
 * data, a stack. Variables of modules with DWARF are known anyway. */
static void
follow_outside(PmTyping *typing, const PmWordAhead *word, PmPointee *target, guint64 value)
{
    PmSpan span;
    if (target->kind != PM_POINTEE_RECORD || value == 0 || value % typing->word_bytes != 0 ||
        typing->audits)
        return;
    if (typing->proven != NULL) {
        pm_prove_follow_object(typing, value, target);
        return;
    }
    const PmModule *module = pm_process_find_module(typing->process, value);
    if (module != NULL && module->dwarf)
        return;
    if (pm_resolver_may_hold(&typing->filter, value)) {
        PmHit hit;
        if (pm_resolver_find(typing->resolver, value, &hit))
            return; /* a free chunk */
    }
    pm_space_get_span(typing->target_reader.space, value, &span);
    if (span.kind != PM_BYTES_DUMPED || span.length_bytes < target->size_bytes ||
        pm_match_weigh(typing, target, value, target->size_bytes) < 0)
        return;
    /* What a list of free blocks holds has members that nobody keeps. */
    if (pm_match_weigh(typing, target, value, target->size_bytes) < 0)
        return;
    const PmObject object = {.address = value,
                             .bytes = target->size_bytes,
                             .type = target->type,
                             .target = target,
                             .parent = word->parent,
                             .level = pm_level_weaker(word->level)};
    (void)pm_propagate_add_object(typing, &object);
}

/* A pointer into a chunk where its own type says nothing of what is there: bytes, or what is behind
 * the type. */
static void
follow_inside(PmTyping *typing, const PmWordAhead *word, PmPointee *target, const PmSpot *spot,
              const PmBinding *binding)
{
    if (target->kind != PM_POINTEE_RECORD || spot->offset_bytes == 0 || typing->audits ||
        target->size_bytes > spot->usable_bytes - spot->offset_bytes)
        return;
    if (binding->rank != PM_RANK_BYTES && pm_match_covers(typing, binding, spot->offset_bytes))
        return;
    /* Another of the same behind one that takes any size: not one, but many. */
    if (binding->target == target && target->is_flexible && binding->shape == PM_SHAPE_ONE)
        (void)pm_assignments_set(
            &typing->assignments, spot->slot,
            (PmAssignment){pm_groups_make_pool(typing, target, PM_RANK_WHOLE, word->level),
                           word->parent});
    const PmObject object = {.address = spot->user + spot->offset_bytes,
                             .bytes = target->size_bytes,
                             .type = target->type,
                             .target = target,
                             .parent = word->parent,
                             .level = pm_level_weaker(word->level)};
    (void)pm_propagate_add_object(typing, &object);
}

/* What a pointer to @target says of the chunk at @spot. */
static guint32
decide(PmTyping *typing, const PmWordAhead *word, PmPointee *target, const PmSpot *spot)
{
    guint32 binding = 0;
    if (target->is_polymorphic)
        binding = pm_classes_decide(typing, spot);
    if (binding == 0)
        binding = pm_match_decide(typing, target, spot, word->level);
    if (binding != 0 && pm_typing_get_binding(typing, binding)->rank > PM_RANK_HEAD)
        return binding;
    /* What was learnt of its like says more than that it begins so. */
    const guint32 learnt =
        pm_groups_ask(typing, word->slot->edge, target, word->owner, spot, word->level);
    return learnt != 0 && (binding == 0 || pm_typing_get_binding(typing, learnt)->rank >
                                               pm_typing_get_binding(typing, binding)->rank)
               ? learnt
               : binding;
}

/* How well the contents of the chunk at @spot agree with what @binding says. */
static gint
weigh_binding(PmTyping *typing, const PmBinding *binding, const PmSpot *spot)
{
    if (binding->target == NULL || binding->offset_bytes >= spot->usable_bytes)
        return 0;
    return pm_match_weigh(typing, binding->target, spot->user + binding->offset_bytes,
                          spot->usable_bytes - binding->offset_bytes);
}

/* Two declarations contradict each other, and neither is stronger: one of the pointers is stale, or
 * was never set. The contents tell, once. */
static void
contest(PmTyping *typing, const PmWordAhead *word, PmPointee *target, const PmSpot *spot,
        PmAssignment *old)
{
    const PmBinding own = *pm_typing_get_binding(typing, old->binding);
    if (own.by != PM_TYPED_BY_POINTER || target->kind != PM_POINTEE_RECORD)
        return;
    if (typing->contested == NULL)
        typing->contested = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    if (g_hash_table_contains(typing->contested, &spot->slot) ||
        g_hash_table_size(typing->contested) >= CONTESTS_MAX)
        return;
    const guint32 id = pm_match_decide(typing, target, spot, word->level);
    if (id == 0 || pm_typing_get_binding(typing, id)->rank < PM_RANK_ARRAY)
        return;
    const gint weight = weigh_binding(typing, pm_typing_get_binding(typing, id), spot);
    if (weight <= 0 || weight < weigh_binding(typing, &own, spot) + CONTEST_MARGIN)
        return;
    g_hash_table_add(typing->contested, g_memdup2(&spot->slot, sizeof spot->slot));
    pm_propagate_note_change(typing, &own, pm_typing_get_binding(typing, id));
    *old = (PmAssignment){id, word->parent};
    pm_slot_queue_push(&typing->queue, spot->slot, spot->region);
}

/* The same as @id, for a pointer that the program may have left there before the chunk was its. */
static guint32
weaken(PmTyping *typing, guint32 id)
{
    if (id == 0)
        return 0;
    PmBinding binding = *pm_typing_get_binding(typing, id);
    binding.rank = MIN(binding.rank, PM_RANK_HEAD);
    binding.level = MAX(binding.level, PM_LEVEL_WEAK);
    binding.reason = "a typed pointer leads to it, from what may be slack behind its structure";
    return pm_typing_intern(typing, &binding);
}

/* Follows a pointer to @target into the chunk at @spot. One that may be stale counts where nothing
 * else speaks for the chunk. */
static void
follow_chunk(PmTyping *typing, const PmWordAhead *word, PmPointee *target, const PmSpot *spot)
{
    PmAssignment *old = pm_assignments_get(&typing->assignments, spot->slot);
    if ((word->is_slack && (old != NULL || !typing->settles)) || (word->is_likely && old != NULL))
        return;
    if (old != NULL) {
        const PmBinding *binding = pm_typing_get_binding(typing, old->binding);
        if (binding->target == target && binding->offset_bytes == spot->offset_bytes)
            return;
        if (!pm_match_agrees(typing, binding, spot->offset_bytes, target)) {
            if (typing->audits)
                pm_typing_note_conflict(typing, binding->name, target->type->name);
            else if (binding->rank >= PM_RANK_ARRAY)
                contest(typing, word, target, spot, old);
        } else if (binding->rank > PM_RANK_HEAD) {
            follow_inside(typing, word, target, spot, binding);
            return;
        }
        if (binding->rank >= PM_RANK_WHOLE || typing->audits)
            return;
    }
    guint32 id = decide(typing, word, target, spot);
    if (word->is_slack || word->is_likely)
        id = weaken(typing, id);
    if (id != 0) {
        (void)pm_propagate_assign(typing, spot, id, word->parent);
        old = pm_assignments_get(&typing->assignments, spot->slot);
    }
    if (old != NULL)
        follow_inside(typing, word, target, spot, pm_typing_get_binding(typing, old->binding));
}

/* Several members of a union, or void. */
static void
follow_choice(PmTyping *typing, const PmWordAhead *word, const PmSpot *spot)
{
    const PmTypedEdge *edge = word->slot->edge;
    PmPointee *only = NULL;
    guint count = 0;
    for (guint i = 0; i < edge->target_count; i++) {
        PmPointee *target = edge->targets[i];
        if (target->kind == PM_POINTEE_VOID || target->kind == PM_POINTEE_FUNCTION)
            continue;
        only = target;
        count++;
    }
    if (count == 1 && spot->offset_bytes == 0 &&
        (only->kind != PM_POINTEE_RECORD || only->least_bytes <= spot->usable_bytes)) {
        PmWordAhead sure = *word;
        sure.level = pm_level_weaker(word->level);
        follow_chunk(typing, &sure, only, spot);
        return;
    }
    if (typing->audits)
        return;
    if (pm_assignments_get(&typing->assignments, spot->slot) != NULL) {
        pm_groups_note(typing, edge, word->owner, spot);
        return;
    }
    const guint32 id = pm_groups_ask(typing, edge, NULL, word->owner, spot, word->level);
    if (id != 0)
        (void)pm_propagate_assign(typing, spot, id, word->parent);
}

void
pm_follow(PmTyping *typing, const PmWordAhead *word)
{
    const guint64 value = word->value;
    PmPointee *target = word->slot->target;
    PmHit hit;
    PmSpot spot;

    if (!pm_resolver_may_hold(&typing->filter, value) ||
        !pm_resolver_find(typing->resolver, value, &hit)) {
        if (target != NULL && target->kind == PM_POINTEE_RECORD)
            follow_outside(typing, word, target, value);
        return;
    }
    /* What most pointers lead to in the end: a chunk that has this very type. */
    if (hit.is_start && target != NULL) {
        const guint32 id = pm_assignments_get_binding(&typing->assignments, hit.slot);
        const PmBinding *binding = pm_typing_get_binding(typing, id);
        if (id != 0 && binding->target == target && binding->offset_bytes == 0 &&
            typing->proven == NULL)
            return;
    }
    if (!pm_propagate_find(typing, value, &spot))
        return;
    /* Flags in the low bits of a pointer to a chunk. */
    if (spot.offset_bytes != 0 && spot.offset_bytes <= TAG_BITS && target != NULL &&
        target->kind == PM_POINTEE_RECORD)
        spot.offset_bytes = 0;
    if (typing->proven != NULL)
        pm_prove_follow(typing, word, &spot);
    else if (target == NULL || target->kind == PM_POINTEE_VOID)
        follow_choice(typing, word, &spot);
    else
        follow_chunk(typing, word, target, &spot);
}
