/*
 * What a declared type says of a chunk: whether one fills it, or several, and whether two
 * declarations can both be true.
 */
#include "analysis/types/typing-private.h"

#include <string.h>

/* Elements of an array, and pointers of each, that are looked at before it is believed. */
#define ELEMENTS_WEIGHED 4
#define SLOTS_WEIGHED    48
/* Words of what may be an array of pointers. */
#define WORDS_WEIGHED 64
/* The weight of a pointer that leads to nothing, or to something else. */
#define WEIGHT_NOTHING -2
/* An mmapped chunk is rounded up to whole pages. */
#define PAGE_BYTES 4096
/* A record's size may be this much of new[]'s count before the elements. */
#define COOKIES_MAX 16

static gint weigh_pointer(PmTyping *typing, const PmPointee *target, guint64 value);

guint64
pm_typing_get_request_min(const PmTyping *typing, guint64 usable_bytes)
{
    const guint64 granule = 2 * (guint64)typing->word_bytes;
    if (usable_bytes <= granule + typing->word_bytes)
        return 0;
    if (usable_bytes % granule != typing->word_bytes) /* mmapped */
        return usable_bytes > PAGE_BYTES ? usable_bytes - PAGE_BYTES : 0;
    return usable_bytes - granule + 1;
}

gboolean
pm_match_is_whole(const PmTyping *typing, const PmPointee *target, guint64 bytes)
{
    if (target->least_bytes > bytes)
        return FALSE;
    if (target->is_flexible)
        return TRUE;
    return target->size_bytes >= pm_typing_get_request_min(typing, bytes);
}

gboolean
pm_match_is_whole_or_slack(const PmTyping *typing, const PmPointee *target, guint64 bytes)
{
    const guint64 granule = 2 * (guint64)typing->word_bytes;
    return pm_match_is_whole(typing, target, bytes) ||
           (target->size_bytes <= bytes && bytes > granule &&
            target->size_bytes >= pm_typing_get_request_min(typing, bytes - granule));
}

static guint32
make_binding(PmTyping *typing, PmBinding *binding)
{
    pm_typing_mark_fit(binding);
    return pm_typing_intern(typing, binding);
}

static guint32
get_one(PmTyping *typing, PmPointee *target, guint level)
{
    if (target->exact[level] == 0) {
        PmBinding binding = {
            .by = PM_TYPED_BY_POINTER,
            .shape = target->kind == PM_POINTEE_OPAQUE ? PM_SHAPE_NAME : PM_SHAPE_ONE,
            .rank = PM_RANK_WHOLE,
            .level = level,
            .target = target,
            .name = target->type->name,
            .reason = "a typed pointer leads to it",
        };
        target->exact[level] = make_binding(typing, &binding);
    }
    return target->exact[level];
}

static const char *
get_array_name(PmTyping *typing, const PmPointee *target)
{
    g_autofree char *name = g_strconcat(target->type->name, "[]", NULL);
    return pm_typing_intern_name(typing, name);
}

static guint32
get_array(PmTyping *typing, PmPointee *target, guint level)
{
    if (target->array[level] == 0) {
        const gboolean bytes = target->kind == PM_POINTEE_TEXT || target->size_bytes == 1;
        PmBinding binding = {
            .by = PM_TYPED_BY_POINTER,
            .shape = PM_SHAPE_ARRAY,
            .rank = bytes ? PM_RANK_BYTES : PM_RANK_ARRAY,
            .level = level,
            .target = target,
            .name = get_array_name(typing, target),
            .reason = "a typed pointer leads to it",
        };
        target->array[level] = make_binding(typing, &binding);
    }
    return target->array[level];
}

