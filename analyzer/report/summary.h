/*
 * The `report` command's rendering: the first page.
 */
#pragma once

#include "analysis/check.h"
#include "analysis/regions.h"
#include "analysis/sizes.h"
#include "report/sink.h"

/* All results that the page shows; borrowed. @sizes: NULL where there is no heap. */
typedef struct {
    const PmSubject *subject;
    const PmSizes *sizes;
    const PmCheck *check;
    PmMemory memory;
} PmSummary;

void pm_report_summary(const PmSink *sink, const PmSummary *summary);
