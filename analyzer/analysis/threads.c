#include "analysis/threads.h"

#include "process/stacks.h"

#include <stdlib.h>

/* What is looked up by tid. */
typedef struct {
    GHashTable *regions; /* tid → PmRegion of its own stack */
    GHashTable *arenas;  /* tid → PmArena */
    GHashTable *caches;  /* tid → PmThreadCache */
} Tables;

static void
fill_tables(Tables *tables, const PmSubject *subject, const PmRegions *regions)
{
    gsize count = 0;
    tables->regions = g_hash_table_new(g_direct_hash, g_direct_equal);
    tables->arenas = g_hash_table_new(g_direct_hash, g_direct_equal);
    tables->caches = g_hash_table_new(g_direct_hash, g_direct_equal);
    const PmRegion *all = pm_regions_get(regions, &count);
    for (gsize i = 0; i < count; i++)
        if (all[i].tid != 0 &&
            (all[i].kind == PM_REGION_STACK_LIVE || all[i].kind == PM_REGION_STACK_MAIN) &&
            (all[i].proof == PM_STACK_BY_LIST ||
             !g_hash_table_contains(tables->regions, GUINT_TO_POINTER(all[i].tid))))
            g_hash_table_insert(tables->regions, GUINT_TO_POINTER(all[i].tid), (gpointer)&all[i]);
    if (subject->ptmalloc == NULL)
        return;
    const PmArena *arenas = pm_ptmalloc_get_arenas(subject->ptmalloc, &count);
    for (gsize i = 0; i < count; i++)
        for (gsize j = 0; j < arenas[i].thread_count; j++)
            g_hash_table_insert(tables->arenas, GUINT_TO_POINTER(arenas[i].threads[j]),
                                (gpointer)&arenas[i]);
    const PmThreadCache *caches = pm_ptmalloc_get_thread_caches(subject->ptmalloc, &count);
    for (gsize i = count; i-- > 0;)
        g_hash_table_insert(tables->caches, GUINT_TO_POINTER(caches[i].tid), (gpointer)&caches[i]);
}

static void
clear_tables(Tables *tables)
{
    g_hash_table_unref(tables->regions);
    g_hash_table_unref(tables->arenas);
    g_hash_table_unref(tables->caches);
}

static void
describe_stack(PmThreadFacts *facts, const Tables *tables, const PmRegions *regions)
{
    const PmThread *thread = facts->thread;
    const PmRegion *own = g_hash_table_lookup(tables->regions, GUINT_TO_POINTER(thread->tid));
    const PmRegion *current =
        thread->sp == PM_ADDR_NONE ? NULL : pm_regions_find(regions, thread->sp);
    facts->used_bytes = PM_BYTES_UNKNOWN;
    facts->stack_touched_bytes = PM_BYTES_UNKNOWN;
    facts->runs_on = current == NULL ? PM_REGION_KINDS : current->kind;
    if (own == NULL)
        return;
    facts->stack = own->range;
    facts->stack_touched_bytes = own->touched_bytes;
    if (!pm_range_contains(own->range, thread->sp))
        return;
    const gboolean has_tls = thread->static_tls.start > thread->sp &&
                             pm_range_contains(own->range, thread->static_tls.start);
    facts->used_bytes = (has_tls ? thread->static_tls.start : own->range.end) - thread->sp;
}

static void
describe_thread(PmThreadFacts *facts, const PmSubject *subject, const Tables *tables)
{
    const PmProcessInfo *info = pm_process_get_info(subject->process);
    const guint32 tid = facts->thread->tid;
    const PmArena *arena = g_hash_table_lookup(tables->arenas, GUINT_TO_POINTER(tid));
    gboolean complete = FALSE;
    facts->arena = arena == NULL ? PM_ADDR_NONE : arena->address;
    facts->cache = g_hash_table_lookup(tables->caches, GUINT_TO_POINTER(tid));
    if (tid == info->pid && pm_image_get_origin(subject->image) == PM_ORIGIN_KERNEL)
        facts->name = info->name;
    facts->frames =
        pm_process_unwind(subject->process, facts->thread, &facts->frame_count, &complete);
    facts->end =
        pm_process_get_unwind_end(subject->process, facts->frames, facts->frame_count, complete);
}

static guint
hash_frames(gconstpointer data)
{
    const PmThreadFacts *facts = data;
    guint64 hash = facts->end;
    for (gsize i = 0; i < facts->frame_count; i++)
        hash = (hash ^ facts->frames[i].pc) * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
    return (guint)(hash >> 32);
}

static gboolean
equal_frames(gconstpointer a, gconstpointer b)
{
    const PmThreadFacts *left = a;
    const PmThreadFacts *right = b;
    if (left->end != right->end || left->frame_count != right->frame_count)
        return FALSE;
    for (gsize i = 0; i < left->frame_count; i++)
        if (left->frames[i].pc != right->frames[i].pc)
            return FALSE;
    return TRUE;
}

