/*
 * Whether what is lost may be held by addresses in disguise: the doubt that this throws on
 * suspects.
 */
#pragma once

#include "findings/findings.h"

typedef struct PmHidden PmHidden;

/* Chunks of each size that are looked for, and of all sizes together. */
#define PM_HIDDEN_SAMPLE 512

/*
 * Looks for leak roots of @sizes (chunk_bytes, guint64), and of all sizes, in one pass over live
 * memory. @input: with a scan; borrowed for the life of what is returned. (transfer full)
 */
PmHidden *pm_hidden_new(const PmFindingsInput *input, const GArray *sizes);
void pm_hidden_free(PmHidden *hidden);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmHidden, pm_hidden_free)

/*
 * Adds to @evidence what was found, "hidden", where it was of a good part of them.
 *
 * @chunk_bytes: one of the sizes; 0, and where most of the lost chunks of that size hang on others,
 * for the roots of all sizes.
 */
void pm_hidden_weigh(const PmHidden *hidden, guint64 chunk_bytes, GArray *evidence);
