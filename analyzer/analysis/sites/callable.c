/*
 * Reaches functions from words of data, through references of code; see callable.h.
 */
#include "analysis/sites/callable.h"

#include "analysis/sites/links.h"
#include "image/space.h"

#include <string.h>

/* From function number @from to number @to. */
typedef struct {
    guint from;
    guint to;
} Edge;

/*
 * What was found in one module. @called, @referred: of each of the code's functions; NULL where
 * that cannot be told.
 */
typedef struct {
    gboolean is_known;
    guint8 *called;
    guint8 *referred;
} Answer;

/* @has_data: whether all words of data are there, as the process had them. */
struct PmCallable {
    PmSiteWorld *world;
    Answer *answers;
    gboolean has_data;
};

/* While one module is looked at. @is_entered: of each function, whether other code refers to it. */
typedef struct {
    PmSiteWorld *world;
    guint index;
    const PmModuleCode *code;
    guint8 *called;
    guint8 *is_entered;
    GArray *edges;
    GArray *queue; /* guint */
} Search;

/* Whether @data is there as the process had it: a module's file does not have what the dynamic
 * linker wrote. */
static gboolean
is_there(const PmSpace *space, PmRange data)
{
    PmSpan span;
    for (PmAddr at = data.start; at < data.end; at += span.length_bytes) {
        pm_space_get_span(space, at, &span);
        if (span.kind != PM_BYTES_DUMPED && span.kind != PM_BYTES_NOT_WRITTEN)
            return FALSE;
        span.length_bytes = MIN(span.length_bytes, data.end - at);
    }
    return TRUE;
}

static gboolean
has_all_data(const PmSiteWorld *world)
{
    const PmSpace *space = pm_process_get_space(world->process);
    for (guint i = 0; i < world->modules->len; i++) {
        const PmModule *module = pm_site_world_get_module(world, i)->module;
        for (gsize j = 0; j < module->data_count; j++)
            if (!is_there(space, module->data[j]))
                return FALSE;
    }
    return world->pointers->len < PM_POINTERS_MAX;
}

PmCallable *
pm_callable_new(PmSiteWorld *world)
{
    PmCallable *callable = g_new0(PmCallable, 1);
    callable->world = world;
    callable->has_data = has_all_data(world);
    callable->answers = g_new0(Answer, world->modules->len + 1);
    return callable;
}

void
pm_callable_free(PmCallable *callable)
{
    if (callable == NULL)
        return;
    for (guint i = 0; i < callable->world->modules->len; i++) {
        g_free(callable->answers[i].called);
        g_free(callable->answers[i].referred);
    }
    g_free(callable->answers);
    g_free(callable);
}

/* The number of the function that holds @address, or begins there; FALSE where none is known to. */
static gboolean
find_function(const PmModuleCode *code, guint64 address, gboolean begins, guint *ret_number)
{
    const PmFunctionRange *all = (const PmFunctionRange *)(gconstpointer)code->functions->data;
    const PmFunctionRange *found = pm_frames_find_range(code->functions, address);
    if (found == NULL || (begins && found->start != address))
        return FALSE;
    *ret_number = (guint)(found - all);
    return TRUE;
}

static void
call_function(Search *search, guint number)
{
    if (search->called[number])
        return;
    search->called[number] = TRUE;
    g_array_append_val(search->queue, number);
}

static void
call_address(Search *search, guint64 address)
{
    guint number = 0;
    if (find_function(search->code, address, TRUE, &number)) {
        search->is_entered[number] = TRUE;
        call_function(search, number);
    }
}

/* What code refers to: what code outside of all functions does counts at once. */
static void
follow_code(Search *search)
{
    const GArray *references = search->code->references;
    const guint64 base = search->code->module->start - search->code->module->bias;
    for (guint i = 0; i < references->len; i++) {
        const PmShortReference *reference = &g_array_index(references, PmShortReference, i);
        Edge edge;
        if (!find_function(search->code, base + reference->target, TRUE, &edge.to))
            continue;
        if (!find_function(search->code, base + reference->address, FALSE, &edge.from)) {
            call_address(search, base + reference->target);
        } else if (edge.from != edge.to) {
            search->is_entered[edge.to] = TRUE;
            g_array_append_val(search->edges, edge);
        }
    }
}

/* Words of data that lead into the module. */
static void
follow_data(Search *search)
{
    const GArray *pointers = search->world->pointers;
    const PmModule *module = search->code->module;
    guint low = 0, high = pointers->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(pointers, PmPointer, middle).value >= module->start)
            high = middle;
        else
            low = middle + 1;
    }
    for (; low < pointers->len; low++) {
        const PmPointer *pointer = &g_array_index(pointers, PmPointer, low);
        if (pointer->value >= module->end)
            break;
        call_address(search, pointer->value - module->bias);
    }
}

/* Whether another module takes something of it by name; if none does, it was loaded by the program
 * itself, which then looks up names. */
