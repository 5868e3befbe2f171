/*
 * Functions of a module that never return, because all that they do ends in one that does not: a
 * program's own die() and usage().
 */
#pragma once

#include "analysis/sites/code.h"

typedef struct PmEndless PmEndless;

/* @code, @known: borrowed for its life; @known: those that are known not to return, by name. */
PmEndless *pm_endless_new(const PmModuleCode *code, const PmTargets *known);
void pm_endless_free(PmEndless *endless);

/*
 * Whether the function at module address @target never returns. FALSE for what is larger than such
 * functions are, or calls through pointers.
 *
 * @decoder: of the calling thread. Answers are remembered. Thread-safe.
 */
gboolean pm_endless_check(PmEndless *endless, PmDecoder *decoder, guint64 target);
