/*
 * What is learnt of pointers whose declaration does not say enough: which type explains all the
 * chunks that one value of some tag stands for, and no other does.
 */
#include "analysis/types/groups-private.h"

/* A tag's values; more of them, and it is no tag. */
#define VALUES_MAX 64
/* Chunks from which on one value of a tag tells for sure what it stands for. */
#define PART_SURE 8
/* Of fewer, the best must be better than the next by so much. */
#define PART_SMALL   4
#define MARGIN_SMALL 3
/* Fields that are tried as the tag. */
#define FIELDS_MAX 32
/* What a type that was found by fit weighs at least, on the average of its chunks. */
#define FIT_WEIGHT 3
/* What a chunk that is explained counts, and a value of a tag costs. */
#define SCORE_EXPLAINED 2
#define SCORE_VALUE     4

/* A part of a group: the chunks for which a tag has one value. */
typedef struct {
    guint64 value;
    guint samples;
    guint sure; /* of them are typed by what says enough */
    guint explained[PM_CANDIDATES_MAX];
    gint weight[PM_CANDIDATES_MAX];
} Part;

typedef struct {
    PmTyping *typing;
    PmGroup *group;
    PmTrial *trial;
    PmGroupTag tag; /* the best so far */
    GHashTable *rule;
    gint score;
} Learning;

/* Whether candidate @index explains @part: one chunk in thirty, and one of a few, may be stale or
 * half made. */
static gboolean
explains(const Part *part, guint index)
{
    const guint tolerated = part->samples < PART_SURE ? 0 : MAX(1, part->samples / 30);
    return part->samples - part->explained[index] <= tolerated;
}

static gboolean
is_taken(const Learning *learning, GHashTable *taken, guint index)
{
    return taken != NULL && g_hash_table_contains(taken, learning->trial->candidates->pdata[index]);
}

/* Whether some candidate that nothing else stands for explains @part. */
static gboolean
has_free(const Learning *learning, const Part *part, GHashTable *taken)
{
    for (guint i = 0; i < learning->trial->candidates->len; i++)
        if (explains(part, i) && !is_taken(learning, taken, i))
            return TRUE;
    return FALSE;
}

/* The two candidates that explain @part best; −1 where there is none. */
static void
find_best(const Learning *learning, const Part *part, GHashTable *taken, gint *ret_best,
          gint *ret_second)
{
    const gboolean free_ones = has_free(learning, part, taken);
    *ret_best = *ret_second = -1;
    for (guint i = 0; i < learning->trial->candidates->len; i++) {
        if (!explains(part, i) || (free_ones && is_taken(learning, taken, i)))
            continue;
        if (*ret_best < 0 || part->weight[i] > part->weight[*ret_best]) {
            *ret_second = *ret_best;
            *ret_best = (gint)i;
        } else if (*ret_second < 0 || part->weight[i] > part->weight[*ret_second]) {
            *ret_second = (gint)i;
        }
    }
}

/*
 * The candidate that explains @part, and no other as well; NULL where there is none.
 *
 * @taken: (nullable): candidates that large parts stand for: a small one rather stands for another.
 */
static PmPointee *
find_winner(const Learning *learning, const Part *part, GHashTable *taken, gint *ret_weight)
{
    gint best = -1;
    gint second = -1;
    find_best(learning, part, taken, &best, &second);
    if (best < 0)
        return NULL;
    PmPointee *winner = g_ptr_array_index(learning->trial->candidates, (guint)best);
    const gboolean by_fit =
        part->sure == 0 && g_hash_table_contains(learning->trial->shapes, winner);
    /* Nothing but its size speaks for it: not enough where the field is void. And where it was not
     * even declared, its pointers have to. */
    if ((learning->group->target == NULL && part->sure == 0 && part->weight[best] <= 0) ||
        (by_fit && part->weight[best] < FIT_WEIGHT * (gint)part->samples))
        return NULL;
    *ret_weight = part->weight[best];
    if (second < 0)
        return winner;
    const gint margin = part->weight[best] - part->weight[second];
    gint least = (gint)part->samples / 2 + 1;
    if (part->sure == 0 && part->samples < PART_SMALL)
        least = MAX(least, MARGIN_SMALL);
    if (by_fit)
        least = MAX(least, (gint)part->samples);
    return margin >= least ? winner : NULL;
}

/* Parts the samples by @tag. Returns: (transfer full): Part by value; NULL where it has too many
 * values to be a tag. */