/* Several of @target fill the chunk, and the first of them look like it. */
static gboolean
is_array(PmTyping *typing, PmPointee *target, const PmSpot *spot)
{
    const guint64 count = spot->usable_bytes / target->size_bytes;
    gint sum = 0;
    if (count < 2 ||
        count * target->size_bytes < pm_typing_get_request_min(typing, spot->usable_bytes))
        return FALSE;
    for (guint64 i = 1; i < MIN(count, ELEMENTS_WEIGHED); i++) {
        const gint weight =
            pm_match_weigh(typing, target, spot->user + i * target->size_bytes, target->size_bytes);
        if (weight < 0)
            return FALSE;
        sum += weight;
    }
    /* malloc() gives a chunk whole where what it would split off is too small for a chunk: one of
     * them may be all there is. */
    if (pm_match_is_whole_or_slack(typing, target, spot->usable_bytes))
        return sum > 0;
    return sum >= 0;
}

/* new T[n]: where T has a destructor, n stands before the elements. (Itanium C++ ABI, 2.7) */
static guint32
decide_cookie(PmTyping *typing, PmPointee *target, const PmSpot *spot, guint level)
{
    const guint64 offset = spot->offset_bytes;
    if (offset > COOKIES_MAX || offset % typing->word_bytes != 0 || !target->type->is_cxx)
        return 0;
    const guint64 count = pm_reader_get_word(
        &typing->target_reader, spot->user + offset - typing->word_bytes, typing->word_bytes);
    const guint64 room = spot->usable_bytes - offset;
    if (count == 0 || count > room / target->size_bytes ||
        count * target->size_bytes + offset < pm_typing_get_request_min(typing, spot->usable_bytes))
        return 0;
    PmBinding binding = {
        .by = PM_TYPED_BY_POINTER,
        .shape = PM_SHAPE_ARRAY,
        .rank = PM_RANK_ARRAY,
        .level = level,
        .offset_bytes = offset,
        .target = target,
        .name = get_array_name(typing, target),
        .reason = "a typed pointer leads behind the count that new[] keeps",
    };
    return make_binding(typing, &binding);
}

static guint32
decide_head(PmTyping *typing, PmPointee *target, guint level)
{
    PmBinding binding = {
        .by = PM_TYPED_BY_POINTER,
        .shape = PM_SHAPE_HEAD,
        .rank = PM_RANK_HEAD,
        .level = MAX(level, PM_LEVEL_WEAK),
        .target = target,
        .name = target->type->name,
        .reason = "a typed pointer leads to it, but the chunk is larger than the type",
    };
    return make_binding(typing, &binding);
}

static guint32
decide_record(PmTyping *typing, PmPointee *target, const PmSpot *spot, guint level)
{
    const guint less = pm_level_weaker(level);
    if (spot->offset_bytes > 0)
        return decide_cookie(typing, target, spot, level);
    if (pm_match_is_whole(typing, target, spot->usable_bytes))
        return get_one(typing, target, level);
    if (target->size_bytes > spot->usable_bytes)
        return 0;
    const gboolean is_base = pm_groups_has_containers(typing, target, spot);
    if (!is_base && is_array(typing, target, spot))
        return get_array(typing, target, less);
    if (is_base && !typing->settles)
        return 0;
    /* malloc() gives a chunk whole where what it would split off is too small for a chunk. */
    if (pm_match_is_whole_or_slack(typing, target, spot->usable_bytes))
        return get_one(typing, target, less);
    return typing->settles ? decide_head(typing, target, level) : 0;
}

/*
 * A pointer to a pointer leads to an array of them, or to a link in a structure (le_prev, tqe_prev
 * and stqh_last of BSD's lists), which need not be declared.
 */
