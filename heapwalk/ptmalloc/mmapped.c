/*
 * Chunks that have a mapping of their own. They stand in no list: each begins near a page start
 * with a head whose low bits are exactly IS_MMAPPED, and its mapping is whole pages of anonymous
 * memory. mp_ says how many there must be.
 */
#include "ptmalloc/chunk.h"
#include "ptmalloc/ptmalloc-private.h"

#define PAGE 4096

/* @base, @total_bytes: the mapping. @usable_bytes: by the version's form. */
typedef struct {
    PmAddr base;
    guint64 total_bytes;
    PmAddr header;
    guint64 chunk_bytes;
    guint64 usable_bytes;
} Candidate;

typedef struct {
    PmPtmalloc *ptmalloc;
    PmRange run;
    GArray *candidates;
    gboolean old_form; /* 2.42 and before: size is the mapping less prev_size */
    gboolean new_form; /* 2.42 and later: without the two header words */
} Search;

/* Whether a mapping of @total_bytes at @base is memory that no file backs and that no heap has. */
static gboolean
is_room(const PmPtmalloc *ptmalloc, PmAddr base, guint64 total_bytes)
{
    PmAddr end = 0;
    if (!pm_addr_add(base, total_bytes, &end) ||
        !pm_ptmalloc_is_memory(ptmalloc, (PmRange){base, end}))
        return FALSE;
    const PmRange *claimed = pm_ptmalloc_find_next_claimed(ptmalloc, base);
    return claimed == NULL || claimed->start >= end;
}

/*
 * Looks at the head @head of a chunk at @header. (malloc.c, sysmalloc_mmap, _int_memalign,
 * munmap_chunk)
 */
static void
try_header(Search *search, PmAddr header, guint64 head)
{
    const PmPtmalloc *ptmalloc = search->ptmalloc;
    const guint64 word = ptmalloc->word_bytes;
    const guint64 bytes = pm_head_bytes(head);
    Candidate candidate = {.header = header, .chunk_bytes = bytes};
    guint64 prev_size = 0;
    guint64 total = 0;

    if ((head & PM_FLAGS) != PM_IS_MMAPPED || bytes < pm_min_chunk_bytes(ptmalloc->word_bytes) ||
        !pm_read(ptmalloc, header, &prev_size))
        return;
    const guint64 huge_bit = search->new_form ? prev_size & 1 : 0;
    const guint64 offset = prev_size - huge_bit;
    if (offset > header || (header - offset) % PAGE != 0 || !pm_addr_add(offset, bytes, &total))
        return;
    candidate.base = header - offset;
    if (search->old_form && huge_bit == 0 && total % PAGE == 0) {
        candidate.total_bytes = total;
        candidate.usable_bytes = bytes - 2 * word;
    } else if (search->new_form && pm_addr_add(total, 2 * word, &total) && total % PAGE == 0) {
        candidate.total_bytes = total;
        candidate.usable_bytes = bytes - word;
    } else {
        return;
    }
    if (is_room(ptmalloc, candidate.base, total))
        g_array_append_val(search->candidates, candidate);
}

/*
 * User data begins where its offset in the page is 0 or a power of two: two words behind the
 * mapping's start, or where memalign moved it (glibc's own test in munmap_chunk).
 */
static void
try_page(Search *search, const PmSpan *span, PmAddr page)
{
    const guint64 word = search->ptmalloc->word_bytes;
    for (guint64 user = 2 * word; user < PAGE; user *= 2) {
        const PmAddr head = page + user - word;
        if (head - span->start + word <= span->length_bytes)
            try_header(search, head - word, pm_load_word(span->bytes + (head - span->start), word));
    }
    /* Data that begins at a page: the header ends the page before, which may be the last one that
     * was ever touched. */
    const PmAddr last = page + PAGE - 2 * (PmAddr)word;
    guint64 head = 0;
    if (pm_read(search->ptmalloc, last + word, &head))
        try_header(search, last, head);
}

/* Looks at every page of @run that is in the core and in no heap. */
static void
search_run(Search *search)
{
    PmAddr at = search->run.start;
    while (at < search->run.end) {
        PmSpan span;
        const PmRange *claimed = pm_ptmalloc_find_claimed(search->ptmalloc, at);
        if (claimed != NULL) {
            at = claimed->end;
            continue;
        }
        pm_space_get_span(search->ptmalloc->space, at, &span);
        const PmAddr span_end = MIN(search->run.end, at + span.length_bytes);
        PmAddr page = pm_align_up(at, PAGE);
        if (span.kind == PM_BYTES_DUMPED && span.bytes != NULL) {
            for (; page < span_end; page += PAGE) {
                if (pm_ptmalloc_find_claimed(search->ptmalloc, page) != NULL)
                    break;
                try_page(search, &span, page);
            }
            at = page < span_end ? page : span_end;
        } else {
            at = span_end;
        }
    }
}

static gint
compare_candidates(gconstpointer a, gconstpointer b)
{
    const Candidate *left = a;
    const Candidate *right = b;
    if (left->base != right->base)
        return left->base < right->base ? -1 : 1;
    return left->header < right->header ? -1 : left->header > right->header;
}

