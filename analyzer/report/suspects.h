/*
 * The suspects of the first page: the first in full, the others in a line or two each.
 */
#pragma once

#include "findings/findings.h"
#include "report/sink.h"

/* "suspects" and "suspects_omitted" in the object that is open. */
void pm_suspects_write_json(const PmSink *sink, const PmFindings *findings);

/* Text: the heading and the suspects; where there is none of more than low confidence, that. */
void pm_suspects_print(const PmSink *sink, const PmFindings *findings);
