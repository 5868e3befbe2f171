/*
 * mp_, the one struct malloc_par: from a symbol, or by its default values near main_arena. It gives
 * the start of the brk heap and the counters of mmapped chunks; everything works without it, with
 * less to check against.
 */
#include "ptmalloc/chunk.h"
#include "ptmalloc/ptmalloc-private.h"

/* malloc.c: DEFAULT_MMAP_MAX, DEFAULT_TOP_PAD; mallopt and tunables change them. */
#define MMAP_MAX_DEFAULT 65536
#define TOP_PAD_DEFAULT  0x20000
/* How far from main_arena mp_ was ever seen: 0x960 before it; both are static data of one file. */
#define PAR_DISTANCE_MAX 0x2000
/* The huge pages that there are: 64 KiB on AArch64 to 16 GiB on POWER. */
#define HUGE_PAGE_MIN ((guint64)64 << 10)
#define HUGE_PAGE_MAX ((guint64)16 << 30)

static gboolean
read_at(const PmPtmalloc *ptmalloc, PmAddr address, guint64 count, guint64 *ret_value)
{
    guint32 value = 0;
    if (count != 4)
        return pm_read(ptmalloc, address, ret_value);
    if (!pm_space_read_u32(ptmalloc->space, address, &value))
        return FALSE;
    *ret_value = value;
    return TRUE;
}

gboolean
pm_ptmalloc_read_par(const PmPtmalloc *ptmalloc, guint offset, guint64 count, guint64 *ret_value)
{
    return ptmalloc->par != NULL &&
           read_at(ptmalloc, ptmalloc->glibc.mp + offset, count, ret_value);
}

/*
 * Whether the main arena's memory begins at @sbrk_base: while it is contiguous, system_mem before
 * the end of top. Any pointer to the start of the heap does; in front of mp_'s stand two thresholds
 * that hardly anybody sets to 0.
 *
 * @address: where mp_ would be.
 */
static gboolean
is_sbrk_base(const PmPtmalloc *ptmalloc, PmAddr address, PmAddr sbrk_base)
{
    const PmArena *arena = &pm_ptmalloc_find_build(ptmalloc, ptmalloc->glibc.main_arena)->arena;
    guint64 head = 0, trim_threshold = 0, mmap_threshold = 0;
    if (sbrk_base == 0 || !arena->contiguous || !pm_read(ptmalloc, address, &trim_threshold) ||
        !pm_read(ptmalloc, address + 2 * ptmalloc->word_bytes, &mmap_threshold) ||
        trim_threshold == 0 || mmap_threshold == 0)
        return FALSE;
    return pm_read(ptmalloc, arena->top + ptmalloc->word_bytes, &head) &&
           arena->top + pm_head_bytes(head) - arena->system_bytes == sbrk_base;
}

/*
 * Whether @n_mmaps mappings can have @mmapped_mem bytes. From 2.43 on every realloc() by mremap
 * adds two words to mmapped_mem that nothing takes off again (measured on 2.43 and 2.44).
 */
static gboolean
are_counters(const PmParLayout *layout, guint64 n_mmaps, guint64 mmapped_mem)
{
    const gboolean drifts = layout->first_version >= 43;
    const guint64 unit = drifts ? 2 * (guint64)layout->word_bytes : 4096;
    if (mmapped_mem % unit != 0 || (n_mmaps > 0 && mmapped_mem / n_mmaps < 4096))
        return FALSE;
    return n_mmaps > 0 || mmapped_mem == 0 || drifts;
}

/*
 * Whether the fields of @layout at @address could be mp_'s: sbrk_base lies in mapped memory at or
 * below a main arena's top (or is 0 where brk was never used), and the counters agree with each
 * other.
 *
 * @strict: without a symbol: the defaults must be there too, or sbrk_base where the arena begins.
 */
