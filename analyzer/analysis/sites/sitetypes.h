/*
 * The type of the variable that a site's result goes to, held against the chunks.
 */
#pragma once

#include "analysis/sites/rank.h"

/*
 * How well the chunks of each layout of @clues fit what the DWARF of @ranked's site says, as a
 * factor of its odds.
 *
 * @sites: that it is one of; its type is looked up. @factors: (out): of each layout of the schema;
 * 1 where it says nothing. Returns: FALSE, with @factors untouched, where no type is known, or one
 * that the request does not give: an array, a record with more behind it.
 */
gboolean pm_site_types_weigh(PmSites *sites, const PmSiteClues *clues, const PmRankedSite *ranked,
                             double *factors);

/* The same as evidence "type": @factor: of the layout that most of its chunks have. */
void pm_site_types_explain(PmRankedSite *ranked, double factor);
