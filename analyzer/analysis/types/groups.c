/*
 * Pointers whose declaration does not say enough: to a base or a common head of what is really
 * there, to a link within it, to one of several members of a union, to void. What was learnt of
 * their like (learn.c) answers for them; some of them are kept as examples.
 */
#include "analysis/types/groups-private.h"

/* Examples that are kept of a group, chosen evenly. */
#define SAMPLES_MAX 512
#define GROUPS_MAX  20000
/* From so many examples on, one field that was never set does not speak against what they taught.
 */
#define SAMPLES_SURE     8
#define WEIGHT_TOLERATED -3
/* A link lies near the beginning of what it links. */
#define OFFSET_MAX 4096
/* The level of what was learnt. */
#define LEARNT_LEVEL 2

static guint
hash_group(gconstpointer key)
{
    const PmGroup *group = key;
    return (g_direct_hash(group->edge) * 31 + g_direct_hash(group->target)) * 31 +
           (guint)group->offset_bytes;
}

static gboolean
equal_groups(gconstpointer a, gconstpointer b)
{
    const PmGroup *left = a;
    const PmGroup *right = b;
    return left->edge == right->edge && left->target == right->target &&
           left->offset_bytes == right->offset_bytes;
}

static void
free_group(gpointer data)
{
    PmGroup *group = data;
    g_array_unref(group->samples);
    if (group->rule != NULL)
        g_hash_table_unref(group->rule);
    g_free(group);
}

PmGroups *
pm_groups_new(void)
{
    PmGroups *groups = g_new0(PmGroups, 1);
    groups->groups = g_hash_table_new_full(hash_group, equal_groups, free_group, NULL);
    pm_containers_init(groups);
    groups->random = 88172645463325252u;
    return groups;
}

void
pm_groups_free(PmGroups *groups)
{
    g_hash_table_unref(groups->groups);
    g_hash_table_unref(groups->containers);
    g_hash_table_unref(groups->flexible);
    g_free(groups);
}

gboolean
pm_group_read_tag(PmTyping *typing, const PmGroupTag *tag, const PmGroupSample *sample,
                  guint64 *ret_value)
{
    guint8 bytes[8] = {0};
    guint64 value = 0;
    const PmAddr base =
        tag->in_owner ? sample->owner : sample->place.user + sample->place.offset_bytes;
    if (!tag->none) {
        if (!pm_space_read(typing->reader.space, base + tag->offset_bytes, bytes, tag->size_bytes))
            return FALSE;
        value = pm_load_u64(bytes);
        if (tag->bit_count > 0)
            value = (value >> tag->bit_offset) & (((guint64)1 << tag->bit_count) - 1);
    }
    /* Tags are small; sizes are multiples of eight. */
    if (tag->with_size)
        value = value << 32 ^ sample->place.usable_bytes;
    *ret_value = value;
    return TRUE;
}

static guint32
make_binding(PmTyping *typing, const PmGroup *group, PmPointee *target, const PmSpot *place)
{
    if (target->kind == PM_POINTEE_TEXT || target->kind == PM_POINTEE_SCALAR ||
        target->kind == PM_POINTEE_POINTER) {
        const PmSpot start = {place->slot, place->region, place->user, place->usable_bytes, 0};
        return place->offset_bytes == 0 ? pm_match_decide(typing, target, &start, LEARNT_LEVEL) : 0;
    }
    if (target->kind != PM_POINTEE_RECORD ||
        !pm_match_is_whole_or_slack(typing, target, place->usable_bytes))
        return 0;
    g_autofree char *reason = NULL;
    if (group->target != NULL && group->offset_bytes > 0)
        reason = g_strdup_printf("a pointer leads to the %s that it has at %" G_GUINT64_FORMAT,
                                 group->target->type->name, group->offset_bytes);
    else if (group->target != NULL && group->tag.none)
        reason = g_strdup_printf("a pointer leads to the %s that it begins with",
                                 group->target->type->name);
    else if (group->target != NULL)
        reason = g_strdup_printf("a pointer leads to the %s that it begins with; %s tells which",
                                 group->target->type->name, group->tag.name);
    else
        reason =
            g_strdup_printf("the field that leads to it leads to %s elsewhere", target->type->name);
    const PmBinding binding = {
        .by = PM_TYPED_BY_POINTER,
        .shape = PM_SHAPE_ONE,
        .rank = PM_RANK_GUESS,
        .level = LEARNT_LEVEL,
        .target = target,
        .name = target->type->name,
        .reason = pm_typing_intern_name(typing, reason),
    };
    return pm_typing_intern(typing, &binding);
}

