/*
 * How much a signal says; see weights.h.
 */
#include "findings/weights.h"

#include "analysis/format.h"
#include "analysis/leaks.h"

#include <math.h>

/* What one lost chunk says, what each tenfold adds, and the most. */
#define LOST_ONE    0.10
#define LOST_DECADE 0.13
#define LOST_MOST   0.62

/* What all of the heap would say; of lost bytes the root of their share counts. */
#define LOST_SHARE 0.35
#define LIVE_SHARE 0.20

#define CONFIDENCE_LEAST 0.01

/* What most programs forget when they start: less than both. */
#define TRIFLE_BYTES (64U << 10)
#define TRIFLE_SHARE 0.001

/* Where what the core lacks has room for references to fewer than one in so many, it does not
 * matter. */
#define ROOM_FEW 10

double
pm_weigh_lost(guint64 chunks)
{
    return MIN(LOST_ONE + LOST_DECADE * log10((double)MAX(chunks, 1)), LOST_MOST);
}

double
pm_weigh_lost_share(double share)
{
    return LOST_SHARE * sqrt(CLAMP(share, 0.0, 1.0));
}

double
pm_weigh_live_share(double share)
{
    return LIVE_SHARE * CLAMP(share, 0.0, 1.0);
}

void
pm_weigh_rate(const PmFindingsInput *input, PmSuspect *suspect, guint64 count)
{
    const guint64 uptime = input->subject->uptime_seconds;
    if (uptime == 0)
        return;
    suspect->per_hour = pm_per_hour(count, uptime);
    pm_evidence_add(suspect->evidence, "rate", 0, "%s an hour over %s, if they came evenly%s",
                    pm_format_rate(suspect->per_hour).text, pm_format_duration(uptime).text,
                    count < suspect->chunks ? "; the lost ones alone count" : "");
}

double
pm_weigh_all(const GArray *evidence, double most)
{
    double sum = 0;
    for (guint i = 0; i < evidence->len; i++)
        sum += g_array_index(evidence, PmEvidence, i).weight;
    return CLAMP(sum, CONFIDENCE_LEAST, most);
}

void
pm_weigh_trifle(GArray *evidence, guint64 bytes, double share)
{
    if (bytes < TRIFLE_BYTES && share < TRIFLE_SHARE)
        pm_evidence_add(evidence, "trifle", PM_WEIGHT_TRIFLE,
                        "they are %s of what is in use: not what the memory went to",
                        pm_format_share(share).text);
}

double
pm_weigh_most(const PmFindingsInput *input, guint64 roots)
{
    if (input->sizes->lost_certain || input->reach == NULL)
        return PM_CONFIDENCE_MOST;
    const PmRootCoverage *coverage = &pm_reach_get_result(input->reach)->coverage;
    const guint64 missing_bytes = coverage->wanted_bytes - coverage->present_bytes +
                                  pm_leaks_count_missing_heap(input->subject);
    const guint word_bytes = pm_image_get_target(input->subject->image)->word_bytes;
    return missing_bytes / word_bytes < roots / ROOM_FEW ? PM_CONFIDENCE_MOST
                                                         : PM_CONFIDENCE_HIGH - 0.01;
}

void
pm_weigh_doubts(const PmFindingsInput *input, GArray *evidence, gboolean is_lost)
{
    const PmCheck *check = input->check;
    if (is_lost && !input->sizes->lost_certain)
        pm_evidence_add(evidence, "coverage", PM_WEIGHT_UNCERTAIN,
                        "the core lacks memory in which a reference to them could stand");
    if (check->row_count > 0 && check->rows[0].diagnostic->severity == PM_SEVERITY_ERROR)
        pm_evidence_add(evidence, "damage", PM_WEIGHT_DAMAGED,
                        "the heap is damaged: what is behind the damage may not have been seen");
}
