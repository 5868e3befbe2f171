/*
 * Phases of the work: a line on the terminal while one lasts longer than half a second, and their
 * times for --stats.
 */
#pragma once

#include <glib.h>

/* The phase whose time gives the rate of chunks. */
#define PM_PHASE_WALK "walking the heap"

/* What is left when the rest is done. */
#define PM_PHASE_ANSWER "answering"

/* Phases of commands that ask what refers to what. */
#define PM_PHASE_SCAN       "looking for what is lost"
#define PM_PHASE_TYPES      "typing what pointers lead to"
#define PM_PHASE_REFERENCES "collecting references"
#define PM_PHASE_PATH       "looking for a path"

/* Of commands that ask what chunks are. */
#define PM_PHASE_DWARF   "reading types"
#define PM_PHASE_FITTING "comparing types with chunks"

typedef struct PmProgress PmProgress;

/* @visible: whether lines may be shown; standard error must be a terminal then. */
PmProgress *pm_progress_new(gboolean visible);

/* Ends the phase that runs, wipes its line and frees. */
void pm_progress_free(PmProgress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmProgress, pm_progress_free)

/*
 * Ends the phase that runs and starts @phase; NULL starts none.
 *
 * @phase: a static string, such as "walking the heap".
 */
void pm_progress_start(PmProgress *progress, const char *phase);

/*
 * How far the phase that runs has come, and on what: "reading DWARF of libfoo.so: 43 %". Cheap: it
 * may be called thousands of times a second. Shown as the phase itself is, until the next phase or
 * the next call.
 *
 * @what: copied, cut to a line; what could steer a terminal is spelt out. @done, @total: 0 for
 * @total where nobody knows.
 */
void pm_progress_tell(PmProgress *progress, const char *what, guint64 done, guint64 total);

/* A PmTypesProgress (dwarf/types.h), whose data is a PmProgress. */
void pm_progress_tell_dwarf(gpointer progress, const char *module, guint64 done, guint64 total);

/* Wipes the line and shows none until pm_progress_reveal(): other output follows. Phases are still
 * timed. */
void pm_progress_hide(PmProgress *progress);

/* Allows lines again. */
void pm_progress_reveal(PmProgress *progress);

/* The phases so far and the memory that was needed, on standard error. @index_bytes, @chunks: of
 * the heap, or 0. */
void pm_progress_print_stats(PmProgress *progress, guint64 index_bytes, guint64 chunks);