static GHashTable *
part_samples(const Learning *learning, const PmGroupTag *tag)
{
    g_autoptr(GHashTable) parts = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    const GArray *samples = learning->group->samples;
    for (guint i = 0; i < samples->len; i++) {
        const PmGroupSample *sample = &g_array_index(samples, PmGroupSample, i);
        const PmVerdict *verdict = &g_array_index(learning->trial->verdicts, PmVerdict, i);
        guint64 value = 0;
        if (!pm_group_read_tag(learning->typing, tag, sample, &value))
            continue;
        Part *part = g_hash_table_lookup(parts, &value);
        if (part == NULL) {
            if (g_hash_table_size(parts) >= VALUES_MAX)
                return NULL;
            part = g_new0(Part, 1);
            part->value = value;
            g_hash_table_insert(parts, &part->value, part);
        }
        part->samples++;
        part->sure += verdict->is_sure ? 1 : 0;
        for (guint j = 0; j < learning->trial->candidates->len; j++) {
            if (verdict->weight[j] == PM_NOT_EXPLAINED)
                continue;
            part->explained[j]++;
            part->weight[j] += verdict->weight[j];
        }
    }
    return g_steal_pointer(&parts);
}

/* Whether some other type explains a good part of what @winner explains: nothing tells whether they
 * are that. */
static gboolean
is_rivalled(const Learning *learning, const Part *part, const PmPointee *winner)
{
    for (guint i = 0; part->sure == 0 && i < learning->trial->candidates->len; i++)
        if (learning->trial->candidates->pdata[i] != winner &&
            part->explained[i] * 5 >= part->samples)
            return TRUE;
    return FALSE;
}

/* What one size of parts stands for: adds it to @rule. Returns: what it adds to the score. */
static gint
resolve_parts(const Learning *learning, const PmGroupTag *tag, GHashTable *parts, gboolean small,
              GHashTable *taken, GHashTable *rule)
{
    gint score = 0;
    GHashTableIter iter;
    gpointer data = NULL;
    g_hash_table_iter_init(&iter, parts);
    while (g_hash_table_iter_next(&iter, NULL, &data)) {
        const Part *part = data;
        gint weight = 0;
        if ((part->samples < PART_SURE) != small)
            continue;
        PmPointee *winner = find_winner(learning, part, small ? taken : NULL, &weight);
        score -= SCORE_VALUE;
        if (winner == NULL)
            continue;
        if (!small)
            g_hash_table_add(taken, winner);
        score += SCORE_EXPLAINED * (gint)part->samples + weight;
        const PmGroupVerdict verdict = {
            .target = winner,
            .by_fit = part->sure == 0 && g_hash_table_contains(learning->trial->shapes, winner),
            .is_doubtful = tag->none && is_rivalled(learning, part, winner)};
        g_hash_table_insert(rule, g_memdup2(&part->value, sizeof part->value),
                            g_memdup2(&verdict, sizeof verdict));
    }
    return score;
}

/* Keeps what @tag tells, where that is more than what was known. */
static void
try_tag(Learning *learning, const PmGroupTag *tag)
{
    g_autoptr(GHashTable) parts = part_samples(learning, tag);
    if (parts == NULL)
        return;
    g_autoptr(GHashTable) rule = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    g_autoptr(GHashTable) taken = g_hash_table_new(NULL, NULL);
    const gint score = resolve_parts(learning, tag, parts, FALSE, taken, rule) +
                       resolve_parts(learning, tag, parts, TRUE, taken, rule);
    if (g_hash_table_size(rule) == 0 || (learning->rule != NULL && score <= learning->score))
        return;
    learning->score = score;
    learning->tag = *tag;
    if (learning->rule != NULL)
        g_hash_table_unref(learning->rule);
    learning->rule = g_steal_pointer(&rule);
}

/* Whether @field can be a tag: a small number, or a pointer to what the program has of a type. */
static gboolean
can_be_tag(const PmField *field)
{
    switch (field->type->kind) {
    case PM_TYPE_INT:
    case PM_TYPE_UINT:
    case PM_TYPE_ENUM:
    case PM_TYPE_CHAR:
    case PM_TYPE_BOOL:
        return field->type->size_bytes <= 4 || field->bit_count != 0;
    case PM_TYPE_POINTER:
        return TRUE;
    default:
        return FALSE;
    }
}

/* Tries every field of @type. @like: the tag but for its field. */
static void
try_fields(Learning *learning, const PmType *type, const PmGroupTag *like)
{
    gsize count = 0;
    guint tried = 0;
    if (type == NULL || (type->kind != PM_TYPE_STRUCT && type->kind != PM_TYPE_UNION))
        return;
    const PmField *fields = pm_type_get_fields(learning->typing->types, type, &count);
    for (gsize i = 0; i < count && tried < FIELDS_MAX; i++) {
        const PmField *field = &fields[i];
        PmGroupTag tag = *like;
        if (!can_be_tag(field))
            continue;
        tag.is_pointer = field->type->kind == PM_TYPE_POINTER;
        tag.offset_bytes = field->offset_bytes;
        tag.size_bytes = MIN(field->type->size_bytes, 8);
        tag.bit_offset = field->bit_offset;
        tag.bit_count = MIN(field->bit_count, 32);
        tag.name = field->name;
        tried++;
        try_tag(learning, &tag);
    }
}

