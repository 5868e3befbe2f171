/*
 * What the files of the reachability scan share: the bit planes, and how words are read.
 */
#pragma once

#include "analysis/reach/reach.h"
#include "heap/resolver.h"
#include "image/reader.h"

/*
 * Every chunk has two bits in each plane, at its first slot and at the one behind it:
 *
 *   plane     first bit                            second bit
 *   visited   reached from a root, or no node      only words on stacks lead there
 *   flags     an interior edge leads there;        reached through an interior edge;
 *             of a lost chunk: a lost one does     of a lost chunk: it leads to a lost one
 *   grey      still to be scanned;                 reached from weak roots alone
 *             of a lost chunk: it hangs on others
 */
typedef struct PmCycles PmCycles;

struct PmReach {
    const PmSubject *subject;
    const PmSpace *space;
    const PmHeap *heap;
    PmResolver *resolver;
    PmRoots *roots;
    guint jobs;
    guint word_bytes;
    gsize region_count;
    guint64 *visited;
    guint64 *flags;
    guint64 *grey;
    gboolean guard_known;
    guint64 guard;
    gboolean lost_edges; /* some lost chunk refers to another */
    PmCycles *cycles;    /* among lost chunks; NULL without such edges */
    PmReachResult result;
    GArray *groups; /* PmLostGroup */
    GArray *sizes;  /* PmLostSize */
};

static inline gboolean
pm_plane_get(const guint64 *plane, PmSlot slot)
{
    return ((__atomic_load_n(&plane[slot >> 6], __ATOMIC_RELAXED) >> (slot & 63)) & 1) != 0;
}

/* Sets a bit. Returns: whether it was set before. */
static inline gboolean
pm_plane_set(guint64 *plane, PmSlot slot)
{
    const guint64 bit = (guint64)1 << (slot & 63);
    return (__atomic_fetch_or(&plane[slot >> 6], bit, __ATOMIC_RELAXED) & bit) != 0;
}

/* Clears a bit. Returns: whether it was set before. */
static inline gboolean
pm_plane_clear(guint64 *plane, PmSlot slot)
{
    const guint64 bit = (guint64)1 << (slot & 63);
    return (__atomic_fetch_and(&plane[slot >> 6], ~bit, __ATOMIC_RELAXED) & bit) != 0;
}

/* What a scan does with a word that may point into a heap: @at is where it stands, @value what it
 * points to (demangled where it was stored mangled). */
typedef void (*PmWordVisitor)(gpointer data, PmAddr at, guint64 value);

/* Bytes to be scanned. @at: where they stand in the process, or their offset in a note. */
typedef struct {
    const guint8 *bytes;
    guint64 count;
    PmAddr at;
} PmRun;

/* Shows what @value stands for, were it mangled, to @visit. */
static inline __attribute__((always_inline)) void
pm_reach_visit_plain(const PmReach *reach, const PmResolverFilter *filter, guint64 value, PmAddr at,
                     PmWordVisitor visit, gpointer data)
{
    const guint64 plain = pm_roots_demangle(value, reach->guard);
    if (pm_resolver_may_hold(filter, plain))
        visit(data, at, plain);
}

/* Words that are looked at together. */
#define PM_REACH_GROUP 8

/*
 * Whether no word of the group is as large as the lowest heap address: none points anywhere, plain
 * or mangled. Of the words of most data, small numbers and zeros, that is true, and costs one
 * comparison for all of them.
 */
static inline __attribute__((always_inline)) gboolean
pm_reach_is_small(const guint8 *bytes, guint64 words, guint64 word_bytes, PmAddr low)
{
    guint64 all = 0;
    for (guint64 i = 0; i < words; i++)
        all |= pm_load_word(bytes + i * word_bytes, word_bytes);
    return all < low;
}

/* Shows every word of @run that may point into a heap to @visit. */
static inline __attribute__((always_inline)) void
pm_reach_scan_bytes(const PmReach *reach, const PmResolverFilter *filter, const PmRun *run,
                    PmWordVisitor visit, gpointer data)
{
    const guint64 word_bytes = reach->word_bytes;
    const guint64 words = run->count / word_bytes;
    for (guint64 first = 0; first < words; first += PM_REACH_GROUP) {
        const guint64 end = MIN(words, first + PM_REACH_GROUP);
        if (pm_reach_is_small(run->bytes + first * word_bytes, end - first, word_bytes,
                              filter->low))
            continue;
        for (guint64 i = first; i < end; i++) {
            const guint64 value = pm_load_word(run->bytes + i * word_bytes, word_bytes);
            if (pm_resolver_may_hold(filter, value))
                visit(data, run->at + i * word_bytes, value);
            /* A mangled pointer looks random: its upper bits are set. (glibc, PTR_MANGLE) */
            if (value >> 48 != 0 && reach->guard_known)
                pm_reach_visit_plain(reach, filter, value, run->at + i * word_bytes, visit, data);
        }
    }
}

/* The same for target memory. */
static inline __attribute__((always_inline)) void
pm_reach_scan_range(const PmReach *reach, const PmResolverFilter *filter, PmReader *reader,
                    PmRange range, PmWordVisitor visit, gpointer data)
{
    PmAddr at = pm_align_up(range.start, reach->word_bytes);
    while (at < range.end) {
        guint64 length = 0;
        const guint8 *bytes = pm_reader_get(reader, at, &length);
        length = MIN(length, range.end - at);
        const PmRun run = {bytes, length, at};
        if (bytes != NULL)
            pm_reach_scan_bytes(reach, filter, &run, visit, data);
        const PmAddr next = pm_align_up(at + length, reach->word_bytes);
        if (next <= at) /* at the top of the address space */
            return;
        at = next;
    }
}

/* A chunk of glibc's own that refers to nothing: a tcache struct only leads to free chunks, and
 * what threads left behind is read no more. */
static inline gboolean
pm_reach_is_mute(const PmRuntimeChunk *chunk)
{
    return chunk->kind == PM_RUNTIME_TCACHE || chunk->dead;
}

/* The user data of a chunk. */
static inline PmRange
pm_slot_chunk_range(const PmSlotChunk *chunk)
{
    return (PmRange){chunk->user, chunk->user + chunk->usable_bytes};
}

/* mark.c: the closures from the roots. */
void pm_reach_mark(PmReach *reach);

/* lost.c: which lost chunk refers to which, and what hangs on what; then all counts. */
void pm_reach_classify_lost(PmReach *reach);

/* The class of the used chunk that starts at @slot, glibc's own among them. */
PmReachClass pm_reach_get_slot_class(const PmReach *reach, PmSlot slot);

/*
 * heuristics.c: whether a pointer to the interior of a chunk is how C++ refers to the whole of it:
 * the data of a std::string, the elements behind a new[] cookie, a second base class.
 */
gboolean pm_reach_is_whole(const PmReach *reach, PmReader *reader, const PmHit *hit, guint64 value);
