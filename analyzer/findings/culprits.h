/*
 * Who made the chunks: the sites of the suspects that deserve it most.
 */
#pragma once

#include "findings/family.h"
#include "findings/size.h"

/* Suspects of which the sites are ranked, and sites that each of them keeps. */
#define PM_CULPRITS_SUSPECTS 3
#define PM_CULPRITS_SITES    10

/*
 * Ranks the sites for the first PM_CULPRITS_SUSPECTS of @sizes (PmSizeFinding *, most interesting
 * first), and those of @family (nullable) by its commonest size. Where no code can be read,
 * findings->sites_message says why.
 */
void pm_culprits_find(PmFindings *findings, const PmFindingsInput *input, const GPtrArray *sizes,
                      const PmFamilyFinding *family);
