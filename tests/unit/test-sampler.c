/*
 * analysis/contents/sampler and heap/match: against a walk over every chunk, on hand-made heaps of
 * both word sizes; evenness over many seeds.
 */
#include "analysis/contents/sampler.h"

#include "heap/builder.h"
#include "heap/match.h"
#include "opened-subject.h"

#include <string.h>

/* A large enough sample is the walk; returns how many chunks that is. */
static guint64
check_filter(const PmSubject *subject, const PmReach *reach, const PmChunkFilter *filter)
{
    g_autoptr(PmSample) sample = pm_sample_new(subject, reach, filter, 100000, 7);
    PmChunkWalk walk;
    PmChunk chunk;
    gsize count = 0;
    pm_chunk_walk_init(&walk, subject, reach, filter);
    while (pm_chunk_walk_next(&walk, &chunk)) {
        g_assert_cmpuint(count, <, sample->count);
        g_assert_cmphex(sample->chunks[count].address, ==, chunk.address);
        g_assert_cmphex(sample->chunks[count].chunk_bytes, ==, chunk.chunk_bytes);
        g_assert_cmphex(sample->chunks[count].usable_bytes, ==, chunk.usable_bytes);
        g_assert_cmpuint(sample->chunks[count].ordinal, ==, chunk.ordinal);
        g_assert_cmpuint(sample->chunks[count].arena, ==, chunk.arena);
        g_assert_cmpuint(sample->chunks[count].state, ==, chunk.state);
        count++;
    }
    g_assert_cmpuint(sample->count, ==, count);
    g_assert_cmpuint(sample->population, ==, count);
    g_assert_true(sample->population_known);
    g_assert_true(sample->is_whole);
    return count;
}

/* All sizes there are and some that there are not, every set of states, each arena and none. */
static void
check_all_filters(const PmSubject *subject)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PmReach) reach = pm_reach_new(subject, 1, &error);
    gsize size_count = 0;
    gsize arena_count = 0;
    guint64 seen = 0;
    const PmSizeCount *sizes = pm_ptmalloc_get_sizes(subject->ptmalloc, &size_count);
    g_assert_no_error(error);
    (void)pm_ptmalloc_get_arenas(subject->ptmalloc, &arena_count);

    for (guint states = 0; states <= PM_CHUNK_STATES_ALL; states++) {
        PmChunkFilter filter = {.states = states};
        (void)check_filter(subject, NULL, &filter);
        for (guint32 arena = 0; arena <= arena_count; arena++) {
            filter = (PmChunkFilter){.states = states, .by_arena = TRUE, .arena = arena};
            (void)check_filter(subject, NULL, &filter);
        }
        for (gsize i = 0; i < size_count; i++) {
            filter = (PmChunkFilter){
                .states = states, .by_chunk_bytes = TRUE, .chunk_bytes = sizes[i].chunk_bytes};
            seen += check_filter(subject, NULL, &filter);
            filter = (PmChunkFilter){
                .states = states, .by_request = TRUE, .request_bytes = sizes[i].chunk_bytes - 10};
            (void)check_filter(subject, NULL, &filter);
        }
    }
    for (guint reaches = 1; reaches < 1u << PM_REACH_CLASSES; reaches += 5) {
        const PmChunkFilter filter = {.states = PM_CHUNK_STATES_ALL, .reaches = reaches};
        (void)check_filter(subject, reach, &filter);
    }
    static const guint64 strange[] = {0, 0x21, ~(guint64)0xf};
    for (gsize i = 0; i < G_N_ELEMENTS(strange); i++) {
        const PmChunkFilter filter = {
            .states = PM_CHUNK_STATES_ALL, .by_chunk_bytes = TRUE, .chunk_bytes = strange[i]};
        g_assert_cmpuint(check_filter(subject, NULL, &filter), ==, 0);
    }
    const PmChunkFilter huge = {
        .states = PM_CHUNK_STATES_ALL, .by_request = TRUE, .request_bytes = G_MAXUINT64};
    g_assert_cmpuint(check_filter(subject, NULL, &huge), ==, 0);
    g_assert_cmpuint(seen, >, 0);
}

static void
test_filters(gconstpointer data)
{
    const guint word = GPOINTER_TO_UINT(data);
    Subject made;
    OpenedSubject opened;
    subject_init(&made, word, 36, FALSE);
    subject_fill(&made);
    opened_subject_init(&opened, &made, 2);
    check_all_filters(&opened.subject);
    opened_subject_clear(&opened);
    subject_clear(&made);
}

/* A heap of three chunks in turn, two of which are of one size. */
static void
fill_mixed(Subject *made)
{
    subject_init(made, 8, 31, FALSE);
    HeapArena *arena = &made->arenas[0];
    const guint64 end = made->places->brk + BRK_BYTES;
    subject_begin_main_arena(made);
    while (end - arena->at > 0x400) {
        heap_arena_put(arena, 0x20, HEAP_USED);
        heap_arena_put(arena, 0x20, HEAP_USED);
        heap_arena_put(arena, 0x40, HEAP_USED);
    }
    subject_end_main_arena(made);
}

