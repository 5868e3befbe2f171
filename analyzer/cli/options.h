/*
 * The command line: which command, which core, which options, each checked against what the command
 * takes.
 */
#pragma once

#include "analysis/chunks.h"
#include "base/error.h"

/* Groups of options; a command names those that it takes. */
typedef enum {
    PM_TAKES_COMMON = 1 << 0,
    PM_TAKES_CHUNKS = 1 << 1, /* --size, --chunk-size, --state */
    PM_TAKES_ARENA = 1 << 2,
    PM_TAKES_LIMIT = 1 << 3,
    PM_TAKES_STRICT = 1 << 4,
    PM_TAKES_ADDRESS = 1 << 5, /* ADDR after CORE */
    PM_TAKES_REACH = 1 << 6,
    PM_TAKES_FAIL_OVER = 1 << 7,
    PM_TAKES_LOST = 1 << 8,
    PM_NEEDS_SIZE = 1 << 9,     /* of PM_TAKES_CHUNKS one of the first two must be given */
    PM_TAKES_COUNT = 1 << 10,   /* --count, --seed */
    PM_TAKES_STRINGS = 1 << 11, /* --min, --by */
    PM_TAKES_USED = 1 << 12,    /* chunks in use alone, where --state is not given */
    PM_TAKES_SITES = 1 << 13,   /* --size, --chunk-size, --variable */
    PM_TAKES_TYPE = 1 << 14,    /* --type, --paths */
    PM_TAKES_ALONE = 1 << 15,   /* of PM_TAKES_COMMON those that need no core */
    PM_TAKES_PID = 1 << 16,     /* PID in place of CORE */
    PM_TAKES_OUTPUT = 1 << 17,
} PmTakes;

typedef enum {
    PM_WHEN_AUTO,
    PM_WHEN_ALWAYS,
    PM_WHEN_NEVER,
} PmWhen;

/*
 * @core: as given; NULL where a process or --coredump stands in its place. @pid: 0 where not given.
 * @coredump: the MATCH of --coredump, "" without one; NULL where not given. @output: -o, or
 * NULL.
 * @address: of commands that take one. @exe, @sysroot, @debug_dir: NULL where not
 * given.
 * @type: NULL where not given. @paths: --paths.
 * @json: --format json. @uptime_seconds: 0 where not given. @top, @limit: 0 means all; the defaults
 * are in.
 * @jobs: 0 means as many as there are processors. @filter: without the arena, whose address is
 * @arena or PM_ADDR_NONE. @fails_over: --fail-over was given, and @fail_over_bytes is the limit.
 * @count, @seed, @min: the defaults are in. @by_bytes: --by bytes.
 */
typedef struct {
    char *core;
    guint32 pid;
    char *coredump;
    char *output;
    PmAddr address;
    char *exe;
    char *sysroot;
    char *debug_dir;
    gboolean json;
    guint64 uptime_seconds;
    guint64 top;
    gboolean top_given;
    guint64 limit;
    guint jobs;
    gboolean stats;
    gboolean no_progress;
    PmWhen color;
    gboolean quiet;
    gboolean verbose;
    gboolean strict;
    gboolean lost;
    gboolean variable;
    PmChunkFilter filter;
    PmAddr arena;
    char *type;
    gboolean paths;
    gboolean fails_over;
    guint64 fail_over_bytes;
    guint64 count;
    guint64 seed;
    guint64 min;
    gboolean by_bytes;
} PmOptions;

/* What the user wants. */
typedef enum {
    PM_ASKED_COMMAND,
    PM_ASKED_HELP,
    PM_ASKED_VERSION,
} PmAsked;

/* The words and options of a command line, not yet matched with a command. */
typedef struct PmCommandLine PmCommandLine;

/*
 * Splits a command line into words and options.
 *
 * Returns: (transfer full): NULL with PM_ERROR_USAGE for an option that does not exist or lacks its
 * value.
 */
PmCommandLine *pm_command_line_parse(int argc, char **argv, GError **error);
void pm_command_line_free(PmCommandLine *line);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmCommandLine, pm_command_line_free)

PmAsked pm_command_line_get_asked(const PmCommandLine *line);

/* The words that are no options, NULL-terminated. Borrowed. */
char **pm_command_line_get_words(const PmCommandLine *line);

/* Whether an option names what to look at, so that no CORE follows. */
gboolean pm_command_line_names_source(const PmCommandLine *line);

/*
 * The options of @line for a command.
 *
 * @command: its name, for messages. @takes: PmTakes bits. @words: CORE and what follows it.
 * Returns: (transfer full): NULL with PM_ERROR_USAGE.
 */
PmOptions *pm_options_new(const PmCommandLine *line, const char *command, guint takes,
                          char *const *words, GError **error);
void pm_options_free(PmOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmOptions, pm_options_free)

/* The options that @takes allows, two columns, for --help. (transfer full) */
char *pm_options_describe(guint takes);

/* "core --exe FILE …", "-p PID …" as the user gave them, quoted for a shell: what a further command
 * on this core needs. (transfer full) */
char *pm_options_quote_source(const PmOptions *options);

/* @word as it can stand in a command that is pasted into a shell. (transfer full) */
char *pm_options_quote_word(const char *word);
