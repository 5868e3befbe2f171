#include "heap-subject.h"

#include <string.h>

/* malloc_state, by the first version that has it. */
static const struct {
    guint word, since;
    gint fastbins;
    guint fastbin_count, top, bins, next, system_mem, bytes;
    gboolean has_attached; /* attached_threads, the word before system_mem */
} states[] = {
    {8, 10, 0x8, 10, 0x58, 0x68, 0x868, 0x878, 0x888, FALSE},
    {8, 23, 0x8, 10, 0x58, 0x68, 0x868, 0x880, 0x890, TRUE},
    {8, 27, 0x10, 10, 0x60, 0x70, 0x870, 0x888, 0x898, TRUE},
    {8, 43, -1, 0, 0x8, 0x18, 0x818, 0x830, 0x840, TRUE},
    {4, 10, 0x8, 10, 0x30, 0x38, 0x440, 0x448, 0x450, FALSE},
    {4, 23, 0x8, 10, 0x30, 0x38, 0x440, 0x44c, 0x454, TRUE},
    {4, 26, 0x8, 11, 0x34, 0x3c, 0x444, 0x450, 0x458, TRUE},
    {4, 27, 0xc, 11, 0x38, 0x40, 0x448, 0x454, 0x45c, TRUE},
    {4, 43, -1, 0, 0x8, 0x10, 0x418, 0x424, 0x42c, TRUE},
};

/* heap_info, and where the first chunk of a thread arena is. */
static const struct {
    guint word, since, bytes, first_chunk;
} heap_infos[] = {
    {8, 10, 0x20, 0x8b0}, {8, 27, 0x20, 0x8c0}, {8, 35, 0x30, 0x8d0}, {8, 43, 0x30, 0x870},
    {4, 10, 0x10, 0x460}, {4, 23, 0x10, 0x468}, {4, 26, 0x18, 0x478}, {4, 43, 0x18, 0x448},
};

/* malloc_par. */
static const struct {
    guint word, since, n_mmaps, mmapped_mem, sbrk_base, bytes;
} pars[] = {
    {8, 10, 0x28, 0x40, 0x58, 0x60}, {8, 15, 0x28, 0x38, 0x50, 0x58},
    {8, 24, 0x28, 0x38, 0x48, 0x50}, {8, 26, 0x28, 0x38, 0x48, 0x70},
    {8, 35, 0x3c, 0x50, 0x60, 0x88}, {8, 43, 0x44, 0x58, 0x68, 0x90},
    {8, 44, 0x44, 0x58, 0x68, 0x88}, {4, 10, 0x14, 0x28, 0x34, 0x38},
    {4, 15, 0x14, 0x24, 0x30, 0x34}, {4, 24, 0x14, 0x24, 0x2c, 0x30},
    {4, 26, 0x14, 0x24, 0x2c, 0x40}, {4, 35, 0x20, 0x30, 0x38, 0x4c},
    {4, 43, 0x24, 0x34, 0x3c, 0x50}, {4, 44, 0x24, 0x34, 0x3c, 0x4c},
};

/* tcache_perthread_struct. */
static const struct {
    guint word, since, bins, count_bytes, bytes, chunk_bytes, full;
} tcaches[] = {
    {8, 10, 0, 0, 0, 0, 0},           {8, 26, 64, 1, 0x240, 0x250, 0},
    {8, 30, 64, 2, 0x280, 0x290, 0},  {8, 42, 76, 2, 0x2f8, 0x300, 7},
    {8, 43, 76, 2, 0x2f8, 0x300, 16}, {4, 10, 0, 0, 0, 0, 0},
    {4, 26, 64, 1, 0x140, 0x150, 0},  {4, 30, 64, 2, 0x180, 0x190, 0},
    {4, 42, 76, 2, 0x1c8, 0x1d0, 7},  {4, 43, 76, 2, 0x1c8, 0x1d0, 16},
};

/* Sets @row to the last one of @table that @word and @minor have. */
#define FIND_ROW(table, row)                                                                       \
    do {                                                                                           \
        for (gsize i = 0; i < G_N_ELEMENTS(table); i++)                                            \
            if ((table)[i].word == word && (table)[i].since <= minor)                              \
                (row) = i;                                                                         \
    } while (0)

