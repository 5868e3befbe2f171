/* heapwalk/heap: the index against a naive model, an array with one entry a chunk, under random
 * tilings. */
#include "heap/builder.h"

#include <string.h>

/* What stands at one place of a region; the model of the index. */
typedef struct {
    PmAddr header;
    guint64 bytes;
    guint64 usable_bytes; /* of an mmapped chunk */
    gsize region;
    guint32 arena;
    PmChunkState state;
    gboolean is_gap;
    gboolean mmapped;
} Entry;

typedef struct {
    guint word_bytes;
    guint shift;
    GArray *entries; /* Entry, ascending */
    PmHeapBuilder *builder;
    PmHeap *heap;
    PmAddr next_region;
    gsize regions;
} Model;

static void
model_init(Model *model, guint word_bytes)
{
    *model = (Model){
        .word_bytes = word_bytes,
        .shift = word_bytes == 8 ? 4 : 3,
        .entries = g_array_new(FALSE, FALSE, sizeof(Entry)),
        .builder = pm_heap_builder_new(word_bytes),
        .next_region = 0x555500000000 >> (word_bytes == 8 ? 0 : 20),
    };
}

static void
model_clear(Model *model)
{
    pm_heap_free(model->heap);
    pm_heap_builder_free(model->builder);
    g_array_unref(model->entries);
}

static Entry *
get_entry(const Model *model, gsize index)
{
    return &g_array_index(model->entries, Entry, index);
}

/* Adds a region tiled by @tiles; their headers are filled in here. States other than bin and top
 * are given later. */
static void
model_add_region(Model *model, const Entry *tiles, gsize count, guint64 spare_bytes)
{
    guint64 bytes = 0;
    for (gsize i = 0; i < count; i++)
        bytes += tiles[i].bytes;
    const PmAddr start = model->next_region;
    const guint32 arena = (guint32)model->regions;
    g_autoptr(GError) error = NULL;
    PmRegionBuilder *region = pm_heap_builder_add_region(
        model->builder, start, start + bytes + spare_bytes, arena, &error);
    g_assert_no_error(error);

    PmAddr header = start;
    for (gsize i = 0; i < count; i++) {
        Entry entry = tiles[i];
        entry.header = header;
        entry.region = model->regions;
        entry.arena = arena;
        g_array_append_val(model->entries, entry);
        const guint64 granule = (header - start) >> model->shift;
        if (entry.is_gap)
            pm_region_put_special(region, granule, entry.bytes, PM_SPECIAL_GAP);
        else if (entry.state == PM_CHUNK_TOP)
            pm_region_put_special(region, granule, entry.bytes, PM_SPECIAL_TOP);
        else if (entry.state == PM_CHUNK_BIN)
            pm_region_put_bin(region, granule, entry.bytes);
        else
            pm_region_put(region, granule, entry.bytes);
        header += entry.bytes;
    }
    pm_heap_builder_end_region(model->builder, region, header);
    model->regions++;
    model->next_region = header + 0x1000 - (header & 0xff0);
}

static void
model_add_mmapped(Model *model, guint64 chunk_bytes, guint64 usable_bytes)
{
    const Entry entry = {
        .header = model->next_region,
        .bytes = chunk_bytes,
        .usable_bytes = usable_bytes,
        .region = model->regions++,
        .arena = PM_ARENA_NONE,
        .mmapped = TRUE,
    };
    g_array_append_val(model->entries, entry);
    pm_heap_builder_add_mmapped(model->builder, entry.header, chunk_bytes, usable_bytes);
    model->next_region += chunk_bytes + 0x1000;
}

/* Freezes, and gives the chunks the states that are known only afterwards. */
static void
model_freeze(Model *model)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) runtime = g_array_new(FALSE, FALSE, sizeof(PmAddr));
    model->heap = pm_heap_builder_freeze(model->builder, &error);
    g_assert_no_error(error);
    for (gsize i = 0; i < model->entries->len; i++) {
        const Entry *entry = get_entry(model, i);
        if (entry->is_gap || entry->mmapped)
            continue;
        if (entry->state == PM_CHUNK_RUNTIME)
            g_array_append_val(runtime, entry->header);
        if (entry->state == PM_CHUNK_TCACHE || entry->state == PM_CHUNK_FASTBIN) {
            PmChunk chunk;
            g_assert_cmpint(pm_heap_mark(model->heap, entry->header, entry->state, &chunk), ==,
                            PM_MARK_DONE);
            g_assert_cmpuint(chunk.chunk_bytes, ==, entry->bytes);
            g_assert_cmpint(pm_heap_mark(model->heap, entry->header, entry->state, NULL), ==,
                            PM_MARK_AGAIN);
        } else if (entry->state == PM_CHUNK_BIN || entry->state == PM_CHUNK_TOP) {
            g_assert_cmpint(pm_heap_mark(model->heap, entry->header, PM_CHUNK_TCACHE, NULL), ==,
                            PM_MARK_NOT_USED);
        }
    }
    pm_heap_mark_runtime(model->heap, (const PmAddr *)(gpointer)runtime->data, runtime->len);
}

