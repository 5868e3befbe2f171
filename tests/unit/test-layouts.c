/*
 * heapwalk/ptmalloc against every layout that glibc's malloc had since 2.10, on 64 bit and on i386:
 * a hand-made process (heap-subject.h) for each version, walked with libc's banner and without.
 */
#include <string.h>

#include "heap-subject.h"
#include "ptmalloc/ptmalloc.h"

typedef struct {
    CoreFile *path;
    PmDiagnostics *diagnostics;
    PmImage *image;
    PmProcess *process;
    PmPtmalloc *ptmalloc;
} Walked;

static Walked
walk(const Subject *subject, gsize threads, const char *banner)
{
    const PmPtmallocOptions options = {.jobs = 1, .verify_bins = TRUE};
    g_autoptr(GError) error = NULL;
    Walked walked = {.path = subject_write_core(subject, threads, banner)};
    walked.diagnostics = pm_diagnostics_new();
    walked.image = pm_image_open(walked.path, walked.diagnostics, &error);
    g_assert_no_error(error);
    walked.process = pm_process_open(walked.image, NULL, walked.diagnostics, &error);
    g_assert_no_error(error);
    walked.ptmalloc = pm_ptmalloc_walk(walked.process, &options, walked.diagnostics, &error);
    g_assert_no_error(error);
    return walked;
}

static void
walked_clear(Walked *walked)
{
    pm_ptmalloc_free(walked->ptmalloc);
    pm_process_free(walked->process);
    pm_image_free(walked->image);
    pm_diagnostics_free(walked->diagnostics);
    core_file_remove(walked->path);
}

/* The file of libc is not here: nothing else may be said. */
static void
assert_no_violations(const Walked *walked)
{
    for (guint i = 0; i < pm_diagnostics_get_count(walked->diagnostics); i++) {
        const PmDiagnostic *diagnostic = pm_diagnostics_get(walked->diagnostics, i);
        if (strcmp(diagnostic->code, "module-missing") != 0)
            g_error("%s at 0x%" G_GINT64_MODIFIER "x: %s", diagnostic->code, diagnostic->address,
                    diagnostic->text);
    }
}

static PmChunkState
get_expected_state(HeapState state)
{
    switch (state) {
    case HEAP_USED:
        return PM_CHUNK_USED;
    case HEAP_TCACHE:
        return PM_CHUNK_TCACHE;
    case HEAP_FASTBIN:
        return PM_CHUNK_FASTBIN;
    case HEAP_BIN:
        return PM_CHUNK_BIN;
    case HEAP_TOP:
        return PM_CHUNK_TOP;
    case HEAP_RUNTIME:
        return PM_CHUNK_RUNTIME;
    }
    g_assert_not_reached();
}

/* Every chunk that was put is there as it was put, and no other. */
static void
assert_chunks(const Subject *subject, const Walked *walked)
{
    gsize count = 0;
    PmHeapIter iter;
    PmChunk chunk;
    const HeapChunk *expected = heap_builder_get_chunks(subject->heap, &count);
    pm_heap_iter_init(&iter, pm_ptmalloc_get_heap(walked->ptmalloc), 0);
    for (gsize i = 0; i < count; i++) {
        g_assert_true(pm_heap_iter_next(&iter, &chunk));
        g_assert_cmphex(chunk.address, ==, expected[i].address);
        g_assert_cmphex(chunk.chunk_bytes, ==, expected[i].bytes);
        g_assert_cmphex(chunk.usable_bytes, ==, expected[i].usable_bytes);
        g_assert_cmpstr(pm_chunk_state_name(chunk.state), ==,
                        pm_chunk_state_name(get_expected_state(expected[i].state)));
        g_assert_cmpint(chunk.mmapped, ==, expected[i].arena < 0);
        g_assert_cmpint((gint)chunk.arena, ==, expected[i].arena);
    }
    g_assert_false(pm_heap_iter_next(&iter, &chunk));
}

/* used + free + overhead is system_mem, by the chunks that were put. */
static void
assert_arena(const Subject *subject, const Walked *walked, guint number, guint64 system_bytes)
{
    gsize count = 0;
    guint64 used = 0, free = 0;
    const HeapChunk *chunks = heap_builder_get_chunks(subject->heap, &count);
    for (gsize i = 0; i < count; i++) {
        if (chunks[i].arena != (gint)number)
            continue;
        if (chunks[i].state == HEAP_USED || chunks[i].state == HEAP_RUNTIME)
            used += chunks[i].bytes;
        else
            free += chunks[i].bytes;
    }
    const PmArena *arenas = pm_ptmalloc_get_arenas(walked->ptmalloc, &count);
    g_assert_cmpuint(number, <, count);
    const PmArena *arena = &arenas[number];
    g_assert_cmphex(arena->address, ==, subject->arenas[number].state);
    g_assert_cmpint(arena->kind, ==, number == 0 ? PM_ARENA_MAIN : PM_ARENA_THREAD);
    g_assert_cmpuint(arena->system_bytes, ==, system_bytes);
    g_assert_cmpuint(arena->used_bytes, ==, used);
    g_assert_cmpuint(arena->free_bytes, ==, free);
    g_assert_cmpuint(arena->overhead_bytes, ==, system_bytes - used - free);
    g_assert_cmpuint(arena->overhead[PM_OVERHEAD_DAMAGED], ==, 0);
    g_assert_cmpuint(arena->overhead[PM_OVERHEAD_UNREAD], ==, 0);
}

