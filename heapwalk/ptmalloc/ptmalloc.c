#include "ptmalloc/ptmalloc.h"

#include "base/jobs.h"
#include "ptmalloc/ptmalloc-private.h"

/* arena.c, HEAP_MAX_SIZE: 2 × DEFAULT_MMAP_THRESHOLD_MAX. */
#define HEAP_MAX_64 ((guint64)64 << 20)
#define HEAP_MAX_32 ((guint64)1 << 20)

const char *
pm_found_by_name(PmFoundBy found_by)
{
    switch (found_by) {
    case PM_FOUND_BY_SYMBOL:
        return "symbol";
    case PM_FOUND_BY_DEBUG_FILE:
        return "debug-file";
    case PM_FOUND_BY_SIGNATURE:
        return "signature";
    }
    return "unknown";
}

const char *
pm_overhead_name(PmOverhead overhead)
{
    static const char *const names[PM_OVERHEADS] = {
        "heap_info", "malloc_state", "alignment", "fenceposts", "foreign_sbrk", "damaged", "unread",
    };
    return (guint)overhead < PM_OVERHEADS ? names[overhead] : "unknown";
}

static void
build_free(gpointer data)
{
    PmArenaBuild *build = data;
    g_array_unref(build->heaps);
    g_array_unref(build->foreign_gaps);
    g_array_unref(build->threads);
    g_hash_table_unref(build->sizes);
    g_mutex_clear(&build->lock);
    g_free(build->arena.heaps);
    g_free(build->arena.threads);
    g_free(build->arena.bins);
    g_free(build);
}

static void
runtime_clear(gpointer data)
{
    g_free(((PmRuntimeChunk *)data)->what);
}

static PmPtmalloc *
ptmalloc_new(const PmProcess *process, const PmPtmallocOptions *options, PmDiagnostics *diagnostics)
{
    PmPtmalloc *ptmalloc = g_new0(PmPtmalloc, 1);
    ptmalloc->process = process;
    ptmalloc->space = pm_process_get_space(process);
    ptmalloc->diagnostics = diagnostics;
    ptmalloc->word_bytes = pm_space_get_target(ptmalloc->space)->word_bytes;
    ptmalloc->jobs = pm_jobs_resolve(options != NULL ? options->jobs : 0);
    ptmalloc->verify_bins = options != NULL && options->verify_bins;
    ptmalloc->heap_max_bytes = ptmalloc->word_bytes == 8 ? HEAP_MAX_64 : HEAP_MAX_32;
    ptmalloc->arenas = g_ptr_array_new_with_free_func(build_free);
    ptmalloc->builder = pm_heap_builder_new(ptmalloc->word_bytes);
    ptmalloc->runs = g_array_new(FALSE, FALSE, sizeof(PmRange));
    ptmalloc->stretches = g_array_new(FALSE, FALSE, sizeof(PmRange));
    ptmalloc->claimed = g_array_new(FALSE, FALSE, sizeof(PmRange));
    ptmalloc->mmapped_sizes = pm_size_table_new();
    ptmalloc->runtime = g_array_new(FALSE, FALSE, sizeof(PmRuntimeChunk));
    ptmalloc->caches = g_array_new(FALSE, FALSE, sizeof(PmThreadCache));
    g_array_set_clear_func(ptmalloc->runtime, runtime_clear);
    ptmalloc->in_flight = pm_in_flight_new(process);
    return ptmalloc;
}

/* "2.36", "2.35-2.41" or "2.43 and later". */
static char *
describe_versions(const PmPtmalloc *ptmalloc)
{
    if (ptmalloc->last_minor == PM_VERSION_NEWEST)
        return g_strdup_printf("2.%u and later", ptmalloc->first_minor);
    if (ptmalloc->first_minor == ptmalloc->last_minor)
        return g_strdup_printf("2.%u", ptmalloc->first_minor);
    return g_strdup_printf("2.%u-2.%u", ptmalloc->first_minor, ptmalloc->last_minor);
}

PmPtmalloc *
pm_ptmalloc_walk(const PmProcess *process, const PmPtmallocOptions *options,
                 PmDiagnostics *diagnostics, GError **error)
{
    g_autoptr(PmPtmalloc) ptmalloc = ptmalloc_new(process, options, diagnostics);
    if (!pm_ptmalloc_find_arenas(ptmalloc, error))
        return NULL;
    pm_ptmalloc_find_par(ptmalloc);
    if (!pm_ptmalloc_walk_heaps(ptmalloc, error))
        return NULL;
    pm_ptmalloc_find_mmapped(ptmalloc);
    ptmalloc->heap = pm_heap_builder_freeze(ptmalloc->builder, error);
    if (ptmalloc->heap == NULL)
        return NULL;
    pm_ptmalloc_mark_tcaches(ptmalloc);
    pm_ptmalloc_mark_fastbins(ptmalloc);
    if (pm_image_is_truncated(pm_space_get_image(ptmalloc->space)))
        pm_ptmalloc_mark_cut_lists(ptmalloc);
    if (ptmalloc->verify_bins)
        pm_ptmalloc_verify_bins(ptmalloc);
    pm_ptmalloc_mark_runtime(ptmalloc);
    pm_ptmalloc_account(ptmalloc);
    ptmalloc->glibc.family = describe_versions(ptmalloc);
    return g_steal_pointer(&ptmalloc);
}

void
pm_ptmalloc_narrow_versions(PmPtmalloc *ptmalloc, guint first, guint last)
{
    if (!pm_ptmalloc_allows(ptmalloc, first, last))
        return;
    ptmalloc->first_minor = MAX(ptmalloc->first_minor, first);
    ptmalloc->last_minor = MIN(ptmalloc->last_minor, last);
}