#define WANTED 50
#define SEEDS  2000

/* Every chunk is drawn about as often as any other, and every fiftieth part of them once. */
static void
test_even(void)
{
    Subject made = {0};
    OpenedSubject opened;
    const PmChunkFilter filter = {
        .states = 1u << PM_CHUNK_USED, .by_chunk_bytes = TRUE, .chunk_bytes = 0x20};
    fill_mixed(&made);
    opened_subject_init(&opened, &made, 1);

    g_autoptr(PmSample) all = pm_sample_new(&opened.subject, NULL, &filter, 100000, 0);
    g_assert_cmpuint(all->count, >, 900);
    g_autofree guint *drawn = g_new0(guint, all->count);
    for (guint64 seed = 0; seed < SEEDS; seed++) {
        g_autoptr(PmSample) sample = pm_sample_new(&opened.subject, NULL, &filter, WANTED, seed);
        g_assert_cmpuint(sample->count, ==, WANTED);
        g_assert_cmpuint(sample->population, ==, all->count);
        g_assert_false(sample->is_whole);
        gsize at = 0;
        for (gsize i = 0; i < WANTED; i++) {
            while (at < all->count && all->chunks[at].address != sample->chunks[i].address)
                at++;
            g_assert_cmpuint(at, <, all->count);
            g_assert_cmpuint(at * WANTED / all->count, <=, i);
            g_assert_cmpuint((at + 1) * WANTED / all->count, >=, i);
            drawn[at]++;
        }
    }
    /* Binomial, about 100 expected each, standard deviation 10. */
    const double expected = (double)SEEDS * WANTED / (double)all->count;
    for (gsize i = 0; i < all->count; i++) {
        g_assert_cmpfloat(drawn[i], >, expected * 0.4);
        g_assert_cmpfloat(drawn[i], <, expected * 1.6);
    }
    opened_subject_clear(&opened);
    subject_clear(&made);
}

static void
test_seed(void)
{
    Subject made = {0};
    OpenedSubject opened;
    const PmChunkFilter filter = {.states = PM_CHUNK_STATES_ALL};
    fill_mixed(&made);
    opened_subject_init(&opened, &made, 1);
    g_autoptr(PmSample) first = pm_sample_new(&opened.subject, NULL, &filter, WANTED, 11);
    g_autoptr(PmSample) again = pm_sample_new(&opened.subject, NULL, &filter, WANTED, 11);
    g_autoptr(PmSample) other = pm_sample_new(&opened.subject, NULL, &filter, WANTED, 12);
    guint differing = 0;
    for (gsize i = 0; i < WANTED; i++) {
        g_assert_cmphex(first->chunks[i].address, ==, again->chunks[i].address);
        differing += first->chunks[i].address != other->chunks[i].address ? 1 : 0;
    }
    g_assert_cmpuint(differing, >, WANTED / 2);
    g_autoptr(PmSample) none = pm_sample_new(&opened.subject, NULL, &filter, 0, 11);
    g_assert_cmpuint(none->count, ==, 0);
    g_assert_cmpuint(none->population, >, WANTED);
    opened_subject_clear(&opened);
    subject_clear(&made);
}

/* What is not in the core reads as zeros, and is told. */
static void
test_read(void)
{
    Subject made = {0};
    OpenedSubject opened;
    guint8 bytes[24];
    fill_mixed(&made);
    const PmChunkFilter filter = {
        .states = 1u << PM_CHUNK_USED, .by_chunk_bytes = TRUE, .chunk_bytes = 0x20};
    heap_put_bytes(made.heap, made.places->brk + 0x10, "sixteen letters.", 16);
    opened_subject_init(&opened, &made, 1);
    g_autoptr(PmSample) sample = pm_sample_new(&opened.subject, NULL, &filter, 100000, 0);
    g_assert_cmphex(sample->chunks[0].address, ==, made.places->brk + 0x10);
    g_assert_true(pm_sample_read(&opened.subject, &sample->chunks[0], bytes, sizeof bytes));
    g_assert_true(memcmp(bytes, "sixteen letters.", 16) == 0);
    PmChunk outside = sample->chunks[0];
    outside.address = made.places->brk + BRK_BYTES - 8;
    bytes[8] = 1;
    g_assert_false(pm_sample_read(&opened.subject, &outside, bytes, sizeof bytes));
    g_assert_cmpuint(bytes[8], ==, 0);
    opened_subject_clear(&opened);
    subject_clear(&made);
}

