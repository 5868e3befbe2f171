/*
 * Fuzz target: opens an arbitrary byte string as a core, and asks every room of heapwalk about it.
 *
 * The ordinary run replays it (replay.c). To search with libFuzzer:
 *   CC=clang meson setup build-fuzz -Db_sanitize=address,undefined -Db_lundef=false
 * -Dc_args=-fsanitize=fuzzer-no-link ninja -C build-fuzz heapwalk/libheapwalk.a && clang -g
 * -fsanitize=address,undefined,fuzzer -D_GNU_SOURCE -Iheapwalk tests/fuzz/fuzz-core.c
 * build-fuzz/heapwalk/libheapwalk.a
 *     $(pkg-config --cflags --libs glib-2.0 libelf libdw) -o fuzz-core && ./fuzz-core
 * -close_fd_mask=3 CORPUS
 */
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "analysis/memory.h"
#include "analysis/threads.h"
#include "findings/regions.h"
#include "heap/match.h"
#include "process/rtti.h"
#include "ptmalloc/trim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The planes of a region name the chunks that the iteration finds. */
static void
ask_region(const PmHeap *heap, gsize region)
{
    const PmHeapClass all = {.states = (1u << PM_CHUNK_STATES) - 1};
    guint64 masks[16];
    PmHeapIter iter;
    pm_heap_iter_init(&iter, heap, region);
    pm_heap_match(heap, &all, region, 0, G_N_ELEMENTS(masks), masks);
    for (guint64 i = 0; i < G_N_ELEMENTS(masks) * PM_HEAP_WORD_GRANULES; i++) {
        PmChunk expected, chunk;
        if ((masks[i / 64] >> (i % 64) & 1) == 0)
            continue;
        g_assert_true(pm_heap_get_chunk(heap, region, i, &chunk));
        g_assert_true(pm_heap_iter_next(&iter, &expected));
        g_assert_cmphex(chunk.address, ==, expected.address);
    }
}

/* Takes every word of modules' data for a vtable, and where it points to, too. */
static void
ask_rtti(const PmProcess *process)
{
    gsize count = 0;
    g_autoptr(PmRtti) rtti = pm_rtti_new(process);
    const PmSpace *space = pm_process_get_space(process);
    const guint64 word_bytes = pm_space_get_target(space)->word_bytes;
    const PmModule *modules = pm_process_get_modules(process, &count);
    for (gsize i = 0; i < MIN(count, 8); i++) {
        for (guint64 j = 0; j < 512 && modules[i].data_count > 0; j++) {
            guint64 value = 0;
            const PmAddr address = modules[i].data[0].start + j * word_bytes;
            const PmVtable *vtable = pm_rtti_find(rtti, address);
            if (vtable != NULL)
                g_array_unref(pm_rtti_get_bases(rtti, vtable));
            if (pm_space_read_word(space, address, &value))
                (void)pm_rtti_find(rtti, value);
        }
    }
}

/* Every lookup on chunks that the walk found; on as many as a run has time for. */
static void
ask_heap(const PmPtmalloc *ptmalloc)
{
    const PmHeap *heap = pm_ptmalloc_get_heap(ptmalloc);
    PmHeapIter iter;
    PmChunk chunk;
    guint64 last = 0;
    pm_heap_iter_init(&iter, heap, 0);
    for (guint i = 0; i < 100000 && pm_heap_iter_next(&iter, &chunk); i++) {
        PmChunk found;
        if (i > 0)
            g_assert_cmpuint(chunk.ordinal, >, last);
        g_assert_cmpuint(chunk.ordinal, <, pm_heap_get_ordinals(heap));
        last = chunk.ordinal;
        /* By its size field: a damaged top may have no user data in its region. */
        g_assert_true(pm_heap_find_chunk(heap, chunk.address - 1, &found, NULL));
        g_assert_cmphex(found.address, ==, chunk.address);
    }
    gsize count = 0;
    (void)pm_heap_get_regions(heap, &count);
    for (gsize i = 0; i < MIN(count, 16); i++)
        ask_region(heap, i);
    const PmArena *arenas = pm_ptmalloc_get_arenas(ptmalloc, &count);
    for (gsize i = 0; i < count; i++) {
        g_assert_true(arenas[i].threads != NULL || arenas[i].thread_count == 0);
        for (gsize j = 0; j < arenas[i].heap_count; j++) {
            PmTrim trim;
            pm_ptmalloc_measure_trim(ptmalloc, &arenas[i], j, &trim);
        }
    }
    PmMallocSettings settings;
    (void)pm_ptmalloc_get_settings(ptmalloc, &settings);
    pm_ptmalloc_get_sizes(ptmalloc, &count);
    pm_ptmalloc_get_runtime_chunks(ptmalloc, &count);
}