static gboolean
is_linked(const Search *search)
{
    const GArray *exports = search->code->dynamic.exports;
    for (guint i = 0; i < exports->len; i++)
        if (pm_links_is_imported(search->world, g_array_index(exports, PmExport, i).name,
                                 search->index))
            return TRUE;
    return FALSE;
}

/* Code that does not move has addresses of functions as numbers of 32 bits. */
static void
follow_numbers(Search *search)
{
    const GArray *functions = search->code->functions;
    g_autofree guint64 *starts = g_new(guint64, functions->len + 1);
    for (guint i = 0; i < functions->len; i++)
        starts[i] = g_array_index(functions, PmFunctionRange, i).start;
    g_autoptr(PmTargets) targets = pm_targets_new(starts, functions->len);
    for (guint i = 0; i < search->code->texts->len; i++) {
        const PmCodeRange *text = &g_array_index(search->code->texts, PmCodeRange, i);
        for (guint64 at = 0; at + 4 <= text->end - text->start; at++) {
            const guint64 number = pm_load_u32(text->bytes + at);
            if (G_UNLIKELY(pm_targets_may_contain(targets, number)) &&
                pm_targets_contain(targets, number))
                call_address(search, number);
        }
    }
}

/* Exported functions that nothing refers to are not called, unless all exports are; others are, in
 * ways that are not seen: a linker keeps no function that is of no use. */
static void
follow_rest(Search *search, gboolean exports_are_called)
{
    const GArray *exports = search->code->dynamic.exports;
    guint number = 0;
    for (guint i = 0; i < exports->len; i++) {
        const PmExport *export = &g_array_index(exports, PmExport, i);
        if (exports_are_called)
            call_address(search, export->address);
        else if (find_function(search->code, export->address, FALSE, &number))
            search->is_entered[number] = TRUE;
    }
    for (guint i = 0; i < search->code->functions->len; i++)
        if (!search->is_entered[i])
            call_function(search, i);
}

static gint
compare_edges(gconstpointer a, gconstpointer b)
{
    const Edge *left = a;
    const Edge *right = b;
    return left->from < right->from ? -1 : left->from > right->from;
}

static void
spread(Search *search)
{
    const guint count = search->code->functions->len;
    g_autofree guint *first = g_new0(guint, count + 2);
    g_array_sort(search->edges, compare_edges);
    for (guint i = 0; i < search->edges->len; i++)
        first[g_array_index(search->edges, Edge, i).from + 1] = i + 1;
    for (guint i = 1; i <= count; i++)
        first[i] = MAX(first[i], first[i - 1]);
    while (search->queue->len > 0) {
        const guint number = g_array_index(search->queue, guint, search->queue->len - 1);
        g_array_set_size(search->queue, search->queue->len - 1);
        for (guint i = first[number]; i < first[number + 1]; i++)
            call_function(search, g_array_index(search->edges, Edge, i).to);
    }
}

static void
look_at(PmCallable *callable, guint index)
{
    const PmSiteModule *module = pm_site_world_get_module(callable->world, index);
    Answer *answer = &callable->answers[index];
    answer->is_known = TRUE;
    if (module->code == NULL || module->code->missing_bytes > 0 || module->module->is_vdso)
        return;
    pm_module_code_prepare(module->code);
    const guint count = module->code->functions->len;
    if (count == 0)
        return;
    g_autoptr(GArray) edges = g_array_new(FALSE, FALSE, sizeof(Edge));
    g_autoptr(GArray) queue = g_array_new(FALSE, FALSE, sizeof(guint));
    Search search = {
        .world = callable->world,
        .index = index,
        .code = module->code,
        .called = g_new0(guint8, count),
        .is_entered = g_new0(guint8, count),
        .edges = edges,
        .queue = queue,
    };
    follow_code(&search);
    follow_data(&search);
    if (module->module->bias == 0)
        follow_numbers(&search);
    follow_rest(&search, !is_linked(&search) || module->module->is_executable);
    spread(&search);
    answer->called = search.called;
    answer->referred = search.is_entered;
}

/* FALSE where nothing can be told of the function that holds @address of module number @module. */
static gboolean
find_answer(PmCallable *callable, guint module, guint64 address, const Answer **ret_answer,
            guint *ret_number)
{
    if (module >= callable->world->modules->len || !callable->has_data)
        return FALSE;
    const Answer *answer = &callable->answers[module];
    if (!answer->is_known)
        look_at(callable, module);
    *ret_answer = answer;
    return answer->called != NULL &&
           find_function(pm_site_world_get_module(callable->world, module)->code, address, FALSE,
                         ret_number);
}

gboolean
pm_callable_is_called(PmCallable *callable, guint module, guint64 address)
{
    const Answer *answer = NULL;
    guint number = 0;
    return !find_answer(callable, module, address, &answer, &number) || answer->called[number];
}

gboolean
pm_callable_is_referred(PmCallable *callable, guint module, guint64 address)
{
    const Answer *answer = NULL;
    guint number = 0;
    return !find_answer(callable, module, address, &answer, &number) || answer->referred[number];
}
