/*
 * A chunk size as a suspect: how much of it is lost, what it looks like, what it is, and how sure
 * all that is.
 */
#pragma once

#include "findings/candidates.h"
#include "findings/findings.h"

/*
 * What a size suspect is made of, kept for the sites that are ranked by it.
 *
 * @suspect: (transfer full). @naming: of a sample of its lost chunks where it is suspected for
 * these, or most are lost, else of the others; owned. @samples_lost: which. @requests: that give
 * the size. @is_lost: it is suspected for what is lost of it.
 * @interest_bytes: that could be had back. @most: what its confidence can be.
 */
typedef struct {
    PmSuspect *suspect;
    PmNaming *naming;
    PmRequests requests;
    gboolean is_lost;
    gboolean samples_lost;
    double interest_bytes;
    double most;
} PmSizeFinding;

/* Returns: (transfer full): NULL where the core has none of the chunks' contents. */
PmSizeFinding *pm_size_finding_new(const PmFindingsInput *input, const PmSizeCandidate *candidate);
void pm_size_finding_free(PmSizeFinding *finding);

/* Makes confidence and interest anew, after evidence was added. */
void pm_size_finding_weigh(PmSizeFinding *finding);

/* Says what is known once the sites are ranked, or were not: the request that the best one tells,
 * the title, what to type next. */
void pm_size_finding_finish(PmSizeFinding *finding, const PmFindingsInput *input);
