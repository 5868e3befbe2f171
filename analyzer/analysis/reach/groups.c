/*
 * Lost chunks by the kind of the leak roots that they hang on: their size, and what else the caller
 * tells roots of one size apart by. A label travels from every root along the edges; where two
 * meet, what lies behind is shared.
 */
#include "analysis/reach/lostwalk.h"
#include "analysis/reach/tally.h"

/* Labels are indices into groups, plus one. */
#define UNLABELLED 0
#define SHARED     1

/* What tells roots apart. */
typedef struct {
    guint64 chunk_bytes;
    guint kind;
} Key;

/* @kinds: NULL where roots differ by size alone. */
typedef struct {
    PmReach *reach;
    const PmLostKinds *kinds;
    GHashTable *by_key; /* Key → label */
    PmSlotSet *set;     /* every lost chunk that is no leak root */
    guint32 *labels;    /* by number in @set */
    guint32 root_label; /* of the leak root that the walk is on */
} Grouping;

static guint
hash_key(gconstpointer data)
{
    const Key *key = data;
    return g_int64_hash(&key->chunk_bytes) * 31 + key->kind;
}

static gboolean
equal_keys(gconstpointer a, gconstpointer b)
{
    const Key *left = a;
    const Key *right = b;
    return left->chunk_bytes == right->chunk_bytes && left->kind == right->kind;
}

static PmLostGroup *
get_group(const Grouping *grouping, guint32 label)
{
    return &g_array_index(grouping->reach->groups, PmLostGroup, label - 1);
}

static Key
get_key(const Grouping *grouping, const PmSlotChunk *chunk)
{
    Key key = {.chunk_bytes = chunk->chunk_bytes};
    if (grouping->kinds != NULL &&
        g_hash_table_contains(grouping->kinds->sizes, &chunk->chunk_bytes))
        key.kind = grouping->kinds->tell(grouping->kinds->data, chunk->user);
    return key;
}

/* The label for roots like @chunk; a new group is made for the first of a kind. */
static guint32
get_label(const Grouping *grouping, const PmSlotChunk *chunk)
{
    const Key key = get_key(grouping, chunk);
    guint32 label = GPOINTER_TO_UINT(g_hash_table_lookup(grouping->by_key, &key));
    if (label == 0) {
        const PmLostGroup group = {
            .chunk_bytes = key.chunk_bytes, .kind = key.kind, .example = PM_ADDR_NONE};
        g_array_append_val(grouping->reach->groups, group);
        label = grouping->reach->groups->len;
        g_hash_table_insert(grouping->by_key, g_memdup2(&key, sizeof key), GUINT_TO_POINTER(label));
    }
    return label;
}

static PmSlotChunk
get_chunk(const PmReach *reach, PmSlot slot)
{
    PmSlotChunk chunk;
    pm_resolver_get_chunk(reach->resolver, slot, pm_resolver_get_region(reach->resolver, slot),
                          &chunk);
    return chunk;
}

/* The label of the chunk at @from goes on to @to. */
static gboolean
pass_on(gpointer data, PmSlot from, PmSlot to)
{
    Grouping *grouping = data;
    const guint32 from_number = pm_slot_set_find(grouping->set, from);
    const guint32 to_number = pm_slot_set_find(grouping->set, to);
    const guint32 label =
        from_number == PM_SLOT_SET_NONE ? grouping->root_label : grouping->labels[from_number];
    if (to_number == PM_SLOT_SET_NONE || label == UNLABELLED)
        return FALSE;
    guint32 *known = &grouping->labels[to_number];
    if (*known == label || *known == SHARED)
        return FALSE;
    *known = *known == UNLABELLED ? label : SHARED;
    return TRUE;
}

/*
 * Labels from the leak roots that refer to anything lost. Their counts are there: until now every
 * lost chunk was counted as a root of its own size.
 */
static void
walk_roots(Grouping *grouping, PmLostWalk *walk)
{
    const PmReach *reach = grouping->reach;
    PmLostIter iter;
    PmSlot slot = 0;
    pm_lost_iter_init(&iter, reach);
    while (pm_lost_iter_next(&iter, &slot)) {
        if (pm_plane_get(reach->flags, slot) || !pm_plane_get(reach->flags, slot + 1))
            continue;
        const PmSlotChunk chunk = get_chunk(reach, slot);
        grouping->root_label = get_label(grouping, &chunk);
        pm_lost_walk_from(walk, slot);
        pm_lost_walk_finish(walk);
    }
}

