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
pm_propagate_find(const PmTyping *typing, guint64 value, PmSpot *ret_spot)
{
    PmHit hit;
    PmSlotChunk chunk;
    if (!pm_resolver_may_hold(&typing->filter, value) ||
        !pm_resolver_find(typing->resolver, value, &hit) ||
        !is_used(typing->resolver, hit.slot, hit.region))
        return FALSE;
    pm_resolver_get_chunk(typing->resolver, hit.slot, hit.region, &chunk);
    *ret_spot = (PmSpot){hit.slot, hit.region, chunk.user, chunk.usable_bytes, value - chunk.user};
    return TRUE;
}

void
pm_propagate_note_change(PmTyping *typing, const PmBinding *old, const PmBinding *new)
{
    /* What the old one led to may have no ground any more. */
    if (old->target != NULL && pm_plans_get(typing->plans, old->target) != NULL &&
        (new->target == NULL || new->offset_bytes != old->offset_bytes ||
         !pm_type_begins_with(typing->types, new->target->type, old->target->type)))
        typing->retyped++;
}

gboolean
pm_propagate_assign(PmTyping *typing, const PmSpot *spot, guint32 binding, guint32 parent)
{
    const PmAssignment *old = pm_assignments_get(&typing->assignments, spot->slot);
    const PmBinding *new = pm_typing_get_binding(typing, binding);
    if (binding == 0 || typing->audits)
        return FALSE;
    if (old != NULL && pm_typing_get_binding(typing, old->binding)->rank >= new->rank)
        return FALSE;
    if (old != NULL)
        pm_propagate_note_change(typing, pm_typing_get_binding(typing, old->binding), new);
    if (!pm_assignments_set(&typing->assignments, spot->slot, (PmAssignment){binding, parent}))
        return FALSE;
    if (new->target != NULL && pm_plans_get(typing->plans, new->target) != NULL)
        pm_slot_queue_push(&typing->queue, spot->slot, spot->region);
    return TRUE;
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
        const guint32 known = GPOINTER_TO_UINT(g_hash_table_lookup(typing->object_keys, key));
        if (known != 0)
            return known;
        g_hash_table_insert(typing->object_keys, g_memdup2(key, sizeof key),
                            GUINT_TO_POINTER(typing->objects->len));
    }
    g_array_append_vals(typing->objects, object, 1);
    pm_slot_queue_push(&typing->queue, typing->objects->len - 1, PM_SLOT_QUEUE_OBJECT);
    return typing->objects->len - 1;
}

guint32
pm_propagate_find_object(PmTyping *typing, PmAddr address, const PmPointee *target)
{
    const guint64 key[2] = {address, GPOINTER_TO_SIZE(target)};
    return typing->object_keys == NULL
               ? 0
               : GPOINTER_TO_UINT(g_hash_table_lookup(typing->object_keys, key));
}

/* ---- words ---- */

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
    pm_follow(typing, &word);
}

/* Whether a pointer that leads to no heap leads anywhere; void may hold a number, and 1 and −1 are
 * marks. */
static void
weigh_outside(PmTyping *typing, const PmWordAhead *word)
{
    PmSpan span;
    const PmPointee *target = word->slot->target;
    if (target == NULL || target->kind == PM_POINTEE_VOID || word->value + 1 <= 2)
        return;
    if (pm_process_find_module(typing->process, word->value) == NULL) {
        pm_space_get_span(typing->target_reader.space, word->value, &span);
        if (span.kind == PM_BYTES_NOT_MAPPED) {
            typing->bad_words++;
            return;
        }
    }
    typing->good_words++;
}

/* Puts @word off until what it leads to has come nearer. */
static void
put_off(PmTyping *typing, const PmWordAhead *word)
{
    if (!pm_resolver_may_hold(&typing->filter, word->value)) {
        weigh_outside(typing, word);
        pm_follow(typing, word);
        return;
    }
    typing->good_words++;
    /* What has long to wait is fetched again when its turn comes. */
    pm_propagate_prefetch(typing, word->value, typing->queue.count < AHEAD && !typing->audits);
    if (typing->ahead_count == PM_WORDS_AHEAD)
        follow_oldest(typing);
    typing->ahead[(typing->ahead_first + typing->ahead_count++) & (PM_WORDS_AHEAD - 1)] = *word;
}

/* ---- objects ---- */

/* One object, or one element of an array. @bytes: what of it is there. @sure_bytes: what of them
 * was asked of malloc() for sure; @likely_bytes: unless it did not split the chunk. */
