/*
 * Who points at a chunk, what it points at, and how to get to it from a root.
 */
#include "analysis/reach/reach-private.h"

#define NO_PARENT G_MAXUINT32

/* What all scans here share while words of one place are shown to them. */
typedef struct {
    const PmReach *reach;
    const PmRoot *root; /* NULL: in a chunk */
    PmAddr source;      /* user pointer of the chunk that is scanned */
    PmSlotChunk target; /* of incoming references */
    PmSlot target_slot;
    GArray *references;
    guint64 limit;
    guint64 omitted;
} Collector;

static PmReference
make_reference(const Collector *collector, PmAddr at, PmAddr to, guint64 to_offset)
{
    PmReference reference = {
        .kind = to_offset == 0 ? PM_EDGE_START : PM_EDGE_INTERIOR,
        .from = at,
        .root = collector->root,
        .from_chunk = PM_ADDR_NONE,
        .to = to,
        .to_offset_bytes = to_offset,
    };
    if (collector->root == NULL) {
        reference.from_chunk = collector->source;
        reference.offset_bytes = at - collector->source;
    } else if (collector->root->kind == PM_ROOT_REGISTERS) {
        reference.offset_bytes = at;
    } else {
        reference.offset_bytes = at - collector->root->range.start;
    }
    return reference;
}

static void
add_incoming(gpointer data, PmAddr at, guint64 value)
{
    Collector *collector = data;
    if (value - collector->target.user >= collector->target.usable_bytes)
        return;
    if (collector->references->len >= collector->limit) {
        collector->omitted++;
        return;
    }
    const PmReference reference =
        make_reference(collector, at, collector->target.user, value - collector->target.user);
    g_array_append_val(collector->references, reference);
}

/* Shows every word of the roots to @visit. */
static void
scan_roots(Collector *collector, const PmResolverFilter *filter, gboolean weak, PmWordVisitor visit,
           gpointer data)
{
    gsize count = 0;
    const PmReach *reach = collector->reach;
    const PmRoot *roots = pm_roots_get(reach->roots, &count);
    PmReader reader = {.space = reach->space};
    for (gsize i = 0; i < count; i++) {
        if (roots[i].weak != weak)
            continue;
        const PmRun registers = {roots[i].bytes, roots[i].byte_count, 0};
        collector->root = &roots[i];
        if (roots[i].kind == PM_ROOT_REGISTERS)
            pm_reach_scan_bytes(reach, filter, &registers, visit, data);
        else
            pm_reach_scan_range(reach, filter, &reader, roots[i].range, visit, data);
    }
    collector->root = NULL;
}

static gboolean
is_mute(const PmReach *reach, PmAddr user)
{
    gsize count = 0;
    const PmRuntimeChunk *chunks = pm_ptmalloc_get_runtime_chunks(reach->subject->ptmalloc, &count);
    gsize low = 0, high = count;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (chunks[middle].address < user)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && chunks[low].address == user && pm_reach_is_mute(&chunks[low]);
}

/* Shows every word of the used chunk at @slot to add_incoming(). */
static void
scan_chunk(Collector *collector, const PmResolverFilter *filter, PmReader *reader, PmSlot slot,
           guint32 region)
{
    PmSlotChunk chunk;
    const guint before = collector->references->len;
    const guint64 omitted = collector->omitted;
    pm_resolver_get_chunk(collector->reach->resolver, slot, region, &chunk);
    collector->source = chunk.user;
    pm_reach_scan_range(collector->reach, filter, reader, pm_slot_chunk_range(&chunk), add_incoming,
                        collector);
    /* Rare enough to be asked only of those that hit. */
    if ((collector->references->len > before || collector->omitted > omitted) &&
        is_mute(collector->reach, chunk.user)) {
        g_array_set_size(collector->references, before);
        collector->omitted = omitted;
    }
}

/* The same for all used chunks but the target. */
static void
scan_chunks(Collector *collector, const PmResolverFilter *filter)
{
    const PmReach *reach = collector->reach;
    PmReader reader = {.space = reach->space};
    for (guint32 region = 0; region < reach->region_count; region++) {
        guint64 words = 0;
        const PmSlot first = pm_resolver_get_sweep(reach->resolver, region, &words);
        for (guint64 i = 0; i < words; i++) {
            guint64 bits = pm_resolver_get_used_starts(reach->resolver, region, i);
            for (; bits != 0; bits &= bits - 1) {
                const PmSlot slot = first + i * 64 + (guint64)__builtin_ctzll(bits);
                if (slot != collector->target_slot)
                    scan_chunk(collector, filter, &reader, slot, region);
            }
        }
    }
}