/* The label of each cycle: of its largest member's size, whichever comes first in memory. */
static guint32 *
get_cycle_labels(const Grouping *grouping, const PmCycles *cycles)
{
    guint32 *labels = g_new0(guint32, (gsize)cycles->cycle_count + 1);
    g_autofree guint64 *largest = g_new0(guint64, (gsize)cycles->cycle_count + 1);
    for (guint32 i = 0; i < cycles->count; i++) {
        const PmSlotChunk chunk = get_chunk(grouping->reach, cycles->slots[i]);
        if (chunk.chunk_bytes <= largest[cycles->cycles[i]])
            continue;
        largest[cycles->cycles[i]] = chunk.chunk_bytes;
        labels[cycles->cycles[i]] = get_label(grouping, &chunk);
    }
    return labels;
}

static void
walk_cycles(Grouping *grouping, PmLostWalk *walk, const PmCycles *cycles)
{
    g_autofree guint32 *labels = get_cycle_labels(grouping, cycles);
    for (guint32 i = 0; i < cycles->count; i++) {
        const guint32 number = pm_slot_set_find(grouping->set, cycles->slots[i]);
        if (number != PM_SLOT_SET_NONE)
            grouping->labels[number] = labels[cycles->cycles[i]];
    }
    for (guint32 i = 0; i < cycles->count; i++) {
        pm_lost_walk_from(walk, cycles->slots[i]);
        pm_lost_walk_finish(walk);
    }
}

/* Each cycle is one root of its group, with the bytes of all its members. */
static void
count_cycles(const Grouping *grouping, const PmCycles *cycles)
{
    g_autofree guint32 *labels = get_cycle_labels(grouping, cycles);
    guint32 counted = 0;
    for (guint32 i = 0; i < cycles->count; i++) {
        const PmSlotChunk chunk = get_chunk(grouping->reach, cycles->slots[i]);
        PmLostGroup *group = get_group(grouping, labels[cycles->cycles[i]]);
        group->cycle_chunks++;
        group->root_bytes += chunk.chunk_bytes;
        /* Cycles are numbered by their first members. */
        if (cycles->cycles[i] < counted)
            continue;
        counted++;
        group->roots++;
        group->cycles++;
        if (group->example == PM_ADDR_NONE)
            group->example = chunk.user;
    }
}

/* Moves what is no leak root from the group of its own size to the one that it hangs on, and splits
 * the classes. */
static void
count_others(Grouping *grouping)
{
    PmReach *reach = grouping->reach;
    PmReachSum *classes = reach->result.classes;
    PmLostIter iter;
    PmSlot slot = 0;

    pm_lost_iter_init(&iter, reach);
    while (pm_lost_iter_next(&iter, &slot)) {
        const guint32 number = pm_slot_set_find(grouping->set, slot);
        if (number == PM_SLOT_SET_NONE)
            continue;
        const PmSlotChunk chunk = get_chunk(reach, slot);
        PmLostGroup *own = get_group(grouping, get_label(grouping, &chunk));
        own->roots--;
        own->root_bytes -= chunk.chunk_bytes;
        own->lost_chunks--;
        own->lost_bytes -= chunk.chunk_bytes;
        if (own->example == chunk.user)
            own->example = PM_ADDR_NONE;
        const guint32 label =
            grouping->labels[number] != UNLABELLED ? grouping->labels[number] : SHARED;
        PmLostGroup *group = get_group(grouping, label);
        group->lost_chunks++;
        group->lost_bytes += chunk.chunk_bytes;
        if (label == SHARED)
            group->example = MIN(group->example, chunk.user);
        const PmReachClass reach_class = pm_reach_get_slot_class(reach, slot);
        classes[reach_class].chunks++;
        classes[reach_class].chunk_bytes += chunk.chunk_bytes;
        classes[PM_REACH_LEAK_ROOT].chunks--;
        classes[PM_REACH_LEAK_ROOT].chunk_bytes -= chunk.chunk_bytes;
    }
}

/* Gives groups whose example turned out to be no root the first root of their size. */
static void
replace_examples(Grouping *grouping)
{
    const PmReach *reach = grouping->reach;
    guint missing = 0;
    PmLostIter iter;
    PmSlot slot = 0;

    for (guint i = 1; i < reach->groups->len; i++) {
        const PmLostGroup *group = &g_array_index(reach->groups, PmLostGroup, i);
        missing += group->roots > 0 && group->example == PM_ADDR_NONE;
    }
    pm_lost_iter_init(&iter, reach);
    while (missing > 0 && pm_lost_iter_next(&iter, &slot)) {
        if (pm_plane_get(reach->flags, slot))
            continue;
        const PmSlotChunk chunk = get_chunk(reach, slot);
        PmLostGroup *group = get_group(grouping, get_label(grouping, &chunk));
        if (group->example != PM_ADDR_NONE)
            continue;
        group->example = chunk.user;
        missing--;
    }
}

