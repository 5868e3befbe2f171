/*
 * Stacks, modules and arenas; see corroborate.h.
 */
#include "analysis/sites/corroborate.h"

#include "analysis/evidence.h"
#include "analysis/format.h"
#include "analysis/sites/bound.h"
#include "process/unwind.h"

#include <math.h>
#include <string.h>

/*
 * A return address in a dead stack proves that the call was made. Of sites that make thousands of
 * chunks that often one is left; how often of any site is seen in the core itself. The ratio of the
 * two, within bounds, is what it says; more where the call is on a live stack, or being made.
 */
#define TRACED_BUSY  0.3
#define TRACED_LEAST 0.02
#define FACTOR_MIN   1.5
#define FACTOR_MAX   12.0
#define MORE_FRAME   2.0
#define MORE_LIVE    1.25
/* Another call of its function is left there. */
#define FACTOR_RAN 2.5
/* A call that was never made; not 0, for another word may have been bound meanwhile. */
#define FACTOR_UNBOUND 0.001

/* The thread allocates from the arena that the chunks are in. */
#define FACTOR_SAME_ARENA 1.3

/* Chunks that point into a module were mostly made there, but by far not always. */
#define MODULE_SHARE_MIN  0.2
#define MODULE_FOR        1.5
#define MODULE_AGAINST    0.3
#define MODULE_SHARE_MOST 0.5

/* Nothing of the site's module has run, by its variables: but some that did work need none. */
#define FACTOR_UNTOUCHED 0.15

/* The arenas tell something where nearly all chunks are in those of few threads. */
#define ARENA_SHARE_MIN 0.9
#define THREADS_MAX     16
#define FACTOR_MODULE   1.4
#define FACTOR_FUNCTION 2.5

/* Where a thread began: in which module, in which function (0 where it has no symbol). */
typedef struct {
    const PmModule *module;
    PmAddr function;
} Start;

/*
 * @threads: guint32: the tids that use the arenas of the chunks; empty where that tells nothing.
 * @starts: Start, of them. @best_share: the most that point to one module, libc apart.
 */
struct PmWitnesses {
    const PmSubject *subject;
    const PmSiteRows *rows;
    const PmSites *sites;
    const PmTraces *traces;
    GArray *threads;
    GArray *starts;
    double best_share;
};

static double
get_weight(double factor)
{
    return tanh(log(factor) / 3);
}

/* The threads of the arenas of nearly all rows, where these are thread arenas. */
static void
find_threads(PmWitnesses *witnesses)
{
    gsize count = 0;
    const PmMatrix *matrix = witnesses->rows->matrix;
    if (witnesses->subject->ptmalloc == NULL || matrix->rows == 0)
        return;
    const PmArena *arenas = pm_ptmalloc_get_arenas(witnesses->subject->ptmalloc, &count);
    g_autofree gsize *rows = g_new0(gsize, count + 1);
    gsize inside = 0;
    for (gsize row = 0; row < matrix->rows; row++)
        if (matrix->groups[row] < count && arenas[matrix->groups[row]].kind == PM_ARENA_THREAD) {
            rows[matrix->groups[row]]++;
            inside++;
        }
    if ((double)inside < ARENA_SHARE_MIN * (double)matrix->rows)
        return;
    for (gsize i = 0; i < count; i++)
        if (rows[i] > 0)
            g_array_append_vals(witnesses->threads, arenas[i].threads,
                                (guint)MIN(arenas[i].thread_count, THREADS_MAX + 1));
    if (witnesses->threads->len > THREADS_MAX)
        g_array_set_size(witnesses->threads, 0);
}

static gboolean
is_start_code(const PmProcess *process, PmAddr code)
{
    static const char *const names[] = {"start_thread", "clone", "__clone", "clone3", "__clone3"};
    PmSymbol symbol;
    guint64 offset = 0;
    const PmModule *module = pm_process_find_module(process, code);
    const PmModule *libc = pm_process_get_libc(process);
    if (module == NULL || (module == libc && !module->is_executable))
        return TRUE;
    if (!pm_process_symbolize(process, code, &symbol, &offset))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        if (strcmp(symbol.name, names[i]) == 0)
            return TRUE;
    return FALSE;
}

