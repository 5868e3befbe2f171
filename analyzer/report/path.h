/*
 * The `path` command's rendering.
 */
#pragma once

#include "analysis/references.h"
#include "report/sink.h"

void pm_report_path(const PmSink *sink, const PmSubject *subject, const PmReach *reach,
                    const PmPath *path);