/* @data: the PmThreadGroup of the crashed thread, or NULL. */
static gint
compare_groups(gconstpointer a, gconstpointer b, gpointer data)
{
    const PmThreadGroup *left = a;
    const PmThreadGroup *right = b;
    const gsize crashed = *(const gsize *)data;
    if ((left->first == crashed) != (right->first == crashed))
        return left->first == crashed ? -1 : 1;
    if (left->threads != right->threads)
        return left->threads > right->threads ? -1 : 1;
    return left->first < right->first ? -1 : left->first > right->first;
}

/* Groups of equal frames; then each thread's group is known by its first thread. */
static void
group_threads(PmThreads *threads, guint32 crashed_tid)
{
    g_autoptr(GHashTable) by_frames = g_hash_table_new(hash_frames, equal_frames);
    g_autoptr(GArray) groups = g_array_new(FALSE, FALSE, sizeof(PmThreadGroup));
    gsize crashed = G_MAXSIZE;
    for (gsize i = 0; i < threads->thread_count; i++) {
        PmThreadFacts *facts = &threads->threads[i];
        const PmThreadFacts *first = g_hash_table_lookup(by_frames, facts);
        if (first == NULL) {
            const PmThreadGroup group = {.first = i};
            facts->group = groups->len;
            g_array_append_val(groups, group);
            g_hash_table_add(by_frames, facts);
        } else {
            facts->group = first->group;
        }
        PmThreadGroup *group = &g_array_index(groups, PmThreadGroup, facts->group);
        group->threads++;
        if (crashed_tid != 0 && facts->thread->tid == crashed_tid)
            crashed = group->first;
    }
    g_array_sort_with_data(groups, compare_groups, &crashed);
    threads->groups = (PmThreadGroup *)(gpointer)g_array_steal(groups, &threads->group_count);
    g_autofree guint *places = g_new0(guint, threads->thread_count + 1);
    for (gsize i = 0; i < threads->group_count; i++)
        places[threads->groups[i].first] = (guint)i;
    for (gsize i = 0; i < threads->thread_count; i++) {
        const PmThreadFacts *first = g_hash_table_lookup(by_frames, &threads->threads[i]);
        threads->threads[i].group = places[first - threads->threads];
    }
}

PmThreads *
pm_threads_new(const PmSubject *subject, const PmRegions *regions)
{
    PmThreads *threads = g_new0(PmThreads, 1);
    const PmThread *all = pm_process_get_threads(subject->process, &threads->thread_count);
    Tables tables;
    fill_tables(&tables, subject, regions);
    threads->threads = g_new0(PmThreadFacts, threads->thread_count + 1);
    for (gsize i = 0; i < threads->thread_count; i++) {
        threads->threads[i].thread = &all[i];
        describe_stack(&threads->threads[i], &tables, regions);
        describe_thread(&threads->threads[i], subject, &tables);
    }
    clear_tables(&tables);
    group_threads(threads, pm_process_get_info(subject->process)->crashed_tid);
    return threads;
}

void
pm_threads_free(PmThreads *threads)
{
    if (threads == NULL)
        return;
    for (gsize i = 0; i < threads->thread_count; i++)
        g_free(threads->threads[i].frames);
    g_free(threads->threads);
    g_free(threads->groups);
    g_free(threads);
}

const char *
pm_unwind_end_name(PmUnwindEnd end)
{
    static const char *const names[] = {"complete", "no-registers", "too-many",
                                        "not-code", "no-module",    "no-file",
                                        "no-cfi",   "no-stack",     "damaged"};
    return names[end];
}

char *
pm_threads_describe_end(const PmSubject *subject, const PmThreadFacts *facts)
{
    const PmFrame *last = facts->frame_count > 0 ? &facts->frames[facts->frame_count - 1] : NULL;
    const PmModule *module =
        last == NULL ? NULL : pm_process_find_module(subject->process, pm_frame_get_code(last));
    const PmFileMapping *mapping =
        last == NULL ? NULL : pm_image_find_file_mapping(subject->image, pm_frame_get_code(last));
    g_autofree char *name = g_path_get_basename(module != NULL    ? module->path
                                                : mapping != NULL ? mapping->path
                                                                  : "?");
    switch (facts->end) {
    case PM_UNWIND_COMPLETE:
        return NULL;
    case PM_UNWIND_REGISTERS:
        return g_strdup("the registers of this thread are not in the core");
    case PM_UNWIND_MOST:
        return g_strdup_printf("there are more than the %u innermost frames", PM_FRAMES_MAX);
    case PM_UNWIND_NOT_CODE:
        return g_strdup("this is no address of code: a call through a bad pointer");
    case PM_UNWIND_NO_MODULE:
        return g_strdup("this code belongs to no module, so that nothing tells how to unwind it");
    case PM_UNWIND_NO_FILE:
        return g_strdup_printf("%s is not here, so that nothing tells how to unwind it; pass "
                               "--sysroot or --exe",
                               name);
    case PM_UNWIND_NO_CFI:
        return g_strdup_printf("%s does not tell how to unwind this code", name);
    case PM_UNWIND_NO_STACK:
        return g_strdup("the rest of the stack is not in the core");
    case PM_UNWIND_DAMAGED:
        return g_strdup("what stands where the caller should be leads to no code: the stack is "
                        "damaged, or this code is not as its unwind information says");
    }
    return NULL;
}
