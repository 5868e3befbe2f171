/*
 * The command line; see options.h. One table describes every option; GOption does the splitting.
 */
#include "cli/options.h"

#include "cli/units.h"

#include <string.h>

/* As GOption leaves them: text and flags, unset where not given. */
typedef struct {
    gboolean help;
    gboolean version;
    gboolean stats;
    gboolean no_progress;
    gboolean quiet;
    gboolean verbose;
    gboolean strict;
    gboolean lost;
    gboolean variable;
    gboolean paths;
    char *exe;
    char *sysroot;
    char *debug_dir;
    char *format;
    char *uptime;
    char *top;
    char *jobs;
    char *color;
    char *size;
    char *chunk_size;
    char *state;
    char *arena;
    char *type;
    char *limit;
    char *reach;
    char *fail_over;
    char *count;
    char *seed;
    char *min;
    char *by;
    char *output;
    char *pid;
    char *coredump;
    char *reserved;
} RawOptions;

struct PmCommandLine {
    RawOptions raw;
    char **words;
};

/* Not in --help: names that later versions will fill. */
#define RESERVED 0U

/* @takes: the group it belongs to. @offset: of its place in RawOptions. @value: what --help calls
 * its value; NULL for a flag. */
typedef struct {
    const char *name;
    char letter;
    guint takes;
    gsize offset;
    const char *value;
    const char *help;
} OptionRow;

#define COUNT_DEFAULT 4
#define COUNT_MAX     1000000
#define MIN_DEFAULT   4

/* Continues the help of an option below itself. */
#define HELP_BREAK "\n                           "

#define AT(field) G_STRUCT_OFFSET(RawOptions, field)