static HeapVersion
make_version(guint word, guint minor, gboolean new_mmapped)
{
    gsize state = 0, info = 0, par = 0, tcache = 0;
    FIND_ROW(states, state);
    FIND_ROW(heap_infos, info);
    FIND_ROW(pars, par);
    FIND_ROW(tcaches, tcache);
    return (HeapVersion){
        .word_bytes = word,
        .alignment = word == 4 && minor < 26 ? 8 : 16,
        .fastbins = states[state].fastbins,
        .fastbin_count = states[state].fastbin_count,
        .top = states[state].top,
        .bins = states[state].bins,
        .next = states[state].next,
        .attached_threads =
            states[state].has_attached ? (gint)(states[state].system_mem - word) : -1,
        .system_mem = states[state].system_mem,
        .state_bytes = states[state].bytes,
        .heap_info_bytes = heap_infos[info].bytes,
        .first_chunk = heap_infos[info].first_chunk,
        .n_mmaps = pars[par].n_mmaps,
        .mmapped_mem = pars[par].mmapped_mem,
        .sbrk_base = pars[par].sbrk_base,
        .par_bytes = pars[par].bytes,
        .tcache_bins = tcaches[tcache].bins,
        .tcache_count_bytes = tcaches[tcache].count_bytes,
        .tcache_struct_bytes = tcaches[tcache].bytes,
        .tcache_chunk_bytes = tcaches[tcache].chunk_bytes,
        .tcache_full = tcaches[tcache].full,
        .safe_linking = minor >= 32,
        .new_mmapped = new_mmapped,
    };
}

static const Places places_64 = {0x555555600000, 0x7fffe8000000, 0x4000000,      0x7ffff4200000,
                                 0x7ffff4500000, 0x7ffff4800000, 0x7ffff7d00000, 0x7ffffffde000};
static const Places places_32 = {0x57000000, 0xf6a00000, 0x100000,   0xf7610000,
                                 0xf76a0000, 0xf7710000, 0xf7c00000, 0xffee0000};

static const Sizes sizes_64 = {
    {0x20, 0x410, 0x50}, 0x20, 0xb0, 0xa0, 0x810, 0x190, 10, 80, 0x30, 0x410};
static const Sizes sizes_32_by_8 = {
    {0x18, 0x208, 0x10}, 0x10, 0x58, 0x48, 0x408, 0xd8, 9, 72, 0, 0};
static const Sizes sizes_32_by_16 = {
    {0x20, 0x410, 0x30}, 0x10, 0x60, 0x80, 0x410, 0xd0, 9, 65, 0x20, 0x400};

void
subject_init(Subject *subject, guint word, guint minor, gboolean new_mmapped)
{
    *subject = (Subject){.version = make_version(word, minor, new_mmapped)};
    subject->places = word == 8 ? &places_64 : &places_32;
    subject->sizes = word == 8 ? &sizes_64 : minor < 26 ? &sizes_32_by_8 : &sizes_32_by_16;
    subject->heap = heap_builder_new(&subject->version);
    const Places *places = subject->places;
    const guint32 writable = PF_R | PF_W;
    heap_builder_add_memory(subject->heap, places->brk, BRK_BYTES, writable);
    heap_builder_add_memory(subject->heap, places->heap, HEAP_BYTES, writable);
    heap_builder_add_memory(subject->heap, places->heap + places->heap_max, HEAP_BYTES, writable);
    heap_builder_add_memory(subject->heap, places->mmapped, MMAPPED_BYTES, writable);
    heap_builder_add_memory(subject->heap, places->segments, 2 * SEGMENT_BYTES, writable);
    heap_builder_add_memory(subject->heap, places->thread_stack, STACK_BYTES, writable);
    heap_builder_add_memory(subject->heap, places->libc + HEAP_PAGE, LIBC_TEXT - HEAP_PAGE,
                            PF_R | PF_X);
    heap_builder_add_memory(subject->heap, places->libc + LIBC_TEXT, LIBC_DATA, writable);
    heap_builder_add_memory(subject->heap, places->stack, STACK_BYTES, writable);
}

static guint64
get_data(const Subject *subject)
{
    return subject->places->libc + LIBC_TEXT;
}

guint64
subject_get_par(const Subject *subject)
{
    return get_data(subject) + PAR_OFFSET;
}

void
subject_clear(Subject *subject)
{
    heap_builder_free(subject->heap);
}

