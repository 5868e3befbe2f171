/*
 * The `maps` command's rendering.
 */
#pragma once

#include "analysis/regions/regions.h"
#include "report/sink.h"

void pm_report_maps(const PmSink *sink, const PmSubject *subject, const PmRegions *regions);