/* What most of the structures whose field it is hang on. */
static const PmPointee *
find_holder(const Learning *learning)
{
    const GArray *samples = learning->group->samples;
    const PmPointee *holder = NULL;
    guint votes = 0;
    for (guint i = 0; i < samples->len; i++) {
        PmGroupHolder found;
        if (!pm_group_find_holder(learning->typing, g_array_index(samples, PmGroupSample, i).owner,
                                  &found))
            continue;
        if (votes == 0)
            holder = found.target;
        votes += found.target == holder ? 1 : 0;
        votes -= found.target == holder ? 0 : 1;
    }
    return holder;
}

static gboolean
is_same_tag(const PmGroupTag *left, const PmGroupTag *right)
{
    return left->none == right->none && left->in_owner == right->in_owner &&
           left->holder == right->holder && left->with_size == right->with_size &&
           left->offset_bytes == right->offset_bytes && left->bit_offset == right->bit_offset &&
           left->bit_count == right->bit_count;
}

/* Whether @rule says of everything that @old speaks of the same. */
static gboolean
keeps(GHashTable *rule, GHashTable *old)
{
    GHashTableIter iter;
    gpointer value = NULL;
    gpointer data = NULL;
    g_hash_table_iter_init(&iter, old);
    while (g_hash_table_iter_next(&iter, &value, &data)) {
        const PmGroupVerdict *before = data;
        const PmGroupVerdict *now = g_hash_table_lookup(rule, value);
        if (now == NULL || now->target != before->target || now->by_fit != before->by_fit ||
            now->is_doubtful != before->is_doubtful)
            return FALSE;
    }
    return TRUE;
}

/* Puts what was learnt in place of the group's rule. Returns: whether it is another. */
static gboolean
adopt(Learning *learning)
{
    PmGroup *group = learning->group;
    if (learning->rule == NULL)
        return FALSE;
    const gboolean kept = group->rule != NULL && is_same_tag(&learning->tag, &group->tag) &&
                          keeps(learning->rule, group->rule);
    const gboolean new =
        !kept || g_hash_table_size(learning->rule) > g_hash_table_size(group->rule);
    /* What another rule told is to be told anew. */
    if (group->rule != NULL && !kept)
        learning->typing->retyped++;
    group->tag = learning->tag;
    if (group->rule != NULL)
        g_hash_table_unref(group->rule);
    group->rule = g_steal_pointer(&learning->rule);
    return new;
}

static gboolean
learn_group(PmTyping *typing, PmGroup *group)
{
    g_autoptr(PmTrial) trial = pm_trial_new(typing, group);
    Learning learning = {.typing = typing, .group = group, .trial = trial};
    const PmGroupTag none = {.none = TRUE, .name = ""};
    const PmGroupTag size = {.none = TRUE, .with_size = TRUE, .name = "its size"};
    if (trial->candidates->len == 0)
        return FALSE;
    const PmType *owner = group->target == NULL ? group->edge->owner : NULL;
    const PmType *head = group->target != NULL ? group->target->type : NULL;
    try_tag(&learning, &none);
    try_tag(&learning, &size);
    const PmPointee *holder = owner != NULL ? find_holder(&learning) : NULL;
    for (guint with_size = 0; with_size < 2; with_size++) {
        const PmGroupTag in_owner = {.in_owner = TRUE, .with_size = with_size == 1};
        const PmGroupTag in_holder = {.holder = holder, .with_size = with_size == 1};
        const PmGroupTag in_head = {.with_size = with_size == 1};
        try_fields(&learning, owner, &in_owner);
        if (holder != NULL)
            try_fields(&learning, holder->type, &in_holder);
        try_fields(&learning, head, &in_head);
    }
    return adopt(&learning);
}

gboolean
pm_groups_learn(PmTyping *typing)
{
    gboolean learnt = FALSE;
    g_autoptr(GList) groups = g_hash_table_get_keys(typing->groups->groups);
    for (GList *at = groups; at != NULL; at = at->next) {
        PmGroup *group = at->data;
        if (group->samples->len > 0 && learn_group(typing, group))
            learnt = TRUE;
    }
    return learnt;
}