static void
assert_mmapped(const Walked *walked)
{
    const PmMmapped *mmapped = pm_ptmalloc_get_mmapped(walked->ptmalloc);
    g_assert_true(mmapped->expected_known);
    g_assert_cmpuint(mmapped->chunks, ==, 3);
    g_assert_cmpuint(mmapped->expected_chunks, ==, 3);
    g_assert_cmphex(mmapped->bytes, ==, MMAPPED_BYTES);
    g_assert_cmphex(mmapped->expected_bytes, ==, MMAPPED_BYTES);
}

/* One version. @family: what can be told without its banner: where two versions differ in nothing
 * that a core shows, both. */
typedef struct {
    guint word, minor;
    gboolean new_mmapped;
    const char *family;
} Case;

static const Case cases[] = {
    {8, 12, FALSE, "2.10-2.14"},     {8, 17, FALSE, "2.15-2.22"},
    {8, 19, FALSE, "2.15-2.22"},     {8, 22, FALSE, "2.15-2.22"},
    {8, 23, FALSE, "2.23"},          {8, 24, FALSE, "2.24-2.26"},
    {8, 25, FALSE, "2.24-2.26"},     {8, 26, FALSE, "2.26"},
    {8, 27, FALSE, "2.27-2.29"},     {8, 28, FALSE, "2.27-2.29"},
    {8, 29, FALSE, "2.27-2.29"},     {8, 30, FALSE, "2.30-2.34"},
    {8, 31, FALSE, "2.30-2.34"},     {8, 32, FALSE, "2.30-2.34"},
    {8, 33, FALSE, "2.30-2.34"},     {8, 34, FALSE, "2.30-2.34"},
    {8, 35, FALSE, "2.35-2.42"},     {8, 36, FALSE, "2.35-2.42"},
    {8, 41, FALSE, "2.35-2.42"},     {8, 42, FALSE, "2.42"},
    {8, 42, TRUE, "2.42"},           {8, 43, TRUE, "2.43 and later"},
    {8, 44, TRUE, "2.43 and later"}, {4, 12, FALSE, "2.10-2.14"},
    {4, 17, FALSE, "2.15-2.22"},     {4, 19, FALSE, "2.15-2.22"},
    {4, 22, FALSE, "2.15-2.22"},     {4, 23, FALSE, "2.23"},
    {4, 24, FALSE, "2.24-2.25"},     {4, 25, FALSE, "2.24-2.25"},
    {4, 26, FALSE, "2.26"},          {4, 27, FALSE, "2.27-2.29"},
    {4, 28, FALSE, "2.27-2.29"},     {4, 29, FALSE, "2.27-2.29"},
    {4, 30, FALSE, "2.30-2.34"},     {4, 31, FALSE, "2.30-2.34"},
    {4, 32, FALSE, "2.30-2.34"},     {4, 33, FALSE, "2.30-2.34"},
    {4, 34, FALSE, "2.30-2.34"},     {4, 35, FALSE, "2.35-2.42"},
    {4, 36, FALSE, "2.35-2.42"},     {4, 41, FALSE, "2.35-2.42"},
    {4, 42, FALSE, "2.42"},          {4, 42, TRUE, "2.42"},
    {4, 43, TRUE, "2.43 and later"}, {4, 44, TRUE, "2.43 and later"},
};

static void
assert_requests(const Walked *walked, const Case *subject)
{
    /* The sizes of a request just served by the smallest chunk, and the next chunk. */
    const guint64 smallest = subject->word == 8 ? 0x20 : 0x10;
    const guint64 fits = subject->word == 8 ? 24 : 12;
    const guint64 step = subject->word == 4 && subject->minor < 26 ? 8 : 16;
    guint64 min = 0, max = 0;
    g_assert_cmpuint(pm_ptmalloc_get_chunk_bytes(walked->ptmalloc, 0), ==, smallest);
    g_assert_cmpuint(pm_ptmalloc_get_chunk_bytes(walked->ptmalloc, fits), ==, smallest);
    g_assert_cmpuint(pm_ptmalloc_get_chunk_bytes(walked->ptmalloc, fits + 1), ==, smallest + step);
    g_assert_cmpuint(pm_ptmalloc_get_chunk_bytes(walked->ptmalloc, fits + step), ==,
                     smallest + step);
    pm_ptmalloc_get_request_range(walked->ptmalloc, smallest, &min, &max);
    g_assert_cmpuint(min, ==, 0);
    g_assert_cmpuint(max, ==, fits);
    pm_ptmalloc_get_request_range(walked->ptmalloc, smallest + step, &min, &max);
    g_assert_cmpuint(min, ==, fits + 1);
    g_assert_cmpuint(max, ==, fits + step);
}

