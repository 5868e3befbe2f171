/*
 * What speaks for or against a site beside its chunks' bytes: stacks, modules, arenas,
 * and whether it can have run at all.
 */
#pragma once

#include "analysis/sites/fingerprint.h"
#include "analysis/sites/traces.h"

typedef struct PmWitnesses PmWitnesses;

/*
 * What the chunks of @rows tell of who may have made them.
 *
 * @rows: (nullable): without chunks only the stacks tell something. @sites: that will be asked
 * about. @traces: of the same process. All are borrowed for its life. One thread at a time, as the
 * process.
 */
PmWitnesses *pm_witnesses_new(const PmSubject *subject, const PmSites *sites,
                              const PmSiteRows *rows, const PmTraces *traces);
void pm_witnesses_free(PmWitnesses *witnesses);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmWitnesses, pm_witnesses_free)

/*
 * Whether @site, or anything of its module, can have run at all. Adds "unused" and "unbound" to
 * @evidence.
 *
 * Returns: what they make of the odds of @site, as a factor.
 */
double pm_witnesses_ask_use(const PmWitnesses *witnesses, const PmSite *site, GArray *evidence);

/* The same of what else is known. Adds "stack", "module" and "arena". */
double pm_witnesses_ask(const PmWitnesses *witnesses, const PmSite *site, GArray *evidence);