static void
assert_chunk(const Model *model, const Entry *entry, const PmChunk *chunk)
{
    g_assert_cmphex(chunk->address, ==, entry->header + 2 * (guint64)model->word_bytes);
    g_assert_cmpuint(chunk->chunk_bytes, ==, entry->bytes);
    g_assert_cmpstr(pm_chunk_state_name(chunk->state), ==, pm_chunk_state_name(entry->state));
    g_assert_cmpuint(chunk->arena, ==, entry->arena);
    g_assert_cmpint(chunk->mmapped, ==, entry->mmapped);
    guint64 usable = entry->bytes - model->word_bytes;
    if (entry->mmapped)
        usable = entry->usable_bytes;
    else if (entry->state == PM_CHUNK_TOP)
        usable = 0;
    g_assert_cmpuint(chunk->usable_bytes, ==, usable);
}

/* Whether the last word of @entry's user data is the first word of what follows. */
static gboolean
reaches_past_its_end(const Entry *entry)
{
    return !entry->is_gap && !entry->mmapped && entry->state != PM_CHUNK_BIN &&
           entry->state != PM_CHUNK_TOP;
}

/* What the model says of @address, which lies in entry @index. NULL: no chunk. */
static const Entry *
model_find(const Model *model, gsize index, PmAddr address)
{
    const Entry *entry = get_entry(model, index);
    if (address - entry->header < model->word_bytes && index > 0) {
        const Entry *before = get_entry(model, index - 1);
        if (before->region == entry->region && reaches_past_its_end(before))
            return before;
    }
    return entry->is_gap ? NULL : entry;
}

static void
check_address(const Model *model, gsize index, PmAddr address)
{
    const Entry *expected = model_find(model, index, address);
    PmChunk chunk = {.address = 1};
    gint64 offset_bytes = 77;
    const gboolean found = pm_heap_find_chunk(model->heap, address, &chunk, &offset_bytes);
    g_assert_cmpint(found, ==, expected != NULL);
    if (expected == NULL) {
        g_assert_cmphex(chunk.address, ==, 1);
        return;
    }
    assert_chunk(model, expected, &chunk);
    g_assert_cmpint(offset_bytes, ==, (gint64)(address - chunk.address));
}

static void
check_finding(const Model *model)
{
    for (gsize i = 0; i < model->entries->len; i++) {
        const Entry *entry = get_entry(model, i);
        for (guint64 j = 0; j < 4 * (guint64)model->word_bytes && j < entry->bytes; j++) {
            check_address(model, i, entry->header + j);
            check_address(model, i, entry->header + entry->bytes - 1 - j);
        }
        for (guint j = 0; j < 8; j++) {
            const guint64 random =
                ((guint64)(guint32)g_test_rand_int() << 16) ^ (guint64)(guint32)g_test_rand_int();
            check_address(model, i, entry->header + random % MAX(entry->bytes, 1));
        }
    }
}

static void
check_iteration(const Model *model)
{
    PmHeapIter iter;
    PmChunk chunk;
    guint64 next_ordinal = 0;
    g_autofree gboolean *seen = g_new0(gboolean, pm_heap_get_ordinals(model->heap));
    pm_heap_iter_init(&iter, model->heap, 0);
    for (gsize i = 0; i < model->entries->len; i++) {
        const Entry *entry = get_entry(model, i);
        if (entry->is_gap)
            continue;
        g_assert_true(pm_heap_iter_next(&iter, &chunk));
        assert_chunk(model, entry, &chunk);
        g_assert_cmpuint(chunk.ordinal, >=, next_ordinal);
        g_assert_cmpuint(chunk.ordinal, <, pm_heap_get_ordinals(model->heap));
        g_assert_false(seen[chunk.ordinal]);
        seen[chunk.ordinal] = TRUE;
        next_ordinal = chunk.ordinal + 1;

        PmChunk found;
        g_assert_true(pm_heap_find_chunk(model->heap, chunk.address, &found, NULL));
        g_assert_cmpuint(found.ordinal, ==, chunk.ordinal);
    }
    g_assert_false(pm_heap_iter_next(&iter, &chunk));
    g_assert_false(pm_heap_iter_next(&iter, &chunk));
}

