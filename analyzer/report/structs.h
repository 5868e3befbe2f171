/*
 * structs: the types that chunks of one size may be, as text and JSON.
 */
#pragma once

#include "analysis/structs/structs.h"
#include "report/sink.h"

/* @structs: what was found for @subject. */
void pm_report_structs(const PmSink *sink, const PmSubject *subject, const PmStructs *structs);