/* Chunks in use, in bins and in fastbins. */
static void
put_chunks(Subject *subject, guint number)
{
    HeapArena *arena = &subject->arenas[number];
    const Sizes *sizes = subject->sizes;
    for (gsize i = 0; i < G_N_ELEMENTS(sizes->used); i++)
        for (guint j = 0; j <= i; j++)
            heap_arena_put(arena, sizes->used[i], HEAP_USED);
    heap_arena_link_bin(arena, 1, heap_arena_put(arena, sizes->unsorted, HEAP_BIN), FALSE);
    for (guint i = 0; i < 2; i++) {
        heap_arena_put(arena, sizes->used[i], HEAP_USED);
        heap_arena_link_bin(arena, sizes->small_bin, heap_arena_put(arena, sizes->small, HEAP_BIN),
                            FALSE);
        heap_arena_put(arena, sizes->used[2], HEAP_USED);
        heap_arena_link_bin(arena, sizes->large_bin, heap_arena_put(arena, sizes->large, HEAP_BIN),
                            i == 0);
    }
    heap_arena_put(arena, sizes->used[0], HEAP_USED);
    for (guint i = 0; i < 3 && subject->version.fastbins >= 0; i++) {
        heap_arena_link_fastbin(arena, 0, heap_arena_put(arena, sizes->fast, HEAP_FASTBIN));
        heap_arena_link_fastbin(arena, subject->version.fastbin_count - 1,
                                heap_arena_put(arena, sizes->last_fast, HEAP_FASTBIN));
    }
    heap_arena_put(arena, sizes->used[1], HEAP_USED);
}

/* The tcache struct of @number's thread, and chunks in it: before 2.43 it comes first. */
static void
put_tcache(Subject *subject, guint number)
{
    HeapArena *arena = &subject->arenas[number];
    HeapBuilder *heap = subject->heap;
    const HeapVersion *version = &subject->version;
    if (version->tcache_bins == 0)
        return;
    if (version->tcache_full == 16)
        heap_arena_put(arena, subject->sizes->used[0], HEAP_USED);
    const guint64 tcache = heap_arena_put(arena, version->tcache_chunk_bytes, HEAP_RUNTIME);
    subject->tcaches[number] = tcache;
    heap_init_tcache(heap, tcache);
    for (guint i = 0; i < 5; i++) {
        heap_link_tcache(heap, tcache, 1,
                         heap_arena_put(arena, subject->sizes->tcache, HEAP_TCACHE));
        heap_arena_put(arena, subject->sizes->used[0], HEAP_USED);
    }
    heap_link_tcache(heap, tcache, 63,
                     heap_arena_put(arena, subject->sizes->last_tcache, HEAP_TCACHE));
    if (version->tcache_bins > 64) /* 0x800 to 0xfff; a tunable makes it serve */
        heap_link_tcache(heap, tcache, 65, heap_arena_put(arena, 0x900, HEAP_TCACHE));
}

void
subject_begin_main_arena(Subject *subject)
{
    HeapArena *arena = &subject->arenas[0];
    heap_arena_init(arena, subject->heap, get_data(subject) + ARENA_OFFSET, 0);
    heap_arena_begin(arena, subject->places->brk);
}

void
subject_end_main_arena(Subject *subject)
{
    HeapArena *arena = &subject->arenas[0];
    heap_arena_put_top(arena, subject->places->brk + BRK_BYTES);
    heap_arena_set_system_mem(arena, BRK_BYTES);
}

void
subject_fill_main_arena(Subject *subject)
{
    subject_begin_main_arena(subject);
    put_tcache(subject, 0);
    put_chunks(subject, 0);
    subject_end_main_arena(subject);
}

void
subject_fill_split_arena(Subject *subject)
{
    HeapArena *arena = &subject->arenas[0];
    const guint64 second = subject->places->segments + SEGMENT_BYTES;
    heap_arena_init(arena, subject->heap, get_data(subject) + ARENA_OFFSET, 0);
    heap_put_u32(subject->heap, arena->state + 4, 2); /* flags: NONCONTIGUOUS */
    heap_arena_begin(arena, subject->places->brk);
    put_tcache(subject, 0);
    put_chunks(subject, 0);
    heap_arena_close_segment(arena, subject->places->brk + BRK_BYTES, 1);
    heap_arena_begin(arena, subject->places->segments);
    heap_arena_put(arena, subject->sizes->used[1], HEAP_USED);
    heap_arena_close_segment(arena, second, 1);
    heap_arena_begin(arena, second);
    heap_arena_put(arena, subject->sizes->used[0], HEAP_USED);
    heap_arena_put_top(arena, second + SEGMENT_BYTES);
    heap_arena_set_system_mem(arena, BRK_BYTES + 2 * SEGMENT_BYTES);
}

