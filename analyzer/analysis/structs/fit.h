/*
 * How well a type's fields agree with what is in real chunks, against chance: a null model of what
 * words of chunks hold, so that a structure of plain integers, which fits everything, wins nothing.
 *
 * For each field the bytes of every chunk are put into one of few categories (observe.h: "the start
 * of a chunk that was requested for a struct item, with right contents", "a number that is no
 * enumerator"). A field says log P(category | the field is there) − log P(category | null), where
 * the null model is in equal parts words of programs at large, words of this heap's chunks of all
 * sizes, and words of these very chunks at any offset: how often chance gives the same. Zeros say
 * nothing: a null pointer is as good as a zero of an integer. So do integers, as long as no
 * pointers, texts or floating-point numbers stand where they should be.
 *
 * Over chunks the mean is taken, not the sum: many chunks do not make weak evidence strong; what
 * counts is how many different values were seen (one value in a thousand chunks is one observation;
 * eight are as good as a thousand). A few chunks in a hundred may contradict a field (stale or
 * uninitialised memory); what does so in more is a contradiction. The likelihoods are rounded
 * guesses about programs, so a fit of 0.99 is not one error in a hundred; but the order of
 * candidates is that of what speaks for them.
 */
#pragma once

#include "analysis/contents/places.h"
#include "analysis/contents/sampler.h"
#include "dwarf/types.h"

/*
 * @fit: 0…1: how much more likely the chunks' bytes are if they are of this type than if they are
 *   any chunks, as a probability; 0.5 where the fields say nothing either way.
 * @log_odds: the same before it was squashed, in nats: the sum over fields, of which contradictions
 *   take more than their share.
 * @contradictions: fields (not chunks) that the type forbids in more than a few chunks.
 * @fields_checked: fields that can be right or wrong: pointers, vtable slots, enums, bools, chars
 * of char arrays, floats; and of the integers those that contradict.
 * @worst: the path of the field that contradicts most, or NULL; owned.
 */
typedef struct {
    double fit;
    double log_odds;
    guint contradictions;
    guint fields_checked;
    char *worst;
} PmFit;

void pm_fit_clear(PmFit *fit);

typedef struct PmFitter PmFitter;

/* Reads the null model's chunks of the subject on first use. @places, @types: borrowed. */
PmFitter *pm_fitter_new(PmPlaces *places, PmTypes *types);
void pm_fitter_free(PmFitter *fitter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmFitter, pm_fitter_free)

/*
 * @type: a structure, union or array of known size. @chunks, @count: what to look at: all of one
 * chunk_bytes (of many an even choice is looked at). @offset_bytes: where in each chunk the type
 * begins (0 but for headers before it).
 *
 * A field's pointer target counts: a pointer to `struct item` should lead to a chunk that could
 * hold one, and whose contents fit one.
 */
void pm_fitter_score(PmFitter *fitter, const PmType *type, const PmChunk *chunks, gsize count,
                     guint64 offset_bytes, PmFit *ret_fit);

/*
 * A candidate, ranked. @is_array: chunks hold as many of @type as fit, @elements of them; else 1.
 */
typedef struct {
    const PmType *type;
    gboolean is_array;
    guint64 elements;
    PmFit fit;
} PmCandidate;

/* A GDestroyNotify. */
void pm_candidate_clear(gpointer candidate);

/*
 * The types whose size falls in @min_bytes … @max_bytes, best first, and arrays of types of which
 * some whole number does and whose elements fit well.
 *
 * Returns: (transfer full): PmCandidate.
 */
GArray *pm_fitter_rank(PmFitter *fitter, const PmChunk *chunks, gsize count, guint64 min_bytes,
                       guint64 max_bytes);

/* From here on a candidate is said to fit, if no more than one checked field in eight
 * contradicts. */
#define PM_FIT_FITS 0.9

/* Whether it is said to fit. */
gboolean pm_fit_is_good(const PmFit *fit);

/*
 * Whether the candidate at @index of a ranking fits well enough to give its name to chunks: it is
 * good, it is the first, and no different type comes close (one of the same shape names nothing
 * either).
 */
gboolean pm_candidate_fits(const GArray *candidates, guint index);