/* Iteration that starts at a region, and what lies before it. */
static void
check_region_start(const Model *model, gsize region, const Entry *first)
{
    PmHeapIter iter;
    PmChunk chunk;
    pm_heap_iter_init(&iter, model->heap, region);
    if (!first->is_gap) {
        g_assert_true(pm_heap_iter_next(&iter, &chunk));
        assert_chunk(model, first, &chunk);
    }
    g_assert_false(pm_heap_find_chunk(model->heap, first->header - 1, &chunk, NULL));
}

static void
check_regions(const Model *model)
{
    gsize count = 0;
    const PmHeapRegion *regions = pm_heap_get_regions(model->heap, &count);
    g_assert_cmpuint(count, ==, model->regions);
    for (gsize i = 0, entry = 0; i < count; i++) {
        const Entry *first = get_entry(model, entry);
        g_assert_cmphex(regions[i].range.start, ==, first->header);
        g_assert_cmpint(regions[i].mmapped, ==, first->mmapped);
        g_assert_cmpuint(regions[i].arena, ==, first->arena);
        while (entry < model->entries->len && get_entry(model, entry)->region == i)
            entry++;
        const Entry *last = get_entry(model, entry - 1);
        g_assert_cmphex(regions[i].range.end, >=, last->header + last->bytes);
        check_region_start(model, i, first);
    }
}

/* From an entry on: the first one of its region that is in a bin or a fastbin. Where one is near;
 * elsewhere of a few, for a search passes over all between. */
static void
check_free(const Model *model)
{
    const Entry *next = NULL;
    const gsize step = MAX(model->entries->len / 100, 1);
    for (gsize i = model->entries->len; i-- > 0;) {
        const Entry *entry = get_entry(model, i);
        if (next != NULL && next->region != entry->region)
            next = NULL;
        if (!entry->is_gap && !entry->mmapped &&
            (entry->state == PM_CHUNK_BIN || entry->state == PM_CHUNK_FASTBIN))
            next = entry;
        if (i % step != 0 && (next == NULL || entry->header + 4096 < next->header))
            continue;
        PmChunk chunk;
        const gboolean found = pm_heap_find_free(model->heap, entry->region, entry->header, &chunk);
        g_assert_cmpint(found, ==, next != NULL);
        if (next != NULL)
            assert_chunk(model, next, &chunk);
    }
}

static void
check_model(Model *model)
{
    model_freeze(model);
    check_regions(model);
    check_iteration(model);
    check_finding(model);
    check_free(model);
}

/* Sizes as heaps have them: mostly small, some around the limit from which chunks are listed apart.
 */
static guint64
random_granules(void)
{
    switch (g_test_rand_int_range(0, 40)) {
    case 0:
        return (guint64)g_test_rand_int_range(PM_HEAP_BIG_GRANULES - 2, PM_HEAP_BIG_GRANULES + 3);
    case 1:
        return (guint64)g_test_rand_int_range(5000, 40000);
    case 2:
    case 3:
        return (guint64)g_test_rand_int_range(60, 1100);
    default:
        return (guint64)g_test_rand_int_range(2, 20);
    }
}

static void
add_random_region(Model *model)
{
    const gsize count = (gsize)g_test_rand_int_range(1, 400);
    g_autofree Entry *tiles = g_new0(Entry, count);
    for (gsize i = 0; i < count; i++) {
        tiles[i].bytes = random_granules() << model->shift;
        const gint kind = g_test_rand_int_range(0, 12);
        if (kind == 0) {
            tiles[i].is_gap = TRUE;
            tiles[i].bytes = (guint64)g_test_rand_int_range(1, 5) << model->shift;
        } else {
            tiles[i].state = kind < 6 ? PM_CHUNK_USED : (PmChunkState)(kind - 6);
            if (tiles[i].state == PM_CHUNK_TOP)
                tiles[i].state = PM_CHUNK_USED;
        }
    }
    if (g_test_rand_bit())
        tiles[count - 1] =
            (Entry){.bytes = random_granules() << model->shift, .state = PM_CHUNK_TOP};
    model_add_region(model, tiles, count, g_test_rand_bit() ? 0x21000 : 0);
}

