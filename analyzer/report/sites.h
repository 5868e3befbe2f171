/*
 * The `sites` command's rendering.
 */
#pragma once

#include "analysis/sites/rank.h"
#include "report/sink.h"

/*
 * @query: what was asked for. @ranked: PmRankedSite *: the sites that were; of @sites.
 * @chunk_bytes: of the chunks that they were held against, 0 where there is no heap or no size was
 * asked for. @chunks: how many of that size are in use.
 */
typedef struct {
    const PmSiteQuery *query;
    PmSites *sites;
    GPtrArray *ranked;
    guint64 chunk_bytes;
    guint64 chunks;
} PmSitesAnswer;

void pm_report_sites(const PmSink *sink, const PmSubject *subject, const PmSitesAnswer *answer);

/* One site as `sites` lists it, as a member @key of the object that is open, or in the list (NULL).
 */
void pm_site_write_json(const PmSink *sink, const char *key, const PmRankedSite *ranked);

/* "parse_event+0x1f  msg.c:118  app_server  malloc(20)". (transfer full): safe for the terminal. */
char *pm_site_describe(const PmSink *sink, const PmSite *site);

/* "inlined: mem_get in pool_alloc in open_connection", the functions at its line that are inlined
 * in its own; NULL where there are none. (transfer full) */
char *pm_site_describe_inlined(const PmSite *site);
