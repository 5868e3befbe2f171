/*
 * Candidates that fill chunks more than once: arrays of structures, and of pointers to what is at
 * the end of those that the chunks hold.
 */
#pragma once

#include "analysis/requests.h"
#include "analysis/structs/fit-private.h"

/*
 * Adds the elements that speak for themselves at the start of the chunks of @scene, and of which a
 * whole number gives one of @sizes: PmCandidate with is_array set, not yet scored as arrays.
 */
void pm_elements_add(PmFitter *fitter, PmScene *scene, const PmRequests *sizes, GArray *candidates);
