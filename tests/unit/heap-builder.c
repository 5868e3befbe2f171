#include "heap-builder.h"

#include <string.h>

#define PREV_INUSE     1u
#define IS_MMAPPED     2u
#define NON_MAIN_ARENA 4u

#define NONCONTIGUOUS 2u
#define BINS          127u

typedef struct {
    guint64 start;
    guint64 bytes;
    guint32 flags;
    guint8 *content;
} Memory;

struct HeapBuilder {
    const HeapVersion *version;
    GArray *memory; /* Memory */
    GArray *chunks; /* HeapChunk */
    guint n_mmaps;
    guint64 mmapped_bytes;
};

static void
memory_clear(gpointer data)
{
    g_free(((Memory *)data)->content);
}

HeapBuilder *
heap_builder_new(const HeapVersion *version)
{
    HeapBuilder *heap = g_new0(HeapBuilder, 1);
    heap->version = version;
    heap->memory = g_array_new(FALSE, FALSE, sizeof(Memory));
    heap->chunks = g_array_new(FALSE, FALSE, sizeof(HeapChunk));
    g_array_set_clear_func(heap->memory, memory_clear);
    return heap;
}

void
heap_builder_free(HeapBuilder *heap)
{
    g_array_unref(heap->memory);
    g_array_unref(heap->chunks);
    g_free(heap);
}

void
heap_builder_add_memory(HeapBuilder *heap, guint64 start, guint64 bytes, guint32 flags)
{
    const Memory memory = {start, bytes, flags, g_malloc0(bytes)};
    g_array_append_val(heap->memory, memory);
}

void
heap_builder_add_segments(const HeapBuilder *heap, CoreBuilder *core)
{
    for (guint i = 0; i < heap->memory->len; i++) {
        const Memory *memory = &g_array_index(heap->memory, Memory, i);
        core_builder_add_segment(core, &(CoreSegment){.start = memory->start,
                                                      .mapped_bytes = memory->bytes,
                                                      .dumped_bytes = memory->bytes,
                                                      .flags = memory->flags,
                                                      .bytes = memory->content,
                                                      .bytes_count = memory->bytes});
    }
}

/* The bytes at @address, @count of which must be there: a test that writes elsewhere is wrong. */
static guint8 *
find_bytes(const HeapBuilder *heap, guint64 address, gsize count)
{
    for (guint i = 0; i < heap->memory->len; i++) {
        const Memory *memory = &g_array_index(heap->memory, Memory, i);
        if (address >= memory->start && address - memory->start + count <= memory->bytes)
            return memory->content + (address - memory->start);
    }
    g_error("a test writes outside its memory, at 0x%" G_GINT64_MODIFIER "x", address);
}

void
heap_put_bytes(HeapBuilder *heap, guint64 address, const void *bytes, gsize count)
{
    memcpy(find_bytes(heap, address, count), bytes, count);
}

void
heap_put_u32(HeapBuilder *heap, guint64 address, guint32 value)
{
    value = GUINT32_TO_LE(value);
    heap_put_bytes(heap, address, &value, sizeof value);
}

void
heap_put_word(HeapBuilder *heap, guint64 address, guint64 value)
{
    value = GUINT64_TO_LE(value);
    heap_put_bytes(heap, address, &value, heap->version->word_bytes);
}

guint64
heap_get_word(const HeapBuilder *heap, guint64 address)
{
    const guint word = heap->version->word_bytes;
    guint64 value = 0;
    memcpy(&value, find_bytes(heap, address, word), word);
    return GUINT64_FROM_LE(value);
}

static gint
compare_chunks(gconstpointer a, gconstpointer b)
{
    const HeapChunk *left = a;
    const HeapChunk *right = b;
    return left->address < right->address ? -1 : left->address > right->address;
}

const HeapChunk *
heap_builder_get_chunks(HeapBuilder *heap, gsize *ret_count)
{
    g_array_sort(heap->chunks, compare_chunks);
    *ret_count = heap->chunks->len;
    return (const HeapChunk *)(gpointer)heap->chunks->data;
}

