/*
 * Evidence in JSON; see evidence.h.
 */
#include "report/evidence.h"

void
pm_evidence_write_json(PmJson *json, const GArray *evidence)
{
    pm_json_begin_array(json, "evidence");
    for (guint i = 0; evidence != NULL && i < evidence->len; i++) {
        const PmEvidence *seen = &g_array_index(evidence, PmEvidence, i);
        pm_json_begin_object(json, NULL);
        pm_json_string(json, "signal", seen->signal);
        pm_json_double(json, "weight", seen->weight);
        pm_json_string(json, "text", seen->text);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
}
