/*
 * Examples, missing roots and totals around the scan's result; see leaks.h.
 */
#include "analysis/leaks.h"

#include "analysis/chunks.h"

#include <stdlib.h>

/* How many chunks of the right size are asked for their class before there is no twin. */
#define TWIN_TRIES 1000000

/* Of the samples: any number, so that two runs give one answer. */
#define PM_LEAKS_SEED 1

double
pm_coverage_share(const PmRootCoverage *coverage)
{
    return coverage->wanted_bytes == 0
               ? 0
               : (double)coverage->present_bytes / (double)coverage->wanted_bytes;
}

/*
 * The bytes of @range that the process had and the core has not.
 *
 * @used: all of it was written, so that what looks like never written was kept out of the core.
 */
static guint64
count_missing(const PmSpace *space, PmRange range, gboolean used)
{
    guint64 missing = 0;
    PmAddr at = range.start;
    while (at < range.end) {
        PmSpan span;
        pm_space_get_span(space, at, &span);
        guint64 length = MIN(span.length_bytes, range.end - at);
        if (span.kind == PM_BYTES_NOT_DUMPED || span.kind == PM_BYTES_LOST ||
            span.kind == PM_BYTES_NOT_MAPPED || (used && span.kind == PM_BYTES_NOT_WRITTEN))
            missing += length;
        at += length;
    }
    return missing;
}

guint64
pm_leaks_count_missing_heap(const PmSubject *subject)
{
    const PmSpace *space = pm_process_get_space(subject->process);
    guint64 missing = 0;
    gsize count = 0;
    const PmArena *arenas = pm_ptmalloc_get_arenas(subject->ptmalloc, &count);
    for (gsize i = 0; i < count; i++) {
        for (gsize j = 0; j < arenas[i].heap_count; j++) {
            const PmArenaHeap *heap = &arenas[i].heaps[j];
            missing += count_missing(space, (PmRange){heap->start, heap->end}, TRUE);
        }
    }
    const PmHeapRegion *regions =
        pm_heap_get_regions(pm_ptmalloc_get_heap(subject->ptmalloc), &count);
    for (gsize i = 0; i < count; i++) {
        if (regions[i].mmapped)
            missing += count_missing(space, regions[i].range, TRUE);
    }
    return missing;
}

gboolean
pm_leaks_are_certain(const PmSubject *subject, const PmReach *reach)
{
    return pm_coverage_share(&pm_reach_get_result(reach)->coverage) >= PM_COVERAGE_CERTAIN &&
           pm_leaks_count_missing_heap(subject) == 0;
}

static int
compare_missing(const void *left, const void *right)
{
    const PmMissingRoot *a = left;
    const PmMissingRoot *b = right;
    if (a->missing_bytes != b->missing_bytes)
        return a->missing_bytes < b->missing_bytes ? 1 : -1;
    return (a->root->range.start > b->root->range.start) -
           (a->root->range.start < b->root->range.start);
}

static void
find_missing(PmLeaks *leaks, const PmSubject *subject, const PmReach *reach)
{
    const PmSpace *space = pm_process_get_space(subject->process);
    gsize count = 0;
    const PmRoot *roots = pm_roots_get(pm_reach_get_roots(reach), &count);
    leaks->missing = g_new0(PmMissingRoot, count);
    for (gsize i = 0; i < count; i++) {
        guint64 missing = roots[i].weak ? 0 : count_missing(space, roots[i].range, FALSE);
        if (missing > 0)
            leaks->missing[leaks->missing_count++] = (PmMissingRoot){&roots[i], missing};
    }
    if (leaks->missing_count > 0)
        qsort(leaks->missing, leaks->missing_count, sizeof *leaks->missing, compare_missing);
}

