/*
 * Finds every malloc_state and decides which version's layout they have. The signature scan always
 * runs, over the modules' writable data and the places where thread heaps must begin; symbols name
 * what it found and rescue what it did not. The whole core is scanned only where that gave nothing.
 */
#include "ptmalloc/allocators.h"
#include "ptmalloc/binscan.h"
#include "ptmalloc/ptmalloc-private.h"
#include "ptmalloc/version.h"

/* A ring of more arenas than this is a loop through garbage; glibc's own limit is 8 per processor.
 */
#define ARENAS_MAX 65536

/* malloc_state.flags: NONCONTIGUOUS_BIT (malloc.c). */
#define FLAG_NONCONTIGUOUS 2

typedef struct {
    PmPtmalloc *ptmalloc;
    GArray *hits; /* PmBinHit */
} Finder;

static gboolean
is_writable_load(const PmSegment *segment)
{
    return (segment->flags & 2) != 0 && segment->present_bytes > 0; /* PF_W */
}

static void
scan_modules(Finder *finder)
{
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(finder->ptmalloc->process, &count);
    for (gsize i = 0; i < count; i++)
        for (gsize j = 0; j < modules[i].data_count; j++)
            pm_binscan_range(finder->ptmalloc->space, modules[i].data[j], finder->hits);
}

static void
scan_everything(Finder *finder)
{
    gsize count = 0;
    const PmSegment *segments =
        pm_image_get_segments(pm_space_get_image(finder->ptmalloc->space), &count);
    for (gsize i = 0; i < count; i++)
        if (is_writable_load(&segments[i]))
            pm_binscan_range(
                finder->ptmalloc->space,
                (PmRange){segments[i].start, segments[i].start + segments[i].present_bytes},
                finder->hits);
}

/* Adds the arena that a heap_info at @heap_info would have behind it. */
static void
probe_heap(Finder *finder, PmAddr heap_info)
{
    gsize count = 0;
    const PmStateLayout *layouts = pm_state_layouts(&count);
    guint64 arena = 0;
    if (!pm_read(finder->ptmalloc, heap_info, &arena))
        return;
    for (gsize i = 0; i < count; i++) {
        PmBinHit hit;
        if (layouts[i].word_bytes == finder->ptmalloc->word_bytes &&
            arena == heap_info + layouts[i].heap_info_bytes &&
            pm_binscan_check(finder->ptmalloc->space, arena + layouts[i].bins, &hit) &&
            pm_binscan_is_plausible(&hit))
            g_array_append_val(finder->hits, hit);
    }
}

/* Thread heaps begin at multiples of HEAP_MAX: look at each of those. */
static void
probe_heaps(Finder *finder)
{
    gsize count = 0;
    const guint64 step = finder->ptmalloc->heap_max_bytes;
    const PmSegment *segments =
        pm_image_get_segments(pm_space_get_image(finder->ptmalloc->space), &count);
    for (gsize i = 0; i < count; i++) {
        if (!is_writable_load(&segments[i]))
            continue;
        const PmAddr end = segments[i].start + segments[i].present_bytes;
        for (PmAddr address = pm_align_up(segments[i].start, step);
             address < end && address >= segments[i].start; address += step)
            probe_heap(finder, address);
    }
}

static gboolean
is_hit(const Finder *finder, PmAddr bins)
{
    guint low = 0, high = finder->hits->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        const PmAddr at = g_array_index(finder->hits, PmBinHit, middle).bins;
        if (at == bins)
            return TRUE;
        if (at < bins)
            low = middle + 1;
        else
            high = middle;
    }
    return FALSE;
}

/* What speaks for @layout: rings that close, heap_infos that point to their arena, a plausible
 * system_mem, the version. */
static guint
score_layout(const Finder *finder, const PmStateLayout *layout)
{
    const PmPtmalloc *ptmalloc = finder->ptmalloc;
    guint score = 0;

    for (guint i = 0; i < finder->hits->len; i++) {
        const PmAddr bins = g_array_index(finder->hits, PmBinHit, i).bins;
        const PmAddr state = bins - layout->bins;
        guint64 next = 0, owner = 0, system_mem = 0, max_system_mem = 0;
        if (pm_read(ptmalloc, state + layout->next, &next) && is_hit(finder, next + layout->bins))
            score += 8;
        const PmAddr heap = pm_align_down(state, ptmalloc->heap_max_bytes);
        if (state - heap == layout->heap_info_bytes && pm_read(ptmalloc, heap, &owner) &&
            owner == state)
            score += 4;
        /* max_system_mem comes next, and is never less: what 2.22 has there is no system_mem of
         * 2.23's, one word further. */
        if (pm_read(ptmalloc, state + layout->system_mem, &system_mem) &&
            pm_read(ptmalloc, state + layout->system_mem + ptmalloc->word_bytes, &max_system_mem) &&
            system_mem > 0 && system_mem % 4096 == 0 && max_system_mem >= system_mem)
            score += 2;
    }
    if (ptmalloc->minor >= layout->first_version && ptmalloc->minor <= layout->last_version)
        score += 1;
    return score;
}

