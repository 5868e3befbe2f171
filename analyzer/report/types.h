/*
 * The `types` command's rendering.
 */
#pragma once

#include "analysis/types/coverage.h"
#include "analysis/types/histogram.h"
#include "report/sink.h"

/* @coverage: (nullable): where nothing could be scanned. */
void pm_report_types(const PmSink *sink, const PmSubject *subject, PmTyping *typing,
                     const PmTypeHistogram *histogram, const PmTypeCoverage *coverage);
