/*
 * What a word would point to; see places.h. Claims on the address space are laid over each other
 * once; then a word costs the resolver's filter and a binary search.
 */
#include "analysis/contents/places.h"

#include "process/stacks.h"

#include <elf.h>

/* A stretch of the address space; @thread and @module as in PmWord. */
typedef struct {
    PmRange range;
    PmWordKind kind;
    const PmThread *thread;
    const PmModule *module;
} Place;

struct PmPlaces {
    const PmSubject *subject;
    const PmHeap *heap;
    PmResolver *resolver;
    PmResolverFilter filter;
    PmRtti *rtti;
    guint64 word_bytes;
    GArray *places; /* Place, ascending, without overlaps */
    PmAddr *ends;   /* of the places */
    PmRange extent;
};

const char *
pm_word_kind_name(PmWordKind kind)
{
    static const char *const names[PM_WORD_KINDS] = {
        "number", "zero", "chunk",  "chunk-interior", "free-chunk", "heap",
        "vtable", "code", "rodata", "data",           "stack",      "mapping"};
    return (guint)kind < PM_WORD_KINDS ? names[kind] : "unknown";
}

gboolean
pm_word_kind_is_pointer(PmWordKind kind)
{
    return kind != PM_WORD_NUMBER && kind != PM_WORD_ZERO;
}

static gint
compare_places(gconstpointer a, gconstpointer b)
{
    const Place *left = a;
    const Place *right = b;
    return left->range.start < right->range.start ? -1 : left->range.start > right->range.start;
}

static void
add(GArray *layer, PmRange range, const Place *like)
{
    Place place = *like;
    place.range = range;
    if (range.start < range.end)
        g_array_append_val(layer, place);
}

/* Appends what @place has behind @from and the places that are there already. */
static void
append_free_part(GArray *merged, const Place *place, PmAddr from, PmAddr to)
{
    Place part = *place;
    part.range.start = MAX(part.range.start, from);
    part.range.end = MIN(part.range.end, to);
    if (part.range.start < part.range.end)
        g_array_append_val(merged, part);
}

/*
 * Lays @layer, which is emptied, below the places that there are: it gets what is still free. Of
 * places of one layer that overlap the one that begins first wins. Linear but for the sorting:
 * there may be 65,000 mappings.
 */
static void
lay(PmPlaces *places, GArray *layer)
{
    const GArray *upper = places->places;
    GArray *merged = g_array_sized_new(FALSE, FALSE, sizeof(Place), upper->len + layer->len);
    guint at = 0;
    PmAddr done = 0;

    g_array_sort(layer, compare_places);
    for (guint i = 0; i < layer->len; i++) {
        const Place *place = &g_array_index(layer, Place, i);
        /* Upper places that begin before the end of this one, each with the gap before it. */
        while (at < upper->len && g_array_index(upper, Place, at).range.start < place->range.end) {
            const Place *over = &g_array_index(upper, Place, at);
            append_free_part(merged, place, done, over->range.start);
            g_array_append_vals(merged, over, 1);
            done = MAX(done, over->range.end);
            at++;
        }
        append_free_part(merged, place, done, place->range.end);
        done = MAX(done, place->range.end);
    }
    if (at < upper->len)
        g_array_append_vals(merged, &g_array_index(upper, Place, at), upper->len - at);
    g_array_unref(places->places);
    places->places = merged;
    g_array_set_size(layer, 0);
}

/* The static TLS of each thread, and where it is part of its stack all that lies above. */
static void
add_thread_locals(GArray *layer, const PmThread *thread, PmRange stack)
{
    const Place place = {.kind = PM_WORD_DATA, .thread = thread};
    PmRange tls = thread->static_tls;
    if (pm_range_bytes(tls) > 0 && pm_range_contains(stack, tls.start))
        tls.end = MAX(tls.end, stack.end);
    add(layer, tls, &place);
}

/* Thread-locals, then stacks; a thread that runs on another stack than its own has two. */
static void
lay_threads(PmPlaces *places, GArray *layer)
{
    const PmProcess *process = places->subject->process;
    gsize count = 0;
    gsize tcb_count = 0;
    const PmThread *threads = pm_process_get_threads(process, &count);
    g_autofree PmTcb *tcbs = pm_process_find_tcbs(process, &tcb_count);
    g_autofree PmRange *stacks = g_new(PmRange, count + 1);
    g_autoptr(GHashTable) by_tp = g_hash_table_new(g_int64_hash, g_int64_equal);

    for (gsize i = 0; i < tcb_count; i++)
        g_hash_table_insert(by_tp, &tcbs[i].tp, &tcbs[i]);
    for (gsize i = 0; i < count; i++) {
        stacks[i] = pm_process_get_own_stack(process, &threads[i],
                                             g_hash_table_lookup(by_tp, &threads[i].tp));
        add_thread_locals(layer, &threads[i], stacks[i]);
    }
    lay(places, layer);
    for (gsize i = 0; i < count; i++)
        add(layer, stacks[i], &(Place){.kind = PM_WORD_STACK, .thread = &threads[i]});
    lay(places, layer);
    for (gsize i = 0; i < count; i++)
        add(layer, threads[i].stack, &(Place){.kind = PM_WORD_STACK, .thread = &threads[i]});
    lay(places, layer);
}