static guint64
next_random(PmGroups *groups)
{
    groups->random ^= groups->random << 13;
    groups->random ^= groups->random >> 7;
    groups->random ^= groups->random << 17;
    return groups->random;
}

static void
keep_sample(PmGroups *groups, PmGroup *group, const PmGroupSample *sample)
{
    group->seen++;
    if (group->samples->len < SAMPLES_MAX) {
        g_array_append_vals(group->samples, sample, 1);
        return;
    }
    const guint64 place = next_random(groups) % group->seen;
    if (place < SAMPLES_MAX)
        g_array_index(group->samples, PmGroupSample, place) = *sample;
}

static PmGroup *
get_group(PmGroups *groups, const PmTypedEdge *edge, PmPointee *target, guint64 offset)
{
    const PmGroup key = {.edge = target == NULL ? edge : NULL,
                         .target = target,
                         .offset_bytes = target == NULL ? 0 : offset};
    PmGroup *group = g_hash_table_lookup(groups->groups, &key);
    if (group != NULL || g_hash_table_size(groups->groups) >= GROUPS_MAX)
        return group;
    group = g_new(PmGroup, 1);
    *group = key;
    group->samples = g_array_new(FALSE, FALSE, sizeof(PmGroupSample));
    g_hash_table_add(groups->groups, group);
    return group;
}

guint32
pm_groups_make_pool(PmTyping *typing, PmPointee *target, PmRank rank)
{
    g_autofree char *name = g_strdup_printf("pool of %s", target->type->name);
    const PmBinding binding = {
        .by = PM_TYPED_BY_POINTER,
        .shape = PM_SHAPE_POOL,
        .rank = rank,
        .level = PM_LEVELS - 1,
        .target = target,
        .name = pm_typing_intern_name(typing, name),
        .reason = "typed pointers lead to several places in it",
    };
    return pm_typing_intern(typing, &binding);
}

guint32
pm_groups_peek(PmTyping *typing, const PmTypedEdge *edge, PmPointee *target, PmAddr owner,
               const PmSpot *place)
{
    const PmGroupSample sample = {*place, owner};
    guint64 value = 0;
    const PmGroup key = {.edge = target == NULL ? edge : NULL,
                         .target = target,
                         .offset_bytes = target == NULL ? 0 : place->offset_bytes};
    const PmGroup *group = g_hash_table_lookup(typing->groups->groups, &key);
    if (group == NULL || group->rule == NULL ||
        !pm_group_read_tag(typing, &group->tag, &sample, &value))
        return 0;
    PmPointee *learnt = g_hash_table_lookup(group->rule, &value);
    return learnt == NULL ? 0 : make_binding(typing, group, learnt, place);
}

guint32
pm_groups_ask(PmTyping *typing, const PmTypedEdge *edge, PmPointee *target, PmAddr owner,
              const PmSpot *place, guint level)
{
    const PmGroupSample sample = {*place, owner};
    guint64 value = 0;
    (void)level;
    if (typing->audits || (target != NULL && target->kind != PM_POINTEE_RECORD))
        return 0;
    PmGroup *group = NULL;
    if (place->offset_bytes <= OFFSET_MAX && (target != NULL || place->offset_bytes == 0))
        group = get_group(typing->groups, edge, target, place->offset_bytes);
    /* Also what a rule tells of is an example: of whether it is right. */
    if (group != NULL)
        keep_sample(typing->groups, group, &sample);
    if (group != NULL && group->rule != NULL &&
        pm_group_read_tag(typing, &group->tag, &sample, &value)) {
        PmPointee *learnt = g_hash_table_lookup(group->rule, &value);
        const guint32 id = learnt == NULL ? 0 : make_binding(typing, group, learnt, place);
        const gint least = group->samples->len < SAMPLES_SURE ? 0 : WEIGHT_TOLERATED;
        if (id != 0 && pm_match_weigh(typing, learnt, place->user, place->usable_bytes) >= least)
            return id;
    }
    typing->asked = TRUE;
    if (typing->settles && target != NULL && place->offset_bytes > 0 &&
        target->size_bytes <= place->usable_bytes - place->offset_bytes &&
        place->offset_bytes % typing->word_bytes == 0)
        return pm_groups_make_pool(typing, target, PM_RANK_POOL);
    return 0;
}
