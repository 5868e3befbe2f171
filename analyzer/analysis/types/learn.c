/*
 * What is learnt of pointers whose declaration does not say enough: which type explains all the
 * chunks that one value of some tag stands for, and no other does.
 */
#include "analysis/types/groups-private.h"

/* Types that are weighed for a group. */
#define CANDIDATES_MAX 64
/* A tag's values; more of them, and it is no tag. */
#define VALUES_MAX 64
/* Fields that are tried as the tag. */
#define FIELDS_MAX 32
/* Of what may be text, as much is looked at. */
#define TEXT_BYTES 24
/* What a chunk that is explained counts, and a value of a tag costs. */
#define SCORE_EXPLAINED 2
#define SCORE_VALUE     4

/* A part of a group: the chunks for which a tag has one value. */
typedef struct {
    guint64 value;
    guint samples;
    guint sure; /* of them are typed by what says enough */
    guint explained[CANDIDATES_MAX];
    gint weight[CANDIDATES_MAX];
} Part;

/* What is known of one example: which candidates explain it, and how well. */
typedef struct {
    gboolean is_sure;
    gint8 weight[CANDIDATES_MAX]; /* G_MININT8: does not explain it */
} Verdict;

typedef struct {
    PmTyping *typing;
    PmGroup *group;
    GPtrArray *candidates; /* PmPointee */
    GArray *verdicts;      /* Verdict, one for each sample */
    PmGroupTag tag;        /* the best so far */
    GHashTable *rule;
    gint score;
} Learning;

static void
add_candidate(Learning *learning, PmPointee *target)
{
    if (target != NULL && target->type != NULL && learning->candidates->len < CANDIDATES_MAX &&
        !g_ptr_array_find(learning->candidates, target, NULL))
        g_ptr_array_add(learning->candidates, target);
}

/* What is known for sure of the chunk of @sample, or NULL. */
static const PmBinding *
get_sure(PmTyping *typing, const PmGroupSample *sample)
{
    const guint32 id = pm_assignments_get_binding(&typing->assignments, sample->place.slot);
    const PmBinding *binding = pm_typing_get_binding(typing, id);
    return id != 0 && binding->rank > PM_RANK_GUESS && binding->target != NULL &&
                   binding->offset_bytes == 0
               ? binding
               : NULL;
}

/* Whether what @sure says holds what the group's pointers lead to where they lead. */
static gboolean
is_container(const Learning *learning, const PmBinding *sure)
{
    const PmGroup *group = learning->group;
    return sure->shape == PM_SHAPE_ONE &&
           pm_type_holds_at(learning->typing->types, sure->target->type, group->offset_bytes,
                            group->target->type);
}

static void
find_candidates(Learning *learning)
{
    const PmGroup *group = learning->group;
    for (guint i = 0; group->target == NULL && i < group->edge->target_count; i++) {
        PmPointee *target = group->edge->targets[i];
        if (target->kind != PM_POINTEE_VOID && target->kind != PM_POINTEE_FUNCTION)
            add_candidate(learning, target);
    }
    for (guint i = 0; i < group->samples->len; i++) {
        const PmGroupSample *sample = &g_array_index(group->samples, PmGroupSample, i);
        const PmBinding *sure = get_sure(learning->typing, sample);
        if (sure != NULL && (group->target == NULL || is_container(learning, sure)))
            add_candidate(learning, sure->target);
        if (group->target == NULL)
            continue;
        const GPtrArray *containers = pm_containers_find(
            learning->typing, group->target, group->offset_bytes, sample->place.usable_bytes);
        for (guint j = 0; j < containers->len; j++)
            add_candidate(learning, g_ptr_array_index(containers, j));
    }
}

