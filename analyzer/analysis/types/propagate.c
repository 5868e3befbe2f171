/*
 * From object to object along declared pointers. Chunks wait in a queue as their slots alone: what
 * they are is in their assignment.
 */
#include "analysis/types/typing-private.h"

/* How far ahead of its turn a chunk is fetched. */
#define AHEAD 16
/* Of more chunks with types than that, some are asked whether their pointers contradict others. */
#define AUDITS_MAX 2000000u
/* Elements of one array that are followed; an mmapped array of gigabytes has more words than
 * anything needs to know. */
#define ELEMENTS_MAX ((guint64)1 << 28)
/* The low bits of a pointer in which programs keep flags. */
#define TAG_BITS 7u
/* Objects that pointers lead to outside of heaps and variables are looked at one at a time. */
#define HASH_SEED 0x9e3779b97f4a7c15u

/* ---- chunks ---- */

static gboolean
is_used(const PmResolver *resolver, PmSlot slot, guint32 region)
{
    guint64 words = 0;
    const PmSlot first = pm_resolver_get_sweep(resolver, region, &words);
    const guint64 used = pm_resolver_get_used_starts(resolver, region, (slot - first) >> 6);
    return ((used >> ((slot - first) & 63)) & 1) != 0;
}

gboolean
pm_propagate_find(const PmTyping *typing, guint64 value, PmSpot *ret_place)
{
    PmHit hit;
    PmSlotChunk chunk;
    if (!pm_resolver_may_hold(&typing->filter, value) ||
        !pm_resolver_find(typing->resolver, value, &hit) ||
        !is_used(typing->resolver, hit.slot, hit.region))
        return FALSE;
    pm_resolver_get_chunk(typing->resolver, hit.slot, hit.region, &chunk);
    *ret_place = (PmSpot){hit.slot, hit.region, chunk.user, chunk.usable_bytes, value - chunk.user};
    return TRUE;
}

static gboolean
assign(PmTyping *typing, const PmSpot *place, guint32 binding, guint32 parent)
{
    const PmBinding *new = pm_typing_get_binding(typing, binding);
    if (!pm_assignments_set(&typing->assignments, place->slot, (PmAssignment){binding, parent}))
        return FALSE;
    if (new->target != NULL && pm_plans_get(typing->plans, new->target) != NULL)
        pm_slot_queue_push(&typing->queue, place->slot, place->region);
    return TRUE;
}

gboolean
pm_propagate_assign(PmTyping *typing, const PmSpot *place, guint32 binding, guint32 parent)
{
    const PmAssignment *old = pm_assignments_get(&typing->assignments, place->slot);
    const PmBinding *new = pm_typing_get_binding(typing, binding);
    if (binding == 0 || typing->audits)
        return FALSE;
    if (old != NULL && pm_typing_get_binding(typing, old->binding)->rank >= new->rank)
        return FALSE;
    return assign(typing, place, binding, parent);
}

/* ---- objects that are no chunks ---- */

static guint
hash_object(gconstpointer key)
{
    const guint64 *words = key;
    return (guint)(((words[0] ^ words[1] << 7) * HASH_SEED) >> 32);
}

static gboolean
equal_objects(gconstpointer a, gconstpointer b)
{
    const guint64 *left = a;
    const guint64 *right = b;
    return left[0] == right[0] && left[1] == right[1];
}

guint32
pm_propagate_add_object(PmTyping *typing, const PmObject *object)
{
    if (object->name == NULL) {
        const guint64 key[2] = {object->address, GPOINTER_TO_SIZE(object->target)};
        if (typing->objects->len - typing->variable_count >= PM_OBJECTS_MAX)
            return 0;
        if (typing->object_keys == NULL)
            typing->object_keys = g_hash_table_new_full(hash_object, equal_objects, g_free, NULL);
        if (!g_hash_table_add(typing->object_keys, g_memdup2(key, sizeof key)))
            return 0;
    }
    g_array_append_vals(typing->objects, object, 1);
    return typing->objects->len - 1;
}

/* ---- words ---- */

/* A typed pointer that leads to none of the heap's chunks: a pool of the program's own, a library's
 * data, a stack. Variables of modules with DWARF are known anyway. */
