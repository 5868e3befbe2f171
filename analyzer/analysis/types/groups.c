/*
 * Pointers whose declaration does not say enough: to a base or a common head of what is really
 * there, to a link within it, to one of several members of a union, to void. What they lead to is
 * compared over many chunks: which type explains all that one value of some tag stands for.
 */
#include "analysis/types/typing-private.h"

#include <string.h>

/* Examples that are kept of a group, chosen evenly. */
#define SAMPLES_MAX 512
#define GROUPS_MAX  20000
/* Types that are weighed for a group; sizes of which the containers are remembered. */
#define CANDIDATES_MAX 64
#define CACHED_MAX     20000
/* A link lies near the beginning of what it links. */
#define OFFSET_MAX 4096
/* A tag's values; more of them, and it is no tag. */
#define VALUES_MAX 64
/* Fields that are tried as the tag. */
#define FIELDS_MAX 32
/* Structures that are searched for flexible ones. */
#define TYPES_SEARCHED_MAX 20000
/* Chunks larger than that are arrays and buffers, not structures. */
#define CONTAINER_BYTES_MAX 65536
/* Of what may be text, as much is looked at. */
#define TEXT_BYTES 24
/* What a chunk that is explained counts, and a value of a tag costs. */
#define SCORE_EXPLAINED 2
#define SCORE_VALUE     4
/* The level of what was learnt. */
#define LEARNT_LEVEL 2

typedef struct {
    PmSpot place;
    PmAddr owner;
} Sample;

/* A number in a structure: what may be a tag. @in_owner: of what points, not of what is pointed to.
 * @with_size: the chunk's size counts too. */
typedef struct {
    gboolean none;
    gboolean in_owner;
    gboolean with_size;
    guint64 offset_bytes;
    guint64 size_bytes;
    guint bit_offset;
    guint bit_count;
    const char *name;
} Tag;

/*
 * @target, @offset_bytes: of a group of containers; NULL for one of an edge's. @rule: what each
 * value of @tag stands for: value → binding.
 */
typedef struct {
    const PmTypedEdge *edge;
    PmPointee *target;
    guint64 offset_bytes;
    guint64 seen;
    GArray *samples; /* Sample */
    Tag tag;
    GHashTable *rule; /* guint64 → PmPointee */
    gint score;
} Group;

/* The containers of a type for one size of chunk. */
typedef struct {
    const PmPointee *target;
    guint64 offset_bytes;
    guint64 usable_bytes;
} ContainerKey;

struct PmGroups {
    GHashTable *groups;     /* Group → itself */
    GHashTable *containers; /* ContainerKey → GPtrArray of PmType */
    GHashTable *flexible;   /* ContainerKey without a size → GPtrArray of PmPointee */
    guint64 random;
};

static guint
hash_group(gconstpointer key)
{
    const Group *group = key;
    return (g_direct_hash(group->edge) * 31 + g_direct_hash(group->target)) * 31 +
           (guint)group->offset_bytes;
}

static gboolean
equal_groups(gconstpointer a, gconstpointer b)
{
    const Group *left = a;
    const Group *right = b;
    return left->edge == right->edge && left->target == right->target &&
           left->offset_bytes == right->offset_bytes;
}

static void
free_group(gpointer data)
{
    Group *group = data;
    g_array_unref(group->samples);
    if (group->rule != NULL)
        g_hash_table_unref(group->rule);
    g_free(group);
}

static guint
hash_container(gconstpointer key)
{
    const ContainerKey *container = key;
    return (g_direct_hash(container->target) * 31 + (guint)container->offset_bytes) * 31 +
           (guint)(container->usable_bytes >> 3);
}

static gboolean
equal_containers(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, sizeof(ContainerKey)) == 0;
}