void
pm_ptmalloc_free(PmPtmalloc *ptmalloc)
{
    if (ptmalloc == NULL)
        return;
    pm_heap_free(ptmalloc->heap);
    pm_heap_builder_free(ptmalloc->builder);
    g_ptr_array_unref(ptmalloc->arenas);
    g_array_unref(ptmalloc->runs);
    g_array_unref(ptmalloc->stretches);
    g_array_unref(ptmalloc->claimed);
    g_array_unref(ptmalloc->runtime);
    pm_in_flight_free(ptmalloc->in_flight);
    g_array_unref(ptmalloc->caches);
    g_hash_table_unref(ptmalloc->mmapped_sizes);
    g_free(ptmalloc->public_arenas);
    g_free(ptmalloc->sizes);
    g_free(ptmalloc->glibc.version);
    g_free(ptmalloc->glibc.family);
    g_free(ptmalloc);
}

void
pm_ptmalloc_violation(PmPtmalloc *ptmalloc, const PmArenaBuild *build, const char *code,
                      PmAddr address, const char *format, ...)
{
    const gboolean locked = build != NULL && build->arena.locked;
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *who = pm_in_flight_explain(ptmalloc->in_flight, build, code, address);
    if (who != NULL) {
        pm_ptmalloc_note_in_flight(ptmalloc, build, address, text, who);
        return;
    }
    pm_diagnostics_add_arena(
        ptmalloc->diagnostics, code, locked ? PM_SEVERITY_WARNING : PM_SEVERITY_ERROR,
        build != NULL ? build->arena.address : PM_ADDR_NONE, address, "%s%s", text,
        locked ? " (its arena was locked: an operation may have been under way)" : "");
}

const PmHeap *
pm_ptmalloc_get_heap(const PmPtmalloc *ptmalloc)
{
    return ptmalloc->heap;
}

const PmGlibc *
pm_ptmalloc_get_glibc(const PmPtmalloc *ptmalloc)
{
    return &ptmalloc->glibc;
}

const PmArena *
pm_ptmalloc_get_arenas(const PmPtmalloc *ptmalloc, gsize *ret_count)
{
    *ret_count = ptmalloc->arenas->len;
    return ptmalloc->public_arenas;
}

const PmMmapped *
pm_ptmalloc_get_mmapped(const PmPtmalloc *ptmalloc)
{
    return &ptmalloc->mmapped;
}

const PmSizeCount *
pm_ptmalloc_get_sizes(const PmPtmalloc *ptmalloc, gsize *ret_count)
{
    *ret_count = ptmalloc->size_count;
    return ptmalloc->sizes;
}

guint64
pm_ptmalloc_get_usable_bytes(const PmPtmalloc *ptmalloc, PmChunkState state)
{
    return ptmalloc->usable_bytes[state];
}

GArray *
pm_ptmalloc_get_state_ranges(const PmPtmalloc *ptmalloc)
{
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(PmRange));
    for (guint i = 0; i < ptmalloc->arenas->len; i++) {
        const PmArena *arena = &pm_ptmalloc_get_build(ptmalloc, i)->arena;
        const PmRange range = {arena->address, arena->address + ptmalloc->layout->state_bytes};
        if (arena->kind == PM_ARENA_MAIN)
            g_array_append_val(ranges, range);
    }
    if (ptmalloc->par != NULL) {
        const PmRange range = {ptmalloc->glibc.mp, ptmalloc->glibc.mp + ptmalloc->par->par_bytes};
        g_array_append_val(ranges, range);
    }
    return ranges;
}

guint64
pm_ptmalloc_get_heap_max_bytes(const PmPtmalloc *ptmalloc)
{
    return ptmalloc->heap_max_bytes;
}

const PmThreadCache *
pm_ptmalloc_get_thread_caches(const PmPtmalloc *ptmalloc, gsize *ret_count)
{
    *ret_count = ptmalloc->caches->len;
    return (const PmThreadCache *)(gpointer)ptmalloc->caches->data;
}

const PmRuntimeChunk *
pm_ptmalloc_get_runtime_chunks(const PmPtmalloc *ptmalloc, gsize *ret_count)
{
    *ret_count = ptmalloc->runtime->len;
    return (const PmRuntimeChunk *)(gpointer)ptmalloc->runtime->data;
}

void
pm_ptmalloc_get_request_range(const PmPtmalloc *ptmalloc, guint64 chunk_bytes, guint64 *ret_min,
                              guint64 *ret_max)
{
    const guint64 word = ptmalloc->word_bytes;
    const guint64 alignment = ptmalloc->layout->alignment;
    *ret_max = chunk_bytes > word ? chunk_bytes - word : 0;
    *ret_min = 0;
    if (chunk_bytes > pm_min_chunk_bytes(ptmalloc->word_bytes) && *ret_max >= alignment)
        *ret_min = *ret_max - alignment + 1;
}

guint64
pm_ptmalloc_get_chunk_bytes(const PmPtmalloc *ptmalloc, guint64 request_bytes)
{
    guint64 bytes = 0;
    if (!pm_addr_add(request_bytes, ptmalloc->word_bytes, &bytes))
        return G_MAXUINT64;
    bytes = pm_align_up(bytes, ptmalloc->layout->alignment);
    return bytes < request_bytes ? G_MAXUINT64
                                 : MAX(bytes, pm_min_chunk_bytes(ptmalloc->word_bytes));
}
