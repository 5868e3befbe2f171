/*
 * postmalloc: the table of commands, from the command line to the exit status.
 */
#include "cli/command.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const PmCommand *const commands[] = {
    &pm_command_report, &pm_command_info,    &pm_command_maps,     &pm_command_threads,
    &pm_command_arenas, &pm_command_sizes,   &pm_command_types,    &pm_command_chunks,
    &pm_command_sample, &pm_command_strings, &pm_command_schema,   &pm_command_structs,
    &pm_command_leaks,  &pm_command_refs,    &pm_command_path,     &pm_command_show,
    &pm_command_sites,  &pm_command_check,   &pm_command_snapshot,
};

/* Names that INTERFACE.md gives to commands of later versions. */
static const char *const reserved_commands[] = {"retained", "diff", "sql", "plugins"};

static int
fail_usage(const char *message)
{
    (void)fprintf(stderr, "postmalloc: %s; see postmalloc --help\n", message);
    return PM_EXIT_USAGE;
}

/* The exit status after what went to stdout without an error of its own: --help and --version. */
static int
finish_stdout(void)
{
    if (fflush(stdout) == 0)
        return PM_EXIT_ANSWERED;
    perror("postmalloc: cannot write");
    return PM_EXIT_FAILED;
}

static void
print_help(const PmCommand *command)
{
    if (command != NULL) {
        g_autofree char *options = pm_options_describe(command->takes);
        printf("usage: postmalloc %s [OPTIONS] %s%s\n\n%s\n%s%s\noptions:\n%s", command->name,
               command->takes & PM_TAKES_PID ? "PID" : "CORE",
               command->takes & PM_TAKES_ADDRESS ? " ADDR" : "", command->answers,
               command->details == NULL ? "" : "\n",
               command->details == NULL ? "" : command->details, options);
        return;
    }
    printf(
        "usage: postmalloc CORE                     the same as postmalloc report CORE\n"
        "       postmalloc COMMAND [OPTIONS] CORE [ARGS]\n"
        "       postmalloc COMMAND [OPTIONS] -p PID [ARGS]\n"
        "       postmalloc COMMAND --help\n\n"
        "Reads the core file of a Linux program (a kernel core or a gcore snapshot), or the memory "
        "of one\nthat runs, and walks its glibc heap.\n\ncommands:\n");
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
        printf("  %-8s %s\n", commands[i]->name, commands[i]->answers);
    g_autofree char *options = pm_options_describe(PM_TAKES_COMMON);
    printf(
        "\noptions of every command:\n%s"
        "\nexit status: 0 answered, 1 could not be answered, 2 wrong usage, 3 a limit was passed\n"
        "             (check --strict, leaks --fail-over)\n",
        options);
}

static const PmCommand *
find_command(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    }
    return NULL;
}

static gboolean
is_reserved(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(reserved_commands); i++) {
        if (strcmp(reserved_commands[i], name) == 0)
            return TRUE;
    }
    return FALSE;
}

static int
fail_reserved(const char *command)
{
    g_autofree char *message =
        g_strdup_printf("the command '%s' is not available in this version", command);
    return fail_usage(message);
}

/*
 * The command that @words ask for; *words is moved past its name.
 *
 * @sourced: an option names what to look at.
 * Returns: NULL with PM_ERROR_USAGE.
 */
static const PmCommand *
choose_command(char ***words, gboolean sourced, GError **error)
{
    const char *first = (*words)[0];
    const PmCommand *command = first == NULL ? NULL : find_command(first);
    if (command != NULL) {
        (*words)++;
        return command;
    }
    if (first == NULL && sourced)
        return &pm_command_report;
    if (first == NULL)
        g_set_error_literal(error, PM_ERROR, PM_ERROR_USAGE, "which core?");
    else if (is_reserved(first))
        g_set_error(error, PM_ERROR, PM_ERROR_USAGE,
                    "the command '%s' is not available in this version", first);
    else if ((*words)[1] != NULL)
        g_set_error(error, PM_ERROR, PM_ERROR_USAGE, "'%s' is no command", first);
    else
        return &pm_command_report;
    return NULL;
}

static gboolean
wants_color(const PmOptions *options)
{
    if (options->color != PM_WHEN_AUTO)
        return options->color == PM_WHEN_ALWAYS;
    const char *no_color = g_getenv("NO_COLOR");
    const char *term = g_getenv("TERM");
    return isatty(STDOUT_FILENO) == 1 && (no_color == NULL || *no_color == '\0') &&
           g_strcmp0(term, "dumb") != 0;
}

