/*
 * A command: what main needs to know of it, and what it does. One file a command.
 */
#pragma once

#include "cli/session.h"
#include "report/sink.h"

/* Exit statuses of INTERFACE.md. */
#define PM_EXIT_ANSWERED 0
#define PM_EXIT_FAILED   1
#define PM_EXIT_USAGE    2
#define PM_EXIT_LIMIT    3

/*
 * @answers: one line for --help. @details: (nullable): more of it, in lines of 100 columns, for the
 * command's own. @takes: PmTakes bits. @heap: what it needs of it.
 * @opens_nothing: it reads no core: it gets a session that was not opened.
 * @verifies_bins: every list of free chunks is followed too, for `check`.
 * @shows_violations: it shows the heap's violations itself, so that they are no warnings besides.
 * @prepare: (nullable): once the core is open, before warnings are shown: the scan, where the
 * command needs one. Returns: FALSE with @error set.
 * @run: analyses and shows. Returns: PM_EXIT_ANSWERED or PM_EXIT_LIMIT; PM_EXIT_FAILED with @error
 * set, before anything was written to the sink.
 */
typedef struct {
    const char *name;
    const char *answers;
    const char *details;
    guint takes;
    PmHeapNeed heap;
    gboolean opens_nothing;
    gboolean verifies_bins;
    gboolean shows_violations;
    gboolean (*prepare)(PmSession *session, GError **error);
    int (*run)(const PmSession *session, const PmSink *sink, GError **error);
} PmCommand;

extern const PmCommand pm_command_report;
extern const PmCommand pm_command_info;
extern const PmCommand pm_command_maps;
extern const PmCommand pm_command_threads;
extern const PmCommand pm_command_arenas;
extern const PmCommand pm_command_sizes;
extern const PmCommand pm_command_structs;
extern const PmCommand pm_command_chunks;
extern const PmCommand pm_command_leaks;
extern const PmCommand pm_command_schema;
extern const PmCommand pm_command_refs;
extern const PmCommand pm_command_path;
extern const PmCommand pm_command_show;
extern const PmCommand pm_command_check;
extern const PmCommand pm_command_sample;
extern const PmCommand pm_command_types;
extern const PmCommand pm_command_strings;
extern const PmCommand pm_command_sites;
extern const PmCommand pm_command_snapshot;