static const OptionRow option_rows[] = {
    {"pid", 'p', PM_TAKES_COMMON | PM_TAKES_PID, AT(pid), "PID",
     "the running process PID, in place of CORE"},
    {"coredump", 0, PM_TAKES_COMMON, AT(coredump), "[=MATCH]",
     "the newest core of coredumpctl (that MATCHes), in place of CORE"},
    {"exe", 0, PM_TAKES_COMMON, AT(exe), "FILE",
     "the program, where its path is not on this machine"},
    {"sysroot", 0, PM_TAKES_COMMON, AT(sysroot), "DIR", "look modules up under DIR first"},
    {"debug-dir", 0, PM_TAKES_COMMON, AT(debug_dir), "DIR",
     "separate debug files; DEBUGINFOD_URLS is honoured"},
    {"format", 0, PM_TAKES_COMMON | PM_TAKES_ALONE, AT(format), "text|json",
     "json goes to standard output as one object"},
    {"uptime", 0, PM_TAKES_COMMON, AT(uptime), "DURATION",
     "how long the process ran (90d, 36h, 1h30m): adds rates"},
    {"top", 0, PM_TAKES_COMMON, AT(top), "N", "rows in ranked tables (default 10; 0 = all)"},
    {"jobs", 'j', PM_TAKES_COMMON, AT(jobs), "N",
     "worker threads (default: the processors there are)"},
    {"stats", 0, PM_TAKES_COMMON | PM_TAKES_ALONE, AT(stats), NULL,
     "phase times and memory on standard error"},
    {"no-progress", 0, PM_TAKES_COMMON | PM_TAKES_ALONE, AT(no_progress), NULL,
     "no progress on a terminal"},
    {"color", 0, PM_TAKES_COMMON | PM_TAKES_ALONE, AT(color), "WHEN", "auto, always or never"},
    {"quiet", 'q', PM_TAKES_COMMON | PM_TAKES_ALONE, AT(quiet), NULL, "no warnings"},
    {"verbose", 'v', PM_TAKES_COMMON | PM_TAKES_ALONE, AT(verbose), NULL,
     "notes as well as warnings, and more detail"},
    {"size", 0, PM_TAKES_CHUNKS | PM_TAKES_SITES, AT(size), "N",
     "chunks that serve malloc(N): 20, 0x14, 4K, 64M"},
    {"chunk-size", 0, PM_TAKES_CHUNKS | PM_TAKES_SITES, AT(chunk_size), "N",
     "chunks of exactly N bytes, header included"},
    {"variable", 0, PM_TAKES_SITES, AT(variable), NULL,
     "also calls whose size is not known, or only its bounds"},
    {"state", 0, PM_TAKES_CHUNKS, AT(state), "LIST", "used, tcache, fastbin, bin, top, runtime"},
    {"reach", 0, PM_TAKES_REACH, AT(reach), "LIST",
     "lost (all three leak classes), leak-root, leak-cycle, leak-indirect," HELP_BREAK
     "reachable, reachable-interior, reachable-weak"},
    {"arena", 0, PM_TAKES_ARENA, AT(arena), "ADDR", "of this arena alone"},
    {"type", 0, PM_TAKES_TYPE, AT(type), "NAME", "of this type alone, as types names it"},
    {"paths", 0, PM_TAKES_TYPE, AT(paths), NULL,
     "in JSON: how typed pointers lead there, for a debugger"},
    {"limit", 0, PM_TAKES_LIMIT, AT(limit), "N", "rows in lists (default 20; 0 = all, streamed)"},
    {"count", 0, PM_TAKES_COUNT, AT(count), "N", "chunks that are chosen (default 4)"},
    {"seed", 0, PM_TAKES_COUNT, AT(seed), "N", "choose others (default 0)"},
    {"min", 0, PM_TAKES_STRINGS, AT(min), "N", "characters of the shortest string (default 4)"},
    {"by", 0, PM_TAKES_STRINGS, AT(by), "count|bytes", "what the strings are ranked by"},
    {"strict", 0, PM_TAKES_STRICT, AT(strict), NULL,
     "exit status 3 where an invariant is violated"},
    {"lost", 0, PM_TAKES_LOST, AT(lost), NULL,
     "say what is lost in a large core, too: takes longer"},
    {"fail-over", 0, PM_TAKES_FAIL_OVER, AT(fail_over), "BYTES",
     "exit status 3 where more than BYTES are lost"},
    {"output", 'o', PM_TAKES_OUTPUT, AT(output), "FILE", "write it there (default core.PID)"},
    {"help", 'h', PM_TAKES_COMMON | PM_TAKES_ALONE, AT(help), NULL, "this help"},
    {"version", 0, RESERVED, AT(version), NULL, ""},
    {"html", 0, RESERVED, AT(reserved), "FILE", ""},
    {"rules", 0, RESERVED, AT(reserved), "FILE", ""},
    {"yara", 0, RESERVED, AT(reserved), "FILE", ""},
};

/* GOption's callback for an option that a later version will have; its value may stand after it or
 * not. */
static gboolean
refuse_reserved(const char *name, G_GNUC_UNUSED const char *value, G_GNUC_UNUSED gpointer data,
                GError **error)
{
    g_set_error(error, PM_ERROR, PM_ERROR_USAGE, "%s is not available in this version", name);
    return FALSE;
}

static GOptionEntry
make_entry(const OptionRow *row, RawOptions *raw)
{
    GOptionEntry entry = {.long_name = row->name, .short_name = row->letter};
    if (row->offset == AT(reserved)) {
        entry.arg = G_OPTION_ARG_CALLBACK;
        entry.flags = G_OPTION_FLAG_OPTIONAL_ARG;
        /* ISO C has no cast between the two; POSIX and GLib live by it. */
        *(gboolean(**)(const char *, const char *, gpointer, GError **)) & entry.arg_data =
            refuse_reserved;
    } else {
        entry.arg = row->value == NULL ? G_OPTION_ARG_NONE : G_OPTION_ARG_FILENAME;
        entry.arg_data = G_STRUCT_MEMBER_P(raw, row->offset);
    }
    return entry;
}

/* How GOption wants @argument, which is as people write it: it does not know -j8, and would take
 * the word behind --coredump for its value. (transfer full) */
