/*
 * What a site writes to its chunks held against the bytes of real chunks.
 */
#pragma once

#include "analysis/contents/describe.h"
#include "analysis/schema/matrix.h"
#include "analysis/schema/schema.h"
#include "analysis/sites/claims.h"

/* So many chunks of a sample are looked at: more of them tell nothing more. */
#define PM_SITE_ROWS_MAX 512

/*
 * Chunks to hold sites against.
 *
 * @matrix: their bytes, what each word is, and the arenas. @layouts: of each row the layout, below
 * @layout_count; @layout_rows: how many each has; @is_used: the memory of such chunks was
 * used before, so that what nobody wrote is seldom zero. @module_rows: const PmModule * → the
 * number of rows that hold a pointer to its vtables, code or constants (GUINT_TO_POINTER).
 */
typedef struct {
    PmMatrix *matrix;
    guint16 *layouts;
    gsize *layout_rows;
    gboolean is_used;
    gsize layout_count;
    GHashTable *module_rows;
} PmSiteRows;

/* Room for @count rows of @stride_bytes, all zero and of layout 0 of @layout_count. (transfer full)
 */
PmSiteRows *pm_site_rows_new(gsize count, gsize stride_bytes, guint word_bytes, gsize layout_count);
void pm_site_rows_free(PmSiteRows *rows);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmSiteRows, pm_site_rows_free)

/*
 * The chunks of @schema in @layout, or of all for G_MAXSIZE. @places: of the schema's subject.
 *
 * Returns: (transfer full): without rows where the core has none of their bytes. One thread at a
 * time, as @places.
 */
PmSiteRows *pm_site_rows_read(PmPlaces *places, const PmSchema *schema, gsize layout);

/*
 * Weighs @claims against each row.
 *
 * @logs: (out): of each row the natural logarithm of P(row | made by the site) ÷ P(row | made by
 *   another site of its size); rank.h tells how it is made.
 * Returns: FALSE, with @logs untouched, where the claims say nothing.
 */
gboolean pm_fingerprint_weigh(const PmSiteRows *rows, const PmClaims *claims, float *logs);

/*
 * Says what of @claims speaks for the site and what against it.
 *
 * @shares: of each row how far it counts; their sum is 1. @describer: for what addresses are
 * called.
 * @evidence: PmEvidence "stores" and "zeroed" are added; few of many.
 * Returns: the mean of the logarithms over @shares; 0 where the claims say nothing.
 */
double pm_fingerprint_explain(const PmSiteRows *rows, const PmClaims *claims, const float *shares,
                              PmDescriber *describer, GArray *evidence);
