/*
 * The `sizes` command's rendering, and the table of sizes that `report` shares.
 */
#pragma once

#include "analysis/sizes.h"
#include "report/sink.h"

void pm_report_sizes(const PmSink *sink, const PmSubject *subject, const PmSizes *sizes);

/* "sizes" and, where rows were cut, "sizes_omitted", in the object that is open. */
void pm_sizes_write_json(const PmSink *sink, const PmSubject *subject, const PmSizes *sizes);

/* The first @row_count sizes as a table, with a bar for the share. */
void pm_sizes_print_table(const PmSink *sink, const PmSubject *subject, const PmSizes *sizes,
                          gsize row_count);