/* Drops groups without chunks: nothing shared, or a size that only hangs on others. */
static void
finish_groups(PmReach *reach)
{
    PmLostGroup *groups = (PmLostGroup *)(gpointer)reach->groups->data;
    guint kept = 0;
    for (guint i = 0; i < reach->groups->len; i++)
        if (groups[i].lost_chunks > 0)
            groups[kept++] = groups[i];
    g_array_set_size(reach->groups, kept);
    pm_reach_sort_groups(reach->groups);
}

/* Before sizes are told apart further, the groups are those of the sizes already. */
static void
number_groups(Grouping *grouping)
{
    const PmLostGroup shared = {.example = PM_ADDR_NONE};
    GArray *groups = grouping->reach->groups;
    g_array_prepend_val(groups, shared);
    for (guint i = 1; i < groups->len; i++) {
        const Key key = {.chunk_bytes = g_array_index(groups, PmLostGroup, i).chunk_bytes};
        g_hash_table_insert(grouping->by_key, g_memdup2(&key, sizeof key), GUINT_TO_POINTER(i + 1));
    }
}

static gboolean
grouping_init(Grouping *grouping, PmReach *reach, const PmLostKinds *kinds)
{
    *grouping = (Grouping){.reach = reach, .kinds = kinds, .set = pm_slot_set_new(reach, TRUE)};
    if (grouping->set != NULL)
        grouping->labels = g_try_new0(guint32, (gsize)pm_slot_set_get_count(grouping->set) + 1);
    if (grouping->labels == NULL) {
        pm_slot_set_free(grouping->set);
        return FALSE;
    }
    grouping->by_key = g_hash_table_new_full(hash_key, equal_keys, g_free, NULL);
    return TRUE;
}

static void
grouping_clear(Grouping *grouping)
{
    g_hash_table_unref(grouping->by_key);
    pm_slot_set_free(grouping->set);
    g_free(grouping->labels);
}

static void
walk_edges(Grouping *grouping, const PmCycles *cycles)
{
    g_autoptr(PmLostWalk) walk = pm_lost_walk_new(grouping->reach, pass_on, grouping);
    walk_roots(grouping, walk);
    walk_cycles(grouping, walk, cycles);
}

void
pm_reach_group(PmReach *reach, const PmCycles *cycles)
{
    Grouping grouping;
    if (!grouping_init(&grouping, reach, NULL)) {
        pm_diagnostics_add(reach->subject->diagnostics, "groups-memory", PM_SEVERITY_WARNING,
                           PM_ADDR_NONE,
                           "there is no memory to group the lost chunks by their roots: each size "
                           "stands for itself, and the lost classes are not told apart");
        return;
    }
    number_groups(&grouping);
    walk_edges(&grouping, cycles);
    count_others(&grouping);
    replace_examples(&grouping);
    count_cycles(&grouping, cycles);
    finish_groups(reach);
    grouping_clear(&grouping);
}

/* Counts every lost chunk in the group that it belongs to. */
static void
count_all(Grouping *grouping)
{
    const PmReach *reach = grouping->reach;
    PmLostIter iter;
    PmSlot slot = 0;
    pm_lost_iter_init(&iter, reach);
    while (pm_lost_iter_next(&iter, &slot)) {
        const guint32 number = pm_slot_set_find(grouping->set, slot);
        const PmSlotChunk chunk = get_chunk(reach, slot);
        guint32 label = SHARED;
        if (number == PM_SLOT_SET_NONE)
            label = get_label(grouping, &chunk);
        else if (grouping->labels[number] != UNLABELLED)
            label = grouping->labels[number];
        PmLostGroup *group = get_group(grouping, label);
        group->lost_chunks++;
        group->lost_bytes += chunk.chunk_bytes;
        if (number == PM_SLOT_SET_NONE) {
            group->roots++;
            group->root_bytes += chunk.chunk_bytes;
        }
        if (number == PM_SLOT_SET_NONE || label == SHARED)
            group->example = MIN(group->example, chunk.user);
    }
}

gboolean
pm_reach_group_by(PmReach *reach, const PmLostKinds *kinds)
{
    const PmLostGroup shared = {.example = PM_ADDR_NONE};
    Grouping grouping;
    if (!grouping_init(&grouping, reach, kinds))
        return FALSE;
    g_array_set_size(reach->groups, 0);
    g_array_append_val(reach->groups, shared);
    if (reach->cycles != NULL)
        walk_edges(&grouping, reach->cycles);
    count_all(&grouping);
    if (reach->cycles != NULL)
        count_cycles(&grouping, reach->cycles);
    finish_groups(reach);
    reach->result.groups = (const PmLostGroup *)(gpointer)reach->groups->data;
    reach->result.group_count = reach->groups->len;
    grouping_clear(&grouping);
    return TRUE;
}