/* malloc's heaps with what they may still grow to; chunks are the resolver's business. */
static void
lay_heaps(PmPlaces *places, GArray *layer)
{
    const PmPtmalloc *ptmalloc = places->subject->ptmalloc;
    const Place place = {.kind = PM_WORD_HEAP};
    gsize count = 0;
    const PmHeapRegion *regions = pm_heap_get_regions(places->heap, &count);
    for (gsize i = 0; i < count; i++)
        add(layer, regions[i].range, &place);
    const PmArena *arenas = pm_ptmalloc_get_arenas(ptmalloc, &count);
    for (gsize i = 0; i < count; i++) {
        for (gsize j = 0; j < arenas[i].heap_count; j++) {
            PmRange heap = {arenas[i].heaps[j].start, arenas[i].heaps[j].end};
            PmAddr end = heap.end;
            if (arenas[i].kind == PM_ARENA_THREAD &&
                pm_addr_add(heap.start, pm_ptmalloc_get_heap_max_bytes(ptmalloc), &end))
                heap.end = MAX(heap.end, end);
            add(layer, heap, &place);
        }
    }
    lay(places, layer);
}

static void
lay_module_data(PmPlaces *places, GArray *layer)
{
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(places->subject->process, &count);
    for (gsize i = 0; i < count; i++)
        for (gsize j = 0; j < modules[i].data_count; j++)
            add(layer, modules[i].data[j], &(Place){.kind = PM_WORD_DATA, .module = &modules[i]});
    lay(places, layer);
}

/* The kind of what is not a module's writable data. */
static PmWordKind
get_kind(guint32 flags, const PmModule *module)
{
    if ((flags & PF_X) != 0)
        return PM_WORD_CODE;
    if (module == NULL || flags == 0)
        return PM_WORD_MAPPING;
    return (flags & PF_W) != 0 ? PM_WORD_DATA : PM_WORD_RODATA;
}

/* Text and read-only data by the program headers: gcore leaves their segments out. */
static void
lay_modules(PmPlaces *places, GArray *layer)
{
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(places->subject->process, &count);
    for (gsize i = 0; i < count; i++)
        for (gsize j = 0; j < modules[i].load_count; j++)
            add(layer, modules[i].loads[j].range,
                &(Place){.kind = get_kind(modules[i].loads[j].flags, &modules[i]),
                         .module = &modules[i]});
    lay(places, layer);
}

/* The other mappings; some may be parts of modules whose program headers are not known. */
static void
lay_segments(PmPlaces *places, GArray *layer)
{
    gsize count = 0;
    const PmSegment *segments = pm_image_get_segments(places->subject->image, &count);
    for (gsize i = 0; i < count; i++) {
        PmRange range = {segments[i].start, G_MAXUINT64};
        (void)pm_addr_add(range.start, segments[i].mapped_bytes, &range.end);
        const PmModule *module = pm_process_find_module(places->subject->process, range.start);
        if (module != NULL && (module->load_count > 0 || range.end > module->end))
            module = NULL;
        const Place place = {.kind = get_kind(segments[i].flags, module), .module = module};
        add(layer, range, &place);
    }
    lay(places, layer);
    /* Files that gcore left out. */
    const PmFileMapping *files = pm_image_get_file_mappings(places->subject->image, &count);
    for (gsize i = 0; i < count; i++)
        add(layer, (PmRange){files[i].start, files[i].end}, &(Place){.kind = PM_WORD_MAPPING});
    lay(places, layer);
}

static void
freeze(PmPlaces *places)
{
    const guint count = places->places->len;
    places->ends = g_new(PmAddr, count + 1);
    for (guint i = 0; i < count; i++)
        places->ends[i] = g_array_index(places->places, Place, i).range.end;
    if (count > 0)
        places->extent =
            (PmRange){g_array_index(places->places, Place, 0).range.start, places->ends[count - 1]};
}

