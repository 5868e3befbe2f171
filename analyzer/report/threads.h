/*
 * The `threads` command's rendering.
 */
#pragma once

#include "analysis/threads.h"
#include "report/sink.h"

void pm_report_threads(const PmSink *sink, const PmSubject *subject, const PmThreads *threads);
