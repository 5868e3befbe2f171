/*
 * What is learnt of pointers whose declaration does not say enough: which type explains all the
 * chunks that one value of some tag stands for, and no other does.
 */
#include "analysis/types/groups-private.h"

/* Types that are weighed for a group. */
#define CANDIDATES_MAX 64
/* A tag's values; more of them, and it is no tag. */
#define VALUES_MAX 64
/* Chunks from which on one value of a tag tells for sure what it stands for. */
#define PART_SURE 8
/* Of fewer, the best must be better than the next by so much. */
#define PART_SMALL   4
#define MARGIN_SMALL 3
/* Fields that are tried as the tag. */
#define FIELDS_MAX 32
/* Chunks of one size that are compared with all types of that size; of larger ones none. */
#define SHAPES_PER_SIZE 3
#define SHAPE_BYTES_MAX 4096
/* What a type that was found by fit weighs at least, on the average of its chunks. */
#define FIT_WEIGHT 3
/* The weight of a candidate that does not explain a chunk. */
#define NOT_EXPLAINED ((gint8)G_MININT8)
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
    gint8 weight[CANDIDATES_MAX]; /* NOT_EXPLAINED: does not explain it */
} Verdict;

typedef struct {
    PmTyping *typing;
    PmGroup *group;
    GPtrArray *candidates; /* PmPointee */
    GHashTable *shapes;    /* those of them for which only contents speak */
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
    const guint32 id = pm_assignments_get_binding(&typing->assignments, sample->spot.slot);
    const PmBinding *binding = pm_typing_get_binding(typing, id);
    return id != 0 && binding->rank > PM_RANK_GUESS && binding->target != NULL &&
                   binding->offset_bytes == 0
               ? binding
               : NULL;
}

/* Whether the chunk of @sample is known to be something that no type describes. */
static gboolean
is_nameless(PmTyping *typing, const PmGroupSample *sample)
{
    const guint32 id = pm_assignments_get_binding(&typing->assignments, sample->spot.slot);
    const PmBinding *binding = pm_typing_get_binding(typing, id);
    return id != 0 && binding->rank > PM_RANK_GUESS && binding->target == NULL;
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
            learning->typing, group->target, group->offset_bytes, sample->spot.usable_bytes);
        for (guint j = 0; j < containers->len; j++)
            add_candidate(learning, g_ptr_array_index(containers, j));
    }
}

/* Whether what is there could be text: printable up to a NUL. */
static gint8
judge_text(PmTyping *typing, const PmGroupSample *sample)
{
    guint8 bytes[TEXT_BYTES];
    const gsize count = (gsize)MIN(sample->spot.usable_bytes, sizeof bytes);
    if (!pm_space_read(typing->reader.space, sample->spot.user, bytes, count))
        return NOT_EXPLAINED;
    for (gsize i = 0; i < count; i++) {
        if (bytes[i] == '\0')
            return i > 2 ? 2 : 0;
        if (bytes[i] < ' ' && !g_ascii_isspace((char)bytes[i]))
            return NOT_EXPLAINED;
    }
    return 2;
}

/* Types of the right size whose pointers lead where they should in some of the chunks: where a
 * field is void, and nothing else is known. */
static void
add_shapes(Learning *learning, const PmGroupSample *sample)
{
    PmTyping *typing = learning->typing;
    const PmType *owner = learning->group->edge->owner;
    const guint64 usable = sample->spot.usable_bytes;
    const guint64 least = MAX(pm_typing_get_request_min(typing, usable), typing->word_bytes);
    if (owner == NULL || usable > SHAPE_BYTES_MAX)
        return;
    g_autoptr(GPtrArray) types = pm_types_find_by_size(typing->types, least, usable);
    for (guint i = 0; types != NULL && i < types->len; i++) {
        const PmType *type = g_ptr_array_index(types, i);
        if (type->kind != PM_TYPE_STRUCT || type->is_declaration || type->module != owner->module)
            continue;
        PmPointee *target = pm_plans_get_target(typing->plans, type);
        if (target->is_flexible || g_ptr_array_find(learning->candidates, target, NULL) ||
            pm_match_weigh(typing, target, sample->spot.user, usable) <= 0)
            continue;
        add_candidate(learning, target);
        g_hash_table_add(learning->shapes, target);
    }
}

/* The same for some chunks of each size. */
static void
find_shapes(Learning *learning)
{
    const GArray *samples = learning->group->samples;
    g_autoptr(GHashTable) looked = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    for (guint i = 0; i < samples->len; i++) {
        const PmGroupSample *sample = &g_array_index(samples, PmGroupSample, i);
        const guint64 usable = sample->spot.usable_bytes;
        const guint count = GPOINTER_TO_UINT(g_hash_table_lookup(looked, &usable));
        if (count >= SHAPES_PER_SIZE || get_sure(learning->typing, sample) != NULL)
            continue;
        g_hash_table_insert(looked, g_memdup2(&usable, sizeof usable), GUINT_TO_POINTER(count + 1));
        add_shapes(learning, sample);
    }
}