/*
 * Chooses the layout with the highest score. Those that score the same (only sizeof(struct
 * heap_info) tells 2.27 from 2.35, and a process may have no thread arena) widen the range of
 * versions that later stages reckon with.
 */
static gboolean
choose_layout(Finder *finder)
{
    gsize count = 0;
    guint best_score = 1; /* the version alone is no evidence */
    PmPtmalloc *ptmalloc = finder->ptmalloc;
    const PmStateLayout *layouts = pm_state_layouts(&count);
    for (gsize i = 0; i < count; i++) {
        if (layouts[i].word_bytes != ptmalloc->word_bytes)
            continue;
        const guint score = score_layout(finder, &layouts[i]);
        if (score > best_score) {
            best_score = score;
            ptmalloc->layout = &layouts[i];
            ptmalloc->first_minor = layouts[i].first_version;
        }
        if (score == best_score)
            ptmalloc->last_minor = layouts[i].last_version;
    }
    pm_ptmalloc_narrow_versions(ptmalloc, ptmalloc->minor, ptmalloc->minor);
    return ptmalloc->layout != NULL;
}

/* Whether the malloc_state at @state lies at the beginning of a thread heap that says it is its
 * arena. */
static gboolean
is_thread_arena(const PmPtmalloc *ptmalloc, PmAddr state)
{
    guint64 owner = 0;
    const PmAddr heap = state - ptmalloc->layout->heap_info_bytes;
    return heap % 4096 == 0 && pm_read(ptmalloc, heap, &owner) && owner == state;
}

/* Whether anything was ever allocated from the malloc_state at @state: a preloaded
 * libc_malloc_debug has an unused one. */
static gboolean
is_used(const PmPtmalloc *ptmalloc, PmAddr state)
{
    guint64 system_mem = 0;
    return pm_read(ptmalloc, state + ptmalloc->layout->system_mem, &system_mem) && system_mem != 0;
}

PmArenaBuild *
pm_ptmalloc_find_build(const PmPtmalloc *ptmalloc, PmAddr state)
{
    for (guint i = 0; i < ptmalloc->arenas->len; i++)
        if (pm_ptmalloc_get_build(ptmalloc, i)->arena.address == state)
            return pm_ptmalloc_get_build(ptmalloc, i);
    return NULL;
}

/* The list of arenas leads to @state, where none is: damage, or a part of the core that is missing.
 */
static void
note_ring_end(PmPtmalloc *ptmalloc, PmAddr state)
{
    guint64 word = 0;
    if (pm_read(ptmalloc, state + ptmalloc->layout->next, &word))
        pm_diagnostics_add(ptmalloc->diagnostics, "arena-ring", PM_SEVERITY_WARNING, state,
                           "the list of arenas leads to an address that holds no malloc_state");
    else
        pm_diagnostics_add(ptmalloc->diagnostics, "arena-lost", PM_SEVERITY_WARNING, state,
                           "the list of arenas leads to one that is not in the core");
}

/*
 * Whether the malloc_state that the list of arenas leads to is one. A busy arena has few empty bins
 * or none: its heap says then that it is.
 */
static gboolean
is_state(const Finder *finder, PmAddr state)
{
    const PmPtmalloc *ptmalloc = finder->ptmalloc;
    const PmAddr bins = state + ptmalloc->layout->bins;
    PmBinHit hit;
    return is_hit(finder, bins) ||
           (pm_binscan_check(ptmalloc->space, bins, &hit) &&
            (pm_binscan_is_plausible(&hit) ||
             (is_thread_arena(ptmalloc, state) && pm_binscan_is_possible(&hit))));
}

/* Adds the arenas of the ring that @state belongs to, itself first. */
static void
follow_ring(const Finder *finder, PmAddr state, GHashTable *known)
{
    PmPtmalloc *ptmalloc = finder->ptmalloc;
    const guint ring = ptmalloc->rings;
    for (guint i = 0; i < ARENAS_MAX; i++) {
        guint64 next = 0;
        if (!is_state(finder, state)) {
            note_ring_end(ptmalloc, state);
            return;
        }
        if (!g_hash_table_add(known, GSIZE_TO_POINTER((gsize)state)))
            return;
        PmArenaBuild *build = pm_ptmalloc_add_arena(
            ptmalloc, state, is_thread_arena(ptmalloc, state) ? PM_ARENA_THREAD : PM_ARENA_MAIN);
        build->ring = ring;
        ptmalloc->rings = ring + 1;
        if (!pm_read(ptmalloc, state + ptmalloc->layout->next, &next))
            return;
        state = next;
    }
}

