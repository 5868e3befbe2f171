/*
 * The `show` command's rendering.
 */
#pragma once

#include "analysis/lookup.h"
#include "analysis/references.h"
#include "report/sink.h"

/* @reach: NULL where the class is not known. @holders: the first references to the chunk, or NULL.
 */
void pm_report_show(const PmSink *sink, const PmSubject *subject, const PmLookup *lookup,
                    const PmReach *reach, const PmReferences *holders);