static gint8
judge(Learning *learning, PmPointee *target, const PmGroupSample *sample, const PmBinding *sure)
{
    if (sure != NULL)
        return sure->target == target ? 8 : NOT_EXPLAINED;
    if (target->least_bytes > sample->spot.usable_bytes)
        return NOT_EXPLAINED;
    if (target->kind == PM_POINTEE_TEXT)
        return judge_text(learning->typing, sample);
    if (target->kind != PM_POINTEE_RECORD)
        return 0;
    const gboolean is_whole =
        pm_match_is_whole(learning->typing, target, sample->spot.usable_bytes);
    /* A chunk larger than its object is rare: it says nothing where all that is known is void. */
    if (!is_whole &&
        (learning->group->target == NULL ||
         !pm_match_is_whole_or_slack(learning->typing, target, sample->spot.usable_bytes)))
        return NOT_EXPLAINED;
    const gint weight =
        pm_match_weigh(learning->typing, target, sample->spot.user, sample->spot.usable_bytes);
    /* That a size agrees says something, unless any does. */
    gint bonus = is_whole && !target->is_flexible ? 1 : 0;
    /* One that the program has elsewhere is likelier than one that nobody has seen. */
    if (learning->group->target == NULL && target->exact[0] + target->exact[1] > 0)
        bonus++;
    /* Any size fits a flexible one: its pointers have to speak for it where the field is void. */
    if (weight < 0 || (weight == 0 && target->is_flexible && learning->group->target == NULL))
        return NOT_EXPLAINED;
    return (gint8)MIN(weight + bonus, 12);
}

static void
judge_all(Learning *learning)
{
    const GArray *samples = learning->group->samples;
    for (guint i = 0; i < samples->len; i++) {
        const PmGroupSample *sample = &g_array_index(samples, PmGroupSample, i);
        const PmBinding *sure = get_sure(learning->typing, sample);
        const gboolean nameless = sure == NULL && is_nameless(learning->typing, sample);
        Verdict verdict = {.is_sure = sure != NULL};
        for (guint j = 0; j < learning->candidates->len; j++) {
            verdict.weight[j] = NOT_EXPLAINED;
            if (!nameless)
                verdict.weight[j] =
                    judge(learning, g_ptr_array_index(learning->candidates, j), sample, sure);
        }
        g_array_append_val(learning->verdicts, verdict);
    }
}

/* Whether candidate @index explains @part: one chunk in fifty may be stale or half made. */
static gboolean
explains(const Part *part, guint index)
{
    return (part->samples - part->explained[index]) * 50 <= part->samples;
}

/* Whether a candidate explains @part that is not @taken. */
static gboolean
has_others(const Learning *learning, const Part *part, GHashTable *taken)
{
    for (guint i = 0; taken != NULL && i < learning->candidates->len; i++)
        if (explains(part, i) && !g_hash_table_contains(taken, learning->candidates->pdata[i]))
            return TRUE;
    return FALSE;
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
    const gboolean others = has_others(learning, part, taken);
    for (guint i = 0; i < learning->candidates->len; i++) {
        if (!explains(part, i) ||
            (others && g_hash_table_contains(taken, learning->candidates->pdata[i])))
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
    /* And where it was not even declared, its pointers have to. */
    if (part->sure == 0 && g_hash_table_contains(learning->shapes, winner) &&
        part->weight[best] < FIT_WEIGHT * (gint)part->samples)
        return NULL;
    *ret_weight = part->weight[best];
    if (second < 0)
        return winner;
    const gint margin = part->weight[best] - part->weight[second];
    gint least = (gint)part->samples / 2 + 1;
    if (part->sure == 0 && part->samples < PART_SMALL)
        least = MAX(least, MARGIN_SMALL);
    if (part->sure == 0 && g_hash_table_contains(learning->shapes, winner))
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
            if (verdict->weight[j] == NOT_EXPLAINED)
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
    for (guint i = 0; part->sure == 0 && i < learning->candidates->len; i++)
        if (learning->candidates->pdata[i] != winner && part->explained[i] * 5 >= part->samples)
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
            .by_fit = part->sure == 0 && g_hash_table_contains(learning->shapes, winner),
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
has_void(const PmTypedEdge *edge)
{
    for (guint i = 0; i < edge->target_count; i++)
        if (edge->targets[i]->kind == PM_POINTEE_VOID)
            return TRUE;
    return FALSE;
}

static gboolean
learn_group(PmTyping *typing, PmGroup *group)
{
    g_autoptr(GPtrArray) candidates = g_ptr_array_new();
    g_autoptr(GArray) verdicts = g_array_new(FALSE, FALSE, sizeof(Verdict));
    g_autoptr(GHashTable) shapes = g_hash_table_new(NULL, NULL);
    Learning learning = {.typing = typing,
                         .group = group,
                         .candidates = candidates,
                         .shapes = shapes,
                         .verdicts = verdicts};
    const PmGroupTag none = {.none = TRUE, .name = ""};
    const PmGroupTag size = {.none = TRUE, .with_size = TRUE, .name = "its size"};
    find_candidates(&learning);
    if (group->target == NULL && has_void(group->edge))
        find_shapes(&learning);
    if (candidates->len == 0)
        return FALSE;
    judge_all(&learning);
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
