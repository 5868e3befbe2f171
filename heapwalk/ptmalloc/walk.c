#include "ptmalloc/walk.h"

#include <string.h>

#include "ptmalloc/chunk.h"

/* After so many damaged places in one heap no more are told one by one. */
#define DAMAGES_MAX 10000
/* A chain of so many chunks behind damage is taken for the heap's own. */
#define RESUME_STEPS 16
/* What malloc_trim counts in: the page size of every architecture that is walked here. */
#define PAGE 4096

/*
 * @header: the next chunk to look at. @previous_bytes, @previous_head: of the chunk that ends
 * there, 0 behind a gap.
 * @stop: no chunk reaches past it: top, where that lies ahead, or the limit.
 */
typedef struct {
    const PmWalk *walk;
    PmPtmalloc *ptmalloc;
    PmWalkCounts *counts;
    PmRegionBuilder *region;
    PmSpan span;
    PmAddr header;
    PmAddr stop;
    guint64 previous_bytes;
    guint64 previous_head;
    guint64 bad_bits;
    guint64 min_bytes;
    guint64 word;
    guint damages;
    gboolean done;
} Walker;

static guint64
granule_of(const Walker *walker, PmAddr header)
{
    return (header - walker->region->base) >> walker->region->shift;
}

/* Tiles [header, header + bytes) with a gap that counts as @overhead, and steps behind it. */
static void
put_gap(Walker *walker, guint64 bytes, PmOverhead overhead)
{
    if (bytes == 0)
        return;
    pm_region_put_special(walker->region, granule_of(walker, walker->header), bytes,
                          PM_SPECIAL_GAP);
    if (overhead == PM_OVERHEAD_FOREIGN_SBRK)
        g_array_append_val(walker->counts->foreign_gaps, bytes);
    else
        walker->counts->overhead[overhead] += bytes;
    walker->header += bytes;
    walker->previous_bytes = 0;
}

/* Whether the chunk at @chunk is on a list of a bin: its neighbours there point back to it. */
static gboolean
is_linked(const Walker *walker, PmAddr chunk)
{
    const PmPtmalloc *ptmalloc = walker->ptmalloc;
    const guint64 word = walker->word;
    guint64 fd = 0, bk = 0, back = 0;
    return pm_read(ptmalloc, chunk + 2 * word, &fd) && pm_read(ptmalloc, chunk + 3 * word, &bk) &&
           ((pm_read(ptmalloc, fd + 3 * word, &back) && back == chunk) ||
            (pm_read(ptmalloc, bk + 2 * word, &back) && back == chunk));
}

/* A violation at header that an operation on the chunk before it may explain as well. */
static void
report_border(const Walker *walker, const char *code, const char *text)
{
    PmPtmalloc *ptmalloc = walker->ptmalloc;
    const PmAddr user = walker->header + 2 * walker->word;
    g_autofree char *who = NULL;
    if (walker->previous_bytes != 0)
        who = pm_in_flight_explain(ptmalloc->in_flight, walker->walk->build, code,
                                   user - walker->previous_bytes);
    if (who != NULL)
        pm_ptmalloc_note_in_flight(ptmalloc, walker->walk->build, user, text, who);
    else
        pm_ptmalloc_violation(ptmalloc, walker->walk->build, code, user, "%s", text);
}

/*
 * The chunk that ends at header is free in a bin: the one behind it says so. Where prev_size does
 * not agree, the bin's list decides: a write of one byte past the end clears the flag of the next
 * chunk, and leaves the one before it in use.
 */
static void
note_previous_free(Walker *walker, guint64 prev_size)
{
    const guint64 bytes = walker->previous_bytes;
    if (bytes == 0)
        return;
    const PmAddr previous = walker->header - bytes;
    const guint64 granule = granule_of(walker, previous);
    if (prev_size != bytes) {
        const gboolean is_free = is_linked(walker, previous);
        g_autofree char *text = g_strdup_printf(
            is_free ? "the chunk before it is free and has 0x%" G_GINT64_MODIFIER
                      "x bytes, but prev_size says 0x%" G_GINT64_MODIFIER "x"
                    : "its flags say that the chunk before it (0x%" G_GINT64_MODIFIER
                      "x bytes) is free, but that is on no list, and prev_size "
                      "says 0x%" G_GINT64_MODIFIER "x: taken for one in use",
            bytes, prev_size);
        report_border(walker, "prev-size", text);
        if (!is_free)
            return;
    }
    walker->region->states[granule >> 6] |= (guint64)1 << (granule & 63);
    if (bytes < PM_WALK_SMALL_BYTES) {
        walker->counts->bins[bytes >> walker->region->shift]++;
    } else {
        PmSizeCount *count = pm_size_table_get(walker->counts->large, bytes);
        count->chunks[PM_CHUNK_USED]--;
        count->chunks[PM_CHUNK_BIN]++;
    }
}

