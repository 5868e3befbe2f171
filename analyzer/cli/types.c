/*
 * postmalloc types: the histogram by type.
 */
#include "report/types.h"
#include "cli/command.h"

static gboolean
prepare(PmSession *session, G_GNUC_UNUSED GError **error)
{
    return pm_session_prepare_typing(session);
}

static int
run(const PmSession *session, const PmSink *sink, G_GNUC_UNUSED GError **error)
{
    const PmNamer namer = pm_session_get_namer(session);
    g_autoptr(PmTypeHistogram) histogram = pm_type_histogram_new(session->typing, &namer);
    g_autoptr(PmRoots) roots = pm_roots_new(&session->subject);
    g_autoptr(PmTypeCoverage) coverage = pm_type_coverage_new(session->typing, roots);
    pm_report_types(sink, &session->subject, session->typing, histogram, coverage);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_types = {
    .name = "types",
    .answers = "The chunks in use by type: counts, bytes, share; ranked.",
    .details =
        "BY is how a type is known, the surest first:\n\n"
        "  vtable      the object's own vtable names its class\n"
        "  pointer     a pointer whose declaration (DWARF) names the type leads to it from a "
        "variable\n"
        "  recogniser  its contents are of a kind that is known\n"
        "  fit         the structure whose fields agree best with what such chunks hold\n"
        "  layout      no type: what such chunks look like\n"
        "  runtime     glibc made it for itself\n\n"
        "With -v: fields behind which nothing has a type, and declarations that contradict each "
        "other.\n",
    .takes = PM_TAKES_COMMON,
    .heap = PM_HEAP_REQUIRED,
    .prepare = prepare,
    .run = run,
};