static char *
adapt_argument(const char *argument)
{
    if (g_str_has_prefix(argument, "-j") && g_ascii_isdigit(argument[2]))
        return g_strconcat("--jobs=", argument + 2, NULL);
    if (g_str_has_prefix(argument, "-p") && g_ascii_isdigit(argument[2]))
        return g_strconcat("--pid=", argument + 2, NULL);
    return g_strdup(strcmp(argument, "--coredump") == 0 ? "--coredump=" : argument);
}

/* GOption changes what it reads: a copy, NULL-terminated. (transfer full) */
static char **
copy_arguments(int argc, char **argv)
{
    char **arguments = g_new0(char *, (gsize)argc + 1);
    for (int i = 0; i < argc; i++)
        arguments[i] = adapt_argument(argv[i]);
    return arguments;
}

PmCommandLine *
pm_command_line_parse(int argc, char **argv, GError **error)
{
    g_autoptr(PmCommandLine) line = g_new0(PmCommandLine, 1);
    /* One more for the words, one that ends the list. */
    GOptionEntry entries[G_N_ELEMENTS(option_rows) + 2] = {0};
    for (gsize i = 0; i < G_N_ELEMENTS(option_rows); i++)
        entries[i] = make_entry(&option_rows[i], &line->raw);
    entries[G_N_ELEMENTS(option_rows)] = (GOptionEntry){.long_name = G_OPTION_REMAINING,
                                                        .arg = G_OPTION_ARG_FILENAME_ARRAY,
                                                        .arg_data = (gpointer)&line->words};
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_option_context_set_help_enabled(context, FALSE);
    g_option_context_add_main_entries(context, entries, NULL);
    g_auto(GStrv) arguments = copy_arguments(argc, argv);
    g_autoptr(GError) parse_error = NULL;
    if (!g_option_context_parse_strv(context, &arguments, &parse_error)) {
        if (parse_error->domain == PM_ERROR)
            g_propagate_error(error, g_steal_pointer(&parse_error));
        else
            g_set_error_literal(error, PM_ERROR, PM_ERROR_USAGE, parse_error->message);
        return NULL;
    }
    if (line->words == NULL)
        line->words = g_new0(char *, 1);
    return g_steal_pointer(&line);
}

void
pm_command_line_free(PmCommandLine *line)
{
    for (gsize i = 0; i < G_N_ELEMENTS(option_rows); i++) {
        if (option_rows[i].value != NULL)
            g_free(G_STRUCT_MEMBER(char *, &line->raw, option_rows[i].offset));
    }
    g_strfreev(line->words);
    g_free(line);
}

PmAsked
pm_command_line_get_asked(const PmCommandLine *line)
{
    if (line->raw.help)
        return PM_ASKED_HELP;
    return line->raw.version ? PM_ASKED_VERSION : PM_ASKED_COMMAND;
}

char **
pm_command_line_get_words(const PmCommandLine *line)
{
    return line->words;
}

gboolean
pm_command_line_names_source(const PmCommandLine *line)
{
    return line->raw.pid != NULL || line->raw.coredump != NULL;
}

/* The first option that was given although @takes does not hold its group, or NULL. */
static const OptionRow *
find_stray_option(const RawOptions *raw, guint takes)
{
    for (gsize i = 0; i < G_N_ELEMENTS(option_rows); i++) {
        const OptionRow *row = &option_rows[i];
        gboolean given = row->value == NULL ? G_STRUCT_MEMBER(gboolean, raw, row->offset)
                                            : G_STRUCT_MEMBER(char *, raw, row->offset) != NULL;
        if (given && row->takes != RESERVED && (row->takes & takes) == 0)
            return row;
    }
    return NULL;
}

static gboolean
parse_states(const char *list, guint *ret_states, GError **error)
{
    g_auto(GStrv) words = g_strsplit(list, ",", -1);
    guint states = 0;
    for (guint i = 0; words[i] != NULL; i++) {
        guint state = 0;
        while (state < PM_CHUNK_STATES &&
               strcmp(words[i], pm_chunk_state_name((PmChunkState)state)) != 0)
            state++;
        if (state == PM_CHUNK_STATES) {
            g_set_error(error, PM_ERROR, PM_ERROR_USAGE,
                        "--state: '%s' is none of used, tcache, fastbin, bin, top, runtime",
                        words[i]);
            return FALSE;
        }
        states |= 1U << state;
    }
    /* INTERFACE.md: used lists runtime too. */
    if (states & 1U << PM_CHUNK_USED)
        states |= 1U << PM_CHUNK_RUNTIME;
    *ret_states = states;
    return TRUE;
}

