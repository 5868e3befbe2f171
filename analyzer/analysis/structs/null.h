/*
 * Words of chunks as they come, and how often each category of a leaf comes up among them: what
 * chance gives.
 */
#pragma once

#include "analysis/contents/sampler.h"
#include "analysis/structs/observe.h"

/* @bytes: from the word on; @room_bytes of its chunk follow. */
typedef struct {
    const guint8 *bytes;
    guint64 room_bytes;
    PmLooked looked;
} PmNullWord;

/*
 * The bytes of some chunks of one subject. @stride_bytes: of each in @bytes; @lengths: how many of
 * those belong to it. @looked: every aligned word, @words of each chunk. @null: some of these
 * words, evenly chosen, as the null model.
 */
typedef struct {
    guint8 *bytes;
    gsize *lengths;
    gsize count;
    gsize stride_bytes;
    gsize words;
    PmLooked *looked;
    PmNullWord *null;
    gsize null_count;
} PmBlock;

/* How much of chunks is read: at most @max_chunks of them, evenly chosen, and of each at most
 * @max_bytes from @offset_bytes on. */
typedef struct {
    gsize max_chunks;
    guint64 offset_bytes;
    gsize max_bytes;
} PmBlockWanted;

/* Chunks that the core has not, or not up to there, are left out. */
PmBlock *pm_block_new(const PmObserver *observer, const PmSubject *subject, const PmChunk *chunks,
                      gsize count, const PmBlockWanted *wanted);
void pm_block_free(PmBlock *block);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmBlock, pm_block_free)

/*
 * How far behind the starts of chunks pointers lead, where that is the same for many of them and
 * not 0: programs put headers of their own before objects (counts, links of a collector).
 *
 * Returns: 8, 16, 24 or 32, or 0.
 */
guint64 pm_block_find_header(const PmBlock *block);

/*
 * How often each category comes up where @leaf would be, were it at any word of @block.
 *
 * @ret_shares: PM_SEEN_KINDS of them, the silent one left out; they sum up to 1. @prior: what is
 * believed before anything was seen.
 */
void pm_null_tally(PmObserver *observer, const PmBlock *block, const PmLeaf *leaf, gboolean deep,
                   const double *prior, double *ret_shares);