PmPlaces *
pm_places_new(const PmSubject *subject)
{
    PmPlaces *places = g_new0(PmPlaces, 1);
    g_autoptr(GArray) layer = g_array_new(FALSE, FALSE, sizeof(Place));
    places->subject = subject;
    places->word_bytes = pm_image_get_target(subject->image)->word_bytes;
    places->rtti = pm_rtti_new(subject->process);
    places->places = g_array_new(FALSE, FALSE, sizeof(Place));
    if (subject->ptmalloc != NULL) {
        places->heap = pm_ptmalloc_get_heap(subject->ptmalloc);
        places->resolver = pm_resolver_new(places->heap);
        places->filter = pm_resolver_get_filter(places->resolver);
        lay_heaps(places, layer);
    }
    lay_module_data(places, layer);
    lay_threads(places, layer);
    lay_modules(places, layer);
    lay_segments(places, layer);
    freeze(places);
    return places;
}

void
pm_places_free(PmPlaces *places)
{
    if (places == NULL)
        return;
    pm_resolver_free(places->resolver);
    pm_rtti_free(places->rtti);
    g_array_unref(places->places);
    g_free(places->ends);
    g_free(places);
}

/* Index of the place that holds @value; the number of places where there is none. */
static guint
find_place(const PmPlaces *places, PmAddr value)
{
    guint low = 0, high = places->places->len;
    if (value < places->extent.start || value >= places->extent.end)
        return high;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (places->ends[middle] <= value)
            low = middle + 1;
        else
            high = middle;
    }
    return g_array_index(places->places, Place, low).range.start <= value ? low
                                                                          : places->places->len;
}

/* What lies at @hit, where it is not in use: top and gaps are in no chunk's user data. */
static PmWordKind
classify_unused(const PmPlaces *places, const PmHit *hit)
{
    PmSlotChunk found;
    PmChunk chunk;
    pm_resolver_get_chunk(places->resolver, hit->slot, hit->region, &found);
    /* By its size field, which no other chunk shares. */
    if (!pm_heap_find_chunk(places->heap, found.user - places->word_bytes, &chunk, NULL) ||
        chunk.state == PM_CHUNK_TOP)
        return PM_WORD_HEAP;
    return PM_WORD_FREE_CHUNK;
}

static gboolean
is_used(const PmPlaces *places, const PmHit *hit)
{
    guint64 words = 0;
    const guint64 granule =
        hit->slot - pm_resolver_get_sweep(places->resolver, hit->region, &words);
    const guint64 used = pm_resolver_get_used_starts(places->resolver, hit->region, granule / 64);
    return (used >> (granule % 64) & 1) != 0;
}

static gboolean
classify_chunk(const PmPlaces *places, guint64 value, PmWord *word)
{
    PmHit hit;
    if (!pm_resolver_may_hold(&places->filter, value) ||
        !pm_resolver_find(places->resolver, value, &hit))
        return FALSE;
    if (is_used(places, &hit))
        word->kind = hit.is_start ? PM_WORD_CHUNK : PM_WORD_CHUNK_INTERIOR;
    else
        word->kind = classify_unused(places, &hit);
    if (word->kind != PM_WORD_HEAP)
        word->hit = hit;
    return TRUE;
}

gboolean
pm_places_may_point(const PmPlaces *places, guint64 value)
{
    return value - places->extent.start < pm_range_bytes(places->extent);
}

static void
set_place(PmWord *word, const Place *place)
{
    word->kind = place->kind;
    word->thread = place->thread;
    word->module = place->module;
}

void
pm_places_classify_plain(const PmPlaces *places, guint64 value, PmWord *ret_word)
{
    *ret_word = (PmWord){.kind = value == 0 ? PM_WORD_ZERO : PM_WORD_NUMBER};
    if (value == 0 || classify_chunk(places, value, ret_word))
        return;
    const guint index = find_place(places, value);
    if (index < places->places->len)
        set_place(ret_word, &g_array_index(places->places, Place, index));
}

void
pm_places_classify(PmPlaces *places, guint64 value, PmWord *ret_word)
{
    pm_places_classify_plain(places, value, ret_word);
    if (ret_word->module == NULL || value % places->word_bytes != 0)
        return;
    ret_word->vtable = pm_rtti_find(places->rtti, value);
    if (ret_word->vtable != NULL)
        ret_word->kind = PM_WORD_VTABLE;
}

const PmResolver *
pm_places_get_resolver(const PmPlaces *places)
{
    return places->resolver;
}

PmRtti *
pm_places_get_rtti(PmPlaces *places)
{
    return places->rtti;
}

const PmSubject *
pm_places_get_subject(const PmPlaces *places)
{
    return places->subject;
}