/* The bits that @word of --reach stands for; 0 where it is none. */
static guint
find_reaches(const char *word)
{
    for (guint i = 0; i < PM_REACH_CLASSES; i++)
        if (strcmp(word, pm_reach_class_name((PmReachClass)i)) == 0)
            return 1U << i;
    return strcmp(word, "lost") == 0 ? PM_REACH_LOST : 0;
}

static gboolean
parse_reaches(const char *list, guint *ret_reaches, GError **error)
{
    g_auto(GStrv) words = g_strsplit(list, ",", -1);
    guint reaches = 0;
    for (guint i = 0; words[i] != NULL; i++) {
        guint found = find_reaches(words[i]);
        if (found == 0) {
            g_set_error(error, PM_ERROR, PM_ERROR_USAGE,
                        "--reach: '%s' is none of lost, reachable, reachable-interior, "
                        "reachable-weak, leak-root, leak-cycle, leak-indirect",
                        words[i]);
            return FALSE;
        }
        reaches |= found;
    }
    *ret_reaches = reaches;
    return TRUE;
}

/* The index of @text among @words, of which there are @count. */
static gboolean
parse_word(const char *option, const char *text, const char *const *words, guint *ret_index,
           GError **error)
{
    for (guint i = 0; words[i] != NULL; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret_index = i;
            return TRUE;
        }
    }
    g_autofree char *list = g_strjoinv(", ", (char **)words);
    g_set_error(error, PM_ERROR, PM_ERROR_USAGE, "%s: '%s' is none of %s", option, text, list);
    return FALSE;
}

static gboolean
parse_contents_options(PmOptions *options, const RawOptions *raw, GError **error)
{
    static const char *const orders[] = {"count", "bytes", NULL};
    guint order = 0;
    options->count = COUNT_DEFAULT;
    options->min = MIN_DEFAULT;
    if ((raw->count != NULL && !pm_parse_count(raw->count, 1, COUNT_MAX, &options->count, error)) ||
        (raw->seed != NULL && !pm_parse_count(raw->seed, 0, G_MAXUINT64, &options->seed, error)) ||
        (raw->min != NULL && !pm_parse_count(raw->min, 1, 4096, &options->min, error)) ||
        (raw->by != NULL && !parse_word("--by", raw->by, orders, &order, error)))
        return FALSE;
    options->by_bytes = order == 1;
    return TRUE;
}

static gboolean
parse_chunk_options(PmOptions *options, const RawOptions *raw, guint takes, GError **error)
{
    PmChunkFilter *filter = &options->filter;
    filter->states = takes & PM_TAKES_USED ? 1U << PM_CHUNK_USED : PM_CHUNK_STATES_ALL;
    options->arena = PM_ADDR_NONE;
    options->fails_over = raw->fail_over != NULL;
    filter->by_request = raw->size != NULL;
    filter->by_chunk_bytes = raw->chunk_size != NULL;
    filter->by_arena = raw->arena != NULL;
    if (filter->by_request && filter->by_chunk_bytes) {
        g_set_error_literal(error, PM_ERROR, PM_ERROR_USAGE,
                            "--size and --chunk-size exclude each other");
        return FALSE;
    }
    return (!filter->by_request || pm_parse_size(raw->size, &filter->request_bytes, error)) &&
           (!filter->by_chunk_bytes ||
            pm_parse_size(raw->chunk_size, &filter->chunk_bytes, error)) &&
           (!filter->by_arena || pm_parse_address(raw->arena, &options->arena, error)) &&
           (raw->state == NULL || parse_states(raw->state, &filter->states, error)) &&
           (raw->reach == NULL || parse_reaches(raw->reach, &filter->reaches, error)) &&
           (!options->fails_over ||
            pm_parse_size(raw->fail_over, &options->fail_over_bytes, error));
}