static gboolean
is_par(const PmPtmalloc *ptmalloc, const PmParLayout *layout, PmAddr address, gboolean strict)
{
    const guint64 word = ptmalloc->word_bytes;
    guint64 n_mmaps = 0, n_mmaps_max = 0, mmapped_mem = 0, sbrk_base = 0, top_pad = 0;
    if (!read_at(ptmalloc, address + layout->n_mmaps, 4, &n_mmaps) ||
        !read_at(ptmalloc, address + layout->n_mmaps + 4, 4, &n_mmaps_max) ||
        !read_at(ptmalloc, address + layout->mmapped_mem, word, &mmapped_mem) ||
        !read_at(ptmalloc, address + layout->sbrk_base, word, &sbrk_base) ||
        !read_at(ptmalloc, address + word, word, &top_pad))
        return FALSE;
    if (strict &&
        (n_mmaps_max != MMAP_MAX_DEFAULT || (top_pad != 0 && top_pad != TOP_PAD_DEFAULT)) &&
        !is_sbrk_base(ptmalloc, address, sbrk_base))
        return FALSE;
    if (n_mmaps > n_mmaps_max || !are_counters(layout, n_mmaps, mmapped_mem))
        return FALSE;

    const PmArena *main_arena =
        &pm_ptmalloc_find_build(ptmalloc, ptmalloc->glibc.main_arena)->arena;
    if (sbrk_base == 0)
        return main_arena->system_bytes == 0 || (!strict && !main_arena->contiguous);
    if (pm_image_find_segment(pm_space_get_image(ptmalloc->space), sbrk_base) == NULL)
        return FALSE;
    return !main_arena->contiguous || sbrk_base <= main_arena->top;
}

/*
 * 2.35 to 2.42: with the tunable hugetlb=2 thread heaps are four huge pages long. (arena.c,
 * heap_max_size; mp_.hp_pagesize and the int hp_flags come right before n_mmaps)
 */
static void
set_heap_max(PmPtmalloc *ptmalloc)
{
    guint64 page = 0;
    const guint offset = ptmalloc->par->n_mmaps - 4 - (guint)ptmalloc->word_bytes;
    if (ptmalloc->par->first_version == 35 &&
        pm_ptmalloc_read_par(ptmalloc, offset, ptmalloc->word_bytes, &page) &&
        page >= HUGE_PAGE_MIN && page <= HUGE_PAGE_MAX && (page & (page - 1)) == 0)
        ptmalloc->heap_max_bytes = 4 * page;
}

/*
 * What mp_ may be.
 *
 * @first_version, @last_version: of all layouts whose fields fit. @layout: the shortest of them.
 * @defaults: how many of the words before the counters are what they are in most processes.
 */
typedef struct {
    PmAddr address;
    const PmParLayout *layout;
    guint first_version;
    guint last_version;
    guint defaults;
} ParMatch;

static guint
count_defaults(const PmPtmalloc *ptmalloc, PmAddr address)
{
    guint64 trim_threshold = 0, top_pad = 0, mmap_threshold = 0;
    pm_read(ptmalloc, address, &trim_threshold);
    pm_read(ptmalloc, address + ptmalloc->word_bytes, &top_pad);
    pm_read(ptmalloc, address + 2 * ptmalloc->word_bytes, &mmap_threshold);
    return (guint)(trim_threshold != 0) + (guint)(top_pad == TOP_PAD_DEFAULT) +
           (guint)(mmap_threshold != 0);
}

/* Tries the layouts of @ptmalloc's versions at @address. Some differ only behind sbrk_base (2.24
 * and 2.26 on 64 bit, 2.43 and 2.44): nothing here tells these apart. */
