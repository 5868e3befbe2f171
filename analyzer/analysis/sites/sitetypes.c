/*
 * Types of variables against chunks; see sitetypes.h.
 */
#include "analysis/sites/sitetypes.h"

#include "analysis/evidence.h"

#include <math.h>

/* Chunks of one layout that are looked at. */
#define CHUNKS_MAX 64
/* Fits say how much likelier the bytes are with the type than by chance; half of that is taken, and
 * no more than this, for stores to the same fields were weighed already. */
#define LOG_SHARE 0.5
#define LOG_MAX   2.0

/* Chunks of the sample that are of @layout, at most CHUNKS_MAX, evenly. */
static gsize
choose(const PmSchema *schema, gsize layout, PmChunk *chunks)
{
    const gsize all = schema->layouts[layout].chunks_sampled;
    gsize seen = 0, count = 0;
    for (gsize i = 0; i < schema->sample->count; i++) {
        if (schema->layout_of[i] != layout)
            continue;
        if (count < CHUNKS_MAX && seen * CHUNKS_MAX / MAX(all, CHUNKS_MAX) >= count)
            chunks[count++] = schema->sample->chunks[i];
        seen++;
    }
    return count;
}

/* The type that the chunks would be of; NULL where it is not known. */
static const PmType *
get_type(const PmRankedSite *ranked)
{
    const PmType *type = ranked->site->type;
    if (type == NULL || (type->kind != PM_TYPE_STRUCT && type->kind != PM_TYPE_UNION) ||
        type->is_declaration || type->size_bytes == 0 || type->size_bytes != ranked->request_bytes)
        return NULL;
    return type;
}

gboolean
pm_site_types_weigh(PmSites *sites, const PmSiteClues *clues, const PmRankedSite *ranked,
                    double *factors)
{
    const PmSchema *schema = clues->schema;
    pm_sites_find_type(sites, ranked->site, ranked->request_bytes);
    const PmType *type = get_type(ranked);
    if (type == NULL || clues->fitter == NULL || schema == NULL)
        return FALSE;
    g_autofree PmChunk *chunks = g_new(PmChunk, CHUNKS_MAX);
    for (gsize i = 0; i < schema->layout_count; i++) {
        PmFit fit = {.fit = 0};
        const gsize count = choose(schema, i, chunks);
        factors[i] = 1;
        if (count == 0 || (clues->layout != PM_RANK_ALL_LAYOUTS && clues->layout != i))
            continue;
        pm_fitter_score(clues->fitter, type, chunks, count, 0, &fit);
        factors[i] = exp(CLAMP(fit.log_odds * LOG_SHARE, -LOG_MAX, LOG_MAX));
        pm_fit_clear(&fit);
    }
    return TRUE;
}

void
pm_site_types_explain(PmRankedSite *ranked, double factor)
{
    const PmSite *site = ranked->site;
    const double weight = tanh(log(factor) / 3);
    if (site->type == NULL)
        return;
    if (get_type(ranked) == NULL)
        pm_evidence_add(ranked->evidence, "type", 0, "its result goes to %s, a pointer to %s",
                        site->variable, site->type->name);
    else
        pm_evidence_add(ranked->evidence, "type", weight,
                        "its result goes to %s, a pointer to %s%s", site->variable,
                        site->type->name,
                        factor > 1.1   ? ": the chunks agree with its fields"
                        : factor < 0.9 ? ": the chunks contradict its fields"
                                       : "");
}
