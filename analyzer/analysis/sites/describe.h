/*
 * Calls and functions as text.
 */
#pragma once

#include "analysis/sites/wrappers.h"

/* A symbol for people: demangled, without parameters. (transfer full) */
char *pm_describe_function(const char *symbol);

/* "malloc", "xcalloc", "libfoo.so.3+0x1f0". (transfer full) */
char *pm_describe_forwarder(const PmSiteWorld *world, const PmForwarder *forwarder);

/* What @forwarder calls to allocate, innermost last; NULL where it allocates itself. (transfer
 * full) */
char **pm_describe_chain(const PmSiteWorld *world, const PmForwarder *forwarder);

/* "calloc(1024, 8)", "malloc(16 or 32)", "xmalloc(0–255)": the arguments that make the size.
 * (transfer full) */
char *pm_describe_call(PmSiteWorld *world, const PmSiteModule *module, const PmForwarder *callee,
                       const PmSiteCall *call);