static guint32
decide_pointers(PmTyping *typing, PmPointee *target, const PmSpot *spot, guint level)
{
    const PmPointee *to =
        pm_plans_get_target(typing->plans, pm_type_get_target(typing->types, target->type));
    const guint64 sure = MAX(pm_typing_get_request_min(typing, spot->usable_bytes), 1);
    const guint64 words = MIN((sure + typing->word_bytes - 1) / typing->word_bytes, WORDS_WEIGHED);
    guint64 good = 0;
    guint64 bad = 0;
    gboolean begins_bad = FALSE;
    for (guint64 i = 0; i < words; i++) {
        const guint64 value = pm_reader_get_word(
            &typing->target_reader, spot->user + i * typing->word_bytes, typing->word_bytes);
        const gint weight = value == 0 ? 0 : weigh_pointer(typing, to, value);
        good += weight > 0 ? 1 : 0;
        bad += weight <= WEIGHT_NOTHING ? 1 : 0;
        begins_bad = begins_bad || (good == 0 && bad > 0);
    }
    /* What is behind the last one in use may never have been written. */
    if (!begins_bad && bad * 4 <= good)
        return get_array(typing, target, level);
    return good > 0 && !begins_bad && typing->settles ? decide_head(typing, target, level) : 0;
}

guint32
pm_match_decide(PmTyping *typing, PmPointee *target, const PmSpot *spot, guint level)
{
    switch (target->kind) {
    case PM_POINTEE_POINTER:
        if (spot->offset_bytes != 0 || target->size_bytes > spot->usable_bytes)
            return 0;
        return decide_pointers(typing, target, spot, level);
    case PM_POINTEE_TEXT:
    case PM_POINTEE_SCALAR:
        if (spot->offset_bytes != 0 || target->size_bytes > spot->usable_bytes)
            return 0;
        return get_array(typing, target, level);
    case PM_POINTEE_RECORD:
        return decide_record(typing, target, spot, level);
    case PM_POINTEE_OPAQUE:
        return spot->offset_bytes == 0 ? get_one(typing, target, pm_level_weaker(level)) : 0;
    case PM_POINTEE_VOID:
    case PM_POINTEE_FUNCTION:
        break;
    }
    return 0;
}

/* ---- agreement ---- */

/* What is at @offset within @type, down to a scalar; NULL where there is nothing. */
static const PmType *
find_leaf(PmTypes *types, const PmType *type, guint64 offset, guint64 *ret_offset)
{
    for (guint depth = 0; depth < PM_TYPE_DEPTH_MAX && type != NULL; depth++) {
        if (type->kind == PM_TYPE_ARRAY) {
            type = pm_type_get_target(types, type);
            if (type == NULL || type->size_bytes == 0)
                return NULL;
            offset %= type->size_bytes;
            continue;
        }
        if (type->kind != PM_TYPE_STRUCT) {
            *ret_offset = offset;
            return type;
        }
        gsize count = 0;
        const PmField *fields = pm_type_get_fields(types, type, &count);
        const PmType *inner = NULL;
        for (gsize i = 0; i < count && inner == NULL; i++) {
            if (offset >= fields[i].offset_bytes &&
                offset - fields[i].offset_bytes < fields[i].type->size_bytes) {
                offset -= fields[i].offset_bytes;
                inner = fields[i].type;
            }
        }
        type = inner;
    }
    return NULL;
}

static gboolean
agree_at(PmTypes *types, const PmType *type, guint64 offset, const PmPointee *target)
{
    guint64 rest = 0;
    if (target->kind == PM_POINTEE_RECORD) {
        if (pm_type_holds_at(types, type, offset, target->type))
            return TRUE;
        if (offset == 0 && pm_type_begins_with(types, target->type, type))
            return TRUE;
    }
    const PmType *leaf = find_leaf(types, type, offset, &rest);
    /* Bytes may hold anything, and a union what its other members say. */
    if (leaf == NULL || leaf->kind == PM_TYPE_CHAR || leaf->kind == PM_TYPE_UNION)
        return TRUE;
    if (target->kind == PM_POINTEE_POINTER)
        return rest == 0 && leaf->kind == PM_TYPE_POINTER;
    if (target->kind == PM_POINTEE_SCALAR)
        return rest == 0 && leaf->size_bytes == target->size_bytes;
    return FALSE;
}

/* Which two types were asked for, and where. */
typedef struct {
    const PmType *type;
    const PmPointee *target;
    guint64 offset_bytes;
} Agreement;

static guint
hash_agreement(gconstpointer key)
{
    const Agreement *agreement = key;
    return (g_direct_hash(agreement->type) * 31 + g_direct_hash(agreement->target)) * 31 +
           (guint)agreement->offset_bytes;
}