/* One region of @tiles chunks of sizes up to a word of the planes and far beyond it. */
static PmHeap *
make_tiled_heap(GRand *rand, guint tiles)
{
    static const guint64 granules[] = {1,  2,  2,   2,   3,   4,    7,    31,   62,  63,
                                       64, 65, 127, 128, 129, 1000, 4095, 4096, 9000};
    g_autoptr(GError) error = NULL;
    g_autoptr(PmHeapBuilder) builder = pm_heap_builder_new(8);
    const PmAddr start = 0x555500000010;
    PmRegionBuilder *region =
        pm_heap_builder_add_region(builder, start, start + tiles * 9000ull * 16, 0, &error);
    g_assert_no_error(error);
    guint64 at = 0;
    for (guint i = 0; i < tiles; i++) {
        const guint64 size = granules[g_rand_int_range(rand, 0, G_N_ELEMENTS(granules))];
        const gint kind = g_rand_int_range(rand, 0, 8);
        if (kind == 0 || size == 1)
            pm_region_put_special(region, at, size * 16, PM_SPECIAL_GAP);
        else if (kind == 1)
            pm_region_put_bin(region, at, size * 16);
        else
            pm_region_put(region, at, size * 16);
        at += size;
    }
    pm_heap_builder_end_region(builder, region, start + at * 16);
    PmHeap *heap = pm_heap_builder_freeze(builder, &error);
    g_assert_no_error(error);
    return heap;
}

/* Marks some chunks as tcache, fastbin and runtime. */
static void
mark_some(PmHeap *heap, GRand *rand)
{
    g_autoptr(GArray) runtime = g_array_new(FALSE, FALSE, sizeof(PmAddr));
    PmHeapIter iter;
    PmChunk chunk;
    pm_heap_iter_init(&iter, heap, 0);
    while (pm_heap_iter_next(&iter, &chunk)) {
        const PmAddr header = chunk.address - 16;
        const gint kind = g_rand_int_range(rand, 0, 10);
        if (kind == 0)
            g_array_append_val(runtime, header);
        else if (kind < 4)
            (void)pm_heap_mark(heap, header, kind == 1 ? PM_CHUNK_FASTBIN : PM_CHUNK_TCACHE, NULL);
    }
    pm_heap_mark_runtime(heap, (const PmAddr *)(gpointer)runtime->data, runtime->len);
}

static gboolean
is_of_class(const PmHeapClass *heap_class, const PmChunk *chunk)
{
    return (heap_class->states >> chunk->state & 1) != 0 &&
           (heap_class->chunk_bytes == 0 || heap_class->chunk_bytes == chunk->chunk_bytes);
}

/* The next chunk of a class; FALSE at the end. */
static gboolean
find_next(PmHeapIter *iter, const PmHeapClass *heap_class, PmChunk *ret_chunk)
{
    while (pm_heap_iter_next(iter, ret_chunk))
        if (is_of_class(heap_class, ret_chunk))
            return TRUE;
    return FALSE;
}

static void
check_match(const PmHeap *heap, guint64 granule, PmHeapIter *iter, const PmHeapClass *heap_class)
{
    PmChunk expected, chunk;
    g_assert_true(pm_heap_get_chunk(heap, 0, granule, &chunk));
    g_assert_true(find_next(iter, heap_class, &expected));
    g_assert_cmphex(chunk.address, ==, expected.address);
    g_assert_cmphex(chunk.chunk_bytes, ==, expected.chunk_bytes);
    g_assert_cmpuint(chunk.ordinal, ==, expected.ordinal);
}

/* pm_heap_match(), in pieces of any length, names the chunks that an iteration finds. */
static void
check_class(const PmHeap *heap, const PmHeapClass *heap_class, GRand *rand)
{
    const guint64 words = pm_heap_get_words(heap, 0);
    guint64 masks[100];
    PmHeapIter iter;
    PmChunk more;
    pm_heap_iter_init(&iter, heap, 0);
    for (guint64 first = 0; first < words;) {
        const gsize count = (gsize)g_rand_int_range(rand, 1, G_N_ELEMENTS(masks));
        pm_heap_match(heap, heap_class, 0, first, count, masks);
        for (gsize i = 0; i < count * 64; i++)
            if ((masks[i / 64] >> (i % 64) & 1) != 0)
                check_match(heap, first * 64 + i, &iter, heap_class);
        first += count;
    }
    g_assert_false(find_next(&iter, heap_class, &more));
}

static void
test_match(void)
{
    static const guint64 sizes[] = {0,    16,   32,   48,   64,    112,   496,   992,   1008,
                                    1024, 1040, 2032, 2048, 16000, 65520, 65536, 144000};
    g_autoptr(GRand) rand = g_rand_new_with_seed(20);
    for (guint round = 0; round < 4; round++) {
        g_autoptr(PmHeap) heap = make_tiled_heap(rand, 1 + round * 60);
        mark_some(heap, rand);
        for (guint states = 1; states <= PM_CHUNK_STATES_ALL; states += 3)
            for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++)
                check_class(heap, &(PmHeapClass){.states = states, .chunk_bytes = sizes[i]}, rand);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/match/classes", test_match);
    g_test_add_data_func("/sampler/filters-64", GUINT_TO_POINTER(8), test_filters);
    g_test_add_data_func("/sampler/filters-32", GUINT_TO_POINTER(4), test_filters);
    g_test_add_func("/sampler/even", test_even);
    g_test_add_func("/sampler/seed", test_seed);
    g_test_add_func("/sampler/read", test_read);
    return g_test_run();
}
