/*
 * A process of any version of glibc since 2.10, on 64 bit or i386, with two threads and their
 * arenas, in which every kind of chunk occurs: what test-layouts.c compares. The offsets stand
 * here once more, as measured, so that a wrong one in layout.c is seen.
 */
#pragma once

#include "heap-builder.h"

/* Where things are; the first heaps are at multiples of HEAP_MAX_SIZE. */
typedef struct {
    guint64 brk, heap, heap_max, mmapped, segments, thread_stack, libc, stack;
} Places;

/* Sizes that a version's alignment allows, with the bins that they belong into. */
typedef struct {
    guint64 used[3];
    guint64 fast, last_fast; /* fastbins 0 and the last one */
    guint64 small, large, unsorted;
    guint small_bin, large_bin;
    guint64 tcache, last_tcache; /* bins 1 and 63 */
} Sizes;

#define BRK_BYTES  (16 * HEAP_PAGE)
#define HEAP_BYTES (8 * HEAP_PAGE)
/* Each of two. */
#define SEGMENT_BYTES (6 * HEAP_PAGE)
#define STACK_BYTES   (4 * HEAP_PAGE)
#define LIBC_TEXT     (4 * HEAP_PAGE)
#define LIBC_DATA     (4 * HEAP_PAGE)
/* Two in one region, and one that memalign aligned. */
#define MMAPPED_BYTES (0x21000 + 0x22000 + 0x30000)

#define PAR_OFFSET   0x180u
#define ARENA_OFFSET 0xac0u

typedef struct {
    HeapVersion version;
    const Places *places;
    const Sizes *sizes;
    HeapBuilder *heap;
    HeapArena arenas[2];
    guint64 tcaches[2];
} Subject;

/* @word: 8 or 4. @minor: of the version. @new_mmapped: mmapped chunks in the form of 2.43. Memory
 * that is empty so far; subject_clear() frees it. */
void subject_init(Subject *subject, guint word, guint minor, gboolean new_mmapped);
void subject_clear(Subject *subject);

/* The brk heap, into which the caller puts chunks (heap_arena_put() of arenas[0]) up to
 * places->brk + BRK_BYTES, and what is left becomes the top. */
void subject_begin_main_arena(Subject *subject);
void subject_end_main_arena(Subject *subject);

/* The brk heap with chunks of every kind, and the arena of it. */
void subject_fill_main_arena(Subject *subject);

/* The same of an arena that brk did not serve any more: its top is in the second of two mappings.
 * Its memory is BRK_BYTES and twice SEGMENT_BYTES. */
void subject_fill_split_arena(Subject *subject);

/* A first heap that is full, and a second one with top. @left: what remains of the first one for
 * its closing. */
void subject_fill_thread_arena(Subject *subject, guint64 left);

/* Mmapped chunks, and mp_ at subject_get_par(). */
void subject_fill_rest(Subject *subject);

/* A process with all of it: the main arena, that of a thread, and the rest. */
void subject_fill(Subject *subject);

guint64 subject_get_par(const Subject *subject);

/* The core of it. @threads: how many of the two it has. @banner: what libc's read-only data says,
 * or NULL. */
CoreFile *subject_write_core(const Subject *subject, gsize threads, const char *banner);