static void
follow_outside(PmTyping *typing, const PmWordAhead *word, PmPointee *target, guint64 value)
{
    PmSpan span;
    if (target->kind != PM_POINTEE_RECORD || value == 0 || value % typing->word_bytes != 0 ||
        typing->audits)
        return;
    const PmModule *module = pm_process_find_module(typing->process, value);
    if (module != NULL && module->dwarf)
        return;
    if (pm_resolver_may_hold(&typing->filter, value)) {
        PmHit hit;
        if (pm_resolver_find(typing->resolver, value, &hit))
            return; /* a free chunk */
    }
    pm_space_get_span(typing->target_reader.space, value, &span);
    if (span.kind != PM_BYTES_DUMPED || span.length_bytes < target->size_bytes)
        return;
    const PmObject object = {.address = value,
                             .bytes = target->size_bytes,
                             .type = target->type,
                             .target = target,
                             .parent = word->parent,
                             .level = MIN(word->level + 1, PM_LEVELS - 1)};
    (void)pm_propagate_add_object(typing, &object);
}

/* A pointer into a chunk where its own type says nothing of what is there: bytes, or what is behind
 * the type. */
static void
follow_inside(PmTyping *typing, const PmWordAhead *word, PmPointee *target, const PmSpot *place,
              const PmBinding *binding)
{
    if (target->kind != PM_POINTEE_RECORD || place->offset_bytes == 0 || typing->audits ||
        target->size_bytes > place->usable_bytes - place->offset_bytes)
        return;
    if (binding->rank != PM_RANK_BYTES && pm_match_covers(typing, binding, place->offset_bytes))
        return;
    /* Another of the same behind one that takes any size: not one, but many. */
    if (binding->target == target && target->is_flexible && binding->shape == PM_SHAPE_ONE)
        (void)pm_assignments_set(
            &typing->assignments, place->slot,
            (PmAssignment){pm_groups_make_pool(typing, target, PM_RANK_WHOLE), word->parent});
    const PmObject object = {.address = place->user + place->offset_bytes,
                             .bytes = target->size_bytes,
                             .type = target->type,
                             .target = target,
                             .parent = word->parent,
                             .level = MIN(word->level + 1, PM_LEVELS - 1)};
    (void)pm_propagate_add_object(typing, &object);
}

/* What a pointer to @target says of the chunk at @place. */
static guint32
decide(PmTyping *typing, const PmWordAhead *word, PmPointee *target, const PmSpot *place)
{
    guint32 binding = 0;
    if (target->is_polymorphic)
        binding = pm_classes_decide(typing, place);
    if (binding == 0)
        binding = pm_match_decide(typing, target, place, word->level);
    if (binding == 0)
        binding = pm_groups_ask(typing, word->slot->edge, target, word->owner, place, word->level);
    return binding;
}

/* Whether the chunk at @place, which @binding says to be something else than @target, looks more
 * like @target: the pointer that @binding came by may be stale, or nobody has set it. */
static gboolean
is_better(PmTyping *typing, const PmBinding *binding, const PmSpot *place, PmPointee *target)
{
    if (typing->audits || binding->by != PM_TYPED_BY_POINTER || binding->rank >= PM_RANK_VTABLE ||
        binding->target == NULL || binding->offset_bytes != 0 || place->offset_bytes != 0 ||
        target->kind != PM_POINTEE_RECORD ||
        !pm_match_is_whole(typing, target, place->usable_bytes))
        return FALSE;
    const gint old = pm_match_weigh(typing, binding->target, place->user,
                                    MIN(binding->target->size_bytes, place->usable_bytes));
    const gint new = pm_match_weigh(typing, target, place->user, target->size_bytes);
    return new > 0 && new > old + 1;
}

/* The same as @id, for a pointer that the program may have left there before the chunk was its. */
static guint32
weaken(PmTyping *typing, guint32 id)
{
    if (id == 0)
        return 0;
    PmBinding binding = *pm_typing_get_binding(typing, id);
    binding.rank = MIN(binding.rank, PM_RANK_HEAD);
    binding.level = PM_LEVELS - 1;
    binding.reason = "a typed pointer leads to it, from what may be slack behind its structure";
    return pm_typing_intern(typing, &binding);
}