/* Whether what is there could be text: printable up to a NUL. */
static gint8
judge_text(PmTyping *typing, const PmGroupSample *sample)
{
    guint8 bytes[TEXT_BYTES];
    const gsize count = (gsize)MIN(sample->place.usable_bytes, sizeof bytes);
    if (!pm_space_read(typing->reader.space, sample->place.user, bytes, count))
        return G_MININT8;
    for (gsize i = 0; i < count; i++) {
        if (bytes[i] == '\0')
            return i > 2 ? 2 : 0;
        if (bytes[i] < ' ' && !g_ascii_isspace((char)bytes[i]))
            return G_MININT8;
    }
    return 2;
}

static gint8
judge(Learning *learning, PmPointee *target, const PmGroupSample *sample, const PmBinding *sure)
{
    if (sure != NULL)
        return sure->target == target ? 8 : G_MININT8;
    if (target->least_bytes > sample->place.usable_bytes)
        return G_MININT8;
    if (target->kind == PM_POINTEE_TEXT)
        return judge_text(learning->typing, sample);
    if (target->kind != PM_POINTEE_RECORD)
        return 0;
    const gboolean is_whole =
        pm_match_is_whole(learning->typing, target, sample->place.usable_bytes);
    /* A chunk larger than its object is rare: it says nothing where all that is known is void. */
    if (!is_whole &&
        (learning->group->target == NULL ||
         !pm_match_is_whole_or_slack(learning->typing, target, sample->place.usable_bytes)))
        return G_MININT8;
    const gint weight =
        pm_match_weigh(learning->typing, target, sample->place.user, sample->place.usable_bytes);
    /* That a size agrees says something, unless any does. */
    return weight < 0 ? G_MININT8
                      : (gint8)MIN(weight + (is_whole && !target->is_flexible ? 1 : 0), 8);
}

static void
judge_all(Learning *learning)
{
    const GArray *samples = learning->group->samples;
    for (guint i = 0; i < samples->len; i++) {
        const PmGroupSample *sample = &g_array_index(samples, PmGroupSample, i);
        const PmBinding *sure = get_sure(learning->typing, sample);
        Verdict verdict = {.is_sure = sure != NULL};
        for (guint j = 0; j < learning->candidates->len; j++)
            verdict.weight[j] =
                judge(learning, g_ptr_array_index(learning->candidates, j), sample, sure);
        g_array_append_val(learning->verdicts, verdict);
    }
}

/* The candidate that explains @part, and no other as well; NULL where there is none. */
static PmPointee *
find_winner(const Learning *learning, const Part *part, gint *ret_weight)
{
    gint best = -1;
    gint second = -1;
    for (guint i = 0; i < learning->candidates->len; i++) {
        /* One chunk in fifty may be stale or half made. */
        if ((part->samples - part->explained[i]) * 50 > part->samples)
            continue;
        if (best < 0 || part->weight[i] > part->weight[best]) {
            second = best;
            best = (gint)i;
        } else if (second < 0 || part->weight[i] > part->weight[second]) {
            second = (gint)i;
        }
    }
    if (best < 0)
        return NULL;
    PmPointee *winner = g_ptr_array_index(learning->candidates, (guint)best);
    /* Nothing but its size speaks for it: not enough where the field is void. */
    if (learning->group->target == NULL && part->sure == 0 && part->weight[best] <= 0)
        return NULL;
    *ret_weight = part->weight[best];
    if (second < 0)
        return winner;
    const gint margin = part->weight[best] - part->weight[second];
    return margin > 0 && (guint)margin * 2 > part->samples ? winner : NULL;
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
        const Verdict *verdict = &g_array_index(learning->verdicts, Verdict, i);
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
        for (guint j = 0; j < learning->candidates->len; j++) {
            if (verdict->weight[j] == G_MININT8)
                continue;
            part->explained[j]++;
            part->weight[j] += verdict->weight[j];
        }
    }
    return g_steal_pointer(&parts);
}