/* Opens, runs and shows. Returns: the exit status, with @error set for PM_EXIT_FAILED. */
static int
run_command(const PmCommand *command, PmSession *session, const PmSink *sink, GError **error)
{
    if (!command->opens_nothing &&
        !pm_session_open(session, command->heap, command->verifies_bins, error)) {
        /* What was read before it failed may say why. */
        pm_session_print_diagnostics(session, TRUE);
        return PM_EXIT_FAILED;
    }
    if (command->opens_nothing)
        return command->run(session, sink, error);
    if (command->prepare != NULL && !command->prepare(session, error))
        return PM_EXIT_FAILED;
    pm_progress_start(session->progress, PM_PHASE_ANSWER);
    if (sink->json == NULL)
        pm_session_print_diagnostics(session, !command->shows_violations);
    return command->run(session, sink, error);
}

static void
hide_progress(gpointer progress)
{
    pm_progress_hide(progress);
}

static int
execute(const PmCommand *command, const PmOptions *options)
{
    g_autoptr(PmOutput) output = pm_output_new(STDOUT_FILENO);
    g_autoptr(PmSession) session = pm_session_new(options);
    g_autofree char *again = pm_options_quote_source(options);
    if (isatty(STDOUT_FILENO) == 1) {
        output->before = hide_progress;
        output->before_data = session->progress;
    }
    PmJson json;
    pm_json_init(&json, output);
    PmSink sink = {.output = output,
                   .json = options->json ? &json : NULL,
                   .command = command->name,
                   .core_path = options->core,
                   .again = again,
                   .top = options->top,
                   .top_given = options->top_given,
                   .limit = options->limit,
                   .color = wants_color(options),
                   .utf8 = g_get_charset(NULL),
                   .verbose = options->verbose};
    g_autoptr(GError) error = NULL;
    int status = run_command(command, session, &sink, &error);
    if (error != NULL) {
        pm_sink_fail(&sink, &session->subject, error);
        pm_progress_hide(session->progress);
        g_autofree char *message = pm_sanitise(error->message, sink.utf8);
        (void)fprintf(stderr, "postmalloc: %s\n", message);
    }
    if (!pm_output_flush(output)) {
        (void)fprintf(stderr, "postmalloc: cannot write the result: %s\n",
                      g_strerror(output->error));
        status = PM_EXIT_FAILED;
    }
    if (options->stats)
        pm_session_print_stats(session);
    return status;
}

/*
 * The terminal's own encoding; where nothing is said of one, as in containers and services, UTF-8.
 */
static void
choose_locale(void)
{
    (void)setlocale(LC_CTYPE, "");
    if (g_getenv("LC_ALL") == NULL && g_getenv("LC_CTYPE") == NULL && g_getenv("LANG") == NULL)
        (void)setlocale(LC_CTYPE, "C.UTF-8");
}

int
main(int argc, char **argv)
{
    choose_locale();
    /* A closed pipe ends the program quietly, even where the parent ignored the signal. */
    (void)signal(SIGPIPE, SIG_DFL);
    /* Past the limit of file sizes (ulimit -f) a write fails, as on a full disk. */
    (void)signal(SIGXFSZ, SIG_IGN);
    g_autoptr(GError) error = NULL;
    /* Before the options are read: they may be those of the later version. */
    if (argc > 1 && is_reserved(argv[1]))
        return fail_reserved(argv[1]);
    g_autoptr(PmCommandLine) line = pm_command_line_parse(argc, argv, &error);
    if (line == NULL)
        return fail_usage(error->message);
    char **words = pm_command_line_get_words(line);
    PmAsked asked = pm_command_line_get_asked(line);
    if (asked == PM_ASKED_VERSION) {
        printf("postmalloc %s\n", PM_VERSION);
        return finish_stdout();
    }
    if (asked == PM_ASKED_HELP && words[0] == NULL) {
        print_help(NULL);
        return finish_stdout();
    }
    const PmCommand *command = choose_command(&words, pm_command_line_names_source(line), &error);
    if (command == NULL)
        return fail_usage(error->message);
    if (asked == PM_ASKED_HELP) {
        print_help(command);
        return finish_stdout();
    }
    g_autoptr(PmOptions) options =
        pm_options_new(line, command->name, command->takes, words, &error);
    if (options == NULL)
        return fail_usage(error->message);
    return execute(command, options);
}