static gboolean
parse_common_options(PmOptions *options, const RawOptions *raw, GError **error)
{
    static const char *const formats[] = {"text", "json", NULL};
    static const char *const whens[] = {"auto", "always", "never", NULL};
    guint format = 0;
    guint when = PM_WHEN_AUTO;
    guint64 jobs = 0;
    if (raw->format != NULL && !parse_word("--format", raw->format, formats, &format, error))
        return FALSE;
    if (raw->color != NULL && !parse_word("--color", raw->color, whens, &when, error))
        return FALSE;
    /* A script wants everything; a person wants a page. */
    options->json = format == 1;
    options->color = (PmWhen)when;
    options->top = options->json ? 0 : 10;
    options->top_given = raw->top != NULL;
    options->limit = options->json ? 0 : 20;
    if ((raw->top != NULL && !pm_parse_count(raw->top, 0, G_MAXUINT64, &options->top, error)) ||
        (raw->limit != NULL &&
         !pm_parse_count(raw->limit, 0, G_MAXUINT64, &options->limit, error)) ||
        (raw->jobs != NULL && !pm_parse_count(raw->jobs, 1, 4096, &jobs, error)) ||
        (raw->uptime != NULL && !pm_parse_duration(raw->uptime, &options->uptime_seconds, error)))
        return FALSE;
    options->jobs = (guint)jobs;
    options->stats = raw->stats;
    options->no_progress = raw->no_progress;
    options->quiet = raw->quiet;
    options->verbose = raw->verbose;
    options->strict = raw->strict;
    options->lost = raw->lost;
    options->variable = raw->variable;
    options->paths = raw->paths;
    options->type = g_strdup(raw->type);
    options->output = g_strdup(raw->output);
    options->exe = g_strdup(raw->exe);
    options->sysroot = g_strdup(raw->sysroot);
    options->debug_dir = g_strdup(raw->debug_dir);
    return TRUE;
}

static gboolean
parse_pid(PmOptions *options, const char *text, GError **error)
{
    guint64 pid = 0;
    if (!pm_parse_count(text, 1, G_MAXINT32, &pid, error)) {
        g_prefix_error(error, "which process? Give its PID: ");
        return FALSE;
    }
    options->pid = (guint32)pid;
    return TRUE;
}

/* What to look at, where an option names it. */
static gboolean
parse_source(PmOptions *options, const RawOptions *raw, GError **error)
{
    if (raw->pid != NULL && raw->coredump != NULL) {
        g_set_error_literal(error, PM_ERROR, PM_ERROR_USAGE,
                            "-p and --coredump exclude each other");
        return FALSE;
    }
    options->coredump = g_strdup(raw->coredump);
    return raw->pid == NULL || parse_pid(options, raw->pid, error);
}

static gboolean
parse_words(PmOptions *options, const char *command, guint takes, char *const *words,
            GError **error)
{
    const guint sources = options->pid == 0 && options->coredump == NULL ? 1 : 0;
    const guint wanted = sources + (takes & PM_TAKES_ADDRESS ? 1 : 0);
    const guint count = g_strv_length((char **)words);
    if (count < sources)
        g_set_error(error, PM_ERROR, PM_ERROR_USAGE, "%s: which %s?", command,
                    takes & PM_TAKES_PID ? "process" : "core");
    else if (count < wanted)
        g_set_error(error, PM_ERROR, PM_ERROR_USAGE, "%s: which address? It stands after the core",
                    command);
    else if (count > wanted)
        g_set_error(error, PM_ERROR, PM_ERROR_USAGE, "%s: '%s' is one word too many", command,
                    words[wanted]);
    if (count != wanted)
        return FALSE;
    if (sources == 1 && (takes & PM_TAKES_PID) != 0)
        return parse_pid(options, words[0], error);
    if (sources == 1)
        options->core = g_strdup(words[0]);
    return wanted == sources || pm_parse_address(words[sources], &options->address, error);
}