static void
fill_group(const PmSubject *subject, const PmLostGroup *group, PmLeakGroup *ret_group)
{
    const PmSpace *space = pm_process_get_space(subject->process);
    guint word_bytes = pm_image_get_target(subject->image)->word_bytes;
    PmChunk chunk;
    ret_group->group = group;
    if (!pm_heap_find_chunk(pm_ptmalloc_get_heap(subject->ptmalloc), group->example, &chunk, NULL))
        return;
    if (group->chunk_bytes != 0)
        ret_group->requests =
            pm_requests_of(subject->ptmalloc, word_bytes, group->chunk_bytes, chunk.mmapped);
    gsize count = (gsize)MIN(chunk.usable_bytes, PM_EXAMPLE_BYTES);
    while (count > 0 && !pm_space_read(space, chunk.address, ret_group->contents, count))
        count /= 2;
    ret_group->content_bytes = count;
}

/* Adds up what is in use. Returns: how many of it are the program's and of @chunk_bytes. */
static guint64
count_used(PmLeaks *leaks, const PmPtmalloc *ptmalloc, guint64 chunk_bytes)
{
    gsize count = 0;
    guint64 of_size = 0;
    const PmSizeCount *sizes = pm_ptmalloc_get_sizes(ptmalloc, &count);
    for (gsize i = 0; i < count; i++) {
        guint64 runtime = sizes[i].chunks[PM_CHUNK_RUNTIME];
        guint64 used = sizes[i].chunks[PM_CHUNK_USED] + runtime;
        leaks->used.chunks += used;
        leaks->used.chunk_bytes += used * sizes[i].chunk_bytes;
        leaks->runtime.chunks += runtime;
        leaks->runtime.chunk_bytes += runtime * sizes[i].chunk_bytes;
        if (sizes[i].chunk_bytes == chunk_bytes)
            of_size = sizes[i].chunks[PM_CHUNK_USED];
    }
    return of_size;
}

static guint64
count_lost_of(const PmReachResult *result, guint64 chunk_bytes)
{
    for (gsize i = 0; i < result->size_count; i++) {
        if (result->sizes[i].chunk_bytes == chunk_bytes)
            return result->sizes[i].lost_chunks;
    }
    return 0;
}

/* A reachable chunk of @chunk_bytes. */
static PmAddr
find_twin(const PmSubject *subject, const PmReach *reach, guint64 chunk_bytes)
{
    PmChunkFilter filter = {
        .states = 1U << PM_CHUNK_USED, .by_chunk_bytes = TRUE, .chunk_bytes = chunk_bytes};
    PmChunkWalk walk;
    PmChunk chunk;
    pm_chunk_walk_init(&walk, subject, reach, &filter);
    for (guint tries = 0; tries < TWIN_TRIES && pm_chunk_walk_next(&walk, &chunk); tries++) {
        PmReachClass reach_class = pm_reach_get_class(reach, &chunk);
        if (reach_class != PM_REACH_NONE && !pm_reach_class_is_lost(reach_class))
            return chunk.address;
    }
    return PM_ADDR_NONE;
}

/* ---- what the roots are ---- */

typedef struct {
    const PmSubject *subject;
    const PmNamer *namer;
    GHashTable *by_size; /* chunk_bytes → PmNaming */
} Names;

/* The roots of @chunk_bytes, named from a sample; NULL where the sample found none. */
static PmNaming *
name_size(const Names *names, const PmReach *reach, guint64 chunk_bytes)
{
    const PmChunkFilter filter = {.states = 1U << PM_CHUNK_USED,
                                  .by_chunk_bytes = TRUE,
                                  .chunk_bytes = chunk_bytes,
                                  .reaches = 1U << PM_REACH_LEAK_ROOT | 1U << PM_REACH_LEAK_CYCLE};
    PmSample *sample =
        pm_sample_new(names->subject, reach, &filter, PM_LEAKS_SAMPLE, PM_LEAKS_SEED);
    g_autoptr(PmNaming) naming = pm_naming_new(names->namer, sample);
    return naming->row_count > 0 ? g_steal_pointer(&naming) : NULL;
}

/* The kind of a root, as PmLostGroup.kind has it: its row, or one more than the last. */
static guint
tell_kind(gpointer data, PmAddr address)
{
    const Names *names = data;
    PmChunk chunk;
    if (!pm_heap_find_chunk(pm_ptmalloc_get_heap(names->subject->ptmalloc), address, &chunk, NULL))
        return 0;
    const PmNaming *naming = g_hash_table_lookup(names->by_size, &chunk.chunk_bytes);
    return naming == NULL ? 0 : (guint)pm_naming_match(naming, names->namer, &chunk);
}

