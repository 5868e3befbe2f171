/*
 * How much a signal says. The weights are judgements: that many chunks of one kind are lost says
 * most, how much of the heap they hold says how much it matters.
 */
#pragma once

#include "findings/findings.h"

/* Of what all suspects' evidence has in common. */
#define PM_WEIGHT_HOMOGENEOUS 0.10
#define PM_WEIGHT_HANGING     0.05
#define PM_WEIGHT_UNCERTAIN   (-0.30)
#define PM_WEIGHT_DAMAGED     (-0.20)
#define PM_WEIGHT_UNTYPED     (-0.02)
#define PM_WEIGHT_UNREAD      (-0.02)
#define PM_WEIGHT_LIVE        (-0.10)
#define PM_WEIGHT_TRIFLE      (-0.15)
/* Where each of them may be held in disguise, no more than low confidence is left. */
#define PM_WEIGHT_HIDDEN (-0.80)

/* @chunks, at least 1, are lost: by their order of magnitude. */
double pm_weigh_lost(guint64 chunks);

/* Lost chunks hold @share of what is in use; chunks that are not lost do. */
double pm_weigh_lost_share(double share);
double pm_weigh_live_share(double share);

/* What speaks against a suspect of which @bytes are lost, @share of what is in use, where that is
 * too little to be what the memory went for. */
void pm_weigh_trifle(GArray *evidence, guint64 bytes, double share);

/* How many of @suspect's chunks or regions came an hour: @count, all or those that are lost;
 * nothing where the uptime is not known. */
void pm_weigh_rate(const PmFindingsInput *input, PmSuspect *suspect, guint64 count);

/* The sum of all weights of @evidence, within what a confidence can be, at most @most. */
double pm_weigh_all(const GArray *evidence, double most);
#define PM_CONFIDENCE_MOST 0.99

/* The most that can be said of lost chunks, of which @roots need a reference of their own: less
 * than high confidence where what the core lacks has room for a good part of those references. */
double pm_weigh_most(const PmFindingsInput *input, guint64 roots);

/* What speaks against everything that is said of this heap: what the core lacks, damage. */
void pm_weigh_doubts(const PmFindingsInput *input, GArray *evidence, gboolean is_lost);
