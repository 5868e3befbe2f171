/*
 * Functions that forward an argument to an allocator become allocators themselves.
 */
#pragma once

#include "analysis/sites/links.h"

/* @forwarder is to be looked for in the next round. */
void pm_promote_note_change(PmSiteWorld *world, PmForwarder *forwarder);

/* Promotes the functions that forward to @callee with one of its calls in @module, which are those
 * of @target there. */
void pm_promote_calls(PmSiteWorld *world, guint module, guint64 target, const PmForwarder *callee);
