/*
 * The `chunks` command's rendering: a stream of rows.
 */
#pragma once

#include "analysis/chunks.h"
#include "report/sink.h"

/* @reach: NULL where no class is known; needed where @filter asks for one. */
void pm_report_chunks(const PmSink *sink, const PmSubject *subject, const PmReach *reach,
                      const PmChunkFilter *filter);