/* Follows a pointer to @target into the chunk at @place. One that may be stale counts where nothing
 * else speaks for the chunk. */
static void
follow_chunk(PmTyping *typing, const PmWordAhead *word, PmPointee *target, const PmSpot *place)
{
    const PmAssignment *old = pm_assignments_get(&typing->assignments, place->slot);
    if (word->is_slack && (old != NULL || !typing->settles))
        return;
    if (old != NULL) {
        const PmBinding *binding = pm_typing_get_binding(typing, old->binding);
        if (binding->target == target && binding->offset_bytes == place->offset_bytes)
            return;
        if (!pm_match_agrees(typing, binding, place->offset_bytes, target)) {
            if (typing->audits)
                pm_typing_note_conflict(typing, binding->name, target->type->name);
            if (is_better(typing, binding, place, target)) {
                (void)assign(typing, place, decide(typing, word, target, place), word->parent);
                return;
            }
        } else if (binding->rank > PM_RANK_HEAD) {
            follow_inside(typing, word, target, place, binding);
            return;
        }
        if (binding->rank >= PM_RANK_WHOLE || typing->audits)
            return;
    }
    const guint32 id = word->is_slack ? weaken(typing, decide(typing, word, target, place))
                                      : decide(typing, word, target, place);
    if (id != 0) {
        (void)pm_propagate_assign(typing, place, id, word->parent);
        old = pm_assignments_get(&typing->assignments, place->slot);
    }
    if (old != NULL)
        follow_inside(typing, word, target, place, pm_typing_get_binding(typing, old->binding));
}

/* Several members of a union, or void. */
static void
follow_choice(PmTyping *typing, const PmWordAhead *word, const PmSpot *place)
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
    if (count == 1 && place->offset_bytes == 0 &&
        (only->kind != PM_POINTEE_RECORD || only->least_bytes <= place->usable_bytes)) {
        PmWordAhead sure = *word;
        sure.level = MIN(word->level + 1, PM_LEVELS - 1);
        follow_chunk(typing, &sure, only, place);
        return;
    }
    if (typing->audits || pm_assignments_get(&typing->assignments, place->slot) != NULL)
        return;
    const guint32 id = pm_groups_ask(typing, edge, NULL, word->owner, place, word->level);
    if (id != 0)
        (void)pm_propagate_assign(typing, place, id, word->parent);
}

static void
follow(PmTyping *typing, const PmWordAhead *word)
{
    const guint64 value = word->value;
    PmPointee *target = word->slot->target;
    PmHit hit;
    PmSpot place;

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
        if (id != 0 && binding->target == target && binding->offset_bytes == 0)
            return;
    }
    if (!pm_propagate_find(typing, value, &place))
        return;
    /* Flags in the low bits of a pointer to a chunk. */
    if (place.offset_bytes != 0 && place.offset_bytes <= TAG_BITS && target != NULL &&
        target->kind == PM_POINTEE_RECORD)
        place.offset_bytes = 0;
    if (target == NULL || target->kind == PM_POINTEE_VOID)
        follow_choice(typing, word, &place);
    else
        follow_chunk(typing, word, target, &place);
}

void
pm_propagate_prefetch(PmTyping *typing, guint64 value, gboolean contents)
{
    PmSlot slot = 0;
    guint64 length = 0;
    if (!pm_resolver_prefetch(typing->resolver, value, &slot))
        return;
    /* That is the slot of the user pointer, one behind the chunk's. */
    pm_assignments_prefetch(&typing->assignments, slot - MIN(slot, 1));
    const guint8 *bytes = contents ? pm_reader_get(&typing->target_reader, value, &length) : NULL;
    if (bytes != NULL)
        __builtin_prefetch(bytes);
}

/* Follows the pointer that was put off longest. */
static void
follow_oldest(PmTyping *typing)
{
    const PmWordAhead word = typing->ahead[typing->ahead_first];
    typing->ahead_first = (typing->ahead_first + 1) & (PM_WORDS_AHEAD - 1);
    typing->ahead_count--;
    follow(typing, &word);
}

