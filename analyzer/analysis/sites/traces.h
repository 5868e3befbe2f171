/*
 * Return addresses of sites in the stacks of threads: calls that are being made, and calls that
 * were made and whose frames nothing has overwritten yet.
 */
#pragma once

#include "analysis/sites/sites.h"

typedef enum {
    PM_TRACE_NONE,
    PM_TRACE_DEAD,  /* below a stack pointer, or in the stack of a thread that ended: it ran */
    PM_TRACE_LIVE,  /* above one, but no frame returns there: it ran, or it runs */
    PM_TRACE_FRAME, /* a thread is in this call */
} PmTraceKind;

/* Threads of one trace that are remembered. */
#define PM_TRACE_THREADS_MAX 8

/*
 * @kind: the strongest that was found. @tid: of the thread with that, 0 of one that ended.
 * @tids: threads, whatever the kind; @tid_count of them.
 */
typedef struct {
    PmTraceKind kind;
    guint32 tid;
    guint32 tids[PM_TRACE_THREADS_MAX];
    guint tid_count;
} PmTrace;

typedef struct PmTraces PmTraces;

/*
 * Searches all stacks once for the return addresses of all of @sites.
 *
 * At most 8 MiB above each stack pointer and 1 MiB below are read, and 512 MiB in all. One thread
 * at a time may use the process meanwhile.
 */
PmTraces *pm_traces_new(const PmProcess *process, const PmSites *sites);
void pm_traces_free(PmTraces *traces);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmTraces, pm_traces_free)

/* What was found of @site; NULL where nothing was. Borrowed. */
const PmTrace *pm_traces_find(const PmTraces *traces, const PmSite *site);

/* The share of the sites of which something was found: how little it says of one of them. */
double pm_traces_get_share(const PmTraces *traces);

/* Whether a word of what is dead of the stacks leads into @function, and not to its start: a return
 * address of some call in it, most likely, so that it ran, and ended. What is still running (main)
 * is no more likely than others to have made many chunks. */
gboolean pm_traces_ran(const PmTraces *traces, const PmRange *function);
