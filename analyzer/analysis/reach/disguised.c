/*
 * Addresses in disguise; see disguised.h.
 */
#include "analysis/reach/disguised.h"

#include "analysis/reach/reach-private.h"

/* The bits of an address of a 64-bit process, and those below malloc's alignment, where flags
 * stand. */
#define ADDRESS_BITS 48
#define ADDRESS_MASK ((G_GUINT64_CONSTANT(1) << ADDRESS_BITS) - 1)
#define FLAG_BITS    G_GUINT64_CONSTANT(15)

#define WORD_BYTES 8
#define PAGE_BYTES 4096

typedef struct {
    const PmReach *reach;
    PmReader reader;
    PmResolverFilter filter;
    PmDisguised *sought;
    gsize count;
    guint64 budget_bytes;
} Search;

/* The last of the sought at or below @address, or NULL. */
static PmDisguised *
find_below(const Search *search, PmAddr address)
{
    gsize low = 0, high = search->count;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (search->sought[middle].user <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? &search->sought[low - 1] : NULL;
}

static void
note(PmDisguised *found, PmDisguise disguise, PmAddr at)
{
    if (found->disguise != PM_DISGUISE_NONE)
        return;
    found->disguise = disguise;
    found->at = at;
}

/* Whether @address, in a chunk or the header of one, is of a chunk in use that is not lost. */
static gboolean
is_live(const Search *search, PmAddr address)
{
    PmChunk chunk;
    if (!pm_heap_find_chunk(search->reach->heap, address, &chunk, NULL))
        return FALSE;
    if (chunk.state == PM_CHUNK_RUNTIME)
        return TRUE;
    return chunk.state == PM_CHUNK_USED &&
           !pm_reach_class_is_lost(pm_reach_get_class(search->reach, &chunk));
}

static void
ask_start(const Search *search, guint64 value, PmDisguise disguise, PmAddr at)
{
    PmDisguised *found = find_below(search, value);
    if (found != NULL && found->user == value)
        note(found, disguise, at);
}

/* The word between the user data of a chunk and that of the next: it may speak of either. At the
 * end of a page another mapping may begin, which it then speaks of. */
static void
ask_beside(const Search *search, guint64 value, PmAddr at)
{
    PmDisguised *found = find_below(search, value + WORD_BYTES);
    if (found == NULL || value % PAGE_BYTES == 0)
        return;
    const gboolean is_before = found->user == value + WORD_BYTES && !is_live(search, value - 1);
    const gboolean is_end = found->user + found->usable_bytes == value && !is_live(search, value);
    if (is_before || is_end)
        note(found, PM_DISGUISE_BESIDE, at);
}

static inline __attribute__((always_inline)) void
ask_word(const Search *search, guint64 value, PmAddr at)
{
    const PmResolverFilter *filter = &search->filter;
    if (value >> ADDRESS_BITS == 0) {
        if (pm_resolver_may_hold(filter, value))
            ask_beside(search, value, at);
        return;
    }
    const guint64 low = value & ADDRESS_MASK & ~FLAG_BITS;
    if (pm_resolver_may_hold(filter, low))
        ask_start(search, low, PM_DISGUISE_TAGGED, at);
    const guint64 high = (value >> (64 - ADDRESS_BITS)) & ~FLAG_BITS;
    if (pm_resolver_may_hold(filter, high))
        ask_start(search, high, PM_DISGUISE_SHIFTED, at);
}

/* The words of @run and those that begin between them. */
static void
search_run(const Search *search, const PmRun *run)
{
    const guint64 words = run->count / WORD_BYTES;
    for (guint64 first = 0; first < words; first += PM_REACH_GROUP) {
        const guint64 end = MIN(words, first + PM_REACH_GROUP);
        if (pm_reach_is_small(run->bytes + first * WORD_BYTES, end - first, WORD_BYTES,
                              search->filter.low))
            continue;
        for (guint64 at = first * WORD_BYTES; at < end * WORD_BYTES; at += WORD_BYTES) {
            ask_word(search, pm_load_u64(run->bytes + at), run->at + at);
            for (guint64 k = at + 1; k < at + WORD_BYTES && k + WORD_BYTES <= run->count; k++) {
                const guint64 value = pm_load_u64(run->bytes + k);
                if (pm_resolver_may_hold(&search->filter, value))
                    ask_start(search, value, PM_DISGUISE_UNALIGNED, run->at + k);
            }
        }
    }
}

/* As much of @range as the budget allows. */
static void
search_range(Search *search, PmRange range)
{
    PmAddr at = pm_align_up(range.start, WORD_BYTES);
    while (at < range.end && search->budget_bytes > 0) {
        guint64 length = 0;
        const guint8 *bytes = pm_reader_get(&search->reader, at, &length);
        length = MIN(length, range.end - at);
        if (bytes != NULL) {
            const PmRun run = {bytes, MIN(length, search->budget_bytes), at};
            search_run(search, &run);
            search->budget_bytes -= run.count;
        }
        const PmAddr next = pm_align_up(at + length, WORD_BYTES);
        if (next <= at) /* at the top of the address space */
            return;
        at = next;
    }
}

static void
search_roots(Search *search)
{
    gsize count = 0;
    const PmRoot *roots = pm_roots_get(search->reach->roots, &count);
    for (gsize i = 0; i < count; i++) {
        const PmRun registers = {roots[i].bytes, roots[i].byte_count, 0};
        if (roots[i].kind == PM_ROOT_REGISTERS)
            search_run(search, &registers);
        else
            search_range(search, roots[i].range);
    }
}

static guint64
count_live_bytes(const PmReach *reach)
{
    guint64 bytes = 0;
    for (guint i = 0; i < PM_REACH_CLASSES; i++)
        if (!pm_reach_class_is_lost(i))
            bytes += reach->result.classes[i].chunk_bytes;
    return bytes;
}

/* The live chunks, or every n-th where they are more than the budget. glibc's own hold no addresses
 * of the program's. */
static void
search_chunks(Search *search)
{
    const PmReach *reach = search->reach;
    const guint64 live_bytes = count_live_bytes(reach);
    const guint64 step = live_bytes / MAX(search->budget_bytes, 1) + 1;
    guint64 number = 0;
    for (guint32 region = 0; region < reach->region_count; region++) {
        guint64 words = 0;
        const PmSlot first = pm_resolver_get_sweep(reach->resolver, region, &words);
        for (guint64 i = 0; i < words && search->budget_bytes > 0; i++) {
            const guint64 starts = pm_resolver_get_used_starts(reach->resolver, region, i);
            guint64 bits =
                starts == 0 ? 0 : pm_reach_match(reach, region, i, starts, PM_REACH_LIVE);
            for (; bits != 0; bits &= bits - 1) {
                const PmSlot slot = first + i * 64 + (guint64)__builtin_ctzll(bits);
                PmSlotChunk chunk;
                if (number++ % step != 0)
                    continue;
                pm_resolver_get_chunk(reach->resolver, slot, region, &chunk);
                search_range(search, pm_slot_chunk_range(&chunk));
            }
        }
    }
}

void
pm_disguised_find(const PmReach *reach, PmDisguised *sought, gsize count)
{
    Search search = {.reach = reach,
                     .reader = {.space = reach->space},
                     .filter = pm_resolver_get_filter(reach->resolver),
                     .sought = sought,
                     .count = count,
                     .budget_bytes = PM_DISGUISED_BYTES_MAX};
    for (gsize i = 0; i < count; i++)
        sought[i].disguise = PM_DISGUISE_NONE;
    if (count == 0 || reach->word_bytes != WORD_BYTES)
        return;
    search_roots(&search);
    search_chunks(&search);
}
