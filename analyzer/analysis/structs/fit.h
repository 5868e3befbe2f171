/*
 * How well a type's fields agree with what is in real chunks, against chance: a null model of what
 * chunks of about the same size hold, so that a structure of plain integers, which fits everything,
 * wins nothing.
 */
#pragma once

#include "analysis/contents/places.h"
#include "analysis/contents/sampler.h"
#include "dwarf/types.h"

/*
 * @fit: 0…1: how much more likely the chunks' bytes are if they are of this type than if they are
 *   any chunks of that size, as a probability; 0.5 where the fields say nothing either way.
 * @log_odds: the same before it was squashed, in nats per chunk.
 * @contradictions: fields (not chunks) that the type forbids in more than a few chunks.
 * @fields_checked: fields that can be right or wrong: pointers, vtable slots, enums, bools, chars
 * of char arrays, floats, padding.
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
 * chunk_bytes. @offset_bytes: where in each chunk the type begins (0 but for headers before it).
 *
 * A field's pointer target counts: a pointer to `struct item` should lead to a chunk that could
 * hold one.
 */
void pm_fitter_score(PmFitter *fitter, const PmType *type, const PmChunk *chunks, gsize count,
                     guint64 offset_bytes, PmFit *ret_fit);

/*
 * A candidate, ranked. @is_array: chunks hold as many of @type as fit.
 */
typedef struct {
    const PmType *type;
    gboolean is_array;
    guint64 elements;
    PmFit fit;
} PmCandidate;

/*
 * The types whose size falls in @min_bytes … @max_bytes, best first.
 *
 * Returns: (transfer full): PmCandidate; clear each with pm_candidate_clear (set as its clear
 * function).
 */
GArray *pm_fitter_rank(PmFitter *fitter, const PmChunk *chunks, gsize count, guint64 min_bytes,
                       guint64 max_bytes);
