/*
 * The `chunks` command's rendering: a stream of rows.
 */
#pragma once

#include "analysis/chunks.h"
#include "report/sink.h"

void pm_report_chunks(const PmSink *sink, const PmSubject *subject, const PmChunkFilter *filter);
