/*
 * The `show` command's rendering.
 */
#pragma once

#include "analysis/lookup.h"
#include "report/sink.h"

void pm_report_show(const PmSink *sink, const PmSubject *subject, const PmLookup *lookup);
