#include "analysis/reach/reach.h"

#include "analysis/reach/lostwalk.h"

const char *
pm_reach_class_name(PmReachClass reach_class)
{
    static const char *const names[PM_REACH_CLASSES] = {
        "reachable", "reachable-interior", "reachable-weak",
        "leak-root", "leak-cycle",         "leak-indirect",
    };
    return (guint)reach_class < PM_REACH_CLASSES ? names[reach_class] : NULL;
}

gboolean
pm_reach_class_is_lost(PmReachClass reach_class)
{
    return reach_class == PM_REACH_LEAK_ROOT || reach_class == PM_REACH_LEAK_CYCLE ||
           reach_class == PM_REACH_LEAK_INDIRECT;
}

/* What is no node counts as visited from the start: free chunks, gaps, and those of glibc's own
 * chunks whose words are no references. */
static void
exclude_others(PmReach *reach)
{
    gsize count = 0;
    const PmRuntimeChunk *chunks = pm_ptmalloc_get_runtime_chunks(reach->subject->ptmalloc, &count);
    for (guint32 region = 0; region < reach->region_count; region++) {
        guint64 words = 0;
        const PmSlot first = pm_resolver_get_sweep(reach->resolver, region, &words);
        for (guint64 i = 0; i < words; i++)
            reach->visited[first / 64 + i] =
                pm_resolver_get_free_starts(reach->resolver, region, i);
    }
    for (gsize i = 0; i < count; i++) {
        PmHit hit;
        if (pm_reach_is_mute(&chunks[i]) &&
            pm_resolver_find(reach->resolver, chunks[i].address, &hit))
            pm_plane_set(reach->visited, hit.slot);
    }
}

static gboolean
make_planes(PmReach *reach, GError **error)
{
    /* One more: the second bit of the last slot. */
    const guint64 words = pm_resolver_get_slots(reach->resolver) / 64 + 1;
    reach->visited = g_try_malloc0_n(words, sizeof(guint64));
    reach->flags = g_try_malloc0_n(words, sizeof(guint64));
    reach->grey = g_try_malloc0_n(words, sizeof(guint64));
    if (reach->visited != NULL && reach->flags != NULL && reach->grey != NULL)
        return TRUE;
    g_set_error(error, PM_ERROR, PM_ERROR_MEMORY,
                "the reachability scan needs %" G_GUINT64_FORMAT
                " MiB for its marks, which this process may not use",
                3 * words * sizeof(guint64) >> 20);
    return FALSE;
}

static void
note_coverage(const PmReach *reach)
{
    const PmRootCoverage *coverage = &reach->result.coverage;
    if (coverage->wanted_bytes == 0 || coverage->present_bytes == coverage->wanted_bytes)
        return;
    pm_diagnostics_add(reach->subject->diagnostics, "roots-missing", PM_SEVERITY_WARNING,
                       PM_ADDR_NONE,
                       "%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                       " bytes of the memory that may refer to chunks are not in the core: what "
                       "seems lost may not be",
                       coverage->wanted_bytes - coverage->present_bytes, coverage->wanted_bytes);
}

PmReach *
pm_reach_new(const PmSubject *subject, guint jobs, GError **error)
{
    g_autoptr(PmReach) reach = g_new0(PmReach, 1);
    reach->subject = subject;
    reach->space = pm_process_get_space(subject->process);
    reach->heap = pm_ptmalloc_get_heap(subject->ptmalloc);
    reach->jobs = jobs;
    reach->word_bytes = pm_image_get_target(subject->image)->word_bytes;
    reach->groups = g_array_new(FALSE, FALSE, sizeof(PmLostGroup));
    reach->sizes = g_array_new(FALSE, FALSE, sizeof(PmLostSize));
    pm_heap_get_regions(reach->heap, &reach->region_count);
    reach->resolver = pm_resolver_new(reach->heap);
    reach->roots = pm_roots_new(subject);
    reach->guard_known = pm_roots_get_guard(reach->roots, &reach->guard);
    if (!make_planes(reach, error))
        return NULL;
    exclude_others(reach);
    pm_reach_mark(reach);
    pm_reach_classify_lost(reach);
    pm_roots_get_coverage(reach->roots, &reach->result.coverage);
    note_coverage(reach);
    reach->result.groups = (const PmLostGroup *)(gpointer)reach->groups->data;
    reach->result.group_count = reach->groups->len;
    reach->result.sizes = (const PmLostSize *)(gpointer)reach->sizes->data;
    reach->result.size_count = reach->sizes->len;
    return g_steal_pointer(&reach);
}

void
pm_reach_free(PmReach *reach)
{
    if (reach == NULL)
        return;
    pm_resolver_free(reach->resolver);
    pm_roots_free(reach->roots);
    g_free(reach->visited);
    g_free(reach->flags);
    g_free(reach->grey);
    g_array_unref(reach->groups);
    g_array_unref(reach->sizes);
    pm_cycles_free(reach->cycles);
    g_free(reach);
}

const PmReachResult *
pm_reach_get_result(const PmReach *reach)
{
    return &reach->result;
}

const PmRoots *
pm_reach_get_roots(const PmReach *reach)
{
    return reach->roots;
}

PmReachClass
pm_reach_get_class(const PmReach *reach, const PmChunk *chunk)
{
    PmHit hit;
    if (chunk->state != PM_CHUNK_USED || !pm_resolver_find(reach->resolver, chunk->address, &hit) ||
        !hit.is_start)
        return PM_REACH_NONE;
    return pm_reach_get_slot_class(reach, hit.slot);
}
