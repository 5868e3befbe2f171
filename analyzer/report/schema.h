/*
 * What the chunks of one size look like, as text and JSON.
 */
#pragma once

#include "analysis/types/naming.h"
#include "report/sink.h"

/* @naming: of the sample whose schema is shown. */
void pm_report_schema(const PmSink *sink, const PmSubject *subject, const PmNaming *naming);

/* The answer where no chunk passes: says so, and names the sizes next to @chunk_bytes that are in
 * use. */
void pm_report_schema_empty(const PmSink *sink, const PmSubject *subject, guint64 chunk_bytes);
