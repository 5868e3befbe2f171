/*
 * Who is to blame for what is lost; see candidates.h.
 */
#include "findings/candidates.h"

#include "analysis/format.h"

/* Roots of one size that are as many as this are a pattern, and what hangs on them is part of it.
 */
#define ROOTS_REPEATED 10

/* A size that holds much of the heap is looked at for that where fewer than this are lost of it, by
 * number and by share. */
#define LOST_FEW   10
#define LOST_SHARE 0.01

/* Lost bytes below this share of all that is lost are not worth a suspect of their own. */
#define BLAME_SHARE 0.005

/* What is known of the lost chunks that are no roots, of all sizes. */
typedef struct {
    GHashTable *by_size; /* chunk_bytes → index of candidates */
    GArray *candidates;
    guint64 indirect_bytes; /* all of them */
    guint64 answered_bytes; /* those that hang on roots which are many, or are in their rings */
} Blame;

static PmSizeCandidate *
get_candidate(const Blame *blame, guint64 chunk_bytes)
{
    gpointer index;
    if (!g_hash_table_lookup_extended(blame->by_size, &chunk_bytes, NULL, &index))
        return NULL;
    return &g_array_index(blame->candidates, PmSizeCandidate, GPOINTER_TO_UINT(index));
}

static void
add_rows(Blame *blame, const PmSizes *sizes)
{
    for (gsize i = 0; i < sizes->row_count; i++) {
        const PmSizeRow *row = &sizes->rows[i];
        if (row->used_chunks == 0)
            continue;
        const PmSizeCandidate candidate = {
            .row = row, .indirect = row->lost_chunks, .root_example = PM_ADDR_NONE};
        g_hash_table_insert(blame->by_size, (gpointer)&row->chunk_bytes,
                            GUINT_TO_POINTER(blame->candidates->len));
        g_array_append_val(blame->candidates, candidate);
    }
}

static void
add_runtime(const Blame *blame, const PmPtmalloc *ptmalloc)
{
    gsize count = 0;
    const PmRuntimeChunk *runtime = pm_ptmalloc_get_runtime_chunks(ptmalloc, &count);
    for (gsize i = 0; i < count; i++) {
        PmChunk chunk;
        if (!pm_heap_find_chunk(pm_ptmalloc_get_heap(ptmalloc), runtime[i].address, &chunk, NULL))
            continue;
        PmSizeCandidate *candidate = get_candidate(blame, chunk.chunk_bytes);
        if (candidate != NULL && candidate->runtime_chunks < candidate->row->used_chunks)
            candidate->runtime_chunks++;
    }
}

static void
add_group(const Blame *blame, const PmLostGroup *group)
{
    PmSizeCandidate *candidate = get_candidate(blame, group->chunk_bytes);
    if (group->chunk_bytes == 0 || candidate == NULL)
        return;
    /* Members of a ring may be of other sizes. */
    const guint64 chunks = group->roots - group->cycles + group->cycle_chunks;
    const guint64 roots = MIN(chunks, candidate->indirect);
    candidate->roots += roots;
    candidate->indirect -= roots;
    candidate->ring_chunks += chunks - roots;
    candidate->ring_bytes += group->root_bytes - MIN(roots * group->chunk_bytes, group->root_bytes);
    candidate->hanging_chunks += group->lost_chunks - MIN(chunks, group->lost_chunks);
    candidate->hanging_bytes += group->lost_bytes - MIN(group->root_bytes, group->lost_bytes);
    if (candidate->root_example == PM_ADDR_NONE)
        candidate->root_example = group->example;
}

static void
add_groups(Blame *blame, const PmReachResult *result)
{
    for (gsize i = 0; i < result->group_count; i++)
        add_group(blame, &result->groups[i]);
    for (guint i = 0; i < blame->candidates->len; i++) {
        const PmSizeCandidate *candidate = &g_array_index(blame->candidates, PmSizeCandidate, i);
        blame->indirect_bytes += candidate->indirect * candidate->row->chunk_bytes;
        if (candidate->roots >= ROOTS_REPEATED)
            blame->answered_bytes += candidate->ring_bytes + candidate->hanging_bytes;
    }
}

static void
set_blame(Blame *blame, const PmReachResult *result)
{
    const double answered = MIN(pm_share(blame->answered_bytes, blame->indirect_bytes), 1.0);
    for (guint i = 0; i < blame->candidates->len; i++) {
        PmSizeCandidate *candidate = &g_array_index(blame->candidates, PmSizeCandidate, i);
        const guint64 indirect = candidate->indirect * candidate->row->chunk_bytes;
        guint64 bytes = candidate->roots * candidate->row->chunk_bytes;
        bytes += (guint64)((double)indirect * (1 - answered));
        if (candidate->roots >= ROOTS_REPEATED)
            bytes += candidate->ring_bytes + candidate->hanging_bytes;
        const double share = pm_share(bytes, result->lost.chunk_bytes);
        candidate->blame_bytes = share >= BLAME_SHARE ? bytes : 0;
    }
}

static gint
compare_blame(gconstpointer left, gconstpointer right)
{
    const PmSizeCandidate *a = left;
    const PmSizeCandidate *b = right;
    if (a->blame_bytes != b->blame_bytes)
        return a->blame_bytes < b->blame_bytes ? 1 : -1;
    const guint64 a_used = pm_size_row_used_bytes(a->row);
    const guint64 b_used = pm_size_row_used_bytes(b->row);
    if (a_used != b_used)
        return a_used < b_used ? 1 : -1;
    return (a->row->chunk_bytes > b->row->chunk_bytes) -
           (a->row->chunk_bytes < b->row->chunk_bytes);
}

static gboolean
has_share(const PmSizeCandidate *candidate, const PmSizes *sizes)
{
    const guint64 chunks = candidate->row->used_chunks - candidate->runtime_chunks;
    const double share =
        pm_share(chunks * candidate->row->chunk_bytes, sizes->states[PM_CHUNK_USED].chunk_bytes);
    return share >= PM_CANDIDATE_SHARE && chunks >= PM_CANDIDATE_CHUNKS;
}

static gboolean
loses_few(const PmSizeRow *row)
{
    return row->lost_chunks < LOST_FEW && pm_share(row->lost_chunks, row->used_chunks) < LOST_SHARE;
}

GArray *
pm_candidates_find(const PmPtmalloc *ptmalloc, const PmSizes *sizes, const PmReach *reach)
{
    g_autoptr(GHashTable) by_size = g_hash_table_new(g_int64_hash, g_int64_equal);
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(PmSizeCandidate));
    Blame blame = {.by_size = by_size, .candidates = all};
    add_rows(&blame, sizes);
    add_runtime(&blame, ptmalloc);
    if (reach != NULL) {
        add_groups(&blame, pm_reach_get_result(reach));
        set_blame(&blame, pm_reach_get_result(reach));
    }
    g_array_sort(all, compare_blame);
    GArray *chosen = g_array_new(FALSE, FALSE, sizeof(PmSizeCandidate));
    guint blamed = 0, large = 0;
    for (guint i = 0; i < all->len; i++) {
        PmSizeCandidate *candidate = &g_array_index(all, PmSizeCandidate, i);
        if (has_share(candidate, sizes) && loses_few(candidate->row))
            candidate->blame_bytes = 0;
        const gboolean is_blamed = candidate->blame_bytes > 0;
        if (is_blamed ? blamed++ < PM_CANDIDATES_MAX
                      : has_share(candidate, sizes) && large++ < PM_CANDIDATES_MAX)
            g_array_append_val(chosen, *candidate);
    }
    return chosen;
}
