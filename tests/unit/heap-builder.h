/*
 * Builds the memory of glibc's malloc for tests, word by word as malloc.c would have left it:
 * main arena and mp_, brk heap, thread heaps, bins, fastbins, tcaches, mmapped chunks. Every chunk
 * that is put is also noted, so that a test can compare the whole list. Where fields are comes from
 * the caller; nothing here knows the tables of heapwalk/ptmalloc.
 */
#pragma once

#include "core-builder.h"

#define HEAP_PAGE G_GUINT64_CONSTANT(4096)

/*
 * Where one version of glibc keeps its fields, on one word size.
 *
 * @fastbins: offset, or −1. @attached_threads: offset, or −1. @heap_info_bytes:
 * sizeof(heap_info). @first_chunk: from the start of a thread arena's first heap.
 * @par_bytes: sizeof(malloc_par). @tcache_bins: 0 where there is no tcache.
 * @tcache_full: the slots of an empty bin where the struct counts what is left (2.42 and later), 0
 * where it counts what is there. @safe_linking: links of free chunks are masked.
 * @new_mmapped: size does not count the two header words of an mmapped chunk.
 */
typedef struct {
    guint word_bytes;
    guint alignment;
    gint fastbins;
    guint fastbin_count;
    guint top;
    guint bins;
    guint next;
    gint attached_threads;
    guint system_mem;
    guint state_bytes;
    guint heap_info_bytes;
    guint first_chunk;
    guint n_mmaps;
    guint mmapped_mem;
    guint sbrk_base;
    guint par_bytes;
    guint tcache_bins;
    guint tcache_count_bytes;
    guint tcache_struct_bytes;
    guint tcache_chunk_bytes;
    guint tcache_full;
    gboolean safe_linking;
    gboolean new_mmapped;
} HeapVersion;

typedef enum {
    HEAP_USED,
    HEAP_TCACHE,
    HEAP_FASTBIN,
    HEAP_BIN,
    HEAP_TOP,
    HEAP_RUNTIME,
} HeapState;

/* One chunk that was put. @address: user pointer. @arena: its number, or −1 where it is mmapped. */
typedef struct {
    guint64 address;
    guint64 bytes;
    guint64 usable_bytes;
    HeapState state;
    gint arena;
} HeapChunk;

typedef struct HeapBuilder HeapBuilder;

/* @version: borrowed. */
HeapBuilder *heap_builder_new(const HeapVersion *version);
void heap_builder_free(HeapBuilder *heap);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HeapBuilder, heap_builder_free)

/* Memory of zeros at @start that can be written to from now on; a segment of the core. In ascending
 * order of address. */
void heap_builder_add_memory(HeapBuilder *heap, guint64 start, guint64 bytes, guint32 flags);

/* Adds all memory as segments to @core, which borrows it. */
void heap_builder_add_segments(const HeapBuilder *heap, CoreBuilder *core);

void heap_put_word(HeapBuilder *heap, guint64 address, guint64 value);
void heap_put_u32(HeapBuilder *heap, guint64 address, guint32 value);
void heap_put_bytes(HeapBuilder *heap, guint64 address, const void *bytes, gsize count);
guint64 heap_get_word(const HeapBuilder *heap, guint64 address);

/* What was put so far, ascending by address; @ret_count of them. Borrowed. */
const HeapChunk *heap_builder_get_chunks(HeapBuilder *heap, gsize *ret_count);

/*
 * An arena while chunks are put into it one behind the other.
 *
 * @state: its malloc_state. @number: its place in the ring, main_arena is 0. @at: where the next
 * chunk's header goes. @previous_bytes: of the free chunk in a bin that ends there, or 0.
 */
typedef struct {
    HeapBuilder *heap;
    guint64 state;
    guint number;
    guint64 at;
    guint64 previous_bytes;
} HeapArena;

/* Writes an empty malloc_state at @state, linked to itself. Any other than @number 0 is a thread's.
 */
void heap_arena_init(HeapArena *arena, HeapBuilder *heap, guint64 state, guint number);

/* Links @arena and @other, each alone so far, into one ring. */
void heap_arena_join(const HeapArena *arena, const HeapArena *other);

void heap_arena_set_system_mem(const HeapArena *arena, guint64 bytes);

/* Begins a stretch of chunks: the first header at or behind @start whose user data is aligned. */
void heap_arena_begin(HeapArena *arena, guint64 start);

/* Writes the heap_info at @start, with @previous before it (0: none), and begins behind it, and
 * behind the malloc_state where it is there. */
void heap_arena_begin_heap(HeapArena *arena, guint64 start, guint64 previous, guint64 bytes);

/* Puts a chunk of @bytes; its lists are the caller's. Returns: its user pointer. */
guint64 heap_arena_put(HeapArena *arena, guint64 bytes, HeapState state);

/* Ends with top, which reaches to @end. */
void heap_arena_put_top(HeapArena *arena, guint64 end);

/*
 * Ends a thread heap at @end as sysmalloc does when it makes the next one: what was top becomes a
 * free chunk in bin @bin, where it is large enough, a fencepost and a head of size 0.
 */
void heap_arena_close_heap(HeapArena *arena, guint64 end, guint bin);

/* The same for a stretch of a main arena: two fenceposts. */
void heap_arena_close_segment(HeapArena *arena, guint64 end, guint bin);

/* Links the chunk at @user at the end of bin @bin; @large with the ring of its sizes. */
void heap_arena_link_bin(const HeapArena *arena, guint bin, guint64 user, gboolean large);

/* Puts @user first into fastbin @index. */
void heap_arena_link_fastbin(const HeapArena *arena, guint index, guint64 user);

/* Writes an empty tcache struct into the chunk at @tcache; puts @user first into its bin @bin. */
void heap_init_tcache(HeapBuilder *heap, guint64 tcache);
void heap_link_tcache(HeapBuilder *heap, guint64 tcache, guint bin, guint64 user);

/*
 * Writes an mmapped chunk into the mapping of @bytes at @base; aligned to @alignment as memalign
 * does, with the first header left as it was, where that is not 0. Returns: its user pointer.
 */
guint64 heap_put_mmapped(HeapBuilder *heap, guint64 base, guint64 bytes, guint64 alignment);

/*
 * Writes the struct malloc_par at @address, with the defaults of malloc.c, and the counters for
 * what heap_put_mmapped() put.
 */
void heap_put_par(HeapBuilder *heap, guint64 address, guint64 sbrk_base);