/*
 * memalign leaves the first header where it was, and writes a second one behind it for the same
 * mapping: the last one counts, and it alone is kept up to date when realloc changes the mapping's
 * size. What lies inside another chunk's mapping is its data.
 */
static guint
reduce_candidates(GArray *candidates)
{
    Candidate *all = (Candidate *)(gpointer)candidates->data;
    guint kept = 0;
    g_array_sort(candidates, compare_candidates);
    for (guint i = 0; i < candidates->len; i++) {
        Candidate *last = kept > 0 ? &all[kept - 1] : NULL;
        if (last != NULL && all[i].base == last->base)
            *last = all[i];
        else if (last == NULL || all[i].base >= last->base + last->total_bytes)
            all[kept++] = all[i];
    }
    return kept;
}

/* Whether glibc's counters agree with what was found, but for what they gain by mremap from 2.43 on
 * (par.c). */
static gboolean
do_counts_agree(const PmPtmalloc *ptmalloc)
{
    const PmMmapped *mmapped = &ptmalloc->mmapped;
    const guint64 surplus = mmapped->expected_bytes - mmapped->bytes;
    if (mmapped->chunks != mmapped->expected_chunks)
        return FALSE;
    return surplus == 0 ||
           (ptmalloc->par->first_version >= 43 && mmapped->expected_bytes > mmapped->bytes &&
            surplus % (2 * ptmalloc->word_bytes) == 0);
}

/* Threads that map and unmap do so before they count it, or after. */
static void
report_difference(PmPtmalloc *ptmalloc)
{
    const PmMmapped *mmapped = &ptmalloc->mmapped;
    const guint64 more = MAX(mmapped->chunks, mmapped->expected_chunks);
    const guint64 less = MIN(mmapped->chunks, mmapped->expected_chunks);
    g_autofree char *text = g_strdup_printf(
        "%" G_GUINT64_FORMAT " mmapped chunks of %" G_GUINT64_FORMAT
        " bytes were found; glibc counts %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT,
        mmapped->chunks, mmapped->bytes, mmapped->expected_chunks, mmapped->expected_bytes);
    g_autofree char *who = NULL;
    if (more - less <= pm_in_flight_count(ptmalloc->in_flight, &who) && who != NULL)
        pm_ptmalloc_note_in_flight(ptmalloc, NULL, PM_ADDR_NONE, text, who);
    else
        pm_ptmalloc_violation(ptmalloc, NULL, "mmapped-count", PM_ADDR_NONE, "%s", text);
}

static void
check_counts(PmPtmalloc *ptmalloc)
{
    const PmMmapped *mmapped = &ptmalloc->mmapped;
    if (!mmapped->expected_known || do_counts_agree(ptmalloc))
        return;
    if (pm_image_is_truncated(pm_space_get_image(ptmalloc->space)))
        pm_diagnostics_add(ptmalloc->diagnostics, "mmapped-lost", PM_SEVERITY_WARNING, PM_ADDR_NONE,
                           "%" G_GUINT64_FORMAT " mmapped chunks of %" G_GUINT64_FORMAT
                           " are in what is left of the core",
                           mmapped->chunks, mmapped->expected_chunks);
    else
        report_difference(ptmalloc);
}

static void
read_expected(PmPtmalloc *ptmalloc)
{
    PmMmapped *mmapped = &ptmalloc->mmapped;
    mmapped->expected_known =
        ptmalloc->par != NULL &&
        pm_ptmalloc_read_par(ptmalloc, ptmalloc->par->n_mmaps, 4, &mmapped->expected_chunks) &&
        pm_ptmalloc_read_par(ptmalloc, ptmalloc->par->mmapped_mem, ptmalloc->word_bytes,
                             &mmapped->expected_bytes);
}

void
pm_ptmalloc_find_mmapped(PmPtmalloc *ptmalloc)
{
    g_autoptr(GArray) candidates = g_array_new(FALSE, FALSE, sizeof(Candidate));
    Search search = {
        .ptmalloc = ptmalloc,
        .candidates = candidates,
        /* 2.42 itself was not seen: either form is taken there. */
        .old_form = pm_ptmalloc_allows(ptmalloc, 0, 42),
        .new_form = pm_ptmalloc_allows(ptmalloc, 42, PM_VERSION_NEWEST),
    };

    read_expected(ptmalloc);
    if (ptmalloc->mmapped.expected_known && ptmalloc->mmapped.expected_chunks == 0)
        return;
    for (guint i = 0; i < ptmalloc->runs->len; i++) {
        search.run = g_array_index(ptmalloc->runs, PmRange, i);
        search_run(&search);
    }
    const guint kept = reduce_candidates(candidates);
    for (guint i = 0; i < kept; i++) {
        const Candidate *candidate = &g_array_index(candidates, Candidate, i);
        pm_heap_builder_add_mmapped(ptmalloc->builder, candidate->header, candidate->chunk_bytes,
                                    candidate->usable_bytes);
        PmSizeCount *count = pm_size_table_get(ptmalloc->mmapped_sizes, candidate->chunk_bytes);
        count->chunks[PM_CHUNK_USED]++;
        count->mmapped_chunks++;
        ptmalloc->mmapped.chunks++;
        ptmalloc->mmapped.bytes += candidate->total_bytes;
    }
    check_counts(ptmalloc);
}
