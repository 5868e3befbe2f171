/*
 * Phases and their times; see progress.h. The line comes from a thread of its own, because the work
 * is one call into the library.
 */
#include "cli/progress.h"

#include "analysis/format.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define PHASES_MAX       8
#define VISIBLE_AFTER_MS 500
#define RENEWED_AFTER_MS 200
#define TOLD_EVERY_MS    50
#define TOLD_BYTES       80

/* Small: thread stacks count as data under prlimit --data. */
#define STACK_BYTES ((gsize)64 * 1024)

typedef struct {
    const char *name;
    gint64 microseconds;
} Phase;

struct PmProgress {
    Phase phases[PHASES_MAX];
    guint phase_count;
    gint64 started;
    gint64 told_at;
    const char *current;
    gboolean has_thread;
    pthread_t thread;
    GMutex mutex;
    GCond changed;
    const char *wanted;    /* what the thread shows; under @mutex, like the rest */
    char told[TOLD_BYTES]; /* what it shows instead, unless empty */
    gboolean shown;
    gboolean hidden;
    gboolean ends;
};

static void
wipe(PmProgress *progress)
{
    if (progress->shown)
        (void)fputs("\r\033[K", stderr);
    progress->shown = FALSE;
}

/* Shows @phase, or what was told of it. Under @mutex. */
static void
show(PmProgress *progress, const char *phase)
{
    if (phase == NULL || progress->hidden)
        return;
    (void)fprintf(stderr, "\r\033[Kpostmalloc: %s ...",
                  progress->told[0] == '\0' ? phase : progress->told);
    progress->shown = TRUE;
}

static void *
show_phases(void *data)
{
    PmProgress *progress = data;
    g_mutex_lock(&progress->mutex);
    while (!progress->ends) {
        const char *phase = progress->wanted;
        /* A line that is there is renewed sooner, for what was told since. */
        gint64 wait = progress->shown ? RENEWED_AFTER_MS : VISIBLE_AFTER_MS;
        gint64 until = g_get_monotonic_time() + wait * G_TIME_SPAN_MILLISECOND;
        gboolean same = TRUE;
        while (same && g_cond_wait_until(&progress->changed, &progress->mutex, until))
            same = !progress->ends && progress->wanted == phase;
        if (!same || progress->ends)
            continue;
        if (!progress->shown || progress->told[0] != '\0')
            show(progress, phase);
    }
    g_mutex_unlock(&progress->mutex);
    return NULL;
}

PmProgress *
pm_progress_new(gboolean visible)
{
    PmProgress *progress = g_new0(PmProgress, 1);
    g_mutex_init(&progress->mutex);
    g_cond_init(&progress->changed);
    if (visible) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, STACK_BYTES);
        /* Without a thread there is no line, and nothing else is lost. */
        progress->has_thread =
            pthread_create(&progress->thread, &attributes, show_phases, progress) == 0;
        pthread_attr_destroy(&attributes);
    }
    return progress;
}

/* Books the time of the phase that ends; one that comes in pieces is one phase. */
static void
add_time(PmProgress *progress, gint64 microseconds)
{
    for (guint i = 0; i < progress->phase_count; i++) {
        if (strcmp(progress->phases[i].name, progress->current) == 0) {
            progress->phases[i].microseconds += microseconds;
            return;
        }
    }
    if (progress->phase_count < PHASES_MAX)
        progress->phases[progress->phase_count++] = (Phase){progress->current, microseconds};
}

void
pm_progress_start(PmProgress *progress, const char *phase)
{
    gint64 now = g_get_monotonic_time();
    if (progress->current != NULL)
        add_time(progress, now - progress->started);
    progress->current = phase;
    progress->started = now;
    g_mutex_lock(&progress->mutex);
    wipe(progress);
    progress->wanted = phase;
    progress->told[0] = '\0';
    g_cond_signal(&progress->changed);
    g_mutex_unlock(&progress->mutex);
}