/* Keeps what @tag tells, where that is more than what was known. */
static void
try_tag(Learning *learning, const PmGroupTag *tag)
{
    g_autoptr(GHashTable) parts = part_samples(learning, tag);
    gint score = 0;
    GHashTableIter iter;
    gpointer data = NULL;
    if (parts == NULL)
        return;
    g_autoptr(GHashTable) rule = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    g_hash_table_iter_init(&iter, parts);
    while (g_hash_table_iter_next(&iter, NULL, &data)) {
        const Part *part = data;
        gint weight = 0;
        PmPointee *winner = find_winner(learning, part, &weight);
        score -= SCORE_VALUE;
        if (winner == NULL)
            continue;
        score += SCORE_EXPLAINED * (gint)part->samples + weight;
        g_hash_table_insert(rule, g_memdup2(&part->value, sizeof part->value), winner);
    }
    if (g_hash_table_size(rule) == 0 || (learning->rule != NULL && score <= learning->score))
        return;
    learning->score = score;
    learning->tag = *tag;
    g_clear_pointer(&learning->rule, g_hash_table_unref);
    learning->rule = g_steal_pointer(&rule);
}

static void
try_fields(Learning *learning, const PmType *type, gboolean in_owner, gboolean with_size)
{
    gsize count = 0;
    guint tried = 0;
    if (type == NULL || (type->kind != PM_TYPE_STRUCT && type->kind != PM_TYPE_UNION))
        return;
    const PmField *fields = pm_type_get_fields(learning->typing->types, type, &count);
    for (gsize i = 0; i < count && tried < FIELDS_MAX; i++) {
        const PmField *field = &fields[i];
        const PmTypeKind kind = field->type->kind;
        if (kind != PM_TYPE_INT && kind != PM_TYPE_UINT && kind != PM_TYPE_ENUM &&
            kind != PM_TYPE_CHAR && kind != PM_TYPE_BOOL)
            continue;
        if (field->type->size_bytes > 4 && field->bit_count == 0)
            continue;
        const PmGroupTag tag = {.in_owner = in_owner,
                                .with_size = with_size,
                                .offset_bytes = field->offset_bytes,
                                .size_bytes = MIN(field->type->size_bytes, 8),
                                .bit_offset = field->bit_offset,
                                .bit_count = MIN(field->bit_count, 32),
                                .name = field->name};
        tried++;
        try_tag(learning, &tag);
    }
}

static gboolean
is_same_tag(const PmGroupTag *left, const PmGroupTag *right)
{
    return left->none == right->none && left->in_owner == right->in_owner &&
           left->with_size == right->with_size && left->offset_bytes == right->offset_bytes &&
           left->bit_offset == right->bit_offset && left->bit_count == right->bit_count;
}

/* Whether @rule says of everything that @old speaks of the same. */
static gboolean
keeps(GHashTable *rule, GHashTable *old)
{
    GHashTableIter iter;
    gpointer value = NULL;
    gpointer target = NULL;
    g_hash_table_iter_init(&iter, old);
    while (g_hash_table_iter_next(&iter, &value, &target))
        if (g_hash_table_lookup(rule, value) != target)
            return FALSE;
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
    g_clear_pointer(&group->rule, g_hash_table_unref);
    group->rule = g_steal_pointer(&learning->rule);
    return new;
}

static gboolean
learn_group(PmTyping *typing, PmGroup *group)
{
    g_autoptr(GPtrArray) candidates = g_ptr_array_new();
    g_autoptr(GArray) verdicts = g_array_new(FALSE, FALSE, sizeof(Verdict));
    Learning learning = {
        .typing = typing, .group = group, .candidates = candidates, .verdicts = verdicts};
    const PmGroupTag none = {.none = TRUE, .name = ""};
    const PmGroupTag size = {.none = TRUE, .with_size = TRUE, .name = "its size"};
    find_candidates(&learning);
    if (candidates->len == 0)
        return FALSE;
    judge_all(&learning);
    const PmType *owner = group->target == NULL ? group->edge->owner : NULL;
    const PmType *head = group->target != NULL ? group->target->type : NULL;
    try_tag(&learning, &none);
    try_tag(&learning, &size);
    for (guint with_size = 0; with_size < 2; with_size++) {
        try_fields(&learning, owner, TRUE, with_size == 1);
        try_fields(&learning, head, FALSE, with_size == 1);
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
