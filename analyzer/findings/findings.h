/*
 * What deserves a look: the suspects, ranked, and what is left when they are taken away.
 */
#pragma once

#include "analysis/arenas.h"
#include "analysis/check.h"
#include "analysis/reach/reach.h"
#include "analysis/regions/regions.h"
#include "analysis/sites/rank.h"
#include "analysis/sizes.h"
#include "analysis/types/naming.h"
#include "findings/suspect.h"

/*
 * What the findings are made of; all borrowed.
 *
 * @reach: NULL where there was no scan. @sizes: with what the scan found. @check: of the same heap.
 * @again: how a command names the core, quoted for the shell: "core.1 --exe app".
 * @arenas: NULL where there is no heap. @regions: NULL where they are not to be looked at.
 * @jobs: threads, 0 for as many as there are processors.
 */
typedef struct {
    const PmSubject *subject;
    PmReach *reach;
    const PmSizes *sizes;
    const PmCheck *check;
    const PmArenas *arenas;
    const PmRegions *regions;
    const PmNamer *namer;
    const char *again;
    guint jobs;
} PmFindingsInput;

/*
 * @suspects: PmSuspect, what deserves a look most first: those of more than low confidence, and of
 * these by interest. @sites: what their sites are borrowed
 * from, NULL where no code was looked at; @sites_message: why it was not, where it should have
 * been.
 */
typedef struct {
    GPtrArray *suspects;
    PmSites *sites;
    char *sites_message;
} PmFindings;

/* Looks at the sizes of the heap, its arenas, and the regions, as far as they are there. Never
 * fails. */
PmFindings *pm_findings_new(const PmFindingsInput *input);
void pm_findings_free(PmFindings *findings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmFindings, pm_findings_free)

/* Whether one of them is of more than low confidence. */
gboolean pm_findings_have_suspects(const PmFindings *findings);