PmGroups *
pm_groups_new(void)
{
    PmGroups *groups = g_new0(PmGroups, 1);
    groups->groups = g_hash_table_new_full(hash_group, equal_groups, free_group, NULL);
    groups->containers = g_hash_table_new_full(hash_container, equal_containers, g_free,
                                               (GDestroyNotify)g_ptr_array_unref);
    groups->flexible = g_hash_table_new_full(hash_container, equal_containers, g_free,
                                             (GDestroyNotify)g_ptr_array_unref);
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

/* ---- containers ---- */

static gboolean
holds(PmTyping *typing, const PmType *type, const PmPointee *target, guint64 offset)
{
    return type != target->type && type->kind == PM_TYPE_STRUCT && !type->is_declaration &&
           (offset == 0 ? pm_type_begins_with(typing->types, type, target->type)
                        : pm_type_holds_at(typing->types, type, offset, target->type));
}

/* Those that end in an array of any length, and so fill chunks of many sizes. */
static GPtrArray *
find_flexible(PmTyping *typing, const PmPointee *target, guint64 offset)
{
    const ContainerKey key = {target, offset, 0};
    GPtrArray *found = g_hash_table_lookup(typing->groups->flexible, &key);
    if (found != NULL)
        return found;
    found = g_ptr_array_new();
    g_autoptr(GPtrArray) types = pm_types_find_by_size(
        typing->types, MAX(offset + target->size_bytes, 1), CONTAINER_BYTES_MAX);
    for (guint i = 0; types != NULL && types->len <= TYPES_SEARCHED_MAX && i < types->len; i++) {
        const PmType *type = g_ptr_array_index(types, i);
        if (!holds(typing, type, target, offset))
            continue;
        PmPointee *container = pm_plans_get_target(typing->plans, type);
        if (container->is_flexible)
            g_ptr_array_add(found, container);
    }
    g_hash_table_insert(typing->groups->flexible, g_memdup2(&key, sizeof key), found);
    return found;
}

static GPtrArray *
find_containers(PmTyping *typing, const PmPointee *target, guint64 offset, guint64 usable)
{
    const ContainerKey key = {target, offset, usable};
    GPtrArray *found = g_hash_table_lookup(typing->groups->containers, &key);
    if (found != NULL)
        return found;
    found = g_ptr_array_new();
    const guint64 least =
        MAX(pm_typing_get_request_min(typing, usable), offset + target->size_bytes);
    if (usable <= CONTAINER_BYTES_MAX) {
        g_autoptr(GPtrArray) types = pm_types_find_by_size(typing->types, least, usable);
        for (guint i = 0; types != NULL && i < types->len; i++) {
            const PmType *type = g_ptr_array_index(types, i);
            if (holds(typing, type, target, offset))
                g_ptr_array_add(found, pm_plans_get_target(typing->plans, type));
        }
    }
    const GPtrArray *flexible = find_flexible(typing, target, offset);
    for (guint i = 0; i < flexible->len; i++) {
        PmPointee *container = g_ptr_array_index(flexible, i);
        if (container->least_bytes <= usable && !g_ptr_array_find(found, container, NULL))
            g_ptr_array_add(found, container);
    }
    if (g_hash_table_size(typing->groups->containers) < CACHED_MAX)
        g_hash_table_insert(typing->groups->containers, g_memdup2(&key, sizeof key), found);
    else
        g_hash_table_insert(typing->groups->flexible, g_memdup2(&key, sizeof key), found);
    return found;
}

gboolean
pm_groups_has_containers(PmTyping *typing, PmPointee *target, const PmSpot *place)
{
    if (place->usable_bytes > CONTAINER_BYTES_MAX)
        return FALSE;
    return find_containers(typing, target, 0, place->usable_bytes)->len > 0;
}

/* ---- what a group is asked ---- */

static gboolean
read_tag(PmTyping *typing, const Tag *tag, const Sample *sample, guint64 *ret_value)
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
make_binding(PmTyping *typing, const Group *group, PmPointee *target, const PmSpot *place)
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
keep_sample(PmGroups *groups, Group *group, const Sample *sample)
{
    group->seen++;
    if (group->samples->len < SAMPLES_MAX) {
        g_array_append_vals(group->samples, sample, 1);
        return;
    }
    const guint64 place = next_random(groups) % group->seen;
    if (place < SAMPLES_MAX)
        g_array_index(group->samples, Sample, place) = *sample;
}

static Group *
get_group(PmGroups *groups, const PmTypedEdge *edge, PmPointee *target, guint64 offset)
{
    const Group key = {.edge = target == NULL ? edge : NULL,
                       .target = target,
                       .offset_bytes = target == NULL ? 0 : offset};
    Group *group = g_hash_table_lookup(groups->groups, &key);
    if (group != NULL || g_hash_table_size(groups->groups) >= GROUPS_MAX)
        return group;
    group = g_new(Group, 1);
    *group = key;
    group->samples = g_array_new(FALSE, FALSE, sizeof(Sample));
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
    const Sample sample = {*place, owner};
    guint64 value = 0;
    const Group key = {.edge = target == NULL ? edge : NULL,
                       .target = target,
                       .offset_bytes = target == NULL ? 0 : place->offset_bytes};
    const Group *group = g_hash_table_lookup(typing->groups->groups, &key);
    if (group == NULL || group->rule == NULL || !read_tag(typing, &group->tag, &sample, &value))
        return 0;
    PmPointee *learnt = g_hash_table_lookup(group->rule, &value);
    return learnt == NULL ? 0 : make_binding(typing, group, learnt, place);
}

guint32
pm_groups_ask(PmTyping *typing, const PmTypedEdge *edge, PmPointee *target, PmAddr owner,
              const PmSpot *place, guint level)
{
    const Sample sample = {*place, owner};
    guint64 value = 0;
    (void)level;
    if (typing->audits || (target != NULL && target->kind != PM_POINTEE_RECORD))
        return 0;
    Group *group = NULL;
    if (place->offset_bytes <= OFFSET_MAX && (target != NULL || place->offset_bytes == 0))
        group = get_group(typing->groups, edge, target, place->offset_bytes);
    if (group != NULL && group->rule != NULL && read_tag(typing, &group->tag, &sample, &value)) {
        PmPointee *learnt = g_hash_table_lookup(group->rule, &value);
        const guint32 id = learnt == NULL ? 0 : make_binding(typing, group, learnt, place);
        if (id != 0)
            return id;
    }
    typing->asked = TRUE;
    if (typing->settles && target != NULL && place->offset_bytes > 0 &&
        target->size_bytes <= place->usable_bytes - place->offset_bytes &&
        place->offset_bytes % typing->word_bytes == 0)
        return pm_groups_make_pool(typing, target, PM_RANK_POOL);
    if (group != NULL)
        keep_sample(typing->groups, group, &sample);
    return 0;
}

/* ---- learning ---- */

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
    Group *group;
    GPtrArray *candidates; /* PmPointee */
    GArray *verdicts;      /* Verdict, one for each sample */
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
get_sure(PmTyping *typing, const Sample *sample)
{
    const guint32 id = pm_assignments_get_binding(&typing->assignments, sample->place.slot);
    const PmBinding *binding = pm_typing_get_binding(typing, id);
    return id != 0 && binding->rank > PM_RANK_GUESS && binding->target != NULL &&
                   binding->offset_bytes == 0
               ? binding
               : NULL;
}

static void
find_candidates(Learning *learning)
{
    const Group *group = learning->group;
    for (guint i = 0; group->target == NULL && i < group->edge->target_count; i++) {
        PmPointee *target = group->edge->targets[i];
        if (target->kind != PM_POINTEE_VOID && target->kind != PM_POINTEE_FUNCTION)
            add_candidate(learning, target);
    }
    for (guint i = 0; i < group->samples->len; i++) {
        const Sample *sample = &g_array_index(group->samples, Sample, i);
        const PmBinding *sure = get_sure(learning->typing, sample);
        if (sure != NULL && (sure->shape == PM_SHAPE_ONE || group->target == NULL))
            add_candidate(learning, sure->target);
        if (group->target == NULL)
            continue;
        const GPtrArray *containers = find_containers(
            learning->typing, group->target, group->offset_bytes, sample->place.usable_bytes);
        for (guint j = 0; j < containers->len; j++)
            add_candidate(learning, g_ptr_array_index(containers, j));
    }
}

/* Whether what is there could be text: printable up to a NUL. */
static gint8
judge_text(PmTyping *typing, const Sample *sample)
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
judge(Learning *learning, PmPointee *target, const Sample *sample, const PmBinding *sure)
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
        const Sample *sample = &g_array_index(samples, Sample, i);
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
part_samples(const Learning *learning, const Tag *tag)
{
    g_autoptr(GHashTable) parts = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    const GArray *samples = learning->group->samples;
    for (guint i = 0; i < samples->len; i++) {
        const Sample *sample = &g_array_index(samples, Sample, i);
        const Verdict *verdict = &g_array_index(learning->verdicts, Verdict, i);
        guint64 value = 0;
        if (!read_tag(learning->typing, tag, sample, &value))
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
try_tag(Learning *learning, const Tag *tag)
{
    Group *group = learning->group;
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
    if (g_hash_table_size(rule) == 0 || (group->rule != NULL && score <= group->score))
        return;
    group->score = score;
    /* What another rule told is to be told anew. */
    if (group->rule != NULL)
        learning->typing->retyped++;
    group->tag = *tag;
    if (group->rule != NULL)
        g_hash_table_unref(group->rule);
    group->rule = g_steal_pointer(&rule);
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
        const Tag tag = {.in_owner = in_owner,
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
learn_group(PmTyping *typing, Group *group)
{
    g_autoptr(GPtrArray) candidates = g_ptr_array_new();
    g_autoptr(GArray) verdicts = g_array_new(FALSE, FALSE, sizeof(Verdict));
    Learning learning = {typing, group, candidates, verdicts};
    const gint before = group->score;
    const Tag none = {.none = TRUE, .name = ""};
    const Tag size = {.none = TRUE, .with_size = TRUE, .name = "its size"};
    const gboolean had_rule = group->rule != NULL;
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
    return group->score > before || (!had_rule && group->rule != NULL);
}

gboolean
pm_groups_learn(PmTyping *typing)
{
    gboolean learnt = FALSE;
    g_autoptr(GList) groups = g_hash_table_get_keys(typing->groups->groups);
    for (GList *at = groups; at != NULL; at = at->next) {
        Group *group = at->data;
        if (group->samples->len > 0 && learn_group(typing, group))
            learnt = TRUE;
    }
    return learnt;
}