static void
note_wrong_arena(Walker *walker)
{
    const PmAddr previous = walker->header - walker->previous_bytes;
    pm_ptmalloc_violation(walker->ptmalloc, walker->walk->build, "arena-flag",
                          previous + 2 * walker->word,
                          "a chunk in use in a thread arena without the flag for one; its size "
                          "field is 0x%" G_GINT64_MODIFIER "x",
                          walker->previous_head);
}

/* Takes the chunk at header, whose words are given. FALSE where it is anything but an ordinary
 * chunk. */
static inline __attribute__((always_inline)) gboolean
accept_chunk(Walker *walker, const guint8 *prev_size, guint64 head, guint64 word)
{
    const guint64 bytes = pm_head_bytes(head);
    if (G_UNLIKELY((head & walker->bad_bits) != 0 || bytes < walker->min_bytes ||
                   bytes > walker->stop - walker->header))
        return FALSE;
    if (G_UNLIKELY(!(head & PM_PREV_INUSE)))
        note_previous_free(walker, pm_load_word(prev_size, word));
    else if (G_UNLIKELY(walker->walk->kind == PM_WALK_THREAD && walker->previous_bytes != 0 &&
                        !(walker->previous_head & PM_NON_MAIN_ARENA)))
        note_wrong_arena(walker);
    pm_region_put(walker->region, granule_of(walker, walker->header), bytes);
    if (G_LIKELY(bytes < PM_WALK_SMALL_BYTES))
        walker->counts->all[bytes >> walker->region->shift]++;
    else
        pm_size_table_get(walker->counts->large, bytes)->chunks[PM_CHUNK_USED]++;
    walker->previous_bytes = bytes;
    walker->previous_head = head;
    walker->header += bytes;
    return TRUE;
}

/*
 * Takes the chunks from header on whose size field is the same as the last one's, which was found
 * good: in heaps of millions of equal chunks nearly all. The next address then depends on no load,
 * the bits of a plane's word are gathered before they are stored, and the count is added once.
 */
static inline __attribute__((always_inline)) void
run_equal_chunks(Walker *walker, const guint8 *bytes, guint64 room, guint64 word)
{
    const guint64 head = walker->previous_head;
    const guint64 chunk_bytes = walker->previous_bytes;
    const guint shift = walker->region->shift;
    guint64 *starts = walker->region->starts;
    guint64 granule = granule_of(walker, walker->header);
    guint64 index = granule >> 6;
    guint64 bits = 0;
    guint64 offset = 0;
    guint64 chunks = 0;

    while (offset <= room && pm_load_word(bytes + offset + word, word) == head) {
        if (granule >> 6 != index) {
            starts[index] |= bits;
            index = granule >> 6;
            bits = 0;
        }
        bits |= (guint64)1 << (granule & 63);
        granule += chunk_bytes >> shift;
        offset += chunk_bytes;
        chunks++;
    }
    starts[index] |= bits;
    walker->counts->all[chunk_bytes >> shift] += chunks;
    walker->header += offset;
}

/* Goes on while chunks are ordinary and in the window. */
static inline __attribute__((always_inline)) void
run_window(Walker *walker, guint64 word)
{
    const PmSpan span = walker->span;
    const guint64 need = 2 * word;
    if (span.bytes == NULL || span.length_bytes < need)
        return;
    const guint64 last = MIN(span.length_bytes - need, walker->stop - 1 - span.start);
    while (walker->header - span.start <= last && walker->header < walker->stop) {
        const guint8 *bytes = span.bytes + (walker->header - span.start);
        const guint64 head = pm_load_word(bytes + word, word);
        const guint64 previous_head = walker->previous_head;
        if (!accept_chunk(walker, bytes, head, word))
            return;
        /* Two alike, in use: there may be many. The last one must not reach past the stop. */
        const guint64 offset = walker->header - span.start;
        if (head == previous_head && (head & PM_PREV_INUSE) &&
            walker->previous_bytes < PM_WALK_SMALL_BYTES && offset <= last &&
            walker->stop - walker->header >= walker->previous_bytes)
            run_equal_chunks(
                walker, span.bytes + offset,
                MIN(last - offset, walker->stop - walker->header - walker->previous_bytes), word);
    }
}

