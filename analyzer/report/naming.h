/*
 * What chunks are, as `leaks` and `report` show it: the members of JSON and a line of text for one
 * row of a naming.
 */
#pragma once

#include "analysis/types/naming.h"
#include "report/sink.h"

/*
 * "type" and "type_source" of one chunk, and where it has one "type_confidence", "type_offset",
 * "type_elements", in the object that is open.
 */
void pm_typed_write_json(PmJson *json, const PmTyped *typed);

/*
 * "struct item (by pointer, 0.95)", "struct item[12] …", "struct item … from +0x10 on".
 * (transfer full): not sanitised; NULL where it is not typed.
 */
char *pm_typed_describe(const PmTyped *typed);

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
