/*
 * Strings in chunks, counted and ranked.
 */
#pragma once

#include "analysis/contents/strings.h"
#include "report/sink.h"

/* @filter: by which @strings were read. */
void pm_report_strings(const PmSink *sink, const PmSubject *subject, const PmChunkFilter *filter,
                       const PmStrings *strings);
