/*
 * Which functions anything in the process leads to: most of what libraries offer is never called by
 * those that load them, and what is never called has not allocated.
 */
#pragma once

#include "analysis/sites/wrappers.h"

typedef struct PmCallable PmCallable;

/* @world: borrowed for its life. Looks at nothing yet. */
PmCallable *pm_callable_new(PmSiteWorld *world);
void pm_callable_free(PmCallable *callable);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmCallable, pm_callable_free)

/*
 * Whether the function that holds module address @address of module number @module may have been
 * called: code that may have been called refers to it, or a word of data of any module holds its
 * address. The words by which modules call functions of others count as far as the dynamic linker
 * has filled them. What is looked up by name (dlsym) is not seen, but for modules of which no other
 * imports anything, and the program itself: all that these export counts as called.
 *
 * TRUE also where it cannot be told: where data of any module are not in the core. One thread at a
 * time.
 */
gboolean pm_callable_is_called(PmCallable *callable, guint module, guint64 address);

/*
 * Whether other code, called or not, or a word of data refers to the function that holds @address.
 * One that is called for all that, because a linker keeps no function that is of no use, may be
 * left over where it was inlined. TRUE also where it cannot be told.
 */
gboolean pm_callable_is_referred(PmCallable *callable, guint module, guint64 address);
