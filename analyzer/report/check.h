/*
 * The `check` command's rendering.
 */
#pragma once

#include "analysis/check.h"
#include "report/sink.h"

void pm_report_check(const PmSink *sink, const PmSubject *subject, const PmCheck *check);
