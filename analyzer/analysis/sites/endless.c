/*
 * Functions without an end; see endless.h.
 */
#include "analysis/sites/endless.h"

/* Such functions print a message. */
#define FUNCTION_BYTES_MAX 1024
/* die() calls vdie() calls abort(). */
#define DEPTH_MAX 4

struct PmEndless {
    const PmModuleCode *code;
    const PmTargets *known;
    GMutex mutex;
    GHashTable *answers; /* guint64 * → 1: it may return, 2: it never does */
};

/* A question that was asked in answering another. */
typedef struct {
    PmEndless *endless;
    guint depth;
} Question;

PmEndless *
pm_endless_new(const PmModuleCode *code, const PmTargets *known)
{
    PmEndless *endless = g_new0(PmEndless, 1);
    endless->code = code;
    endless->known = known;
    g_mutex_init(&endless->mutex);
    endless->answers = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    return endless;
}

void
pm_endless_free(PmEndless *endless)
{
    g_mutex_clear(&endless->mutex);
    g_hash_table_unref(endless->answers);
    g_free(endless);
}

static gboolean check(PmEndless *endless, PmDecoder *decoder, guint64 target, guint depth);

static gboolean
ask(gconstpointer data, PmDecoder *decoder, guint64 target)
{
    const Question *question = data;
    return check(question->endless, decoder, target, question->depth + 1);
}

/* Whether the block goes back to the function's caller, or may. */
static gboolean
returns(const Question *question, PmDecoder *decoder, const PmGraph *graph, const PmBlock *block)
{
    const PmOp *last = pm_graph_op(graph, block->first + block->count - 1);
    switch ((PmOpKind)last->kind) {
    case PM_OP_TRAP:
        return FALSE;
    case PM_OP_JUMP:
        if (last->a.kind != PM_OPERAND_NONE)
            return !(last->a.kind == PM_OPERAND_MEMORY && last->a.is_absolute &&
                     pm_targets_contain(question->endless->known, last->a.number));
        return block->target == PM_NO_BLOCK && !ask(question, decoder, last->target);
    case PM_OP_BRANCH:
        return block->target == PM_NO_BLOCK || block->next == PM_NO_BLOCK;
    case PM_OP_CALL:
        return block->next == PM_NO_BLOCK && !last->endless;
    default:
        return block->next == PM_NO_BLOCK;
    }
}

/* Follows all ways from the entry. */
static gboolean
may_return(const Question *question, PmDecoder *decoder, const PmGraph *graph)
{
    g_autofree guint8 *seen = g_new0(guint8, graph->blocks->len + 1);
    g_autoptr(GArray) waiting = g_array_new(FALSE, FALSE, sizeof(guint));
    guint at = graph->entry;
    seen[at] = 1;
    g_array_append_val(waiting, at);
    while (waiting->len > 0) {
        at = g_array_index(waiting, guint, waiting->len - 1);
        g_array_set_size(waiting, waiting->len - 1);
        const PmBlock *block = pm_graph_block(graph, at);
        if (returns(question, decoder, graph, block))
            return TRUE;
        const guint ways[] = {block->next, block->target};
        for (gsize i = 0; i < G_N_ELEMENTS(ways); i++) {
            if (ways[i] == PM_NO_BLOCK || seen[ways[i]] != 0)
                continue;
            seen[ways[i]] = 1;
            g_array_append_val(waiting, ways[i]);
        }
    }
    return FALSE;
}

static gboolean
look(PmEndless *endless, PmDecoder *decoder, guint64 target, guint depth)
{
    const PmModuleCode *code = endless->code;
    const PmFunctionRange *range = pm_frames_find_range(code->functions, target);
    const Question question = {endless, depth};
    PmCodeRange bytes;
    if (depth >= DEPTH_MAX || range == NULL || range->start != target ||
        range->end - range->start > FUNCTION_BYTES_MAX ||
        !pm_module_code_get_range(code, range->start, range->end, &bytes))
        return FALSE;
    const PmFunctionCode function = {
        .ranges = &bytes,
        .range_count = 1,
        .entry = target,
        .never_returns = ask,
        .data = &question,
    };
    PmGraph graph;
    pm_graph_init(&graph);
    pm_graph_build(&graph, code->machine, decoder, &function, endless->known);
    const gboolean never =
        graph.entry != PM_NO_BLOCK && !graph.unsure && !may_return(&question, decoder, &graph);
    pm_graph_clear(&graph);
    return never;
}

static gboolean
check(PmEndless *endless, PmDecoder *decoder, guint64 target, guint depth)
{
    return pm_targets_contain(endless->known, target) || look(endless, decoder, target, depth);
}

/* Only answers to first questions are kept: those to others hang on how deep they are. */
gboolean
pm_endless_check(PmEndless *endless, PmDecoder *decoder, guint64 target)
{
    g_mutex_lock(&endless->mutex);
    guint answer = GPOINTER_TO_UINT(g_hash_table_lookup(endless->answers, &target));
    g_mutex_unlock(&endless->mutex);
    if (answer != 0)
        return answer == 2;
    answer = check(endless, decoder, target, 0) ? 2 : 1;
    g_mutex_lock(&endless->mutex);
    g_hash_table_insert(endless->answers, g_memdup2(&target, sizeof target),
                        GUINT_TO_POINTER(answer));
    g_mutex_unlock(&endless->mutex);
    return answer == 2;
}