void
pm_progress_tell(PmProgress *progress, const char *what, guint64 done, guint64 total)
{
    gint64 now = g_get_monotonic_time();
    if (!progress->has_thread || now - progress->told_at < TOLD_EVERY_MS * G_TIME_SPAN_MILLISECOND)
        return;
    progress->told_at = now;
    g_autofree char *clean = pm_sanitise_short(what, FALSE, TOLD_BYTES - 16);
    g_mutex_lock(&progress->mutex);
    if (total == 0)
        g_snprintf(progress->told, TOLD_BYTES, "%s", clean);
    else
        g_snprintf(progress->told, TOLD_BYTES, "%s: %.0f %%", clean,
                   100 * pm_share(MIN(done, total), total));
    g_mutex_unlock(&progress->mutex);
}

void
pm_progress_tell_dwarf(gpointer progress, const char *module, guint64 done, guint64 total)
{
    g_autofree char *base = g_path_get_basename(module);
    g_autofree char *what = g_strconcat("reading DWARF of ", base, NULL);
    pm_progress_tell(progress, what, done, total);
}

void
pm_progress_hide(PmProgress *progress)
{
    g_mutex_lock(&progress->mutex);
    wipe(progress);
    progress->hidden = TRUE;
    g_mutex_unlock(&progress->mutex);
}

void
pm_progress_reveal(PmProgress *progress)
{
    g_mutex_lock(&progress->mutex);
    progress->hidden = FALSE;
    g_mutex_unlock(&progress->mutex);
}

void
pm_progress_free(PmProgress *progress)
{
    pm_progress_start(progress, NULL);
    if (progress->has_thread) {
        g_mutex_lock(&progress->mutex);
        progress->ends = TRUE;
        g_cond_signal(&progress->changed);
        g_mutex_unlock(&progress->mutex);
        pthread_join(progress->thread, NULL);
    }
    g_mutex_clear(&progress->mutex);
    g_cond_clear(&progress->changed);
    g_free(progress);
}

/* A line of /proc/self/status in bytes, such as "RssAnon:"; 0 where it is not there. */
static guint64
read_status(const char *key)
{
    g_autofree char *status = NULL;
    if (!g_file_get_contents("/proc/self/status", &status, NULL, NULL))
        return 0;
    const char *line = strstr(status, key);
    return line == NULL ? 0 : g_ascii_strtoull(line + strlen(key), NULL, 10) * 1024;
}

void
pm_progress_print_stats(PmProgress *progress, guint64 index_bytes, guint64 chunks)
{
    pm_progress_start(progress, NULL);
    gint64 total = 0;
    gint64 walk = 0;
    for (guint i = 0; i < progress->phase_count; i++) {
        const Phase *phase = &progress->phases[i];
        (void)fprintf(stderr, "%-28s %9.3f s\n", phase->name,
                      (double)phase->microseconds / G_TIME_SPAN_SECOND);
        total += phase->microseconds;
        if (strcmp(phase->name, PM_PHASE_WALK) == 0)
            walk = phase->microseconds;
    }
    (void)fprintf(stderr, "%-28s %9.3f s\n", "total", (double)total / G_TIME_SPAN_SECOND);
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_SELF, &usage);
    (void)fprintf(stderr, "%-28s %12s\n", "anonymous memory",
                  pm_format_bytes(read_status("RssAnon:")).text);
    (void)fprintf(stderr, "%-28s %12s (pages of the core included)\n", "peak resident",
                  pm_format_bytes((guint64)usage.ru_maxrss * 1024).text);
    if (chunks == 0)
        return;
    (void)fprintf(stderr, "%-28s %12s for %s\n", "heap index", pm_format_bytes(index_bytes).text,
                  pm_format_things(chunks, "chunk").text);
    if (walk > 0) {
        double rate = (double)chunks * G_TIME_SPAN_SECOND / (double)walk;
        (void)fprintf(stderr, "%-28s %12s chunks/s\n", "walk rate",
                      pm_format_count((guint64)rate).text);
    }
}
