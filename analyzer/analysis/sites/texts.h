/*
 * Chunks that hold text, and what that says of who made them: strings are mostly of sizes that
 * vary, and memory for a copy is asked for by the length of the string.
 */
#pragma once

#include "analysis/sites/fingerprint.h"
#include "analysis/sites/rank.h"

/* What a chunk holds. */
typedef enum {
    PM_TEXT_NONE,
    PM_TEXT_ANY,     /* text; how long it is cannot be told, or says nothing of the size */
    PM_TEXT_FITTING, /* that ends where a chunk for it alone would */
    PM_TEXT_SHORT,   /* that a smaller chunk would hold */
    PM_TEXT_KINDS,
} PmTextKind;

/* The PmTextKind of each of @rows, which are of @clues->schema. (transfer full) */
guint8 *pm_texts_read(const PmSiteClues *clues, const PmSiteRows *rows);

/* Whether the chunks of @layout begin with text. */
gboolean pm_texts_begin(const PmSchemaLayout *layout);

/*
 * What each kind of text says of @site, as factors beside those of other sites.
 *
 * @ret_factors: (out): of each PmTextKind; 1 of PM_TEXT_NONE.
 */
void pm_texts_weigh(const PmSiteClues *clues, const PmSite *site,
                    double ret_factors[PM_TEXT_KINDS]);

/* The same as evidence "contents" for chunks of @kind. */
void pm_texts_explain(PmTextKind kind, PmRankedSite *ranked);

/* Of chunks of @kind, how much likelier their site is one that is not known. */
double pm_texts_weigh_other(PmTextKind kind);
