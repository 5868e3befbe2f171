#include "base/jobs.h"

#include <pthread.h>

/* Enough for the walk, which recurses nowhere. */
#define STACK_BYTES ((gsize)256 << 10)
#define THREADS_MAX 64

struct PmJobs {
    guint64 count;
    guint64 next; /* atomic */
    PmJobsWorker worker;
    gpointer data;
};

guint
pm_jobs_resolve(guint jobs)
{
    return CLAMP(jobs != 0 ? jobs : g_get_num_processors(), 1, THREADS_MAX);
}

gboolean
pm_jobs_next(PmJobs *jobs, guint64 *ret_index)
{
    const guint64 index = __atomic_fetch_add(&jobs->next, 1, __ATOMIC_RELAXED);
    if (index >= jobs->count)
        return FALSE;
    *ret_index = index;
    return TRUE;
}

static void *
thread_main(void *data)
{
    PmJobs *jobs = data;
    jobs->worker(jobs, jobs->data);
    return NULL;
}

void
pm_jobs_run(guint threads, guint64 count, PmJobsWorker worker, gpointer data)
{
    const guint64 wanted = MIN(pm_jobs_resolve(threads), MAX(count, 1));
    pm_jobs_run_on((guint)wanted, count, worker, data);
}

void
pm_jobs_run_on(guint threads, guint64 count, PmJobsWorker worker, gpointer data)
{
    PmJobs jobs = {.count = count, .worker = worker, .data = data};
    pthread_t handles[THREADS_MAX];
    pthread_attr_t attributes;
    guint started = 0;
    const guint wanted = pm_jobs_resolve(threads);

    if (wanted > 1 && pthread_attr_init(&attributes) == 0) {
        pthread_attr_setstacksize(&attributes, STACK_BYTES);
        while (started + 1 < wanted &&
               pthread_create(&handles[started], &attributes, thread_main, &jobs) == 0)
            started++;
        pthread_attr_destroy(&attributes);
    }
    worker(&jobs, data);
    for (guint i = 0; i < started; i++)
        pthread_join(handles[i], NULL);
}