/* The link at @position to @target, as the version stores it. */
static guint64
encode_link(const HeapBuilder *heap, guint64 position, guint64 target)
{
    return heap->version->safe_linking ? position >> 12 ^ target : target;
}

void
heap_arena_init(HeapArena *arena, HeapBuilder *heap, guint64 state, guint number)
{
    const HeapVersion *version = heap->version;
    const guint word = version->word_bytes;
    *arena = (HeapArena){.heap = heap, .state = state, .number = number};
    heap_put_u32(heap, state + 4, number != 0 ? NONCONTIGUOUS : 0);
    for (guint i = 0; i < BINS; i++) {
        const guint64 slot = state + version->bins + (guint64)2 * i * word;
        heap_put_word(heap, slot, slot - (guint64)2 * word);
        heap_put_word(heap, slot + word, slot - (guint64)2 * word);
    }
    heap_put_word(heap, state + version->next, state);
    if (version->attached_threads >= 0)
        heap_put_word(heap, state + (guint)version->attached_threads, 1);
}

void
heap_arena_join(const HeapArena *arena, const HeapArena *other)
{
    const guint next = arena->heap->version->next;
    heap_put_word(arena->heap, arena->state + next, other->state);
    heap_put_word(arena->heap, other->state + next, arena->state);
}

void
heap_arena_set_system_mem(const HeapArena *arena, guint64 bytes)
{
    const HeapVersion *version = arena->heap->version;
    heap_put_word(arena->heap, arena->state + version->system_mem, bytes);
    /* max_system_mem: there was a page more once. */
    heap_put_word(arena->heap, arena->state + version->system_mem + version->word_bytes,
                  bytes + HEAP_PAGE);
}

void
heap_arena_begin(HeapArena *arena, guint64 start)
{
    const HeapVersion *version = arena->heap->version;
    const guint64 header = (guint64)2 * version->word_bytes;
    const guint64 mask = version->alignment - 1;
    arena->at = ((start + header + mask) & ~mask) - header;
    arena->previous_bytes = 0;
}

void
heap_arena_begin_heap(HeapArena *arena, guint64 start, guint64 previous, guint64 bytes)
{
    HeapBuilder *heap = arena->heap;
    const guint word = heap->version->word_bytes;
    heap_put_word(heap, start, arena->state);
    heap_put_word(heap, start + word, previous);
    heap_put_word(heap, start + (guint64)2 * word, bytes);
    heap_put_word(heap, start + (guint64)3 * word, bytes); /* mprotect_size */
    arena->at =
        start + (previous == 0 ? heap->version->first_chunk : heap->version->heap_info_bytes);
    arena->previous_bytes = 0;
}

/* Writes a header at the arena's position, with what it says of the chunk before it. */
static void
put_header(HeapArena *arena, guint64 bytes, guint64 flags)
{
    const guint word = arena->heap->version->word_bytes;
    if (arena->previous_bytes != 0)
        heap_put_word(arena->heap, arena->at, arena->previous_bytes);
    else
        flags |= PREV_INUSE;
    heap_put_word(arena->heap, arena->at + word, bytes | flags);
    arena->previous_bytes = 0;
}

/* Notes the chunk at the arena's position, and steps behind it. */
static guint64
note_chunk(HeapArena *arena, guint64 bytes, HeapState state)
{
    const guint word = arena->heap->version->word_bytes;
    const HeapChunk chunk = {
        .address = arena->at + (guint64)2 * word,
        .bytes = bytes,
        .usable_bytes = state == HEAP_TOP ? 0 : bytes - word,
        .state = state,
        .arena = (gint)arena->number,
    };
    g_array_append_val(arena->heap->chunks, chunk);
    arena->at += bytes;
    if (state == HEAP_BIN)
        arena->previous_bytes = bytes;
    return chunk.address;
}

