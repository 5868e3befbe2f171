/*
 * postmalloc sites: the call sites that can allocate a size.
 */
#include "report/sites.h"
#include "cli/command.h"

static int
run(const PmSession *session, const PmSink *sink, GError **error)
{
    const PmOptions *options = session->options;
    PmSiteQuery query = {.variable = options->variable};
    if (options->filter.by_request) {
        query.by_request = TRUE;
        query.request_min = query.request_max = options->filter.request_bytes;
    } else if (options->filter.by_chunk_bytes) {
        query.by_request = TRUE;
        if (!pm_sites_chunk_to_requests(options->filter.chunk_bytes, &query.request_min,
                                        &query.request_max)) {
            g_set_error(error, PM_ERROR, PM_ERROR_NOT_FOUND,
                        "no request gives a chunk of %" G_GUINT64_FORMAT
                        " bytes: chunks are multiples of 16, at least 32",
                        options->filter.chunk_bytes);
            return PM_EXIT_FAILED;
        }
    }
    g_autoptr(PmSites) sites = pm_sites_new(&session->subject, &query, options->jobs, error);
    if (sites == NULL)
        return PM_EXIT_FAILED;
    pm_report_sites(sink, &session->subject, &query, sites);
    return PM_EXIT_ANSWERED;
}

const PmCommand pm_command_sites = {
    .name = "sites",
    .answers = "The calls of malloc, operator new and the like that ask for a size.",
    .details =
        "Found by disassembling every module whose code is in the core or in its file, with "
        "symbols or\n"
        "without. A function that only passes its argument on to malloc and returns what it gets "
        "is an\n"
        "allocator itself, and the sites are the calls of it. --size takes N as the exact request, "
        "and\n"
        "--chunk-size every request that gives the chunk; without either all calls with a "
        "constant size\n"
        "are listed.\n",
    .takes = PM_TAKES_COMMON | PM_TAKES_SITES,
    .heap = PM_HEAP_UNUSED,
    .run = run,
};
