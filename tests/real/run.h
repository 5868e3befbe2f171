/*
 * Runs programs so that they leave a core: in a private temporary folder, without the settings of
 * malloc that the test runner makes, with a time limit, and without leaving anything behind.
 */
#pragma once

#include <glib.h>

typedef enum {
    REAL_KERNEL_CORE, /* the program aborts; where cores go into a pipe on this machine, a gcore
                         snapshot instead */
    REAL_GCORE,       /* the program stops itself; gdb's gcore */
} RealCoreKind;

/*
 * @folder: temporary, everything below is in it. @core: the core. @ledger: what a sample wrote with
 * --ledger.
 * @output: standard output and error of the program.
 */
typedef struct {
    char *folder;
    char *core;
    char *ledger;
    char *output;
} RealRun;

/*
 * Runs the sample @program (NULL-terminated; a loader and its options may come first) with
 * @options, words parted by spaces, and
 * --ledger and --end added; takes its core.
 *
 * Returns: (transfer full): NULL after g_test_fail() or, where the machine cannot do it,
 * g_test_skip().
 */
RealRun *real_run_sample(const char *const *program, const char *options, RealCoreKind kind);

/* The path of the sample @name as it was built, whether it is there or not. (transfer full) */
char *real_get_sample(const char *name);

/*
 * real_run_sample() of the sample @name as it was built.
 *
 * Returns: (transfer full): NULL, after g_test_skip(), where it was not built, too.
 */
RealRun *real_run_built_sample(const char *name, const char *options, RealCoreKind kind);

/*
 * Runs @command to its call of exit() under gdb, has it print malloc_stats() to its standard error,
 * takes a core there and kills it.
 *
 * @environment: NAME=VALUE words, NULL-terminated, or NULL.
 * Returns: (transfer full): as real_run_sample(); @output holds standard error alone, @ledger does
 * not exist.
 */
RealRun *real_run_to_exit(const char *const *command, const char *const *environment);

/*
 * Runs @command, which stops itself in some way that is none of this module's business, takes a
 * snapshot there and kills it.
 *
 * @environment: NAME=VALUE words, NULL-terminated, or NULL.
 * Returns: (transfer full): as real_run_sample(); @ledger need not exist.
 */
RealRun *real_run_to_stop(const char *const *command, const char *const *environment);

/*
 * Runs @command in the run's folder until the signal that it finds in the environment as
 * POSTMALLOC_END ends it: "ABRT", or "STOP" where only a snapshot can be had.
 *
 * @environment: NAME=VALUE words, NULL-terminated, or NULL.
 * Returns: (transfer full): as real_run_sample(); @ledger does not exist.
 */
RealRun *real_run_to_signal(const char *const *command, const char *const *environment);

/* g_test_run() with an empty cache folder of its own: what postmalloc keeps is made anew. */
int real_test_run(void);

/* Removes the folder with all that is in it. */
void real_run_free(RealRun *run);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RealRun, real_run_free)

/* Cuts the core off after the share @numerator / @denominator of its bytes. */
void real_run_cut(const RealRun *run, guint numerator, guint denominator);

/*
 * Runs @command to its end, in @folder (NULL: here), without malloc's settings; at most @seconds.
 *
 * @output_path: where its standard output goes, or NULL for nowhere. @error_path: the same for
 * standard error. Returns: the wait status, or -1 where it could not be started or took too long.
 */
int real_run_command(const char *const *command, const char *folder, const char *output_path,
                     const char *error_path, guint seconds);

/* Fails the test and goes on; unlike g_test_fail_printf(), every message of a test is shown. */
void real_fail(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* Removes @path and, where it is a folder, all that is in it. */
void real_remove(const char *path);

/* TRUE where @program is on the path; otherwise skips the test, which needs it for @purpose. */
gboolean real_require_program(const char *program, const char *purpose);
