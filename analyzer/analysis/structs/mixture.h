/*
 * Types in a mixture: those that do not fit all chunks of a layout, but that many of them speak for
 * one by one.
 */
#pragma once

#include "analysis/requests.h"
#include "analysis/structs/fit-private.h"

/* What one chunk must say for such a type, in nats. By chance alone (fit.h) no more than e^−2.5,
 * one chunk in twelve, would. */
#define PM_MIXTURE_ODDS 2.5

/*
 * The types of @sizes that more than twice as many of @chunks speak for as would by chance; at most
 * PM_MIXTURE_TYPES of them, those first that the most speak for.
 *
 * Returns: (transfer container): const PmType *. None where there are too many types of the size
 * for so close a look.
 */
GPtrArray *pm_mixture_find(PmFitter *fitter, const PmChunk *chunks, gsize count, PmRequests sizes);
#define PM_MIXTURE_TYPES 12
