/*
 * What functions do to memory that they are passed: constructors, and functions that fill in
 * records for others.
 */
#pragma once

#include "analysis/sites/wrappers.h"

typedef struct PmInitialisers PmInitialisers;

/* @world: borrowed for its life. Looks at nothing yet. */
PmInitialisers *pm_initialisers_new(PmSiteWorld *world);
void pm_initialisers_free(PmInitialisers *initialisers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmInitialisers, pm_initialisers_free)

/*
 * Adds to @stores (PmStore, with addresses of the process) what the functions store to which the
 * memory is passed (PM_STORED_PASSED), and those that these pass it to. What the first of them
 * does comes before what is late in @stores.
 *
 * What was looked at is remembered. One thread at a time, as the process.
 */
void pm_initialisers_add(PmInitialisers *initialisers, GArray *stores);
