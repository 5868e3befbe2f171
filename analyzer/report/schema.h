/*
 * What the chunks of one size look like, as text and JSON.
 */
#pragma once

#include "analysis/schema/schema.h"
#include "report/sink.h"

void pm_report_schema(const PmSink *sink, const PmSubject *subject, const PmSchema *schema);

/* The answer where no chunk passes: says so, and names the sizes next to @chunk_bytes that are in
 * use. */
void pm_report_schema_empty(const PmSink *sink, const PmSubject *subject, guint64 chunk_bytes);