static gboolean
equal_agreements(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, sizeof(Agreement)) == 0;
}

#define AGREEMENTS_MAX 100000

static gboolean
agree_cached(PmTyping *typing, const PmType *type, guint64 offset, const PmPointee *target)
{
    const Agreement key = {type, target, offset};
    gpointer known = NULL;
    if (typing->agreements == NULL)
        typing->agreements = g_hash_table_new_full(hash_agreement, equal_agreements, g_free, NULL);
    if (g_hash_table_lookup_extended(typing->agreements, &key, NULL, &known))
        return known != NULL;
    const gboolean agree = agree_at(typing->types, type, offset, target);
    if (g_hash_table_size(typing->agreements) < AGREEMENTS_MAX)
        g_hash_table_insert(typing->agreements, g_memdup2(&key, sizeof key),
                            GINT_TO_POINTER(agree));
    return agree;
}

/*
 * What is at @offset_bytes of a chunk that @binding says something of.
 *
 * @ret_type: (out): the type there, of which @ret_offset_bytes; Returns: FALSE where the binding
 * says nothing of that spot.
 */
static gboolean
find_inner(PmTyping *typing, const PmBinding *binding, guint64 offset_bytes,
           const PmType **ret_type, guint64 *ret_offset_bytes)
{
    PmPointee *own = binding->target;
    if (own == NULL || own->type == NULL || own->size_bytes == 0 ||
        offset_bytes < binding->offset_bytes || binding->shape == PM_SHAPE_POOL)
        return FALSE;
    guint64 offset = offset_bytes - binding->offset_bytes;
    if (binding->shape == PM_SHAPE_ARRAY)
        offset %= own->size_bytes;
    *ret_type = own->type;
    if (own->is_flexible && binding->shape == PM_SHAPE_ONE && offset >= own->least_bytes) {
        const PmPlan *plan = pm_plans_get(typing->plans, own);
        if (plan == NULL || plan->tail == NULL || plan->tail->size_bytes == 0 ||
            offset < plan->tail_offset_bytes)
            return FALSE;
        *ret_type = plan->tail->type;
        offset = (offset - plan->tail_offset_bytes) % plan->tail->size_bytes;
    } else if (offset >= own->size_bytes) {
        return FALSE;
    }
    *ret_offset_bytes = offset;
    return TRUE;
}

gboolean
pm_match_agrees(PmTyping *typing, const PmBinding *binding, guint64 offset_bytes,
                const PmPointee *target)
{
    const PmType *type = NULL;
    guint64 offset = 0;
    if (binding->rank == PM_RANK_BYTES || target->kind == PM_POINTEE_VOID ||
        target->kind == PM_POINTEE_FUNCTION || target->kind == PM_POINTEE_TEXT ||
        target->kind == PM_POINTEE_OPAQUE || target->size_bytes == 1)
        return TRUE;
    return !find_inner(typing, binding, offset_bytes, &type, &offset) ||
           agree_cached(typing, type, offset, target);
}

gboolean
pm_match_holds(PmTyping *typing, const PmBinding *binding, guint64 offset_bytes,
               const PmPointee *target)
{
    const PmType *type = NULL;
    guint64 offset = 0;
    return target->kind == PM_POINTEE_RECORD &&
           find_inner(typing, binding, offset_bytes, &type, &offset) &&
           pm_type_holds_at(typing->types, type, offset, target->type);
}

gboolean
pm_match_covers(PmTyping *typing, const PmBinding *binding, guint64 offset_bytes)
{
    const PmType *type = NULL;
    guint64 offset = 0;
    guint64 rest = 0;
    if (!find_inner(typing, binding, offset_bytes, &type, &offset))
        return FALSE;
    const PmType *leaf = find_leaf(typing->types, type, offset, &rest);
    return leaf != NULL && leaf->kind != PM_TYPE_CHAR;
}

/* ---- plausibility ---- */