/* Puts @word off until what it leads to has come nearer. */
static void
put_off(PmTyping *typing, const PmWordAhead *word)
{
    if (!pm_resolver_may_hold(&typing->filter, word->value)) {
        follow(typing, word);
        return;
    }
    /* What has long to wait is fetched again when its turn comes. */
    pm_propagate_prefetch(typing, word->value, typing->queue.count < AHEAD && !typing->audits);
    if (typing->ahead_count == PM_WORDS_AHEAD)
        follow_oldest(typing);
    typing->ahead[(typing->ahead_first + typing->ahead_count++) & (PM_WORDS_AHEAD - 1)] = *word;
}

/* ---- objects ---- */

/* One object, or one element of an array. @bytes: what of it is there. @sure_bytes: what of them
 * was asked of malloc() for sure. */
typedef struct {
    PmAddr address;
    guint64 bytes;
    guint64 sure_bytes;
    guint32 parent;
    guint level;
} Visit;

static void
visit_slot(PmTyping *typing, const PmPlanSlot *slot, const Visit *visit)
{
    for (guint64 i = 0; i < slot->count; i++) {
        const guint64 offset = slot->offset_bytes + i * slot->stride_bytes;
        if (offset + typing->word_bytes > visit->bytes)
            return;
        const guint64 value =
            pm_reader_get_word(&typing->reader, visit->address + offset, typing->word_bytes);
        if (value == 0)
            continue;
        const PmWordAhead word = {
            .slot = slot,
            .owner = visit->address + slot->owner_offset_bytes + i * slot->stride_bytes,
            .value = value,
            .parent = visit->parent,
            .level = visit->level,
            .is_slack = offset + typing->word_bytes > visit->sure_bytes,
        };
        put_off(typing, &word);
    }
}

static void
visit_one(PmTyping *typing, const PmPlan *plan, const Visit *visit)
{
    for (guint i = 0; i < plan->slot_count; i++)
        visit_slot(typing, &plan->slots[i], visit);
}

static void
visit_array(PmTyping *typing, PmPointee *target, const Visit *visit)
{
    const PmPlan *plan = pm_plans_get(typing->plans, target);
    const guint64 count = target->size_bytes == 0 ? 0 : visit->bytes / target->size_bytes;
    Visit one = *visit;
    if (plan == NULL || plan->slot_count == 0)
        return;
    one.bytes = target->size_bytes;
    one.sure_bytes = one.bytes;
    for (guint64 i = 0; i < MIN(count, ELEMENTS_MAX); i++) {
        guint64 length = 0;
        /* Untouched memory holds nothing. */
        if (pm_reader_get(&typing->reader, one.address, &length) == NULL &&
            length > 2 * target->size_bytes) {
            const guint64 skipped = length / target->size_bytes - 1;
            i += skipped;
            one.address += skipped * target->size_bytes;
        }
        if (one.address + one.bytes > visit->address + visit->sure_bytes)
            one.sure_bytes = 0;
        visit_one(typing, plan, &one);
        one.address += target->size_bytes;
    }
}

/* All of @visit->bytes are @target's: one with what is behind it, or several. */
static void
visit_object(PmTyping *typing, PmPointee *target, const Visit *visit, gboolean is_array)
{
    const PmPlan *plan = pm_plans_get(typing->plans, target);
    if (plan == NULL)
        return;
    if (is_array) {
        visit_array(typing, target, visit);
        return;
    }
    Visit own = *visit;
    own.sure_bytes = plan->tail == NULL ? own.bytes : MAX(own.sure_bytes, plan->tail_offset_bytes);
    visit_one(typing, plan, &own);
    if (plan->tail == NULL || visit->bytes <= plan->tail_offset_bytes)
        return;
    Visit tail = own;
    tail.address += plan->tail_offset_bytes;
    tail.bytes -= plan->tail_offset_bytes;
    tail.sure_bytes -= plan->tail_offset_bytes;
    visit_array(typing, plan->tail, &tail);
}

