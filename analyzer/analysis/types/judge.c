/*
 * What the chunks of a group may be, and how well each of their contents agrees with that.
 */
#include "analysis/types/groups-private.h"

/* Chunks of one size that are compared with all types of that size; of larger ones none. */
#define SHAPES_PER_SIZE 3
#define SHAPES_OF_CHUNK 6
#define SHAPE_BYTES_MAX 4096
/* Of what may be text, as much is looked at. */
#define TEXT_BYTES 24

static void
add_candidate(PmTrial *trial, PmPointee *target)
{
    if (target != NULL && target->type != NULL && trial->candidates->len < PM_CANDIDATES_MAX &&
        !g_ptr_array_find(trial->candidates, target, NULL))
        g_ptr_array_add(trial->candidates, target);
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
is_container(const PmTrial *trial, const PmBinding *sure)
{
    const PmGroup *group = trial->group;
    return sure->shape == PM_SHAPE_ONE &&
           pm_type_holds_at(trial->typing->types, sure->target->type, group->offset_bytes,
                            group->target->type);
}

static void
find_candidates(PmTrial *trial)
{
    const PmGroup *group = trial->group;
    for (guint i = 0; group->target == NULL && i < group->edge->target_count; i++) {
        PmPointee *target = group->edge->targets[i];
        if (target->kind != PM_POINTEE_VOID && target->kind != PM_POINTEE_FUNCTION)
            add_candidate(trial, target);
    }
    for (guint i = 0; i < group->samples->len; i++) {
        const PmGroupSample *sample = &g_array_index(group->samples, PmGroupSample, i);
        const PmBinding *sure = get_sure(trial->typing, sample);
        if (sure != NULL && (group->target == NULL || is_container(trial, sure)))
            add_candidate(trial, sure->target);
        if (group->target == NULL)
            continue;
        const GPtrArray *containers = pm_containers_find(
            trial->typing, group->target, group->offset_bytes, sample->spot.usable_bytes);
        for (guint j = 0; j < containers->len; j++)
            add_candidate(trial, g_ptr_array_index(containers, j));
    }
}

/* Whether what is there could be text: printable up to a NUL. */
static gint8
judge_text(PmTyping *typing, const PmGroupSample *sample)
{
    guint8 bytes[TEXT_BYTES];
    const gsize count = (gsize)MIN(sample->spot.usable_bytes, sizeof bytes);
    if (!pm_space_read(typing->reader.space, sample->spot.user, bytes, count))
        return PM_NOT_EXPLAINED;
    for (gsize i = 0; i < count; i++) {
        if (bytes[i] == '\0')
            return i > 2 ? 2 : 0;
        if (bytes[i] < ' ' && !g_ascii_isspace((char)bytes[i]))
            return PM_NOT_EXPLAINED;
    }
    return 2;
}

/* A type of the right size, and how well a chunk agrees with it. */
typedef struct {
    PmPointee *target;
    gint weight;
} Shape;

static gint
compare_shapes(gconstpointer a, gconstpointer b)
{
    const Shape *left = a;
    const Shape *right = b;
    return right->weight - left->weight;
}

/* Types of the right size whose pointers lead where they should in the chunk of @sample: the best
 * of them, where a field is void, and nothing else is known. */
static void
add_shapes(PmTrial *trial, const PmGroupSample *sample)
{
    PmTyping *typing = trial->typing;
    const PmType *owner = trial->group->edge->owner;
    const guint64 usable = sample->spot.usable_bytes;
    const guint64 least = MAX(pm_typing_get_request_min(typing, usable), typing->word_bytes);
    if (owner == NULL || usable > SHAPE_BYTES_MAX)
        return;
    g_autoptr(GArray) shapes = g_array_new(FALSE, FALSE, sizeof(Shape));
    g_autoptr(GPtrArray) types = pm_types_find_by_size(typing->types, least, usable);
    for (guint i = 0; types != NULL && i < types->len; i++) {
        const PmType *type = g_ptr_array_index(types, i);
        if (type->kind != PM_TYPE_STRUCT || type->is_declaration || type->module != owner->module)
            continue;
        Shape shape = {.target = pm_plans_get_target(typing->plans, type)};
        shape.weight = pm_match_weigh(typing, shape.target, sample->spot.user, usable);
        if (shape.weight > 0 && !shape.target->is_flexible)
            g_array_append_val(shapes, shape);
    }
    g_array_sort(shapes, compare_shapes);
    for (guint i = 0; i < MIN(shapes->len, SHAPES_OF_CHUNK); i++) {
        PmPointee *target = g_array_index(shapes, Shape, i).target;
        if (g_ptr_array_find(trial->candidates, target, NULL))
            continue;
        add_candidate(trial, target);
        g_hash_table_add(trial->shapes, target);
    }
}

/* The same for some chunks of each size. */
static void
find_shapes(PmTrial *trial)
{
    const GArray *samples = trial->group->samples;
    g_autoptr(GHashTable) looked = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    for (guint i = 0; i < samples->len; i++) {
        const PmGroupSample *sample = &g_array_index(samples, PmGroupSample, i);
        const guint64 usable = sample->spot.usable_bytes;
        const guint count = GPOINTER_TO_UINT(g_hash_table_lookup(looked, &usable));
        if (count >= SHAPES_PER_SIZE || get_sure(trial->typing, sample) != NULL)
            continue;
        g_hash_table_insert(looked, g_memdup2(&usable, sizeof usable), GUINT_TO_POINTER(count + 1));
        add_shapes(trial, sample);
    }
}

static gint8
judge(PmTrial *trial, PmPointee *target, const PmGroupSample *sample, const PmBinding *sure)
{
    if (sure != NULL)
        return sure->target == target ? 8 : PM_NOT_EXPLAINED;
    if (target->least_bytes > sample->spot.usable_bytes)
        return PM_NOT_EXPLAINED;
    if (target->kind == PM_POINTEE_TEXT)
        return judge_text(trial->typing, sample);
    if (target->kind != PM_POINTEE_RECORD)
        return 0;
    const gboolean is_whole = pm_match_is_whole(trial->typing, target, sample->spot.usable_bytes);
    /* A chunk larger than its object is rare: it says nothing where all that is known is void. */
    if (!is_whole &&
        (trial->group->target == NULL ||
         !pm_match_is_whole_or_slack(trial->typing, target, sample->spot.usable_bytes)))
        return PM_NOT_EXPLAINED;
    const gint weight =
        pm_match_weigh(trial->typing, target, sample->spot.user, sample->spot.usable_bytes);
    /* That a size agrees says something, unless any does. */
    gint bonus = is_whole && !target->is_flexible ? 1 : 0;
    /* One that the program has elsewhere is likelier than one that nobody has seen. */
    if (trial->group->target == NULL && target->exact[0] + target->exact[1] > 0)
        bonus++;
    /* Any size fits a flexible one: its pointers have to speak for it where the field is void. */
    if (weight < 0 || (weight == 0 && target->is_flexible && trial->group->target == NULL))
        return PM_NOT_EXPLAINED;
    return (gint8)MIN(weight + bonus, 12);
}

static void
judge_all(PmTrial *trial)
{
    const GArray *samples = trial->group->samples;
    for (guint i = 0; i < samples->len; i++) {
        const PmGroupSample *sample = &g_array_index(samples, PmGroupSample, i);
        const PmBinding *sure = get_sure(trial->typing, sample);
        const gboolean nameless = sure == NULL && is_nameless(trial->typing, sample);
        PmVerdict verdict = {.is_sure = sure != NULL};
        for (guint j = 0; j < trial->candidates->len; j++) {
            verdict.weight[j] = PM_NOT_EXPLAINED;
            if (!nameless)
                verdict.weight[j] =
                    judge(trial, g_ptr_array_index(trial->candidates, j), sample, sure);
        }
        g_array_append_val(trial->verdicts, verdict);
    }
}

static gboolean
has_void(const PmTypedEdge *edge)
{
    for (guint i = 0; i < edge->target_count; i++)
        if (edge->targets[i]->kind == PM_POINTEE_VOID)
            return TRUE;
    return FALSE;
}

PmTrial *
pm_trial_new(PmTyping *typing, PmGroup *group)
{
    PmTrial *trial = g_new0(PmTrial, 1);
    trial->typing = typing;
    trial->group = group;
    trial->candidates = g_ptr_array_new();
    trial->shapes = g_hash_table_new(NULL, NULL);
    trial->verdicts = g_array_new(FALSE, FALSE, sizeof(PmVerdict));
    find_candidates(trial);
    if (group->target == NULL && has_void(group->edge))
        find_shapes(trial);
    judge_all(trial);
    return trial;
}

void
pm_trial_free(PmTrial *trial)
{
    g_ptr_array_unref(trial->candidates);
    g_hash_table_unref(trial->shapes);
    g_array_unref(trial->verdicts);
    g_free(trial);
}
