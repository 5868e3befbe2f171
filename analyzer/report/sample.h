/*
 * Chosen chunks with their contents.
 */
#pragma once

#include "analysis/contents/describe.h"
#include "analysis/contents/sampler.h"
#include "report/sink.h"

/* @filter: that @sample was drawn by, with @seed; for the first line. */
void pm_report_sample(const PmSink *sink, PmDescriber *describer, const PmChunkFilter *filter,
                      const PmSample *sample, guint64 seed);