/* Whether the list of arenas leads on from @state: to itself, where it is the only one. */
static gboolean
is_in_ring(const Finder *finder, PmAddr state)
{
    const PmStateLayout *layout = finder->ptmalloc->layout;
    guint64 next = 0;
    return pm_read(finder->ptmalloc, state + layout->next, &next) &&
           is_hit(finder, next + layout->bins);
}

/*
 * Main arenas first (each with its ring), then thread arenas that no ring reached. Only where there
 * is nothing else: main arenas whose ring is broken (what else looks like bins may be anything),
 * and unused ones (where every chunk was mmapped).
 */
static void
collect_arenas(Finder *finder)
{
    enum { USED_MAIN, BROKEN_MAIN, THREAD, UNUSED_MAIN, PASSES };
    PmPtmalloc *ptmalloc = finder->ptmalloc;
    g_autoptr(GHashTable) known = g_hash_table_new(g_direct_hash, g_direct_equal);

    for (guint pass = 0; pass < PASSES; pass++) {
        if ((pass == BROKEN_MAIN || pass == UNUSED_MAIN) && ptmalloc->arenas->len > 0)
            continue;
        for (guint i = 0; i < finder->hits->len; i++) {
            const PmAddr state =
                g_array_index(finder->hits, PmBinHit, i).bins - ptmalloc->layout->bins;
            guint kind = UNUSED_MAIN;
            if (is_thread_arena(ptmalloc, state))
                kind = THREAD;
            else if (is_used(ptmalloc, state))
                kind = is_in_ring(finder, state) ? USED_MAIN : BROKEN_MAIN;
            if (kind == pass)
                follow_ring(finder, state, known);
        }
    }
}

/* Names the main arena that the report speaks of: libc's own, or else (libc_malloc_debug) the one
 * with the most memory. Those of further libcs (dlmopen) may well have more. */
static void
choose_main(PmPtmalloc *ptmalloc)
{
    guint64 best = 0;
    const PmModule *libc = pm_process_get_libc(ptmalloc->process);
    for (guint i = 0; i < ptmalloc->arenas->len; i++) {
        const PmArena *arena = &pm_ptmalloc_get_build(ptmalloc, i)->arena;
        const PmModule *module = pm_process_find_module(ptmalloc->process, arena->address);
        const gboolean is_own = libc != NULL && module == libc;
        if (arena->kind != PM_ARENA_MAIN || (!is_own && arena->system_bytes < best))
            continue;
        best = is_own ? G_MAXUINT64 : arena->system_bytes;
        ptmalloc->glibc.main_arena = arena->address;
        ptmalloc->glibc.module = module;
    }
}

/*
 * Looks main_arena up by name, in the libc. Where the signature missed it (a badly damaged arena),
 * it is added as a hit.
 *
 * Returns: the symbol's address, or PM_ADDR_NONE.
 */
static PmAddr
look_up_main(Finder *finder, PmSymbolSource *ret_source)
{
    PmSymbol symbol;
    PmPtmalloc *ptmalloc = finder->ptmalloc;
    const PmModule *libc = pm_process_get_libc(ptmalloc->process);
    if (libc == NULL || !pm_process_lookup_symbol(ptmalloc->process, libc, "main_arena", &symbol))
        return PM_ADDR_NONE;
    *ret_source = symbol.source;

    gsize count = 0;
    const PmStateLayout *layouts = pm_state_layouts(&count);
    for (gsize i = 0; i < count; i++) {
        PmBinHit hit;
        if (layouts[i].word_bytes != ptmalloc->word_bytes ||
            !pm_binscan_check(ptmalloc->space, symbol.address + layouts[i].bins, &hit))
            continue;
        if (is_hit(finder, hit.bins))
            break;
        /* Where malloc was never used all bins are 0, and point nowhere. */
        if (hit.empty + hit.linked > PM_BINS / 2) {
            g_array_append_val(finder->hits, hit);
            pm_binscan_reduce(ptmalloc->space, finder->hits);
        }
    }
    return symbol.address;
}