static void
visit_place(PmTyping *typing, const PmSpot *place)
{
    const guint32 id = pm_assignments_get_binding(&typing->assignments, place->slot);
    const PmBinding binding = *pm_typing_get_binding(typing, id);
    if (id == 0 || binding.target == NULL || binding.shape == PM_SHAPE_POOL ||
        binding.offset_bytes >= place->usable_bytes)
        return;
    /* malloc() may also have given a chunk one granule larger. */
    const guint64 least = pm_typing_get_request_min(typing, place->usable_bytes);
    const guint64 request = least - MIN(least, 2 * (guint64)typing->word_bytes);
    const Visit visit = {.address = place->user + binding.offset_bytes,
                         .bytes = place->usable_bytes - binding.offset_bytes,
                         .sure_bytes = request - MIN(request, binding.offset_bytes),
                         .parent = pm_parent_of_slot(place->slot),
                         .level = binding.level};
    visit_object(typing, binding.target, &visit, binding.shape == PM_SHAPE_ARRAY);
}

static void
visit_chunk(PmTyping *typing, PmSlot slot, guint32 region)
{
    PmSlotChunk chunk;
    pm_resolver_get_chunk(typing->resolver, slot, region, &chunk);
    const PmSpot place = {slot, region, chunk.user, chunk.usable_bytes, 0};
    visit_place(typing, &place);
}

/* A local in a register, as if it stood in memory. */
static void
visit_value(PmTyping *typing, const PmObject *object, guint32 index)
{
    const PmPlan *plan = pm_plans_get(typing->plans, object->target);
    if (plan == NULL || plan->slot_count == 0 || plan->slots[0].offset_bytes != 0)
        return;
    const PmWordAhead word = {.slot = &plan->slots[0],
                              .owner = object->address,
                              .value = object->address,
                              .parent = PM_PARENT_OBJECT | index,
                              .level = object->level};
    if (object->address != 0)
        put_off(typing, &word);
}

static void
visit_listed(PmTyping *typing, guint32 index)
{
    const PmObject object = g_array_index(typing->objects, PmObject, index);
    if (object.is_value) {
        visit_value(typing, &object, index);
        return;
    }
    const Visit visit = {object.address, object.bytes, object.bytes, PM_PARENT_OBJECT | index,
                         object.level};
    visit_object(typing, object.target, &visit, object.is_array);
}

/* Fetches the chunk that waits behind @ahead others. */
static void
prefetch_waiting(PmTyping *typing, guint64 ahead)
{
    guint64 words = 0;
    guint64 slot_bytes = 0;
    if (typing->queue.count <= ahead)
        return;
    const guint64 item = pm_slot_queue_peek(&typing->queue, ahead);
    const guint32 region = pm_slot_queue_get_region(item);
    const PmSlot first = pm_resolver_get_sweep(typing->resolver, region, &words);
    const PmAddr user = pm_resolver_get_first_user(typing->resolver, region, &slot_bytes);
    pm_propagate_prefetch(typing, user + (pm_slot_queue_get_slot(item) - first) * slot_bytes, TRUE);
}

void
pm_propagate_run(PmTyping *typing)
{
    PmSlotQueue *queue = &typing->queue;
    for (;;) {
        if (typing->next_object < typing->objects->len) {
            visit_listed(typing, typing->next_object++);
        } else if (queue->count > 0) {
            prefetch_waiting(typing, AHEAD);
            const guint64 item = pm_slot_queue_pop(queue);
            visit_chunk(typing, pm_slot_queue_get_slot(item), pm_slot_queue_get_region(item));
        } else if (typing->ahead_count > 0) {
            follow_oldest(typing);
        } else {
            return;
        }
    }
}

static void
visit_swept(PmTyping *typing, const PmSpot *place, G_GNUC_UNUSED gpointer data)
{
    /* An even choice of many millions tells of contradictions as well. */
    if (typing->audits && typing->assignments.count > AUDITS_MAX &&
        (place->user * HASH_SEED >> 32) % (typing->assignments.count / AUDITS_MAX + 1) != 0)
        return;
    visit_place(typing, place);
    if (typing->queue.count > 4096)
        pm_propagate_run(typing);
}

void
pm_propagate_revisit(PmTyping *typing)
{
    const guint known = typing->next_object;
    typing->queue.spilled = FALSE;
    for (guint32 i = 1; i < known; i++)
        visit_listed(typing, i);
    pm_typing_sweep(typing, TRUE, visit_swept, NULL);
    pm_propagate_run(typing);
}