guint64
heap_arena_put(HeapArena *arena, guint64 bytes, HeapState state)
{
    HeapBuilder *heap = arena->heap;
    const guint word = heap->version->word_bytes;
    /* Chunks on a bin's list have lost the flag. */
    put_header(arena, bytes, arena->number != 0 && state != HEAP_BIN ? NON_MAIN_ARENA : 0);
    /* User data of no meaning, up to the next header's size field. */
    memset(find_bytes(heap, arena->at + (guint64)2 * word, bytes - word), 0x5a, bytes - word);
    return note_chunk(arena, bytes, state);
}

void
heap_arena_put_top(HeapArena *arena, guint64 end)
{
    put_header(arena, end - arena->at, 0);
    heap_put_word(arena->heap, arena->state + arena->heap->version->top, arena->at);
    note_chunk(arena, end - arena->at, HEAP_TOP);
}

/* malloc.c, sysmalloc: MINSIZE less, and rounded down. What rounding leaves over lies at the end.
 */
void
heap_arena_close_heap(HeapArena *arena, guint64 end, guint bin)
{
    HeapBuilder *heap = arena->heap;
    const HeapVersion *version = heap->version;
    const guint64 unit = (guint64)2 * version->word_bytes;
    const guint64 minimum = 2 * unit;
    const guint64 bytes = (end - arena->at - minimum) & ~(guint64)(version->alignment - 1);

    heap_put_word(heap, arena->at + bytes + unit + version->word_bytes, 0 | PREV_INUSE);
    if (bytes >= minimum) {
        heap_arena_link_bin(arena, bin, heap_arena_put(arena, bytes, HEAP_BIN), FALSE);
        put_header(arena, unit, 0);
    } else {
        put_header(arena, bytes + unit, 0);
        heap_put_word(heap, arena->at + bytes + unit, bytes + unit); /* set_foot */
    }
}

void
heap_arena_close_segment(HeapArena *arena, guint64 end, guint bin)
{
    const HeapVersion *version = arena->heap->version;
    const guint64 unit = (guint64)2 * version->word_bytes;
    const guint64 bytes = (end - arena->at - 2 * unit) & ~(guint64)(version->alignment - 1);
    heap_arena_link_bin(arena, bin, heap_arena_put(arena, bytes, HEAP_BIN), FALSE);
    put_header(arena, unit, 0);
    arena->at += unit;
    put_header(arena, unit, 0);
    arena->at += unit;
}

void
heap_arena_link_bin(const HeapArena *arena, guint bin, guint64 user, gboolean large)
{
    HeapBuilder *heap = arena->heap;
    const guint word = heap->version->word_bytes;
    const guint64 chunk = user - (guint64)2 * word;
    const guint64 head =
        arena->state + heap->version->bins + (guint64)2 * (bin - 1) * word - (guint64)2 * word;
    const guint64 last = heap_get_word(heap, head + (guint64)3 * word);
    heap_put_word(heap, user, head);
    heap_put_word(heap, user + word, last);
    heap_put_word(heap, last + (guint64)2 * word, chunk);
    heap_put_word(heap, head + (guint64)3 * word, chunk);
    if (large) {
        heap_put_word(heap, user + (guint64)2 * word, chunk);
        heap_put_word(heap, user + (guint64)3 * word, chunk);
    }
}

void
heap_arena_link_fastbin(const HeapArena *arena, guint index, guint64 user)
{
    HeapBuilder *heap = arena->heap;
    const guint word = heap->version->word_bytes;
    const guint64 slot = arena->state + (guint)heap->version->fastbins + (guint64)index * word;
    g_assert_cmpuint(index, <, heap->version->fastbin_count);
    heap_put_word(heap, user, encode_link(heap, user, heap_get_word(heap, slot)));
    heap_put_word(heap, slot, user - (guint64)2 * word);
}

static void
put_count(HeapBuilder *heap, guint64 tcache, guint bin, guint count)
{
    const guint16 value = GUINT16_TO_LE((guint16)count);
    const guint bytes = heap->version->tcache_count_bytes;
    heap_put_bytes(heap, tcache + (guint64)bin * bytes, &value, bytes);
}