static gboolean
is_mixed(G_GNUC_UNUSED gpointer key, gpointer value, G_GNUC_UNUSED gpointer data)
{
    return ((const PmNaming *)value)->row_count > 1;
}

/*
 * Names the roots of the sizes that lost most, and has the scan group anew those of which there are
 * several kinds.
 *
 * Returns: chunk_bytes → PmNaming, which belong to @leaks.
 */
static GHashTable *
name_groups(PmLeaks *leaks, const PmSubject *subject, PmReach *reach, const PmNamer *namer)
{
    const PmReachResult *result = pm_reach_get_result(reach);
    Names names = {
        .subject = subject,
        .namer = namer,
        .by_size = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL),
    };
    g_autoptr(GHashTable) mixed = g_hash_table_new(g_int64_hash, g_int64_equal);
    for (gsize i = 0; i < result->group_count && leaks->namings->len < PM_LEAKS_NAMED_SIZES; i++) {
        const guint64 chunk_bytes = result->groups[i].chunk_bytes;
        if (chunk_bytes == 0 || g_hash_table_contains(names.by_size, &chunk_bytes))
            continue;
        PmNaming *naming = name_size(&names, reach, chunk_bytes);
        if (naming == NULL)
            continue;
        guint64 *key = g_memdup2(&chunk_bytes, sizeof chunk_bytes);
        g_ptr_array_add(leaks->namings, naming);
        g_hash_table_insert(names.by_size, key, naming);
        if (naming->row_count > 1)
            g_hash_table_add(mixed, key);
    }
    const PmLostKinds kinds = {.sizes = mixed, .tell = tell_kind, .data = &names};
    if (g_hash_table_size(mixed) > 0 && !pm_reach_group_by(reach, &kinds))
        /* The groups are still of whole sizes, and the names are of parts of them. */
        (void)g_hash_table_foreach_remove(names.by_size, is_mixed, NULL);
    return names.by_size;
}

static void
attach_name(PmLeakGroup *group, GHashTable *by_size)
{
    const PmNaming *naming = g_hash_table_lookup(by_size, &group->group->chunk_bytes);
    if (naming == NULL || group->group->kind >= naming->row_count)
        return;
    group->naming = naming;
    group->row = group->group->kind;
}

PmLeaks *
pm_leaks_new(const PmSubject *subject, PmReach *reach, const PmNamer *namer)
{
    PmLeaks *leaks = g_new0(PmLeaks, 1);
    const PmReachResult *result = pm_reach_get_result(reach);
    leaks->namings = g_ptr_array_new_with_free_func((GDestroyNotify)pm_naming_free);
    g_autoptr(GHashTable) by_size =
        namer != NULL ? name_groups(leaks, subject, reach, namer) : NULL;
    leaks->result = result;
    leaks->group_count = result->group_count;
    leaks->groups = g_new0(PmLeakGroup, result->group_count);
    for (gsize i = 0; i < result->group_count; i++) {
        fill_group(subject, &result->groups[i], &leaks->groups[i]);
        if (by_size != NULL)
            attach_name(&leaks->groups[i], by_size);
    }
    find_missing(leaks, subject, reach);
    leaks->missing_heap_bytes = pm_leaks_count_missing_heap(subject);
    leaks->certain = pm_leaks_are_certain(subject, reach);
    gsize count = 0;
    const PmThread *threads = pm_process_get_threads(subject->process, &count);
    for (gsize i = 0; i < count; i++)
        leaks->blind_threads += threads[i].registers == NULL;
    guint64 first_size = result->group_count == 0 ? 0 : result->groups[0].chunk_bytes;
    guint64 used = count_used(leaks, subject->ptmalloc, first_size);
    leaks->twin = PM_ADDR_NONE;
    if (first_size != 0 && used > count_lost_of(result, first_size))
        leaks->twin = find_twin(subject, reach, first_size);
    return leaks;
}

void
pm_leaks_free(PmLeaks *leaks)
{
    g_free(leaks->groups);
    g_free(leaks->missing);
    g_ptr_array_unref(leaks->namings);
    g_free(leaks);
}
