/*
 * The `sites` command's rendering.
 */
#pragma once

#include "analysis/sites/sites.h"
#include "report/sink.h"

/* @query: what was asked for. */
void pm_report_sites(const PmSink *sink, const PmSubject *subject, const PmSiteQuery *query,
                     const PmSites *sites);
