/*
 * Samples of a size's chunks in use, as all findings draw them.
 */
#pragma once

#include "findings/findings.h"

/*
 * Up to @count chunks in use of @chunk_bytes, 0 for all sizes, and of @classes (PM_REACH_…, a bit
 * each), which do not count where there was no scan. Two runs draw the same. (transfer full)
 */
PmSample *pm_draw_chunks(const PmFindingsInput *input, guint64 chunk_bytes, guint classes,
                         gsize count);
