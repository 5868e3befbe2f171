/*
 * Strongly connected components (Tarjan's algorithm, without recursion) of the lost chunks that
 * only cycles lead to. Costs some bytes for each of those, nothing for any other.
 */
#include "analysis/reach/lostwalk.h"

#define UNSEEN       0
#define NO_COMPONENT G_MAXUINT32

/* One chunk on the way down. */
typedef struct {
    guint32 node;
    PmAddr cursor;
} Frame;

/* All arrays by the node's number. @order: 0 for nodes not seen yet. */
typedef struct {
    PmReach *reach;
    PmSlotSet *set;
    guint32 count;
    PmSlot *slots;
    guint32 *order;
    guint32 *low;
    guint32 *component;
    guint32 *pending; /* nodes without a component yet, a stack */
    guint32 pending_count;
    Frame *frames;
    guint32 depth;
    guint32 next_order;
    guint32 components;
    guint8 *entered; /* by component: another one refers to it */
} Search;

static void
search_clear(Search *search)
{
    pm_slot_set_free(search->set);
    g_free(search->slots);
    g_free(search->order);
    g_free(search->low);
    g_free(search->component);
    g_free(search->pending);
    g_free(search->frames);
    g_free(search->entered);
}

/* Zeroed; NULL where there is no memory. */
static gpointer
make_array(const Search *search, gsize element_bytes)
{
    return g_try_malloc0_n((gsize)search->count + 1, element_bytes);
}

static gboolean
search_init(Search *search, PmReach *reach)
{
    *search = (Search){.reach = reach, .set = pm_slot_set_new(reach, FALSE)};
    if (search->set == NULL)
        return FALSE;
    search->count = pm_slot_set_get_count(search->set);
    search->slots = make_array(search, sizeof(PmSlot));
    search->order = make_array(search, sizeof(guint32));
    search->low = make_array(search, sizeof(guint32));
    search->component = make_array(search, sizeof(guint32));
    search->pending = make_array(search, sizeof(guint32));
    search->frames = make_array(search, sizeof(Frame));
    search->entered = make_array(search, 1);
    if (search->slots == NULL || search->order == NULL || search->low == NULL ||
        search->component == NULL || search->pending == NULL || search->frames == NULL ||
        search->entered == NULL)
        return FALSE;

    PmLostIter iter;
    PmSlot slot = 0;
    pm_lost_iter_init(&iter, reach);
    while (pm_lost_iter_next(&iter, &slot)) {
        const guint32 node = pm_slot_set_find(search->set, slot);
        if (node == PM_SLOT_SET_NONE)
            continue;
        search->slots[node] = slot;
        search->component[node] = NO_COMPONENT;
    }
    return TRUE;
}

static void
enter(Search *search, guint32 node)
{
    search->order[node] = search->low[node] = ++search->next_order;
    search->pending[search->pending_count++] = node;
    search->frames[search->depth++] = (Frame){node, PM_ADDR_NONE};
}

/* The node at the top is done: it may close a component. */
static void
leave(Search *search)
{
    const guint32 node = search->frames[--search->depth].node;
    if (search->depth > 0) {
        const guint32 parent = search->frames[search->depth - 1].node;
        search->low[parent] = MIN(search->low[parent], search->low[node]);
    }
    if (search->low[node] != search->order[node])
        return;
    guint32 member = 0;
    do {
        member = search->pending[--search->pending_count];
        search->component[member] = search->components;
    } while (member != node);
    search->components++;
}

static void
search_from(Search *search, PmReader *reader, guint32 start)
{
    enter(search, start);
    while (search->depth > 0) {
        Frame *frame = &search->frames[search->depth - 1];
        PmSlot slot = 0;
        if (!pm_lost_next_edge(search->reach, reader, search->slots[frame->node], &frame->cursor,
                               &slot)) {
            leave(search);
            continue;
        }
        const guint32 to = pm_slot_set_find(search->set, slot);
        if (to == PM_SLOT_SET_NONE)
            continue;
        if (search->order[to] == UNSEEN)
            enter(search, to);
        else if (search->component[to] == NO_COMPONENT)
            search->low[frame->node] = MIN(search->low[frame->node], search->order[to]);
    }
}

/* Notes which components others refer to. */
static void
find_entered(Search *search, PmReader *reader)
{
    for (guint32 node = 0; node < search->count; node++) {
        PmAddr cursor = PM_ADDR_NONE;
        PmSlot slot = 0;
        while (pm_lost_next_edge(search->reach, reader, search->slots[node], &cursor, &slot)) {
            const guint32 to = pm_slot_set_find(search->set, slot);
            if (to != PM_SLOT_SET_NONE && search->component[to] != search->component[node])
                search->entered[search->component[to]] = 1;
        }
    }
}

/* Marks the members of entered components as hanging, and collects those of the others. */
static void
collect(Search *search, PmCycles *cycles)
{
    g_autofree guint32 *numbers = g_new(guint32, (gsize)search->components + 1);
    for (guint32 i = 0; i < search->components; i++)
        numbers[i] = NO_COMPONENT;
    cycles->slots = g_new(PmSlot, (gsize)search->count + 1);
    cycles->cycles = g_new(guint32, (gsize)search->count + 1);
    for (guint32 node = 0; node < search->count; node++) {
        const guint32 component = search->component[node];
        if (search->entered[component]) {
            pm_plane_set(search->reach->grey, search->slots[node]);
            continue;
        }
        if (numbers[component] == NO_COMPONENT)
            numbers[component] = cycles->cycle_count++;
        cycles->slots[cycles->count] = search->slots[node];
        cycles->cycles[cycles->count++] = numbers[component];
    }
}

PmCycles *
pm_cycles_new(PmReach *reach)
{
    PmCycles *cycles = g_new0(PmCycles, 1);
    PmReader reader = {.space = reach->space};
    Search search;

    if (!search_init(&search, reach)) {
        pm_diagnostics_add(reach->subject->diagnostics, "cycles-memory", PM_SEVERITY_WARNING,
                           PM_ADDR_NONE,
                           "the lost chunks that refer to each other in rings are too many for "
                           "the memory there is: all of them are called leak-cycle");
    } else {
        for (guint32 node = 0; node < search.count; node++)
            if (search.order[node] == UNSEEN)
                search_from(&search, &reader, node);
        find_entered(&search, &reader);
        collect(&search, cycles);
    }
    search_clear(&search);
    return cycles;
}

void
pm_cycles_free(PmCycles *cycles)
{
    if (cycles == NULL)
        return;
    g_free(cycles->slots);
    g_free(cycles->cycles);
    g_free(cycles);
}