GArray *
pm_reach_find_incoming(const PmReach *reach, const PmChunk *chunk, guint64 limit,
                       guint64 *ret_omitted)
{
    PmHit hit;
    Collector collector = {
        .reach = reach,
        .references = g_array_new(FALSE, FALSE, sizeof(PmReference)),
        .limit = limit != 0 ? MIN(limit, PM_INCOMING_MAX) : PM_INCOMING_MAX,
    };
    *ret_omitted = 0;
    if (!pm_resolver_find(reach->resolver, chunk->address, &hit))
        return collector.references;
    pm_resolver_get_chunk(reach->resolver, hit.slot, hit.region, &collector.target);
    collector.target_slot = hit.slot;

    /* A filter that lets nothing pass but the target. */
    const guint64 tiles = (collector.target.usable_bytes >> PM_RESOLVER_TILE_SHIFT) / 8 + 1;
    g_autofree guint8 *all = g_malloc(tiles);
    memset(all, 0xff, tiles);
    const PmResolverFilter filter = {
        .low = collector.target.user, .span_bytes = collector.target.usable_bytes, .tiles = all};
    scan_roots(&collector, &filter, FALSE, add_incoming, &collector);
    scan_roots(&collector, &filter, TRUE, add_incoming, &collector);
    scan_chunks(&collector, &filter);
    *ret_omitted = collector.omitted;
    return collector.references;
}

/* Whether @value points into a used chunk; that chunk then. */
static gboolean
find_used(const PmReach *reach, guint64 value, PmHit *ret_hit, PmSlotChunk *ret_chunk)
{
    if (!pm_resolver_find(reach->resolver, value, ret_hit))
        return FALSE;
    const PmSlot first_word = ret_hit->slot & ~(PmSlot)63;
    guint64 words = 0;
    const PmSlot first = pm_resolver_get_sweep(reach->resolver, ret_hit->region, &words);
    const guint64 used =
        pm_resolver_get_used_starts(reach->resolver, ret_hit->region, (first_word - first) / 64);
    if (((used >> (ret_hit->slot & 63)) & 1) == 0)
        return FALSE;
    pm_resolver_get_chunk(reach->resolver, ret_hit->slot, ret_hit->region, ret_chunk);
    return TRUE;
}

static void
add_outgoing(gpointer data, PmAddr at, guint64 value)
{
    Collector *collector = data;
    PmHit hit;
    PmSlotChunk chunk;
    if (!find_used(collector->reach, value, &hit, &chunk) || chunk.user == collector->source)
        return;
    const PmReference reference = make_reference(collector, at, chunk.user, value - chunk.user);
    g_array_append_val(collector->references, reference);
}

GArray *
pm_reach_find_outgoing(const PmReach *reach, const PmChunk *chunk)
{
    const PmResolverFilter filter = pm_resolver_get_filter(reach->resolver);
    PmReader reader = {.space = reach->space};
    Collector collector = {
        .reach = reach,
        .source = chunk->address,
        .references = g_array_new(FALSE, FALSE, sizeof(PmReference)),
    };
    pm_reach_scan_range(reach, &filter, &reader,
                        (PmRange){chunk->address, chunk->address + chunk->usable_bytes},
                        add_outgoing, &collector);
    return collector.references;
}

/* ---- path ---- */

/* A chunk that the breadth-first search reached. */
typedef struct {
    PmAddr user;
    guint32 parent; /* index, or NO_PARENT: from a root */
} Reached;

typedef struct {
    Collector collector;
    guint64 *seen;
    Reached *queue;
    gsize count;
    gsize room;
    guint32 current; /* parent of what is found now */
    PmAddr wanted;
    gboolean found;
    gboolean failed;
} PathSearch;

static gboolean
grow(PathSearch *search)
{
    if (search->count < search->room)
        return TRUE;
    const gsize room = MAX(search->room * 2, 4096);
    Reached *queue = g_try_renew(Reached, search->queue, room);
    if (queue == NULL || room >= NO_PARENT)
        search->failed = TRUE;
    if (queue != NULL) {
        search->queue = queue;
        search->room = room;
    }
    return !search->failed;
}