/* A command that asks for the sizes of chunks, as the one that lists them is called. */
static void
set_size_missing(const PmOptions *options, const char *command, char *const *words, GError **error)
{
    g_autofree char *source = pm_options_quote_source(options);
    g_set_error(error, PM_ERROR, PM_ERROR_USAGE,
                "%s: chunks of which size? Give --size N or --chunk-size N; `postmalloc sizes %s` "
                "lists the sizes",
                command,
                *source != '\0'    ? source
                : words[0] == NULL ? "CORE"
                                   : words[0]);
}

PmOptions *
pm_options_new(const PmCommandLine *line, const char *command, guint takes, char *const *words,
               GError **error)
{
    g_autoptr(PmOptions) options = g_new0(PmOptions, 1);
    const OptionRow *stray = find_stray_option(&line->raw, takes);
    if (stray != NULL) {
        g_set_error(error, PM_ERROR, PM_ERROR_USAGE, "%s does not take --%s", command, stray->name);
        return NULL;
    }
    if (!parse_source(options, &line->raw, error))
        return NULL;
    if ((takes & PM_NEEDS_SIZE) != 0 && line->raw.size == NULL && line->raw.chunk_size == NULL) {
        set_size_missing(options, command, words, error);
        return NULL;
    }
    if (!parse_common_options(options, &line->raw, error) ||
        !parse_chunk_options(options, &line->raw, takes, error) ||
        !parse_contents_options(options, &line->raw, error) ||
        !parse_words(options, command, takes, words, error))
        return NULL;
    return g_steal_pointer(&options);
}

void
pm_options_free(PmOptions *options)
{
    g_free(options->core);
    g_free(options->coredump);
    g_free(options->output);
    g_free(options->exe);
    g_free(options->sysroot);
    g_free(options->debug_dir);
    g_free(options->type);
    g_free(options);
}

char *
pm_options_describe(guint takes)
{
    GString *text = g_string_new(NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(option_rows); i++) {
        const OptionRow *row = &option_rows[i];
        if ((row->takes & takes) == 0)
            continue;
        g_autofree char *name = row->letter == 0
                                    ? g_strdup_printf("    --%s", row->name)
                                    : g_strdup_printf("-%c, --%s", row->letter, row->name);
        const gboolean optional = row->value != NULL && row->value[0] == '[';
        g_autofree char *left = g_strjoin(optional ? "" : " ", name, row->value, NULL);
        g_string_append_printf(text, "  %-24s %s\n", left, row->help);
    }
    return g_string_free(text, FALSE);
}

char *
pm_options_quote_word(const char *word)
{
    gboolean plain = word[0] != '-' && word[0] != '\0';
    for (const char *at = word; *at != '\0'; at++)
        plain = plain && (g_ascii_isalnum(*at) || strchr("/._-+,:@%=", *at) != NULL);
    return plain ? g_strdup(word) : g_shell_quote(word);
}

char *
pm_options_quote_source(const PmOptions *options)
{
    const char *const pairs[][2] = {{"--exe", options->exe},
                                    {"--sysroot", options->sysroot},
                                    {"--debug-dir", options->debug_dir}};
    GString *text = g_string_new(NULL);
    if (options->core != NULL) {
        g_autofree char *core = pm_options_quote_word(options->core);
        g_string_append(text, core);
    } else if (options->pid != 0) {
        g_string_append_printf(text, "-p %u", options->pid);
    } else if (options->coredump != NULL) {
        g_autofree char *match = g_strconcat("--coredump=", options->coredump, NULL);
        g_autofree char *quoted = g_shell_quote(match);
        g_string_append(text, *options->coredump == '\0' ? "--coredump" : quoted);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++) {
        if (pairs[i][1] == NULL)
            continue;
        g_autofree char *quoted = g_shell_quote(pairs[i][1]);
        g_string_append_printf(text, " %s %s", pairs[i][0], quoted);
    }
    return g_string_free(text, FALSE);
}
