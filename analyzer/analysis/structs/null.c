/*
 * Reading chunks, and the null model; see null.h.
 */
#include "analysis/structs/null.h"

#include <string.h>

/* Words that the null model is counted over. */
#define NULL_WORDS 512

/* One pointer to chunks in so many has to lead behind the same header, and so many in all. */
#define HEADER_WORDS 4
#define HEADER_SHARE 4
#define HEADERS_MIN  50

/* How many observations the prior is worth. */
#define PRIOR_WEIGHT 8.0

static void
look_at_words(const PmObserver *observer, PmBlock *block, guint word_bytes)
{
    block->words = block->stride_bytes / word_bytes;
    block->looked = g_new0(PmLooked, block->count * block->words + 1);
    for (gsize i = 0; i < block->count; i++) {
        for (gsize j = 0; j < block->lengths[i] / word_bytes; j++) {
            const guint8 *bytes = block->bytes + i * block->stride_bytes + j * word_bytes;
            pm_observer_look(observer, pm_load_word(bytes, word_bytes),
                             &block->looked[i * block->words + j]);
        }
    }
}

/* Words that are not zero: those say nothing of any leaf. */
static void
choose_null(PmBlock *block, guint word_bytes)
{
    gsize all = block->count * block->words;
    gsize told = 0;
    for (gsize i = 0; i < all; i++)
        told += block->looked[i].value != 0 ? 1 : 0;
    gsize wanted = MIN(told, NULL_WORDS);
    block->null = g_new0(PmNullWord, wanted + 1);
    guint32 random = 1;
    for (gsize i = 0; i < all && block->null_count < wanted; i++) {
        if (block->looked[i].value == 0)
            continue;
        /* Not every n-th: that would be the same field of each structure. (Numerical Recipes' quick
         * generator) */
        random = random * 1664525 + 1013904223;
        if ((guint64)random * told >> 32 >= wanted)
            continue;
        gsize chunk = i / block->words;
        gsize at = i % block->words * word_bytes;
        block->null[block->null_count++] = (PmNullWord){
            .bytes = block->bytes + chunk * block->stride_bytes + at,
            .room_bytes = block->lengths[chunk] - at,
            .looked = block->looked[i],
        };
    }
}

PmBlock *
pm_block_new(const PmObserver *observer, const PmSubject *subject, const PmChunk *chunks,
             gsize count, const PmBlockWanted *wanted)
{
    const guint64 offset_bytes = wanted->offset_bytes;
    guint word_bytes = pm_image_get_target(subject->image)->word_bytes;
    PmBlock *block = g_new0(PmBlock, 1);
    gsize chosen = MIN(count, wanted->max_chunks);
    guint64 longest = 0;
    for (gsize i = 0; i < chosen; i++)
        longest = MAX(longest, chunks[i * count / chosen].usable_bytes);
    longest = longest > offset_bytes ? longest - offset_bytes : 0;
    block->stride_bytes = (gsize)pm_align_up(MIN(longest, wanted->max_bytes), word_bytes);
    block->bytes = g_malloc0(chosen * block->stride_bytes + 1);
    block->lengths = g_new0(gsize, chosen + 1);
    g_autofree guint8 *buffer = g_malloc0((gsize)offset_bytes + block->stride_bytes + 1);
    for (gsize i = 0; i < chosen; i++) {
        const PmChunk *chunk = &chunks[i * count / chosen];
        guint64 end = MIN(chunk->usable_bytes, offset_bytes + block->stride_bytes);
        if (end <= offset_bytes || !pm_sample_read(subject, chunk, buffer, (gsize)end))
            continue;
        block->lengths[block->count] = (gsize)(end - offset_bytes);
        memcpy(block->bytes + block->count * block->stride_bytes, buffer + offset_bytes,
               (gsize)(end - offset_bytes));
        block->count++;
    }
    look_at_words(observer, block, word_bytes);
    choose_null(block, word_bytes);
    return block;
}

void
pm_block_free(PmBlock *block)
{
    g_free(block->bytes);
    g_free(block->lengths);
    g_free(block->looked);
    g_free(block->null);
    g_free(block);
}

guint64
pm_block_find_header(const PmBlock *block)
{
    guint64 counts[HEADER_WORDS + 1] = {0};
    guint64 all = 0;
    for (gsize i = 0; i < block->count * block->words; i++) {
        const PmLooked *looked = &block->looked[i];
        if (looked->word.kind != PM_WORD_CHUNK && looked->word.kind != PM_WORD_CHUNK_INTERIOR)
            continue;
        guint64 offset = looked->value - looked->user;
        all++;
        if (offset % 8 == 0 && offset / 8 <= HEADER_WORDS)
            counts[offset / 8]++;
    }
    guint best = 1;
    for (guint i = 2; i <= HEADER_WORDS; i++)
        best = counts[i] > counts[best] ? i : best;
    return counts[best] >= HEADERS_MIN && counts[best] * HEADER_SHARE >= all ? 8 * (guint64)best
                                                                             : 0;
}

/* Smaller leaves than a word are looked for at every place in it that they can be at; pointers are
 * passed over, since whether one is there is what words of integers say. */
static gsize
tally_word(PmObserver *observer, const PmNullWord *word, const PmLeaf *leaf, gboolean deep,
           double *counts)
{
    if (pm_leaf_is_word(leaf)) {
        counts[pm_observer_see(observer, leaf, word->bytes, &word->looked, deep)]++;
        return 1;
    }
    if (leaf->kind == PM_LEAF_TEXT || leaf->size_bytes >= 8) {
        if (word->room_bytes < leaf->size_bytes)
            return 0;
        counts[pm_observer_see(observer, leaf, word->bytes, NULL, deep)]++;
        return 1;
    }
    if (pm_word_kind_is_pointer(word->looked.word.kind))
        return 0;
    for (guint64 at = 0; at + leaf->size_bytes <= MIN(word->room_bytes, 8); at += leaf->size_bytes)
        counts[pm_observer_see(observer, leaf, word->bytes + at, NULL, deep)]++;
    return 1;
}

void
pm_null_tally(PmObserver *observer, const PmBlock *block, const PmLeaf *leaf, gboolean deep,
              const double *prior, double *ret_shares)
{
    double counts[PM_SEEN_KINDS] = {0};
    double total = 0;
    for (gsize i = 0; i < block->null_count; i++)
        tally_word(observer, &block->null[i], leaf, deep, counts);
    for (guint i = 1; i < PM_SEEN_KINDS; i++) {
        counts[i] += PRIOR_WEIGHT * prior[i];
        total += counts[i];
    }
    for (guint i = 1; i < PM_SEEN_KINDS; i++)
        ret_shares[i] = counts[i] / total;
}
