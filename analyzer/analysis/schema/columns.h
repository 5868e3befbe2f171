/*
 * Finds the columns of a layout: where fields begin, how wide they are, and what they hold.
 */
#pragma once

#include "analysis/schema/matrix.h"
#include "analysis/schema/schema.h"

/*
 * The columns of the first @limit bytes, without gaps; their texts are NULL.
 *
 * @rows: of one layout, at least one. @limit: at most the matrix's stride. @newest_seconds: no time
 * stamp is newer.
 * Returns: (transfer full): PmSchemaColumn, ascending.
 */
GArray *pm_columns_new(const PmRows *rows, gsize limit, gint64 newest_seconds);