/* Where @thread began: its outermost frame that is not the C library's. */
static void
find_start(PmWitnesses *witnesses, const PmThread *thread)
{
    const PmProcess *process = witnesses->subject->process;
    gsize count = 0;
    gboolean complete = FALSE;
    g_autofree PmFrame *frames = pm_process_unwind(process, thread, &count, &complete);
    while (complete && count > 0 && is_start_code(process, pm_frame_get_code(&frames[count - 1])))
        count--;
    if (!complete || count == 0)
        return;
    const PmAddr code = pm_frame_get_code(&frames[count - 1]);
    Start start = {.module = pm_process_find_module(process, code)};
    PmSymbol symbol;
    guint64 offset = 0;
    if (pm_process_symbolize(process, code, &symbol, &offset) && offset < symbol.size_bytes)
        start.function = symbol.address;
    g_array_append_val(witnesses->starts, start);
}

static void
find_starts(PmWitnesses *witnesses)
{
    gsize count = 0;
    const PmThread *threads = pm_process_get_threads(witnesses->subject->process, &count);
    for (guint i = 0; i < witnesses->threads->len; i++)
        for (gsize j = 0; j < count; j++)
            if (threads[j].tid == g_array_index(witnesses->threads, guint32, i)) {
                find_start(witnesses, &threads[j]);
                break;
            }
}

/* The share of the chunks that point into @module; -1 for the C library's own, to which any
 * program's chunks may point, and without chunks. */
static double
get_module_share(const PmWitnesses *witnesses, const PmModule *module)
{
    const PmSiteRows *rows = witnesses->rows;
    if (rows == NULL || rows->matrix->rows == 0 ||
        (module == pm_process_get_libc(witnesses->subject->process) && !module->is_executable))
        return -1;
    return pm_share(GPOINTER_TO_UINT(g_hash_table_lookup(rows->module_rows, module)),
                    rows->matrix->rows);
}

PmWitnesses *
pm_witnesses_new(const PmSubject *subject, const PmSites *sites, const PmSiteRows *rows,
                 const PmTraces *traces)
{
    PmWitnesses *witnesses = g_new0(PmWitnesses, 1);
    witnesses->subject = subject;
    witnesses->rows = rows;
    witnesses->sites = sites;
    witnesses->traces = traces;
    witnesses->threads = g_array_new(FALSE, FALSE, sizeof(guint32));
    witnesses->starts = g_array_new(FALSE, FALSE, sizeof(Start));
    if (rows == NULL)
        return witnesses;
    find_threads(witnesses);
    find_starts(witnesses);
    GHashTableIter iter;
    gpointer module = NULL;
    g_hash_table_iter_init(&iter, rows->module_rows);
    while (g_hash_table_iter_next(&iter, &module, NULL))
        witnesses->best_share = MAX(witnesses->best_share, get_module_share(witnesses, module));
    return witnesses;
}

void
pm_witnesses_free(PmWitnesses *witnesses)
{
    if (witnesses == NULL)
        return;
    g_array_unref(witnesses->threads);
    g_array_unref(witnesses->starts);
    g_free(witnesses);
}

/* Whether a thread of @trace uses an arena of the chunks. */
static gboolean
shares_thread(const PmWitnesses *witnesses, const PmTrace *trace)
{
    for (guint i = 0; i < witnesses->threads->len; i++)
        for (guint j = 0; j < trace->tid_count; j++)
            if (trace->tids[j] == g_array_index(witnesses->threads, guint32, i))
                return TRUE;
    return FALSE;
}

/* Whether the function of @site ran, by what is left of its other calls. */
static double
ask_function(const PmWitnesses *witnesses, const PmSite *site, GArray *evidence)
{
    PmRange function;
    if (!pm_sites_find_function(witnesses->sites, site, &function) ||
        !pm_traces_ran(witnesses->traces, &function))
        return 1;
    pm_evidence_add(evidence, "stack", get_weight(FACTOR_RAN),
                    "its function ran: a return address into it is left in a stack");
    return FACTOR_RAN;
}