/* Where the walk can go on behind something that cannot be read or understood. */
static PmAddr
find_resume(Walker *walker, PmAddr from)
{
    const PmChainSearch search = {
        .from = from,
        .to = walker->stop,
        .step = walker->ptmalloc->layout->alignment,
        .steps = RESUME_STEPS,
    };
    const PmAddr found = pm_walk_find_chain(walker->walk, &search);
    walker->damages++;
    return found != PM_ADDR_NONE ? found : walker->stop;
}

static void
skip_unreadable(Walker *walker)
{
    /* Where top itself cannot be read, the rest of the heap goes with it. */
    const PmAddr resume = walker->header < walker->stop
                              ? find_resume(walker, walker->header + 2 * walker->word)
                              : walker->walk->limit;
    const guint64 bytes = resume - walker->header;
    /* The flag of the last chunk before it is not in the core. Free chunks of a thread arena lack
     * NON_MAIN_ARENA, others are on a list. */
    const gboolean lacks_arena =
        walker->walk->kind == PM_WALK_THREAD && !(walker->previous_head & PM_NON_MAIN_ARENA);
    if (walker->previous_bytes != 0 &&
        (lacks_arena || is_linked(walker, walker->header - walker->previous_bytes)))
        note_previous_free(walker, walker->previous_bytes);
    if (walker->damages <= DAMAGES_MAX)
        pm_diagnostics_add_arena(walker->ptmalloc->diagnostics, "heap-unread", PM_SEVERITY_WARNING,
                                 walker->walk->build->arena.address, walker->header,
                                 "%" G_GUINT64_FORMAT
                                 " bytes of a heap are not in the core or begin "
                                 "with no chunk header that is; the walk goes on behind them",
                                 bytes);
    put_gap(walker, bytes, PM_OVERHEAD_UNREAD);
}

/* "41 41 41 … AAAA": what overran a header. */
static char *
describe_bytes(const guint8 *bytes, gsize count)
{
    GString *text = g_string_new(NULL);
    for (gsize i = 0; i < count; i++)
        g_string_append_printf(text, "%02x ", bytes[i]);
    g_string_append_c(text, '"');
    for (gsize i = 0; i < count; i++)
        g_string_append_c(text, g_ascii_isprint((char)bytes[i]) ? (char)bytes[i] : '.');
    g_string_append_c(text, '"');
    return g_string_free(text, FALSE);
}

static void
skip_damage(Walker *walker, const guint8 *header_bytes)
{
    const PmAddr at = walker->header;
    const guint64 previous_bytes = walker->previous_bytes;
    const PmAddr resume = find_resume(walker, at + walker->ptmalloc->layout->alignment);
    put_gap(walker, resume - at, PM_OVERHEAD_DAMAGED);
    if (walker->damages > DAMAGES_MAX)
        return;
    g_autofree char *bytes = describe_bytes(header_bytes, 2 * walker->word);
    g_autofree char *before = NULL;
    if (previous_bytes != 0)
        before =
            g_strdup_printf("the chunk before it, 0x%" G_GINT64_MODIFIER "x (0x%" G_GINT64_MODIFIER
                            "x bytes), was probably written past its end, or has a wrong "
                            "size itself",
                            at - previous_bytes + 2 * walker->word, previous_bytes);
    pm_ptmalloc_violation(
        walker->ptmalloc, walker->walk->build, "chunk-size", at + 2 * walker->word,
        "no chunk can have this header: %s; %s; %" G_GUINT64_FORMAT
        " bytes skipped to the next plausible chunk",
        bytes, before != NULL ? before : "what lies before it was skipped too", resume - at);
}

