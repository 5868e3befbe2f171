/*
 * What a site weighs before what it writes is looked at: by what it asks for and by where it is.
 */
#pragma once

#include "analysis/sites/rank.h"

/*
 * What the call alone says: 1 for a site that always asks for a size of @clues, 0 where it cannot.
 *
 * @ranked: its request is set, and evidence "size" added.
 */
double pm_prior_of_size(const PmSiteClues *clues, const PmSite *site, PmRankedSite *ranked);

/* The C library, the dynamic linker, and what belongs to the C++ compiler. */
gboolean pm_prior_is_runtime(const PmProcess *process, const PmModule *module);

/* As a factor: what the runtime itself asks for is seldom asked for often. @is_runtime: of the
 * site's module. Adds "module". */
double pm_prior_of_module(const PmSiteClues *clues, gboolean is_runtime, PmRankedSite *ranked);

/* As a factor: a function that nothing in the process leads to has hardly run. Adds "unused". */
double pm_prior_of_use(const PmSites *sites, PmRankedSite *ranked);

/* How the request that slack betrays and the sizes of @site agree, as a factor. */
double pm_prior_of_request(const PmSchemaRequest *request, const PmSite *site);

/* As a factor: data of a layout behind the end of all that @site asks for speak against it. */
double pm_prior_of_end(const PmSchemaLayout *layout, const PmSite *site);

/* The last two as evidence "request". */
void pm_prior_explain(const PmSchemaLayout *layout, PmRankedSite *ranked);