typedef struct {
    PmAddr address;
    guint64 bytes;
    guint64 sure_bytes;
    guint64 likely_bytes;
    guint32 parent;
    guint level;
    gboolean is_likely; /* an element that was asked for unless malloc() did not split the chunk */
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
            .is_likely = visit->is_likely,
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

/* How sure it is that the element of @one was asked for: the request was of whole elements. */
static void
judge_element(PmTyping *typing, PmPointee *target, const Visit *visit, Visit *one)
{
    const guint64 offset = one->address - visit->address;
    one->is_likely = FALSE;
    if (offset < visit->sure_bytes)
        return;
    one->is_likely = offset < visit->likely_bytes &&
                     pm_match_weigh(typing, target, one->address, target->size_bytes) > 0;
    if (!one->is_likely)
        one->sure_bytes = 0;
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
        judge_element(typing, target, visit, &one);
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
    tail.likely_bytes -= MIN(tail.likely_bytes, plan->tail_offset_bytes);
    visit_array(typing, plan->tail, &tail);
}

/*
 * What a single pointer said of the chunk at @spot, whose own pointers lead nowhere: it may be
 * stale, and the chunk something else. Anything else that speaks for it says more.
 */
static void
doubt(PmTyping *typing, const PmSpot *spot, const PmBinding *binding)
{
    PmAssignment *own = pm_assignments_get(&typing->assignments, spot->slot);
    const PmPlan *plan = pm_plans_get(typing->plans, binding->target);
    if (typing->bad_words == 0 || typing->good_words > 0 || typing->audits ||
        typing->proven != NULL || own == NULL || plan == NULL ||
        binding->by != PM_TYPED_BY_POINTER || binding->rank <= PM_RANK_HEAD ||
        (typing->bad_words < 2 && plan->slot_count > 1))
        return;
    PmBinding weak = *binding;
    weak.rank = PM_RANK_HEAD;
    weak.level = PM_LEVEL_WEAK;
    weak.reason = "a typed pointer leads to it, but its own pointers lead nowhere";
    own->binding = pm_typing_intern(typing, &weak);
}

void
pm_propagate_visit_chunk(PmTyping *typing, const PmSpot *spot)
{
    const guint32 id = pm_assignments_get_binding(&typing->assignments, spot->slot);
    const PmBinding binding = *pm_typing_get_binding(typing, id);
    if (id == 0 || binding.target == NULL || binding.shape == PM_SHAPE_POOL ||
        binding.offset_bytes >= spot->usable_bytes)
        return;
    /* malloc() may also have given a chunk one granule larger. */
    const guint64 least = pm_typing_get_request_min(typing, spot->usable_bytes);
    const guint64 request = least - MIN(least, 2 * (guint64)typing->word_bytes);
    const Visit visit = {.address = spot->user + binding.offset_bytes,
                         .bytes = spot->usable_bytes - binding.offset_bytes,
                         .sure_bytes = request - MIN(request, binding.offset_bytes),
                         .likely_bytes = least - MIN(least, binding.offset_bytes),
                         .parent = pm_parent_of_slot(spot->slot),
                         .level = binding.level};
    typing->good_words = 0;
    typing->bad_words = 0;
    visit_object(typing, binding.target, &visit, binding.shape == PM_SHAPE_ARRAY);
    if (binding.shape == PM_SHAPE_ONE)
        doubt(typing, spot, &binding);
}

static void
visit_chunk(PmTyping *typing, PmSlot slot, guint32 region)
{
    PmSlotChunk chunk;
    pm_resolver_get_chunk(typing->resolver, slot, region, &chunk);
    const PmSpot spot = {slot, region, chunk.user, chunk.usable_bytes, 0};
    pm_propagate_visit_chunk(typing, &spot);
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

void
pm_propagate_visit_object(PmTyping *typing, guint32 index)
{
    const PmObject object = g_array_index(typing->objects, PmObject, index);
    if (object.target == NULL)
        return;
    if (object.is_value) {
        visit_value(typing, &object, index);
        return;
    }
    const Visit visit = {.address = object.address,
                         .bytes = object.bytes,
                         .sure_bytes = object.bytes,
                         .likely_bytes = object.bytes,
                         .parent = PM_PARENT_OBJECT | index,
                         .level = object.level};
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
    if (region == PM_SLOT_QUEUE_OBJECT)
        return;
    const PmSlot first = pm_resolver_get_sweep(typing->resolver, region, &words);
    const PmAddr user = pm_resolver_get_first_user(typing->resolver, region, &slot_bytes);
    pm_propagate_prefetch(typing, user + (pm_slot_queue_get_slot(item) - first) * slot_bytes, TRUE);
}

void
pm_propagate_run(PmTyping *typing)
{
    PmSlotQueue *queue = &typing->queue;
    for (;;) {
        if (queue->count > 0) {
            prefetch_waiting(typing, AHEAD);
            const guint64 item = pm_slot_queue_pop(queue);
            const guint32 region = pm_slot_queue_get_region(item);
            if (region == PM_SLOT_QUEUE_OBJECT)
                pm_propagate_visit_object(typing, (guint32)pm_slot_queue_get_slot(item));
            else
                visit_chunk(typing, pm_slot_queue_get_slot(item), region);
        } else if (typing->ahead_count > 0) {
            follow_oldest(typing);
        } else {
            return;
        }
    }
}

static void
visit_swept(PmTyping *typing, const PmSpot *spot, G_GNUC_UNUSED gpointer data)
{
    /* An even choice of many millions tells of contradictions as well. */
    if (typing->audits && typing->assignments.count > AUDITS_MAX &&
        (spot->user * HASH_SEED >> 32) % (typing->assignments.count / AUDITS_MAX + 1) != 0)
        return;
    pm_propagate_visit_chunk(typing, spot);
    if (typing->queue.count > 4096)
        pm_propagate_run(typing);
}

void
pm_propagate_revisit(PmTyping *typing)
{
    const guint known = typing->objects->len;
    typing->queue.spilled = FALSE;
    for (guint32 i = 1; i < known; i++)
        pm_propagate_visit_object(typing, i);
    pm_typing_sweep(typing, TRUE, visit_swept, NULL);
    pm_propagate_run(typing);
}