static void
test_random_tilings(gconstpointer data)
{
    for (guint round = 0; round < 30; round++) {
        Model model;
        model_init(&model, GPOINTER_TO_UINT(data));
        const gint regions = g_test_rand_int_range(1, 6);
        for (gint i = 0; i < regions; i++) {
            add_random_region(&model);
            if (g_test_rand_bit())
                model_add_mmapped(&model, 0x22000, 0x22000 - 2 * (guint64)model.word_bytes);
        }
        check_model(&model);
        model_clear(&model);
    }
}

/* The case that the index is for: nothing but smallest chunks; and its price. */
static void
test_smallest_chunks(void)
{
    const gsize count = 100000;
    Model model;
    model_init(&model, 8);
    g_autofree Entry *tiles = g_new0(Entry, count);
    for (gsize i = 0; i < count; i++)
        tiles[i] = (Entry){.bytes = 32, .state = i % 7 == 0 ? PM_CHUNK_TCACHE : PM_CHUNK_USED};
    model_add_region(&model, tiles, count, 0);
    check_model(&model);
    g_assert_cmpuint(pm_heap_get_ordinals(model.heap), ==, count);
    /* DESIGN.md: 37 million of them cost about 30 MB. */
    g_assert_cmpuint(pm_heap_get_index_bytes(model.heap), <, count * 30 / 37);
    model_clear(&model);
}

/* A chunk of more granules than a carry can say, then small ones in the same block. */
static void
test_huge_chunk(void)
{
    const guint64 huge = (G_GUINT64_CONSTANT(1) << 24) + 777;
    const Entry tiles[] = {
        {.bytes = 64},
        {.bytes = huge * 16},
        {.bytes = 32, .state = PM_CHUNK_FASTBIN},
        {.bytes = huge * 16, .state = PM_CHUNK_BIN},
        {.bytes = 48, .is_gap = TRUE},
        {.bytes = 32},
        {.bytes = 0x10000, .state = PM_CHUNK_TOP},
    };
    Model model;
    model_init(&model, 8);
    model_add_region(&model, tiles, G_N_ELEMENTS(tiles), 0);
    check_model(&model);
    model_clear(&model);
}

/* A region of one chunk; one that starts with a gap; one without any chunk, which is none. */
static void
test_small_regions(void)
{
    const Entry one[] = {{.bytes = 32}};
    const Entry gap_first[] = {{.bytes = 16, .is_gap = TRUE}, {.bytes = 32}};
    Model model;
    model_init(&model, 8);
    model_add_region(&model, one, 1, 0);
    model_add_region(&model, gap_first, 2, 0);
    const PmAddr start = model.next_region;
    PmRegionBuilder *dropped =
        pm_heap_builder_add_region(model.builder, start, start + 0x1000, 9, NULL);
    pm_heap_builder_end_region(model.builder, dropped, start);
    model.next_region += 0x1000;
    model_add_region(&model, one, 1, 0);
    check_model(&model);
    PmChunk chunk;
    g_assert_false(pm_heap_find_chunk(model.heap, start + 24, &chunk, NULL));
    g_assert_false(pm_heap_find_chunk(model.heap, 0, &chunk, NULL));
    g_assert_false(pm_heap_find_chunk(model.heap, PM_ADDR_NONE, &chunk, NULL));
    g_assert_cmpint(pm_heap_mark(model.heap, start, PM_CHUNK_TCACHE, NULL), ==, PM_MARK_NO_CHUNK);
    model_clear(&model);
}

