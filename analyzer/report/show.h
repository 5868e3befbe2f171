/*
 * The `show` command's rendering.
 */
#pragma once

#include "analysis/contents/describe.h"
#include "analysis/lookup.h"
#include "analysis/references.h"
#include "report/sink.h"

/* @describer: names the words of a chunk. @reach: NULL where the class is not known. @holders: the
 * first references to the chunk, or NULL. */
void pm_report_show(const PmSink *sink, PmDescriber *describer, const PmLookup *lookup,
                    const PmReach *reach, const PmReferences *holders);
