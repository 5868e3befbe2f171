/*
 * The `sizes` command's rendering, and the table of sizes that `report` shares.
 */
#pragma once

#include "analysis/sizes.h"
#include "report/sink.h"

void pm_report_sizes(const PmSink *sink, const PmSubject *subject, const PmSizes *sizes);

/* "lost", the total of all sizes, in the object that is open; null where it is not known. */
void pm_sizes_write_lost(PmJson *json, const PmSizes *sizes);

/* "sizes" and, where rows were cut, "sizes_omitted", in the object that is open. */
void pm_sizes_write_json(const PmSink *sink, const PmSubject *subject, const PmSizes *sizes);

/* The first @row_count sizes as a table, with a bar for the share and what of each is lost, where
 * that is known. */
void pm_sizes_print_table(const PmSink *sink, const PmSubject *subject, const PmSizes *sizes,
                          gsize row_count);

/* One line with the total of what is lost; nothing where it is not known. */
void pm_sizes_print_lost(const PmSink *sink, const PmSizes *sizes);
