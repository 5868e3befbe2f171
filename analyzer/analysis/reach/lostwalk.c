#include "analysis/reach/lostwalk.h"

#define STACK_MAX 65536

struct PmLostWalk {
    PmReach *reach;
    PmLostStep step;
    gpointer data;
    PmResolverFilter filter;
    PmReader reader;
    PmSlot self;
    PmSlot *stack;
    guint depth;
    gboolean spilled;
};

void
pm_lost_iter_init(PmLostIter *iter, const PmReach *reach)
{
    *iter = (PmLostIter){.reach = reach};
    if (reach->region_count > 0)
        iter->first = pm_resolver_get_sweep(reach->resolver, 0, &iter->words);
}

gboolean
pm_lost_iter_next(PmLostIter *iter, PmSlot *ret_slot)
{
    const PmReach *reach = iter->reach;
    while (iter->bits == 0) {
        while (iter->index >= iter->words) {
            if (iter->region + 1 >= reach->region_count)
                return FALSE;
            iter->region++;
            iter->index = 0;
            iter->first = pm_resolver_get_sweep(reach->resolver, iter->region, &iter->words);
        }
        iter->bits = pm_resolver_get_used_starts(reach->resolver, iter->region, iter->index) &
                     ~reach->visited[iter->first / 64 + iter->index];
        iter->index++;
    }
    *ret_slot = iter->first + (iter->index - 1) * 64 + (guint64)__builtin_ctzll(iter->bits);
    iter->bits &= iter->bits - 1;
    return TRUE;
}

PmLostWalk *
pm_lost_walk_new(PmReach *reach, PmLostStep step, gpointer data)
{
    PmLostWalk *walk = g_new0(PmLostWalk, 1);
    walk->reach = reach;
    walk->step = step;
    walk->data = data;
    walk->filter = pm_resolver_get_filter(reach->resolver);
    walk->reader.space = reach->space;
    walk->stack = g_new(PmSlot, STACK_MAX);
    return walk;
}

void
pm_lost_walk_free(PmLostWalk *walk)
{
    g_free(walk->stack);
    g_free(walk);
}

/* The lost chunk other than @self that @value points into; FALSE where there is none. */
static gboolean
find_lost(const PmReach *reach, PmSlot self, guint64 value, PmSlot *ret_slot)
{
    PmHit hit;
    if (!pm_resolver_find(reach->resolver, value, &hit) || hit.slot == self ||
        pm_plane_get(reach->visited, hit.slot))
        return FALSE;
    *ret_slot = hit.slot;
    return TRUE;
}

static void
visit_word(gpointer data, G_GNUC_UNUSED PmAddr at, guint64 value)
{
    PmLostWalk *walk = data;
    PmSlot to = 0;
    if (!find_lost(walk->reach, walk->self, value, &to) || !walk->step(walk->data, walk->self, to))
        return;
    if (walk->depth < STACK_MAX) {
        walk->stack[walk->depth++] = to;
        return;
    }
    pm_plane_set(walk->reach->visited, to + 1);
    walk->spilled = TRUE;
}

static void
scan_slot(PmLostWalk *walk, PmSlot slot)
{
    PmSlotChunk chunk;
    const PmReach *reach = walk->reach;
    walk->self = slot;
    pm_resolver_get_chunk(reach->resolver, slot, pm_resolver_get_region(reach->resolver, slot),
                          &chunk);
    pm_reach_scan_range(reach, &walk->filter, &walk->reader, pm_slot_chunk_range(&chunk),
                        visit_word, walk);
}

void
pm_lost_walk_from(PmLostWalk *walk, PmSlot slot)
{
    scan_slot(walk, slot);
    while (walk->depth > 0)
        scan_slot(walk, walk->stack[--walk->depth]);
}

void
pm_lost_walk_finish(PmLostWalk *walk)
{
    while (walk->spilled) {
        PmLostIter iter;
        PmSlot slot = 0;
        walk->spilled = FALSE;
        pm_lost_iter_init(&iter, walk->reach);
        while (pm_lost_iter_next(&iter, &slot))
            if (pm_plane_clear(walk->reach->visited, slot + 1))
                pm_lost_walk_from(walk, slot);
    }
}

gboolean
pm_lost_next_edge(const PmReach *reach, PmReader *reader, PmSlot from, PmAddr *cursor,
                  PmSlot *ret_to)
{
    const PmResolverFilter filter = pm_resolver_get_filter(reach->resolver);
    const guint64 word_bytes = reach->word_bytes;
    PmSlotChunk chunk;

    pm_resolver_get_chunk(reach->resolver, from, pm_resolver_get_region(reach->resolver, from),
                          &chunk);
    const PmRange range = pm_slot_chunk_range(&chunk);
    PmAddr at = *cursor == PM_ADDR_NONE ? range.start : *cursor;
    while (at < range.end && range.end - at >= word_bytes) {
        guint64 length = 0;
        const guint8 *bytes = pm_reader_get(reader, at, &length);
        if (bytes == NULL || length < word_bytes) {
            length = MIN(length, range.end - at);
            at = range.end - at - length < word_bytes ? range.end
                                                      : pm_align_up(at + length, word_bytes);
            continue;
        }
        const guint64 value = pm_load_word(bytes, word_bytes);
        at += word_bytes;
        if ((pm_resolver_may_hold(&filter, value) && find_lost(reach, from, value, ret_to)) ||
            (value >> 48 != 0 && reach->guard_known &&
             find_lost(reach, from, pm_roots_demangle(value, reach->guard), ret_to))) {
            *cursor = at;
            return TRUE;
        }
    }
    return FALSE;
}

struct PmSlotSet {
    guint64 *bits;
    guint32 *ranks; /* by word: how many are in the words before */
    guint32 count;
};

PmSlotSet *
pm_slot_set_new(const PmReach *reach, gboolean hanging_too)
{
    const guint64 words = pm_resolver_get_slots(reach->resolver) / 64 + 1;
    g_autoptr(PmSlotSet) set = g_new0(PmSlotSet, 1);
    PmLostIter iter;
    PmSlot slot = 0;
    guint64 count = 0;

    set->bits = g_try_malloc0_n(words, sizeof(guint64));
    set->ranks = g_try_malloc0_n(words, sizeof(guint32));
    if (set->bits == NULL || set->ranks == NULL)
        return NULL;
    pm_lost_iter_init(&iter, reach);
    while (pm_lost_iter_next(&iter, &slot))
        if (pm_plane_get(reach->flags, slot) && (hanging_too || !pm_plane_get(reach->grey, slot)))
            set->bits[slot >> 6] |= (guint64)1 << (slot & 63);
    for (guint64 i = 0; i < words; i++) {
        set->ranks[i] = (guint32)count;
        count += (guint64)__builtin_popcountll(set->bits[i]);
    }
    if (count >= PM_SLOT_SET_NONE)
        return NULL;
    set->count = (guint32)count;
    return g_steal_pointer(&set);
}

void
pm_slot_set_free(PmSlotSet *set)
{
    if (set == NULL)
        return;
    g_free(set->bits);
    g_free(set->ranks);
    g_free(set);
}

guint32
pm_slot_set_get_count(const PmSlotSet *set)
{
    return set->count;
}

guint32
pm_slot_set_find(const PmSlotSet *set, PmSlot slot)
{
    const guint64 word = set->bits[slot >> 6];
    if (((word >> (slot & 63)) & 1) == 0)
        return PM_SLOT_SET_NONE;
    const guint64 below = word & (((guint64)1 << (slot & 63)) - 1);
    return set->ranks[slot >> 6] + (guint32)__builtin_popcountll(below);
}