static gint
weigh_chunk(PmTyping *typing, const PmPointee *target, const PmSpot *spot)
{
    const guint32 id = pm_assignments_get_binding(&typing->assignments, spot->slot);
    if (target->kind == PM_POINTEE_FUNCTION)
        return -3;
    if (target->kind == PM_POINTEE_VOID)
        return 1;
    const PmBinding *binding = pm_typing_get_binding(typing, id);
    /* A pool is what this very pointer may have made of it. */
    if (id != 0 && binding->shape != PM_SHAPE_POOL) {
        if (!pm_match_agrees(typing, binding, spot->offset_bytes, target))
            return WEIGHT_NOTHING;
        return binding->target == target ? 3 : 1;
    }
    if (target->least_bytes > spot->usable_bytes - spot->offset_bytes)
        return -2;
    if (spot->offset_bytes != 0)
        return 0;
    /* Any size is right for a flexible one. */
    return !target->is_flexible && pm_match_is_whole_or_slack(typing, target, spot->usable_bytes)
               ? 2
               : 1;
}

/* A pointer to @target that holds @value. */
static gint
weigh_pointer(PmTyping *typing, const PmPointee *target, guint64 value)
{
    PmSpot spot;
    if (value == 0)
        return 0;
    if (pm_propagate_find(typing, value, &spot))
        return weigh_chunk(typing, target, &spot);
    if (pm_process_find_module(typing->process, value) != NULL) {
        PmWord word;
        pm_places_classify_plain(typing->places, value, &word);
        return (word.kind == PM_WORD_CODE) == (target->kind == PM_POINTEE_FUNCTION) ||
                       target->kind == PM_POINTEE_VOID
                   ? 1
                   : -3;
    }
    if (target->kind == PM_POINTEE_FUNCTION)
        return -3;
    PmSpan span;
    pm_space_get_span(typing->reader.space, value, &span);
    if (span.kind == PM_BYTES_NOT_MAPPED && target->kind == PM_POINTEE_VOID)
        return value >> 32 == 0 ? 0 : -1; /* a number, as some programs keep them */
    if (span.kind == PM_BYTES_NOT_MAPPED)
        return value + 1 <= 2 ? -1 : -3; /* 1 and −1 are marks */
    return pm_resolver_may_hold(&typing->filter, value) ? -1 : 0;
}

static gint
weigh_check(PmTyping *typing, const PmPlanCheck *check, PmAddr address)
{
    guint8 bytes[8] = {0};
    if (!pm_space_read(typing->reader.space, address, bytes, check->size_bytes))
        return 0;
    if (check->is_bool)
        return bytes[0] > 1 ? -2 : 0;
    guint64 raw = pm_load_u64(bytes);
    const guint shift = 64 - 8 * (guint)check->size_bytes;
    const gint64 value = check->min < 0 ? (gint64)(raw << shift) >> shift : (gint64)raw;
    return value < check->min || value > check->max ? -1 : 0;
}

gint
pm_match_weigh(PmTyping *typing, PmPointee *target, PmAddr address, guint64 bytes)
{
    const PmPlan *plan = pm_plans_get(typing->plans, target);
    gint sum = 0;
    if (plan == NULL)
        return 0;
    for (guint i = 0; i < MIN(plan->slot_count, SLOTS_WEIGHED); i++) {
        const PmPlanSlot *slot = &plan->slots[i];
        const PmPointee *to = slot->target;
        if (slot->offset_bytes + typing->word_bytes > bytes)
            break;
        const guint64 value = pm_reader_get_word(&typing->target_reader,
                                                 address + slot->offset_bytes, typing->word_bytes);
        if (to != NULL)
            sum += weigh_pointer(typing, to, value);
    }
    for (guint i = 0; i < plan->check_count; i++) {
        const PmPlanCheck *check = &plan->checks[i];
        if (check->offset_bytes + check->size_bytes <= bytes)
            sum += weigh_check(typing, check, address + check->offset_bytes);
    }
    return sum;
}