/* Top, at header. */
static void
take_top(Walker *walker, guint64 prev_size, guint64 head)
{
    const PmWalk *walk = walker->walk;
    const PmArena *arena = &walk->build->arena;
    const guint64 room = walk->limit - walker->header;
    guint64 bytes = pm_head_bytes(head);

    if (!(head & PM_PREV_INUSE))
        note_previous_free(walker, prev_size);
    const gboolean wrong_end = walk->exact_limit && bytes != room;
    if (bytes > room || bytes > arena->system_bytes || bytes < 2 * walker->word || wrong_end) {
        pm_ptmalloc_violation(walker->ptmalloc, walk->build, "top-size",
                              walker->header + 2 * walker->word,
                              "top says it has 0x%" G_GINT64_MODIFIER
                              "x bytes; the heap has room for 0x%" G_GINT64_MODIFIER "x",
                              bytes, room);
        bytes = room;
    }
    bytes = pm_align_down(bytes, walker->min_bytes / 2);
    if (bytes > 0) {
        pm_region_put_special(walker->region, granule_of(walker, walker->header), bytes,
                              PM_SPECIAL_TOP);
        pm_size_table_get(walker->counts->large, bytes)->chunks[PM_CHUNK_TOP]++;
    }
    walker->header += bytes;
    walker->done = TRUE;
}

/*
 * The end of a thread heap that is not the last: a head of size 0 in its last two words, before it
 * a fencepost of two words, or the remainder of the old top as a head of four words without
 * NON_MAIN_ARENA, which no chunk in use lacks. (arena.c and malloc.c, sysmalloc)
 */
static gboolean
take_thread_closing(Walker *walker, guint64 prev_size, guint64 head)
{
    const guint64 unit = 2 * walker->word;
    const PmAddr closing_end = pm_walk_get_closing_end(walker->walk);
    const PmAddr left = closing_end - walker->header;
    const guint64 bytes = pm_head_bytes(head);

    if (walker->walk->kind != PM_WALK_THREAD || walker->header >= closing_end ||
        (left == unit ? bytes != 0 : bytes != unit) || left > 2 * unit)
        return FALSE;
    if (!(head & PM_PREV_INUSE)) {
        note_previous_free(walker, prev_size);
    } else if (left == unit && walker->previous_bytes == 2 * unit &&
               !(walker->previous_head & PM_NON_MAIN_ARENA)) {
        walker->counts->all[2 * unit >> walker->region->shift]--;
        walker->header -= 2 * unit;
        put_gap(walker, 2 * unit, PM_OVERHEAD_FENCEPOSTS);
    }
    put_gap(walker, unit, PM_OVERHEAD_FENCEPOSTS);
    if (walker->header == closing_end)
        put_gap(walker, walker->walk->limit - closing_end, PM_OVERHEAD_ALIGNMENT);
    return TRUE;
}

/*
 * Behind a closed segment in the brk heap: the next one, past what somebody else took by sbrk. What
 * rounding left behind the fenceposts (pm_walk_get_closing_end()) is still the segment's.
 */
static void
enter_next_segment(Walker *walker)
{
    const guint64 alignment = walker->ptmalloc->layout->alignment;
    const guint64 unit = 2 * walker->word;
    const guint64 rest = alignment - unit;
    if ((walker->header + rest) % PAGE == 0 && rest <= walker->walk->limit - walker->header)
        put_gap(walker, rest, PM_OVERHEAD_ALIGNMENT);
    const PmChainSearch search = {
        .from = pm_align_up(walker->header + unit, alignment) - unit,
        .to = walker->walk->limit,
        .step = alignment,
        .first = TRUE,
    };
    PmAddr next = PM_ADDR_NONE;
    if (walker->walk->resume)
        next = pm_walk_find_chain(walker->walk, &search);
    if (next == PM_ADDR_NONE)
        walker->done = TRUE;
    else
        put_gap(walker, next - walker->header, PM_OVERHEAD_FOREIGN_SBRK);
}

/*
 * Two or more heads of two words close a segment of a main arena (malloc.c, sysmalloc): the first
 * may have lost PREV_INUSE when the old top before it was freed, the others never do.
 */
static gboolean
take_main_fenceposts(Walker *walker, guint64 prev_size, guint64 head)
{
    const guint64 unit = 2 * walker->word;
    PmAddr at = walker->header + unit;
    guint64 next = 0;

    if (walker->walk->kind != PM_WALK_MAIN || pm_head_bytes(head) != unit ||
        (head & (PM_IS_MMAPPED | PM_NON_MAIN_ARENA)) != 0)
        return FALSE;
    while (at - walker->header < 4 * unit && at + unit <= walker->walk->limit &&
           pm_read(walker->ptmalloc, at + walker->word, &next) && next == (unit | PM_PREV_INUSE))
        at += unit;
    if (at == walker->header + unit)
        return FALSE;
    if (!(head & PM_PREV_INUSE))
        note_previous_free(walker, prev_size);
    put_gap(walker, at - walker->header, PM_OVERHEAD_FENCEPOSTS);
    enter_next_segment(walker);
    return TRUE;
}