static double
ask_stacks(const PmWitnesses *witnesses, const PmSite *site, GArray *evidence)
{
    const PmTrace *trace = pm_traces_find(witnesses->traces, site);
    if (trace == NULL)
        return ask_function(witnesses, site, evidence);
    const double traced = pm_traces_get_share(witnesses->traces);
    double factor = CLAMP(TRACED_BUSY / (traced + TRACED_LEAST), FACTOR_MIN, FACTOR_MAX);
    factor *= trace->kind == PM_TRACE_FRAME  ? MORE_FRAME
              : trace->kind == PM_TRACE_LIVE ? MORE_LIVE
                                             : 1;
    g_autofree char *who = trace->tid != 0 ? g_strdup_printf("thread %u", trace->tid)
                                           : g_strdup("a thread that ended");
    const char *more = "";
    if (witnesses->threads->len > 0 && shares_thread(witnesses, trace)) {
        factor *= FACTOR_SAME_ARENA;
        more = ", which uses the arena of the chunks";
    } else if (witnesses->threads->len > 0 && trace->tid != 0) {
        factor = sqrt(factor);
        more = ", which does not use the arena of the chunks";
    }
    if (trace->kind == PM_TRACE_FRAME)
        pm_evidence_add(evidence, "stack", get_weight(factor), "%s is in this very call%s", who,
                        more);
    else if (trace->kind == PM_TRACE_LIVE)
        pm_evidence_add(evidence, "stack", get_weight(factor),
                        "its return address is on the stack of %s%s", who, more);
    else
        pm_evidence_add(evidence, "stack", get_weight(factor),
                        "it ran: its return address is left in the stack of %s%s", who, more);
    return factor;
}

static double
ask_modules(const PmWitnesses *witnesses, const PmSite *site, GArray *evidence)
{
    const double share = get_module_share(witnesses, site->module);
    double factor = 1;
    if (share >= MODULE_SHARE_MIN) {
        factor = 1 + MODULE_FOR * share;
        pm_evidence_add(evidence, "module", get_weight(factor),
                        "%s of the sampled chunks point to code or constants of its module",
                        pm_format_share(share).text);
    } else if (share >= 0 && witnesses->best_share >= MODULE_SHARE_MOST) {
        factor = 1 - MODULE_AGAINST * witnesses->best_share;
        pm_evidence_add(evidence, "module", get_weight(factor),
                        "%s of the sampled chunks point to another module, none or few to this one",
                        pm_format_share(witnesses->best_share).text);
    }
    return factor;
}

/* Whether anything of its module ran; its own calls, and chunks that point there, say so, too. */
static double
ask_variables(const PmWitnesses *witnesses, const PmSite *site, GArray *evidence)
{
    if (pm_traces_find(witnesses->traces, site) != NULL ||
        get_module_share(witnesses, site->module) >= MODULE_SHARE_MIN ||
        !pm_sites_is_untouched(witnesses->sites, site))
        return 1;
    pm_evidence_add(evidence, "unused", get_weight(FACTOR_UNTOUCHED),
                    "all variables of its module that begin as zero are still zero, as where "
                    "nothing of it has run");
    return FACTOR_UNTOUCHED;
}

static double
ask_arenas(const PmWitnesses *witnesses, const PmSite *site, GArray *evidence)
{
    guint modules = 0, functions = 0;
    PmSymbol symbol;
    guint64 offset = 0;
    for (guint i = 0; i < witnesses->starts->len; i++) {
        const Start *start = &g_array_index(witnesses->starts, Start, i);
        if (start->module != site->module)
            continue;
        modules++;
        if (start->function != 0 &&
            pm_process_symbolize(witnesses->subject->process, site->address, &symbol, &offset) &&
            symbol.address == start->function)
            functions++;
    }
    if (modules == 0)
        return 1;
    const double factor = functions > 0 ? FACTOR_FUNCTION : FACTOR_MODULE;
    pm_evidence_add(evidence, "arena", get_weight(factor),
                    functions > 0 ? "the chunks' arena is used by %s that began in this function"
                                  : "the chunks' arena is used by %s that began in this module",
                    pm_format_things(functions > 0 ? functions : modules, "thread").text);
    return factor;
}

static double
ask_bindings(const PmWitnesses *witnesses, const PmSite *site, GArray *evidence)
{
    if (!pm_site_is_unbound(witnesses->subject->process, site))
        return 1;
    pm_evidence_add(
        evidence, "unbound", get_weight(FACTOR_UNBOUND),
        "it never ran: its module has not called %s yet, for the word of its PLT is not "
        "bound",
        site->allocator);
    return FACTOR_UNBOUND;
}

double
pm_witnesses_ask_use(const PmWitnesses *witnesses, const PmSite *site, GArray *evidence)
{
    return ask_variables(witnesses, site, evidence) * ask_bindings(witnesses, site, evidence);
}

double
pm_witnesses_ask(const PmWitnesses *witnesses, const PmSite *site, GArray *evidence)
{
    return ask_stacks(witnesses, site, evidence) * ask_modules(witnesses, site, evidence) *
           ask_arenas(witnesses, site, evidence);
}
