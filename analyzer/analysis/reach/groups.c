/*
 * Lost chunks by the size of the leak roots that they hang on. A label travels from every root
 * along the edges; where two meet, what lies behind is shared.
 */
#include "analysis/reach/lostwalk.h"
#include "analysis/reach/tally.h"

/* Labels are indices into groups, plus one. */
#define UNLABELLED 0
#define SHARED     1

typedef struct {
    PmReach *reach;
    GHashTable *by_size; /* chunk_bytes → label */
    PmSlotSet *set;      /* every lost chunk that is no leak root */
    guint32 *labels;     /* by number in @set */
    guint32 root_label;  /* of the leak root that the walk is on */
} Grouping;

static PmLostGroup *
get_group(const Grouping *grouping, guint32 label)
{
    return &g_array_index(grouping->reach->groups, PmLostGroup, label - 1);
}

/* The label for roots of @chunk_bytes: every size of a lost chunk has one. */
static guint32
get_label(const Grouping *grouping, guint64 chunk_bytes)
{
    const guint32 label = GPOINTER_TO_UINT(g_hash_table_lookup(grouping->by_size, &chunk_bytes));
    return label != 0 ? label : SHARED;
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
        grouping->root_label = get_label(grouping, get_chunk(reach, slot).chunk_bytes);
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
        const guint64 bytes = get_chunk(grouping->reach, cycles->slots[i]).chunk_bytes;
        if (bytes <= largest[cycles->cycles[i]])
            continue;
        largest[cycles->cycles[i]] = bytes;
        labels[cycles->cycles[i]] = get_label(grouping, bytes);
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
        PmLostGroup *own = get_group(grouping, get_label(grouping, chunk.chunk_bytes));
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
        PmLostGroup *group = get_group(grouping, get_label(grouping, chunk.chunk_bytes));
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

static void
number_groups(Grouping *grouping)
{
    const PmLostGroup shared = {.example = PM_ADDR_NONE};
    GArray *groups = grouping->reach->groups;
    g_array_prepend_val(groups, shared);
    for (guint i = 1; i < groups->len; i++) {
        const guint64 chunk_bytes = g_array_index(groups, PmLostGroup, i).chunk_bytes;
        g_hash_table_insert(grouping->by_size, g_memdup2(&chunk_bytes, sizeof chunk_bytes),
                            GUINT_TO_POINTER(i + 1));
    }
}

void
pm_reach_group(PmReach *reach, const PmCycles *cycles)
{
    Grouping grouping = {.reach = reach, .set = pm_slot_set_new(reach, TRUE)};
    if (grouping.set != NULL)
        grouping.labels = g_try_new0(guint32, (gsize)pm_slot_set_get_count(grouping.set) + 1);
    if (grouping.labels == NULL) {
        pm_diagnostics_add(reach->subject->diagnostics, "groups-memory", PM_SEVERITY_WARNING,
                           PM_ADDR_NONE,
                           "there is no memory to group the lost chunks by their roots: each size "
                           "stands for itself, and the lost classes are not told apart");
        pm_slot_set_free(grouping.set);
        return;
    }
    grouping.by_size = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    number_groups(&grouping);
    g_autoptr(PmLostWalk) walk = pm_lost_walk_new(reach, pass_on, &grouping);
    walk_roots(&grouping, walk);
    walk_cycles(&grouping, walk, cycles);
    count_others(&grouping);
    replace_examples(&grouping);
    count_cycles(&grouping, cycles);
    finish_groups(reach);
    g_hash_table_unref(grouping.by_size);
    pm_slot_set_free(grouping.set);
    g_free(grouping.labels);
}
