/*
 * Pointers whose declaration does not say enough: to a base or a common head of what is really
 * there, to a link within it, to one of several members of a union, to void. What was learnt of
 * their like (learn.c) answers for them; some of them are kept as examples.
 */
#include "analysis/types/groups-private.h"

/* Examples that are kept of a group, chosen evenly. */
#define SAMPLES_MAX 512
/* And beyond those, of what is not explained. */
#define OPEN_MAX   512
#define GROUPS_MAX 20000
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

/* Chunks of one kind that hang on each other before what holds them. */
#define CHAIN_MAX 64

gboolean
pm_group_find_holder(const PmTyping *typing, PmAddr owner, PmGroupHolder *ret_holder)
{
    PmSpot spot;
    const PmAssignment *found = NULL;
    if (pm_propagate_find(typing, owner, &spot))
        found = pm_assignments_get(&typing->assignments, spot.slot);
    if (found == NULL)
        return FALSE;
    const PmPointee *own = pm_typing_get_binding(typing, found->binding)->target;
    guint32 parent = found->parent;
    for (guint i = 0; i < CHAIN_MAX && parent != 0; i++) {
        PmAddr address = 0;
        PmPointee *target = NULL;
        if (!pm_typing_get_parent(typing, parent, &address, &target, &parent))
            return FALSE;
        if (target == NULL || target == own || target->kind != PM_POINTEE_RECORD)
            continue;
        *ret_holder = (PmGroupHolder){address, target};
        return TRUE;
    }
    return FALSE;
}

/* Where the structure begins whose field @tag is. */
static gboolean
find_base(const PmTyping *typing, const PmGroupTag *tag, const PmGroupSample *sample,
          PmAddr *ret_base)
{
    PmGroupHolder holder;
    if (tag->holder != NULL) {
        if (!pm_group_find_holder(typing, sample->owner, &holder) || holder.target != tag->holder)
            return FALSE;
        *ret_base = holder.address;
    } else {
        *ret_base = tag->in_owner ? sample->owner : sample->spot.user + sample->spot.offset_bytes;
    }
    return TRUE;
}

gboolean
pm_group_read_tag(PmTyping *typing, const PmGroupTag *tag, const PmGroupSample *sample,
                  guint64 *ret_value)
{
    guint8 bytes[8] = {0};
    guint64 value = 0;
    PmAddr base = 0;
    if (!tag->none) {
        if (!find_base(typing, tag, sample, &base) ||
            !pm_space_read(typing->reader.space, base + tag->offset_bytes, bytes, tag->size_bytes))
            return FALSE;
        value = pm_load_u64(bytes);
        if (tag->bit_count > 0)
            value = (value >> tag->bit_offset) & (((guint64)1 << tag->bit_count) - 1);
        /* A table of functions, or a description of the type, is part of the program. */
        if (tag->is_pointer && pm_process_find_module(typing->process, value) == NULL)
            return FALSE;
    }
    /* Tags are small; sizes are multiples of eight. */
    if (tag->with_size)
        value = value << 32 ^ sample->spot.usable_bytes ^ (tag->is_pointer ? value : 0);
    *ret_value = value;
    return TRUE;
}

static char *
describe_reason(const PmGroup *group, const PmGroupVerdict *verdict)
{
    const char *target = group->target != NULL ? group->target->type->name : NULL;
    if (verdict->by_fit)
        return g_strdup_printf("of the types of its size it agrees best with what the same field "
                               "leads to%s%s",
                               group->tag.none ? "" : ", told apart by ", group->tag.name);
    if (target == NULL)
        return g_strdup_printf("the field that leads to it leads to %s elsewhere",
                               verdict->target->type->name);
    if (group->offset_bytes > 0)
        return g_strdup_printf("a pointer leads to the %s that it has at %" G_GUINT64_FORMAT,
                               target, group->offset_bytes);
    return g_strdup_printf("a pointer leads to the %s that it begins with%s%s%s", target,
                           group->tag.none ? "" : "; ", group->tag.name,
                           group->tag.none ? "" : " tells which");
}

