/*
 * Where glibc's malloc keeps its fields, by version and word size. Offsets were measured from the
 * DWARF of Debian's libcs (2.31, 2.36, 2.41, 2.43, 2.44) and from malloc/malloc.c and
 * malloc/arena.c of the versions between.
 */
#pragma once

#include <glib.h>

/* The last version of a range that is still open: what is not written yet is taken to be like the
 * newest. */
#define PM_VERSION_NEWEST 999

/* The bins of malloc_state: bin 1 is unsorted, 127 is never used. (malloc.c, NBINS) */
#define PM_BINS 127
/* The last words of a bins array that any version uses, and the binmap behind it. */
#define PM_BINMAP_BYTES 16

/*
 * struct malloc_state and what goes with it.
 *
 * @first_version, @last_version: minor numbers, inclusive.
 * @fastbins: offset of fastbinsY, or −1 (2.43 and later have none); @fastbin_count of them.
 * @attached_threads: offset, or −1. @state_bytes: sizeof. @heap_info_bytes: sizeof(struct
 * heap_info).
 */
typedef struct {
    guint word_bytes;
    guint first_version;
    guint last_version;
    gint fastbins;
    guint fastbin_count;
    guint top;
    guint bins;
    guint next;
    gint attached_threads;
    guint system_mem;
    guint state_bytes;
    guint heap_info_bytes;
    guint alignment;
} PmStateLayout;

/* struct malloc_par of a range of versions; n_mmaps_max follows n_mmaps, an int. */
typedef struct {
    guint word_bytes;
    guint first_version;
    guint last_version;
    guint n_mmaps;
    guint mmapped_mem;
    guint sbrk_base;
    guint par_bytes;
} PmParLayout;

/*
 * struct tcache_perthread_struct, told apart by the size of its chunk.
 *
 * @count_bytes: 1 or 2. @inverted: num_slots: the array holds what is left to fill, not the count
 * (2.42 and later).
 */
typedef struct {
    guint word_bytes;
    guint first_version;
    guint last_version;
    guint count_bytes;
    guint bins;
    gboolean inverted;
    guint entries;
    guint struct_bytes;
    guint chunk_bytes;
} PmTcacheLayout;

/* The tables; static. */
const PmStateLayout *pm_state_layouts(gsize *ret_count);
const PmParLayout *pm_par_layouts(gsize *ret_count);
const PmTcacheLayout *pm_tcache_layouts(gsize *ret_count);

/* The smallest chunk: four words. (malloc.c, MIN_CHUNK_SIZE; 32 bit with 16-byte alignment rounds
 * to the same 16) */
static inline guint64
pm_min_chunk_bytes(guint64 word_bytes)
{
    return 4 * word_bytes;
}
