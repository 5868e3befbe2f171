/*
 * Return addresses in stacks; see traces.h.
 */
#include "analysis/sites/traces.h"

#include "process/stacks.h"
#include "process/unwind.h"

#define LIVE_BYTES_MAX  (G_GUINT64_CONSTANT(8) << 20)
#define DEAD_BYTES_MAX  (G_GUINT64_CONSTANT(1) << 20)
#define ENDED_BYTES_MAX (G_GUINT64_CONSTANT(256) << 10)
#define ALL_BYTES_MAX   (G_GUINT64_CONSTANT(512) << 20)
/* Unwinding is slow, and it makes a strong hit only a little stronger. */
#define UNWOUND_MAX 64

/* Words into code that are remembered. */
#define CODES_MAX 1000000

/* @found: return address → PmTrace *. @low, @high: bounds of them all. @budget_bytes: may still be
 * read. @codes: PmAddr: words of dead stacks that lead between @low and @high, ascending in the
 * end.
 */
struct PmTraces {
    const PmProcess *process;
    GHashTable *found;
    GArray *codes;
    PmAddr low;
    PmAddr high;
    guint word_bytes;
    guint64 budget_bytes;
    guint unwound;
    guint traced;
};

static void
note(PmTraces *traces, PmTrace *trace, PmTraceKind kind, guint32 tid)
{
    traces->traced += trace->kind == PM_TRACE_NONE;
    if (kind > trace->kind) {
        trace->kind = kind;
        trace->tid = tid;
    }
    for (guint i = 0; i < trace->tid_count; i++)
        if (trace->tids[i] == tid)
            return;
    if (trace->tid_count < PM_TRACE_THREADS_MAX && tid != 0)
        trace->tids[trace->tid_count++] = tid;
}

static PmTrace *
look_up(const PmTraces *traces, PmAddr address)
{
    if (address < traces->low || address > traces->high)
        return NULL;
    return g_hash_table_lookup(traces->found, (gpointer)(guintptr)address);
}

/* Words of [@start, @end) that are return addresses. Returns: how many were found. */
static gsize
search(PmTraces *traces, PmAddr start, PmAddr end, PmTraceKind kind, guint32 tid)
{
    const PmSpace *space = pm_process_get_space(traces->process);
    gsize hits = 0;
    start += (traces->word_bytes - start % traces->word_bytes) % traces->word_bytes;
    while (start < end && end - start >= traces->word_bytes && traces->budget_bytes > 0) {
        PmSpan span;
        pm_space_get_span(space, start, &span);
        const guint64 length = MIN(span.length_bytes, end - start);
        const guint64 words = length / traces->word_bytes;
        if (words == 0)
            break;
        if (span.kind == PM_BYTES_DUMPED && !span.hole && span.bytes != NULL) {
            traces->budget_bytes -= MIN(traces->budget_bytes, length);
            for (guint64 i = 0; i < words; i++) {
                const PmAddr word =
                    pm_load_word(span.bytes + i * traces->word_bytes, traces->word_bytes);
                PmTrace *trace = look_up(traces, word);
                if (kind == PM_TRACE_DEAD && word >= traces->low && word <= traces->high &&
                    traces->codes->len < CODES_MAX)
                    g_array_append_val(traces->codes, word);
                if (trace == NULL)
                    continue;
                note(traces, trace, kind, tid);
                hits++;
            }
        }
        start += words * traces->word_bytes;
    }
    return hits;
}

static void
unwind(PmTraces *traces, const PmThread *thread)
{
    gsize count = 0;
    gboolean complete = FALSE;
    if (traces->unwound++ >= UNWOUND_MAX)
        return;
    g_autofree PmFrame *frames = pm_process_unwind(traces->process, thread, &count, &complete);
    for (gsize i = 1; i < count; i++) {
        PmTrace *trace = look_up(traces, frames[i].pc);
        if (trace != NULL)
            note(traces, trace, PM_TRACE_FRAME, thread->tid);
    }
}

static void
search_threads(PmTraces *traces)
{
    gsize count = 0;
    const PmThread *threads = pm_process_get_threads(traces->process, &count);
    for (gsize i = 0; i < count; i++) {
        const PmThread *thread = &threads[i];
        const PmRange stack = thread->stack;
        if (thread->sp < stack.start || thread->sp >= stack.end)
            continue;
        const PmAddr end = thread->sp + MIN(stack.end - thread->sp, LIVE_BYTES_MAX);
        const PmAddr start = thread->sp - MIN(thread->sp - stack.start, DEAD_BYTES_MAX);
        search(traces, start, thread->sp, PM_TRACE_DEAD, thread->tid);
        if (search(traces, thread->sp, end, PM_TRACE_LIVE, thread->tid) > 0)
            unwind(traces, thread);
    }
}

/* Stacks of threads that ended: the top of each, where their outer frames were. */
static void
search_ended(PmTraces *traces)
{
    gsize count = 0;
    g_autofree PmTcb *tcbs = pm_process_find_tcbs(traces->process, &count);
    for (gsize i = 0; i < count; i++) {
        const PmRange block = tcbs[i].block;
        if (tcbs[i].tid != 0 || block.end <= block.start)
            continue;
        search(traces, block.end - MIN(block.end - block.start, ENDED_BYTES_MAX), block.end,
               PM_TRACE_DEAD, 0);
    }
}

PmTraces *
pm_traces_new(const PmProcess *process, const PmSites *sites)
{
    PmTraces *traces = g_new0(PmTraces, 1);
    traces->process = process;
    traces->found = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    traces->codes = g_array_new(FALSE, FALSE, sizeof(PmAddr));
    traces->low = G_MAXUINT64;
    traces->word_bytes = (guint)pm_space_get_target(pm_process_get_space(process))->word_bytes;
    traces->budget_bytes = ALL_BYTES_MAX;
    gsize count = 0;
    const PmSite *all = pm_sites_get(sites, &count);
    for (gsize i = 0; i < count; i++) {
        const PmAddr address = all[i].return_address;
        if (address == PM_ADDR_NONE)
            continue;
        traces->low = MIN(traces->low, address);
        traces->high = MAX(traces->high, address);
        g_hash_table_insert(traces->found, (gpointer)(guintptr)address, g_new0(PmTrace, 1));
    }
    if (g_hash_table_size(traces->found) > 0) {
        search_threads(traces);
        search_ended(traces);
    }
    g_array_sort(traces->codes, pm_addr_compare);
    return traces;
}

void
pm_traces_free(PmTraces *traces)
{
    if (traces == NULL)
        return;
    g_hash_table_unref(traces->found);
    g_array_unref(traces->codes);
    g_free(traces);
}

double
pm_traces_get_share(const PmTraces *traces)
{
    const guint count = g_hash_table_size(traces->found);
    return count == 0 ? 0 : (double)traces->traced / count;
}

const PmTrace *
pm_traces_find(const PmTraces *traces, const PmSite *site)
{
    if (site->return_address == PM_ADDR_NONE)
        return NULL;
    const PmTrace *trace = look_up(traces, site->return_address);
    return trace != NULL && trace->kind != PM_TRACE_NONE ? trace : NULL;
}

gboolean
pm_traces_ran(const PmTraces *traces, const PmRange *function)
{
    guint low = 0, high = traces->codes->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(traces->codes, PmAddr, middle) > function->start)
            high = middle;
        else
            low = middle + 1;
    }
    return low < traces->codes->len && g_array_index(traces->codes, PmAddr, low) < function->end;
}