static void
set_found_by(PmPtmalloc *ptmalloc, PmAddr symbol, PmSymbolSource source)
{
    ptmalloc->glibc.found_by = PM_FOUND_BY_SIGNATURE;
    if (symbol == PM_ADDR_NONE)
        return;
    if (pm_ptmalloc_find_build(ptmalloc, symbol) == NULL &&
        ptmalloc->glibc.main_arena != PM_ADDR_NONE)
        pm_diagnostics_add(ptmalloc->diagnostics, "main-arena-unused", PM_SEVERITY_NOTE, symbol,
                           "libc's main_arena is not in use; another one was found by its shape");
    else if (ptmalloc->glibc.main_arena == symbol)
        ptmalloc->glibc.found_by =
            source == PM_SYMBOL_FROM_DEBUG_FILE ? PM_FOUND_BY_DEBUG_FILE : PM_FOUND_BY_SYMBOL;
}

/* Whether glibc's malloc was never used though it is set up (mallinfo does that), because another
 * one serves in its place. */
static gboolean
is_other_allocator(const PmPtmalloc *ptmalloc)
{
    for (guint i = 0; i < ptmalloc->arenas->len; i++)
        if (pm_ptmalloc_get_build(ptmalloc, i)->arena.system_bytes != 0)
            return FALSE;
    g_autofree char *name = pm_allocator_recognise(ptmalloc->process, NULL);
    return name != NULL;
}

/* glibc's heap is there, and so is another allocator: what that one holds is not in any figure. */
static void
note_other_allocator(PmPtmalloc *ptmalloc)
{
    const PmModule *module = NULL;
    g_autofree char *name = pm_allocator_recognise_file(ptmalloc->process, &module);
    if (name != NULL)
        pm_diagnostics_add(
            ptmalloc->diagnostics, "allocator-mixed", PM_SEVERITY_WARNING, module->start,
            "%s is loaded too (%s): what it holds is not counted here", name, module->path);
}

gboolean
pm_ptmalloc_find_arenas(PmPtmalloc *ptmalloc, GError **error)
{
    g_autoptr(GArray) hits = g_array_new(FALSE, FALSE, sizeof(PmBinHit));
    Finder finder = {.ptmalloc = ptmalloc, .hits = hits};
    PmSymbolSource source = PM_SYMBOL_FROM_SYMTAB;

    ptmalloc->glibc.version = pm_glibc_find_version(ptmalloc->process, &ptmalloc->minor);
    ptmalloc->glibc.main_arena = PM_ADDR_NONE;
    ptmalloc->glibc.mp = PM_ADDR_NONE;
    scan_modules(&finder);
    probe_heaps(&finder);
    pm_binscan_reduce(ptmalloc->space, hits);
    const PmAddr symbol = look_up_main(&finder, &source);
    if (hits->len == 0) {
        scan_everything(&finder);
        pm_binscan_reduce(ptmalloc->space, hits);
    }
    if (hits->len > 0 && choose_layout(&finder)) {
        collect_arenas(&finder);
        choose_main(ptmalloc);
        set_found_by(ptmalloc, symbol, source);
    }
    if (ptmalloc->arenas->len > 0 && !is_other_allocator(ptmalloc)) {
        note_other_allocator(ptmalloc);
        return TRUE;
    }
    pm_allocator_set_no_heap(ptmalloc->process, error);
    return FALSE;
}

PmArenaBuild *
pm_ptmalloc_add_arena(PmPtmalloc *ptmalloc, PmAddr address, PmArenaKind kind)
{
    const PmStateLayout *layout = ptmalloc->layout;
    PmArenaBuild *build = g_new0(PmArenaBuild, 1);
    guint64 top = 0, system_mem = 0;
    guint32 mutex = 0, flags = 0;

    pm_read(ptmalloc, address + layout->top, &top);
    pm_read(ptmalloc, address + layout->system_mem, &system_mem);
    pm_space_read_u32(ptmalloc->space, address, &mutex);
    pm_space_read_u32(ptmalloc->space, address + 4, &flags);
    build->arena = (PmArena){
        .address = address,
        .kind = kind,
        .contiguous = kind == PM_ARENA_MAIN && (flags & FLAG_NONCONTIGUOUS) == 0,
        .system_bytes = system_mem,
        .top = top,
        .locked = mutex != 0,
    };
    build->index = ptmalloc->arenas->len;
    build->heaps = g_array_new(FALSE, FALSE, sizeof(PmArenaHeap));
    build->foreign_gaps = g_array_new(FALSE, FALSE, sizeof(guint64));
    build->threads = g_array_new(FALSE, FALSE, sizeof(guint32));
    build->sizes = pm_size_table_new();
    g_mutex_init(&build->lock);
    g_ptr_array_add(ptmalloc->arenas, build);
    return build;
}
