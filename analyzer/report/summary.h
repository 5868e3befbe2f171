/*
 * The `report` command's rendering: the first page.
 */
#pragma once

#include "analysis/arenas.h"
#include "analysis/check.h"
#include "analysis/memory.h"
#include "analysis/sizes.h"
#include "analysis/types/naming.h"
#include "findings/findings.h"
#include "report/sink.h"

/* Of the largest sizes, how many are looked into. */
#define PM_SUMMARY_NAMED_SIZES 5

/*
 * All results that the page shows; borrowed. @sizes, @arenas: NULL where there is no heap.
 * @namings: what the chunks of the first @naming_count rows of @sizes are, where that is asked.
 * @findings: the suspects.
 */
typedef struct {
    const PmSubject *subject;
    const PmSizes *sizes;
    const PmArenas *arenas;
    const PmCheck *check;
    PmMemory memory;
    PmNaming *const *namings;
    gsize naming_count;
    const PmFindings *findings;
} PmSummary;

void pm_report_summary(const PmSink *sink, const PmSummary *summary);