/* A word of a root or a chunk: what it leads to is reached from there. */
static void
visit_word(gpointer data, PmAddr at, guint64 value)
{
    PathSearch *search = data;
    PmHit hit;
    PmSlotChunk chunk;
    if (search->found || search->failed ||
        !find_used(search->collector.reach, value, &hit, &chunk) ||
        pm_plane_set(search->seen, hit.slot) || !grow(search))
        return;
    if (search->collector.root != NULL) {
        const PmReference reference =
            make_reference(&search->collector, at, chunk.user, value - chunk.user);
        g_array_append_val(search->collector.references, reference);
    }
    search->queue[search->count++] = (Reached){chunk.user, search->current};
    search->found = chunk.user == search->wanted;
}

static void
search_breadth_first(PathSearch *search, gsize *next)
{
    const PmReach *reach = search->collector.reach;
    const PmResolverFilter filter = pm_resolver_get_filter(reach->resolver);
    PmReader reader = {.space = reach->space};
    for (; *next < search->count && !search->found && !search->failed; (*next)++) {
        PmHit hit;
        PmSlotChunk chunk;
        const PmAddr user = search->queue[*next].user;
        if (!find_used(reach, user, &hit, &chunk) || is_mute(reach, user))
            continue;
        search->current = (guint32)*next;
        search->collector.source = user;
        pm_reach_scan_range(reach, &filter, &reader, pm_slot_chunk_range(&chunk), visit_word,
                            search);
    }
    search->current = NO_PARENT;
}

/* The step from the chunk at @from to the one at @to: its first word that leads there. */
static PmReference
find_step(const PmReach *reach, PmAddr from, PmAddr to)
{
    PmChunk chunk;
    const PmReference none = {.from_chunk = from, .to = to, .from = from};
    if (!pm_heap_find_chunk(reach->heap, from, &chunk, NULL))
        return none;
    g_autoptr(GArray) outgoing = pm_reach_find_outgoing(reach, &chunk);
    for (guint i = 0; i < outgoing->len; i++) {
        const PmReference *reference = &g_array_index(outgoing, PmReference, i);
        if (reference->to == to)
            return *reference;
    }
    return none;
}

/* Goes back from the last chunk reached to its root, and turns the way round. */
static GArray *
collect_path(const PathSearch *search)
{
    g_autoptr(GArray) back = g_array_new(FALSE, FALSE, sizeof(PmReference));
    GArray *path = g_array_new(FALSE, FALSE, sizeof(PmReference));
    const Reached *at = &search->queue[search->count - 1];
    while (at->parent != NO_PARENT) {
        const Reached *parent = &search->queue[at->parent];
        const PmReference step = find_step(search->collector.reach, parent->user, at->user);
        g_array_append_val(back, step);
        at = parent;
    }
    for (guint i = 0; i < search->collector.references->len; i++) {
        const PmReference *reference = &g_array_index(search->collector.references, PmReference, i);
        if (reference->to == at->user) {
            g_array_append_vals(path, reference, 1);
            break;
        }
    }
    for (guint i = back->len; i-- > 0;)
        g_array_append_vals(path, &g_array_index(back, PmReference, i), 1);
    return path;
}

GArray *
pm_reach_find_path(const PmReach *reach, const PmChunk *chunk, GError **error)
{
    const guint64 words = pm_resolver_get_slots(reach->resolver) / 64 + 1;
    g_autofree guint64 *seen = g_try_malloc0_n(words, sizeof(guint64));
    g_autoptr(GArray) roots = g_array_new(FALSE, FALSE, sizeof(PmReference));
    const PmResolverFilter filter = pm_resolver_get_filter(reach->resolver);
    PathSearch search = {
        .collector = {.reach = reach, .references = roots},
        .seen = seen,
        .current = NO_PARENT,
        .wanted = chunk->address,
        .failed = seen == NULL,
    };
    GArray *path = NULL;
    gsize next = 0;

    for (gint weak = 0; weak < 2 && !search.found && !search.failed; weak++) {
        scan_roots(&search.collector, &filter, weak != 0, visit_word, &search);
        search_breadth_first(&search, &next);
    }
    if (search.failed)
        g_set_error_literal(error, PM_ERROR, PM_ERROR_MEMORY,
                            "the search for a path does not fit in the memory that this process "
                            "may use");
    else if (search.found)
        path = collect_path(&search);
    else
        path = g_array_new(FALSE, FALSE, sizeof(PmReference));
    g_free(search.queue);
    return path;
}