void
subject_fill_thread_arena(Subject *subject, guint64 left)
{
    HeapArena *arena = &subject->arenas[1];
    const guint64 first = subject->places->heap;
    const guint64 second = first + subject->places->heap_max;
    heap_arena_init(arena, subject->heap, first + subject->version.heap_info_bytes, 1);
    heap_arena_begin_heap(arena, first, 0, HEAP_BYTES);
    put_tcache(subject, 1);
    put_chunks(subject, 1);
    heap_arena_put(
        arena, (first + HEAP_BYTES - left - arena->at) & ~(guint64)(subject->version.alignment - 1),
        HEAP_USED);
    heap_arena_close_heap(arena, first + HEAP_BYTES, 1);
    heap_arena_begin_heap(arena, second, first, HEAP_BYTES);
    heap_arena_put(arena, subject->sizes->used[1], HEAP_USED);
    heap_arena_put_top(arena, second + HEAP_BYTES);
    heap_arena_set_system_mem(arena, 2 * HEAP_BYTES);
    heap_arena_join(&subject->arenas[0], arena);
}

void
subject_fill_rest(Subject *subject)
{
    const guint64 mmapped = subject->places->mmapped;
    heap_put_mmapped(subject->heap, mmapped, 0x21000, 0);
    heap_put_mmapped(subject->heap, mmapped + 0x21000, 0x22000, 0);
    heap_put_mmapped(subject->heap, mmapped + 0x43000, 0x30000, 0x100);
    heap_put_par(subject->heap, subject_get_par(subject), subject->places->brk);
}

void
subject_fill(Subject *subject)
{
    subject_fill_main_arena(subject);
    subject_fill_thread_arena(subject, 0x430);
    subject_fill_rest(subject);
}

/* A thread whose TLS, at the end of its stack, holds tcache and thread_arena. */
static void
add_thread(const Subject *subject, CoreBuilder *core, guint number)
{
    HeapBuilder *heap = subject->heap;
    const guint64 word = subject->version.word_bytes;
    const guint64 stack = number == 0 ? subject->places->stack : subject->places->thread_stack;
    const guint64 tp = stack + 3 * HEAP_PAGE;
    const guint64 block = tp - 0x80;
    const guint64 dtv = stack + 2 * HEAP_PAGE + 0x40;
    heap_put_word(heap, tp, tp);
    heap_put_word(heap, tp + word, dtv);
    heap_put_word(heap, tp + 2 * word, tp);
    heap_put_word(heap, dtv - 2 * word, 1); /* slots */
    heap_put_word(heap, dtv + 2 * word, block);
    heap_put_word(heap, block + 6 * word, subject->tcaches[number]);
    heap_put_word(heap, block + 8 * word, subject->arenas[number].state);
    core_builder_add_prstatus(
        core, &(CoreThread){.tid = 100 + number, .signal = 6, .sp = stack + 0x800, .tp = tp});
}

CoreFile *
subject_write_core(const Subject *subject, gsize threads, const char *banner)
{
    const guint64 libc = subject->places->libc;
    const CoreFileMapping mappings[] = {
        {libc, libc + LIBC_TEXT, 0, "/nonexistent/libc.so.6"},
        {libc + LIBC_TEXT, libc + LIBC_TEXT + LIBC_DATA, 4, "/nonexistent/libc.so.6"},
    };
    g_autoptr(CoreBuilder) core =
        core_builder_new(subject->version.word_bytes == 8 ? EM_X86_64 : EM_386);
    if (banner != NULL)
        heap_put_bytes(subject->heap, libc + HEAP_PAGE, banner, strlen(banner));
    for (guint i = 0; i < threads; i++)
        add_thread(subject, core, i);
    core_builder_add_file_mappings(core, mappings, G_N_ELEMENTS(mappings));
    /* The page with libc's ELF header is not in the core. */
    core_builder_add_segment(
        core, &(CoreSegment){.start = libc, .mapped_bytes = HEAP_PAGE, .flags = PF_R | PF_X});
    heap_builder_add_segments(subject->heap, core);
    return core_builder_write_temp(core);
}
