/*
 * The `refs` command's rendering, and the lines about single references that `show` shares.
 */
#pragma once

#include "analysis/references.h"
#include "report/sink.h"

void pm_report_references(const PmSink *sink, const PmSubject *subject, const PmReach *reach,
                          const PmReferences *references);

/* One incoming reference in a line: "stack of thread 7, in parse_event", or the chunk that it
 * stands in and what that is. (transfer full) */
char *pm_reference_describe_source(const PmReferenceEnds *ends);

/* @key: an array of the incoming references in the object that is open, and "<key>_omitted". */
void pm_references_write_incoming(const PmSink *sink, const char *key, const PmSubject *subject,
                                  const PmReach *reach, const PmReferences *references);