/* The planes may end with the last chunk's start: "no chunk start at or after planes_end". */
static void
test_last_chunk_behind_planes(void)
{
    for (guint64 chunks = 30; chunks < 36; chunks++) {
        g_autoptr(PmHeapBuilder) builder = pm_heap_builder_new(8);
        const PmAddr start = 0x10000;
        PmRegionBuilder *region =
            pm_heap_builder_add_region(builder, start, start + chunks * 32 - 16, 0, NULL);
        for (guint64 i = 0; i < chunks; i++)
            pm_region_put(region, 2 * i, 32);
        pm_heap_builder_end_region(builder, region, start + chunks * 32);
        g_autoptr(PmHeap) heap = pm_heap_builder_freeze(builder, NULL);
        const PmAddr last = start + chunks * 32 - 32;
        g_assert_cmpint(pm_heap_mark(heap, last, PM_CHUNK_TCACHE, NULL), ==, PM_MARK_DONE);
        PmChunk chunk;
        g_assert_true(pm_heap_find_chunk(heap, last + 24, &chunk, NULL));
        g_assert_cmphex(chunk.address, ==, last + 16);
        g_assert_cmpuint(chunk.chunk_bytes, ==, 32);
        g_assert_cmpstr(pm_chunk_state_name(chunk.state), ==, "tcache");
    }
}

/* A hostile heap ends anywhere: what is less than a granule is no chunk and no gap. */
static void
test_ragged_end(void)
{
    for (guint64 rest = 1; rest < 16; rest++) {
        const PmAddr start = 0x10000;
        g_autoptr(PmHeapBuilder) builder = pm_heap_builder_new(8);
        PmRegionBuilder *region = pm_heap_builder_add_region(builder, start, start + 64, 0, NULL);
        pm_region_put(region, 0, 32);
        pm_region_put_special(region, 2, 16 + rest, PM_SPECIAL_GAP);
        pm_heap_builder_end_region(builder, region, start + 48 + rest);
        PmRegionBuilder *tiny =
            pm_heap_builder_add_region(builder, start + 0x1000, start + 0x1000 + rest, 0, NULL);
        pm_region_put_special(tiny, 0, rest, PM_SPECIAL_GAP);
        pm_heap_builder_end_region(builder, tiny, start + 0x1000 + rest);
        g_autoptr(PmHeap) heap = pm_heap_builder_freeze(builder, NULL);
        PmHeapIter iter;
        PmChunk chunk;
        pm_heap_iter_init(&iter, heap, 0);
        g_assert_true(pm_heap_iter_next(&iter, &chunk));
        g_assert_cmphex(chunk.address, ==, start + 16);
        g_assert_cmpuint(chunk.ordinal, <, pm_heap_get_ordinals(heap));
        g_assert_false(pm_heap_iter_next(&iter, &chunk));
    }
}

static void
test_empty(void)
{
    g_autoptr(PmHeapBuilder) builder = pm_heap_builder_new(8);
    g_autoptr(PmHeap) heap = pm_heap_builder_freeze(builder, NULL);
    PmHeapIter iter;
    PmChunk chunk;
    gsize count = 1;
    pm_heap_get_regions(heap, &count);
    g_assert_cmpuint(count, ==, 0);
    g_assert_cmpuint(pm_heap_get_ordinals(heap), ==, 0);
    pm_heap_iter_init(&iter, heap, 0);
    g_assert_false(pm_heap_iter_next(&iter, &chunk));
    g_assert_false(pm_heap_find_chunk(heap, 0x1000, &chunk, NULL));
}

static void
test_state_names(void)
{
    static const char *const names[PM_CHUNK_STATES] = {"used", "tcache", "fastbin",
                                                       "bin",  "top",    "runtime"};
    for (guint i = 0; i < PM_CHUNK_STATES; i++) {
        g_assert_cmpstr(pm_chunk_state_name((PmChunkState)i), ==, names[i]);
        g_assert_cmpint(pm_chunk_state_is_free((PmChunkState)i), ==,
                        i != PM_CHUNK_USED && i != PM_CHUNK_RUNTIME);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/heap/random-tilings/64-bit", GUINT_TO_POINTER(8), test_random_tilings);
    g_test_add_data_func("/heap/random-tilings/32-bit", GUINT_TO_POINTER(4), test_random_tilings);
    g_test_add_func("/heap/smallest-chunks", test_smallest_chunks);
    g_test_add_func("/heap/huge-chunk", test_huge_chunk);
    g_test_add_func("/heap/small-regions", test_small_regions);
    g_test_add_func("/heap/last-chunk-behind-planes", test_last_chunk_behind_planes);
    g_test_add_func("/heap/ragged-end", test_ragged_end);
    g_test_add_func("/heap/empty", test_empty);
    g_test_add_func("/heap/state-names", test_state_names);
    return g_test_run();
}
