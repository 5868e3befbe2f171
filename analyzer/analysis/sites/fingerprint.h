/*
 * What a site writes to its chunks held against the bytes of real chunks.
 */
#pragma once

#include "analysis/contents/places.h"
#include "analysis/schema/matrix.h"
#include "analysis/schema/schema.h"
#include "analysis/sites/sites.h"

/* So many chunks of a sample are looked at: more of them tell nothing more. */
#define PM_SITE_ROWS_MAX 1024

/*
 * Chunks to hold sites against.
 *
 * @matrix: their bytes, and what each word is. @layouts: of each row the layout, below
 * @layout_count. @data_end: of each layout where the program's data are known to end, the stride of
 * the matrix where that is not known. @module_rows: const PmModule * → the number of rows that hold
 * a pointer to its vtables, code or constants.
 */
typedef struct {
    PmMatrix *matrix;
    guint16 *layouts;
    gsize layout_count;
    gsize *data_end;
    GHashTable *module_rows;
} PmSiteRows;

/*
 * The chunks of @schema in @layout, or of all for G_MAXSIZE. @places: of the schema's subject.
 *
 * Returns: (transfer full): without rows where the core has none of their bytes. One thread at a
 * time, as @places.
 */
PmSiteRows *pm_site_rows_new(PmPlaces *places, const PmSchema *schema, gsize layout);
void pm_site_rows_free(PmSiteRows *rows);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmSiteRows, pm_site_rows_free)

/*
 * Weighs what @site writes.
 *
 * @logs: (out): of each row the natural logarithm of P(row | made by @site) ÷ P(row | made by
 *   another site of its size); 0 where @site's stores say nothing. rank.h tells how it is made.
 * @evidence: PmEvidence "stores" and "zeroed" are added; few of many.
 * @ret_mean: (out): of @logs.
 * Returns: FALSE, with @logs untouched, where the stores say nothing of any row.
 */
gboolean pm_fingerprint_weigh(const PmSiteRows *rows, PmPlaces *places, const PmSite *site,
                              double *logs, GArray *evidence, double *ret_mean);
