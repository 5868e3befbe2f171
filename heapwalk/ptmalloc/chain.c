/*
 * Is there a heap here? A chain of chunk headers that leads somewhere is evidence; one header is
 * not.
 */
#include "ptmalloc/chunk.h"
#include "ptmalloc/walk.h"

/* A window on the bytes around the last read, so that a chain costs no look-up per chunk. */
typedef struct {
    const PmWalk *walk;
    PmSpan span;
    guint64 budget; /* headers that may still be read */
} Chain;

/* Headers that one search, and all searches of a core, may read: long chains that end in nothing,
 * tried from each of their chunks, would take for ever. */
#define SEARCH_BUDGET ((guint64)1 << 28)
#define TOTAL_BUDGET  ((guint64)1 << 29)

/* Reads the two words at @header; FALSE where they are not in the core. */
static gboolean
read_header(Chain *chain, PmAddr header, guint64 *ret_prev_size, guint64 *ret_head)
{
    const guint64 word = chain->walk->ptmalloc->word_bytes;
    const guint64 need = 2 * word;

    if (chain->budget == 0)
        return FALSE;
    chain->budget--;
    if (chain->span.bytes == NULL || chain->span.length_bytes < need ||
        header < chain->span.start ||
        header - chain->span.start > chain->span.length_bytes - need) {
        pm_space_get_span(chain->walk->ptmalloc->space, header, &chain->span);
        if (chain->span.kind != PM_BYTES_DUMPED || chain->span.bytes == NULL ||
            chain->span.length_bytes < need) {
            chain->span.length_bytes = 0;
            return pm_read(chain->walk->ptmalloc, header, ret_prev_size) &&
                   pm_read(chain->walk->ptmalloc, header + word, ret_head);
        }
    }
    const guint8 *bytes = chain->span.bytes + (header - chain->span.start);
    *ret_prev_size = pm_load_word(bytes, word);
    *ret_head = pm_load_word(bytes + word, word);
    return TRUE;
}

/* Whether @header closes the stretch: a double fencepost of a main segment, or the closing head of
 * a thread heap. */
static gboolean
is_closing(Chain *chain, PmAddr header, guint64 head)
{
    const PmWalk *walk = chain->walk;
    const guint64 word = walk->ptmalloc->word_bytes;
    guint64 prev_size = 0, second = 0;
    if (walk->kind == PM_WALK_THREAD)
        return header + 2 * word == pm_walk_get_closing_end(walk) && pm_head_bytes(head) == 0;
    return pm_head_bytes(head) == 2 * word &&
           read_header(chain, header + 2 * word, &prev_size, &second) &&
           second == (2 * word | PM_PREV_INUSE);
}

/* Follows the chain from @header. */
static gboolean
chain_holds(Chain *chain, PmAddr header, const PmChainSearch *search)
{
    const PmWalk *walk = chain->walk;
    guint64 previous_bytes = 0;

    for (guint i = 0; search->first || i < search->steps; i++) {
        guint64 prev_size = 0, head = 0;
        if (!read_header(chain, header, &prev_size, &head))
            return FALSE;
        if (i > 0 && !(head & PM_PREV_INUSE) && prev_size != previous_bytes)
            return FALSE;
        if (i == 0 && search->first && (head & PM_FLAGS) != PM_PREV_INUSE)
            return FALSE;
        if (header == walk->top)
            return TRUE;
        if (i > 0 && is_closing(chain, header, head))
            return TRUE;
        previous_bytes = pm_head_bytes(head);
        if (!pm_head_is_possible(walk->ptmalloc, walk->kind == PM_WALK_MAIN, head) ||
            previous_bytes > walk->limit - header)
            return FALSE;
        header += previous_bytes;
        if (header >= walk->limit)
            return FALSE;
    }
    return TRUE;
}

static PmAddr
find_chain(Chain *chain, const PmChainSearch *search)
{
    const PmWalk *walk = chain->walk;
    const PmAddr to = MIN(search->to, walk->limit);

    for (PmAddr at = search->from; at < to && chain->budget > 0;) {
        PmSpan span;
        pm_space_get_span(walk->ptmalloc->space, at, &span);
        if (span.kind != PM_BYTES_DUMPED || span.hole) {
            /* Nothing begins in a hole: go on at its end, in step. */
            const guint64 skipped = pm_align_up(MAX(span.length_bytes, 1), search->step);
            if (!pm_addr_add(at, skipped, &at))
                return PM_ADDR_NONE;
            continue;
        }
        const PmAddr span_end = MIN(to, at + span.length_bytes);
        for (; at < span_end && chain->budget > 0; at += search->step)
            if (chain_holds(chain, at, search))
                return at;
    }
    return PM_ADDR_NONE;
}

PmAddr
pm_walk_find_chain(const PmWalk *walk, const PmChainSearch *search)
{
    guint64 *searched = &walk->ptmalloc->searched_headers;
    const guint64 before = __atomic_load_n(searched, __ATOMIC_RELAXED);
    const guint64 budget = before < TOTAL_BUDGET ? MIN(TOTAL_BUDGET - before, SEARCH_BUDGET) : 0;
    Chain chain = {.walk = walk, .budget = budget};
    const PmAddr found = find_chain(&chain, search);
    __atomic_fetch_add(searched, budget - chain.budget, __ATOMIC_RELAXED);
    return found;
}
