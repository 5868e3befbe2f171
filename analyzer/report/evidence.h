/*
 * Evidence in JSON.
 */
#pragma once

#include "analysis/evidence.h"
#include "report/json.h"

/* "evidence", a list of {signal, weight, text}, in the object that is open. @evidence: PmEvidence;
 * NULL for an empty list. */
void pm_evidence_write_json(PmJson *json, const GArray *evidence);
