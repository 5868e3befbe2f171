/*
 * The `leaks` command's rendering.
 */
#pragma once

#include "analysis/leaks.h"
#include "report/sink.h"

/* @limit_bytes: (nullable): of --fail-over. */
void pm_report_leaks(const PmSink *sink, const PmSubject *subject, const PmLeaks *leaks,
                     const guint64 *limit_bytes);
