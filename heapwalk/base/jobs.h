/*
 * Numbered jobs for a few worker threads with small stacks: their stacks count as data, and the
 * tool runs under a limit on that. Where a thread cannot be made, fewer do the work; the caller's
 * own thread is one of them.
 */
#pragma once

#include <glib.h>

typedef struct PmJobs PmJobs;

/* What a worker does: calls pm_jobs_next() until it says FALSE. */
typedef void (*PmJobsWorker)(PmJobs *jobs, gpointer data);

/* As many threads as there are processors, where @jobs is 0; else @jobs. At most 64. */
guint pm_jobs_resolve(guint jobs);

/*
 * Runs @worker on up to @threads threads (0: as many as there are processors) and returns when all
 * are done.
 *
 * @count: how many jobs there are; no more threads than that are used.
 */
void pm_jobs_run(guint threads, guint64 count, PmJobsWorker worker, gpointer data);

/* The same with all @threads threads even where there are fewer jobs: a job makes work for the
 * others. */
void pm_jobs_run_on(guint threads, guint64 count, PmJobsWorker worker, gpointer data);

/* The next job's number, 0 … count − 1, each handed out once; FALSE where none is left.
 * Thread-safe. */
gboolean pm_jobs_next(PmJobs *jobs, guint64 *ret_index);
