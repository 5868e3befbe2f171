/*
 * postmalloc sizes: the histogram of chunk sizes.
 */
#include "report/sizes.h"
#include "cli/command.h"

/* A core of more dumped bytes is scanned only on demand: the histogram alone takes a quarter of
 * the time. A script gets all there is to know. */
#define SCAN_MAX_BYTES ((guint64)256 << 20)

static gboolean
wants_scan(const PmSession *session)
{
    return session->options->lost || session->options->json ||
           pm_image_get_coverage(session->image)->dumped_bytes <= SCAN_MAX_BYTES;
}

static gboolean
prepare(PmSession *session, GError **error)
{
    return !wants_scan(session) || pm_session_try_scan(session, error);
}

static int
run(const PmSession *session, const PmSink *sink, G_GNUC_UNUSED GError **error)
{
    g_autoptr(PmSizes) sizes = pm_sizes_new(session->ptmalloc);
    pm_sizes_add_lost(sizes, &session->subject, session->reach);
    sizes->lost_skipped = !wants_scan(session);
    pm_report_sizes(sink, &session->subject, sizes);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_sizes = {
    .name = "sizes",
    .answers = "The histogram of chunk sizes: counts, bytes, share; ranked.",
    .details =
        "LOST is the share of a size's chunks that nothing refers to. In text, a core of more than "
        "256 MiB is\n"
        "searched for it only with --lost: the histogram alone takes a quarter of the time.\n",
    .takes = PM_TAKES_COMMON | PM_TAKES_LOST,
    .heap = PM_HEAP_REQUIRED,
    .prepare = prepare,
    .run = run,
};
