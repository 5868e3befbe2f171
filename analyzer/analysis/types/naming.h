/*
 * What the chunks of one size are, from a sample of them: those that something names (a vtable, a
 * typed pointer, a recogniser) by that name; the others by layout, with the structure that fits it
 * best where one does. For `leaks`, `report` and what `types` cannot type chunk by chunk.
 */
#pragma once

#include "analysis/schema/schema.h"
#include "analysis/structs/fit.h"
#include "analysis/types/recogniser.h"
#include "analysis/types/typing.h"

/*
 * What it takes to name chunks; made once for a subject, used for many sizes.
 *
 * @typing: NULL where nothing is to be propagated: then only vtables and @recognisers (NULL for
 * none) name single chunks.
 * @fitter: NULL for no structures: without any DWARF, or where the caller wants layouts alone.
 * All borrowed.
 */
typedef struct {
    PmPlaces *places;
    PmTyping *typing;
    PmRecognisers *recognisers;
    PmFitter *fitter;
} PmNamer;

/*
 * Chunks that are the same thing.
 *
 * @typed: @typed.name is never NULL: of a layout that nothing names its signature. It is owned by
 *   the naming.
 * @layout: index of the schema's layout that most of them have.
 * @nearest: (nullable): of a layout, the structure that came nearest without fitting; owned by the
 *   types. @nearest_fit: its fit.
 * @sampled: of the sample; @estimate: of the population, from @sampled. @by_layout: of @sampled,
 *   those of each layout.
 * @example: the lowest of them in the sample.
 */
typedef struct {
    PmTyped typed;
    gsize layout;
    const PmType *nearest;
    double nearest_fit;
    guint64 sampled;
    guint64 estimate;
    guint32 by_layout[PM_SCHEMA_LAYOUTS_MAX];
    PmAddr example;
} PmNamedRow;

/* @rows: most first. @schema: of the whole sample. Both owned. */
typedef struct {
    PmSchema *schema;
    PmNamedRow *rows;
    gsize row_count;
    GHashTable *by_name;
    GStringChunk *names;
    guint16 *row_of_layout;
} PmNaming;

/*
 * @sample: (transfer full): chunks of one chunk_bytes.
 * Returns: (transfer full): the estimates add up to the population exactly. Never fails.
 */
PmNaming *pm_naming_new(const PmNamer *namer, PmSample *sample);
void pm_naming_free(PmNaming *naming);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmNaming, pm_naming_free)

/* Whether the structure that came nearest is near: else its fields say next to nothing. */
gboolean pm_named_row_has_near(const PmNamedRow *row);

/*
 * The row for any chunk of the same size, whether it was in the sample or not; row_count for one
 * that looks like none of them. Reads the chunk. One thread at a time.
 */
gsize pm_naming_match(const PmNaming *naming, const PmNamer *namer, const PmChunk *chunk);
