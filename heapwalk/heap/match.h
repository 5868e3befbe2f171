/*
 * Finding the chunks of a class (states, exact size) 64 granules at a time, from the planes of the
 * index alone: a class among 40 million chunks is counted in milliseconds.
 */
#pragma once

#include "heap/heap.h"

/* @states: bit s for PmChunkState s. @chunk_bytes: exactly that size; 0 for any. */
typedef struct {
    guint states;
    guint64 chunk_bytes;
} PmHeapClass;

/* Granules in a word of a mask. */
#define PM_HEAP_WORD_GRANULES 64

/* How many words of 64 granules region @region has; 1 for an mmapped chunk. */
guint64 pm_heap_get_words(const PmHeap *heap, gsize region);

/*
 * For words @first_word … @first_word + @count − 1 of region @region a mask each: the granules at
 * which a chunk of @heap_class starts. Gaps are never among them.
 *
 * @ret_masks: (out): @count words; 0 behind the region's end.
 *
 * A few operations a word, and O(log) for the chunks at the seams: the last of a region, top and
 * those of glibc's own. Thread-safe. Never fails.
 */
void pm_heap_match(const PmHeap *heap, const PmHeapClass *heap_class, gsize region,
                   guint64 first_word, gsize count, guint64 *ret_masks);

/* The chunk that starts at granule @granule of region @region: FALSE for a gap. @granule: where
 * pm_heap_match() has a bit. O(1). */
gboolean pm_heap_get_chunk(const PmHeap *heap, gsize region, guint64 granule, PmChunk *ret_chunk);
