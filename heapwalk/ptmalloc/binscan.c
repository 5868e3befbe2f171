#include "ptmalloc/binscan.h"

#include "ptmalloc/layout.h"

/* A damaged heap may have a few broken bins; a shifted near-duplicate of a good array was seen with
 * six. */
#define BAD_MAX 16
/* A truncated core may lack most chunks that bins point to, but large bins and bin 127 stay empty.
 */
#define EMPTY_MIN 16

gboolean
pm_binscan_check(const PmSpace *space, PmAddr bins, PmBinHit *ret_hit)
{
    const guint64 word = pm_space_get_target(space)->word_bytes;
    PmBinHit hit = {.bins = bins};

    for (guint i = 0; i < PM_BINS; i++) {
        const PmAddr slot = bins + (PmAddr)i * 2 * word;
        const PmAddr bin = slot - 2 * word;
        guint64 fd = 0, bk = 0, fd_bk = 0, bk_fd = 0;
        if (!pm_space_read_word(space, slot, &fd) || !pm_space_read_word(space, slot + word, &bk))
            return FALSE;
        if (fd == bin && bk == bin) {
            hit.empty++;
            continue;
        }
        if (fd == bin || bk == bin || fd % word != 0 || bk % word != 0) {
            hit.bad++;
            continue;
        }
        if (!pm_space_read_word(space, fd + 3 * word, &fd_bk) ||
            !pm_space_read_word(space, bk + 2 * word, &bk_fd))
            hit.unknown++;
        else if (fd_bk == bin && bk_fd == bin)
            hit.linked++;
        else
            hit.bad++;
    }
    *ret_hit = hit;
    return TRUE;
}

gboolean
pm_binscan_is_plausible(const PmBinHit *hit)
{
    return hit->bad <= BAD_MAX && hit->empty >= EMPTY_MIN;
}

gboolean
pm_binscan_is_possible(const PmBinHit *hit)
{
    return hit->bad <= BAD_MAX && hit->empty + hit->linked >= EMPTY_MIN;
}

/* Looks at the run of empty bins that ends at @slot: its last one may be bin 127. */
static void
check_run_end(const PmSpace *space, PmAddr slot, GArray *hits)
{
    const guint64 word = pm_space_get_target(space)->word_bytes;
    const guint64 before = (guint64)(PM_BINS - 1) * 2 * word;
    PmBinHit hit;
    if (slot < before)
        return;
    if (pm_binscan_check(space, slot - before, &hit) && pm_binscan_is_plausible(&hit))
        g_array_append_val(hits, hit);
}

/* Finds the ends of runs of empty list heads in @span, which holds real bytes. */
static inline __attribute__((always_inline)) void
scan_span(const PmSpace *space, const PmSpan *span, guint64 word, GArray *hits)
{
    /* Where the last empty bin was; it ends a run when the next slot is not empty. */
    PmAddr open = PM_ADDR_NONE;
    const guint64 skew = (word - span->start % word) % word;

    for (guint64 offset = skew; offset + 2 * word <= span->length_bytes; offset += word) {
        const PmAddr slot = span->start + offset;
        const guint64 fd = pm_load_word(span->bytes + offset, word);
        if (G_LIKELY(fd + 2 * word != slot))
            continue;
        if (pm_load_word(span->bytes + offset + word, word) != fd)
            continue;
        if (open != PM_ADDR_NONE && slot != open + 2 * word)
            check_run_end(space, open, hits);
        open = slot;
    }
    if (open != PM_ADDR_NONE)
        check_run_end(space, open, hits);
}

void
pm_binscan_range(const PmSpace *space, PmRange range, GArray *hits)
{
    PmAddr address = range.start;
    while (address < range.end) {
        PmSpan span;
        pm_space_get_span(space, address, &span);
        span.length_bytes = MIN(span.length_bytes, range.end - address);
        if (span.kind == PM_BYTES_DUMPED && span.bytes != NULL) {
            if (pm_space_get_target(space)->word_bytes == 8)
                scan_span(space, &span, 8, hits);
            else
                scan_span(space, &span, 4, hits);
        }
        address += span.length_bytes;
    }
}

static gint
compare_hits(gconstpointer a, gconstpointer b)
{
    const PmBinHit *left = a;
    const PmBinHit *right = b;
    return left->bins < right->bins ? -1 : left->bins > right->bins;
}

/* How far a hit is from a perfect one. A window that is shifted by some bins shows other words as
 * bins; they are bad, or lead nowhere. */
static guint
count_doubtful(const PmBinHit *hit)
{
    return hit->bad + hit->unknown;
}

void
pm_binscan_reduce(const PmSpace *space, GArray *hits)
{
    const guint64 bins_bytes = (guint64)PM_BINS * 2 * pm_space_get_target(space)->word_bytes;
    PmBinHit *all = (PmBinHit *)(gpointer)hits->data;
    guint kept = 0;

    g_array_sort(hits, compare_hits);
    for (guint i = 0; i < hits->len; i++) {
        if (kept > 0 && all[i].bins - all[kept - 1].bins < bins_bytes) {
            if (count_doubtful(&all[i]) < count_doubtful(&all[kept - 1]))
                all[kept - 1] = all[i];
            continue;
        }
        all[kept++] = all[i];
    }
    g_array_set_size(hits, kept);
}
