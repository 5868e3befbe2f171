/*
 * Which of the sites made the chunks of a size: what each site asks for and writes, held against
 * the bytes of real chunks, the stacks of the threads and the arenas.
 *
 * How the score is made. It is the share of the chunks that came from the site, as far as can be
 * told: for each chunk of the sample
 *
 *     P(site | chunk) = w(site) · L(site, chunk) ÷ (Σ over all sites of the same + PM_RANK_OTHER)
 *
 * and the score is the mean of that over the chunks.
 *
 * w is what is known without the bytes: 1 for a site that always asks for a size of the class, the
 * share of its sizes that are of the class for one of several, little for a range and less for
 * what may be anything, all of these together no more than half of a sure one; less in the runtime
 * (libc, libstdc++), whose own calls seldom make many chunks; times the likelihood ratios of the
 * request that slack betrays, of return addresses in stacks, of modules that the chunks point to
 * and of where the threads of their arena began.
 *
 * L is the likelihood ratio of the chunk's bytes: P(bytes | made here) ÷ P(bytes | made by another
 * site of this size), the product over the site's stores of keep ÷ chance where the chunk holds
 * what was stored, and of change ÷ (1 − chance) where it does not. chance is how often other
 * chunks would hold the value there anyway: one in two for 0, one in thousands for an odd number
 * or an address. change is how often a program writes something else there later: often for 0 and
 * small numbers, hardly ever for a vtable; more where many chunks of the layout still hold the
 * value, less where what is there is of another nature (a pointer where a number was stored).
 * A site that clears its chunks (calloc) is held against what lies behind the request, too.
 * Only single chunks are asked, never the product over chunks: a million chunks of one layout are
 * one observation. What evidence says of many chunks counts each by the site's share of it, so that
 * a site that made a tenth of a class is not held responsible for the others.
 */
#pragma once

#include "analysis/contents/places.h"
#include "analysis/evidence.h"
#include "analysis/schema/schema.h"
#include "analysis/sites/sites.h"
#include "analysis/structs/fit.h"

/* What stands for sites that are not known: a call through data, code that is not there. */
#define PM_RANK_OTHER 0.25

/* All layouts of a schema. */
#define PM_RANK_ALL_LAYOUTS G_MAXSIZE

/*
 * What is known of the chunks.
 *
 * @request_min, @request_max: of the class, both inclusive; of one request twice the same.
 * @schema: (nullable): of a sample of the chunks that are asked about (lost ones, say); without it
 *   only the calls and the stacks count. @layout: the one whose chunks are asked about, or
 *   PM_RANK_ALL_LAYOUTS.
 * @variable: also sites of which it is not known that they can ask for such a size. @varied: the
 *   chunks are of many sizes, of which this class is one: no site that asks for one or a few.
 * @described_max: so many sites at the top get their function, file and line looked up; 0 for all.
 * @fitter: (nullable): of the same subject, for how well the chunks fit the type of the variable
 * that a site's result goes to.
 */
typedef struct {
    guint64 request_min;
    guint64 request_max;
    const PmSchema *schema;
    gsize layout;
    gboolean variable;
    gboolean varied;
    guint described_max;
    PmFitter *fitter;
} PmSiteClues;

/*
 * @site: borrowed from the PmSites. @request_bytes: the one size of it that the class serves, or
 * PM_SIZE_UNKNOWN; a granule less than the class where malloc may have given more. @score: 0 … 1,
 * see above.
 * @is_contradicted: what it writes is not what the chunks hold.
 * @evidence: PmEvidence, the strongest first, what speaks against it last; signals "size",
 *   "request", "stores", "zeroed", "stack", "module", "arena", "type", "unused", "unreferred".
 */
typedef struct {
    const PmSite *site;
    guint64 request_bytes;
    double score;
    gboolean is_contradicted;
    GArray *evidence;
} PmRankedSite;

void pm_ranked_site_free(PmRankedSite *ranked);

/* What serves many rankings of one core: the stacks are searched once. */
typedef struct PmSiteRanker PmSiteRanker;

/*
 * @sites: of all sizes that the clues will ask for: best made without by_request, so that they
 * serve all; with .variable where the clues may ask for that, and .unlocated. @places: of the same
 * subject. All are borrowed for its life. Never fails; looks at nothing yet.
 */
PmSiteRanker *pm_site_ranker_new(const PmSubject *subject, PmSites *sites, PmPlaces *places);
void pm_site_ranker_free(PmSiteRanker *ranker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmSiteRanker, pm_site_ranker_free)

/*
 * The sites that can have made the chunks.
 *
 * Returns: (transfer full): PmRankedSite *, owned by it, the highest score first, then by module
 * and address. Empty where no site can. One thread at a time, as the process.
 */
GPtrArray *pm_sites_rank(PmSiteRanker *ranker, const PmSiteClues *clues);

/*
 * All of @sites in their own order, with their own scores and without evidence: where no size was
 * asked for, so that there are no chunks to weigh them by.
 *
 * Returns: (transfer full): as pm_sites_rank().
 */
GPtrArray *pm_sites_list(const PmSites *sites);