static gboolean
match_layouts(const PmPtmalloc *ptmalloc, PmAddr address, gboolean strict, ParMatch *ret_match)
{
    gsize count = 0;
    ParMatch match = {.address = address};
    const PmParLayout *layouts = pm_par_layouts(&count);
    for (gsize i = 0; i < count; i++) {
        const PmParLayout *layout = &layouts[i];
        if (layout->word_bytes != ptmalloc->word_bytes ||
            !pm_ptmalloc_allows(ptmalloc, layout->first_version, layout->last_version) ||
            !is_par(ptmalloc, layout, address, strict))
            continue;
        if (match.layout == NULL)
            match.first_version = layout->first_version;
        if (match.layout == NULL || layout->par_bytes < match.layout->par_bytes)
            match.layout = layout;
        match.last_version = layout->last_version;
    }
    if (match.layout == NULL)
        return FALSE;
    match.defaults = count_defaults(ptmalloc, address);
    *ret_match = match;
    return TRUE;
}

static void
take_match(PmPtmalloc *ptmalloc, const ParMatch *match)
{
    pm_ptmalloc_narrow_versions(ptmalloc, match->first_version, match->last_version);
    ptmalloc->par = match->layout;
    ptmalloc->glibc.mp = match->address;
    set_heap_max(ptmalloc);
}

/* Without a symbol. On 32 bit the counters of 2.26 look like those of 2.35 from an address 12 bytes
 * lower: the words in front of them decide. */
static gboolean
search_par(const PmPtmalloc *ptmalloc, ParMatch *ret_best)
{
    const PmAddr main_arena = ptmalloc->glibc.main_arena;
    const PmAddr start = main_arena > PAR_DISTANCE_MAX ? main_arena - PAR_DISTANCE_MAX : 0;
    gboolean found = FALSE;
    for (PmAddr at = pm_align_up(start, ptmalloc->word_bytes); at < main_arena + PAR_DISTANCE_MAX;
         at += ptmalloc->word_bytes) {
        ParMatch match;
        if (match_layouts(ptmalloc, at, TRUE, &match) &&
            (!found || match.defaults > ret_best->defaults)) {
            *ret_best = match;
            found = TRUE;
        }
    }
    return found;
}

void
pm_ptmalloc_find_par(PmPtmalloc *ptmalloc)
{
    PmSymbol symbol;
    ParMatch match;
    if (ptmalloc->glibc.main_arena == PM_ADDR_NONE)
        return;
    const gboolean by_symbol =
        ptmalloc->glibc.found_by != PM_FOUND_BY_SIGNATURE && ptmalloc->glibc.module != NULL &&
        pm_process_lookup_symbol(ptmalloc->process, ptmalloc->glibc.module, "mp_", &symbol) &&
        match_layouts(ptmalloc, symbol.address, FALSE, &match);
    if (by_symbol || search_par(ptmalloc, &match))
        take_match(ptmalloc, &match);
    else
        pm_diagnostics_add(ptmalloc->diagnostics, "mp-missing", PM_SEVERITY_NOTE, PM_ADDR_NONE,
                           "malloc's parameters (mp_) were not found: the number of mmapped chunks "
                           "cannot be checked against glibc's own count");
}

/* The first five words of struct malloc_par are the same since 2.10. */
gboolean
pm_ptmalloc_get_settings(const PmPtmalloc *ptmalloc, PmMallocSettings *ret_settings)
{
    const guint64 word = ptmalloc->word_bytes;
    PmMallocSettings settings;
    guint64 fixed = 0;
    /* n_mmaps, n_mmaps_max, max_n_mmaps, no_dyn_threshold: four ints. */
    if (ptmalloc->par == NULL ||
        !pm_ptmalloc_read_par(ptmalloc, 0, word, &settings.trim_threshold_bytes) ||
        !pm_ptmalloc_read_par(ptmalloc, (guint)word, word, &settings.top_pad_bytes) ||
        !pm_ptmalloc_read_par(ptmalloc, 2 * (guint)word, word, &settings.mmap_threshold_bytes) ||
        !pm_ptmalloc_read_par(ptmalloc, 4 * (guint)word, word, &settings.arena_max) ||
        !pm_ptmalloc_read_par(ptmalloc, ptmalloc->par->n_mmaps + 12, 4, &fixed))
        return FALSE;
    settings.fixed = fixed != 0;
    *ret_settings = settings;
    return TRUE;
}