void
heap_init_tcache(HeapBuilder *heap, guint64 tcache)
{
    const HeapVersion *version = heap->version;
    memset(find_bytes(heap, tcache, version->tcache_struct_bytes), 0, version->tcache_struct_bytes);
    for (guint i = 0; i < version->tcache_bins; i++)
        put_count(heap, tcache, i, version->tcache_full);
}

void
heap_link_tcache(HeapBuilder *heap, guint64 tcache, guint bin, guint64 user)
{
    const HeapVersion *version = heap->version;
    const guint word = version->word_bytes;
    const guint64 counts = (guint64)version->tcache_bins * version->tcache_count_bytes;
    const guint64 slot = tcache + counts + (guint64)bin * word;
    guint8 count = *find_bytes(heap, tcache + (guint64)bin * version->tcache_count_bytes, 1);
    count = (guint8)(version->tcache_full != 0 ? count - 1 : count + 1);
    put_count(heap, tcache, bin, count);
    heap_put_word(heap, user, encode_link(heap, user, heap_get_word(heap, slot)));
    heap_put_word(heap, user + word, tcache); /* the key of 2.29; any word before and after it */
    heap_put_word(heap, slot, user);
}

/* Writes the head of an mmapped chunk @offset behind @base. */
static guint64
put_mmapped_head(HeapBuilder *heap, guint64 base, guint64 bytes, guint64 offset)
{
    const guint word = heap->version->word_bytes;
    guint64 size = bytes - offset;
    if (heap->version->new_mmapped)
        size -= (guint64)2 * word;
    heap_put_word(heap, base + offset, offset);
    heap_put_word(heap, base + offset + word, size | IS_MMAPPED);
    return size;
}

guint64
heap_put_mmapped(HeapBuilder *heap, guint64 base, guint64 bytes, guint64 alignment)
{
    const HeapVersion *version = heap->version;
    const guint64 header = (guint64)2 * version->word_bytes;
    guint64 offset = version->alignment - header; /* so that user data is aligned */
    guint64 size = put_mmapped_head(heap, base, bytes, offset);
    if (alignment != 0) {
        offset = alignment - header;
        size = put_mmapped_head(heap, base, bytes, offset);
    }
    const HeapChunk chunk = {
        .address = base + offset + header,
        .bytes = size,
        .usable_bytes = size - (version->new_mmapped ? version->word_bytes : header),
        .state = HEAP_USED,
        .arena = -1,
    };
    g_array_append_val(heap->chunks, chunk);
    heap->n_mmaps++;
    heap->mmapped_bytes += bytes;
    return chunk.address;
}

void
heap_put_par(HeapBuilder *heap, guint64 address, guint64 sbrk_base)
{
    const HeapVersion *version = heap->version;
    const guint word = version->word_bytes;
    heap_put_word(heap, address, 0x20000);                               /* trim_threshold */
    heap_put_word(heap, address + word, 0x20000);                        /* top_pad */
    heap_put_word(heap, address + (guint64)2 * word, 0x20000);           /* mmap_threshold */
    heap_put_word(heap, address + (guint64)3 * word, word == 8 ? 8 : 2); /* arena_test */
    heap_put_u32(heap, address + version->n_mmaps, heap->n_mmaps);
    heap_put_u32(heap, address + version->n_mmaps + 4, 0x10000); /* n_mmaps_max */
    heap_put_u32(heap, address + version->n_mmaps + 8, heap->n_mmaps);
    heap_put_word(heap, address + version->mmapped_mem, heap->mmapped_bytes);
    /* max_mmapped_mem: there was more once. */
    heap_put_word(heap, address + version->mmapped_mem + word, heap->mmapped_bytes + HEAP_PAGE);
    heap_put_word(heap, address + version->sbrk_base, sbrk_base);
    if (version->tcache_bins != 0) { /* the tcache's fields follow */
        heap_put_word(heap, address + version->sbrk_base + word, 64);
        heap_put_word(heap, address + version->sbrk_base + (guint64)2 * word, 0x409);
        heap_put_word(heap, address + version->sbrk_base + (guint64)3 * word, 7);
    }
}