/*
 * Puts the window over header: dumped bytes, read through the buffer.
 *
 * Returns: FALSE where the window is there already, or header lies in no run of dumped bytes that
 * holds it whole.
 */
static gboolean
move_window(Walker *walker)
{
    const guint64 need = 2 * walker->word;
    PmSpan *span = &walker->span;

    if (span->bytes != NULL && walker->header >= span->start && span->length_bytes >= need &&
        walker->header - span->start <= span->length_bytes - need)
        return FALSE;
    pm_space_get_span(walker->ptmalloc->space, walker->header, span);
    if (span->kind != PM_BYTES_DUMPED || span->bytes == NULL) {
        span->bytes = NULL;
        return FALSE;
    }
    span->length_bytes =
        pm_image_copy(pm_space_get_image(walker->ptmalloc->space), span->bytes,
                      walker->counts->buffer, MIN(span->length_bytes, PM_WALK_BUFFER_BYTES));
    span->bytes = walker->counts->buffer;
    return span->length_bytes >= need;
}

/* One step where the window does not suffice or the chunk is none. */
static void
step(Walker *walker)
{
    guint8 bytes[16];
    const guint64 word = walker->word;

    if (walker->header >= walker->walk->limit) {
        walker->done = TRUE;
        return;
    }
    if (move_window(walker))
        return;
    if (!pm_space_read(walker->ptmalloc->space, walker->header, bytes, 2 * word)) {
        skip_unreadable(walker);
        return;
    }
    const guint64 prev_size = pm_load_word(bytes, word);
    const guint64 head = pm_load_word(bytes + word, word);
    if (walker->header == walker->walk->top)
        take_top(walker, prev_size, head);
    else if (!take_thread_closing(walker, prev_size, head) &&
             !take_main_fenceposts(walker, prev_size, head) &&
             !accept_chunk(walker, bytes, head, word))
        skip_damage(walker, bytes);
}

/* Header of the last chunk that is in use or in a list of free ones. */
static PmAddr
find_pin(const PmRegionBuilder *region)
{
    for (guint64 word = (region->granules + 63) / 64; word-- > 0;) {
        const guint64 bits = region->starts[word] & ~region->states[word];
        if (bits != 0)
            return region->base +
                   ((word * 64 + 63 - (guint64)__builtin_clzll(bits)) << region->shift);
    }
    return PM_ADDR_NONE;
}

gboolean
pm_walk_run(const PmWalk *walk, PmWalkCounts *counts, PmAddr *ret_end, GError **error)
{
    const gboolean top_ahead = walk->top >= walk->start && walk->top < walk->limit;
    const guint64 word = walk->ptmalloc->word_bytes;
    Walker walker = {
        .walk = walk,
        .ptmalloc = walk->ptmalloc,
        .counts = counts,
        .header = walk->start,
        .stop = top_ahead ? walk->top : walk->limit,
        .bad_bits = pm_head_bad_bits(walk->ptmalloc, walk->kind == PM_WALK_MAIN),
        .min_bytes = pm_min_chunk_bytes(word),
        .word = word,
    };
    /* Top's size is the biggest in many heaps; nothing starts behind it. */
    const PmAddr planes_end = top_ahead ? walk->top + 2 * word : walk->limit;
    walker.region = pm_heap_builder_add_region(walk->ptmalloc->builder, walk->start, planes_end,
                                               walk->build->index, error);
    if (walker.region == NULL)
        return FALSE;
    while (!walker.done) {
        if (word == 8)
            run_window(&walker, 8);
        else
            run_window(&walker, 4);
        step(&walker);
    }
    if (walker.damages > DAMAGES_MAX)
        pm_ptmalloc_violation(walk->ptmalloc, walk->build, "chunk-size", walk->start,
                              "%u more places with damaged headers in the heap that begins here",
                              walker.damages - DAMAGES_MAX);
    pm_heap_builder_end_region(walk->ptmalloc->builder, walker.region, walker.header);
    counts->pin = find_pin(walker.region);
    pm_walk_counts_fold(counts, walk->build, walker.region->shift);
    *ret_end = walker.header;
    return TRUE;
}
