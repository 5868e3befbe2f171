/*
 * The DWARF types that the chunks of one size may be: for each layout of the class the types whose
 * size fits, ranked by how well its chunks fit their fields.
 */
#pragma once

#include "analysis/requests.h"
#include "analysis/schema/schema.h"
#include "analysis/structs/fit.h"

/*
 * Chunks that look alike: those of one layout (schema.h), or, where a type fits some layout of the
 * class, all chunks that it fits best.
 *
 * @signature: what (most of) them look like; owned. @is_rest: of kinds too rare for a layout.
 * @chunks_sampled, @share, @estimate: as PmSchemaLayout. @examples: user pointers.
 * @request_known: the request that its slack bytes betray is @request, with @request_confidence.
 * @candidates: PmCandidate, best first.
 * @fits: the first of them fits well enough to be its name.
 */
typedef struct {
    char *signature;
    gboolean is_rest;
    guint64 chunks_sampled;
    double share;
    guint64 estimate;
    PmAddr examples[4];
    guint example_count;
    gboolean request_known;
    guint64 request;
    double request_confidence;
    GArray *candidates;
    gboolean fits;
} PmStructsLayout;

/* A candidate of the whole class: @candidate of the layout at index @layout, which it fits best. */
typedef struct {
    guint layout;
    const PmCandidate *candidate;
} PmStructsRow;

/*
 * @chunk_bytes: of the class; 0 where no chunk passed the filter. @requests: what the class serves.
 * @sizes: the sizes of types that were looked for.
 * @population, @sampled: chunks of the class, and how many of them were looked at.
 * @layouts: most chunks first. @rows: PmStructsRow, one for each candidate: first those that are
 *   the best of a layout that they fit, by fit; then the others, by fit.
 * @modules_without_dwarf: const PmModule *, whose types nobody can know.
 */
typedef struct {
    guint64 chunk_bytes;
    PmRequests requests;
    PmRequests sizes;
    guint64 population;
    gsize sampled;
    PmStructsLayout *layouts;
    gsize layout_count;
    GArray *rows;
    GPtrArray *modules_without_dwarf;
} PmStructs;

/*
 * @filter: by request (types of exactly that size, chunks of the class that serves it) or by
 * chunk_bytes (types of every size that gives it). @reach: where the filter asks for classes.
 * @types: of the same process as @places. Never fails.
 */
PmStructs *pm_structs_new(PmPlaces *places, PmTypes *types, const PmReach *reach,
                          const PmChunkFilter *filter);
void pm_structs_free(PmStructs *structs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmStructs, pm_structs_free)