static guint32
make_binding(PmTyping *typing, const PmGroup *group, const PmGroupVerdict *verdict,
             const PmSpot *spot, guint level)
{
    PmPointee *target = verdict->target;
    level = MAX(level, verdict->is_doubtful ? PM_LEVEL_WEAK : LEARNT_LEVEL);
    level = verdict->by_fit ? PM_LEVEL_FIT : level;
    if (target->kind == PM_POINTEE_TEXT || target->kind == PM_POINTEE_SCALAR ||
        target->kind == PM_POINTEE_POINTER) {
        const PmSpot start = {spot->slot, spot->region, spot->user, spot->usable_bytes, 0};
        return spot->offset_bytes == 0 ? pm_match_decide(typing, target, &start, level) : 0;
    }
    if (target->kind != PM_POINTEE_RECORD ||
        !pm_match_is_whole_or_slack(typing, target, spot->usable_bytes))
        return 0;
    PmBinding binding = {
        .by = PM_TYPED_BY_POINTER,
        .shape = PM_SHAPE_ONE,
        .rank = PM_RANK_GUESS,
        .level = level,
        .target = target,
        .name = target->type->name,
    };
    pm_typing_mark_fit(&binding);
    g_autofree char *reason = describe_reason(group, verdict);
    binding.reason = pm_typing_intern_name(typing, reason);
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
    if (group->samples->len < SAMPLES_MAX + group->open) {
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
    group->open = 0;
    g_hash_table_add(groups->groups, group);
    return group;
}

guint32
pm_groups_make_pool(PmTyping *typing, PmPointee *target, PmRank rank, guint level)
{
    g_autofree char *name = g_strdup_printf("pool of %s", target->type->name);
    PmBinding binding = {
        .by = PM_TYPED_BY_POINTER,
        .shape = PM_SHAPE_POOL,
        .rank = rank,
        .level = MAX(level, PM_LEVEL_WEAK),
        .target = target,
        .name = pm_typing_intern_name(typing, name),
        .reason = "typed pointers lead to several places in it",
    };
    pm_typing_mark_fit(&binding);
    return pm_typing_intern(typing, &binding);
}

guint32
pm_groups_peek(PmTyping *typing, const PmTypedEdge *edge, PmPointee *target, PmAddr owner,
               const PmSpot *spot)
{
    const PmGroupSample sample = {*spot, owner};
    guint64 value = 0;
    const PmGroup key = {.edge = target == NULL ? edge : NULL,
                         .target = target,
                         .offset_bytes = target == NULL ? 0 : spot->offset_bytes};
    const PmGroup *group = g_hash_table_lookup(typing->groups->groups, &key);
    if (group == NULL || group->rule == NULL ||
        !pm_group_read_tag(typing, &group->tag, &sample, &value))
        return 0;
    const PmGroupVerdict *learnt = g_hash_table_lookup(group->rule, &value);
    return learnt == NULL ? 0 : make_binding(typing, group, learnt, spot, 0);
}

void
pm_groups_note(PmTyping *typing, const PmTypedEdge *edge, PmAddr owner, const PmSpot *spot)
{
    const PmGroupSample sample = {*spot, owner};
    PmGroup *group = spot->offset_bytes == 0 ? get_group(typing->groups, edge, NULL, 0) : NULL;
    if (group != NULL)
        keep_sample(typing->groups, group, &sample);
}

guint32
pm_groups_ask(PmTyping *typing, const PmTypedEdge *edge, PmPointee *target, PmAddr owner,
              const PmSpot *spot, guint level)
{
    const PmGroupSample sample = {*spot, owner};
    guint64 value = 0;
    if (typing->audits || (target != NULL && target->kind != PM_POINTEE_RECORD))
        return 0;
    PmGroup *group = NULL;
    if (spot->offset_bytes <= OFFSET_MAX && (target != NULL || spot->offset_bytes == 0))
        group = get_group(typing->groups, edge, target, spot->offset_bytes);
    /* Also what a rule tells of is an example: of whether it is right. */
    if (group != NULL)
        keep_sample(typing->groups, group, &sample);
    if (group != NULL && group->rule != NULL &&
        pm_group_read_tag(typing, &group->tag, &sample, &value)) {
        const PmGroupVerdict *learnt = g_hash_table_lookup(group->rule, &value);
        const guint32 id = learnt == NULL ? 0 : make_binding(typing, group, learnt, spot, level);
        const gint least = group->samples->len < SAMPLES_SURE ? 0 : WEIGHT_TOLERATED;
        if (id != 0 &&
            pm_match_weigh(typing, learnt->target, spot->user, spot->usable_bytes) >= least)
            return id;
    }
    /* What is rare would not be among the examples. */
    if (group != NULL && group->rule != NULL && group->open < OPEN_MAX) {
        g_array_append_val(group->samples, sample);
        group->open++;
    }
    typing->asked = TRUE;
    if (typing->settles && target != NULL && spot->offset_bytes > 0 &&
        target->size_bytes <= spot->usable_bytes - spot->offset_bytes &&
        spot->offset_bytes % typing->word_bytes == 0)
        return pm_groups_make_pool(typing, target, PM_RANK_POOL, level);
    return 0;
}