static void
ask_process(const PmProcess *process)
{
    gsize count = 0;
    const PmThread *threads = pm_process_get_threads(process, &count);
    for (gsize i = 0; i < MIN(count, 8); i++) {
        PmSymbol symbol;
        PmAddr block = 0;
        guint64 offset_bytes = 0;
        pm_process_symbolize(process, threads[i].pc, &symbol, &offset_bytes);
        for (guint64 modid = 0; modid < 4; modid++)
            pm_process_get_tls_block(process, &threads[i], modid, &block);
        pm_process_get_dtv_slots(process, &threads[i]);
    }
    const PmModule *modules = pm_process_get_modules(process, &count);
    for (gsize i = 0; i < count; i++)
        g_assert_nonnull(modules[i].path);
}

/* Regions never overlap, and each byte of them is counted once. */
static void
ask_regions(const PmSubject *subject)
{
    const PmRegionsOptions options = {.count_nonzero = TRUE, .jobs = 1};
    g_autoptr(PmRegions) regions = pm_regions_new(subject, &options);
    g_autoptr(GPtrArray) suspects = g_ptr_array_new_with_free_func((GDestroyNotify)pm_suspect_free);
    const PmFindingsInput input = {
        .subject = subject, .regions = regions, .again = "core", .jobs = 1};
    PmMemory memory;
    gsize count = 0;
    guint64 mapped_bytes = 0;
    const PmRegion *all = pm_regions_get(regions, &count);
    for (gsize i = 0; i < count; i++) {
        g_assert_cmphex(all[i].range.start, <, all[i].range.end);
        if (i > 0)
            g_assert_cmphex(all[i - 1].range.end, <=, all[i].range.start);
        g_assert_true(pm_regions_find(regions, all[i].range.start) == &all[i]);
        mapped_bytes += pm_region_mapped_bytes(&all[i]);
    }
    g_assert_cmpuint(mapped_bytes, ==,
                     pm_regions_get_total(regions, PM_REGION_KINDS)->mapped_bytes);
    pm_memory_account(subject, regions, &memory);
    g_assert_cmpuint(memory.total.mapped_bytes, ==, mapped_bytes);
    pm_regions_suspect(&input, suspects);
    g_autoptr(PmThreads) threads = pm_threads_new(subject, regions);
    for (gsize i = 0; i < threads->thread_count; i++)
        g_assert_cmpuint(threads->threads[i].group, <, threads->group_count);
}

static void
open_core(const char *path)
{
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(PmImage) image = pm_image_open(path, diagnostics, &error);
    g_assert_true((image == NULL) == (error != NULL));
    if (image == NULL)
        return;
    g_autoptr(PmProcess) process = pm_process_open(image, NULL, diagnostics, &error);
    g_assert_no_error(error);
    ask_process(process);
    ask_rtti(process);
    g_autoptr(PmPtmalloc) ptmalloc =
        pm_ptmalloc_walk(process, &(PmPtmallocOptions){.jobs = 1}, diagnostics, &error);
    g_assert_true((ptmalloc == NULL) == (error != NULL));
    if (ptmalloc != NULL)
        ask_heap(ptmalloc);
    ask_regions(&(PmSubject){
        .image = image, .process = process, .ptmalloc = ptmalloc, .diagnostics = diagnostics});
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int fd = memfd_create("fuzzed core", MFD_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, data, size), ==, (gssize)size);
    char path[64];
    g_snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    open_core(path);
    close(fd);
    return 0;
}