static void
assert_state_ranges(const Subject *subject, const Walked *walked)
{
    g_autoptr(GArray) ranges = pm_ptmalloc_get_state_ranges(walked->ptmalloc);
    g_assert_cmpuint(ranges->len, ==, 2);
    const PmRange state = g_array_index(ranges, PmRange, 0);
    const PmRange par = g_array_index(ranges, PmRange, 1);
    g_assert_cmphex(state.start, ==, subject->arenas[0].state);
    g_assert_cmphex(state.end, ==, state.start + subject->version.state_bytes);
    g_assert_cmphex(par.start, ==, subject_get_par(subject));
    g_assert_cmphex(par.end, ==, par.start + subject->version.par_bytes);
}

static void
assert_threads(const Walked *walked)
{
    gsize count = 0;
    const PmArena *arenas = pm_ptmalloc_get_arenas(walked->ptmalloc, &count);
    for (guint i = 0; i < count; i++) {
        g_assert_cmpuint(arenas[i].thread_count, ==, 1);
        g_assert_cmpuint(arenas[i].threads[0], ==, 100 + i);
    }
}

static void
assert_glibc(const Subject *subject, const Walked *walked, const char *family)
{
    const PmGlibc *glibc = pm_ptmalloc_get_glibc(walked->ptmalloc);
    g_assert_cmpstr(glibc->family, ==, family);
    g_assert_cmphex(glibc->main_arena, ==, subject->arenas[0].state);
    g_assert_cmpint(glibc->found_by, ==, PM_FOUND_BY_SIGNATURE);
    g_assert_cmphex(glibc->mp, ==, subject_get_par(subject));
}

/* Walks a process of two threads, each with its arena, and compares everything. @banner: NULL where
 * the version must be told by the shape alone. */
static void
assert_walk(const Case *data, guint64 left, const char *banner, const char *family)
{
    Subject subject;
    subject_init(&subject, data->word, data->minor, data->new_mmapped);
    subject_fill_main_arena(&subject);
    subject_fill_thread_arena(&subject, left);
    subject_fill_rest(&subject);
    Walked walked = walk(&subject, 2, banner);
    assert_glibc(&subject, &walked, family);
    assert_no_violations(&walked);
    assert_chunks(&subject, &walked);
    assert_arena(&subject, &walked, 0, BRK_BYTES);
    assert_arena(&subject, &walked, 1, 2 * HEAP_BYTES);
    assert_mmapped(&walked);
    assert_threads(&walked);
    assert_requests(&walked, data);
    if (banner != NULL)
        assert_state_ranges(&subject, &walked);
    walked_clear(&walked);
    subject_clear(&subject);
}

/* By its shape, with each way in which a full heap can end. */
static void
test_shape(gconstpointer data)
{
    const Case *subject = data;
    /* Old top, fencepost and closing head; the least for that; just too little for an old top. */
    const guint64 least = subject->word == 8 ? 0x20 : 0x10;
    const guint64 lefts[] = {0x200, 2 * least, least};
    for (gsize i = 0; i < G_N_ELEMENTS(lefts); i++)
        assert_walk(subject, lefts[i], NULL, subject->family);
}

/* The banner of libc tells what nothing else does. */
static void
test_banner(gconstpointer data)
{
    const Case *subject = data;
    g_autofree char *version = g_strdup_printf("2.%u", subject->minor);
    g_autofree char *banner =
        g_strdup_printf("GNU C Library (Test) stable release version %s.\nCopyright", version);
    assert_walk(subject, 0x100, banner, version);
}

/* brk failed at some time: the main arena went on in mappings. */
static void
test_split(gconstpointer data)
{
    const Case *one = data;
    Subject subject;
    subject_init(&subject, one->word, one->minor, one->new_mmapped);
    subject_fill_split_arena(&subject);
    subject_fill_thread_arena(&subject, 0x100);
    subject_fill_rest(&subject);
    Walked walked = walk(&subject, 2, NULL);
    assert_glibc(&subject, &walked, one->family);
    assert_no_violations(&walked);
    assert_chunks(&subject, &walked);
    assert_arena(&subject, &walked, 0, BRK_BYTES + 2 * SEGMENT_BYTES);
    assert_mmapped(&walked);
    walked_clear(&walked);
    subject_clear(&subject);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Case *one = &cases[i];
        g_autofree char *name =
            g_strdup_printf("%u-bit/2.%u%s", one->word * 8, one->minor,
                            one->minor == 42 && one->new_mmapped ? "-new-mmapped" : "");
        g_autofree char *shape = g_strdup_printf("/layouts/%s/shape", name);
        g_autofree char *banner = g_strdup_printf("/layouts/%s/banner", name);
        g_test_add_data_func(shape, one, test_shape);
        g_test_add_data_func(banner, one, test_banner);
        g_autofree char *split = g_strdup_printf("/layouts/%s/split", name);
        g_test_add_data_func(split, one, test_split);
    }
    return g_test_run();
}
