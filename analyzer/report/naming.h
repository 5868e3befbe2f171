/*
 * What chunks are, as `leaks` and `report` show it: the members of JSON and a line of text for one
 * row of a naming.
 */
#pragma once

#include "analysis/types/naming.h"
#include "report/sink.h"

/*
 * "type", "type_source", "type_confidence", "type_reason", "nearest", "nearest_fit", "layout" in
 * the object that is open; all null where @naming is NULL or has no row @row.
 */
void pm_named_write_json(PmJson *json, const PmNaming *naming, gsize row);

/*
 * "app::Session (its vtable)", "struct evt_hdr (by fit, 0.93)", "no type; 00 10 00 …; nearest
 * struct evt_hdr, fit 0.61". (transfer full): not sanitised. NULL where @naming is NULL or has no
 * row @row.
 */
char *pm_named_describe(const PmNaming *naming, gsize row);
