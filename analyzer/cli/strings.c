/*
 * postmalloc strings: the texts in chunks.
 */
#include "report/strings.h"
#include "cli/command.h"

#define PHASE_STRINGS "reading strings"

/* Without --reach there is no need for the scan. */
static gboolean
prepare(PmSession *session, GError **error)
{
    pm_session_prepare_places(session);
    return session->options->filter.reaches == 0 || pm_session_scan(session, error);
}

static int
run(const PmSession *session, const PmSink *sink, GError **error)
{
    const PmOptions *options = session->options;
    PmChunkFilter filter;
    const PmStringsOptions how = {.characters_min = (gsize)options->min,
                                  .by_bytes = options->by_bytes,
                                  .jobs = options->jobs};
    if (!pm_session_get_filter(session, &filter, error))
        return PM_EXIT_FAILED;
    pm_progress_start(session->progress, PHASE_STRINGS);
    g_autoptr(PmStrings) strings = pm_strings_new(session->places, session->reach, &filter, &how);
    pm_progress_start(session->progress, PM_PHASE_ANSWER);
    pm_report_strings(sink, &session->subject, &filter, strings);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_strings = {
    .name = "strings",
    .answers = "Strings in chunks, counted and ranked, and those that chunks point to.",
    .details =
        "ASCII and UTF-8, up to a NUL or the end of the chunk; in chunks in use unless --state "
        "says\n"
        "otherwise. \"Pointed to\" are strings in read-only data, and in other chunks where the "
        "options choose\n"
        "some. What a program did not write since malloc() may be text of an earlier owner.\n",
    .takes = PM_TAKES_COMMON | PM_TAKES_CHUNKS | PM_TAKES_REACH | PM_TAKES_ARENA |
             PM_TAKES_STRINGS | PM_TAKES_USED,
    .heap = PM_HEAP_REQUIRED,
    .prepare = prepare,
    .run = run,
};
